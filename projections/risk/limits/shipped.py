"""Every shipped policy, in the order in which they are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from projections.risk.limits.activity import Cooldown, TradeLimit
from projections.risk.limits.consistency import Consistency
from projections.risk.limits.drawdown import EquityMarks, TrailingDrawdown
from projections.risk.limits.exposure import Blackouts, MaximumContracts, SymbolBlock
from projections.risk.limits.loss import DailyLoss, DailyProfit, WeeklyLoss
from projections.risk.limits.schedule import LockoutExpiry, SessionKeeper

if TYPE_CHECKING:
    from collections.abc import Mapping

    from projections.risk.policies import Policy
    from projections.sessions import Calendar


def shipped_rules(calendars: Calendar | Mapping[str, Calendar] | None = None) -> tuple[Policy, ...]:
    """Return every shipped policy; the calendars, by default the book's, say when trading days are reset.

    Trading days come first: what the rules then find is of the day that just began.
    """
    return (
        SessionKeeper(calendars),
        LockoutExpiry(),
        EquityMarks(),
        DailyLoss(),
        WeeklyLoss(),
        DailyProfit(),
        TrailingDrawdown(),
        TradeLimit(),
        Cooldown(),
        MaximumContracts(),
        SymbolBlock(),
        Blackouts(),
        Consistency(),
    )
