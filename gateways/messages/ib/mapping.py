"""The mapping of ib_async's objects: which kind each is, by its members."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from gateways.messages.ib.accounts import position_events, result_events, value_events
from gateways.messages.ib.contracts import definition_events, is_combination
from gateways.messages.ib.executions import execution_id, fee_events, fill_events
from gateways.messages.ib.members import SOURCE, IbSettings, Members, members_of, refused
from gateways.messages.ib.orders import status_events, trade_events
from gateways.messages.notes import events_of_parts

if TYPE_CHECKING:
    from gateways.messages.mapped import FieldNames, MappedEvent

FIELDS: FieldNames = {
    "Execution": {
        "execId": "OrderFilled.trade_id; TradeCorrected.trade_id, correction_id",
        "time": "occurred_at",
        "acctNumber": "the stream's account",
        "side": "OrderFilled.side, TradeCorrected.side",
        "shares": "OrderFilled.quantity, TradeCorrected.quantity",
        "price": "OrderFilled.price, TradeCorrected.price",
        "orderId": "the order's stream, with clientId",
        "clientId": "the order's stream, with orderId",
        "permId": "the order's stream, of an order without orderId",
        "lastLiquidity": "OrderFilled.liquidity",
    },
    "CommissionReport": {
        "execId": "FeeCharged.trade_id",
        "commission": "FeeCharged.amount",
        "currency": "FeeCharged.currency",
    },
    "Fill": {
        "contract": "OrderFilled.symbol",
        "execution": "OrderFilled, TradeCorrected",
        "commissionReport": "FeeCharged",
    },
    "Trade": {
        "contract": "OrderReported.symbol",
        "order": "OrderReported",
        "orderStatus": "OrderReported",
        "fills": "OrderFilled; TradeExecuted of a combination's legs",
        "log": "occurred_at; OrderRejected.reason, of error 201",
    },
    "Order": {
        "orderId": "the order's stream, with clientId",
        "clientId": "the order's stream, with orderId",
        "permId": "OrderReported.broker_order_id; the stream of an order without orderId",
        "account": "the stream's account",
        "action": "OrderReported.side",
        "totalQuantity": "OrderReported.quantity",
        "filledQuantity": "OrderReported.filled_quantity, of a completed order",
        "orderType": "OrderReported.order_type",
        "lmtPrice": "OrderReported.limit_price",
        "auxPrice": "OrderReported.stop_price",
        "trailStopPrice": "OrderReported.stop_price, of a trailing stop",
        "parentId": "OrderReported.parent_order_id",
        "parentPermId": "OrderReported.parent_order_id, without parentId",
        "ocaGroup": "OrderReported.link_group",
        "whatIf": "no event: it is a question",
    },
    "OrderStatus": {
        "orderId": "the order's stream, with clientId",
        "clientId": "the order's stream, with orderId",
        "permId": "OrderReported.broker_order_id",
        "parentId": "OrderReported.parent_order_id",
        "status": "OrderReported.status, raw_status",
        "filled": "OrderReported.filled_quantity",
        "remaining": "whether filled states anything: both are 0 in an object that is new",
        "avgFillPrice": "OrderReported.average_fill_price",
    },
    "Position": {
        "account": "the stream's account",
        "contract": "PositionReported.symbol",
        "position": "PositionReported.quantity",
        "avgCost": "PositionReported.average_price, divided by the multiplier",
    },
    "PortfolioItem": {
        "account": "the stream's account",
        "contract": "PositionReported.symbol, PnlReported.symbol, currency",
        "position": "PositionReported.quantity",
        "averageCost": "PositionReported.average_price, divided by the multiplier",
        "unrealizedPNL": "PnlReported.unrealized",
        "realizedPNL": "PnlReported.realized",
    },
    "AccountValue": {
        "account": "the stream's account",
        "tag": "AccountUpdated.balance (TotalCashValue, or as the settings say), available (AvailableFunds), margin "
        "(MaintMarginReq)",
        "value": "AccountUpdated.balance, available, margin",
        "currency": "AccountUpdated.currency, not stated for BASE",
    },
    "PnL": {
        "account": "the stream's account",
        "unrealizedPnL": "PnlReported.unrealized",
        "realizedPnL": "PnlReported.realized",
    },
    "PnLSingle": {
        "account": "the stream's account",
        "conId": "PnlReported.symbol, by the settings",
        "unrealizedPnL": "PnlReported.unrealized",
        "realizedPnL": "PnlReported.realized",
    },
    "Contract": {
        "secType": "ContractDefined.asset; BAG is a combination, whose legs count",
        "conId": "ContractDefined.broker_ids, and the symbol that the settings have for it",
        "symbol": "ContractDefined.root of a future, base_currency of a pair or a coin",
        "localSymbol": "ContractDefined.symbol, and the symbol of every event",
        "lastTradeDateOrContractMonth": "ContractDefined.expiry",
        "multiplier": "ContractDefined.multiplier, divided by priceMagnifier",
        "exchange": "ContractDefined.exchange, without primaryExchange",
        "primaryExchange": "ContractDefined.exchange",
        "currency": "ContractDefined.currency, PnlReported.currency",
    },
    "ContractDetails": {
        "contract": "ContractDefined",
        "minTick": "ContractDefined.tick_size, times priceMagnifier",
        "priceMagnifier": "ContractDefined.multiplier, tick_size",
        "longName": "ContractDefined.name",
        "realExpirationDate": "ContractDefined.expiry",
    },
}
"""What each member becomes."""
_COUNTED = "the fold counts it from the executions"
_LIBRARY = "the library's own, not the broker's"
LEFT_OUT: FieldNames = {
    "Execution": {
        "exchange": "a fill has no exchange",
        "liquidation": "a forced execution is an execution",
        "cumQty": _COUNTED,
        "avgPrice": _COUNTED,
        "orderRef": "the order's stream names it",
        "evRule": "an economic value of contracts for differences",
        "evMultiplier": "an economic value of contracts for differences",
        "modelCode": "an account is one account, whatever its models",
        "pendingPriceRevision": "a revision comes as a correction",
    },
    "CommissionReport": {
        "realizedPNL": "the fold computes it; IB states none as 1.797e308, and the library that as 0",
        "yield_": "of bonds",
        "yieldRedemptionDate": "of bonds",
    },
    "Fill": {"time": "when the library received it; the execution has its time"},
    "Trade": {"advancedError": "a dialogue of the trading program"},
    "Order": {"any other member": "how the order was asked for; its submission is recorded by who sends it"},
    "OrderStatus": {
        "lastFillPrice": "the executions have the prices",
        "whyHeld": "of short sales",
        "mktCapPrice": "a cap of the venue",
    },
    "Position": {},
    "PortfolioItem": {
        "marketPrice": "a price without time and source is not a quote",
        "marketValue": "a price without time and source is not a quote",
    },
    "AccountValue": {"modelCode": "an account is one account, whatever its models", "any other tag": _COUNTED},
    "PnL": {"modelCode": "an account is one account, whatever its models", "dailyPnL": "its day is IB's own"},
    "PnLSingle": {
        "modelCode": "an account is one account, whatever its models",
        "dailyPnL": "its day is IB's own",
        "position": "positions are reported by themselves",
        "value": "a price without time and source is not a quote",
    },
    "Contract": {"any other member": "how a contract is looked for; conId is its identity"},
    "ContractDetails": {"any other member": "a market's rules, hours and names beyond those of a contract here"},
}
_TOGETHER = ("trade", "fill", "commissionReport")


class InteractiveBrokers(IbSettings, frozen=True):
    """Maps ib_async's objects, or dicts of the same members; nothing of the library is imported.

    A handler's arguments together are a dict: `{"trade": trade, "fill": fill}`, with `"commissionReport"` for the
    third. Only with its trade is a fill known to be a leg's. An order is `CLIENT-NUMBER` here, of clientId and orderId,
    as the program knows them when it sends it; one without orderId, such as one placed by hand, is its permId.
    """

    @property
    def source(self) -> str:
        return SOURCE

    def events(self, message: object) -> tuple[MappedEvent, ...]:
        """Return an object's events; raise Unmapped if it is none of IB's, or lacks what it means nothing without."""
        members = members_of(message)
        if not isinstance(members, Mapping):
            msg = "message"
            raise refused(msg, "expected one of ib_async's objects, or a dict of its members", message)
        if members.keys() <= {*_TOGETHER} and members:
            return events_of_parts((self._together(members, message),))
        return events_of_parts((self._alone(members, message),))

    def _together(self, parts: Mapping[str, object], message: object) -> Iterator[MappedEvent]:
        """Yield the events of a handler's arguments: the fill's, or else the trade's."""
        if "fill" not in parts:
            yield from self._alone(members_of(parts.get("trade", parts.get("commissionReport"))), message)
            return
        trade = parts.get("trade")
        is_leg = trade is not None and is_combination(Members("Trade", trade, self, message).inner("contract"))
        fill = members_of(parts["fill"])
        if "commissionReport" in parts and isinstance(fill, Mapping):
            fill = {**fill, "commissionReport": parts["commissionReport"]}
        yield from fill_events(Members("Fill", fill, self, message), is_leg=is_leg)

    def _alone(self, members: object, message: object) -> Iterator[MappedEvent]:
        kind = _kind_of(members)
        if kind is None:
            msg = "message"
            raise refused(msg, "has the members of no object of IB's that is known here", message)
        return _KINDS[kind][1](Members(kind, members, self, message))


def _alone_fee(report: Members) -> Iterator[MappedEvent]:
    return fee_events(report, report.account("account"), (execution_id(report).trade_id, None))


_KINDS: dict[str, tuple[frozenset[str], Callable[[Members], Iterator[MappedEvent]]]] = {
    "Trade": (frozenset({"order", "orderStatus", "contract"}), trade_events),
    "Fill": (frozenset({"contract", "execution"}), fill_events),
    "CommissionReport": (frozenset({"execId", "commission"}), _alone_fee),
    "OrderStatus": (frozenset({"status", "orderId"}), status_events),
    "Position": (frozenset({"contract", "avgCost"}), lambda of: position_events(of, "avgCost")),
    "PortfolioItem": (frozenset({"contract", "averageCost"}), lambda of: position_events(of, "averageCost")),
    "AccountValue": (frozenset({"tag", "value"}), value_events),
    "PnLSingle": (frozenset({"conId", "realizedPnL"}), result_events),
    "PnL": (frozenset({"account", "realizedPnL"}), result_events),
    "ContractDetails": (frozenset({"contract", "minTick"}), definition_events),
}
"""The members by which an object is known, the most telling first, and what makes events of it."""


def _kind_of(members: object) -> str | None:
    if not isinstance(members, Mapping):
        return None
    return next((kind for kind, (required, _) in _KINDS.items() if required <= members.keys()), None)
