"""The gateway's numbers: sides, kinds of orders, statuses, and why a request failed.

ProjectX Gateway API, "Real Time Data Overview" and "Place an Order" (gateway.docs.projectx.com); the statuses 7 and 8,
and the links of an order, are as in the client projectx-client 6.1.0 (docs.rs). The names of the numbers are taken as
well. What is not here is unknown: it is recorded as it is, and never taken for something that it resembles.
"""

from typing import TypeVar

from eventstore.trading import OrderStatus, OrderType, Side

T = TypeVar("T")


def _named(meanings: dict[int, tuple[str, T]]) -> dict[int | str, T]:
    """Return meanings by number and by name."""
    by_number: dict[int | str, T] = {number: meaning for number, (_, meaning) in meanings.items()}
    return by_number | dict(meanings.values())


SIDES = _named({0: ("Bid", Side.BUY), 1: ("Ask", Side.SELL)})
STATUSES = _named(
    {
        1: ("Open", OrderStatus.NEW),
        2: ("Filled", OrderStatus.FILLED),
        3: ("Cancelled", OrderStatus.CANCELED),
        4: ("Expired", OrderStatus.EXPIRED),
        5: ("Rejected", OrderStatus.REJECTED),
        6: ("Pending", OrderStatus.PENDING_NEW),
        7: ("PendingCancellation", OrderStatus.PENDING_CANCEL),
        8: ("Suspended", OrderStatus.SUSPENDED),
    }
)
ORDER_TYPES = _named(
    {
        1: ("Limit", OrderType.LIMIT),
        2: ("Market", OrderType.MARKET),
        3: ("StopLimit", OrderType.STOP_LIMIT),
        4: ("Stop", OrderType.STOP),
        5: ("TrailingStop", OrderType.TRAILING_STOP),
        6: ("JoinBid", OrderType.JOIN_BID),
        7: ("JoinAsk", OrderType.JOIN_ASK),
    }
)
POSITION_SIGNS = _named({1: ("Long", 1), 2: ("Short", -1)})
DELETED = 2
"""The action of an envelope that takes its object away; 0 and 1 create and change it."""
PLACE_ERRORS = {
    1: "AccountNotFound",
    2: "OrderRejected",
    3: "InsufficientFunds",
    4: "AccountViolation",
    5: "OutsideTradingHours",
    8: "ContractNotFound",
    9: "ContractNotActive",
    10: "AccountRejected",
}
"""Codes of Order/place after which no order works. After 6 OrderPending and 7 UnknownError one may."""
