"""The breaks of profit and loss: what a statement's rows realized by trading day and contract, beside our results."""

from __future__ import annotations

import decimal
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from eventstore import UnknownContract
from eventstore.clock import derived_times
from projections.auditing.statements.agreement import HALF_CENT
from projections.auditing.statements.breaks import EVIDENCE_MAX, Break, BreakKind
from projections.decimals import FIXED, ZERO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from projections.auditing.statements.days import DayName, TradingSpan
    from projections.auditing.statements.logged import LoggedAccount
    from projections.auditing.statements.period import StatementPeriod
    from projections.auditing.statements.stated import Stated, StatedExecution, StatedResult
    from projections.views.executions.pnl_totals import PnlTotals


class DayResult(NamedTuple):
    """What a day realized of a contract before costs, and cost, in the contract's currency."""

    realized: Decimal
    fees: Decimal
    currency: str | None
    is_uncertain: bool


class ResultComparison:
    """The results of an account's days; `not_compared` has a sentence for each day that could not be."""

    def __init__(self, stated: Stated, logged: LoggedAccount, period: StatementPeriod) -> None:
        self._stated, self._logged, self._period = stated, logged, period
        self.not_compared: list[str] = []

    def here(self, day: TradingSpan) -> dict[str, DayResult]:
        """Return our results of a day by contract; raise UnknownContract if one's worth is not known."""
        found: dict[str, DayResult] = {}
        with derived_times():
            totals = self._logged.book.pnl.by_symbol(self._logged.account, day.since)
        with decimal.localcontext(FIXED):
            for each in totals:
                if each.symbol is not None:
                    found[each.symbol] = _with(found.get(each.symbol), each, self._logged.rates.currency(each.symbol))
        return found

    def there(self) -> dict[DayName, dict[str, list[StatedExecution]]]:
        """Return the rows that state a result, by the day that they count for and by contract."""
        found: defaultdict[DayName, defaultdict[str, list[StatedExecution]]] = defaultdict(lambda: defaultdict(list))
        for each in self._stated.executions:
            if each.pnl is not None:
                found[self.day_of(each).name][self._logged.symbol(each.symbol)].append(each)
        return {name: dict(rows) for name, rows in found.items()}

    def day_of(self, row: StatedExecution) -> TradingSpan:
        """Return the day that a row counts for."""
        if self._stated.has_dates_only and row.trading_day is not None:
            return self._logged.days.named(row.trading_day)
        return self._logged.days.at(row.at)

    def breaks(self) -> Iterator[Break]:
        """Yield the breaks of every whole day of the period, and of the days that the statement gives results of."""
        there = self.there()
        if there:
            for day in self._logged.days.between(self._period.since, min(self._period.until, self._last() + 1)):
                yield from self._of_day(day, there.get(day.name, {}))
        for each in self._stated.results:
            yield from self._of_result(each)

    def _last(self) -> int:
        times = [each.at for each in self._stated.executions] + [each.at for each in self._logged.trades]
        return max(times, default=self._period.since)

    def _of_day(self, day: TradingSpan, there: dict[str, list[StatedExecution]]) -> Iterator[Break]:
        here = self.known(day, needed=bool(there))
        if here is None:
            return
        for symbol in sorted({*here, *there}):
            rows, ours = there.get(symbol, []), here.get(symbol, DayResult(ZERO, ZERO, None, is_uncertain=False))
            stated = sum((each.pnl for each in rows if each.pnl is not None), ZERO)
            # Each row is rounded to the cent.
            if abs(stated - ours.realized) > HALF_CENT * max(1, len(rows)):
                lines = tuple(sorted({each.line for each in rows})[:EVIDENCE_MAX])
                text = f"the statement has a profit and loss of {symbol} of {stated:f}, the log {ours.realized:f}"
                yield self._break(day, symbol, ours, text, here=ours.realized, there=stated, lines=lines)

    def known(self, day: TradingSpan, *, needed: bool = False) -> dict[str, DayResult] | None:
        """Return our results of a day; None, and say why, if they are not known or only a part of the day counts."""
        date, since = day.trading_day, self._logged.days.kept_since
        if not self._period.holds_all(day):
            why = "the period has only a part of it"
        elif since is not None and date < since:
            why = f"results are kept since {since}"
        elif self._logged.reopened is not None and day.since < self._logged.reopened[0]:
            why = f"the account was reopened at position {self._logged.reopened[1]}, and its results began again"
        else:
            try:
                return self.here(day)
            except UnknownContract as e:
                why = str(e)
        if needed:
            self.not_compared.append(f"profit and loss of {self._logged.account} on {date}: {why}")
        return None

    def _of_result(self, result: StatedResult) -> Iterator[Break]:
        day = self._logged.days.named(result.trading_day)
        here = self.known(day, needed=True)
        if here is None:
            return
        symbol = None if result.symbol is None else self._logged.symbol(result.symbol)
        chosen = [
            each for name, each in here.items() if symbol in {None, name} and result.currency in {None, each.currency}
        ]
        if len({each.currency for each in chosen}) > 1:
            text = "it names no currency, and the day has several"
            self.not_compared.append(f"line {result.line}, a result of {result.trading_day}: {text}")
            return
        ours = _sum(chosen)
        for what, figure, stated in (
            ("a profit and loss", ours.realized, result.realized),
            ("costs", ours.fees, result.fees),
        ):
            if stated is not None and abs(stated - figure) > HALF_CENT:
                of = "" if symbol is None else f" of {symbol}"
                text = f"the statement has {what}{of} of {stated:f}, the log {figure:f}"
                yield self._break(day, symbol, ours, text, here=figure, there=stated, lines=(result.line,))

    def _break(
        self,
        day: TradingSpan,
        symbol: str | None,
        ours: DayResult,
        sentence: str,
        **members: Any,  # noqa: ANN401 - a break's own
    ) -> Break:
        trades = [
            each for each in self._logged.trades if symbol in {None, each.symbol} and day.since <= each.at < day.until
        ]
        return Break(
            kind=BreakKind.OTHER_PNL,
            account=self._logged.account,
            sentence=f"{sentence}{', which is not certain' if ours.is_uncertain else ''}",
            symbol=symbol,
            trading_day=day.trading_day,
            currency=ours.currency,
            records=tuple(sorted(each.position for each in trades)[:EVIDENCE_MAX]),
            **members,
        )


def _with(known: DayResult | None, totals: PnlTotals, currency: str | None) -> DayResult:
    """Return a contract's result with that of one more side or currency of it; costs in another one are left out."""
    was = known or DayResult(ZERO, ZERO, currency, is_uncertain=False)
    return DayResult(
        was.realized + totals.result,
        was.fees + (totals.fees if totals.currency == currency else ZERO),
        currency,
        is_uncertain=was.is_uncertain or bool(totals.unpriced or totals.uncertain_fees),
    )


def _sum(results: Iterable[DayResult]) -> DayResult:
    found = list(results)
    with decimal.localcontext(FIXED):
        return DayResult(
            sum((each.realized for each in found), ZERO),
            sum((each.fees for each in found), ZERO),
            found[0].currency if found else None,
            is_uncertain=any(each.is_uncertain for each in found),
        )
