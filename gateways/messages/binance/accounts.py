"""Binance's ACCOUNT_UPDATE: reports of balances and positions, which are states and never differences.

Binance API documentation, USD-M Futures, "Event: Balance and Position Update".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.trading import AccountUpdated, PositionReported, PositionSide
from gateways.messages.binance.names import symbol_of
from gateways.messages.exchanges import code_of, mapped, newest, number, side_held, stated
from gateways.messages.fields import MessageFields
from gateways.messages.notes import events_of_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gateways.messages.binance.settings import BinanceSettings
    from gateways.messages.mapped import MappedEvent

KIND = "ACCOUNT_UPDATE"
_FROM_PRICES = "computed here from the fills and the newest price"
_MARGIN = "a report of a position has no such member"
FIELDS = {
    "T": "occurred_at",
    "a.B.a": "AccountUpdated.currency",
    "a.B.wb": "AccountUpdated.balance",
    "a.P.s": "PositionReported.symbol",
    "a.P.pa": "PositionReported.quantity",
    "a.P.ep": "PositionReported.average_price",
    "a.P.ps": "PositionReported.position_side",
}
LEFT_OUT = {
    "e": "the kind of message",
    "E": "when it was sent: T is when it happened",
    "a.m": "the income history says why cash moved, with an id",
    "a.B.cw": "the wallet balance is all of it",
    "a.B.bc": "a difference without an id, which the income history has",
    "a.P.bep": _FROM_PRICES,
    "a.P.cr": _FROM_PRICES,
    "a.P.up": _FROM_PRICES,
    "a.P.mt": _MARGIN,
    "a.P.iw": _MARGIN,
    "a.P.ma": _MARGIN,
}


def account_events(settings: BinanceSettings, fields: MessageFields) -> tuple[MappedEvent, ...]:
    """Return a report for each coin and each position in the message, whatever is wrong with the others."""
    at, update = newest(fields, "T"), fields.inner("a")
    return events_of_parts(
        (
            *(
                _of_entry(update, "B", each, lambda entry: _balance(settings, entry, at))
                for each in _listed(update, "B")
            ),
            *(
                _of_entry(update, "P", each, lambda entry: _position(settings, entry, at))
                for each in _listed(update, "P")
            ),
        )
    )


def _listed(update: MessageFields, name: str) -> Sequence[object]:
    listed = update.get(name)
    if listed is None:
        return ()
    if not isinstance(listed, list | tuple):
        update.refuse(name, "is not a list")
    return listed


def _of_entry(
    update: MessageFields, name: str, entry: object, convert: Callable[[MessageFields], MappedEvent]
) -> Iterator[MappedEvent]:
    yield convert(MessageFields(update.source, f"{update.kind}.{name}", entry, update.whole))


def _balance(settings: BinanceSettings, fields: MessageFields, at: int | None) -> MappedEvent:
    code = code_of(fields, "a", settings.codes)
    event = AccountUpdated(balance=number(fields, "wb"), currency=code)
    return mapped(fields, settings.account_stream, event, None if at is None else f"balance:{code}", at)


def _position(settings: BinanceSettings, fields: MessageFields, at: int | None) -> MappedEvent:
    symbol, quantity = symbol_of(settings, fields, "s"), number(fields, "pa")
    side = side_held(fields) or PositionSide.NET
    price = stated(fields, "ep") if quantity else None
    event = PositionReported(symbol=symbol, quantity=quantity, average_price=price, position_side=side)
    stream = fields.stream("position", settings.account, symbol)
    return mapped(fields, stream, event, None if at is None else f"position:{symbol}:{side}", at)
