"""One event at a time with its before, after and error; and who changed what of limits, lockouts and settings."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
from eventstore import EventStore, InvalidEvent, ManualClock
from eventstore.clock import to_ns
from eventstore.trading import (
    AccountConfigured,
    AccountOpened,
    BlackoutScheduled,
    EquityCorrected,
    GroupDefined,
    LimitsSet,
    LockoutCleared,
    LockoutSet,
    Marked,
    OrderAccepted,
    OrderFilled,
    OrderSubmitted,
    Protection,
    ProtectionMode,
    Side,
    Valuation,
)
from projections import Change, auditing
from projections.auditing import Entry
from tests.projections.examples import RainByAccount, filled, rain, submitted
from tests.projections.histories import history, store_of
from tests.projections.random_facts import ACCOUNTS, SECOND

START = to_ns(datetime(2025, 11, 20, 15, tzinfo=UTC))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data", clock=clock) as opened:
        yield opened


def change_in(entry: Entry, view: str) -> Change:
    return next(change for change in entry.changes if change.view == view)


# Steps


def test_either_a_stream_or_an_account_is_asked_for(store: EventStore) -> None:
    for stream, account in ((None, None), ("order/A/O-1", "A")):
        with pytest.raises(InvalidEvent, match="give a stream or an account, not both"):
            auditing.steps(store, stream=stream, account=account)
    for arguments in ({"stream": "no stream"}, {"account": "no/account"}, {"account": "A", "views": "rain"}):
        with pytest.raises(InvalidEvent):
            auditing.steps(store, **arguments)  # type: ignore[arg-type]


def test_an_order_is_gone_through_event_by_event(store: EventStore) -> None:
    store.append("order/A/O-1", [submitted(3), OrderAccepted(broker_order_id="77")])
    store.append("order/A/O-2", filled("T0"))
    store.append("order/A/O-1", [filled("T1", 1), filled("T2", 2)])
    found = list(auditing.steps(store, stream="order/A/O-1"))
    assert [entry.record.version for entry in found] == [1, 2, 3, 4]
    orders = [change_in(entry, "orders") for entry in found]
    assert [None if each.before is None else each.before.status for each in orders] == [
        None, "PENDING_NEW", "NEW", "PARTIALLY_FILLED"
    ]  # fmt: skip
    assert [each.after.status for each in orders] == ["PENDING_NEW", "NEW", "PARTIALLY_FILLED", "FILLED"]
    # The position has what the other order's fill brought as well.
    assert [change_in(entry, "positions").after.quantity for entry in found[2:]] == [2, 4]
    assert list(auditing.steps(store, stream="order/A/", after=2)) == list(auditing.steps(store, account="A", after=2))
    assert [entry.position for entry in auditing.steps(store, account="A", after=1, until=3)] == [2, 3]


def test_a_view_that_fails_is_named_on_the_record_and_on_those_after_it(store: EventStore) -> None:
    view = RainByAccount()
    view.bad = {13}
    store.append("rain/A/x", [rain(1), rain(13), rain(2)])
    store.append("order/A/O-1", submitted())
    store.append("rain/B/x", rain(7))
    first, second, third, order = auditing.steps(store, account="A", views=[view])
    assert change_in(first, "rain").after == {"total": 1, "seen": [1]}
    assert first.error is None
    assert second.error == "view rain failed on it for A (ValueError: 13 is too much)"
    assert third.error == "view rain has been stopped for A since position 2 (ValueError: 13 is too much)"
    assert third.unknown
    assert not third.changes
    # The other views fold it as always.
    assert change_in(order, "orders").after.status == "PENDING_NEW"
    (other,) = auditing.steps(store, account="B", views=[view])
    assert other.error is None
    assert change_in(other, "rain").before is None


def test_steps_of_an_account_are_its_timeline() -> None:
    store = store_of(history(random.Random(7), 50))
    for account in ACCOUNTS:
        stepped = auditing.steps(store, account=account)
        for step, entry in zip(stepped, auditing.timeline(store, account=account), strict=True):
            assert (step.position, step.sentence, step.changes) == (entry.position, entry.sentence, entry.changes)


# Changes


def decided(store: EventStore, clock: ManualClock) -> None:
    """Record what people and policies do: positions 1 to 14."""

    def add(stream: str, event: eventstore.Event, actor: str, cause: bytes | None = None) -> bytes:
        clock.advance(SECOND)
        return store.append(stream, event, actor=actor, causation_id=cause)[0].id

    add("account/A/-", AccountOpened(starting_balance=Decimal(1000), currency="USD"), "ana@desk/tool")
    add("limits/A/daily-loss", LimitsSet(rule_id="daily-loss", parameters={"limit": "500"}), "ana@desk/tool")
    add("account/A/-", AccountConfigured(valuation=Valuation.MARK), "ben@desk/tool")
    fill = OrderFilled(trade_id="T1", symbol="ES", side=Side.BUY, quantity=Decimal(1), price=Decimal(5))
    cause = add("order/A/O-1", fill, "bot")
    add("lockout/A/daily-loss", LockoutSet(rule_id="daily-loss"), "policy:daily-loss", cause)
    add("lockout/A/daily-loss", LockoutCleared(by="ana", reason="wrong price"), "ana@desk/tool")
    add("lockout/A/manual", LockoutSet(rule_id="manual"), "ben@desk/tool")
    add("group/-/desk", GroupDefined(accounts=("A", "B")), "ana@desk/tool")
    add("limits/@desk/daily-loss", LimitsSet(rule_id="daily-loss", parameters={"limit": "900"}), "ana@desk/tool")
    add("account/A/-", ProtectionMode(mode=Protection.SHADOW), "ben@desk/tool")
    add("account/A/-", EquityCorrected(reason="bad tick", high_water=Decimal(1000)), "ben@desk/tool")
    add("blackout/-/fomc", BlackoutScheduled(start=START, stop=START + 60 * SECOND), "ana@desk/tool")
    add("mark/-/close", Marked(name="close"), "ana@desk/tool")
    add("order/A/O-2", OrderSubmitted(symbol="ES", side=Side.BUY, quantity=Decimal(1)), "ana@desk/tool")


def test_what_people_changed_is_listed_with_who_did_it(store: EventStore, clock: ManualClock) -> None:
    decided(store, clock)
    page = auditing.changes(store)
    assert [entry.position for entry in page] == [2, 3, 6, 7, 8, 9, 10, 11, 12]
    assert [entry.position for entry in auditing.changes(store, by="ana")] == [2, 6, 8, 9, 12]
    assert [entry.position for entry in auditing.changes(store, by="ben@desk/tool", account="A")] == [3, 7, 10, 11]
    assert len(auditing.changes(store, by="bot")) == 0
    assert [entry.position for entry in auditing.changes(store, account="@desk")] == [9]
    pages = auditing.changes(store, limit=4)
    assert pages.next_after == 7
    assert [entry.position for entry in auditing.changes(store, after=7, limit=100)] == [8, 9, 10, 11, 12]
    bounded = auditing.changes(store, start=START + 6 * SECOND, stop=START + 8 * SECOND)
    assert [entry.position for entry in bounded] == [6, 7]


def test_each_of_them_has_its_effect(store: EventStore, clock: ManualClock) -> None:
    decided(store, clock)
    by_position = {entry.position: entry for entry in auditing.changes(store)}
    assert change_in(by_position[2], "limits in force").after.parameters == {"limit": "500"}
    settings = change_in(by_position[3], "configurations")
    assert settings.key == "configuration"
    assert settings.after.valuation is Valuation.MARK
    (cleared,) = change_in(by_position[6], "lockouts").after
    assert cleared.ended_by == "cleared by ana"
    assert change_in(by_position[8], "groups").after.accounts == ("A", "B")
    assert change_in(by_position[9], "limits in force").account == "@desk"
    assert by_position[9].sentence == "Limit daily-loss of group desk was set: limit 900"
    # It loosens: it waits for a session.
    assert [change.key for change in by_position[10].changes if change.view == "protection modes"] == ["waiting"]
    assert change_in(by_position[12], "blackouts").after.name == "fomc"


def test_a_lockout_counts_unless_a_policy_answered_a_record(store: EventStore, clock: ManualClock) -> None:
    decided(store, clock)
    (cause,) = store.read(limit=1)
    lockout = LockoutSet(rule_id="hidden")
    # Somebody who names a cause is still somebody.
    store.append("lockout/A/hidden", lockout, actor="eve@desk/tool", causation_id=cause.id)
    locked = [entry for entry in auditing.changes(store) if entry.record.type == "LockoutSet"]
    assert [entry.record.entity for entry in locked] == ["manual", "hidden"]
