"""PolicyStopped and PolicyResumed: a policy that fails is recorded once, in every book, until it runs again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import pytest
from typing_extensions import override

import projections
from eventstore import DuplicateEvent, Event, EventStore, InvalidEvent, ManualClock, Record
from eventstore.clock import NANOSECONDS
from eventstore.trading import ContractDefined, LockoutSet, PolicyResumed, PolicyStopped, Side
from projections import Book
from projections.risk.policies import Decision, LeasedPolicy, Policies, PolicyFailure, Trigger, TriggerKind
from projections.risk.policies.liveness import why_unjudged
from projections.views.executions.view import ExecutionsView
from tests.projections.policy_scene import (
    START,
    Loss,
    fail,
    fill,
    lockouts,
    lose,
    no_room,
    running,
)

pytestmark = pytest.mark.in_each_place(slow=True)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


class Fragile(Loss):
    """Fails for one account, or for none."""

    timed: ClassVar[bool] = True

    def __init__(self, fails_for: str | None = "A", name: str = "loss", error: Exception | None = None) -> None:
        super().__init__(name)
        self.fails_for, self.error = fails_for, error or LookupError("broken")

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterable[Decision]:
        if trigger.account == self.fails_for:
            raise self.error
        return super().decide(book, trigger)


def reports(store: EventStore) -> list[tuple[str, str]]:
    return [(record.type, record.stream) for record in store.read(types=(PolicyStopped, PolicyResumed))]


def end(policies: Policies) -> None:
    with pytest.raises(PolicyFailure):
        policies.stop()


STOPPED, RESUMED = ("PolicyStopped", "policy/A/loss"), ("PolicyResumed", "policy/A/loss")


# Stopped


def test_a_failure_is_recorded_with_the_record_that_caused_it(store: EventStore, book: Book) -> None:
    running(book, Fragile())
    book.append("order/A/O", fill(Side.BUY, 100, 1))
    assert reports(store) == [STOPPED]
    [stopped] = book.policies.stopped("A")
    assert (stopped.policy, stopped.account, stopped.why) == ("loss", "A", "at position 1: LookupError: broken")
    assert (stopped.stopped_at, stopped.position) == (next(store.read(after=1)).recorded_at, 2)
    assert not book.policies.stopped("B")
    [record] = store.read(types=(PolicyStopped,))
    assert record.actor == "policy:loss"


def test_it_is_recorded_once_however_often_the_process_restarts(store: EventStore, book: Book) -> None:
    for number in range(5):
        policies = running(book, Fragile())
        book.append("order/A/O", fill(Side.BUY, 100, number))
        policies.tick()
        end(policies)
    assert reports(store) == [STOPPED]


def test_each_account_and_policy_stops_for_itself(store: EventStore, book: Book) -> None:
    policies = running(book, Fragile("A"), Fragile("B", "other"))
    for account in "AB":
        book.append(f"order/{account}/O", fill(Side.BUY, 100, 1))
    policies.tick()
    assert sorted(reports(store)) == [STOPPED, ("PolicyStopped", "policy/B/other")]


def test_one_that_fails_for_what_belongs_to_no_account_stops_for_all(store: EventStore, book: Book) -> None:
    class OnContracts(Fragile):
        types: ClassVar[tuple[type[Event], ...]] = (ContractDefined,)

    running(book, OnContracts("-"))
    book.append("contract/-/ES", ContractDefined(symbol="ES"))
    assert reports(store) == [("PolicyStopped", "policy/-/loss")]
    [stopped] = book.policies.stopped("anyone")
    assert "policy loss has stopped for all accounts" in stopped.sentence


@pytest.mark.parametrize("failing", [no_room, fail])
def test_what_cannot_be_recorded_raises_nothing_and_is_recorded_at_a_tick(
    failing: Callable[..., Any], store: EventStore, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies = running(book, Fragile())
    store.append("order/A/O", fill(Side.BUY, 100, 1))
    with monkeypatch.context() as patched:
        patched.setattr(book, "append", failing)
        book.refresh()
        policies.tick()
        assert policies.error is None
    assert not reports(store)
    policies.tick()
    policies.tick()
    assert reports(store) == [STOPPED]


class Unspeakable(Exception):
    @override
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize("error", [Unspeakable(), ValueError("\0\ud800" + "x" * 100_000)])
def test_any_error_can_be_recorded(store: EventStore, book: Book, error: Exception) -> None:
    running(book, Fragile(error=error))
    book.append("order/A/O", fill(Side.BUY, 100, 1))
    assert reports(store) == [STOPPED]
    assert 10 < len(book.policies.stopped("A")[0].why) <= 500


def test_a_policy_that_fails_at_the_stops_of_policies_ends_there(store: EventStore, book: Book) -> None:
    class OnStops(Fragile):
        types: ClassVar[tuple[type[Event], ...]] = (PolicyStopped,)

    policies = running(book, Fragile(), OnStops(name="watch"))
    book.append("order/A/O", fill(Side.BUY, 100, 1))
    policies.tick()
    assert reports(store) == [STOPPED, ("PolicyStopped", "policy/A/watch")]


# Judged again


def test_a_restart_that_passes_the_record_resumes_it_once(store: EventStore, book: Book) -> None:
    failing = running(book, Fragile())
    lose(book, 10)
    end(failing)
    assert not lockouts(store)
    for _ in range(3):
        policies = running(book, Fragile(None))
        policies.tick()
        policies.stop()
    assert [record.type for record in store.read(after=2)] == ["PolicyStopped", "LockoutSet", "PolicyResumed"]
    assert not book.policies.stopped("A")


def test_a_recovered_account_resumes_at_a_tick(store: EventStore, book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    policies = running(book, Loss())
    with monkeypatch.context() as patched:
        patched.setattr(ExecutionsView, "apply_beside", fail)
        book.append("order/A/O", fill(Side.BUY, 100, 1))
    assert reports(store) == [STOPPED]
    policies.tick()
    assert reports(store) == [STOPPED]
    assert book.retry("executions", "A")
    policies.tick()
    policies.tick()
    assert reports(store) == [STOPPED, RESUMED]


def test_a_stop_that_could_not_be_recorded_before_it_recovered_is_not_recorded(
    store: EventStore, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies = running(book, Loss())
    with monkeypatch.context() as patched:
        patched.setattr(ExecutionsView, "apply_beside", fail)
        store.append("order/A/O", fill(Side.BUY, 100, 1))
        patched.setattr(book, "append", no_room)
        book.refresh()
        assert policies.stopped
        patched.undo()
        patched.setattr(book, "append", no_room)
        assert book.retry("executions", "A")
        policies.tick()
    assert not policies.stopped
    policies.tick()
    assert not reports(store)


def test_one_that_stops_and_resumes_all_the_time_is_recorded_as_stopped(
    store: EventStore, book: Book, clock: ManualClock
) -> None:
    book.append("order/A/O", fill(Side.BUY, 100, 1))
    flapping = Fragile()
    for _ in range(50):
        policies = running(book, flapping)
        policies.tick()
        end(policies)
        flapping.fails_for = None
        policies = running(book, flapping)
        policies.tick()
        policies.stop()
        clock.advance(NANOSECONDS // 2)
        flapping.fails_for = "A"
    assert reports(store) == [STOPPED, RESUMED, STOPPED]
    clock.advance(60 * NANOSECONDS)
    running(book, Fragile(None))
    assert reports(store) == [STOPPED, RESUMED, STOPPED, RESUMED]


def test_a_clock_that_was_set_back_keeps_nothing_stopped(store: EventStore, book: Book, clock: ManualClock) -> None:
    for _ in range(2):
        book.append("policy/A/loss", PolicyStopped(policy="loss"))
        book.append("policy/A/loss", PolicyResumed(policy="loss"))
    book.append("policy/A/loss", PolicyStopped(policy="loss"))
    clock.set(START - 3_600 * NANOSECONDS)
    running(book, Loss())
    assert reports(store)[-1] == RESUMED


def test_a_process_that_does_not_run_it_does_not_resume_it(store: EventStore, book: Book) -> None:
    book.append("policy/A/loss", PolicyStopped(policy="loss"))
    running(book, Loss("other")).tick()
    assert [stopped.policy for stopped in book.policies.stopped("A")] == ["loss"]
    with projections.open(store, accounts=["B"]) as other:
        running(other, Loss()).tick()
    assert reports(store) == [STOPPED]


def test_a_policy_without_the_lease_is_not_evaluated_and_not_resumed(store: EventStore, book: Book) -> None:
    class Leased(LeasedPolicy):
        name = "loss"
        types: ClassVar[tuple[type[Event], ...]] = ()

        @override
        def decide(self, book: Book, trigger: Trigger) -> Iterable[Decision]:
            return ()

    with projections.open(store, snapshots=False) as other:
        first = running(other, Loss("first"))
        book.append("policy/A/loss", PolicyStopped(policy="loss"))
        policies = running(book, Leased())
        policies.tick()
        assert reports(store) == [STOPPED]
        first.stop()
    store.clock.advance(NANOSECONDS)  # type: ignore[attr-defined]
    policies.tick()
    assert reports(store) == [STOPPED, RESUMED]


def test_two_processes_report_one_stop(store: EventStore, book: Book) -> None:
    with projections.open(store, snapshots=False) as other:
        both = [running(each, Fragile(error=LookupError(name))) for name, each in (("x", book), ("y", other))]
        store.append("order/A/O", fill(Side.BUY, 100, 1))
        for policies in both:
            policies.book.refresh()
            policies.tick()
        assert reports(store) == [STOPPED]
        assert all(each.policies.stopped("A") for each in (book, other))


def test_a_policy_s_name_may_need_an_escape_and_its_account_may_be_parked(store: EventStore, book: Book) -> None:
    book.append("policy/A/a%2Fb", PolicyStopped(policy="a/b", why="x"))
    assert [stopped.policy for stopped in book.policies.stopped("A")] == ["a/b"]
    with pytest.raises(InvalidEvent, match="policy"):
        book.append("lockout/A/loss", PolicyStopped(policy="loss"))


# Other content under a known key


class Contrary(Loss):
    """Decides something else under one key each time."""

    def __init__(self, *events: tuple[str, Event]) -> None:
        super().__init__()
        self.events = list(events)

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterable[Decision]:
        if trigger.kind is TriggerKind.RECORD and self.events:
            yield Decision((self.events.pop(0),), key="same")


def twice(book: Book, *events: tuple[str, Event]) -> Policies:
    policies = running(book, Contrary(*events))
    for number in range(len(events)):
        book.append("order/A/O", fill(Side.BUY, 100, number))
    return policies


def test_another_rule_under_a_known_key_stops_the_policy_visibly(store: EventStore, book: Book) -> None:
    policies = twice(book, *(("lockout/A/x", LockoutSet(rule_id=rule)) for rule in ("x", "y")))
    assert isinstance(policies.stopped["loss", "A"].error, DuplicateEvent)
    assert not policies.is_caught_up
    assert reports(store) == [STOPPED]
    assert "DuplicateEvent" in book.policies.stopped("A")[0].why
    assert len(lockouts(store)) == 1


def test_another_kind_of_event_under_a_known_key_stops_the_policy(store: EventStore, book: Book) -> None:
    twice(book, ("policy/A/x", PolicyStopped(policy="x")), ("policy/A/x", PolicyResumed(policy="x")))
    assert reports(store)[-1] == STOPPED


def test_other_words_and_figures_leave_the_first_decision_as_it_is(store: EventStore, book: Book) -> None:
    events = [LockoutSet(rule_id="x", reason=why, until=START + n, details={"n": n}) for n, why in enumerate("ab", 1)]
    policies = twice(book, *(("lockout/A/x", event) for event in events))
    assert policies.is_caught_up
    assert len(lockouts(store)) == 1


@pytest.mark.parametrize("more", [{"scope": "symbol:ES"}, {"allows": "REDUCE_ONLY"}, {"revocable": False}])
def test_what_locks_something_else_is_another_decision(
    store: EventStore, book: Book, more: dict[str, str | bool]
) -> None:
    first = LockoutSet(rule_id="x")
    policies = twice(book, ("lockout/A/x", first), ("lockout/A/x", LockoutSet(rule_id="x", **more)))  # type: ignore[arg-type]
    assert policies.is_caught_up
    assert len(lockouts(store)) == 2


def test_another_process_that_is_first_to_lock_makes_a_decision_obsolete(
    store: EventStore, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race that ends in a DuplicateEvent: between the refresh and the append, the other process records."""
    policies = running(book, Loss())
    append_many = book.append_many
    store.append("order/A/O", fill(Side.BUY, 100, 1))
    sold = store.append("order/A/O", fill(Side.SELL, 90, 2))[0]
    key = f"policy/loss/{sold.id.hex()}/account-NOTHING/0"

    def late(batches: object, **options: object) -> list[Record]:
        store.append("lockout/A/loss", LockoutSet(rule_id="other"), key=key)
        return append_many(batches, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(book, "append_many", late)
    book.refresh()
    assert policies.is_caught_up
    assert len(lockouts(store)) == 1
    assert not reports(store)


# What other books say


def test_a_book_of_any_process_says_why_limits_are_unjudged(store: EventStore, book: Book) -> None:
    with projections.open(store, snapshots=False) as other:
        policies = running(book, Fragile())
        book.append("order/A/O", fill(Side.BUY, 100, 1))
        end(policies)
        other.refresh()
        why = why_unjudged(other, "A")
        assert why is not None
        assert why.startswith("policy loss has stopped for A (at position 1: LookupError: broken), so its limits are")
        assert "append PolicyResumed to policy/A/loss" in why
        book.append("policy/A/loss", PolicyResumed(policy="loss", why="no longer used"), actor="risk desk")
        other.refresh()
        running(other, Loss("another"))
        assert why_unjudged(other, "A") is None


def test_a_past_book_says_what_had_stopped_then(store: EventStore, book: Book) -> None:
    book.append("policy/A/loss", PolicyStopped(policy="loss"))
    book.append("policy/A/loss", PolicyResumed(policy="loss"))
    assert why_unjudged(projections.as_of(store, position=1), "A") is not None
    assert why_unjudged(projections.as_of(store, position=2), "A") is None
