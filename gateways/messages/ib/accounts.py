"""IB's positions, account values and results: what the broker says beside the fold, which they never change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.trading import AccountUpdated, PnlReported, PositionReported
from gateways.messages.ib.contracts import average_price_of, is_combination, symbol_of
from gateways.messages.mapped import MappedEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateways.messages.ib.members import Members

_TAGS = {"AvailableFunds": "available", "MaintMarginReq": "margin"}
_BASE = "BASE"
"""What IB writes as the currency of an account's total."""


def position_events(position: Members, cost: str) -> Iterator[MappedEvent]:
    """Yield a position, and its results if they are stated; `cost` is the member with the cost of one unit."""
    contract, account = position.inner("contract"), position.account("account")
    if is_combination(contract):
        return
    symbol, quantity = symbol_of(contract), position.number("position")
    if quantity is None:
        position.refuse("position", "is missing: expected a number")
    price = average_price_of(contract, position.number(cost)) if quantity else None
    event = PositionReported(symbol=symbol, quantity=quantity, average_price=price)
    yield MappedEvent(position.stream("position", account, symbol), event, None, None)
    realized, unrealized = position.number("realizedPNL"), position.number("unrealizedPNL")
    if realized is not None or unrealized is not None:
        result = PnlReported(
            realized=realized, unrealized=unrealized, currency=contract.optional_text("currency"), symbol=symbol
        )
        yield MappedEvent(position.stream("pnl", account, symbol), result, None, None)


def value_events(value: Members) -> Iterator[MappedEvent]:
    """Yield the account values that an account's state is made of; there are a hundred others."""
    account, tag = value.account("account"), value.text("tag")
    member = "balance" if tag == value.settings.balance_tag else _TAGS.get(tag)
    amount = None if member is None else value.number("value")
    if member is None or amount is None:
        return
    currency = value.optional_text("currency")
    event = AccountUpdated(**{member: amount, "currency": None if currency == _BASE else currency})  # type: ignore[arg-type]
    yield MappedEvent(value.stream("account", account, "-"), event, None, None)


def result_events(result: Members) -> Iterator[MappedEvent]:
    """Yield the day's results of an account, or of one of its positions, whose contract the settings must name."""
    account, con_id = result.account("account"), result.optional_identity("conId")
    realized, unrealized = result.number("realizedPnL"), result.number("unrealizedPnL")
    if realized is None and unrealized is None:
        return
    symbol = None
    if con_id is not None:
        symbol = result.settings.contracts.get(con_id)
        if symbol is None:
            result.refuse("conId", "is not a contract that the mapping knows: give its symbol (contracts=...)")
    event = PnlReported(realized=realized, unrealized=unrealized, symbol=symbol)
    yield MappedEvent(result.stream("pnl", account, symbol or "-"), event, None, None)
