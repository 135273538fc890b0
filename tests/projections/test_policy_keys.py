"""Keys and cursors: a decision is appended once, wherever a policy resumes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import pytest
from typing_extensions import override

import projections
from eventstore import (
    Closed,
    Event,
    EventStore,
    InvalidEvent,
    ManualClock,
    OutcomeUnknown,
    Overloaded,
    StorageFull,
    StoreError,
)
from eventstore.journals.memory import MemoryJournal
from eventstore.journals.sqlite import SqliteJournal
from eventstore.trading import LockoutSet, OrderFilled, Side
from projections import Book
from projections.risk.policies import DEPTH_MAX, Decision, Policies, Trigger, TriggerKind
from tests.projections.policy_scene import (
    START,
    FixedDecisions,
    Loss,
    fill,
    locking,
    lockouts,
    lose,
    no_room,
    quote,
    running,
)
from tests.reliability.faults import Disk

pytestmark = pytest.mark.in_each_place(slow=True)

DAY = 86_400_000_000_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


# Keys


def test_a_key_does_not_depend_on_what_else_is_decided() -> None:
    ids = []
    for decisions in ([locking("x"), locking("y")], [locking("y")], [locking("z", key="z"), locking("y")]):
        store = EventStore(MemoryJournal(), clock=ManualClock(START))
        store.append("lockout/A/x", LockoutSet(rule_id="x"))
        policies = running(projections.open(store), FixedDecisions("fixed", *decisions))
        policies.tick()
        ids.append([record.id for record in lockouts(store) if record.entity == "y"])
        assert len(ids[-1]) == 1
    assert ids[0] == ids[1] == ids[2]


def test_several_events_on_one_stream_have_different_keys(store: EventStore, book: Book) -> None:
    store.append("order/A/O", fill(Side.BUY, 100, 1))
    book.refresh()
    running(book, FixedDecisions("fixed", locking("x"), Decision(locking("y").events + locking("x").events)))
    assert [record.entity for record in lockouts(store)] == ["x", "y", "x"]


def test_without_a_trading_day_the_key_has_the_date_in_utc(store: EventStore, book: Book, clock: ManualClock) -> None:
    policies = running(book, FixedDecisions("fixed", locking("x")))
    store.append("order/A/O", fill(Side.BUY, 100, 1))
    book.refresh()
    for day in range(2, 5):
        policies.tick()
        policies.tick()
        # One for the fill, and one for each day.
        assert len(lockouts(store)) == day
        clock.advance(DAY)


def test_a_policy_name_that_is_not_a_file_name_is_rejected(book: Book) -> None:
    with pytest.raises(InvalidEvent, match="policy"):
        Policies(book, [Loss("a/b")])


def test_the_depth_counts_across_restarts(store: EventStore, book: Book) -> None:
    class Echo(Loss):
        types: ClassVar[tuple[type[Event], ...]] = (LockoutSet,)

        @override
        def decide(self, book: Book, trigger: Trigger) -> Iterable[Decision]:
            if trigger.kind is TriggerKind.RECORD and not trigger.record.actor.endswith(self.name):  # type: ignore[union-attr]
                yield locking("other")

    both = [Echo("ping"), Echo("pong")]
    running(book, *both).stop()
    book.append("lockout/A/x", LockoutSet(rule_id="x"), actor="pong")
    for turn in range(2 * DEPTH_MAX):
        policies = running(book, both[turn % 2])
        if policies.stopped:
            break
        policies.stop()
    assert len(lockouts(store)) == 1 + DEPTH_MAX


# Cursors


def test_a_book_of_one_account_does_not_skip_the_records_of_others(store: EventStore, book: Book) -> None:
    running(book, Loss()).stop()
    with projections.open(store, accounts=["A"], snapshots=False) as some:
        policy = Loss()
        policies = running(some, policy)
        sold = lose(store, 10, "B")[-1]
        lose(some, 10, "A")
        policies.stop()
        assert {trigger.account for trigger in policy.triggers} == {"A"}
        lose(store, 20, "B", 2)
        policy.triggers.clear()
        running(some, policy).stop()
        assert {trigger.account for trigger in policy.triggers} <= {"A"}
    book.refresh()
    running(book, Loss())
    assert [record.causation_id for record in lockouts(store) if record.account == "B"] == [sold.id]
    assert len(lockouts(store)) == 2


@pytest.mark.in_directory
def test_a_cut_that_is_newer_than_the_cursor_hides_no_record(store: EventStore, tmp_path: Path) -> None:
    cuts = tmp_path / "cuts.sqlite"
    with projections.open(store, snapshots=cuts) as book:
        running(book, Loss()).stop()
        sold = lose(book, 10)[-1]
        lose(book, -100, number=2)
        assert book.snapshot()
    with projections.open(store, snapshots=cuts) as book:
        assert book.recovery.cut == 4
        running(book, Loss())
        assert [record.causation_id for record in lockouts(store)] == [sold.id]


def test_a_log_in_memory_needs_no_cursors() -> None:
    store = EventStore(MemoryJournal(), clock=ManualClock(START))
    for _ in range(2):
        with Policies(projections.open(store), [Loss()]) as policies:
            assert policies.is_caught_up
            lose(policies.book, 10)
            assert len(lockouts(store)) == 1


def test_no_cursor_passes_a_pending_decision(
    store: EventStore, book: Book, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies = running(book, Loss())

    with monkeypatch.context() as patched:
        patched.setattr(book, "append_many", no_room)
        sold = lose(book, 10)[-1]
        lose(store, -100, number=2)
        clock.advance(DAY)
        policies.tick()
        with pytest.raises(StorageFull):
            policies.stop()
    again = Loss()
    running(book, again)
    assert [trigger.record.position for trigger in again.triggers if trigger.record is not None][:4] == [1, 2, 3, 4]
    assert [record.causation_id for record in lockouts(store)] == [sold.id]


@pytest.mark.parametrize("number", range(1, 7))
def test_after_a_failed_sync_the_next_start_decides(number: int, tmp_path: Path) -> None:
    disk, place = Disk(), tmp_path / "main" / "journal.db"

    def opened() -> EventStore:
        journal = SqliteJournal(place, vfs=disk.name)
        return EventStore(journal, clock=ManualClock(START), directory=place.parent)

    with opened() as store:
        policies = running(projections.open(store), Loss())
        disk.fail("sync", number)
        for points in (10, 20, -30):
            with contextlib.suppress(OutcomeUnknown, Closed):
                lose(policies.book, points, f"A{points}")
        if disk.failed:
            with pytest.raises(Closed):
                policies.tick()
        with contextlib.suppress(StoreError):
            policies.stop()
        disk.heal()
    with opened() as store:
        running(projections.open(store), Loss()).stop()
        sales = [record.id for record in store.read(types=(OrderFilled,)) if record.version == 2]
        assert [record.causation_id for record in lockouts(store)] == sales[:2]


def test_a_decision_replaced_while_it_is_reconsidered_stays_pending(store: EventStore, book: Book) -> None:
    calls: list[int] = []

    class Fickle(Loss):
        def obsolete_if(self, book: Book) -> bool:
            calls.append(1)
            if len(calls) == 1:
                quote(book, 80)
                return True
            return False

        @override
        def decide(self, book: Book, trigger: Trigger) -> Iterable[Decision]:
            if trigger.kind is TriggerKind.QUOTE:
                yield Decision(locking("x").events, self.obsolete_if)

    policies = running(book, Fickle())
    book.append("order/A/O", fill(Side.BUY, 100, 1))
    quote(book, 90)
    assert policies.is_caught_up
    assert (len(calls), len(lockouts(store))) == (2, 1)


def test_after_a_store_failure_a_policy_is_evaluated_again(store: EventStore, book: Book) -> None:
    class Unlucky(Loss):
        luck = 0

        @override
        def decide(self, book: Book, trigger: Trigger) -> Iterable[Decision]:
            if trigger.kind is TriggerKind.RECORD and not self.luck:
                msg = "busy"
                raise Overloaded(msg)
            return super().decide(book, trigger)

    policies = running(book, Unlucky())
    sold = lose(book, 10)[-1]
    assert not lockouts(store)
    policies.tick()
    assert policies.is_caught_up
    assert [record.causation_id for record in lockouts(store)] == [None]
    policies.stop()
    again = Loss()
    running(book, again)
    assert sold.id in {trigger.record.id for trigger in again.triggers if trigger.record is not None}
