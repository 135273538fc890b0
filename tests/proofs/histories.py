"""Honest histories of one log and of another, each with all that is made to prove it: what alterations are made of."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import eventstore
from eventstore import Batch, EventStore, ManualClock
from eventstore.proofs import Checkpoint, prove, write_bundle
from eventstore.proofs.checkpoint_file import NAME, CheckpointFile
from eventstore.proofs.keys import PrivateKey
from eventstore.proofs.signers import origin_of
from eventstore.side import FileSide
from eventstore.trading import Marked, OrderAccepted, OrderFilled, OrderSubmitted, Side
from projections import analysis
from tests.proofs.bundled import AT, SECOND, seed

EARLIEST, EARLIER, SIZE = 100, 240, 320
"""The sizes at which a history was signed; at `EARLIER` the branch leaves it."""
PROVED = 77


@dataclass(frozen=True)
class History:
    """One history of a log up to a size: its files, and the key that signed them."""

    place: Path
    key: PrivateKey
    size: int

    @property
    def data(self) -> Path:
        return self.place / "data"

    @property
    def journal(self) -> Path:
        return self.data / "main" / "journal.db"

    @property
    def archive(self) -> Path:
        return self.place / "archive"

    @property
    def bundle(self) -> Path:
        return self.place / "whole.zip"

    @property
    def account(self) -> Path:
        return self.place / "account.zip"

    @property
    def checkpoints(self) -> Path:
        return self.place / NAME

    @property
    def inclusion(self) -> Path:
        return self.place / "inclusion"

    @property
    def growth(self) -> Path:
        return self.place / "growth"


class Histories:
    """A log, an older copy of it, a branch that somebody without its key went on with, and another log."""

    def __init__(self, place: Path) -> None:
        place.mkdir()
        self.place = place
        with eventstore.open(place / "log" / "data", clock=ManualClock(AT)) as store:
            trade(store, range(EARLIER // 4), "5312.25")
            self.key = PrivateKey.generate(origin_of("main", store.log_id), seed(1))
        self.intruder = PrivateKey.generate(self.key.public.name, seed(2))
        for name in ("older", "branch"):
            shutil.copytree(place / "log", place / name)
        self.log = self._grown("log", self.key, "5312.25", SIZE)
        self.older = self._grown("older", self.key, "5312.25", EARLIER)
        self.branch = self._grown("branch", self.intruder, "5312.50", SIZE)
        with eventstore.open(place / "other" / "data", clock=ManualClock(AT)) as store:
            trade(store, range(EARLIER // 4), "5312.25")
            key = PrivateKey.generate(origin_of("main", store.log_id), seed(3))
        self.other = self._grown("other", key, "5312.25", SIZE)
        self.vkey, self.earlier = place / "vkey", place / "earlier"
        self.vkey.write_text(self.key.public.text + "\n")
        with eventstore.open(self.log.data, read_only=True) as store:
            self.records = list(store.read())
            self.earlier.write_text(signed(store, self.key, EARLIEST).text)

    def _grown(self, name: str, key: PrivateKey, price: str, size: int) -> History:
        made = History(self.place / name, key, size)
        with eventstore.open(made.data, clock=ManualClock(AT + 3_600 * SECOND)) as store:
            trade(store, range(EARLIER // 4, size // 4), price)
            for each in sorted({EARLIEST, EARLIER, size}):
                CheckpointFile(FileSide(made.place)).append(signed(store, key, each))
            head = signed(store, key, size)
            analysis.archive(store, made.archive, until=EARLIEST)
            analysis.archive(store, made.archive, until=size)
            write_bundle(store, made.bundle, checkpoint=head, signers=[key], pages={"timeline.html": b"<p>day</p>"})
            write_bundle(store, made.account, checkpoint=head, signers=[key], account="ACC1")
            made.inclusion.write_text(prove(store, PROVED, checkpoint=head).text)
            made.growth.write_text(prove(store, from_size=EARLIEST, checkpoint=head).text)
        return made

    def all(self) -> Sequence[History]:
        return self.log, self.older, self.branch, self.other


def signed(store: EventStore, key: PrivateKey, size: int) -> Checkpoint:
    """Return a checkpoint of a log at a size, signed by a key."""
    made = Checkpoint(key.public.name, size, store.root(size)[1], ("first 1",))
    return made.with_signatures([key.sign(made.body)])


def trade(store: EventStore, orders: range, price: str) -> None:
    """Append the four records of each order: submitted, accepted, filled, marked."""
    clock = store.clock
    assert isinstance(clock, ManualClock)
    for order in orders:
        clock.advance(SECOND)
        account = f"ACC{order % 3}"
        stream = f"order/{account}/O-{order}"
        filled = OrderFilled(
            trade_id=f"T-{order}", symbol="ESZ5", side=Side.BUY, quantity=Decimal(2), price=Decimal(price)
        )
        submitted = OrderSubmitted(symbol="ESZ5", side=Side.BUY, quantity=Decimal(2))
        [first, _] = store.append(stream, [submitted, OrderAccepted(broker_order_id=f"B-{order}")], note=f"n{order}")
        store.append_many(
            [
                Batch(stream, filled, key=f"exec-{order}", causation_id=first.id, correlation_id=first.id),
                Batch(f"mark/{account}/{order}", Marked(name=f"order {order}"), actor="desk"),
            ]
        )
