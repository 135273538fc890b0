"""Trades, corrections and busts of ExecutionReports, and what they cost."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from eventstore.trading import FeeCharged, OrderFilled, TradeBusted, TradeCorrected, TradeExecuted
from gateways.messages.fields import MessageFields
from gateways.messages.fix.codes import FILLS, LIQUIDITIES, SIDES, SOURCE
from gateways.messages.mapped import MappedEvent, Unmapped
from gateways.messages.notes import note_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateways.messages.fix.report import FixReport

_HUNDRED = Decimal(100)
_PER_UNIT, _PERCENT, _ABSOLUTE = "1", "2", "3"

Fees = list[tuple[Decimal, str | None]]
"""Amounts paid, each with its currency."""


def execution_events(report: FixReport) -> Iterator[MappedEvent]:
    """Yield what a report says of a trade; nothing if it is about the order alone, or about a spread as a whole."""
    exec_type = report.exec_type
    if exec_type in FILLS and not report.is_whole_of_legs:
        yield from _fill(report)
    elif exec_type == "G" and not report.is_whole_of_legs:
        yield from _correction(report)
    elif exec_type == "H" and not report.is_whole_of_legs:
        yield _bust(report)


def _fill(report: FixReport) -> Iterator[MappedEvent]:
    if not report.optional_decimal("LastQty"):
        # A trade of nothing, as some venues report the last state of an order.
        return
    trade_id, order_id, fees = report.execution_id(), report.order_id(), _fees(report)
    (fee, currency), *others = fees or [(Decimal(0), None)]
    members = {
        "trade_id": trade_id,
        "symbol": _symbol(report),
        "side": report.choice("Side", SIDES),
        "quantity": report.positive("LastQty"),
        "price": report.decimal("LastPx"),
        "fee": fee,
        "fee_currency": currency,
        "exchange_trade_id": report.optional_identity("SecondaryExecID"),
        "liquidity": LIQUIDITIES.get(report.stated("LastLiquidityInd")),
        "trading_day": report.trading_day(),
    }
    # A leg is not of the instrument that its order is for: it counts for the position alone.
    if order_id is None or report.is_leg:
        stream = report.stream("trade", report.account, trade_id)
        yield report.mapped(stream, TradeExecuted(**members), "trade")  # type: ignore[arg-type]
    else:
        stream = report.stream("order", report.account, order_id)
        yield report.mapped(stream, OrderFilled(**members), "trade")  # type: ignore[arg-type]
    stream = report.stream("trade", report.account, trade_id)
    for amount, other in others:
        charged = FeeCharged(trade_id=trade_id, amount=amount, currency=other)
        yield report.mapped(stream, charged, f"fee {other}")
    if _commission(report) is None and report.optional_decimal("Commission"):
        why = "Commission (12) is neither an amount nor a percentage of GrossTradeAmt (381), and not recorded"
        yield note_of(Unmapped(SOURCE, report.kind, why, report.whole))


def _correction(report: FixReport) -> Iterator[MappedEvent]:
    """A correction names the trade, or the correction before it: the fold knows which trade that is."""
    trade_id = report.identity("ExecRefID")
    stream = report.stream("trade", report.account, trade_id)
    quantity = report.decimal("LastQty")
    if not quantity:
        busted = TradeBusted(trade_id=trade_id, symbol=_symbol(report), reason=report.stated("Text"))
        yield report.mapped(stream, busted, "bust")
        return
    corrected = TradeCorrected(
        trade_id=trade_id,
        quantity=report.positive("LastQty"),
        price=report.decimal("LastPx"),
        symbol=_symbol(report),
        side=report.side(),
        reason=report.stated("Text"),
        correction_id=report.execution_id(),
    )
    yield report.mapped(stream, corrected, "correction")


def _bust(report: FixReport) -> MappedEvent:
    trade_id = report.identity("ExecRefID")
    busted = TradeBusted(trade_id=trade_id, symbol=_symbol(report), side=report.side(), reason=report.stated("Text"))
    return report.mapped(report.stream("trade", report.account, trade_id), busted, "bust")


def _symbol(report: FixReport) -> str:
    symbol = report.symbol()
    if symbol is None:
        report.refuse("Symbol", "is missing")
    return symbol


def _fees(report: FixReport) -> Fees:
    """Return a fill's commission and other fees, one sum for each currency."""
    deal = report.optional_text("Currency")
    sums: dict[str | None, Decimal] = {}
    commission = _commission(report)
    if commission:
        currency = report.optional_text("CommCurrency") or deal
        sums[currency] = commission
    for entry in _misc_fees(report):
        amount = entry.optional_decimal("MiscFeeAmt")
        if amount:
            currency = entry.optional_text("MiscFeeCurr") or deal
            sums[currency] = sums.get(currency, Decimal(0)) + amount
    return [(amount, currency) for currency, amount in sums.items() if amount]


def _commission(report: FixReport) -> Decimal | None:
    """Return a commission as money; None where it is not stated, or cannot be computed."""
    commission = report.optional_decimal("Commission")
    if commission is None:
        return None
    kind = report.stated("CommType") or _ABSOLUTE
    if kind == _PER_UNIT:
        return commission * report.decimal("LastQty")
    if kind == _PERCENT:
        amount = report.optional_decimal("GrossTradeAmt")
        return None if amount is None else commission * amount / _HUNDRED
    return commission if kind == _ABSOLUTE else None


def _misc_fees(report: FixReport) -> Iterator[MessageFields]:
    """Yield the entries of the group of fees; a dict without groups has the members of one entry in it."""
    group = report.get("NoMiscFees")
    for entry in group if isinstance(group, list) else [report.fields]:
        yield MessageFields(SOURCE, f"{report.kind}.NoMiscFees", entry, report.whole)
