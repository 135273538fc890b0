"""The words of trading, as FIX 4.4 has them (fixtrading.org, FIX 4.4 volumes 4 and 6)."""

import enum


class Side(enum.StrEnum):
    """FIX 54."""

    BUY = "BUY"
    SELL = "SELL"


class OrderType(enum.StrEnum):
    """FIX 40, and the types that futures platforms add."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"
    TRAILING_STOP = "TRAILING_STOP"
    MARKET_IF_TOUCHED = "MARKET_IF_TOUCHED"
    LIMIT_IF_TOUCHED = "LIMIT_IF_TOUCHED"
    JOIN_BID = "JOIN_BID"
    JOIN_ASK = "JOIN_ASK"


class OrderStatus(enum.StrEnum):
    """FIX 39; UNKNOWN is an order known only from a report, or from an event without a submission."""

    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    CANCELED = "CANCELED"
    PENDING_REPLACE = "PENDING_REPLACE"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    SUSPENDED = "SUSPENDED"
    UNKNOWN = "UNKNOWN"


class TimeInForce(enum.StrEnum):
    """FIX 59."""

    DAY = "DAY"
    GOOD_TILL_CANCEL = "GOOD_TILL_CANCEL"
    AT_THE_OPENING = "AT_THE_OPENING"
    IMMEDIATE_OR_CANCEL = "IMMEDIATE_OR_CANCEL"
    FILL_OR_KILL = "FILL_OR_KILL"
    GOOD_TILL_CROSSING = "GOOD_TILL_CROSSING"
    GOOD_TILL_DATE = "GOOD_TILL_DATE"
    AT_THE_CLOSE = "AT_THE_CLOSE"
    GTC = "GOOD_TILL_CANCEL"
    IOC = "IMMEDIATE_OR_CANCEL"
    FOK = "FILL_OR_KILL"
    GTX = "GOOD_TILL_CROSSING"
    GTD = "GOOD_TILL_DATE"


class PositionSide(enum.StrEnum):
    """Which of a venue's positions: NET where it keeps one, LONG and SHORT where it keeps both."""

    NET = "NET"
    LONG = "LONG"
    SHORT = "SHORT"


class PositionEffect(enum.StrEnum):
    """FIX 77, with the two closings that Chinese venues distinguish."""

    OPEN = "OPEN"
    CLOSE = "CLOSE"
    ROLLED = "ROLLED"
    FIFO = "FIFO"
    CLOSE_TODAY = "CLOSE_TODAY"
    CLOSE_YESTERDAY = "CLOSE_YESTERDAY"


class Liquidity(enum.StrEnum):
    """FIX 851."""

    ADDED = "ADDED"
    REMOVED = "REMOVED"
    ROUTED_OUT = "ROUTED_OUT"


class AdjustmentReason(enum.StrEnum):
    """Why a position changed without a fill."""

    OPENING = "OPENING"
    EXPIRY = "EXPIRY"
    ASSIGNMENT = "ASSIGNMENT"
    SPLIT = "SPLIT"
    TRANSFER = "TRANSFER"
    RECONCILED = "RECONCILED"


class Allows(enum.StrEnum):
    """What a lockout still lets through."""

    REDUCE_ONLY = "REDUCE_ONLY"
    NOTHING = "NOTHING"


class EnforcementAction(enum.StrEnum):
    """What a rule wants done."""

    CANCEL_ORDERS = "CANCEL_ORDERS"
    FLATTEN = "FLATTEN"
    FLATTEN_SYMBOL = "FLATTEN_SYMBOL"
    REDUCE_TO = "REDUCE_TO"
    NONE = "NONE"


class Protection(enum.StrEnum):
    """Whether the limits of an account act."""

    ARMED = "ARMED"
    SHADOW = "SHADOW"
    """What they would do is recorded; nothing is locked, asked for or rejected."""


class CashKind(enum.StrEnum):
    """Why cash moved: the first four bring or take capital, the others are a result."""

    DEPOSIT = "DEPOSIT"
    WITHDRAWAL = "WITHDRAWAL"
    TRANSFER = "TRANSFER"
    PAYOUT = "PAYOUT"
    FEE = "FEE"
    FUNDING = "FUNDING"
    INTEREST = "INTEREST"
    DIVIDEND = "DIVIDEND"


class CashAtReset(enum.StrEnum):
    """To which trading day cash that moves exactly at a reset belongs."""

    DAY_THAT_ENDS = "day-that-ends"
    DAY_THAT_BEGINS = "day-that-begins"


class Severity(enum.StrEnum):
    """What reaching a limit leads to: a warning that is recorded, or a lockout with what its rule enforces."""

    WARNING = "WARNING"
    LOCKOUT = "LOCKOUT"


class Payoff(enum.StrEnum):
    """How a contract's result follows from its prices."""

    LINEAR = "LINEAR"
    """Quantity × multiplier × (exit − entry)."""
    INVERSE = "INVERSE"
    """Quantity × multiplier × (1 ÷ entry − 1 ÷ exit), in the base currency: a coin-margined contract."""


class Asset(enum.StrEnum):
    """What kind of instrument a contract is."""

    FUTURE = "FUTURE"
    OPTION = "OPTION"
    STOCK = "STOCK"
    FX = "FX"
    CRYPTO = "CRYPTO"


class Valuation(enum.StrEnum):
    """Which price an account's positions are valued at."""

    MARK = "mark"
    """The mark or settlement price that the venue states."""
    LAST_WITHIN_SPREAD = "last-within-spread"
    """The last price, held within bid and ask where these are newer."""
    LAST = "last"
    MID = "mid"
    LIQUIDATION = "liquidation"
    """The bid for what is long, the ask for what is short."""


class Baseline(enum.StrEnum):
    """What a trading day's result on equity basis is measured from."""

    BALANCE_AT_RESET = "balance-at-reset"
    EQUITY_AT_RESET = "equity-at-reset"
    MAXIMUM = "maximum"
    """The greater of the two, and so the strictest."""


class Cost(enum.StrEnum):
    """Which realized result limits and reports use."""

    FIFO = "fifo"
    AVERAGE = "average"


class Unpriced(enum.StrEnum):
    """What an account with an open position and no usable price is locked to, or asked for, after a while."""

    REDUCE_ONLY = "REDUCE_ONLY"
    NOTHING = "NOTHING"
    FLATTEN = "FLATTEN"


class Verdict(enum.StrEnum):
    """What a check before an order says of it."""

    PASS = "PASS"  # noqa: S105 - no password
    WARNING = "WARNING"
    REJECT = "REJECT"
