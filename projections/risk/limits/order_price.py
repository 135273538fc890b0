"""The price collar: how far an order's price may lie from the last accepted price."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

from typing_extensions import override

from eventstore.trading import Side, Verdict
from projections.decimals import ZERO
from projections.risk.limits.kind import Compared, LimitKind, Measure
from projections.risk.limits.sentences import money
from projections.risk.proposals import MissingInput
from projections.views.limits.directions import HIGHER, Measured
from projections.views.limits.parameters import Parameters, above_zero

if TYPE_CHECKING:
    from projections.risk.contexts import AccountContext
    from projections.views.limits.limit import Limit


class OrderPriceParameters(Parameters, frozen=True, kw_only=True):
    """`share`: how far an order's price may lie from the last accepted price, as a share (0 to 1) of it, or in `ticks`.

    Set one of them.
    """

    share: Annotated[Decimal | None, HIGHER, Measured.SHARE] = None
    ticks: Annotated[Decimal | None, HIGHER, Measured.TICKS] = None

    @override
    def problem(self) -> str | None:
        if (self.share is None) is (self.ticks is None):
            return "set either share or ticks"
        if self.share is not None and self.share > 1:
            # No price to sell at lies further from the last one than all of it: 5 is meant as a percentage.
            return f"share = {self.share}: expected a share from 0 to 1, such as 0.05"
        return above_zero("share", self.share) or above_zero("ticks", self.ticks)


class _Priced(NamedTuple):
    """The order's price, the last accepted one, and the furthest that passes."""

    given: Decimal
    price: Decimal
    furthest: Decimal


class OrderPrice(LimitKind[OrderPriceParameters]):
    """Rejects an order whose limit price would pay more, or sell for less, than the collar allows.

    A stop price is compared to either side of the last accepted price. Without a fresh price the limit is unjudged, and
    the order rejected; a market order has no price to compare.
    """

    name = "order-price"
    parameters: ClassVar[type[Parameters]] = OrderPriceParameters
    unit: ClassVar[Measured | None] = Measured.SHARE
    compared: ClassVar[Compared] = Compared.EXCEEDED

    @override
    def measure(self, context: AccountContext, limit: Limit, parameters: OrderPriceParameters) -> Measure | None:
        order = context.order
        if order is None or (order.limit_price is None and order.stop_price is None):
            return None
        price = context.price()
        sign = 1 if order.side is Side.BUY else -1
        # How much worse the limit price is than the market; a better one has no distance.
        found = [] if order.limit_price is None else [(sign * (order.limit_price - price), sign, order.limit_price)]
        if order.stop_price is not None:
            away = order.stop_price - price
            found.append((abs(away), 1 if away > ZERO else -1, order.stop_price))
        away, sign, given = max(found)
        unit, most = _unit(context, price, parameters)
        return Measure(max(away, ZERO) / unit, most, parts=_Priced(given, price, price + sign * unit * most))

    @override
    def sentence(
        self, context: AccountContext, parameters: OrderPriceParameters, measure: Measure, verdict: Verdict
    ) -> str:
        found: _Priced = measure.parts
        most = f"{measure.limit:f} ticks" if parameters.share is None else f"{parameters.share:.2%}"
        verb = "beyond" if verdict is Verdict.REJECT else "near"
        place = f"{most} from the last accepted price {found.price:f}"
        return f"price {found.given:f} is {verb} {money(found.furthest)}, {place}"


def _unit(context: AccountContext, price: Decimal, parameters: OrderPriceParameters) -> tuple[Decimal, Decimal]:
    """Return what a distance is divided by, and how much may come of it."""
    if parameters.share is not None:
        # A negative price is as far from zero as a positive one.
        return abs(price) or Decimal(1), parameters.share
    assert parameters.ticks is not None, "one of both is set"
    tick = None if context.contract is None else context.contract.tick_size
    if tick is None:
        msg = f"the tick size of {context.symbol} is not known: append ContractDefined with a tick_size"
        raise MissingInput(msg)
    return tick, parameters.ticks
