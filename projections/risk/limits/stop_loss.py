"""The loss at the stop: what an order would lose if its protective stop were reached."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, ClassVar

from typing_extensions import override

from eventstore import UnknownContract
from eventstore.trading import OrderType, Side
from projections.decimals import ZERO
from projections.risk.limits.kind import Compared, LimitKind, Measure
from projections.risk.limits.results import amounts
from projections.risk.proposals import MissingInput
from projections.views.executions.payoffs import closing_points
from projections.views.executions.prices import value_of
from projections.views.limits.directions import HIGHER, Measured
from projections.views.limits.parameters import Parameters, above_zero
from projections.views.valuing import currency_of

if TYPE_CHECKING:
    from eventstore.trading import Verdict
    from projections.risk.contexts import AccountContext
    from projections.risk.proposals import Proposal
    from projections.views.limits.limit import Limit

_STOPS = frozenset({OrderType.STOP, OrderType.TRAILING_STOP})


class StopLossParameters(Parameters, frozen=True, kw_only=True):
    """`limit`: the largest loss of an order at its protective stop: quantity × distance, before fees and slippage.

    The distance is from its limit price, else from its stop price or the last accepted price, whichever is worse.
    """

    limit: Annotated[Decimal, HIGHER, Measured.MONEY]

    @override
    def problem(self) -> str | None:
        return above_zero("limit", self.limit)


class StopLoss(LimitKind[StopLossParameters]):
    """Rejects new exposure that could lose more at its protective stop, or that states none.

    `Proposal.protective_stop` states it. The entry is the order's limit price, else its stop price or the last accepted
    price, whichever is worse.
    """

    name = "stop-loss"
    parameters: ClassVar[type[Parameters]] = StopLossParameters
    unit: ClassVar[Measured | None] = Measured.MONEY
    compared: ClassVar[Compared] = Compared.EXCEEDED

    @override
    def measure(self, context: AccountContext, limit: Limit, parameters: StopLossParameters) -> Measure | None:
        order, contract = context.order, context.contract
        if order is None:
            return None
        stop = order.protective_stop
        if stop is None:
            msg = "the order states no protective stop: give protective_stop"
            raise MissingInput(msg)
        if contract is None or contract.multiplier is None:
            raise UnknownContract(order.symbol)
        entry = _entry(context, order)
        quantity = context.quantity if order.side is Side.BUY else -context.quantity
        inverse = contract.inverse
        paid = quantity * value_of(entry, inverse=inverse)
        points = closing_points(quantity, paid, stop, inverse=inverse, symbol=contract.symbol)
        if points >= ZERO:
            side = "above" if order.side is Side.BUY else "below"
            msg = f"the protective stop {stop:f} is not on the losing side: it is {side} the entry {entry:f}, or at it"
            raise MissingInput(msg)
        currency = parameters.currency or context.currency
        loss = context.money(-points * contract.multiplier, currency_of(contract, context.currency), currency)
        return Measure(loss, parameters.limit, currency=currency)

    @override
    def sentence(
        self, context: AccountContext, parameters: StopLossParameters, measure: Measure, verdict: Verdict
    ) -> str:
        return f"loss at the stop {amounts(measure.figure, measure.limit, measure.currency)}"


def _entry(context: AccountContext, order: Proposal) -> Decimal:
    """Return the worst price at which an order may be expected to be executed."""
    if order.limit_price is not None:
        return order.limit_price
    price = context.price()
    if order.stop_price is None:
        if order.order_type in _STOPS:
            msg = f"the {order.order_type} order states no stop price: give its stop_price, or a limit_price"
            raise MissingInput(msg)
        return price
    # It is executed at the market once that has reached the stop price, or at once if it is past it.
    return max(price, order.stop_price) if order.side is Side.BUY else min(price, order.stop_price)
