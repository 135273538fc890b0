"""The mapping of FIX messages, given as dicts of tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateways.messages.fix.codes import SOURCE
from gateways.messages.fix.executions import execution_events
from gateways.messages.fix.orders import order_events, rejection_events
from gateways.messages.fix.report import KINDS, FixReport
from gateways.messages.fix.settings import FixSettings
from gateways.messages.notes import events_of_parts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateways.messages.mapped import FieldNames, MappedEvent

_ORDER = {
    "OrderID (37)": "the order's stream, OrderReported.broker_order_id, OrderAccepted.broker_order_id",
    "ClOrdID (11)": "by which a Recorder finds the order; its stream, where the settings have it or OrderID is missing",
    "OrigClOrdID (41)": "the order's stream, as ClOrdID",
    "OrdStatus (39)": "OrderReported.status, raw_status",
    "Account (1)": "the stream's account",
    "Text (58)": "reason",
    "TransactTime (60)": "occurred_at, OrderReported.updated_at",
    "SendingTime (52)": "occurred_at, where TransactTime is missing",
}
FIELDS: FieldNames = {
    "ExecutionReport": _ORDER
    | {
        "ExecID (17)": "OrderFilled.trade_id, TradeCorrected.correction_id, and the key of each event",
        "ExecRefID (19)": "TradeCorrected.trade_id, TradeBusted.trade_id",
        "ExecType (150)": "which events, OrderReported.raw_status",
        "ExecTransType (20)": "which events, in FIX 4.2 and before",
        "Side (54)": "OrderFilled.side, TradeCorrected.side, TradeBusted.side, OrderReported.side",
        "Symbol (55)": "symbol",
        "SecurityID (48)": "symbol, where the settings name it",
        "MaturityMonthYear (200)": "symbol, of futures and options",
        "PutOrCall (201)": "symbol, of options",
        "StrikePrice (202)": "symbol, of options",
        "LastQty (32)": "OrderFilled.quantity, TradeCorrected.quantity",
        "LastPx (31)": "OrderFilled.price, TradeCorrected.price",
        "CumQty (14)": "OrderReported.filled_quantity",
        "AvgPx (6)": "OrderReported.average_fill_price",
        "OrderQty (38)": "OrderReported.quantity, OrderReplaced.quantity",
        "Price (44)": "OrderReported.limit_price, OrderReplaced.limit_price",
        "StopPx (99)": "OrderReported.stop_price, OrderReplaced.stop_price",
        "OrdType (40)": "OrderReported.order_type",
        "LeavesQty (151)": "OrderReported.status, of OrdStatus 5 in FIX 4.2",
        "OrdRejReason (103)": "OrderRejected.reason",
        "TradeDate (75)": "OrderFilled.trading_day, and the key of each event",
        "Commission (12)": "OrderFilled.fee",
        "CommType (13)": "OrderFilled.fee",
        "CommCurrency (479)": "OrderFilled.fee_currency",
        "Currency (15)": "OrderFilled.fee_currency, where CommCurrency and MiscFeeCurr are missing",
        "GrossTradeAmt (381)": "OrderFilled.fee, of a commission in percent",
        "NoMiscFees (136)": "OrderFilled.fee, FeeCharged",
        "MiscFeeAmt (137)": "OrderFilled.fee, FeeCharged.amount",
        "MiscFeeCurr (138)": "OrderFilled.fee_currency, FeeCharged.currency",
        "SecondaryExecID (527)": "OrderFilled.exchange_trade_id; of a copy (797=Y) OrderFilled.trade_id",
        "LastLiquidityInd (851)": "OrderFilled.liquidity",
        "MultiLegReportingType (442)": "which events: a leg is a TradeExecuted, the whole spread fills nothing",
        "CopyMsgIndicator (797)": "which id is that of the execution",
    },
    "OrderCancelReject": _ORDER
    | {
        "CxlRejResponseTo (434)": "OrderCancelRejected or OrderReplaceRejected",
        "CxlRejReason (102)": "reason",
    },
}
"""What each field becomes; without an event's name, what all of the report's events share."""
_REPEATED = "the ids of the events show whether a message came before"
LEFT_OUT: FieldNames = {
    "ExecutionReport": {
        "TimeInForce (59)": "only an order's submission has one",
        "PositionEffect (77)": "the fold knows whether a trade opens or closes",
        "ClOrdLinkID (583)": "it links orders in any sense, not only those of which a fill ends the others",
        "ListID (66)": "a list is not a group of which a fill ends the others",
        "ExecRestatementReason (378)": "what is restated says more: it is a replacement or a report",
        "WorkingIndicator (636)": "OrdStatus has the state",
        "MiscFeeType (139)": "a trade's fees are one sum for each currency",
        "PossDupFlag (43)": _REPEATED,
        "PossResend (97)": _REPEATED,
        "Commission of a correction (12, 150=G)": "FIX does not say whether it is the whole or the difference",
        "any other tag": "it says nothing of order, trade or cost",
    },
    "OrderCancelReject": {"any other tag": "it says nothing of the order"},
}


class Fix(FixSettings, frozen=True):
    """Maps ExecutionReports and OrderCancelRejects: dicts by tag, as `{35: "8", …}`, with groups as lists of dicts."""

    @property
    def source(self) -> str:
        return SOURCE

    def events(self, message: Mapping[str, object]) -> tuple[MappedEvent, ...]:
        """Return a message's events, those of its trade and of its order whatever is wrong with the other ones.

        Raises Unmapped if it is neither kind, or lacks what it means nothing without.
        """
        report = FixReport(message, self)
        if report.kind == KINDS["9"]:
            return tuple(rejection_events(report))
        found = events_of_parts((execution_events(report), order_events(report)))
        if not found:
            report.refuse("OrderID", "identifies nothing, and the report has no trade")
        return found
