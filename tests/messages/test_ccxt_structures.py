"""Which of CCXT's structures a message is, and that each member of it has its place."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from eventstore.trading import (
    OrderFilled,
)
from gateways.messages import Unmapped
from gateways.messages.ccxt import FIELDS, LEFT_OUT, LedgerFee
from tests.messages import ccxt_structures as made
from tests.messages.ccxt_mapping import events, only, with_settings

D = Decimal
MS = 1_000_000
BY_KIND: Mapping[str, Callable[..., dict[str, Any]]] = {
    "Trade": made.trade,
    "Order": made.order,
    "Position": made.position,
    "Market": made.market,
    "LedgerEntry": made.ledger,
    "FundingHistory": made.funding,
    "Transaction": made.transaction,
    "TransferEntry": made.transfer,
    "Liquidation": made.liquidation,
}


@pytest.mark.parametrize("kind", BY_KIND)
def test_each_member_of_a_structure_becomes_something_or_has_a_reason(kind: str) -> None:
    members = set(BY_KIND[kind]())
    reported = {name.partition(".")[0] for name in (*FIELDS[kind], *LEFT_OUT[kind])}
    assert members - reported == set()
    assert FIELDS[kind].keys() & LEFT_OUT[kind].keys() == set()
    assert all(LEFT_OUT[kind].values())


def test_each_member_of_a_balance_becomes_something_or_has_a_reason() -> None:
    members = set(made.balance(debt=True, COIN=(1.0, 2.0)))
    members |= {f"COIN.{name}" for name in made.balance(debt=True, COIN=(1.0, 2.0))["COIN"]}
    reported = {*FIELDS["Balance"], *LEFT_OUT["Balance"]}
    assert members - reported == {"COIN"}


@pytest.mark.parametrize("kind", [*BY_KIND, "Balance"])
def test_a_structure_is_known_by_its_members_and_by_name(kind: str) -> None:
    mapping = with_settings(wallet="swap", ledger_fee=LedgerFee.OTHER)
    message = made.balance(USDT=(1.0, 2.0)) if kind == "Balance" else BY_KIND[kind]()
    assert events(message, mapping) == events({"kind": kind, "data": message}, mapping)
    assert events(message, mapping)


@pytest.mark.parametrize(
    "message",
    [{}, {"symbol": "BTC/USDT"}, {"kind": "Trade"}, {"kind": "Fill", "data": {}}, {"kind": "Trade", "data": []}],
)
def test_a_message_of_no_structure_is_refused_as_a_whole(message: dict[str, object]) -> None:
    with pytest.raises(Unmapped) as refused:
        events(message)
    assert refused.value.message == message


def test_two_structures_in_one_are_refused_and_the_name_decides() -> None:
    both = {**made.funding(), **made.trade()}
    with pytest.raises(Unmapped, match="Trade and FundingHistory"):
        events(both)
    assert isinstance(only({"kind": "Trade", "data": both}), OrderFilled)
