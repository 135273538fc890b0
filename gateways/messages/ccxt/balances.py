"""CCXT's balances: an update of the account for each coin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from eventstore.trading import AccountUpdated
from gateways.messages.ccxt.trades import time_of
from gateways.messages.exchanges import coin_code, mapped, optional_number, plain
from gateways.messages.fields import MessageFields
from gateways.messages.notes import events_of_parts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from gateways.messages.ccxt.settings import CcxtSettings
    from gateways.messages.mapped import MappedEvent

KIND = "Balance"
FIELDS = {
    "free": "AccountUpdated.available, by coin",
    "used": "AccountUpdated.frozen, by coin",
    "total": "AccountUpdated.balance, by coin; not of a spot account",
    "timestamp": "occurred_at",
    "datetime": "occurred_at",
    "COIN.free": "AccountUpdated.available",
    "COIN.used": "AccountUpdated.frozen",
    "COIN.total": "AccountUpdated.balance; not of a spot account",
}
LEFT_OUT = {
    "debt": "an account's update has no member for a loan",
    "COIN.debt": "an account's update has no member for a loan",
    "info": "the exchange's own form of the same",
}
_TABLES = ("total", "free", "used")
_NOT_COINS = frozenset({*_TABLES, "debt", "info", "timestamp", "datetime"})


def balance_events(settings: CcxtSettings, fields: MessageFields) -> tuple[MappedEvent, ...]:
    """Return an update for each coin that is stated, in any of the two forms, whatever is wrong with the others."""
    at = time_of(fields)
    coins = sorted(_coins(fields).items())
    events = events_of_parts(_of_coin(settings, figures, coin, at) for coin, figures in coins)
    if not events:
        fields.refuse("total", "states no coin")
    return events


def _of_coin(settings: CcxtSettings, figures: MessageFields, coin: str, at: int | None) -> Iterator[MappedEvent]:
    code = coin_code(figures, coin, coin, settings.codes)
    event = _update(settings, figures, code)
    if event is not None:
        identity = None if at is None else f"balance:{code}"
        yield mapped(figures, settings.account_stream, event, identity, at)


def _update(settings: CcxtSettings, figures: MessageFields, code: str) -> AccountUpdated | None:
    free, used = optional_number(figures, "free"), optional_number(figures, "used")
    total = optional_number(figures, "total")
    if total is None and free is not None and used is not None:
        total = plain(free + used)
    if free is None and used is None and total is None:
        return None
    # A spot account pays for what it buys, which is a position here: what is left of its cash is not its balance.
    return AccountUpdated(balance=None if settings.spot else total, available=free, frozen=used, currency=code)


def _coins(fields: MessageFields) -> dict[str, MessageFields]:
    """Return the figures of each coin: those under its name, completed by the tables of all coins."""
    found: dict[str, dict[str, object]] = {}
    for member in _TABLES:
        for coin, amount in _table(fields, member):
            found.setdefault(coin, {})[member] = amount
    for coin, value in fields.fields.items():
        if coin not in _NOT_COINS and isinstance(value, Mapping):
            named = {str(name): each for name, each in value.items() if each is not None}
            found[str(coin)] = {**found.get(str(coin), {}), **named}
    source, kind = fields.source, fields.kind
    return {coin: MessageFields(source, f"{kind}.{coin}", each, fields.whole) for coin, each in found.items()}


def _table(fields: MessageFields, member: str) -> Iterator[tuple[str, Decimal | object]]:
    table = fields.get(member)
    if isinstance(table, Mapping):
        yield from ((str(coin), amount) for coin, amount in table.items())
