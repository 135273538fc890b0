"""Rules on a day's or week's result: a loss limit that locks, a profit target that locks the profit in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

from typing_extensions import override

from eventstore.trading import EquityMarked, FeeCharged, TradeBusted, TradeCorrected
from projections.decimals import FIXED, ZERO
from projections.risk.account_figures import figures_of
from projections.risk.caches import risk_cache
from projections.risk.days import TradingPeriod, day_of, week_of
from projections.risk.limits.base import Breach, ValuedRule, now_of
from projections.risk.limits.figures import (
    RESULT_EVENTS,
    amounts,
    cannot_change,
    effective_time,
    period_results,
    sentence,
)
from projections.risk.limits.parameters import (
    Basis,
    DailyLossParameters,
    DailyProfitParameters,
    Parameters,
    WeeklyLossParameters,
    read_enabled,
)
from projections.risk.limits.sentences import money

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from decimal import Decimal

    from eventstore import Event
    from projections.book import Book
    from projections.risk.limits.figures import PeriodResult
    from projections.risk.policies import Trigger
    from projections.views.limits.view import Limit

P = TypeVar("P", DailyLossParameters, WeeklyLossParameters, DailyProfitParameters)
# These change the result of an earlier trade, whose day may be over.
_ABOUT_TRADES = (FeeCharged, TradeBusted, TradeCorrected)


class _Evaluated(NamedTuple):
    """An instant, and the day or week around it."""

    at: int
    period: TradingPeriod


class _Reached(NamedTuple):
    """A limit that is reached: the sentence, the limit and its period; `figure` if it is not the result itself."""

    what: str
    limit: Decimal
    period: TradingPeriod
    figure: Decimal | None = None
    details: dict[str, Any] | None = None
    is_loss: bool = True


class _OfResult(ValuedRule[P]):
    """A rule on a result, evaluated after every event that may change it, and at quotes if open positions count."""

    types: ClassVar[tuple[type[Event], ...]] = RESULT_EVENTS


class DailyLoss(_OfResult[DailyLossParameters]):
    """Locks until the reset once a trading day's loss reaches the limit.

    `trailing`: once the result is that far below the day's best so far, which is zero when the day begins. The
    realized best follows from the order of the fills, the best equity from the marks of `EquityMarks`. With basis
    `equity` a day's result is the realized one plus the unrealized result of all open positions, older ones included.

    A day that is over is evaluated by its realized result, and its breach is recorded without a lockout.
    """

    name = "daily-loss"
    parameters: ClassVar[type[Parameters]] = DailyLossParameters
    types: ClassVar[tuple[type[Event], ...]] = (*RESULT_EVENTS, EquityMarked)

    @override
    def breaches(self, book: Book, trigger: Trigger, limit: Limit, parameters: DailyLossParameters) -> Iterable[Breach]:
        if cannot_change(book, trigger, limit, parameters.basis):
            return
        for then, result, evaluated in _evaluations(book, trigger, limit, parameters):
            breach = _daily_loss(book, trigger, then, result, evaluated)
            if breach is not None:
                yield breach


class WeeklyLoss(_OfResult[WeeklyLossParameters]):
    """Locks until the week's last reset once the loss of its trading days reaches the limit.

    If no calendar defines the end of the week, it locks until the next reset, and again after it.
    """

    name = "weekly-loss"
    parameters: ClassVar[type[Parameters]] = WeeklyLossParameters

    @override
    def breaches(
        self, book: Book, trigger: Trigger, limit: Limit, parameters: WeeklyLossParameters
    ) -> Iterable[Breach]:
        if cannot_change(book, trigger, limit, parameters.basis):
            return
        for then, result, evaluated in _evaluations(book, trigger, limit, parameters, of_week=True):
            if result.amount <= -then.limit:
                what = f"weekly loss {amounts(result.amount, -then.limit, result.currency)}"
                yield _breach(book, trigger, then, result, _Reached(what, -then.limit, evaluated.period))


class DailyProfit(_OfResult[DailyProfitParameters]):
    """Locks until the reset once a trading day's result reaches the target."""

    name = "daily-profit"
    parameters: ClassVar[type[Parameters]] = DailyProfitParameters

    @override
    def breaches(
        self, book: Book, trigger: Trigger, limit: Limit, parameters: DailyProfitParameters
    ) -> Iterable[Breach]:
        if cannot_change(book, trigger, limit, parameters.basis):
            return
        for then, result, evaluated in _evaluations(book, trigger, limit, parameters, of_losses=False):
            if result.amount >= then.target:
                what = f"daily profit {amounts(result.amount, then.target, result.currency)}"
                reached = _Reached(what, then.target, evaluated.period, is_loss=False)
                yield _breach(book, trigger, then, result, reached)


def _evaluations(
    book: Book, trigger: Trigger, limit: Limit, parameters: P, *, of_week: bool = False, of_losses: bool = True
) -> Iterator[tuple[P, PeriodResult, _Evaluated]]:
    """Yield the results that a trigger may have changed, each with the parameters for it and its period."""
    for evaluated in _affected_periods(book, trigger, of_week=of_week):
        then = _parameters_then(book, limit, parameters, evaluated.period)
        if then is not None:
            # The positions open now say nothing about a day that is over.
            basis = then.basis if evaluated.period.is_current else Basis.REALIZED
            figures = figures_of(book, trigger.account, now_of(trigger), evaluated.at)
            for result in period_results(figures, then, basis=basis, week=of_week):
                # What is not known locks nothing: the check before an order rejects new exposure meanwhile. A loss is
                # certain where even what the result is at most reaches the limit.
                known = result.at_most() if of_losses else result if result.is_known else None
                if known is not None:
                    yield then, known, evaluated


def _affected_periods(book: Book, trigger: Trigger, *, of_week: bool) -> Iterator[_Evaluated]:
    """Yield the days or weeks that a trigger may have changed.

    Its own; the present one, because what is recorded late changes what later trades realized; and the day before, if
    a trade that may be of that day was changed.
    """
    account, at, now = trigger.account, effective_time(trigger), now_of(trigger)
    if at == now and not isinstance(trigger.event, _ABOUT_TRADES):
        cache = risk_cache(book, account, now)
        yield _Evaluated(now, cache.week if of_week else cache.day)
        return
    period_of = week_of if of_week else day_of
    period = period_of(book, account, at, now)
    yield _Evaluated(at, period)
    if not period.is_current and at < now:
        present = period_of(book, account, now, now)
        if present.trading_day != period.trading_day:
            yield _Evaluated(now, present)
    session = book.sessions.current(account, at)
    if of_week or session is None or session.began_at is None or not isinstance(trigger.event, _ABOUT_TRADES):
        return
    # Such an event may belong to a trade of the day before; days older than that are not evaluated again.
    before = session.began_at - 1
    if book.sessions.current(account, before) is not None:
        yield _Evaluated(before, day_of(book, account, before, now))


def _parameters_then(book: Book, limit: Limit, parameters: P, day: TradingPeriod) -> P | None:
    """Return the parameters in force when a day ended, if it is over: later ones do not apply to it."""
    if day.is_current or day.ends_at is None:
        return parameters
    last = book.limits.get(limit.account, limit.rule_id, day.ends_at - 1)
    return None if last is None else read_enabled(last, type(parameters))


def _daily_loss(
    book: Book, trigger: Trigger, parameters: DailyLossParameters, result: PeriodResult, evaluated: _Evaluated
) -> Breach | None:
    figure, most, what = result.amount, -parameters.limit, ""
    details: dict[str, Any] = {}
    if parameters.trailing:
        best = best_of_day(result, parameters)
        figure = FIXED.subtract(figure, best)
        what = f" from the day's best {money(best)}"
        details = {"best": str(best), "result": str(result.amount)} | _marks_of(result, parameters, best)
    if figure > most:
        return None
    what = f"daily loss {amounts(figure, most, result.currency)}{what}"
    return _breach(book, trigger, parameters, result, _Reached(what, most, evaluated.period, figure, details))


def best_of_day(result: PeriodResult, parameters: DailyLossParameters) -> Decimal:
    """Return the best result so far of a result's trading day, measured as it is; at least zero."""
    cache, net = result.figures.cache, parameters.net_of_fees
    if result.basis is Basis.REALIZED:
        return cache.best_realized_of_day(result.currency, net=net)
    best = max(result.amount, ZERO)
    # Marks are in the account's own currency: in another one the best is only known to be at least zero.
    if result.figures.own != result.currency:
        return best
    marked = cache.best_marked_of_day(net=net)
    return best if marked is None else max(best, FIXED.subtract(marked, result.carried.amount))


def _marks_of(result: PeriodResult, parameters: DailyLossParameters, best: Decimal) -> dict[str, list[str]]:
    """Return the id of the record that set a day's best, where one did: a correction of it names it."""
    figures, net = result.figures, parameters.net_of_fees
    if result.basis is Basis.REALIZED or figures.own != result.currency:
        return {}
    marked = figures.cache.best_marked_of_day(net=net)
    if marked is None or FIXED.subtract(marked, result.carried.amount) < best:
        return {}
    day = figures.cache.day.trading_day
    record = figures.book.bests.mark_record(figures.account, day, figures.at, net=net)
    return {} if record is None else {"marks": [record.hex()]}


def _breach(book: Book, trigger: Trigger, parameters: Parameters, result: PeriodResult, reached: _Reached) -> Breach:
    period, figure = reached.period, result.amount if reached.figure is None else reached.figure

    def is_confirmed() -> bool:
        bounds = result.bounds()
        # With every price of the confirming window the figure is at least as bad, or as good.
        if bounds is None:
            return False
        least, most = (FIXED.add(figure, FIXED.subtract(bound, result.amount)) for bound in bounds)
        return most <= reached.limit if reached.is_loss else least >= reached.limit

    return Breach(
        figure=figure,
        limit=reached.limit,
        reason=sentence(book, trigger, parameters, reached.what, period.ends_at),
        currency=result.currency,
        basis=str(result.basis),
        trading_day=period.trading_day,
        until=period.ends_at,
        details=result.details() | (reached.details or {}),
        is_confirmed=is_confirmed,
    )
