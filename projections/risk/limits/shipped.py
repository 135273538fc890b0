"""Every shipped kind of limit, in the order in which an order is checked, and every shipped policy, as evaluated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from projections.risk.limits.available_balance import AvailableBalance
from projections.risk.limits.blackout import Blackouts
from projections.risk.limits.concentration import Concentration
from projections.risk.limits.consistency import Consistency
from projections.risk.limits.cooldown import Cooldown
from projections.risk.limits.daily_loss import DailyLoss
from projections.risk.limits.daily_profit import DailyProfit
from projections.risk.limits.enforcement_keeper import EnforcementKeeper
from projections.risk.limits.evidence import QuotesEvidence
from projections.risk.limits.groups import GroupLimits
from projections.risk.limits.hours import Hours
from projections.risk.limits.kill_switch import KillSwitch
from projections.risk.limits.marks import EquityMarks
from projections.risk.limits.maximum_contracts import MaximumContracts
from projections.risk.limits.maximum_position import MaximumPosition
from projections.risk.limits.notional import Notional
from projections.risk.limits.order_price import OrderPrice
from projections.risk.limits.order_size import OrderSize
from projections.risk.limits.rates import KeptRates
from projections.risk.limits.schedule import LockoutExpiry, SessionKeeper
from projections.risk.limits.stop_loss import StopLoss
from projections.risk.limits.symbol_block import SymbolBlock
from projections.risk.limits.trade_limit import TradeLimit
from projections.risk.limits.trailing_drawdown import TrailingDrawdown
from projections.risk.limits.unjudged import UnjudgedLimits
from projections.risk.limits.unpriced import UnpricedPositions
from projections.risk.limits.weekly_loss import WeeklyLoss

if TYPE_CHECKING:
    from collections.abc import Mapping

    from projections.risk.limits.kind import LimitKind
    from projections.risk.policies import Policy
    from projections.sessions import Calendar

SHIPPED: tuple[type[LimitKind[Any]], ...] = (
    KillSwitch,
    MaximumPosition,
    MaximumContracts,
    Notional,
    AvailableBalance,
    DailyLoss,
    WeeklyLoss,
    DailyProfit,
    TrailingDrawdown,
    Concentration,
    OrderSize,
    OrderPrice,
    StopLoss,
    TradeLimit,
    Hours,
    SymbolBlock,
    Cooldown,
    Blackouts,
    Consistency,
)
"""Of several rejections of an order the first in this order counts."""


def shipped_rules(calendars: Calendar | Mapping[str, Calendar] | None = None) -> tuple[Policy, ...]:
    """Return every shipped policy; the calendars, by default the book's, define when trading days are reset.

    SessionKeeper is first, so that the rules evaluated after it at a reset see the day that has just begun. A kind that
    locks nothing by itself, and is judged before orders alone, is not a policy.
    """
    return (
        SessionKeeper(calendars),
        LockoutExpiry(),
        KeptRates(),
        EquityMarks(),
        *(kind() for kind in SHIPPED if kind.locks()),
        GroupLimits(),
        UnpricedPositions(),
        EnforcementKeeper(),
        UnjudgedLimits(),
        QuotesEvidence(),
    )
