"""The daily loss: locks until the reset once a trading day's loss reaches the limit."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, ClassVar

from typing_extensions import override

from eventstore.trading import EquityMarked
from projections.decimals import FIXED, ZERO
from projections.risk.limits.result_kind import ResultKind, Used
from projections.risk.limits.results import RESULT_EVENTS, Basis, ResultParameters
from projections.risk.limits.sentences import money
from projections.views.limits.directions import HIGHER, Measured, from_loose_to_strict
from projections.views.limits.parameters import above_zero

if TYPE_CHECKING:
    from eventstore import Event
    from projections.risk.limits.results import PeriodResult
    from projections.views.limits.parameters import Parameters


class DailyLossParameters(ResultParameters, frozen=True, kw_only=True):
    """`limit`: the loss, above zero, that locks until the reset; `trailing`: measured from the day's best so far."""

    limit: Annotated[Decimal, HIGHER, Measured.MONEY]
    trailing: Annotated[bool, from_loose_to_strict(False, True)] = False  # noqa: FBT003 - values of a choice

    @override
    def problem(self) -> str | None:
        return above_zero("limit", self.limit)

    @override
    def group_problem(self) -> str | None:
        # The members' best results were not at the same time.
        return "trailing is from the best result of one account: leave it out" if self.trailing else None


class DailyLoss(ResultKind[DailyLossParameters]):
    """Locks until the reset once a trading day's loss reaches the limit.

    `trailing`: once the result is that far below the day's best so far, which is zero when the day begins. The
    realized best follows from the order of the fills, the best equity from the marks of `EquityMarks`.
    """

    name = "daily-loss"
    parameters: ClassVar[type[Parameters]] = DailyLossParameters
    types: ClassVar[tuple[type[Event], ...]] = (*RESULT_EVENTS, EquityMarked)
    what = "daily loss"

    @override
    def most(self, parameters: DailyLossParameters) -> Decimal:
        return parameters.limit

    @override
    def used(self, result: PeriodResult, parameters: DailyLossParameters, *, confirmed: bool) -> Used:
        if not parameters.trailing:
            return super().used(result, parameters, confirmed=confirmed)
        best = _best_of_day(result, parameters)
        bounds = None if confirmed else result.bounds()
        best = best if bounds is None else max(best, bounds[1])
        details = {"best": str(best), "result": str(result.amount)} | _marks_of(result, parameters, best)
        return Used(FIXED.subtract(best, result.amount), f" from the day's best {money(best)}", details)


def _best_of_day(result: PeriodResult, parameters: DailyLossParameters) -> Decimal:
    """Return the best result so far of a result's trading day, measured as it is; at least zero."""
    cache, net = result.figures.cache, parameters.net_of_fees
    if result.basis is Basis.REALIZED:
        return cache.best_realized_of_day(result.currency, net=net)
    best = max(result.amount, ZERO)
    # Marks are in the account's own currency: in another one the best is only known to be at least zero.
    if result.figures.own != result.currency:
        return best
    marked = cache.best_marked_of_day(net=net)
    return best if marked is None else max(best, FIXED.subtract(marked, result.carried.amount))


def _marks_of(result: PeriodResult, parameters: DailyLossParameters, best: Decimal) -> dict[str, list[str]]:
    """Return the id of the record that set a day's best, where one did: a correction of it names it."""
    figures, net = result.figures, parameters.net_of_fees
    if result.basis is Basis.REALIZED or figures.own != result.currency:
        return {}
    marked = figures.cache.best_marked_of_day(net=net)
    if marked is None or FIXED.subtract(marked, result.carried.amount) < best:
        return {}
    day = figures.cache.day.trading_day
    record = figures.book.bests.mark_record(figures.account, day, figures.at, net=net)
    return {} if record is None else {"marks": [record.hex()]}
