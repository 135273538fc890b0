"""Tags and codes of FIX 4.4 (fixtrading.org, FIX 4.4 volume 6), and what they mean here."""

from eventstore.trading import Liquidity, OrderStatus, OrderType, Side

SOURCE = "fix"

TAGS = {
    1: "Account", 6: "AvgPx", 11: "ClOrdID", 12: "Commission", 13: "CommType", 14: "CumQty", 15: "Currency",
    17: "ExecID", 19: "ExecRefID", 20: "ExecTransType", 31: "LastPx", 32: "LastQty", 35: "MsgType", 37: "OrderID",
    38: "OrderQty", 39: "OrdStatus", 40: "OrdType", 41: "OrigClOrdID", 43: "PossDupFlag", 44: "Price",
    48: "SecurityID", 52: "SendingTime", 54: "Side", 55: "Symbol", 58: "Text", 59: "TimeInForce", 60: "TransactTime",
    66: "ListID", 75: "TradeDate", 77: "PositionEffect", 97: "PossResend", 99: "StopPx", 102: "CxlRejReason",
    103: "OrdRejReason", 136: "NoMiscFees", 137: "MiscFeeAmt", 138: "MiscFeeCurr", 139: "MiscFeeType",
    150: "ExecType", 151: "LeavesQty", 200: "MaturityMonthYear", 201: "PutOrCall", 202: "StrikePrice",
    378: "ExecRestatementReason", 381: "GrossTradeAmt", 434: "CxlRejResponseTo", 442: "MultiLegReportingType",
    479: "CommCurrency", 527: "SecondaryExecID", 583: "ClOrdLinkID", 636: "WorkingIndicator",
    797: "CopyMsgIndicator", 851: "LastLiquidityInd",
}  # fmt: skip
"""The tags that are read, or left out with a reason; any other is left out."""

STATUSES = {
    "0": OrderStatus.NEW,
    "1": OrderStatus.PARTIALLY_FILLED,
    "2": OrderStatus.FILLED,
    "3": OrderStatus.SUSPENDED,
    "4": OrderStatus.CANCELED,
    "6": OrderStatus.PENDING_CANCEL,
    "8": OrderStatus.REJECTED,
    "9": OrderStatus.SUSPENDED,
    "A": OrderStatus.PENDING_NEW,
    "B": OrderStatus.SUSPENDED,
    "C": OrderStatus.EXPIRED,
    "E": OrderStatus.PENDING_REPLACE,
}
"""OrdStatus (39). Done for day (3) and calculated (B) are SUSPENDED: what is left works again, or expires. Stopped (7)
and accepted for bidding (D) are UNKNOWN, which leaves an order as it was; CME's 39=G and 39=H too."""

SIDES = {"1": Side.BUY, "2": Side.SELL, "3": Side.BUY, "4": Side.SELL, "5": Side.SELL, "6": Side.SELL}
"""Side (54): buy, sell, buy minus, sell plus, sell short, sell short exempt."""

ORDER_TYPES = {
    "1": OrderType.MARKET,
    "2": OrderType.LIMIT,
    "3": OrderType.STOP,
    "4": OrderType.STOP_LIMIT,
    "J": OrderType.MARKET_IF_TOUCHED,
}
"""OrdType (40); any other is not stated."""

LIQUIDITIES = {"1": Liquidity.ADDED, "2": Liquidity.REMOVED, "3": Liquidity.ROUTED_OUT}
"""LastLiquidityInd (851)."""

EXEC_TRANS_TYPES = {"1": "H", "2": "G", "3": "I"}
"""ExecTransType (20) of FIX 4.2 and before: cancel, correct and status, as the ExecType that 4.4 has for it."""
FILLS = frozenset({"F", "1", "2"})
"""Trade, and partial fill and fill as versions before 4.3 have them."""
MONTH_LETTERS = "FGHJKMNQUVXZ"

ORDER_REJECTIONS = {
    "0": "broker or exchange option", "1": "unknown symbol", "2": "exchange closed", "3": "order exceeds limit",
    "4": "too late to enter", "5": "unknown order", "6": "duplicate order", "11": "unsupported order characteristic",
    "13": "incorrect quantity", "15": "unknown account", "99": "other",
}  # fmt: skip
"""OrdRejReason (103)."""
DUPLICATE_ORDER = "6"
CANCEL_REJECTIONS = {
    "0": "too late to cancel", "1": "unknown order", "2": "broker or exchange option", "3": "already pending",
    "6": "duplicate ClOrdID", "99": "other",
}  # fmt: skip
"""CxlRejReason (102)."""
UNKNOWN_ORDER = "1"
