"""Policies: evaluated at each record's own position, decided once, not triggered by the past, errors reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import ClassVar

import pytest
from typing_extensions import override

import eventstore
import projections
from eventstore import Batch, Event, EventStore, ManualClock, StorageFull, Unchanged
from eventstore.trading import (
    ContractDefined,
    EnforcementAction,
    EnforcementRequested,
    LockoutCleared,
    LockoutSet,
    OrderFilled,
    QuoteReceived,
    Side,
)
from projections import Book
from projections.risk.policies import (
    ACTOR,
    DEPTH_MAX,
    CausationTooDeep,
    Decision,
    Policies,
    PolicyFailure,
    Trigger,
    TriggerKind,
    concerned,
)
from projections.views.executions.view import ExecutionsView
from tests.projections.policy_scene import START, fill, no_room, running

pytestmark = pytest.mark.in_each_place(slow=True)

STREAM = "lockout/A/loss"


def locked(book: Book) -> bool:
    return bool(book.lockouts.active("A", book.now_ns()))


class Loss:
    """Locks an account whose position in ES has realized -10 points or less, and requests to flatten it."""

    name = "loss"
    types: ClassVar[tuple[type[Event], ...]] = (OrderFilled,)
    quotes: ClassVar[bool] = True
    timed: ClassVar[bool] = False

    def __init__(self) -> None:
        self.triggers: list[Trigger] = []

    def decide(self, book: Book, trigger: Trigger) -> Iterable[Decision]:
        self.triggers.append(trigger)
        position = book.positions.get("A", "ES")
        points = position.realized_points
        if trigger.kind is TriggerKind.QUOTE and isinstance(trigger.event, QuoteReceived):
            assert trigger.event.last is not None
            points += position.unrealized_points(trigger.event.last)
        if points <= -10 and not locked(book):
            request = EnforcementRequested(rule_id="loss", action=EnforcementAction.FLATTEN)
            events = ((STREAM, LockoutSet(rule_id="loss", reason=f"{points}")), ("enforcement/A/loss", request))
            yield Decision(events, obsolete_if=locked)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


def lose(book: Book | EventStore, points: int, number: int = 1) -> list[eventstore.Record]:
    """Buy at 100 and sell a number of points lower; a negative number is a profit."""
    bought, sold = fill(Side.BUY, 100, number * 2), fill(Side.SELL, 100 - points, number * 2 + 1)
    return book.append(f"order/A/O{number}", [bought, sold])


def lockouts(store: EventStore) -> list[eventstore.Record]:
    return list(store.read(stream="lockout/"))


def test_the_lockout_is_appended_with_the_fill(store: EventStore, book: Book) -> None:
    running(book, Loss())
    sold = lose(book, 10)[-1]
    [record] = lockouts(store)
    assert book.lockouts.active("A", START)[0].reason == "-10"
    assert (record.causation_id, record.correlation_id, record.actor) == (sold.id, sold.id, ACTOR + "loss")
    assert [request.rule_id for request in book.enforcement.pending("A")] == ["loss"]


def test_each_record_of_a_batch_is_evaluated_at_its_own_position(store: EventStore, book: Book) -> None:
    running(book, Loss())
    bought, sold = fill(Side.BUY, 100, 1), fill(Side.SELL, 90, 2)
    book.append("order/A/O", [bought, sold, fill(Side.BUY, 100, 3), fill(Side.SELL, 200, 4)])
    assert book.positions.get("A", "ES").realized_points == 90
    assert [record.event for record in lockouts(store)] == [LockoutSet(rule_id="loss", reason="-10")]


def test_other_processes_appends_are_evaluated_when_the_book_folds_them(store: EventStore, book: Book) -> None:
    running(book, Loss())
    lose(store, 10)
    assert not lockouts(store)
    book.refresh()
    assert len(lockouts(store)) == 1


def test_a_quote_can_trigger_a_lockout(store: EventStore, book: Book) -> None:
    policy = Loss()
    running(book, policy)
    book.append("order/A/O", fill(Side.BUY, 100, 1))
    book.observe("quote/-/ES", QuoteReceived(symbol="ES", last=Decimal("90.5")))
    assert not locked(book)
    book.observe("quote/-/ES", QuoteReceived(symbol="ES", last=Decimal(90)))
    assert locked(book)
    assert lockouts(store)[0].causation_id is None
    seen = len(policy.triggers)
    book.observe("quote/-/NQ", QuoteReceived(symbol="NQ", last=Decimal(1)))
    assert len(policy.triggers) == seen


def test_the_holders_of_a_symbol_are_updated_after_a_fill(book: Book) -> None:
    policy = Loss()
    running(book, policy)
    quote = QuoteReceived(symbol="ES", last=Decimal(100))
    book.observe("quote/-/ES", quote)
    assert not policy.triggers
    book.append("contract/-/ES", ContractDefined(symbol="ES", broker_ids=("B-ES",)))
    book.append("order/A/O", fill(Side.BUY, 100, 1))
    book.observe("quote/-/ES", quote)
    book.observe("quote/-/B-ES", QuoteReceived(symbol="B-ES", last=Decimal(100)))
    assert [trigger.kind for trigger in policy.triggers] == [TriggerKind.RECORD, TriggerKind.QUOTE, TriggerKind.QUOTE]


def test_quotes_of_ever_new_names_hold_no_more_while_nobody_trades(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concerned, "SYMBOLS_MAX", 3)
    policies = running(book, Loss())
    book.append("order/A/O", fill(Side.BUY, 100, 1))
    for number in range(10):
        book.observe(f"quote/-/N{number}", QuoteReceived(symbol=f"N{number}", last=Decimal(100)))
    assert len(policies._concerned._by_symbol) <= 3
    book.observe("quote/-/ES", QuoteReceived(symbol="ES", last=Decimal(90)))
    assert locked(book)


def test_a_policy_begins_at_the_head_when_it_is_first_registered(store: EventStore, book: Book) -> None:
    lose(book, 10)
    policy = Loss()
    policies = running(book, policy)
    # Evaluated once at the start, for the account's current state; not for earlier records.
    assert [trigger.kind for trigger in policy.triggers] == [TriggerKind.START]
    policies.stop()


@pytest.mark.parametrize("first", [0, 3])
def test_records_appended_while_it_was_down_are_evaluated(store: EventStore, book: Book, first: int) -> None:
    for number in range(first):
        lose(book, 1, number + 10)
    running(book, Loss()).stop()
    lose(book, 10 - first, 1)
    [sold] = store.read(stream="order/A/O1", after=store.head() - 1)
    lose(book, -100, 2)
    assert not lockouts(store)
    policy = Loss()
    running(book, policy)
    assert [record.causation_id for record in lockouts(store)] == [sold.id]
    assert [trigger.kind for trigger in policy.triggers].count(TriggerKind.RECORD) == 4


def test_a_decision_is_not_repeated_after_a_crash(store: EventStore, book: Book) -> None:
    policies = running(book, Loss())
    lose(book, 10)
    # The process dies before its cursor is written, and the lockout is cleared before the next one starts.
    book.unwatch(policies)
    book.append(STREAM, LockoutCleared())
    policy = Loss()
    running(book, policy).stop()
    assert [trigger.kind for trigger in policy.triggers][:2] == [TriggerKind.RECORD, TriggerKind.RECORD]
    # The fill's decision is not repeated; that the account is still in breach is decided at the start.
    assert [record.type for record in lockouts(store)] == ["LockoutSet", "LockoutCleared", "LockoutSet"]
    assert lockouts(store)[2].causation_id is None


def test_two_processes_decide_once(store: EventStore, book: Book) -> None:
    with projections.open(store, snapshots=False) as other:
        both = [running(each, Loss()) for each in (book, other)]
        for number in range(1, 6):
            lose(store, 10, number)
        for each in (other, book, other):
            each.refresh()
        assert len(lockouts(store)) == 1
        assert store.version("enforcement/A/loss") == 1
        assert all(policies.is_caught_up for policies in both)


def test_a_decision_with_other_content_under_the_same_key_is_not_appended(store: EventStore, book: Book) -> None:
    class Wordy(Loss):
        @override
        def decide(self, book: Book, trigger: Trigger) -> Iterable[Decision]:
            for decision in super().decide(book, trigger):
                (stream, _), *others = decision.events
                yield Decision(((stream, LockoutSet(rule_id="loss", reason="other content")), *others))

    policies = running(book, Loss())
    lose(book, 10)
    book.unwatch(policies)
    book.append(STREAM, LockoutCleared())
    [sold] = [record for record in store.read(types=(OrderFilled,)) if record.version == 2]
    book.refresh()
    later = running(book, Wordy())
    assert later.is_caught_up
    assert [record.causation_id for record in lockouts(store)].count(sold.id) == 1


def test_the_events_of_a_decision_are_appended_together(store: EventStore, book: Book) -> None:
    running(book, Loss())
    lose(book, 10)
    positions = [record.position for record in store.read(types=(LockoutSet, EnforcementRequested))]
    assert positions == [3, 4]


def test_a_concurrent_append_makes_the_decision_be_reconsidered(
    store: EventStore, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    running(book, Loss())
    append_many = book.append_many

    def late(batches: list[Batch], *, unchanged: Unchanged | None = None) -> list[eventstore.Record]:
        if not lockouts(store):
            store.append(STREAM, LockoutSet(rule_id="loss", reason="by hand"))
        return append_many(batches, unchanged=unchanged)

    monkeypatch.setattr(book, "append_many", late)
    lose(book, 10)
    assert [record.event for record in lockouts(store)] == [LockoutSet(rule_id="loss", reason="by hand")]


def test_a_failed_append_is_retried(store: EventStore, book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    policies = running(book, Loss())

    with monkeypatch.context() as patched:
        patched.setattr(book, "append_many", no_room)
        assert len(lose(book, 10)) == 2
        assert isinstance(policies.error, StorageFull)
        assert repr(policies).endswith("no room>")
    policies.tick()
    assert policies.is_caught_up
    assert len(lockouts(store)) == 1


def test_a_policy_that_raises_stops_alone_and_resumes_from_that_record(store: EventStore, book: Book) -> None:
    class Broken(Loss):
        name = "broken"

        @override
        def decide(self, book: Book, trigger: Trigger) -> Iterable[Decision]:
            if trigger.record is not None and trigger.record.version == 2:
                msg = "not this one"
                raise LookupError(msg)
            return super().decide(book, trigger)

    broken = Broken()
    policies = running(book, Loss(), broken)
    lose(book, 10)
    lose(book, 10, 2)
    assert locked(book)
    assert not policies.is_caught_up
    assert policies.stopped["broken", "A"].position == 2
    assert len(broken.triggers) == 1
    with pytest.raises(PolicyFailure, match="LookupError: not this one"):
        policies.stop()
    fixed = Loss()
    fixed.name = "broken"
    running(book, fixed)
    assert next(trigger.record.position for trigger in fixed.triggers if trigger.record is not None) == 2


def test_policies_that_trigger_one_another_are_stopped(store: EventStore, book: Book) -> None:
    class Echo:
        types: ClassVar[tuple[type[Event], ...]] = (LockoutSet,)
        quotes: ClassVar[bool] = False
        timed: ClassVar[bool] = False

        def __init__(self, name: str, other: str) -> None:
            self.name, self._other = name, other

        def decide(self, book: Book, trigger: Trigger) -> Iterable[Decision]:
            if isinstance(trigger.event, LockoutSet) and trigger.event.rule_id == self.name:
                yield Decision(((f"lockout/A/{self._other}", LockoutSet(rule_id=self._other)),))

    policies = running(book, Echo("ping", "pong"), Echo("pong", "ping"))
    book.append("lockout/A/ping", LockoutSet(rule_id="ping"))
    assert len(lockouts(store)) == 1 + DEPTH_MAX
    [stopped] = policies.stopped.values()
    assert isinstance(stopped.error, CausationTooDeep)
    assert stopped.error.depth == DEPTH_MAX + 1


def past(book: Book) -> None:
    projections.as_of(book.reader, recorded_at=book.now_ns())


def steps(book: Book) -> None:
    assert len(list(projections.steps(book.reader))) == book.position


def rebuilt(book: Book) -> None:
    book.rebuild(ExecutionsView())


def opened(book: Book) -> None:
    projections.open(book.reader, snapshots=False).close()


@pytest.mark.parametrize("look", [past, steps, rebuilt, opened])
def test_reading_the_past_triggers_no_policy(store: EventStore, book: Book, look: Callable[[Book], None]) -> None:
    policy = Loss()
    running(book, policy)
    lose(book, 10)
    head, count = store.head(), len(policy.triggers)
    look(book)
    assert (store.head(), len(policy.triggers)) == (head, count)


def test_a_tick_evaluates_the_timed_policies(store: EventStore, book: Book) -> None:
    class Alarm(Loss):
        name = "alarm"
        types: ClassVar[tuple[type[Event], ...]] = ()
        timed: ClassVar[bool] = True

    policy = Alarm()
    policies = running(book, policy)
    lose(book, 10)
    assert not policy.triggers
    policies.tick(START + 5)
    assert [(trigger.kind, trigger.account, trigger.at) for trigger in policy.triggers] == [
        (TriggerKind.TIME, "A", START + 5)
    ]
    assert locked(book)


def test_its_own_thread_follows_the_log_and_the_clock(store: EventStore, book: Book) -> None:
    with Policies(book, [Loss()]):
        lose(store, 10)
        assert store.wait(3, timeout=30)
    assert [record.type for record in lockouts(store)] == ["LockoutSet"]


def test_one_book_has_one_set_of_policies_with_unique_names(book: Book) -> None:
    running(book, Loss())
    with pytest.raises(ValueError, match="already has a listener"):
        running(book, Loss())
    with pytest.raises(ValueError, match="two policies are named loss"):
        Policies(book, [Loss(), Loss()])
