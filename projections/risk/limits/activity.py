"""The rules about how much is traded: a limit of trades in a day, and a pause after losses."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace
from typing_extensions import override

from eventstore import UnknownContract
from eventstore.clock import NANOSECONDS
from eventstore.trading import (
    Allows,
    EnforcementAction,
    FeeCharged,
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
from projections.decimals import FIXED, ZERO
from projections.risk.limits import parameters as kinds
from projections.risk.limits.base import Breach, Rule, now_of
from projections.risk.limits.figures import day_of, sentence
from projections.risk.limits.parameters import Parameters, Unit
from projections.risk.limits.sentences import money
from projections.risk.policies import TriggerKind
from projections.views.executions.pnl_totals import Rates

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from eventstore import Event
    from projections.book import Book
    from projections.risk.policies import Trigger
    from projections.views.executions.round_trips import RoundTrip
    from projections.views.limits.view import Limit

_NAMES = {Unit.ORDERS: "orders", Unit.FILLS: "fills", Unit.ROUND_TRIPS: "round trips"}
_MINUTE = 60 * NANOSECONDS


class TradeLimit(Rule[kinds.TradeLimit]):
    """Locks new exposure until the reset once so many orders, fills or round trips were made in a trading day.

    Whatever its parameters say: it liquidates nothing, and what is open may be closed.
    """

    name = "trade-limit"
    parameters: ClassVar[type[Parameters]] = kinds.TradeLimit
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
    def limits(self, book: Book, trigger: Trigger) -> Iterator[tuple[Limit, kinds.TradeLimit]]:
        for limit, parameters in super().limits(book, trigger):
            yield limit, replace(parameters, action=EnforcementAction.NONE, allows=Allows.REDUCE_ONLY)

    @override
    def breaches(self, book: Book, trigger: Trigger, limit: Limit, parameters: kinds.TradeLimit) -> Iterable[Breach]:
        account, at, unit = trigger.account, trigger.at, parameters.unit
        count: int = getattr(book.counters.of(account, at).day, unit.value)
        if count < parameters.limit:
            return
        day = day_of(book, account, at, now_of(trigger))
        what = f"trade limit {count:,} of {parameters.limit:,} {_NAMES[unit]}"
        yield Breach(
            figure=Decimal(count),
            limit=Decimal(parameters.limit),
            reason=sentence(book, trigger, parameters, what, day.ends_at),
            basis=unit.value,
            trading_day=day.trading_day,
            until=day.ends_at,
        )


class Cooldown(Rule[kinds.Cooldown]):
    """Locks new exposure for a while after losses, from when the last of the round trips ended.

    A round trip makes its points times the multiplier, less its fees in the contract's currency. Every
    `losing_trips` in a row lock anew, so that the count begins again after each pause; one that comes out even is
    no loss. Among the last 100 round trips of the account they may be in any symbols. One whose worth nobody told
    counts by its points, and is never a `loss` of money.
    """

    name = "cooldown"
    parameters: ClassVar[type[Parameters]] = kinds.Cooldown
    types: ClassVar[tuple[type[Event], ...]] = (
        OrderFilled,
        TradeExecuted,
        PositionAdjusted,
        FeeCharged,
        TradeBusted,
        TradeCorrected,
        LimitsSet,
    )

    @override
    def breaches(self, book: Book, trigger: Trigger, limit: Limit, parameters: kinds.Cooldown) -> Iterable[Breach]:
        trips = book.trips.of(trigger.account)
        if not trips or not _may_end(trigger, trips[-1]):
            return
        own = book.accounts.get(trigger.account)
        results = _results(book, trips, None if own is None else own.currency)
        until = trips[-1].ended_at + parameters.duration
        if until <= now_of(trigger):
            return
        worst = _big_loss(results[-1], parameters) or _streak(results, parameters)
        if worst is None:
            return
        figure, most, what, count = worst
        day = day_of(book, trigger.account, trips[-1].ended_at, now_of(trigger))
        yield Breach(
            figure=figure,
            limit=most,
            reason=sentence(
                book, trigger, parameters, f"{what} ({parameters.duration // _MINUTE} minutes' pause)", until
            ),
            currency=results[-1][1],
            trading_day=day.trading_day,
            until=until,
            details={"trips": [_told(trip, made) for trip, made in list(zip(trips, results, strict=True))[-count:]]},
        )


Result = tuple[Decimal | None, str | None, bool]
"""What a round trip made in money, in which currency, and whether that is a loss."""


def _may_end(trigger: Trigger, last: RoundTrip) -> bool:
    """Tell whether a trigger can begin a pause: what happens after a trip, until the next one ends, does not."""
    if trigger.kind is TriggerKind.START or trigger.record is None:
        return True
    changes = isinstance(trigger.event, FeeCharged | TradeBusted | TradeCorrected | LimitsSet)
    return changes or trigger.record.position == last.position


def _results(book: Book, trips: Sequence[RoundTrip], own: str | None) -> list[Result]:
    rates = Rates(book, own)
    with decimal.localcontext(FIXED):
        return [_result(trip, rates) for trip in trips]


def _result(trip: RoundTrip, rates: Rates) -> Result:
    currency = rates.currency(trip.symbol)
    if trip.points is None:
        return None, currency, False
    try:
        gross = rates.money(trip.symbol, trip.points)
    except UnknownContract:
        return None, currency, trip.points < ZERO
    net = gross - sum((amount for name, amount in trip.fees if name in {"", currency}), ZERO)
    return net, currency, net < ZERO


def _big_loss(result: Result, parameters: kinds.Cooldown) -> tuple[Decimal, Decimal, str, int] | None:
    net, currency, _ = result
    wanted = parameters.currency in {None, currency}
    if parameters.loss is None or net is None or not wanted or net > -parameters.loss:
        return None
    what = f"a round trip's loss {money(net)} of {money(-parameters.loss)} {currency or ''}".rstrip()
    return net, -parameters.loss, what, 1


def _streak(results: Sequence[Result], parameters: kinds.Cooldown) -> tuple[Decimal, Decimal, str, int] | None:
    wanted = parameters.losing_trips
    streak = next((number for number, (_, _, lost) in enumerate(reversed(results)) if not lost), len(results))
    if not wanted or not streak or streak % wanted:
        return None
    return Decimal(streak), Decimal(wanted), f"{streak:,} losing round trips in a row", wanted


def _told(trip: RoundTrip, made: Result) -> dict[str, object]:
    net = None if made[0] is None else str(made[0])
    return {
        "symbol": trip.symbol,
        "net": net,
        "points": None if trip.points is None else str(trip.points),
        "position": trip.position,
    }
