"""The available balance that new exposure must leave."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

import msgspec
from typing_extensions import override

from eventstore.trading import Verdict
from projections.decimals import ZERO
from projections.risk.contexts import balance_of
from projections.risk.contexts import by_name as figure_of
from projections.risk.limits.kind import Compared, LimitKind, Measure
from projections.risk.limits.sentences import money, unit_of
from projections.risk.proposals import MissingInput
from projections.views.limits.directions import LOWER, Measured, by_name
from projections.views.limits.parameters import Parameters, not_below_zero

if TYPE_CHECKING:
    from projections.risk.contexts import AccountContext
    from projections.views.limits.limit import Limit


class AvailableBalanceParameters(Parameters, frozen=True, kw_only=True):
    """`minimum`: the available balance that new exposure must leave, as the broker reports it, else as folded.

    `margins` by symbol or root: the margin of one contract, which the order uses up.
    """

    minimum: Annotated[Decimal, LOWER, Measured.MONEY] = Decimal(0)
    margins: Annotated[dict[str, Decimal], by_name(LOWER, ZERO), Measured.MONEY] = msgspec.field(default_factory=dict)

    @override
    def problem(self) -> str | None:
        figures = [self.minimum, *self.margins.values()]
        return next(filter(None, (not_below_zero("minimum and margins", figure) for figure in figures)), None)


class _Available(NamedTuple):
    balance: Decimal
    needed: Decimal


class AvailableBalance(LimitKind[AvailableBalanceParameters]):
    """Rejects an order that would leave less than the minimum.

    The broker's figure excludes margin already in use; from the folded balance, the margin of all positions and
    working orders is subtracted too. Its figure is what is left.
    """

    name = "available-balance"
    parameters: ClassVar[type[Parameters]] = AvailableBalanceParameters
    unit: ClassVar[Measured | None] = Measured.MONEY
    compared: ClassVar[Compared] = Compared.BELOW

    @override
    def measure(self, context: AccountContext, limit: Limit, parameters: AvailableBalanceParameters) -> Measure:
        account = context.cache.account
        if account is None:
            msg = f"account {context.account} has no balance"
            raise MissingInput(msg)
        currency = parameters.currency or account.currency
        reported = account.broker_balances.get(currency)
        available, symbol = None if reported is None else reported.available, context.symbol
        quantity, others = context.quantity, ZERO
        if available is None:
            available = balance_of(context.figures, currency)
            if parameters.margins:
                quantity = ZERO if symbol is None else context.exposure()
                others = context.cache.memoize(
                    "exposure", (limit.position, symbol), lambda: _margins(context, parameters)
                )
        own = ZERO if symbol is None else figure_of(context.cache, symbol, parameters.margins, ZERO) * quantity
        needed = others + own
        return Measure(
            available - needed, parameters.minimum, currency=currency, parts=_Available(available, needed)
        )  # fmt: skip

    @override
    def verdict(self, parameters: AvailableBalanceParameters, measure: Measure) -> Verdict:
        verdict = super().verdict(parameters, measure)
        required = measure.parts.needed + parameters.minimum
        if verdict is Verdict.PASS and required and required >= measure.parts.balance * parameters.warn_at:
            return Verdict.WARNING
        return verdict

    @override
    def sentence(
        self, context: AccountContext, parameters: AvailableBalanceParameters, measure: Measure, verdict: Verdict
    ) -> str:
        return (
            f"available balance {money(measure.parts.balance)}{unit_of(measure.currency)}, "
            f"{money(measure.figure)} after the order; the minimum is {money(measure.limit)}"
        )


def _margins(context: AccountContext, parameters: AvailableBalanceParameters) -> Decimal:
    """Return the margin of the worst-case positions in all symbols but the order's."""
    exposures = context.other_exposures()
    return sum((most * figure_of(context.cache, symbol, parameters.margins, ZERO) for symbol, most in exposures), ZERO)
