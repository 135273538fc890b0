"""Differences between two pasts: the keys on which two separately folded books differ, and why."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import eventstore
import projections
from eventstore import EventStore, InvalidEvent, ManualClock, Record
from eventstore.clock import to_ns
from eventstore.streams import unescaped
from eventstore.trading import ClockJumped, ContractDefined, LockoutSet, PositionSide, TradeBusted
from projections import Book, Change
from tests.projections.examples import bought, filled, submitted
from tests.projections.histories import history, store_of
from tests.projections.random_facts import SECOND
from tests.proving import rounds

START = to_ns(datetime(2025, 6, 2, 14, tzinfo=UTC))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data", clock=clock) as opened:
        yield opened


def named(changes: Iterable[Change]) -> dict[tuple[str, str, str], list[int]]:
    return {(each.view, each.account, each.key): [record.position for record in each.records] for each in changes}


def imported(store: EventStore, clock: ManualClock) -> None:
    """Record three trades an hour apart, days after they happened, and one of the morning a day later still."""
    for hour in (1, 2, 3):
        clock.set(START + 48 * HOUR + hour)
        store.append(f"trade/A/T{hour}", bought(f"T{hour}"), occurred_at=START + hour * HOUR)
    clock.set(START + 72 * HOUR)
    store.append("trade/A/T0", bought("T0"), occurred_at=START + HOUR // 2)


def test_by_the_times_of_happening_what_happened_in_between_counts(store: EventStore, clock: ManualClock) -> None:
    imported(store, clock)
    first, second = START + HOUR, START + 2 * HOUR
    assert projections.diff(store, first, second) == ()
    (change,) = projections.diff(store, first, second, occurred_at=True)
    assert (change.before.quantity, change.after.quantity) == (2, 3)
    assert [record.entity for record in change.records] == ["T2"]
    assert projections.diff(store, second, first, occurred_at=True) == (change,)


def test_what_was_known_by_an_instant_leaves_out_what_came_later(store: EventStore, clock: ManualClock) -> None:
    imported(store, clock)
    (change,) = projections.diff(store, START, START + HOUR, occurred_at=True, known_by=START + 49 * HOUR)
    assert (change.before.quantity, change.after.quantity) == (0, 1)
    assert [record.entity for record in change.records] == ["T1"]
    # An instant may be a datetime, on either axis.
    aware = datetime(2025, 6, 2, 14, tzinfo=UTC)
    by = (aware + timedelta(hours=49), aware + timedelta(hours=49))
    assert projections.diff(store, aware, aware + timedelta(hours=1), occurred_at=True, known_by=by) == (change,)


def test_the_same_instant_known_twice_tells_what_was_learned_of_it(store: EventStore, clock: ManualClock) -> None:
    imported(store, clock)
    noon = START + 2 * HOUR
    known = (START + 49 * HOUR, START + 73 * HOUR)
    (change,) = projections.diff(store, noon, noon, occurred_at=True, known_by=known)
    assert (change.before.quantity, change.after.quantity) == (2, 3)
    assert [record.entity for record in change.records] == ["T0"]
    assert projections.diff(store, noon, noon, occurred_at=True, known_by=(known[1], known[0])) == (change,)


def test_later_known_less_is_reported_as_it_is(store: EventStore, clock: ManualClock) -> None:
    imported(store, clock)
    known = (START + 73 * HOUR, START + 49 * HOUR)
    (change,) = projections.diff(store, START + HOUR, START + 2 * HOUR, occurred_at=True, known_by=known)
    assert (change.before.quantity, change.after.quantity) == (2, 2)
    # One fill that was known before is not known any more, and another one happened since.
    assert [record.entity for record in change.records] == ["T2", "T0"]


@pytest.mark.parametrize("occurred_at", [False, True])
def test_an_instant_does_not_differ_from_itself(store: EventStore, clock: ManualClock, occurred_at: bool) -> None:
    imported(store, clock)
    for instant in (START, START + 2 * HOUR, clock.now_ns(), clock.now_ns() + HOUR, EPOCH):
        assert projections.diff(store, instant, instant, occurred_at=occurred_at) == ()


def test_an_account_that_is_not_there_differs_in_nothing(store: EventStore, clock: ManualClock) -> None:
    imported(store, clock)
    assert projections.diff(store, EPOCH, clock.now_ns(), account="B") == ()
    assert projections.diff(store, EPOCH, clock.now_ns(), account="B", occurred_at=True) == ()
    with pytest.raises(InvalidEvent):
        projections.diff(store, EPOCH, clock.now_ns(), account="no/account")


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ({"known_by": START}, "known_by needs occurred_at=True"),
        ({"known_by": (START, START)}, "known_by needs occurred_at=True"),
        ({"occurred_at": True, "known_by": (START,)}, "one instant or two, one for each, not 1"),
        ({"occurred_at": True, "known_by": (START, START, START)}, "one instant or two, one for each, not 3"),
        ({"occurred_at": True, "known_by": "2025-06-02"}, "no time zone"),
        ({"occurred_at": True, "known_by": (START, -1)}, "before 1990"),
        ({"occurred_at": True, "known_by": datetime(2025, 6, 2)}, "no time zone"),  # noqa: DTZ001 - that is the test
    ],
)
def test_knowledge_that_is_not_an_instant_is_refused(store: EventStore, given: dict[str, Any], advice: str) -> None:
    with pytest.raises(InvalidEvent, match=advice):
        projections.diff(store, START, START + 1, **given)


def test_a_contract_that_comes_later_changes_what_positions_are_worth(store: EventStore, clock: ManualClock) -> None:
    store.append("trade/A/T1", bought("T1"))
    clock.advance(MINUTE)
    store.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", multiplier=Decimal(50)))
    store.append("contract/-/NQZ5", ContractDefined(symbol="NQZ5", multiplier=Decimal(20)))
    (change,) = projections.diff(store, START, clock.now_ns())
    assert (change.before.multiplier, change.after.multiplier) == (None, 50)
    assert named([change]) == {("positions", "A", "ESZ5/NET"): [2]}
    assert projections.diff(store, START, clock.now_ns(), account="A") == (change,)


def test_a_clock_that_jumped_changes_the_lockouts_of_its_account(store: EventStore, clock: ManualClock) -> None:
    for account in ("A", "B"):
        store.append(f"lockout/{account}/loss", LockoutSet(rule_id="loss", until=START + HOUR))
    clock.advance(MINUTE)
    now = clock.now_ns()
    store.append("lockout/A/clock", ClockJumped(before=now, after=now + 10 * MINUTE))
    found = named(projections.diff(store, START + 1, now))
    assert found == {("lockouts", "A", "loss"): [3]}


def test_a_bust_without_a_symbol_names_the_side_that_the_trade_was_on(store: EventStore, clock: ManualClock) -> None:
    long, short = (bought("L"), bought("S"))
    store.append(
        "trade/A/L", eventstore.trading.TradeExecuted(**{**_members(long), "position_side": PositionSide.LONG})
    )
    store.append(
        "trade/A/S", eventstore.trading.TradeExecuted(**{**_members(short), "position_side": PositionSide.SHORT})
    )
    clock.advance(MINUTE)
    store.append("trade/A/L", TradeBusted(trade_id="L"))
    assert named(projections.diff(store, START + 1, clock.now_ns())) == {("positions", "A", "ESZ5/LONG"): [3]}


def test_a_report_changes_the_position_that_its_trade_is_in_whatever_it_is_called_there(
    store: EventStore, clock: ManualClock
) -> None:
    store.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", multiplier=Decimal(50), broker_ids=("CON.ES",)))
    first = _members(bought("T1")) | {"position_side": PositionSide.LONG}
    store.append("trade/A/T1", eventstore.trading.TradeExecuted(**first))
    clock.advance(MINUTE)
    # The same execution with another price: under the broker's name, and without a side.
    again = _members(bought("T1")) | {"symbol": "CON.ES", "price": Decimal(1)}
    store.append("trade/A/again", eventstore.trading.TradeExecuted(**again))
    assert named(projections.diff(store, START + 1, clock.now_ns())) == {("positions", "A", "ESZ5/LONG"): [3]}
    # And a new trade under the broker's name.
    clock.advance(MINUTE)
    other = _members(bought("T2")) | {"symbol": "CON.ES", "position_side": PositionSide.LONG}
    store.append("trade/A/T2", eventstore.trading.TradeExecuted(**other))
    assert named(projections.diff(store, START + 1, clock.now_ns())) == {("positions", "A", "ESZ5/LONG"): [3, 4]}


def _members(event: eventstore.Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


def test_an_order_and_its_position_differ_by_the_same_fill(store: EventStore, clock: ManualClock) -> None:
    store.append("order/A/O1", submitted(5), occurred_at=START)
    clock.advance(HOUR)
    store.append("order/A/O1", filled("F1", 2), occurred_at=START + MINUTE)
    found = projections.diff(store, START, START + MINUTE, occurred_at=True)
    assert named(found) == {("orders", "A", "O1"): [2], ("positions", "A", "ESZ5/NET"): [2]}


def test_any_two_pasts_differ_where_two_books_folded_apart_do() -> None:
    for seed in rounds("differences of pasts", test=4, prove=400):
        chance = random.Random(seed)
        facts = history(chance, 120)
        _check_pasts(store_of(facts), chance)


def _check_pasts(store: EventStore, chance: random.Random) -> None:
    records = list(store.read())
    times = [each.recorded_at for each in records] + [each.occurred_at for each in records]
    for _ in range(6):
        first, second = chance.choice(times), chance.choice(times)
        account = chance.choice([None, "A", "B"])
        if chance.random() < 0.4:
            known, found = None, projections.diff(store, first, second, account=account)
        else:
            known = (chance.choice(times), chance.choice(times))
            found = projections.diff(store, first, second, account=account, occurred_at=True, known_by=known)
        before, after = _books(store, first, second, known, account)
        expected = {key for key in _keys(records, account) if _answer(before, key) != _answer(after, key)}
        assert {(each.view, each.account, each.key) for each in found} == expected
        between = _between(records, first, second, known)
        for change in found:
            assert change.records, change
            assert {each.position for each in change.records} <= between
            key = (change.view, change.account, change.key)
            answers = [_answer(before, key), _answer(after, key)]
            values = [_held(change.before), _held(change.after)]
            assert values in (answers, answers[::-1])


def _books(
    store: EventStore, first: int, second: int, known: tuple[int, int] | None, account: str | None
) -> tuple[Book, Book]:
    if known is None:
        return (
            projections.as_of(store, recorded_at=first, account=account),
            projections.as_of(store, recorded_at=second, account=account),
        )
    return (
        projections.as_of(store, occurred_at=first, recorded_at=known[0], account=account),
        projections.as_of(store, occurred_at=second, recorded_at=known[1], account=account),
    )


def _between(records: list[Record], first: int, second: int, known: tuple[int, int] | None) -> set[int]:
    if known is None:
        low, high = sorted((first, second))
        return {each.position for each in records if low < each.recorded_at <= high}
    had = {each.position for each in records if each.occurred_at <= first and each.recorded_at <= known[0]}
    has = {each.position for each in records if each.occurred_at <= second and each.recorded_at <= known[1]}
    return had ^ has


def _keys(records: list[Record], account: str | None) -> set[tuple[str, str, str]]:
    """Return every order, position and lockout that a log could have, whatever its records say of them."""
    found = set()
    accounts = {each.account for each in records} - {"-"} if account is None else {account}
    symbols = {"ESZ5", "NQZ5"} | {getattr(each.event, "symbol", None) or "ESZ5" for each in records}
    rules = {getattr(each.event, "rule_id", None) or each.entity for each in records} | {"broker"}
    orders = {unescaped(each.entity) for each in records if each.category == "order"}
    for name in accounts:
        found |= {("orders", name, order) for order in orders}
        found |= {("lockouts", name, unescaped(rule)) for rule in rules}
        found |= {("positions", name, f"{symbol}/{side}") for symbol in symbols for side in PositionSide}
    return found


def _answer(book: Book, key: tuple[str, str, str]) -> object:
    view, account, name = key
    if view == "orders":
        return book.orders.get(account, name)
    if view == "lockouts":
        return tuple(each for each in book.lockouts.history(account) if each.rule_id == name)
    symbol, _, side = name.rpartition("/")
    position = book.positions.get(account, symbol, side)
    # A contract that is defined changes no position that never existed.
    return None if position.first_position is None else position


def _held(value: Any) -> object:  # noqa: ANN401 - whatever a view answers
    return None if getattr(value, "first_position", 0) is None else value


def test_a_record_of_another_stream_is_named_with_the_orders_whose_trades_it_changes(
    store: EventStore, clock: ManualClock
) -> None:
    store.append("order/A/O", [submitted(2), filled("T", 2)])
    store.append("order/A/P", submitted(2))
    for hour, (stream, event) in enumerate(
        [("order/A/P", filled("T", 2)), ("trade/A/T", TradeBusted(trade_id="T"))], 1
    ):
        clock.set(START + hour * HOUR)
        store.append(stream, event)
    (first,) = [each for each in projections.diff(store, START + MINUTE, START + HOUR) if each.view == "orders"]
    # The fill is of the first order: it fills nothing of the second, and is marked there.
    assert (first.key, first.after.cumulative, [record.position for record in first.records]) == ("P", 0, [4])
    (second,) = [each for each in projections.diff(store, START + HOUR, START + 2 * HOUR) if each.view == "orders"]
    found = second.key, second.before.cumulative, second.after.cumulative
    assert (found, [record.position for record in second.records]) == (("O", 2, 0), [5])


def test_an_order_differs_by_a_report_of_its_trade_that_another_order_had_first(
    store: EventStore, clock: ManualClock
) -> None:
    clock.set(START + HOUR)
    store.append("order/A/P", filled("T", 2), occurred_at=START + 2 * MINUTE)
    store.append("order/A/O", filled("T", 2), occurred_at=START + MINUTE)
    found = {each.key: each for each in projections.diff(store, START + MINUTE, START + 2 * MINUTE, occurred_at=True)}
    # By the first instant the fill was of O alone; by the second P had it first, and P's report alone is new.
    assert (found["O"].before.cumulative, found["O"].after.cumulative) == (2, 0)
    assert [record.position for record in found["O"].records] == [1]
