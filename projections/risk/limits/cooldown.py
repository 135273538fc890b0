"""The cooldown: a pause after losses."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

from typing_extensions import override

from eventstore.clock import NANOSECONDS
from eventstore.streams import SEPARATOR
from eventstore.trading import (
    FeeCharged,
    LimitsSet,
    OrderFilled,
    PositionAdjusted,
    RateQuoted,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections.decimals import FIXED, ZERO
from projections.risk.account_figures import figures_of
from projections.risk.days import day_of
from projections.risk.limits.breaches import Breach, now_of, per_account
from projections.risk.limits.kind import LimitKind, Measure, RestsOn
from projections.risk.limits.results import Basis, cannot_change, sentence
from projections.risk.limits.sentences import money, unit_of
from projections.risk.policies import TriggerKind
from projections.valuation import KNOWN
from projections.views.executions.ledger_entry import ledger_key
from projections.views.limits.directions import HIGHER, SHORTER, Measured
from projections.views.limits.parameters import Parameters, above_zero
from projections.views.valuing import Total

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from eventstore import Event
    from projections.book import Book
    from projections.risk.account_figures import AccountFigures
    from projections.risk.contexts import AccountContext
    from projections.risk.policies import Decision, Trigger
    from projections.views.executions.pnl_totals import Rates
    from projections.views.executions.trip import RoundTrip
    from projections.views.limits.limit import Limit

_MINUTE = 60 * NANOSECONDS
HOUR = 60 * _MINUTE


class CooldownParameters(Parameters, frozen=True, kw_only=True):
    """After `losing_trips` losing round trips in a row, or one that lost `loss` or more, no new exposure for a while.

    `duration` is in ns. Set at least one of `losing_trips` and `loss`.
    """

    duration: Annotated[int, SHORTER, Measured.DURATION] = HOUR
    losing_trips: Annotated[int | None, HIGHER, Measured.COUNT] = None
    loss: Annotated[Decimal | None, HIGHER, Measured.MONEY] = None

    @override
    def problem(self) -> str | None:
        if self.losing_trips is None and self.loss is None:
            return "set at least one of losing_trips and loss"
        return (
            above_zero("duration", self.duration)
            or above_zero("losing_trips", self.losing_trips)
            or above_zero("loss", self.loss)
        )


class Cooldown(LimitKind[CooldownParameters]):
    """Locks new exposure for a while after losses, counted from the end of the last round trip.

    A round trip's result is its points times the multiplier, less its fees in the contract's currency. Every
    `losing_trips` in a row lock again, so that the count restarts after each pause; a result of zero is not a loss.
    The last 100 round trips of the account count, in any symbol. One in a contract without a multiplier counts by its
    points, and never as a `loss` of money. A loss in another currency than the limit's is converted at the newest rate,
    and the limit is not judged while it would last and no rate is known.

    Its figure is the number of losses in a row since the last pause or, without `losing_trips`, the last round trip's
    loss.
    """

    name = "cooldown"
    parameters: ClassVar[type[Parameters]] = CooldownParameters
    unit: ClassVar[Measured | None] = Measured.COUNT
    group: ClassVar[str | None] = "pnl"
    rests_on: ClassVar[RestsOn] = RestsOn.TRIPS
    checked: ClassVar[bool] = False
    timed: ClassVar[bool] = True
    types: ClassVar[tuple[type[Event], ...]] = (
        OrderFilled,
        TradeExecuted,
        PositionAdjusted,
        FeeCharged,
        TradeBusted,
        TradeCorrected,
        LimitsSet,
        RateQuoted,
    )

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterator[Decision]:
        for each in per_account(book, trigger):
            yield from super().decide(book, each)

    @override
    def measure(self, context: AccountContext, limit: Limit, parameters: CooldownParameters) -> Measure | None:
        trips, rates = context.book.trips.of(context.account), context.cache.rates
        total = _money(context.figures, _result(trips[-1], rates), parameters) if trips else _NOTHING
        is_over = not trips or trips[-1].ended_at + parameters.duration <= context.at
        # A pause that would be over needs no rate.
        standing = KNOWN if is_over or parameters.loss is None else total.standing
        if parameters.losing_trips is not None:
            losing = _losing(_result(trip, rates) for trip in reversed(trips))
            return Measure(Decimal(losing % parameters.losing_trips), Decimal(parameters.losing_trips), standing)
        assert parameters.loss is not None, "one of both is set"
        if is_over and total.standing is not KNOWN:
            return None
        currency = parameters.currency or context.currency
        return Measure(max(-total.amount, ZERO), parameters.loss, standing, currency=currency)

    @override
    def breaches(self, book: Book, trigger: Trigger, limit: Limit, parameters: CooldownParameters) -> Iterable[Breach]:
        if cannot_change(book, trigger, limit, Basis.REALIZED):
            return
        trips = book.trips.of(trigger.account)
        if not trips or not _may_begin_pause(trigger, trips[-1]):
            return
        until = trips[-1].ended_at + parameters.duration
        if until <= now_of(trigger):
            return
        with decimal.localcontext(FIXED):
            figures = figures_of(book, trigger.account, now_of(trigger))
            results = [_result(trip, figures.cache.rates) for trip in trips]
            worst = _big_loss(figures, results[-1], parameters) or _streak(results, parameters)
        if worst is None or (isinstance(trigger.event, RateQuoted) and _has_paused(book, trigger, limit, trips[-1])):
            return
        figure, most, what, count, currency = worst
        day = day_of(book, trigger.account, trips[-1].ended_at, now_of(trigger))
        yield Breach(
            figure=figure,
            limit=most,
            reason=sentence(
                book, trigger, parameters, f"{what} ({parameters.duration // _MINUTE} minutes' pause)", until
            ),
            currency=currency,
            trading_day=day.trading_day,
            until=until,
            details={"trips": list(map(_trip_details, trips[-count:], results[-count:]))},
        )


_TripResult = tuple[Decimal | None, str | None, bool]
"""A round trip's result in money, its currency, and whether it is a loss."""
_NOTHING = Total(ZERO)


class _Worst(NamedTuple):
    """What begins a pause: the figure and its limit, the sentence's begin, how many round trips, and the currency."""

    figure: Decimal
    most: Decimal
    what: str
    trip_count: int
    currency: str | None


def _may_begin_pause(trigger: Trigger, last: RoundTrip) -> bool:
    """Return whether a trigger can begin a pause: events between the ends of two round trips do not."""
    if trigger.kind is TriggerKind.START or trigger.record is None:
        return True
    # These change the result of a trip that ended before, or what it is compared with.
    changes = isinstance(trigger.event, FeeCharged | TradeBusted | TradeCorrected | LimitsSet | RateQuoted)
    # So does a fill that is reported after the end of a trip, and happened before it.
    return changes or trigger.record.position == last.position or trigger.at < last.ended_at


def _has_paused(book: Book, trigger: Trigger, limit: Limit, last: RoundTrip) -> bool:
    """Return whether a limit has locked since a round trip: somebody may have released it, and rates change often."""
    history = book.shadow.lock_history(trigger.account)
    return any(held.rule_id == limit.rule_id and held.positions[0] > last.position for held in history)


def _result(trip: RoundTrip, rates: Rates) -> _TripResult:
    _, _, currency, multiplier = rates.of_key(ledger_key(trip.symbol + SEPARATOR + trip.side, trip.terms))
    if trip.points is None:
        return None, currency, False
    if multiplier is None:
        # The sign is known without a multiplier, the amount is not.
        return None, currency, trip.points < ZERO
    net = trip.points * multiplier - sum((amount for name, amount in trip.fees if name in {"", currency}), ZERO)
    return net, currency, net < ZERO


def _money(figures: AccountFigures, result: _TripResult, parameters: CooldownParameters) -> Total:
    """Return a round trip's result in the limit's currency, by default the account's own; nothing of unknown money."""
    net, currency, _ = result
    if net is None:
        return _NOTHING
    return figures.total({currency: net}, target=parameters.currency or figures.own or currency)


def _big_loss(figures: AccountFigures, result: _TripResult, parameters: CooldownParameters) -> _Worst | None:
    if parameters.loss is None:
        return None
    total, currency = _money(figures, result, parameters), parameters.currency or figures.own or result[1]
    if total.standing is not KNOWN or total.amount > -parameters.loss:
        return None
    what = f"a round trip's loss {money(total.amount)} of {money(-parameters.loss)}{unit_of(currency)}"
    return _Worst(total.amount, -parameters.loss, what, 1, currency)


def _streak(results: Sequence[_TripResult], parameters: CooldownParameters) -> _Worst | None:
    allowed = parameters.losing_trips
    streak = _losing(reversed(results))
    # At multiples only: losses that began one pause do not begin the next.
    if not allowed or not streak or streak % allowed:
        return None
    what = f"{streak:,} losing round trips in a row"
    return _Worst(Decimal(streak), Decimal(allowed), what, allowed, results[-1][1])


def _losing(results: Iterable[_TripResult]) -> int:
    """Return how many round trips in a row have lost, given the last one first: no more are computed than that."""
    streak = 0
    for _, _, lost in results:
        if not lost:
            break
        streak += 1
    return streak


def _trip_details(trip: RoundTrip, result: _TripResult) -> dict[str, object]:
    net = None if result[0] is None else str(result[0])
    return {
        "symbol": trip.symbol,
        "net": net,
        "points": None if trip.points is None else str(trip.points),
        "position": trip.position,
    }
