"""The daily profit: locks a trading day's result in once it reaches the target."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, ClassVar

from typing_extensions import override

from projections.risk.limits.result_kind import ResultKind
from projections.risk.limits.results import ResultParameters
from projections.views.limits.directions import HIGHER, Measured
from projections.views.limits.parameters import above_zero

if TYPE_CHECKING:
    from projections.views.limits.parameters import Parameters


class DailyProfitParameters(ResultParameters, frozen=True, kw_only=True):
    """`target`: the day's profit that locks it in until the reset."""

    target: Annotated[Decimal, HIGHER, Measured.MONEY]

    @override
    def problem(self) -> str | None:
        return above_zero("target", self.target)

    @override
    def group_problem(self) -> str | None:
        return None


class DailyProfit(ResultKind[DailyProfitParameters]):
    """Locks until the reset once a trading day's result reaches the target."""

    name = "daily-profit"
    parameters: ClassVar[type[Parameters]] = DailyProfitParameters
    what = "daily profit"
    is_loss = False

    @override
    def most(self, parameters: DailyProfitParameters) -> Decimal:
        return parameters.target
