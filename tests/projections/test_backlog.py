"""Many records appended at once lock what they lock one by one: a drawdown's floor follows the marks of each."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import Batch, Event, EventStore, ManualClock
from eventstore.trading import (
    AccountOpened,
    AccountReopened,
    CashKind,
    CashMoved,
    ContractDefined,
    EquityCorrected,
    LimitsSet,
    LockoutSet,
    Side,
    TradeExecuted,
)
from projections import Book
from projections.risk.limits.marks import EquityMarks
from projections.risk.limits.trailing_drawdown import TrailingDrawdown
from projections.risk.policies import Policies
from tests.projections.policy_scene import START
from tests.proving import rounds

SECOND = 1_000_000_000
ACCOUNT, STREAM = "A", "account/A/-"
Locks = list[tuple[object, object, int]]


def trip(number: int, made: int) -> list[tuple[str, Event]]:
    """Return a round trip that makes so much, as two executions."""
    sides = (Side.BUY, Decimal(100)), (Side.SELL, Decimal(100 + made))
    return [
        (
            f"trade/{ACCOUNT}/{number}{side}",
            TradeExecuted(trade_id=f"{number}{side}", symbol="X", side=side, quantity=Decimal(1), price=price),
        )
        for side, price in sides
    ]


def history(chance: random.Random) -> list[tuple[str, Event]]:
    """Return what happens to an account: results, cash that moves, corrections, and new lives of it."""
    found: list[tuple[str, Event]] = []
    for number in range(40):
        kind = chance.random()
        if kind < 0.84:
            found += trip(number, chance.randint(-60, 60))
        elif kind < 0.92:
            way = chance.choice((CashKind.DEPOSIT, CashKind.WITHDRAWAL, CashKind.PAYOUT))
            found.append((STREAM, CashMoved(amount=Decimal(chance.randint(1, 50)), currency="USD", kind=way)))
        elif kind < 0.96:
            floor = Decimal(chance.randint(700, 950))
            found.append((STREAM, EquityCorrected(reason="wrong", high_water=floor + 100, floor=floor)))
        else:
            found.append((STREAM, AccountReopened(starting_balance=Decimal(1000), reason="reset")))
    return found


def lockouts(store: EventStore) -> Locks:
    """Return each lockout's figure and limit, and how many executions had been recorded before its cause."""
    found: Locks = []
    for record in store.read(types=LockoutSet):
        event, cause = record.event, store.find(record.causation_id or b"")
        assert isinstance(event, LockoutSet)
        assert isinstance(event.details, dict)
        assert cause is not None
        found.append((event.details["figure"], event.details["limit"], cause.occurred_at))
    return found


def judged(directory: Path, events: list[tuple[str, Event]], page: int, unwatched: str = "") -> Locks:
    """Return what locks if so many events are appended at once.

    `unwatched`: before the policies start, with the book "ahead" of them or "behind" as well.
    """
    clock = ManualClock(START)
    with eventstore.open(directory, clock=clock) as store, projections.open(store, snapshots=False) as book:
        book.append("contract/-/X", ContractDefined(symbol="X", multiplier=Decimal(1), currency="USD"))
        book.append(STREAM, AccountOpened(starting_balance=Decimal(1000), currency="USD"))
        drawdown = LimitsSet(rule_id="trailing-drawdown", parameters={"distance": "120", "basis": "realized"})
        book.append(f"limits/{ACCOUNT}/trailing-drawdown", drawdown, actor="desk")
        policies = Policies(book, [TrailingDrawdown(), EquityMarks()]).start(ticking=False)
        policies.tick()
        if unwatched:
            policies.stop()
        for start in range(0, len(events), page):
            batches = []
            for stream, event in events[start : start + page]:
                clock.advance(SECOND)
                batches.append(Batch(stream, event, occurred_at=clock.now_ns(), actor="desk"))
            store.append_many(batches)
            if not unwatched:
                book.refresh()
                policies.tick()
        if unwatched == "ahead":
            book.refresh()
        if unwatched:
            policies.start(ticking=False)
        policies.stop()
        return lockouts(store)


@pytest.mark.untraced
def test_a_backlog_locks_what_its_records_lock_one_by_one(memory_path: Path) -> None:
    """The first of each life: later ones are of an account that is locked already, or of one that is not yet."""
    seen = 0
    for seed in rounds("a backlog of results", test=6, prove=5_000):
        events = history(random.Random(seed))
        one_by_one = judged(memory_path / f"{seed}-one", events, 1)
        for page, unwatched in ((7, ""), (1_000, ""), (1_000, "ahead"), (1_000, "behind")):
            found = judged(memory_path / f"{seed}-{page}-{unwatched}", events, page, unwatched)
            assert found[:1] == one_by_one[:1], f"{page} {unwatched}: {found} instead of {one_by_one}"
        seen += bool(one_by_one)
    assert seen > 5 or seed != 14


def test_nothing_is_folded_while_a_book_holds_other_states(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another thread folded meanwhile would be gone once the book has its own states again."""
    supposing, seen = Book.supposing, [0]

    @contextlib.contextmanager
    def guarded(book: Book, states: Mapping[tuple[str, str], object]) -> Iterator[None]:
        # A book of the past is one thread's own.
        if book._live:
            taken: list[bool] = []
            thread = threading.Thread(target=lambda: taken.append(book._lock.acquire(blocking=False)))
            thread.start()
            thread.join()
            assert taken == [False], "another thread may fold"
            seen[0] += 1
        with supposing(book, states):
            yield

    monkeypatch.setattr(Book, "supposing", guarded)
    for seed in (13, 14):
        events = history(random.Random(seed))
        judged(memory_path / f"{seed}", events, 7)
    assert seen[0] > 20
