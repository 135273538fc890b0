"""A fact appended again under its key is the same fact, even if only its bytes differ."""

from decimal import Decimal

import pytest

from eventstore import MIRRORED, DuplicateEvent, EventStore, Unavailable
from eventstore.trading import LockoutSet, OrderFilled, Side


def filled(quantity: object) -> OrderFilled:
    return OrderFilled(trade_id="T1", symbol="ESZ5", side=Side.BUY, quantity=quantity, price=Decimal(1))  # type: ignore[arg-type]


def test_a_whole_number_and_its_decimal_are_the_same(store: EventStore) -> None:
    first = store.append("order/A/1", filled(Decimal(5)), key="T1")
    assert store.append("order/A/1", filled(5), key="T1") == first
    assert store.head() == 1


def test_a_default_left_out_and_one_given_are_the_same(store: EventStore) -> None:
    first = store.append("lockout/A/r", LockoutSet(rule_id="r"), key="once")
    given = LockoutSet(rule_id="r", scope=b"account".decode())
    assert store.append("lockout/A/r", given, key="once") == first


def test_another_number_is_another_fact(store: EventStore) -> None:
    store.append("order/A/1", filled(Decimal(5)), key="T1")
    with pytest.raises(DuplicateEvent):
        store.append("order/A/1", filled(Decimal("5.01")), key="T1")
    assert store.head() == 1


def test_a_durability_given_as_its_number_counts_as_that(store: EventStore) -> None:
    with pytest.raises(Unavailable):
        store.append("order/A/1", filled(5), durability=int(MIRRORED))  # type: ignore[arg-type]
    assert store.head() == 0


def test_a_position_beyond_all_logs_is_just_beyond(store: EventStore) -> None:
    store.append("order/A/1", filled(5))
    assert (store.verify(after=1 << 70).ok, list(store.read(after=1 << 70))) == (True, [])
