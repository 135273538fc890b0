"""The maximum number of contracts at a time, over all symbols."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, ClassVar

import msgspec
from typing_extensions import override

from eventstore import StoreError
from eventstore.trading import (
    AccountOpened,
    AccountReopened,
    Approved,
    CashMoved,
    EnforcementAction,
    LimitsSet,
    LockoutCleared,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderReduced,
    OrderRejected,
    OrderReplaced,
    OrderReplaceRequested,
    OrderReported,
    OrderSubmitted,
    PositionAdjusted,
    PositionReported,
    SessionOpened,
    SessionReset,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections.decimals import FIXED, ZERO
from projections.risk.account_figures import figures_of
from projections.risk.caches import risk_cache
from projections.risk.contexts import balance_of, weight_of
from projections.risk.days import day_of
from projections.risk.limits.breaches import Breach, now_of
from projections.risk.limits.kind import Compared, Measure
from projections.risk.limits.results import sentence
from projections.risk.limits.while_in_breach import WhileInBreach
from projections.views.limits.directions import ACTION, EITHER, HIGHER, LOWER, Measured, by_name
from projections.views.limits.parameters import Parameters, not_below_zero

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore import Event
    from eventstore.trading import Verdict
    from projections.book import Book
    from projections.risk.account_figures import AccountFigures
    from projections.risk.cache import RiskCache
    from projections.risk.contexts import AccountContext
    from projections.risk.policies import Trigger
    from projections.views.limits.limit import Limit

ONE = Decimal(1)


class MaximumContractsParameters(Parameters, frozen=True, kw_only=True):
    """`limit`: the maximum number of contracts at a time, over all symbols, working orders included.

    `weights` by symbol or root, for example MES 0.1; the default is 1. `scaling`: (balance, limit) pairs; the last one
    whose balance is reached replaces `limit`.
    """

    limit: Annotated[Decimal, HIGHER, Measured.CONTRACTS]
    # A lower weight lets more contracts pass.
    weights: Annotated[dict[str, Decimal], by_name(LOWER, ONE), Measured.SHARE] = msgspec.field(default_factory=dict)
    scaling: Annotated[tuple[tuple[Decimal, Decimal], ...], EITHER] = ()
    action: Annotated[EnforcementAction, ACTION] = EnforcementAction.REDUCE_TO

    @override
    def problem(self) -> str | None:
        figures = [self.limit, *self.weights.values(), *(scaled for _, scaled in self.scaling)]
        return next(filter(None, (not_below_zero("limit, weights and scaling", figure) for figure in figures)), None)

    @override
    def group_problem(self) -> str | None:
        return "scaling is by the balance of one account: leave it out" if self.scaling else None

    def at(self, balance: Decimal) -> Decimal:
        """Return how many contracts a balance allows."""
        most = self.limit
        for reached, scaled in self.scaling:
            most = scaled if balance >= reached else most
        return most


class MaximumContracts(WhileInBreach[MaximumContractsParameters]):
    """Locks new exposure and requests a reduction while the worst-case number of contracts exceeds the limit.

    Each symbol counts with its worst case: all buys filled and no sell, or all sells and no buy. It locks until the
    reset, or until the limit is no longer exceeded.

    `quantity` of the request is what may remain: of the symbol if there is only one, else contracts by weight.
    """

    name = "maximum-contracts"
    parameters: ClassVar[type[Parameters]] = MaximumContractsParameters
    unit: ClassVar[Measured | None] = Measured.CONTRACTS
    compared: ClassVar[Compared] = Compared.EXCEEDED
    types: ClassVar[tuple[type[Event], ...]] = (
        OrderSubmitted,
        OrderAccepted,
        OrderReplaceRequested,
        OrderReplaced,
        OrderReduced,
        OrderFilled,
        OrderCanceled,
        OrderExpired,
        OrderRejected,
        OrderReported,
        TradeExecuted,
        TradeBusted,
        TradeCorrected,
        PositionAdjusted,
        PositionReported,
        CashMoved,
        AccountOpened,
        AccountReopened,
        LimitsSet,
        LockoutCleared,
        Approved,
        SessionOpened,
        SessionReset,
    )

    @override
    def measure(self, context: AccountContext, limit: Limit, parameters: MaximumContractsParameters) -> Measure:
        most = _most(context.figures, parameters)
        cache, symbol = context.cache, context.symbol
        # The other symbols' part is the same for the next order in this one.
        others = cache.memoize(
            "exposure",
            (limit.position, symbol, context.locks),
            lambda: _weighted(cache, context.other_exposures(), parameters),
        )
        if symbol is None:
            return Measure(others, most)
        return Measure(others + context.exposure() * weight_of(cache, symbol, parameters.weights), most)

    @override
    def sentence(
        self, context: AccountContext, parameters: MaximumContractsParameters, measure: Measure, verdict: Verdict
    ) -> str:
        return f"{measure.figure:f} of at most {measure.limit:f} contracts, working orders counted"

    @override
    def breaches(
        self, book: Book, trigger: Trigger, limit: Limit, parameters: MaximumContractsParameters
    ) -> Iterable[Breach]:
        account, now = trigger.account, now_of(trigger)
        cache = risk_cache(book, account, now)
        # Without reports of positions that may still be explained: one wrong report must not lock an account.
        held = {symbol: most for symbol, most in cache.confirmed_exposure.worst_case.items() if most}
        with decimal.localcontext(FIXED):
            total, most = _weighted(cache, held.items(), parameters), _least(book, account, now, parameters)
            symbol = next(iter(held)) if len(held) == 1 else None
            weight = ONE if symbol is None else weight_of(cache, symbol, parameters.weights)
            # The request names a symbol if there is only one to reduce; then its quantity is in that symbol.
            left = most / weight if weight else most
        if total <= most:
            return
        # What may be held at worst is of the present, though a record of yesterday may have shown it.
        day = day_of(book, account, now, now)
        what = f"maximum contracts {total:f} of {most:f}, working orders counted,"
        yield Breach(
            figure=total,
            limit=most,
            reason=sentence(book, trigger, parameters, what, day.ends_at),
            trading_day=day.trading_day,
            until=day.ends_at,
            symbol=symbol,
            quantity=left,
            details={"contracts": {name: str(figure) for name, figure in sorted(held.items())}},
        )


def _weighted(
    cache: RiskCache, exposures: Iterable[tuple[str, Decimal]], parameters: MaximumContractsParameters
) -> Decimal:
    """Return the weighted sum of the worst-case positions."""
    return sum((most * weight_of(cache, symbol, parameters.weights) for symbol, most in exposures), ZERO)


def _most(figures: AccountFigures, parameters: MaximumContractsParameters) -> Decimal:
    """Return how many contracts are allowed; raise a StoreError where the balance that says so is not known."""
    return parameters.at(balance_of(figures, parameters.currency)) if parameters.scaling else parameters.limit


def _least(book: Book, account: str, at: int, parameters: MaximumContractsParameters) -> Decimal:
    """Return how many contracts are allowed; if the balance is unknown, the smallest number."""
    try:
        return _most(figures_of(book, account, at), parameters)
    except StoreError:
        return min(parameters.limit, *(scaled for _, scaled in parameters.scaling))
