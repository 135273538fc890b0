"""The weekly loss: locks until the week's end once its loss reaches the limit."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, ClassVar

from typing_extensions import override

from projections.risk.limits.kind import RestsOn
from projections.risk.limits.result_kind import ResultKind
from projections.risk.limits.results import ResultParameters
from projections.views.limits.directions import HIGHER, Measured
from projections.views.limits.parameters import above_zero

if TYPE_CHECKING:
    from projections.views.limits.parameters import Parameters


class WeeklyLossParameters(ResultParameters, frozen=True, kw_only=True):
    """`limit`: the loss of this week's trading days that locks until the week's end."""

    limit: Annotated[Decimal, HIGHER, Measured.MONEY]

    @override
    def problem(self) -> str | None:
        return above_zero("limit", self.limit)

    @override
    def group_problem(self) -> str | None:
        return None


class WeeklyLoss(ResultKind[WeeklyLossParameters]):
    """Locks until the week's last reset once the loss of its trading days reaches the limit.

    If no calendar defines the end of the week, it locks until the next reset, and again after it.
    """

    name = "weekly-loss"
    parameters: ClassVar[type[Parameters]] = WeeklyLossParameters
    what = "weekly loss"
    of_week = True
    rests_on = RestsOn.WEEK

    @override
    def most(self, parameters: WeeklyLossParameters) -> Decimal:
        return parameters.limit
