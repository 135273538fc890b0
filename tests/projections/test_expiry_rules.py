"""Lockouts expire once, at their end; a change of the wall clock is recorded and ends none."""

from __future__ import annotations

import time

import pytest

import eventstore
import projections
from eventstore import EventStore, ManualClock, SystemClock
from eventstore.trading import (
    Allows,
    ClockJumped,
    LockoutCleared,
    LockoutExpired,
    LockoutExtended,
    LockoutSet,
)
from projections import Book
from projections.risk.limits.schedule import LockoutExpiry
from projections.risk.policies import Policies
from projections.view import PartitionParked
from tests.places import Place
from tests.projections.clockwork import DAY, HOUR, MINUTE, NOON, SECOND, STREAM, expired, locked, recorded
from tests.projections.policy_scene import running

pytestmark = pytest.mark.in_each_place(slow=True)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


# Lockouts


def test_a_lockout_expires_at_the_first_tick_at_its_end(store: EventStore, book: Book, clock: ManualClock) -> None:
    [locking] = book.append(STREAM, LockoutSet(rule_id="loss", until=NOON + MINUTE))
    policies = running(book, LockoutExpiry())
    clock.advance(MINUTE - 1)
    policies.tick()
    assert expired(store) == []
    clock.advance(1)
    policies.tick()
    policies.tick()
    [record] = store.read(types=(LockoutExpired,))
    assert (record.stream, record.event) == (STREAM, LockoutExpired(rule_id="loss", scope="account"))
    assert record.occurred_at == NOON + MINUTE
    [lockout] = book.lockouts.history("A")
    assert (lockout.ended_by, lockout.ended_at, lockout.cause) == ("expired", NOON + MINUTE, locking.id)
    assert policies.is_caught_up


def test_its_own_thread_expires_a_lockout(place: Place) -> None:
    with eventstore.open(place) as store, projections.open(store) as book:
        until = store.clock.now_ns() + SECOND // 2
        book.append(STREAM, LockoutSet(rule_id="loss", until=until))
        with Policies(book, [LockoutExpiry()]):
            assert store.wait(1, timeout=30)
        [record] = store.read(types=(LockoutExpired,))
        assert record.occurred_at >= until


def test_a_lockout_that_ended_while_no_process_ran_expires_at_the_start(
    store: EventStore, book: Book, clock: ManualClock
) -> None:
    book.append(STREAM, LockoutSet(rule_id="loss", until=NOON + MINUTE))
    book.append("lockout/A/news", LockoutSet(rule_id="news", until=NOON + DAY))
    clock.advance(HOUR)
    running(book, LockoutExpiry())
    assert expired(store) == [LockoutExpired(rule_id="loss", scope="account")]
    assert [lockout.rule_id for lockout in book.lockouts.active("A", NOON)] == ["news"]


def test_each_scope_expires_in_the_stream_that_set_it(store: EventStore, book: Book, clock: ManualClock) -> None:
    book.append("lockout/A/by-hand", LockoutSet(rule_id="loss", scope="symbol:ES", until=NOON + 1))
    book.append(STREAM, LockoutSet(rule_id="loss", scope="root:NQ", until=NOON + 2))
    book.append(STREAM, LockoutSet(rule_id="loss", until=NOON + MINUTE))
    clock.advance(SECOND)
    running(book, LockoutExpiry())
    ended = [(record.stream, record.event) for record in store.read(types=(LockoutExpired,))]
    assert ended == [
        ("lockout/A/by-hand", LockoutExpired(rule_id="loss", scope="symbol:ES")),
        (STREAM, LockoutExpired(rule_id="loss", scope="root:NQ")),
    ]
    assert not book.lockouts.anomalies("A")


def test_two_processes_expire_a_lockout_once(store: EventStore, book: Book, clock: ManualClock) -> None:
    with projections.open(store, snapshots=False) as other:
        both = [running(each, LockoutExpiry()) for each in (book, other)]
        book.append(STREAM, LockoutSet(rule_id="loss", until=NOON + 1))
        clock.advance(SECOND)
        for policies in (*both, *both):
            policies.tick()
        assert len(expired(store)) == 1
        assert all(policies.is_caught_up for policies in both)


def test_a_lockout_extended_after_its_end_expires_again(store: EventStore, book: Book, clock: ManualClock) -> None:
    policies = running(book, LockoutExpiry())
    book.append(STREAM, LockoutSet(rule_id="loss", until=NOON + 1))
    clock.advance(SECOND)
    book.append(STREAM, LockoutExtended(until=NOON + MINUTE))
    policies.tick()
    assert expired(store) == []
    clock.advance(MINUTE)
    policies.tick()
    assert len(expired(store)) == 1
    assert [lockout.ended_at for lockout in book.lockouts.history("A")] == [NOON + 1, NOON + MINUTE]


def test_a_tick_ahead_of_the_clock_expires_nothing(store: EventStore, book: Book) -> None:
    book.append(STREAM, LockoutSet(rule_id="loss", until=NOON + MINUTE))
    running(book, LockoutExpiry()).tick(NOON + HOUR)
    assert expired(store) == []


def test_an_account_with_a_failed_view_does_not_keep_others_from_expiring(
    store: EventStore, book: Book, clock: ManualClock
) -> None:
    for account in "AB":
        book.append(f"lockout/{account}/loss", LockoutSet(rule_id="loss", until=NOON + 1))
    clock.advance(SECOND)
    book._fold.slots["lockouts"].parked["A"] = PartitionParked("lockouts", "A", 1, LookupError("broken"))
    policies = running(book, LockoutExpiry())
    assert [record.account for record in store.read(types=(LockoutExpired,))] == ["B"]
    assert policies.is_caught_up


# Changes of the wall clock


def test_a_clock_set_ahead_ends_no_lockout(store: EventStore, book: Book, clock: ManualClock) -> None:
    policies = running(book, LockoutExpiry())
    book.append(STREAM, LockoutSet(rule_id="loss", until=NOON + HOUR, revocable=False))
    clock.set(NOON + DAY)
    policies.tick()
    policies.tick()
    [jump] = store.read(types=(ClockJumped,))
    assert (jump.stream, jump.event) == ("lockout/A/clock", ClockJumped(before=NOON, after=NOON + DAY))
    assert expired(store) == []
    assert locked(book)
    clock.advance(HOUR - 1)
    policies.tick()
    assert locked(book)
    clock.advance(1)
    assert not locked(book)
    policies.tick()
    assert len(expired(store)) == 1


def test_a_clock_set_to_just_before_the_end_does_not_shorten_a_lockout(
    store: EventStore, book: Book, clock: ManualClock
) -> None:
    policies = running(book, LockoutExpiry())
    book.append(STREAM, LockoutSet(rule_id="loss", until=NOON + HOUR, revocable=False))
    clock.set(NOON + HOUR - MINUTE)
    policies.tick()
    clock.advance(2 * MINUTE)
    policies.tick()
    assert locked(book)
    assert expired(store) == []


def test_small_steps_add_up_to_a_jump(store: EventStore, book: Book, clock: ManualClock) -> None:
    policies = running(book, LockoutExpiry())
    book.append(STREAM, LockoutSet(rule_id="loss", until=NOON + MINUTE, revocable=False))
    for _ in range(40):
        clock.set(clock.now_ns() + 4 * SECOND)
        policies.tick()
    assert locked(book)
    assert expired(store) == []


def test_a_corrected_clock_leaves_the_original_end(store: EventStore, book: Book, clock: ManualClock) -> None:
    policies = running(book, LockoutExpiry())
    book.append(STREAM, LockoutSet(rule_id="loss", until=NOON + HOUR, revocable=False))
    clock.set(NOON + DAY)
    policies.tick()
    clock.set(NOON)
    policies.tick()
    assert len(recorded(store, ClockJumped)) == 2
    assert locked(book, NOON + HOUR - 1)
    assert not locked(book, NOON + HOUR)


def test_a_lockout_ended_by_a_changed_clock_is_in_force_again(
    store: EventStore, book: Book, clock: ManualClock
) -> None:
    policies = running(book, LockoutExpiry())
    book.append(STREAM, LockoutSet(rule_id="loss", until=NOON + HOUR, revocable=False))
    clock.set(NOON + DAY)
    book.append(STREAM, LockoutCleared(by="somebody"))
    assert not locked(book)
    policies.tick()
    [lockout] = book.lockouts.active("A", book.now_ns())
    assert (lockout.ends_at, lockout.ended_by) == (NOON + DAY + HOUR, None)
    assert lockout.remaining(book.now_ns()) == HOUR
    clock.advance(HOUR)
    policies.tick()
    assert not locked(book)
    assert book.lockouts.history("A")[0].ended_by == "expired"


def test_a_lockout_set_after_the_clock_change_ends_by_the_new_clock(
    store: EventStore, book: Book, clock: ManualClock
) -> None:
    policies = running(book, LockoutExpiry())
    clock.set(NOON + DAY)
    policies.tick()
    book.append(STREAM, LockoutSet(rule_id="loss", until=NOON + DAY + MINUTE, revocable=False))
    policies.tick()
    clock.advance(MINUTE)
    policies.tick()
    assert len(expired(store)) == 1
    assert recorded(store, ClockJumped) == []


def test_a_step_by_a_time_server_is_not_a_jump(store: EventStore, book: Book, clock: ManualClock) -> None:
    policies = running(book, LockoutExpiry())
    book.append(STREAM, LockoutSet(rule_id="loss", until=NOON + MINUTE))
    clock.set(NOON + 2 * SECOND)
    policies.tick()
    assert recorded(store, ClockJumped) == []


def test_a_lockout_set_again_while_the_clock_is_ahead_only_gets_stricter(
    store: EventStore, book: Book, clock: ManualClock
) -> None:
    policies = running(book, LockoutExpiry())
    weak = LockoutSet(rule_id="loss", until=NOON + HOUR, revocable=False, allows=Allows.REDUCE_ONLY)
    book.append(STREAM, weak)
    clock.set(NOON + DAY)
    book.append(STREAM, LockoutSet(rule_id="loss", until=NOON + DAY + 2 * HOUR, allows=Allows.NOTHING))
    policies.tick()
    [lockout] = book.lockouts.active("A", book.now_ns())
    assert (lockout.until, lockout.allows, lockout.revocable) == (NOON + DAY + 2 * HOUR, Allows.NOTHING, False)


def test_a_lockout_ended_by_a_process_unaware_of_the_jump_expires_again(
    store: EventStore, book: Book, clock: ManualClock
) -> None:
    policies = running(book, LockoutExpiry())
    book.append(STREAM, LockoutSet(rule_id="loss", until=NOON + HOUR, revocable=False))
    clock.set(NOON + DAY)
    with projections.open(store, snapshots=False) as other:
        running(other, LockoutExpiry())
    assert len(expired(store)) == 1
    policies.tick()
    assert locked(book)
    clock.advance(HOUR)
    policies.tick()
    assert len(expired(store)) == 2
    assert book.lockouts.history("A")[0].ended_at == NOON + DAY + HOUR


@pytest.mark.parametrize("seen", [True, False])
def test_a_clock_set_back_after_the_end_and_corrected_does_not_lock_again(
    store: EventStore, book: Book, clock: ManualClock, seen: bool
) -> None:
    policies = running(book, LockoutExpiry())
    book.append(STREAM, LockoutSet(rule_id="loss", until=NOON + HOUR, revocable=False))
    clock.advance(2 * HOUR)
    if seen:
        policies.tick()
    clock.set(NOON)
    policies.tick()
    assert locked(book)
    clock.set(NOON + 2 * HOUR)
    policies.tick()
    assert not locked(book)
    policies.tick()
    assert len(expired(store)) == 1


def test_two_processes_record_a_jump_once(store: EventStore, book: Book, clock: ManualClock) -> None:
    with projections.open(store, snapshots=False) as other:
        both = [running(each, LockoutExpiry()) for each in (book, other)]
        book.append(STREAM, LockoutSet(rule_id="loss", until=NOON + HOUR))
        both[1].tick()
        clock.set(NOON + DAY)
        both[0].tick()
        clock.advance(SECOND // 4)
        both[1].tick()
        assert len(recorded(store, ClockJumped)) == 1
        other.refresh()
        assert other.lockouts.active("A", NOON + DAY) == book.lockouts.active("A", NOON + DAY)


def test_a_suspended_machine_is_not_a_clock_change() -> None:
    kind = getattr(time, "CLOCK_BOOTTIME", None)
    before = SystemClock.monotonic_ns()
    between = time.monotonic_ns() if kind is None else time.clock_gettime_ns(kind)
    assert before <= between <= SystemClock.monotonic_ns()


def test_the_policies_own_thread_expires_a_lockout_at_its_end(place: Place) -> None:
    with (
        eventstore.open(place) as store,
        projections.open(store) as book,
        Policies(book, [LockoutExpiry()]),
    ):
        until = store.clock.now_ns() + SECOND // 2
        book.append(STREAM, LockoutSet(rule_id="loss", until=until))
        assert store.wait(1, timeout=60)
        [record] = store.read(types=(LockoutExpired,))
    assert record.recorded_at >= until
