"""What decides about exposure sees what other processes have committed, with neither a Worker nor Policies at work."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import apsw
import pytest
from typing_extensions import override

import eventstore
import projections
from eventstore import Closed, EventReader, EventStore, ManualClock, Record, Unavailable
from eventstore.journals.sqlite import rows
from eventstore.trading import (
    AccountOpened,
    ContractDefined,
    LimitsSet,
    LockoutCleared,
    LockoutSet,
    OrderSubmitted,
    Verdict,
)
from projections import Book, risk
from projections.risk.policies import Decision, Policies, Policy
from tests.places import Place
from tests.projections.checked_orders import BUY, proposal
from tests.projections.rules_day import NOON

pytestmark = pytest.mark.in_each_place


@pytest.fixture
def store(place: Place) -> Iterator[EventStore]:
    with eventstore.open(place, clock=ManualClock(NOON)) as opened:
        yield opened


@pytest.fixture
def other(place: Place, store: EventStore) -> Iterator[EventStore]:
    """Yield a second store on the directory: what another process has."""
    with eventstore.open(place, clock=ManualClock(NOON)) as opened:
        yield opened


@pytest.fixture
def book(store: EventStore) -> Book:
    return projections.open(store)


def lock(store: EventStore, account: str = "A", rule_id: str = "desk") -> Record:
    return store.append(f"lockout/{account}/{rule_id}", LockoutSet(rule_id=rule_id, reason="go home"))[0]


def limit(store: EventStore, rule_id: str = "order-size", value: str = "1") -> None:
    store.append(f"limits/A/{rule_id}", LimitsSet(rule_id=rule_id, parameters={"limit": value}), actor="risk@desk")


def active(book: Book, account: str = "A") -> list[str]:
    return [lockout.rule_id for lockout in book.lockouts.active(account, NOON)]


def test_a_lockout_set_elsewhere_holds_at_once_and_so_does_its_end(book: Book, other: EventStore) -> None:
    assert active(book) == []
    for _ in range(3):
        lock(other)
        assert active(book) == ["desk"]
        other.append("lockout/A/desk", LockoutCleared(rule_id="desk"))
        assert active(book) == []
    assert book.position == other.head() == 6


def test_limits_set_elsewhere_are_in_force_at_once(book: Book, other: EventStore) -> None:
    limit(other)
    assert [each.rule_id for each in book.limits.of("A")] == ["order-size"]
    limit(other, "daily-loss")
    assert book.limits.get("A", "daily-loss") is not None
    limit(other, value="9")
    assert [each.parameters for each in book.limits.pending("A")] == [{"limit": "9"}]


def test_a_check_counts_what_was_recorded_elsewhere(book: Book, other: EventStore) -> None:
    other.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
    other.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD"))
    limit(other, "maximum-position", "5")
    assert risk.check(book, proposal(quantity="5"), NOON).passed
    other.append("order/A/O-1", OrderSubmitted(symbol="ES", side=BUY, quantity=Decimal(5)))
    assert risk.check(book, proposal(quantity="5"), NOON).rule_id == "maximum-position"
    lock(other)
    assert risk.check(book, proposal(quantity="1"), NOON).rule_id == "desk"


def test_a_book_of_some_accounts_keeps_up_too(store: EventStore, other: EventStore) -> None:
    book = projections.open(store, accounts=["A"])
    lock(other, "B")
    assert active(book) == []
    lock(other)
    assert active(book) == ["desk"]
    assert book.position == 2


def test_a_lockout_set_elsewhere_holds_in_a_book_that_is_read_only(other: EventStore, place: Place) -> None:
    with eventstore.open(place, read_only=True) as reader, projections.open(reader) as book:
        lock(other)
        assert active(book) == ["desk"]


def test_policies_have_decided_when_the_lookup_returns(store: EventStore, other: EventStore, book: Book) -> None:
    class Locking(Policy):
        name, types = "locking", (LimitsSet,)

        @override
        def decide(self, book: Book, trigger: Any) -> Any:
            if trigger.record is None:
                return ()
            # Within a decision all answers are of the record that is decided on.
            assert book.lockouts.active("B", NOON) == ()
            assert book.position == trigger.record.position
            return [Decision((("lockout/A/own", LockoutSet(rule_id="own")),))]

    policies = Policies(book, [Locking()]).start(ticking=False)
    limit(other)
    lock(other, "B")
    assert active(book) == ["own"]
    policies.stop()


def test_within_a_pause_nothing_is_folded(book: Book, other: EventStore) -> None:
    lock(other)
    with book.paused():
        assert active(book) == []
        assert risk.check(book, proposal(), NOON).verdict is Verdict.REJECT
    assert active(book) == ["desk"]


def test_a_book_of_the_past_and_a_closed_one_stay_as_they_are(store: EventStore, other: EventStore, book: Book) -> None:
    past = projections.as_of(store, position=0)
    book.close()
    lock(other)
    assert active(past) == active(book) == []
    assert "closed" in risk.check(book, proposal(), NOON).reason


def test_where_the_log_cannot_be_read_nothing_is_answered_and_every_order_rejected(
    store: EventStore, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(_: EventReader) -> int:
        msg = "the disk is gone"
        raise Unavailable(msg)

    with monkeypatch.context() as patched:
        patched.setattr(EventReader, "head", unreachable)
        with pytest.raises(Unavailable):
            active(book)
        checked = risk.check(book, proposal(), NOON)
        assert (checked.verdict, checked.rule_id, checked.reason) == (
            Verdict.REJECT, "readiness", "Order blocked: the disk is gone"
        )  # fmt: skip
    store.close()
    with pytest.raises(Closed):
        active(book)


@pytest.mark.in_directory
def test_the_head_is_read_again_only_after_a_commit(
    store: EventStore, other: EventStore, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    head = rows.head

    def counted(connection: apsw.Connection) -> int:
        reads.append(head(connection))
        return reads[-1]

    lock(other)
    active(book)
    monkeypatch.setattr(rows, "head", counted)
    for _ in range(100):
        active(book)
    assert reads == []
    lock(other, "B")
    assert (active(book), active(book), store.head(), reads[:1]) == (["desk"], ["desk"], 2, [2])
    lock(store, "C")
    assert (store.head(), other.head()) == (3, 3)
