"""The rules about a day's or a week's result: a loss that locks, a profit that is locked in."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeVar

from typing_extensions import override

from eventstore.trading import EquityMarked, FeeCharged, TradeBusted, TradeCorrected
from projections.decimals import FIXED
from projections.risk.limits import parameters as kinds
from projections.risk.limits.base import Breach, Rule, now_of
from projections.risk.limits.figures import (
    RESULT_EVENTS,
    Span,
    amounts,
    concerned,
    day_of,
    is_idle,
    results,
    sentence,
    untold,
    week_of,
    when,
)
from projections.risk.limits.parameters import BadLimit, Basis, Parameters, read
from projections.risk.limits.sentences import money

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from decimal import Decimal

    from eventstore import Event
    from projections.book import Book
    from projections.risk.limits.figures import Result
    from projections.risk.policies import Decision, Trigger
    from projections.views.limits.view import Limit

P = TypeVar("P", kinds.DailyLoss, kinds.WeeklyLoss, kinds.DailyProfit)
# They may change what a trade made, and come when its day is over.
_ABOUT_TRADES = (FeeCharged, TradeBusted, TradeCorrected)


class _Spot(NamedTuple):
    """An instant, and the day or week around it."""

    at: int
    span: Span


class _Reached(NamedTuple):
    """What to say of a limit that is reached; `figure` where it is another than the result."""

    what: str
    limit: Decimal
    span: Span
    figure: Decimal | None = None


class _OfResult(Rule[P]):
    """A rule about what was made: asked after whatever may change that, and at quotes where open positions count."""

    types: ClassVar[tuple[type[Event], ...]] = RESULT_EVENTS
    quotes: ClassVar[bool] = True
    timed: ClassVar[bool] = True

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterator[Decision]:
        for each in concerned(book, trigger):
            yield from super().decide(book, each)


class DailyLoss(_OfResult[kinds.DailyLoss]):
    """Locks until the reset once a trading day's result is as low as minus the limit.

    `trailing`: once it is that far below the day's best so far. That is zero when the day begins; the fills' own
    order says it of what was realized, the marks that `EquityMarks` makes say it of the equity. A day's result on
    equity basis is what it realized and what all open positions would make now, also those held since before.

    A day that is over is judged by what it realized, and its breach recorded without a lockout.
    """

    name = "daily-loss"
    parameters: ClassVar[type[Parameters]] = kinds.DailyLoss
    types: ClassVar[tuple[type[Event], ...]] = (*RESULT_EVENTS, EquityMarked)

    @override
    def breaches(self, book: Book, trigger: Trigger, limit: Limit, parameters: kinds.DailyLoss) -> Iterable[Breach]:
        if is_idle(trigger, limit, parameters.basis):
            return
        for held, result, spot in _judged(book, trigger, limit, parameters):
            breach = _daily_loss(book, trigger, held, result, spot)
            if breach is not None:
                yield breach


class WeeklyLoss(_OfResult[kinds.WeeklyLoss]):
    """Locks until the week's last reset once the result of its trading days is as low as minus the limit.

    Where no calendar says when the week ends, it locks until the next reset, and again after it.
    """

    name = "weekly-loss"
    parameters: ClassVar[type[Parameters]] = kinds.WeeklyLoss

    @override
    def breaches(self, book: Book, trigger: Trigger, limit: Limit, parameters: kinds.WeeklyLoss) -> Iterable[Breach]:
        if is_idle(trigger, limit, parameters.basis):
            return
        for held, result, spot in _judged(book, trigger, limit, parameters, of_week=True):
            if result.amount <= -held.limit:
                what = f"weekly loss {amounts(result.amount, -held.limit, result.currency)}"
                yield _breach(book, trigger, held, result, _Reached(what, -held.limit, spot.span))


class DailyProfit(_OfResult[kinds.DailyProfit]):
    """Locks until the reset once a trading day's result has come to the target."""

    name = "daily-profit"
    parameters: ClassVar[type[Parameters]] = kinds.DailyProfit

    @override
    def breaches(self, book: Book, trigger: Trigger, limit: Limit, parameters: kinds.DailyProfit) -> Iterable[Breach]:
        if is_idle(trigger, limit, parameters.basis):
            return
        for held, result, spot in _judged(book, trigger, limit, parameters):
            if result.amount >= held.target:
                what = f"daily profit {amounts(result.amount, held.target, result.currency)}"
                yield _breach(book, trigger, held, result, _Reached(what, held.target, spot.span))


def _judged(
    book: Book, trigger: Trigger, limit: Limit, parameters: P, *, of_week: bool = False
) -> Iterator[tuple[P, Result, _Spot]]:
    """Yield what the days or the week came to that a trigger may have changed, with what it is held against."""
    for spot in _spots(book, trigger, of_week=of_week):
        held = _held_then(book, limit, parameters, spot.span)
        if held is not None:
            # What is open now says nothing about a day that is over.
            basis = held.basis if spot.span.is_current else Basis.REALIZED
            for result in results(book, trigger, spot.at, held, basis=basis, week=of_week):
                yield held, result, spot


def _spots(book: Book, trigger: Trigger, *, of_week: bool) -> Iterator[_Spot]:
    """Yield the day or week of a trigger; and the day before it, of which a trade may have been that was changed."""
    account, at, now = trigger.account, when(trigger), now_of(trigger)
    yield _Spot(at, week_of(book, account, at, now) if of_week else day_of(book, account, at, now))
    session = book.sessions.current(account, at)
    if of_week or session is None or session.began_at is None or not isinstance(trigger.event, _ABOUT_TRADES):
        return
    before = session.began_at - 1
    if book.sessions.current(account, before) is not None:
        yield _Spot(before, day_of(book, account, before, now))


def _held_then(book: Book, limit: Limit, parameters: P, day: Span) -> P | None:
    """Return the parameters that a day ended with, where it is over: what was set after it does not judge it."""
    if day.is_current or day.ends_at is None:
        return parameters
    then = book.limits.get(limit.account, limit.rule_id, day.ends_at - 1)
    try:
        held = None if then is None else read(then, type(parameters))
    except BadLimit:
        return None
    return held if held is not None and held.enabled else None


def _daily_loss(
    book: Book, trigger: Trigger, parameters: kinds.DailyLoss, result: Result, spot: _Spot
) -> Breach | None:
    figure, most, what = result.amount, -parameters.limit, ""
    if parameters.trailing:
        best = _best(book, trigger.account, parameters, result, spot)
        figure = FIXED.subtract(figure, best)
        what = f" from the day's best {money(best)}"
        result.details.update(best=str(best), result=str(result.amount))
    if figure > most:
        return None
    what = f"daily loss {amounts(figure, most, result.currency)}{what}"
    return _breach(book, trigger, parameters, result, _Reached(what, most, spot.span, figure))


def _best(book: Book, account: str, parameters: kinds.DailyLoss, result: Result, spot: _Spot) -> Decimal:
    at, day = spot.at, spot.span
    net = parameters.net_of_fees
    planned = untold(book, account, at)
    bounds = None if planned is None else (planned.began_at, planned.resets_at)
    best = book.bests.realized(account, at, result.currency, net=net, bounds=bounds)
    if parameters.basis is Basis.REALIZED or not day.is_current:
        return best
    own = book.accounts.get(account)
    # Marks are in the account's own currency. What was realized at the best is not what was open then.
    if own is None or own.currency != result.currency:
        return max(result.amount, FIXED.create_decimal(0))
    marked = book.bests.marked(account, day.trading_day, at, net=net)
    return max(marked, result.amount)


def _breach(book: Book, trigger: Trigger, parameters: Parameters, result: Result, reached: _Reached) -> Breach:
    span = reached.span
    return Breach(
        figure=result.amount if reached.figure is None else reached.figure,
        limit=reached.limit,
        reason=sentence(book, trigger, parameters, reached.what, span.ends_at),
        currency=result.currency,
        basis=str(result.basis),
        trading_day=span.trading_day,
        until=span.ends_at,
        details=result.details,
    )
