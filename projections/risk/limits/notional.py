"""The largest value of what is held and working, over all symbols and in each."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

import msgspec
from typing_extensions import override

from projections.decimals import ZERO
from projections.risk.contexts import by_name as figure_of
from projections.risk.limits.kind import Compared, LimitKind, Measure
from projections.risk.limits.results import amounts
from projections.views.limits.directions import HIGHER, Measured, by_name
from projections.views.limits.parameters import Parameters, not_below_zero

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore.trading import Verdict
    from projections.risk.contexts import AccountContext
    from projections.views.limits.limit import Limit

_Table = dict[str, Decimal]


class NotionalParameters(Parameters, frozen=True, kw_only=True):
    """`limit`: the largest value of all positions at their prices, `limits` the largest in a symbol or root.

    A position counts with its worst case, working orders included, whatever its side.
    """

    limit: Annotated[Decimal | None, HIGHER, Measured.MONEY] = None
    limits: Annotated[_Table, by_name(HIGHER), Measured.MONEY] = msgspec.field(default_factory=dict)

    @override
    def problem(self) -> str | None:
        if self.limit is None and not self.limits:
            return "set limit or limits"
        figures = [self.limit, *self.limits.values()]
        return next(filter(None, (not_below_zero("limit and limits", figure) for figure in figures)), None)


class _Compared(NamedTuple):
    value: Decimal
    most: Decimal
    what: str

    @property
    def used(self) -> tuple[bool, Decimal]:
        """How much of the limit is used up; where nothing is allowed, any value is more than any share."""
        return self.most <= ZERO < self.value, self.value / self.most if self.most else self.value


class Notional(LimitKind[NotionalParameters]):
    """Rejects an order with which the value of the worst case would exceed the limit, in its symbol or in all."""

    name = "notional"
    parameters: ClassVar[type[Parameters]] = NotionalParameters
    unit: ClassVar[Measured | None] = Measured.MONEY
    compared: ClassVar[Compared] = Compared.EXCEEDED

    @override
    def measure(self, context: AccountContext, limit: Limit, parameters: NotionalParameters) -> Measure | None:
        # Of several limits the one that is nearest, or exceeded by most.
        nearest = max(_compared(context, parameters), key=lambda each: each.used, default=None)
        if nearest is None:
            return None
        return Measure(
            nearest.value, nearest.most, currency=parameters.currency or context.currency, parts=nearest.what
        )

    @override
    def sentence(
        self, context: AccountContext, parameters: NotionalParameters, measure: Measure, verdict: Verdict
    ) -> str:
        said = amounts(measure.figure, measure.limit, measure.currency)
        return f"notional value {said} {measure.parts}, working orders counted"


def _compared(context: AccountContext, parameters: NotionalParameters) -> Iterator[_Compared]:
    for symbol in context.symbols():
        most = figure_of(context.cache, symbol, parameters.limits, None)
        if most is not None:
            yield _Compared(context.exposure_value(symbol, parameters.currency), most, f"in {symbol}")
    if parameters.limit is not None:
        symbols = {*context.symbols(), *(symbol for symbol, held in context.other_exposures() if held)}
        values = [context.exposure_value(symbol, parameters.currency) for symbol in sorted(symbols)]
        yield _Compared(sum(values, ZERO), parameters.limit, "in all symbols")
