"""The largest position in one symbol."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from projections.decimals import FIXED, ZERO
from projections.risk.limits.kind import Compared, LimitKind, Measure
from projections.risk.limits.sizes import SizeParameters
from projections.views.limits.directions import Measured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.trading import Verdict
    from projections.risk.contexts import AccountContext
    from projections.views.limits.limit import Limit
    from projections.views.limits.parameters import Parameters

_WITHOUT_LIMIT = Decimal("1e9")


class MaximumPositionParameters(SizeParameters, frozen=True, kw_only=True):
    """`limit`: the largest position in one symbol, `limits` by symbol or root; checked before an order."""

    @override
    def group_problem(self) -> str | None:
        return None


class MaximumPosition(LimitKind[MaximumPositionParameters]):
    """Rejects an order with which the worst-case position in its symbol would exceed the limit."""

    name = "maximum-position"
    parameters: ClassVar[type[Parameters]] = MaximumPositionParameters
    unit: ClassVar[Measured | None] = Measured.CONTRACTS
    compared: ClassVar[Compared] = Compared.EXCEEDED

    @override
    def measure(self, context: AccountContext, limit: Limit, parameters: MaximumPositionParameters) -> Measure | None:
        if context.symbol is not None:
            most = parameters.most(context.cache, context.symbol)
            return None if most is None else Measure(context.exposure(), most, parts=context.symbol)
        # Without an order, the position that is nearest to its limit.
        found = [
            Measure(held, most, parts=symbol)
            for symbol, held in context.other_exposures()
            if (most := parameters.most(context.cache, symbol)) is not None
        ]
        return max(found, key=_used) if found else _unused(parameters)

    @override
    def measure_group(
        self, members: Sequence[AccountContext], limit: Limit, parameters: MaximumPositionParameters
    ) -> Measure | None:
        if members[0].symbol is not None:
            return super().measure_group(members, limit, parameters)
        add_up = super().measure_group
        # Members may be nearest to the limit in different symbols: each symbol is added up by itself.
        found = [
            total
            for symbol in sorted({symbol for member in members for symbol in member.symbols()})
            if (total := add_up([each.about(symbol) for each in members], limit, parameters)) is not None
        ]
        return max(found, key=_used) if found else _unused(parameters)

    @override
    def sentence(
        self, context: AccountContext, parameters: MaximumPositionParameters, measure: Measure, verdict: Verdict
    ) -> str:
        return f"position {measure.figure:f} of at most {measure.limit:f} in {context.symbol}, working orders counted"


def _used(measure: Measure) -> Decimal:
    """Return how much of a limit is used up; without anything allowed, whatever is held is the most."""
    return FIXED.divide(measure.figure, measure.limit) if measure.limit else measure.figure * _WITHOUT_LIMIT


def _unused(parameters: MaximumPositionParameters) -> Measure | None:
    return None if parameters.limit is None else Measure(ZERO, parameters.limit)
