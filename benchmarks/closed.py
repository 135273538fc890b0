"""Closed orders: what a book keeps of 100,000 of them, beside the same orders kept alive as plain objects."""

from __future__ import annotations

import gc
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import eventstore
import projections
from benchmarks.rows import Row, compared, row
from benchmarks.timing import ratio
from benchmarks.workload import append_all, lives
from projections.fold import Fold
from projections.reading import tail
from projections.views.order_values import CLOSED
from projections.views.orders import OrdersView, refold

if TYPE_CHECKING:
    from benchmarks.setting import Setting
    from eventstore import EventStore, Record

    Streams = dict[str, list[Record]]

PART_MAX = 0.30
FILLS_MAX = 3
ACCOUNTS = 10
MIB = 1 << 20

BOOK = "the book"
ORDERS = "the orders view alone"
PLAIN = "plain objects in a dict"


def measure(setting: Setting) -> list[Row]:
    orders = setting.scaled(100_000, 500)
    with setting.directory() as directory:
        setting.say(f"closed: writing {orders:,} orders")
        with eventstore.open(directory) as store:
            alive = min(1_000, orders)
            append_all(
                store, lives(random.Random(6), accounts=ACCOUNTS, alive=alive, fills_max=FILLS_MAX, orders=orders)
            )
        # Once: the same records make the same objects.
        figures: dict[str, list[float]] = {}
        for what in (PLAIN, ORDERS, BOOK):
            setting.say(f"closed: {what}")
            figures[what] = [_in_a_process(what, directory) / MIB]
    ours = figures.pop(BOOK)
    return [
        row(
            "closed",
            f"{orders:,} closed orders",
            unit="MiB",
            figures=ours,
            beside=compared(ours, figures),
            target=f"≤ {PART_MAX:.0%} of plain objects",
            met=ratio(ours, figures[PLAIN]) <= PART_MAX,
            note=(
                f"{ACCOUNTS} accounts, each with its last 1,000 closed orders in memory and the others in the log; "
                "a plain one is the view's own struct, without its fills; by tracemalloc, a process for each"
            ),
        )
    ]


def _in_a_process(what: str, directory: Path) -> int:
    command = [sys.executable, "-m", "benchmarks.closed", what, str(directory)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout)


def kept(what: str, directory: Path) -> int:
    """Return how many bytes a book of the log takes, its orders view alone, or its orders as objects of their own."""
    make = {BOOK: _book, ORDERS: _view, PLAIN: _objects}[what]
    with eventstore.open(directory) as store:
        # What the objects are made from is there before, and so it is not counted.
        streams = _streams(store) if what == PLAIN else {}
        tracemalloc.start()
        held = make(store, streams)
        gc.collect()
        size = tracemalloc.get_traced_memory()[0]
        assert held
    return size


def _book(store: EventStore, _: Streams) -> object:
    return projections.open(store, snapshots=False)


def _view(store: EventStore, _: Streams) -> object:
    fold = Fold([OrdersView()])
    for page in tail(store, 0, store.head(), None):
        fold.apply(page)
    return fold


def _objects(_: EventStore, streams: Streams) -> object:
    orders = {stream: order for stream, records in streams.items() for _, order in refold(records)}
    assert all(order.status in CLOSED for order in orders.values())
    return orders


def _streams(store: EventStore) -> Streams:
    streams: Streams = {}
    for record in store.read():
        if record.category == "order":
            streams.setdefault(record.stream, []).append(record)
    return streams


if __name__ == "__main__":
    print(kept(sys.argv[1], Path(sys.argv[2])))
