"""Past states: one order's, one account's and the whole book's, at random positions of a long log, with cuts."""

from __future__ import annotations

import itertools
import math
import random
from typing import TYPE_CHECKING

import eventstore
import projections
from benchmarks.rows import Row, row
from benchmarks.timing import NS_PER_US, each_ns, percentile, spread
from benchmarks.workload import append_all, lives, order_of
from projections.cuts.own import OWN_EVENTS_MAX
from projections.worker import CutPolicy, Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.setting import Setting
    from eventstore import EventStore
    from projections import Book

ORDER_MS_MAX = 2.0
ACCOUNT_MS_MAX = 50.0
BOOK_MS_MAX = 500.0
UNCUT_HALF_MS_MAX, UNCUT_MS_MAX = 25.0, 50.0
ACCOUNTS = 100
# Orders of this mix have four events each.
FILLS_MAX = 3
FULL = 10_000_000
UNCUT_OWN = 5_000
BUSY = "BUSY"
WORKER_SECONDS = 600.0
NS_PER_MS = NS_PER_US * 1_000


def measure(setting: Setting) -> list[Row]:
    rounds = setting.scaled(5, 2)
    events = setting.scaled(1_000_000, 4_000, FULL)
    with setting.directory() as directory, eventstore.open(directory) as store:
        _build(setting, store, events)
        rng = random.Random(4)
        orders = _some_orders(store, rng, events, setting.scaled(2_000, 20))
        with projections.open(store) as book:
            setting.say("past: one order's")
            order = [each_ns(_order_asker(book, rng, orders, events), setting.scaled(1_000, 20)) for _ in range(rounds)]
        setting.say("past: one account's")
        account = [each_ns(_asker(store, rng, events, _whole), setting.scaled(200, 5)) for _ in range(rounds)]
        first = [each_ns(_asker(store, rng, events, _holdings), setting.scaled(200, 5)) for _ in range(rounds)]
        setting.say("past: the whole book's")
        book_of_all = [each_ns(_book_asker(store, rng, events), setting.scaled(20, 2)) for _ in range(rounds)]
        every = [each_ns(_every_asker(store, rng, events), setting.scaled(10, 2)) for _ in range(rounds)]
        setting.say("past: one account's without a cut")
        (directory / "main" / "snapshots.sqlite").unlink()
        own = min(UNCUT_OWN * ACCOUNTS, events)
        uncut = [each_ns(_uncut_asker(store, rng, own), setting.scaled(50, 3)) for _ in range(rounds)]
    scale = f"{events:,} events, {ACCOUNTS} accounts, {events // 4:,} orders"
    if events != FULL and not setting.quick:
        scale += f"; the target is for {FULL:,} events: --full"
    rows = [
        _row("past-order", "one order's past, p99", order, ORDER_MS_MAX, f"{scale}; its stream read and folded"),
        _row(
            "past-account",
            "one account's past, p99",
            account,
            ACCOUNT_MS_MAX,
            f"{scale}; as_of at a random position, every state asked for, a cut every {_cut_every(events):,} events",
        ),
        _row("past-holdings", "one account's past positions, p99", first, ACCOUNT_MS_MAX, f"{scale}; the same"),
        _row(
            "past-book",
            "the whole book's past, p99",
            book_of_all,
            BOOK_MS_MAX,
            f"{scale}; as_of at a random position, one account's positions, working orders and lockouts asked for",
        ),
        _row(
            "past-book-every",
            "the whole book's past, every account asked, p99",
            every,
            BOOK_MS_MAX,
            f"{scale}; the same of all accounts: up to {_cut_every(events):,} events are folded",
        ),
        _row(
            "past-uncut",
            "one account's past without a cut, p99",
            uncut,
            UNCUT_MS_MAX,
            f"{own // ACCOUNTS:,} events of the account, its positions asked for; p50 ≤ {UNCUT_HALF_MS_MAX:g} ms",
            half_most=UNCUT_HALF_MS_MAX,
        ),
    ]
    return [*rows, _busy(setting, rng, rounds)]


def _busy(setting: Setting, rng: random.Random, rounds: int) -> Row:
    events = setting.scaled(400_000, 4_000)
    with setting.directory() as directory, eventstore.open(directory) as store:
        _build_busy(setting, store, events)
        setting.say("past: a busy account's")
        busy = [each_ns(_asker(store, rng, events, _holdings, BUSY), setting.scaled(50, 3)) for _ in range(rounds)]
    return _row(
        "past-busy",
        "the past positions of an account with half of all events, p99",
        busy,
        ACCOUNT_MS_MAX,
        f"{events:,} events, folded by a worker, which cuts it every {OWN_EVENTS_MAX:,} of its own at most",
    )


def _row(name: str, what: str, taken: list[list[int]], most: float, note: str, *, half_most: float = math.inf) -> Row:
    figures = [percentile(times, 0.99) / NS_PER_MS for times in taken]
    half = spread([percentile(times, 0.5) / NS_PER_MS for times in taken]).median
    met = spread(figures).median <= most and half <= half_most
    note = f"p50 {half:.2f} ms; {note}"
    return row(name, what, unit="ms", figures=figures, target=f"≤ {most:g} ms", met=met, note=note)


def _cut_every(events: int) -> int:
    return min(CutPolicy().events, events // 10)


def _build(setting: Setting, store: EventStore, events: int) -> None:
    lived = lives(random.Random(5), accounts=ACCOUNTS, alive=setting.scaled(2_000, 20), fills_max=FILLS_MAX)
    with projections.open(store) as book:
        while store.head() < events:
            append_all(store, itertools.islice(lived, _cut_every(events)))
            book.refresh()
            book.snapshot()
            setting.say(f"past: {store.head():,} of {events:,} events written, folded and cut")


def _build_busy(setting: Setting, store: EventStore, events: int) -> None:
    """Write a log in which one account has as many events as all others, and let a worker fold it."""
    alone = lives(random.Random(7), accounts=1, alive=setting.scaled(200, 20), fills_max=FILLS_MAX)
    busy = ((stream.replace(_account(0), BUSY), event) for stream, event in alone)
    others = lives(random.Random(5), accounts=ACCOUNTS, alive=setting.scaled(2_000, 20), fills_max=FILLS_MAX)
    both = itertools.chain.from_iterable(zip(busy, others, strict=True))
    with projections.open(store) as book, Worker(store, book) as worker:
        append_all(store, itertools.islice(both, events))
        assert worker.wait(events, WORKER_SECONDS)


def _some_orders(store: EventStore, rng: random.Random, events: int, count: int) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    while len(found) < count:
        records = store.read(after=rng.randrange(events), limit=1)
        found += [(record.account, order_of(record.stream)) for record in records if record.category == "order"]
    return found


def _order_asker(book: Book, rng: random.Random, orders: list[tuple[str, str]], events: int) -> Callable[[], object]:
    def ask() -> object:
        account, order_id = rng.choice(orders)
        until, found = rng.randrange(events), None
        for record, order in book.orders.history(account, order_id):
            if record.position > until:
                break
            found = order
        return found

    return ask


def _asker(
    store: EventStore, rng: random.Random, events: int, ask: Callable[[Book, str], object], name: str = ""
) -> Callable[[], object]:
    def asked() -> object:
        account = name or _some_account(rng)
        return ask(projections.as_of(store, position=rng.randrange(1, events), account=account), account)

    return asked


def _book_asker(store: EventStore, rng: random.Random, events: int) -> Callable[[], object]:
    def asked() -> object:
        past = projections.as_of(store, position=rng.randrange(1, events))
        return _now(store, past, _some_account(rng))

    return asked


def _every_asker(store: EventStore, rng: random.Random, events: int) -> Callable[[], object]:
    def asked() -> object:
        past = projections.as_of(store, position=rng.randrange(1, events))
        return [_now(store, past, _account(number)) for number in range(ACCOUNTS)]

    return asked


def _now(store: EventStore, past: Book, account: str) -> object:
    lockouts = past.lockouts.active(account, store.clock.now_ns())
    return past.positions.of(account), past.orders.open(account), lockouts


def _uncut_asker(store: EventStore, rng: random.Random, position: int) -> Callable[[], object]:
    def asked() -> object:
        account = _some_account(rng)
        return _holdings(projections.as_of(store, position=position, account=account), account)

    return asked


def _some_account(rng: random.Random) -> str:
    return _account(rng.randrange(ACCOUNTS))


def _account(number: int) -> str:
    return f"ACC{number:03}"


def _holdings(past: Book, account: str) -> object:
    return past.positions.of(account)


def _whole(past: Book, account: str) -> object:
    """Ask a book for the state of each of its views: what was not asked for was not folded."""
    assert past.covers(account)
    return [past.state(view, partition) for view in past.view_names for partition in past.partitions(view)]
