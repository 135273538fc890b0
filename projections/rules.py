"""The shipped rules: policies with parameters in limits, and those that keep the clock."""

from projections.risk.limits.activity import Cooldown, TradeLimit
from projections.risk.limits.base import Breach, Rule
from projections.risk.limits.consistency import Consistency
from projections.risk.limits.drawdown import TrailingDrawdown
from projections.risk.limits.exposure import Blackouts, MaximumContracts, SymbolBlock
from projections.risk.limits.loss import DailyLoss, DailyProfit, WeeklyLoss
from projections.risk.limits.marks import EquityMarks
from projections.risk.limits.schedule import LockoutExpiry, SessionKeeper
from projections.risk.limits.shipped import shipped_rules

__all__ = [
    "Blackouts",
    "Breach",
    "Consistency",
    "Cooldown",
    "DailyLoss",
    "DailyProfit",
    "EquityMarks",
    "LockoutExpiry",
    "MaximumContracts",
    "Rule",
    "SessionKeeper",
    "SymbolBlock",
    "TradeLimit",
    "TrailingDrawdown",
    "WeeklyLoss",
    "shipped_rules",
]
