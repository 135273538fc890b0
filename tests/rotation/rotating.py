"""Appends, rotates and appends on, recorded: python -m tests.rotation.rotating ROOT LOG [SYNC to be killed at]."""

import os
import sys
from decimal import Decimal
from pathlib import Path

import eventstore
from eventstore.journals import background
from eventstore.trading import OrderFilled, Side
from projections.rotation import rotate
from tests.powercut.recording import Finished, Recorder, install
from tests.reliability.checking import submitted

ORDERS = 5


def filled(trade_id: str) -> OrderFilled:
    return OrderFilled(trade_id=trade_id, symbol="ES", side=Side.BUY, quantity=Decimal(1), price=Decimal(5_000))


def main(root: str, log: str, die_at_sync: int) -> None:
    # No background thread syncs in between: the same sync is the same moment each time.
    background.LOOK_SECONDS = 3_600.0
    recorder = Recorder(Path(root), Path(log), die_at_sync=die_at_sync)
    install(recorder)
    for life in range(2):
        with eventstore.open(Path(root) / "data") as store:
            for number in range(ORDERS):
                stream = f"order/A/O-{life}-{number}"
                recorder.acknowledge(store.append(stream, [submitted(), filled(f"T-{life}-{number}")], expected=0))
            if life == 0:
                recorder.record(Finished("rotation began", "main", store.head()))
                rotate(store)
                recorder.record(Finished("rotation", "main", 0))
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 0)
