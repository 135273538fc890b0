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
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections.risk.caches import risk_cache
from projections.risk.days import calendar_day_if_missing, day_of
from projections.risk.limits.breaches import Breach, now_of
from projections.risk.limits.kind import LimitKind, Measure, RestsOn
from projections.risk.limits.results import Basis, cannot_change, sentence
from projections.risk.limits.sentences import lock_suffix
from projections.views.limits.directions import EITHER, HIGHER, Measured
from projections.views.limits.parameters import Parameters, not_below_zero

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    rests_on: ClassVar[RestsOn] = RestsOn.COUNT
    timed: ClassVar[bool] = True
    types: ClassVar[tuple[type[Event], ...]] = (
        OrderSubmitted,
        OrderFilled,
        TradeExecuted,
        PositionAdjusted,
        TradeBusted,
        TradeCorrected,
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
        if cannot_change(book, trigger, limit, Basis.REALIZED):
            return
        at, now = trigger.at, now_of(trigger)
        # What is recorded late is of a day of its own, and may change which round trips the present day has.
        is_present = at == now or day_of(book, trigger.account, at, now).is_current
        for instant in (now,) if is_present else (at, now):
            yield from self._breaches_of_day(book, trigger, parameters, instant)

    def _breaches_of_day(
        self, book: Book, trigger: Trigger, parameters: TradeLimitParameters, at: int
    ) -> Iterator[Breach]:
        account, now = trigger.account, now_of(trigger)
        if at == now:
            counts = risk_cache(book, account, now).counts
        else:
            counts = book.counters.today(account, at, planned=calendar_day_if_missing(book, account, at))
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
