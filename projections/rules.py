"""The shipped rules: kinds of limits, which are policies with parameters in limits, and those that keep the clock."""

from projections.risk.limits.blackout import Blackouts
from projections.risk.limits.breaches import Breach
from projections.risk.limits.consistency import Consistency
from projections.risk.limits.cooldown import Cooldown
from projections.risk.limits.daily_loss import DailyLoss
from projections.risk.limits.daily_profit import DailyProfit
from projections.risk.limits.hours import Hours
from projections.risk.limits.kind import Compared, LimitKind, Measure, RestsOn
from projections.risk.limits.marks import EquityMarks
from projections.risk.limits.maximum_contracts import MaximumContracts
from projections.risk.limits.schedule import LockoutExpiry, SessionKeeper
from projections.risk.limits.shipped import shipped_rules
from projections.risk.limits.symbol_block import SymbolBlock
from projections.risk.limits.trade_limit import TradeLimit
from projections.risk.limits.trailing_drawdown import TrailingDrawdown
from projections.risk.limits.weekly_loss import WeeklyLoss
from projections.views.limits.directions import BLOCKED, EITHER, HIGHER, LOWER, Measured, by_name, from_loose_to_strict
from projections.views.limits.parameters import Parameters

Rule = LimitKind
"""The name that a kind of limit had before it was also what checks an order."""

__all__ = [
    "BLOCKED",
    "EITHER",
    "HIGHER",
    "LOWER",
    "Blackouts",
    "Breach",
    "Compared",
    "Consistency",
    "Cooldown",
    "DailyLoss",
    "DailyProfit",
    "EquityMarks",
    "Hours",
    "LimitKind",
    "LockoutExpiry",
    "MaximumContracts",
    "Measure",
    "Measured",
    "Parameters",
    "RestsOn",
    "Rule",
    "SessionKeeper",
    "SymbolBlock",
    "TradeLimit",
    "TrailingDrawdown",
    "WeeklyLoss",
    "by_name",
    "from_loose_to_strict",
    "shipped_rules",
]
