"""The largest quantity of one order."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from projections.risk.limits.kind import Compared, LimitKind, Measure
from projections.risk.limits.sizes import SizeParameters
from projections.views.limits.directions import Measured

if TYPE_CHECKING:
    from eventstore.trading import Verdict
    from projections.risk.contexts import AccountContext
    from projections.views.limits.limit import Limit
    from projections.views.limits.parameters import Parameters


class OrderSizeParameters(SizeParameters, frozen=True, kw_only=True):
    """`limit`: the largest quantity of one order, `limits` by symbol or root; checked before an order."""


class OrderSize(LimitKind[OrderSizeParameters]):
    """Rejects an order of a larger quantity."""

    name = "order-size"
    parameters: ClassVar[type[Parameters]] = OrderSizeParameters
    unit: ClassVar[Measured | None] = Measured.CONTRACTS
    compared: ClassVar[Compared] = Compared.EXCEEDED

    @override
    def measure(self, context: AccountContext, limit: Limit, parameters: OrderSizeParameters) -> Measure | None:
        if context.symbol is None:
            return None
        most = parameters.most(context.cache, context.symbol)
        return None if most is None else Measure(context.quantity, most)

    @override
    def sentence(
        self, context: AccountContext, parameters: OrderSizeParameters, measure: Measure, verdict: Verdict
    ) -> str:
        return f"order of {measure.figure:f}, at most {measure.limit:f} {context.symbol}"
