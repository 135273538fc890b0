"""Sentences about executions, positions, and what comes later of a trade."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.trading import (
    AdjustmentReason,
    FeeCharged,
    OrderFilled,
    PositionAdjusted,
    PositionReported,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections.auditing.sentences.wording import (
    Said,
    because,
    bought_or_sold,
    listed,
    money,
    of_side,
    price,
    quantity,
    realized_by,
    standing,
)
from projections.views.executions.positions import Position
from projections.views.executions.trades import Trade

if TYPE_CHECKING:
    from projections.auditing.sentences.wording import Sentences


def _executed(event: OrderFilled | TradeExecuted, said: Said) -> str:
    what = f"{quantity(event.quantity)} {event.symbol} at {price(event.price)}{of_side(event.position_side)}"
    done = f"{bought_or_sold(event.side)} {what}"
    trades = list(said.of("trades", Trade))
    if said.knows("trades") and not any(before is None for before, _ in trades):
        return f"Reported again: {done}, trade {event.trade_id}{_then(_results(said), '; the position is unchanged')}"
    fee = "" if not event.fee else f"; fee {money(event.fee, event.fee_currency)}"
    return f"{done[0].upper()}{done[1:]}{_then(_results(said))}{fee}"


def _fee(event: FeeCharged, _said: Said) -> str:
    kind = "rebate" if event.amount < 0 else "fee"
    of = "" if event.symbol is None else f" in {event.symbol}"
    return f"A {kind} of {money(abs(event.amount), event.currency)} came for trade {event.trade_id}{of}"


def _busted(event: TradeBusted, said: Said) -> str:
    figures = ""
    if event.quantity is not None and event.symbol is not None:
        figures = f", {bought_or_sold(event.side)} {quantity(event.quantity)} {event.symbol} at {price(event.price)}"
    return f"The venue busted trade {event.trade_id}{figures}{_then(_results(said))}{because(event.reason)}"


def _corrected(event: TradeCorrected, said: Said) -> str:
    was = ""
    if event.previous_quantity is not None or event.previous_price is not None:
        was = f" instead of {quantity(event.previous_quantity)} at {price(event.previous_price)}"
    in_symbol = "" if event.symbol is None else f" in {event.symbol}"
    now = f"{quantity(event.quantity)} at {price(event.price)}{was}"
    return f"The venue corrected trade {event.trade_id}{in_symbol}: {now}{_then(_results(said))}{because(event.reason)}"


_ADJUSTED = {
    AdjustmentReason.OPENING: "began with",
    AdjustmentReason.EXPIRY: "changed by expiry, by",
    AdjustmentReason.ASSIGNMENT: "changed by assignment, by",
    AdjustmentReason.SPLIT: "changed by a split, by",
    AdjustmentReason.TRANSFER: "changed by a transfer, by",
    AdjustmentReason.RECONCILED: "was reconciled with the broker's, by",
}


def _adjusted(event: PositionAdjusted, said: Said) -> str:
    name = f"The position in {event.symbol}{of_side(event.position_side)}"
    at = "" if event.price is None else f" at {price(event.price)}"
    if not event.quantity:
        return f"{name}: what {event.reason.lower()} had changed without a price counts{at}{because(event.note)}"
    return f"{name} {_ADJUSTED[event.reason]} {signed_quantity(event)}{at}{_then(_results(said))}{because(event.note)}"


def signed_quantity(event: PositionAdjusted) -> str:
    """Return by how much a position was adjusted, with its sign."""
    return f"{'+' if event.quantity > 0 else ''}{quantity(event.quantity)}"


def _position_reported(event: PositionReported, said: Said) -> str:
    where = f"{event.symbol}{of_side(event.position_side)}"
    if not event.quantity:
        what = f"no position in {where}"
    else:
        at = "" if event.average_price is None else f" at {price(event.average_price)}"
        what = f"{'long' if event.quantity > 0 else 'short'} {quantity(abs(event.quantity))} {where}{at}"
    differs = [after.difference for _, after in said.of("positions", Position) if after is not None]
    by = next((each for each in differs if each), None)
    difference = "" if by is None else f", {'+' if by > 0 else ''}{quantity(by)} beyond the fills"
    return f"The broker reports {what}{difference}"


def _results(said: Said) -> list[str]:
    """Return what became of each position that the record changed, and what that realized."""
    found = []
    changed = [(before, after) for before, after in said.of("positions", Position) if after is not None]
    for before, after in changed:
        moved = before is None or before.quantity != after.quantity
        name = f"{after.symbol}{of_side(after.side)}: " if len(changed) > 1 else ""
        parts = [standing(before, after) if moved else "", realized_by(before, after, said.cost)]
        if any(parts):
            found.append(name + "; ".join(filter(None, parts)))
    return found


def _then(results: list[str], otherwise: str = "") -> str:
    return f", {listed(results)}" if results else otherwise


SENTENCES: Sentences = {
    OrderFilled: _executed,
    TradeExecuted: _executed,
    FeeCharged: _fee,
    TradeBusted: _busted,
    TradeCorrected: _corrected,
    PositionAdjusted: _adjusted,
    PositionReported: _position_reported,
}
