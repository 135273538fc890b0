"""The vocabulary of trading: orders, trades, positions, accounts, lockouts, limits, sessions, quotes and the rest."""

from eventstore.trading.accounts import AccountOpened, AccountUpdated, CashMoved
from eventstore.trading.contracts import ContractDefined, Marked
from eventstore.trading.enforcement import EnforcementRequested, EnforcementTaken
from eventstore.trading.enums import (
    AdjustmentReason,
    Allows,
    CashKind,
    EnforcementAction,
    Liquidity,
    OrderStatus,
    OrderType,
    PositionEffect,
    PositionSide,
    Severity,
    Side,
    TimeInForce,
    Verdict,
)
from eventstore.trading.limits import LimitBreached, LimitsSet
from eventstore.trading.lockouts import ClockJumped, LockoutCleared, LockoutExpired, LockoutExtended, LockoutSet
from eventstore.trading.orders import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderCancelRequested,
    OrderExpired,
    OrderFilled,
    OrderReduced,
    OrderRejected,
    OrderReplaced,
    OrderReplaceRejected,
    OrderReplaceRequested,
    OrderReported,
    OrderSubmitted,
    OrderTriggered,
)
from eventstore.trading.pnl import EquityMarked, PnlReported, QuoteUsed
from eventstore.trading.positions import PositionAdjusted, PositionReported
from eventstore.trading.quotes import QuoteReceived
from eventstore.trading.risk import BlackoutCanceled, BlackoutScheduled, RiskChecked
from eventstore.trading.sessions import SessionClosed, SessionOpened, SessionReset
from eventstore.trading.strategies import PairStateSaved, PortfolioSaved
from eventstore.trading.timers import TimerCanceled, TimerStarted
from eventstore.trading.trades import FeeCharged, TradeBusted, TradeCorrected, TradeExecuted

__all__ = [
    "AccountOpened",
    "AccountUpdated",
    "AdjustmentReason",
    "Allows",
    "BlackoutCanceled",
    "BlackoutScheduled",
    "CashKind",
    "CashMoved",
    "ClockJumped",
    "ContractDefined",
    "EnforcementAction",
    "EnforcementRequested",
    "EnforcementTaken",
    "EquityMarked",
    "FeeCharged",
    "LimitBreached",
    "LimitsSet",
    "Liquidity",
    "LockoutCleared",
    "LockoutExpired",
    "LockoutExtended",
    "LockoutSet",
    "Marked",
    "OrderAccepted",
    "OrderCancelRejected",
    "OrderCancelRequested",
    "OrderCanceled",
    "OrderExpired",
    "OrderFilled",
    "OrderReduced",
    "OrderRejected",
    "OrderReplaceRejected",
    "OrderReplaceRequested",
    "OrderReplaced",
    "OrderReported",
    "OrderStatus",
    "OrderSubmitted",
    "OrderTriggered",
    "OrderType",
    "PairStateSaved",
    "PnlReported",
    "PortfolioSaved",
    "PositionAdjusted",
    "PositionEffect",
    "PositionReported",
    "PositionSide",
    "QuoteReceived",
    "QuoteUsed",
    "RiskChecked",
    "SessionClosed",
    "SessionOpened",
    "SessionReset",
    "Severity",
    "Side",
    "TimeInForce",
    "TimerCanceled",
    "TimerStarted",
    "TradeBusted",
    "TradeCorrected",
    "TradeExecuted",
    "Verdict",
]
