"""The largest share of the equity in one symbol."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, ClassVar

from typing_extensions import override

from projections.decimals import ZERO
from projections.risk.limits.kind import Compared, LimitKind, Measure
from projections.risk.limits.sentences import money
from projections.risk.proposals import MissingInput
from projections.views.limits.directions import HIGHER, Measured
from projections.views.limits.parameters import Parameters, not_below_zero

if TYPE_CHECKING:
    from eventstore.trading import Verdict
    from projections.risk.contexts import AccountContext
    from projections.views.limits.limit import Limit


class ConcentrationParameters(Parameters, frozen=True, kw_only=True):
    """`limit`: the largest value of the position in one symbol at its quote, as a share of the equity.

    0.5 is half of it, 2 is twice.
    """

    limit: Annotated[Decimal, HIGHER, Measured.SHARE]

    @override
    def problem(self) -> str | None:
        return not_below_zero("limit", self.limit)


class Concentration(LimitKind[ConcentrationParameters]):
    """Rejects an order with which the worst-case position in its symbol would be too large a share of the equity."""

    name = "concentration"
    parameters: ClassVar[type[Parameters]] = ConcentrationParameters
    unit: ClassVar[Measured | None] = Measured.SHARE
    compared: ClassVar[Compared] = Compared.EXCEEDED

    @override
    def measure(self, context: AccountContext, limit: Limit, parameters: ConcentrationParameters) -> Measure:
        equity = context.equity()
        if equity <= ZERO:
            msg = f"the equity of account {context.account} is {money(equity)}, so that no share of it can be computed"
            raise MissingInput(msg)
        # Without an order, the position with the largest share.
        values = [context.exposure_value(symbol) for symbol in context.symbols()]
        return Measure(max(values, default=ZERO) / equity, parameters.limit)

    @override
    def sentence(
        self, context: AccountContext, parameters: ConcentrationParameters, measure: Measure, verdict: Verdict
    ) -> str:
        share, most = measure.figure * 100, measure.limit * 100
        return f"{share:.1f} % of equity in {context.symbol}, at most {most:.1f} % allowed"
