"""Closed orders: 100,000 of them, a third in memory, looked up and stored, against plain objects."""

from __future__ import annotations

import gc
import random
import subprocess
import sys
import tracemalloc
from bisect import bisect
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import msgspec

import eventstore
import projections
from benchmarks.rows import Row, compared, row
from benchmarks.timing import NS_PER_US, each_ns, percentile, ratio, seconds, spread
from benchmarks.workload import append_all, lives
from projections import Book
from projections.fold import Fold
from projections.reading import tail
from projections.tiers import TierSettings
from projections.views.executions.view import ExecutionsView
from projections.views.orders.joining import fold_order
from projections.views.orders.order import CLOSED
from projections.views.orders.view import CLOSED_MAX, Orders, OrdersView, tiers_of

if TYPE_CHECKING:
    from benchmarks.setting import Setting
    from eventstore import Event, EventStore, Record

    Streams = dict[str, list[Record]]
    Name = tuple[str, str]

PART_MAX = 0.30
P99_US_MAX = 1_000.0
HITS_MIN = 89.0
SECONDS_MAX = 1.0
SKEW = 1.1
FILLS_MAX = 3
ACCOUNTS = 10
DECODED = 250
FEW = 1_600
"""Few enough for a quick trial run, and enough that not all orders are live."""
MIB = 1 << 20

TIERED = "the orders view and its tiers"
LIVE = "the view without tiers: a tenth in memory"
BOOK = "a book with all its views"
PLAIN = "plain objects in a dict"
BEST = "the best third by popularity"


class TierFigures(msgspec.Struct):
    """Lookup times by tier (ns), hit rates (percent), and the time of a restart (seconds)."""

    decoded: list[int]
    compressed: list[int]
    log: list[int]
    recent: float
    shuffled: float
    restart: float


def measure(setting: Setting) -> list[Row]:
    orders, lookups = setting.scaled(100_000, FEW), setting.scaled(1_000_000, 2_000)
    accounts = setting.scaled(ACCOUNTS, 1)
    with setting.directory() as directory:
        setting.say(f"tiers: writing {orders:,} orders")
        with eventstore.open(directory) as store:
            alive = min(1_000, orders)
            append_all(
                store, lives(random.Random(6), accounts=accounts, alive=alive, fills_max=FILLS_MAX, orders=orders)
            )
        # Once: the same records make the same objects.
        figures: dict[str, list[float]] = {}
        for what in (PLAIN, LIVE, BOOK, TIERED):
            setting.say(f"tiers: {what}")
            figures[what] = [_in_a_process(what, directory) / MIB]
        setting.say(f"tiers: {lookups:,} lookups, twice")
        with eventstore.open(directory) as store:
            found = _looked_up(store, orders, lookups)
    return [_memory(orders, figures), *_rows(orders, lookups, found)]


def _memory(orders: int, figures: dict[str, list[float]]) -> Row:
    ours = figures.pop(TIERED)
    return row(
        "tiers-memory",
        f"{orders:,} closed orders",
        unit="MiB",
        figures=ours,
        beside=compared(ours, figures),
        target=f"≤ {PART_MAX:.0%} of plain objects",
        met=ratio(ours, figures[PLAIN]) <= PART_MAX,
        note=(
            f"{ACCOUNTS} accounts; a third of the orders in memory: each account's last {CLOSED_MAX:,} in the view, "
            f"{DECODED:,} decoded, the others compressed, the rest in the log; other views' states, mostly fills, are "
            "in the book's figure only; a plain object is the view's own struct without its fills; measured by "
            "tracemalloc in a process for each"
        ),
    )


def _rows(orders: int, lookups: int, found: TierFigures) -> list[Row]:
    rows = [
        row(
            f"tiers-{name}",
            f"a closed order, {where}, p99",
            unit="µs",
            figures=[percentile(taken, 0.99) / NS_PER_US],
            target=f"≤ {P99_US_MAX:,.0f} µs",
            met=percentile(taken, 0.99) / NS_PER_US <= P99_US_MAX,
            note=f"{len(taken):,} orders, each looked up once",
        )
        for name, where, taken in (
            ("decoded", "decoded", found.decoded),
            ("compressed", "compressed", found.compressed),
            ("log", "in the log only", found.log),
        )
    ]
    best = {BEST: [_best(orders)]}
    for name, what, hits in (
        ("recent", "newer orders looked up more often", found.recent),
        ("shuffled", "age and popularity unrelated", found.shuffled),
    ):
        rows.append(
            row(
                f"tiers-hits-{name}",
                f"in memory, {what}",
                unit="%",
                figures=[hits],
                beside=compared([hits], best),
                target=f"> {HITS_MIN:g} %",
                met=hits > HITS_MIN,
                note=f"{lookups:,} lookups, Zipf({SKEW}) over {orders:,} closed orders, a third of them in memory",
            )
        )
    rows.append(
        row(
            "tiers-restart",
            "the same book again, from snapshots",
            unit="s",
            figures=[found.restart],
            target=f"≤ {SECONDS_MAX:g} s",
            met=spread([found.restart]).median <= SECONDS_MAX,
            note=f"{orders:,} orders; the journal is open already",
        )
    )
    return rows


def _tiers(orders: int) -> TierSettings:
    """Return settings that keep a third of the orders in memory, including those in the view's state."""
    if orders <= FEW:
        return TierSettings(decoded_max=50, compressed_max=300, block_orders=8)
    # An account keeps its last thousand orders, and up to an eighth more before the oldest are evicted together.
    at_once = CLOSED_MAX // 8 + 1
    live = ACCOUNTS * (CLOSED_MAX + (orders // ACCOUNTS - CLOSED_MAX) % at_once)
    return TierSettings(decoded_max=DECODED, compressed_max=orders // 3 - live - DECODED)


def _looked_up(store: EventStore, orders: int, lookups: int) -> TierFigures:
    settings = _tiers(orders)

    def opened(snapshots: Literal[False] | None) -> Book:
        return projections.open(store, snapshots=snapshots, tiers=settings)

    names = _oldest_first(store)[::-1]
    rates = []
    for ranked in (names, random.Random(7).sample(names, len(names))):
        with opened(snapshots=False) as book:
            rates.append(_hits(book, ranked, lookups))
    with opened(snapshots=False) as book:
        held = book.orders.tiers.orders
        gone = [name for name in names if name[1] not in book.state(OrdersView.name, name[0]).closed]
        # Accounts evict in turn, many orders at once, so the boundary of what is in memory is not sharp.
        first = settings.decoded_max + settings.block_orders
        inside, outside = gone[first : held - held // 8], gone[held + held // 8 :]
        compressed = _timed(book, inside, "compressed")
        decoded = _timed(book, inside[-(settings.decoded_max // 2) :], "decoded")
        log = _timed(book, random.Random(8).sample(outside, min(10_000, len(outside))), "log")
    with opened(snapshots=None) as book:
        book.snapshot()
    again = seconds(lambda: opened(snapshots=None).freeze())
    return TierFigures(decoded, compressed, log, rates[0], rates[1], again)


def _oldest_first(store: EventStore) -> list[Name]:
    """Return all orders in the order of their last records: the first that closed comes first."""
    last: dict[Name, None] = {}
    for record in store.read(stream="order/"):
        name = record.account, record.entity
        last.pop(name, None)
        last[name] = None
    return list(last)


def _hits(book: Book, ranked: list[Name], lookups: int) -> float:
    weights = list(accumulate(rank**-SKEW for rank in range(1, len(ranked) + 1)))
    rng, get = random.Random(17), book.orders.get
    for _ in range(lookups):
        assert get(*ranked[bisect(weights, rng.random() * weights[-1])]) is not None
    stats = book.orders.tiers
    live = sum(len(book.state(OrdersView.name, account).closed) for account in book.partitions(OrdersView.name))
    assert len(ranked) <= FEW or live + stats.orders <= len(ranked) // 3
    assert stats.live + stats.decoded + stats.compressed + stats.log == lookups
    return 100 * stats.hit_rate


def _best(orders: int) -> float:
    weights: list[float] = [rank**-SKEW for rank in range(1, orders + 1)]
    return 100.0 * sum(weights[: orders // 3]) / sum(weights)


def _timed(book: Book, names: list[Name], tier: str) -> list[int]:
    """Look up each order once and return what each took; nearly all must be found in the given tier."""
    before, name = book.orders.tiers, iter(names)
    taken = each_ns(lambda: book.orders.get(*next(name)), len(names))
    there = getattr(book.orders.tiers, tier) - getattr(before, tier)
    assert there >= 0.95 * len(names), f"only {there} of {len(names)} were {tier}"
    return taken


def _in_a_process(what: str, directory: Path) -> int:
    command = [sys.executable, "-m", "benchmarks.tiers", what, str(directory)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout)


def memory_bytes(what: str, directory: Path) -> int:
    """Return the memory of a book of the log, of its orders alone, or of plain objects, in bytes."""
    make = {BOOK: _book, TIERED: _tiered, LIVE: _view, PLAIN: _objects}[what]
    with eventstore.open(directory) as store:
        # The records that plain objects are made from exist before, and so are not counted.
        streams = _streams(store) if what == PLAIN else {}
        names = _oldest_first(store) if what in {BOOK, TIERED} else []
        tracemalloc.start()
        held = make(store, streams, names)
        gc.collect()
        size = tracemalloc.get_traced_memory()[0]
        assert held
    return size


def _book(store: EventStore, _: Streams, names: list[Name]) -> object:
    settings = _tiers(len(names))
    return _asked(projections.open(store, snapshots=False, tiers=settings), names, settings)


class NoExecutions(ExecutionsView):
    """Folds nothing: orders ask this view what other streams say of them, and only their memory is measured."""

    types: ClassVar[tuple[type[Event], ...] | None] = ()
    broadcast: ClassVar[tuple[type[Event], ...]] = ()


def _tiered(store: EventStore, _: Streams, names: list[Name]) -> object:
    settings = _tiers(len(names))
    held = tiers_of(settings)
    book = Book(store, Fold(), live=False)
    book.orders = Orders(book, held)
    book.load([OrdersView(tiers=held), NoExecutions()], store.head())
    return _asked(book, names, settings)


def _asked(book: Book, names: list[Name], settings: TierSettings) -> Book:
    """Fill the decoded tier."""
    for name in names[: settings.decoded_max]:
        book.orders.get(*name)
    return book


def _view(store: EventStore, _: Streams, _names: list[Name]) -> object:
    fold = Fold([OrdersView()])
    for page in tail(store, 0, store.head(), None):
        fold.apply(page)
    return fold


def _objects(_: EventStore, streams: Streams, _names: list[Name]) -> object:
    orders = {stream: order for stream, records in streams.items() for _, order in fold_order(records)}
    assert all(order.status in CLOSED for order in orders.values())
    return orders


def _streams(store: EventStore) -> Streams:
    streams: Streams = {}
    for record in store.read():
        if record.category == "order":
            streams.setdefault(record.stream, []).append(record)
    return streams


if __name__ == "__main__":
    print(memory_bytes(sys.argv[1], Path(sys.argv[2])))
