"""What the kinds on a day's or week's result share: the periods that an event changes, the figure, the lockout."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

from typing_extensions import override

from eventstore.trading import FeeCharged, TradeBusted, TradeCorrected, Verdict
from projections.decimals import FIXED, ZERO
from projections.risk.account_figures import figures_of
from projections.risk.caches import risk_cache
from projections.risk.days import TradingPeriod, day_of, week_of
from projections.risk.limits.breaches import Breach, now_of
from projections.risk.limits.kind import Measure, RestsOn, ValuedKind, summed
from projections.risk.limits.results import (
    RESULT_EVENTS,
    Basis,
    ResultParameters,
    amounts,
    cannot_change,
    effective_time,
    period_results,
    sentence,
)
from projections.risk.limits.sentences import haircut_of, lock_suffix, reserved
from projections.risk.proposals import MissingInput
from projections.valuation import worst
from projections.views.limits.parameters import read_enabled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from decimal import Decimal

    from eventstore import Event
    from projections.book import Book
    from projections.risk.contexts import AccountContext
    from projections.risk.limits.results import PeriodResult
    from projections.risk.policies import Trigger
    from projections.views.limits.limit import Limit

P = TypeVar("P", bound=ResultParameters)
# These change the result of an earlier trade, whose day may be over.
_ABOUT_TRADES = (FeeCharged, TradeBusted, TradeCorrected)


class Evaluated(NamedTuple):
    """An instant, and the day or week around it."""

    at: int
    period: TradingPeriod


class Used(NamedTuple):
    """How much of a limit a result has used up, the end of the sentence, and the inputs beyond the result's."""

    amount: Decimal
    suffix: str = ""
    details: dict[str, Any] = {}  # noqa: RUF012 - a default that nobody changes


class _Breaching(NamedTuple):
    result: PeriodResult
    used: Used
    period: TradingPeriod


class ResultKind(ValuedKind[P]):
    """A kind on a result: evaluated after every event that may change it, and at quotes if open positions count.

    With basis `equity` a result is the realized one plus the unrealized result of all open positions, older ones
    included. A day that is over is evaluated by its realized result, and its breach is recorded without a lockout.
    """

    types: ClassVar[tuple[type[Event], ...]] = RESULT_EVENTS
    group: ClassVar[str | None] = "pnl"
    by_figures: ClassVar[bool] = True
    what: ClassVar[str]
    """What its sentences call the figure."""
    of_week: ClassVar[bool] = False
    rests_on: ClassVar[RestsOn] = RestsOn.DAY
    is_loss: ClassVar[bool] = True

    def most(self, parameters: P) -> Decimal:
        """Return the limit: how large the loss, or the profit, may become."""
        raise NotImplementedError

    def used(self, result: PeriodResult, parameters: P, *, confirmed: bool) -> Used:
        """Return how much of the limit a result has used up.

        `confirmed`: as more than one observation shows it. One is enough to reject an order, though not to lock.
        """
        return Used(-result.amount if self.is_loss else result.amount)

    @override
    def measure(self, context: AccountContext, limit: Limit, parameters: P) -> Measure | None:
        figures = context.figures
        results = period_results(figures, parameters, basis=parameters.basis, week=self.of_week)
        # Without a currency of the account's own none is preferred: the result nearest to the limit counts.
        result = results[0] if len(results) == 1 else (min if self.is_loss else max)(results, key=_amount)
        used = self.used(result, parameters, confirmed=False)
        # A reserve narrows what may be lost, not what may be won.
        reserve = haircut_of(context, result.converted) if self.is_loss else ZERO
        standing = worst([each.standing for each in results])
        return Measure(used.amount, self.most(parameters), standing, reserve, result.currency, used)

    @override
    def measure_group(self, members: Sequence[AccountContext], limit: Limit, parameters: P) -> Measure | None:
        measures = [self.measure_member(each, limit, parameters) for each in members]
        currencies = {found.currency for found in measures if found is not None and _is_money(found)}
        if len(currencies) > 1:
            named = ", ".join(sorted(currency or "none" for currency in currencies))
            msg = f"the results of its members are in {named}: set the limit's currency"
            raise MissingInput(msg)
        total = summed(members, measures)
        if total is None:
            return None
        return total._replace(currency=next(iter(currencies), None), parts=Used(total.figure))

    @override
    def period(self, book: Book, account: str, at: int) -> TradingPeriod:
        return (week_of if self.of_week else day_of)(book, account, at, at)

    @override
    def is_confirmed(self, members: Sequence[AccountContext], parameters: P, measure: Measure) -> bool:
        total = ZERO
        for member in members:
            for result in period_results(member.figures, parameters, basis=parameters.basis, week=self.of_week):
                bounds = result.bounds()
                if bounds is None:
                    return False
                total += -bounds[1] if self.is_loss else bounds[0]
        return total >= measure.limit

    @override
    def sentence(self, context: AccountContext, parameters: P, measure: Measure, verdict: Verdict) -> str:
        sign = -1 if self.is_loss else 1
        said = f"{self.what} {amounts(sign * measure.figure, sign * measure.limit, measure.currency)}"
        said += f"{measure.parts.suffix}{reserved(measure.reserve)}"
        is_reached = measure.figure >= measure.limit
        return said + lock_suffix(context, is_reached, verdict, week_of if self.of_week else day_of)

    @override
    def cache_group(self, parameters: P) -> str | None:
        # With open positions in the figure, or a best that moves with them, each quote may change the finding.
        by_quotes = parameters.basis is not Basis.REALIZED or getattr(parameters, "trailing", False)
        return None if by_quotes else super().cache_group(parameters)

    @override
    def breaches(self, book: Book, trigger: Trigger, limit: Limit, parameters: P) -> Iterable[Breach]:
        if cannot_change(book, trigger, limit, parameters.basis):
            return
        for then, result, evaluated in self._evaluations(book, trigger, limit, parameters):
            used, most = self.used(result, then, confirmed=True), self.most(then)
            if used.amount >= most:
                yield self._breach(book, trigger, then, _Breaching(result, used, evaluated.period))

    def _evaluations(
        self, book: Book, trigger: Trigger, limit: Limit, parameters: P
    ) -> Iterator[tuple[P, PeriodResult, Evaluated]]:
        """Yield the results that a trigger may have changed, each with the parameters for it and its period."""
        for evaluated in _affected_periods(book, trigger, of_week=self.of_week):
            then = _parameters_then(book, limit, parameters, evaluated.period)
            if then is None:
                continue
            # The positions open now say nothing about a day that is over.
            basis = then.basis if evaluated.period.is_current else Basis.REALIZED
            figures = figures_of(book, trigger.account, now_of(trigger), evaluated.at)
            with decimal.localcontext(FIXED):
                results = period_results(figures, then, basis=basis, week=self.of_week)
            for result in results:
                # What is not known locks nothing: the check before an order rejects new exposure meanwhile. A loss is
                # certain where even what the result is at most reaches the limit.
                known = result.at_most() if self.is_loss else result if result.is_known else None
                if known is not None:
                    yield then, known, evaluated

    def _breach(self, book: Book, trigger: Trigger, parameters: P, found: _Breaching) -> Breach:
        result, used, period = found
        sign = -1 if self.is_loss else 1
        figure, most = sign * used.amount, sign * self.most(parameters)

        def is_confirmed() -> bool:
            bounds = result.bounds()
            # With every price of the confirming window the figure is at least as bad, or as good.
            if bounds is None:
                return False
            lowest, highest = (FIXED.add(figure, FIXED.subtract(bound, result.amount)) for bound in bounds)
            return highest <= most if self.is_loss else lowest >= most

        said = f"{self.what} {amounts(figure, most, result.currency)}{used.suffix}"
        return Breach(
            figure=figure,
            limit=most,
            reason=sentence(book, trigger, parameters, said, period.ends_at),
            currency=result.currency,
            basis=str(result.basis),
            trading_day=period.trading_day,
            until=period.ends_at,
            details=result.details() | used.details,
            is_confirmed=is_confirmed,
        )


def _is_money(measure: Measure) -> bool:
    """Return whether a figure is in a currency, or counts in spite of having none."""
    return measure.currency is not None or bool(measure.figure)


def _amount(result: PeriodResult) -> Decimal:
    return result.amount


def _affected_periods(book: Book, trigger: Trigger, *, of_week: bool) -> Iterator[Evaluated]:
    """Yield the days or weeks that a trigger may have changed.

    Its own; the present one, because what is recorded late changes what later trades realized; and the day before, if
    a trade that may be of that day was changed.
    """
    account, at, now = trigger.account, effective_time(trigger), now_of(trigger)
    if at == now and not isinstance(trigger.event, _ABOUT_TRADES):
        cache = risk_cache(book, account, now)
        yield Evaluated(now, cache.week if of_week else cache.day)
        return
    period_of = week_of if of_week else day_of
    period = period_of(book, account, at, now)
    yield Evaluated(at, period)
    if not period.is_current and at < now:
        present = period_of(book, account, now, now)
        if present.trading_day != period.trading_day:
            yield Evaluated(now, present)
    session = book.sessions.current(account, at)
    if of_week or session is None or session.began_at is None or not isinstance(trigger.event, _ABOUT_TRADES):
        return
    # Such an event may belong to a trade of the day before; days older than that are not evaluated again.
    before = session.began_at - 1
    if book.sessions.current(account, before) is not None:
        yield Evaluated(before, day_of(book, account, before, now))


def _parameters_then(book: Book, limit: Limit, parameters: P, day: TradingPeriod) -> P | None:
    """Return the parameters in force when a day ended, if it is over: later ones do not apply to it."""
    if day.is_current or day.ends_at is None:
        return parameters
    last = book.limits.get(limit.account, limit.rule_id, day.ends_at - 1)
    found = None if last is None else read_enabled(last)
    return found if isinstance(found, type(parameters)) else None
