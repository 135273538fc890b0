"""What an account has realized and its balances, cached for as long as records leave them valid."""

from __future__ import annotations

import abc
import operator
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from projections.risk.days import calendar_day_if_missing
from projections.risk.dependencies import Cached, cached
from projections.risk.policies.concerned import currencies_of, limit_currencies, pairs_among
from projections.views.balances import balances_of
from projections.views.baselines import carried_over
from projections.views.executions.pnl_totals import Rates, to_currency
from projections.views.executions.state import VIEW as EXECUTIONS
from projections.views.period_sums import NO_SUMS, PeriodSums, sums_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from eventstore.trading import Cost
    from projections.risk.days import TradingPeriod
    from projections.views.balances import Balances
    from projections.views.baselines import Carried
    from projections.views.configuration import Configuration
    from projections.views.executions.ledger_entry import LedgerEntry
    from projections.views.executions.pnl_totals import PnlTotals
    from projections.views.valuing import Amounts


class _KnownDay(NamedTuple):
    """A day's totals, and the entries that they are of."""

    entries: dict[str, LedgerEntry]
    totals: tuple[PnlTotals, ...]

    def is_of(self, entries: dict[str, LedgerEntry]) -> bool:
        """Return whether these are the very same entries: an entry is replaced, never changed."""
        known = self.entries
        return list(known) == list(entries) and all(map(operator.is_, known.values(), entries.values()))


class AccountResults(Cached, abc.ABC):
    """The results of an account's trading day and week, and its balances; a subclass has what these are made of."""

    cost: Cost
    configuration: Configuration
    day: TradingPeriod
    week: TradingPeriod

    @property
    @abc.abstractmethod
    def currency(self) -> str | None:
        """The account's own currency."""

    def balance(self, currency: str | None = None) -> Decimal:
        """Return cash plus realized results less fees, in a currency, by default the account's own."""
        return self.memoize(
            "pnl", f"balance {currency or ''}", lambda: self.book.accounts.balance(self._name, currency)
        )

    @property
    def rates(self) -> Rates:
        """The money value of points, in the account's own currency where none is named."""
        own, cost = self.currency, self.cost
        return self.memoize("terms", (own, cost), lambda: Rates(self.book, own, cost))

    @cached("pnl")
    def day_sums(self) -> PeriodSums:
        """The trading day's results; a day that no session records begins when the calendar says."""
        book, name, at = self.book, self._name, self._at
        state, planned = book.state(EXECUTIONS, name), calendar_day_if_missing(book, name, at)
        if state is None:
            return NO_SUMS
        if planned is None or planned.began_at < state.ledger.steps_from:
            return self._sums(state.ledger.at(at).items())
        return self._sums(state.ledger.entries_of(planned))

    @cached("pnl")
    def week_sums(self) -> PeriodSums:
        """The results of the week's trading days; it may begin with a day that no session records yet."""
        state = self.book.state(EXECUTIONS, self._name)
        if state is None:
            return NO_SUMS
        planned, began_at = calendar_day_if_missing(self.book, self._name, self._at), self.week.began_at
        if planned is not None and began_at is not None and began_at >= state.ledger.steps_from:
            return self._sums(state.ledger.entries_of(replace(planned, began_at=began_at)))
        published = state.ledger.published
        # A fill drops this member, but adds no day: the names are found again only for another tuple of days.
        days, names = self.groups["sessions"].get("week", (None, ()))
        if days is not published.days:
            names = published.names_of_week(self._at)
            self.groups["sessions"]["week"] = (published.days, names)
        return self._sums(each for name in names if published.has(name) for each in published.of_day(name).items())

    def _sums(self, entries: Iterable[tuple[str, LedgerEntry]]) -> PeriodSums:
        return sums_of(entries, self.rates)

    @cached("pnl")
    def days(self) -> tuple[tuple[str, tuple[PnlTotals, ...]], ...]:
        """The results of each day by currency, oldest first, as `book.pnl.days` returns them.

        Those of a day in which nothing has changed are not computed again: there may be 400.
        """
        state = self.book.state(EXECUTIONS, self._name)
        if state is None:
            return ()
        rates = self.rates
        known: dict[str, _KnownDay] = self.memoize("terms", ("days", rates.own, rates.cost), dict)
        found: dict[str, _KnownDay] = {}
        for name in state.ledger.names():
            entries, before = state.ledger.of_day(name), known.get(name)
            if before is None or not before.is_of(entries):
                before = _KnownDay(entries, to_currency(entries.items(), rates))
            found[name] = before
        self.groups["terms"]["days", rates.own, rates.cost] = found
        return tuple((name, each.totals) for name, each in found.items())

    @cached("pnl")
    def balances(self) -> Balances:
        """Cash and realized results less fees, by currency."""
        return balances_of(self.book, self._name, self.rates)

    @cached("pnl")
    def is_converted(self) -> bool:
        """Whether amounts in other currencies than the account's own are in its balance, or in what adds up to it."""
        own = {self.currency, None}
        # Also where they add up to zero: a day's result may be offset by cash or by the days before it.
        return any(currency not in own for currency in self.balances.amounts)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The pairs of currencies that the account converts at: with its own currency, and with those of its limits."""
        own = self.currency
        return () if own is None else pairs_among(own, self._currencies, self._limit_currencies)

    @cached("pnl")
    def _currencies(self) -> set[str | None]:
        return currencies_of(self.book, self._name)

    @cached("limits")
    def _limit_currencies(self) -> set[str]:
        return limit_currencies(self.book, self._name)

    def realized(self, *, week: bool, net: bool) -> Amounts:
        """Return the day's or week's realized result by currency, before fees or net of them."""
        sums = self.week_sums if week else self.day_sums
        return self.memoize("pnl", (week, net), lambda: sums.amounts(net=net))

    @cached("pnl")
    def carried(self) -> Carried:
        """What the day's baseline has beyond the balance at its reset."""
        return carried_over(self.book, self._name, self.configuration.baseline, self.day.began_at, self.day.opens_at)

    @cached("pnl")
    def carried_by_week(self) -> Carried:
        """The same of the week's baseline."""
        week = self.week
        return carried_over(self.book, self._name, self.configuration.baseline, week.began_at, week.opens_at)

    def best_realized_of_day(self, currency: str | None, *, net: bool) -> Decimal:
        """Return the highest realized result of the day so far, in a currency."""

        def compute() -> Decimal:
            planned = calendar_day_if_missing(self.book, self._name, self._at)
            return self.book.bests.realized(self._name, self._at, currency, net=net, planned=planned)

        return self.memoize("day_best", (currency, net), compute)

    def best_marked_of_day(self, *, net: bool) -> Decimal | None:
        """Return the day's highest recorded result with open positions, in the account's own currency; None without."""

        def compute() -> Decimal | None:
            return self.book.bests.marked(self._name, self.day.trading_day, self._at, net=net)

        return self.memoize("day_best", net, compute)
