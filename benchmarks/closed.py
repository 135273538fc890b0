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
from projections.views.orders import OrdersView

if TYPE_CHECKING:
    from benchmarks.setting import Setting
    from eventstore import EventStore

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
    """Return how many bytes a book of the log, or its orders alone as objects, takes."""
    with eventstore.open(directory) as store:
        tracemalloc.start()
        held = projections.open(store, snapshots=False) if what == BOOK else _orders(store, plain=what == PLAIN)
        gc.collect()
        size = tracemalloc.get_traced_memory()[0]
        assert held
    return size


def _orders(store: EventStore, *, plain: bool) -> object:
    """Return the orders view's states, or every order as it would have it in a dict for each account."""
    fold = Fold([OrdersView(closed_max=sys.maxsize) if plain else OrdersView()])
    for page in tail(store, 0, store.head(), None):
        fold.apply(page)
    states = fold.slots[OrdersView.name].states
    return [state.closed for state in states.values()] if plain else states


if __name__ == "__main__":
    print(kept(sys.argv[1], Path(sys.argv[2])))
