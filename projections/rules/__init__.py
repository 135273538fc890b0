"""The shipped rules: policies with parameters in limits, and those that keep the clock."""

from projections.rules.activity import Cooldown, TradeLimit
from projections.rules.base import Breach, Rule
from projections.rules.consistency import Consistency
from projections.rules.drawdown import EquityMarks, TrailingDrawdown
from projections.rules.exposure import Blackouts, MaximumContracts, SymbolBlock
from projections.rules.loss import DailyLoss, DailyProfit, WeeklyLoss
from projections.rules.schedule import LockoutExpiry, SessionKeeper
from projections.rules.shipped import shipped_rules

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
