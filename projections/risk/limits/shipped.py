"""Every shipped policy, in the order in which they are evaluated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from projections.risk.limits.activity import Cooldown, TradeLimit
from projections.risk.limits.consistency import Consistency
from projections.risk.limits.drawdown import TrailingDrawdown
from projections.risk.limits.evidence import QuotesEvidence
from projections.risk.limits.exposure import Blackouts, MaximumContracts, SymbolBlock
from projections.risk.limits.loss import DailyLoss, DailyProfit, WeeklyLoss
from projections.risk.limits.marks import EquityMarks
from projections.risk.limits.rates import KeptRates
from projections.risk.limits.schedule import LockoutExpiry, SessionKeeper
from projections.risk.limits.unpriced import UnpricedPositions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from projections.risk.policies import Policy
    from projections.sessions import Calendar


def shipped_rules(calendars: Calendar | Mapping[str, Calendar] | None = None) -> tuple[Policy, ...]:
    """Return every shipped policy; the calendars, by default the book's, define when trading days are reset.

    SessionKeeper is first, so that the rules evaluated after it at a reset see the day that has just begun.
    """
    return (
        SessionKeeper(calendars),
        LockoutExpiry(),
        KeptRates(),
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
        UnpricedPositions(),
        QuotesEvidence(),
    )
