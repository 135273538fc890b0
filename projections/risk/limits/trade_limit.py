"""The trade limit: no new exposure once a trading day has the allowed number of orders, fills or round trips."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec.structs import replace
from typing_extensions import override

from eventstore.trading import (
    Allows,
    EnforcementAction,
    LimitsSet,
    OrderFilled,
    OrderSubmitted,
    PositionAdjusted,
    SessionOpened,
    SessionReset,
    TradeExecuted,
)
from projections.risk.caches import risk_cache
from projections.risk.days import day_of
from projections.risk.limits.breaches import Breach, now_of
from projections.risk.limits.kind import LimitKind, Measure
from projections.risk.limits.results import sentence
from projections.risk.limits.sentences import lock_suffix
from projections.views.limits.directions import EITHER, HIGHER, Measured
from projections.views.limits.parameters import Parameters, not_below_zero

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore import Event
    from eventstore.trading import Verdict
    from projections.book import Book
    from projections.risk.contexts import AccountContext
    from projections.risk.policies import Trigger
    from projections.views.executions.counters import Count
    from projections.views.limits.limit import Limit


class Unit(enum.StrEnum):
    """What a trade limit counts."""

    ORDERS = "orders"
    FILLS = "fills"
    ROUND_TRIPS = "round_trips"

    @property
    def label(self) -> str:
        """Return the unit as sentences write it."""
        return self.replace("_", " ")


class TradeLimitParameters(Parameters, frozen=True, kw_only=True):
    """`limit`: the number of `unit` in a trading day after which no new exposure is allowed; liquidates nothing."""

    limit: Annotated[int, HIGHER, Measured.COUNT]
    unit: Annotated[Unit, EITHER] = Unit.ROUND_TRIPS

    @override
    def problem(self) -> str | None:
        return not_below_zero("limit", self.limit)

    @override
    def group_problem(self) -> str | None:
        return None


class TradeLimit(LimitKind[TradeLimitParameters]):
    """Locks new exposure until the reset once a trading day has the allowed number of orders, fills or round trips.

    Whatever its parameters say, it liquidates nothing, and open positions may be closed.
    """

    name = "trade-limit"
    parameters: ClassVar[type[Parameters]] = TradeLimitParameters
    unit: ClassVar[Measured | None] = Measured.COUNT
    group: ClassVar[str | None] = "counts"
    types: ClassVar[tuple[type[Event], ...]] = (
        OrderSubmitted,
        OrderFilled,
        TradeExecuted,
        PositionAdjusted,
        LimitsSet,
        SessionOpened,
        SessionReset,
    )

    @override
    def enforced(self, parameters: TradeLimitParameters) -> TradeLimitParameters:
        return replace(parameters, action=EnforcementAction.NONE, allows=Allows.REDUCE_ONLY)

    @override
    def measure(self, context: AccountContext, limit: Limit, parameters: TradeLimitParameters) -> Measure:
        return _measure(context.cache.counts, parameters)

    @override
    def sentence(
        self, context: AccountContext, parameters: TradeLimitParameters, measure: Measure, verdict: Verdict
    ) -> str:
        return _said(measure, parameters) + lock_suffix(context, measure.figure >= measure.limit, verdict)

    @override
    def breaches(
        self, book: Book, trigger: Trigger, limit: Limit, parameters: TradeLimitParameters
    ) -> Iterable[Breach]:
        account, at, now = trigger.account, trigger.at, now_of(trigger)
        # The day of a record that comes late is not the one that the cache has.
        counts = risk_cache(book, account, now).counts if at == now else book.counters.of(account, at).day
        measure = _measure(counts, parameters)
        if measure.figure < measure.limit:
            return
        day = day_of(book, account, at, now)
        yield Breach(
            figure=measure.figure,
            limit=measure.limit,
            reason=sentence(book, trigger, parameters, _said(measure, parameters), day.ends_at),
            basis=parameters.unit.value,
            trading_day=day.trading_day,
            until=day.ends_at,
        )


def _measure(counts: Count, parameters: TradeLimitParameters) -> Measure:
    # The units are named like the counts.
    return Measure(Decimal(getattr(counts, parameters.unit)), Decimal(parameters.limit))


def _said(measure: Measure, parameters: TradeLimitParameters) -> str:
    return f"trade limit {measure.figure:,} of {measure.limit:,} {parameters.unit.label}"
