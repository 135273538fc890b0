"""The loss at the stop: what an order would lose if its protective stop were reached."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, ClassVar

from typing_extensions import override

from eventstore import UnknownContract
from eventstore.trading import Side
from projections.decimals import ZERO
from projections.risk.limits.kind import Compared, LimitKind, Measure
from projections.risk.limits.results import amounts
from projections.risk.proposals import MissingInput, known
from projections.views.executions.payoffs import closing_points
from projections.views.executions.prices import value_of
from projections.views.limits.directions import HIGHER, Measured
from projections.views.limits.parameters import Parameters, above_zero
from projections.views.valuing import currency_of

if TYPE_CHECKING:
    from eventstore.trading import Verdict
    from projections.risk.proposals import CheckContext
    from projections.views.limits.limit import Limit


class StopLossParameters(Parameters, frozen=True, kw_only=True):
    """`limit`: the largest loss of an order at its protective stop: quantity × distance, before fees and slippage."""

    limit: Annotated[Decimal, HIGHER, Measured.MONEY]

    @override
    def problem(self) -> str | None:
        return above_zero("limit", self.limit)


class StopLoss(LimitKind[StopLossParameters]):
    """Rejects new exposure that could lose more at its protective stop, or that states none.

    `Proposal.protective_stop` states it. The entry is the order's limit price, else the last accepted price.
    """

    name = "stop-loss"
    parameters: ClassVar[type[Parameters]] = StopLossParameters
    unit: ClassVar[Measured | None] = Measured.MONEY
    compared: ClassVar[Compared] = Compared.EXCEEDED

    @override
    def measure(self, context: CheckContext, limit: Limit, parameters: StopLossParameters) -> Measure | None:
        order, contract = context.order, context.contract
        if order is None:
            return None
        stop = order.protective_stop
        if stop is None:
            msg = "the order states no protective stop: give Proposal.protective_stop"
            raise MissingInput(msg)
        if contract is None or contract.multiplier is None:
            raise UnknownContract(order.symbol)
        entry = context.price() if order.limit_price is None else order.limit_price
        quantity = context.quantity if order.side is Side.BUY else -context.quantity
        inverse = contract.inverse
        paid = quantity * value_of(entry, inverse=inverse)
        points = closing_points(quantity, paid, stop, inverse=inverse, symbol=contract.symbol)
        if points >= ZERO:
            side = "above" if order.side is Side.BUY else "below"
            msg = f"the protective stop {stop:f} is not on the losing side: it is {side} the entry {entry:f}, or at it"
            raise MissingInput(msg)
        loss = -points * contract.multiplier
        own = context.currency
        return Measure(
            known(context.figures.total({currency_of(contract, own): loss}, target=own)), parameters.limit, currency=own
        )

    @override
    def sentence(
        self, context: CheckContext, parameters: StopLossParameters, measure: Measure, verdict: Verdict
    ) -> str:
        return f"loss at the stop {amounts(measure.figure, measure.limit, measure.currency)}"
