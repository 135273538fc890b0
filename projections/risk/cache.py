"""What checks need to know of an account, cached between checks for as long as the log and the clock leave it valid."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace
from typing_extensions import override

from eventstore import StoreError
from eventstore.trading import Cost
from projections.risk.days import calendar_day_if_missing, day_of, week_of
from projections.risk.dependencies import DEPENDENCIES, DEPENDENT_GROUPS, MEMBERS, cached
from projections.risk.exposures import Exposures, around
from projections.risk.policies.concerned import pairs_of
from projections.view import GROUP, SHARED
from projections.views.accounts import balance_reports, capital, configuration_of, own_currency, starting_balance
from projections.views.balances import balances_of
from projections.views.baselines import carried_over
from projections.views.blackouts import BlackoutsView
from projections.views.contracts.names import all_names, named_in
from projections.views.contracts.view import ContractsView
from projections.views.executions.pnl_totals import Rates
from projections.views.executions.state import VIEW as EXECUTIONS
from projections.views.moved_marks import depends_on_rates, highest
from projections.views.period_sums import NO_SUMS, PeriodSums, sums_of
from projections.views.valuing import Amounts, open_holdings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from decimal import Decimal

    from eventstore.trading import Cost
    from projections.book import Book
    from projections.risk.days import TradingPeriod
    from projections.sessions import Calendar
    from projections.views.accounts import Account
    from projections.views.balances import Balances
    from projections.views.baselines import Carried
    from projections.views.blackouts import Blackout
    from projections.views.configuration import Configuration
    from projections.views.executions.counters import Count
    from projections.views.executions.ledger_entry import LedgerEntry
    from projections.views.high_water_marks import HighMarks, Highs
    from projections.views.limits.limit import Limit
    from projections.views.moved_marks import Marks
    from projections.views.reported_balances import BalanceReport
    from projections.views.valuing import OpenHolding

NAMES_MAX = 10_000
_DAY_NS = 86_400_000_000_000
_FOREVER = 2**63 - 1

T = TypeVar("T")


class RiskCache(Exposures):
    """An account's values that checks need and that change only with the log, each computed once.

    It serves instants in `valid_span`, in which no trading day begins or ends and no limit comes into force. When a
    view has changed, a new cache takes over the values that do not depend on it. A value computed while another thread
    folds may be newer than the rest: `check` detects it (`Book.unchanged_since`) and repeats; the next cache drops the
    value, because the counts of this one are older. Errors are not cached. The book is referenced weakly: a strong
    reference from the cache, which is kept per book, would keep it alive.
    """

    def __init__(
        self, book: Book, name: str, at: int, change_counts: tuple[int, ...], before: RiskCache | None
    ) -> None:
        self.groups: dict[str, dict[Any, Any]]
        if before is None:
            self.groups = {group: {} for group in DEPENDENCIES}
        else:
            self._take_over(before, change_counts)
        self._weak_book, self._name, self._at, self.change_counts = weakref.ref(book), name, at, change_counts
        self._calendar = book.sessions.calendar(name)
        self.valid_span = self._find_span()

    def _take_over(self, before: RiskCache, change_counts: tuple[int, ...]) -> None:
        """Copy an older cache's values, except those that depend on a changed view.

        Unchanged groups are shared, not copied: what another thread still puts into one through the older cache was
        computed from the same states, or from newer ones that change the counts.
        """
        values, groups = before.__dict__.copy(), before.groups.copy()
        for count, earlier, dependents in zip(change_counts, before.change_counts, DEPENDENT_GROUPS, strict=True):
            if count != earlier:
                for group in dependents:
                    groups[group] = {}
                    for name in MEMBERS[group]:
                        values.pop(name, None)
        self.__dict__.update(values)
        self.groups = groups

    @property
    @override
    def book(self) -> Book:
        """The book that the values are of."""
        book = self._weak_book()
        assert book is not None, "the caller of a check holds its book"
        return book

    def is_valid(self, at: int, calendar: Calendar | None) -> bool:
        """Return whether the cached values hold at an instant, apart from what records have changed since."""
        return self.valid_span[0] <= at < self.valid_span[1] and self._calendar is calendar

    @override
    def memoize(self, group: str, name: object, compute: Callable[[], T]) -> T:
        """Return a group's value of a name, computed now where it is not cached."""
        values = self.groups[group]
        if name in values:
            found: T = values[name]
            return found
        if len(values) >= NAMES_MAX:
            values.clear()
        fresh = values[name] = compute()
        return fresh

    # Between which instants it is valid

    def _find_span(self) -> tuple[int, int]:
        since, until = 0, _FOREVER
        finds = (
            ("day_bounds", self._ledger_span),
            ("sessions", self._session_span),
            ("limits", self._limits_span),
            ("exposure", self.exposure_span),
        )
        for group, find in finds:
            try:
                start, stop = self.memoize(group, "span", find)
            except StoreError:
                # A check that needs this reports the error itself. Here it must not reject an order that only reduces.
                start, stop = self._at, self._at + 1
            since, until = max(since, start), min(until, stop)
        return since, until

    def _ledger_span(self) -> tuple[int, int]:
        at, state = self._at, self.book.state(EXECUTIONS, self._name)
        if state is None:
            # Without any trade the day is the date in UTC.
            return at - at % _DAY_NS, at - at % _DAY_NS + _DAY_NS
        span = state.ledger.published.span_at(at)
        return span.since, span.until

    def _session_span(self) -> tuple[int, int]:
        at, state = self._at, self.book.state("sessions", self._name)
        days = () if state is None else state.days
        instants = [instant for day in days for instant in (day.began_at, day.resets_at, day.closed_at)]
        planned = calendar_day_if_missing(self.book, self._name, at)
        if planned is not None:
            instants += [planned.began_at, planned.resets_at]
        return around(at, [instant for instant in instants if instant is not None])

    def _limits_span(self) -> tuple[int, int]:
        at = self._limits_at()
        limits = [*self.limits, *self.book.limits.pending(self._name, at)]
        limits += self.group_limits
        for name, group_at in self._groups():
            limits += self.book.limits.pending(name, group_at)
        since, until = around(at, [limit.in_force_at for limit in limits if limit.in_force_at is not None])
        # A clock behind the log sees the limits as of the log's newest time, however far behind it is.
        return (since if at == self._at else 0), until

    def _limits_at(self) -> int:
        """Return the instant to read limits at: with a clock behind the log, what is recorded already is in force."""
        state = self.book.state("limits", self._name)
        return self._at if state is None else max(self._at, state.clock.reached)

    def _groups(self) -> list[tuple[str, int]]:
        """Return the groups that the account is in, as accounts that limits are of, and when to read these."""
        at = max(self._at, self.book.groups.reached())
        return [(GROUP + name, at) for name in self.book.groups.of(self._name)]

    # Account, limits and results

    @cached("limits")
    def limits(self) -> tuple[Limit, ...]:
        """The limits in force, sorted by rule."""
        return self.book.limits.of(self._name, self._limits_at())

    @cached("limits")
    def group_limits(self) -> tuple[Limit, ...]:
        """The limits in force of the groups that the account is in."""
        return tuple(limit for name, at in self._groups() for limit in self.book.limits.of(name, at))

    @cached("blackouts")
    def blackouts(self) -> tuple[Blackout, ...]:
        """The account's own blackouts and those of all accounts, past and future ones included."""
        states = [self.book.state(BlackoutsView.name, partition) for partition in (SHARED, self._name)]
        return tuple(blackout for state in states if state is not None for blackout in state.blackouts.values())

    @property
    def account(self) -> Account | None:
        """What is known of the account; None if nothing."""
        return self._opened_account or self._unopened_account

    @cached("opening")
    def _opened_account(self) -> Account | None:
        # Its currency is stated, not derived from what it trades: a fill leaves this group valid.
        state = self.book.state("accounts", self._name)
        return None if state is None or state.opened is None else self.book.accounts.get(self._name)

    @property
    def is_opened(self) -> bool:
        """Whether somebody opened the account."""
        return self._opened_account is not None

    @cached("account")
    def _unopened_account(self) -> Account | None:
        return self.book.accounts.get(self._name)

    @property
    def currency(self) -> str | None:
        """The account's own currency: the one it was opened in, or the only one among its records."""
        opened = self._opened_account
        return self._derived_currency if opened is None else opened.currency

    @cached("account")
    def _derived_currency(self) -> str | None:
        return own_currency(self.book, self._name)

    @cached("opening")
    def cost(self) -> Cost:
        """The method by which the account's results count."""
        return self.book.accounts.configuration(self._name).cost

    def balance(self, currency: str | None = None) -> Decimal:
        """Return cash plus realized results less fees, in a currency, by default the account's own."""
        return self.memoize(
            "pnl", f"balance {currency or ''}", lambda: self.book.accounts.balance(self._name, currency)
        )

    @property
    def _rates(self) -> Rates:
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
        return sums_of(entries, self._rates)

    @cached("opening")
    def balance_reports(self) -> dict[str | None, BalanceReport]:
        """The broker's newest balances, by currency."""
        return balance_reports(self.book, self._name)

    @cached("pnl")
    def balances(self) -> Balances:
        """Cash and realized results less fees, by currency."""
        return balances_of(self.book, self._name, self._rates)

    @cached("opening")
    def capital(self) -> Amounts | None:
        """The starting balance and what came from outside since, by currency; None for an account not opened."""
        opened = starting_balance(self.book, self._name) is not None
        return capital(self.book, self._name, self.currency) if opened else None

    @cached("pnl")
    def is_converted(self) -> bool:
        """Whether amounts in other currencies than the account's own are part of its balance."""
        own = {self.currency, None}
        return any(amount and currency not in own for currency, amount in self.balances.amounts.items())

    @cached("pnl")
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The pairs of currencies that the account converts at: each of its currencies, with its own."""
        return pairs_of(self.book, self._name)

    def realized(self, *, week: bool, net: bool) -> Amounts:
        """Return the day's or week's realized result by currency, before fees or net of them."""
        sums = self.week_sums if week else self.day_sums
        return self.memoize("pnl", (week, net), lambda: sums.amounts(net=net))

    @cached("opening")
    def configuration(self) -> Configuration:
        """How the account is valued and judged."""
        return configuration_of(self.book, self._name)

    @cached("sessions")
    def day(self) -> TradingPeriod:
        """The trading day."""
        return day_of(self.book, self._name, self._at, self._at)

    @cached("sessions")
    def week(self) -> TradingPeriod:
        """The week of trading days."""
        return week_of(self.book, self._name, self._at, self._at)

    @cached("pnl")
    def carried(self) -> Carried:
        """What the day's baseline has beyond the balance at its reset."""
        return carried_over(self.book, self._name, self.configuration.baseline, self.day.began_at, self.day.opens_at)

    @cached("pnl")
    def carried_by_week(self) -> Carried:
        """The same of the week's baseline."""
        week = self.week
        return carried_over(self.book, self._name, self.configuration.baseline, week.began_at, week.opens_at)

    @cached("counts")
    def counts(self) -> Count:
        """The day's numbers of orders, fills and round trips."""
        planned = calendar_day_if_missing(self.book, self._name, self._at)
        return self.book.counters.today(self._name, self._at, planned=planned)

    @property
    def marked_floor(self) -> Decimal | None:
        """The highest drawdown floor that was recorded, with the cash that has moved since."""
        own = self.currency
        # Of an account that was opened, a fill does not change them: its currency is stated.
        marks: Marks = self.memoize("floors", own, lambda: self.book.equity.floor_marks(self._name))
        if depends_on_rates(marks):
            return highest(marks, self.book.rates, own, self._at)
        return self.memoize("floors", ("highest", own), lambda: highest(marks, self.book.rates, own, self._at))

    @property
    def highs(self) -> Highs:
        """The account's recorded highs, with the cash that has moved since each."""
        marks, own = self._high_marks, self.currency
        if marks.depends_on_rates:
            return marks.highest(self.book.rates, own, self._at)
        return self.memoize("highs", own, lambda: marks.highest(self.book.rates, own, self._at))

    @cached("highs")
    def _high_marks(self) -> HighMarks:
        return self.book.bests.high_marks(self._name)

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

    @cached("positions")
    def held(self) -> tuple[OpenHolding, ...]:
        """The open positions as they are valued."""
        return open_holdings(self.book, self._name)

    def names(self, symbol: str) -> tuple[str, ...]:
        """Return all names of a symbol: itself first, and last its root, if it has one."""
        known = self.groups["names"]
        names: tuple[str, ...] | None = known.get(symbol)
        if names is None:
            if len(known) >= NAMES_MAX:
                known.clear()
            names = known[symbol] = all_names(self.book.state(ContractsView.name, SHARED), symbol)
        return names

    def named_in(self, symbol: str, names: Collection[str]) -> list[str]:
        """Return those of some names, of symbols or roots, that a symbol has or may have."""
        return self.by_names(
            symbol, names, lambda: named_in(self.book.state(ContractsView.name, SHARED), symbol, names)
        )

    def by_names(self, symbol: str, table: object, find: Callable[[], T], *, what: object = None) -> T:
        """Return what some names, or a table by names, have for a symbol: found once while no definition changes.

        The table is one that nobody changes, such as a parameter of a limit; `what` tells apart what is found in it.
        """
        known, key = self.groups["names"], (symbol, id(table), what)
        kept = known.get(key)
        # With the table in it, no other one can have its id.
        if kept is None or kept[0] is not table:
            if len(known) >= NAMES_MAX:
                known.clear()
            kept = known[key] = (table, find())
        found: T = kept[1]
        return found
