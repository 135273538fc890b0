"""What checks need to know of an account, cached between checks for as long as the log and the clock leave it valid."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from typing_extensions import override

from eventstore import StoreError
from eventstore.clock import derived_times
from eventstore.trading import (
    CashMoved,
    Cost,
    FeeCharged,
    OrderFilled,
    PositionAdjusted,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections.risk.account_results import AccountResults
from projections.risk.days import calendar_day_if_missing, day_of, week_of
from projections.risk.dependencies import DEPENDENCIES, DEPENDENT_GROUPS, GROUP_OF, cached
from projections.risk.exposures import Exposures, around
from projections.view import GROUP, SHARED
from projections.views.accounts import balance_reports, capital, configuration_of, own_currency, starting_balance
from projections.views.blackouts import BlackoutsView
from projections.views.contracts.names import all_names, named_in
from projections.views.contracts.view import ContractsView
from projections.views.executions.state import VIEW as EXECUTIONS
from projections.views.moved_marks import depends_on_rates, highest
from projections.views.valuing import Amounts, open_holdings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from decimal import Decimal

    from eventstore.trading import Cost
    from projections.book import Book
    from projections.risk.days import TradingPeriod
    from projections.sessions import Calendar
    from projections.views.accounts import Account
    from projections.views.blackouts import Blackout
    from projections.views.configuration import Configuration
    from projections.views.executions.counters import Count
    from projections.views.high_water_marks import HighMarks, Highs
    from projections.views.limits.limit import Limit
    from projections.views.moved_marks import Marks
    from projections.views.reported_balances import BalanceReport
    from projections.views.valuing import OpenHolding

NAMES_MAX = 10_000
_CHANGES = (
    CashMoved, FeeCharged, OrderFilled, PositionAdjusted, TradeBusted, TradeCorrected, TradeExecuted
)  # fmt: skip
_DAY_NS = 86_400_000_000_000
_FOREVER = 2**63 - 1

T = TypeVar("T")


class RiskCache(Exposures, AccountResults):
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
        groups = before.groups.copy()
        changed: set[str] = set()
        for count, earlier, dependents in zip(change_counts, before.change_counts, DEPENDENT_GROUPS, strict=True):
            if count != earlier:
                changed.update(dependents)
        for group in changed:
            groups[group] = {}
        # Copied in one step: another thread may compute a member of the older cache meanwhile.
        values = before.__dict__.copy()
        self.__dict__ = {name: value for name, value in values.items() if GROUP_OF.get(name) not in changed}
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
    @override
    def currency(self) -> str | None:
        """The account's own currency: the one it was opened in, or the only one among its records."""
        opened = self._opened_account
        return self._derived_currency if opened is None else opened.currency

    @cached("account")
    def _derived_currency(self) -> str | None:
        return own_currency(self.book, self._name)

    @cached("opening")
    @override
    def cost(self) -> Cost:
        """The method by which the account's results count."""
        return self.book.accounts.configuration(self._name).cost

    @cached("opening")
    def balance_reports(self) -> dict[str | None, BalanceReport]:
        """The broker's newest balances, by currency."""
        return balance_reports(self.book, self._name)

    def is_known_to(self, log_position: int, *, report_position: int, made_at: int) -> bool:
        """Return whether a report may know what a record says: it was recorded later, and made when that had happened.

        A report that waited in a queue was made before what it comes after in the log.
        """
        if log_position > report_position:
            return False
        return self.memoize("opening", ("happened", log_position), lambda: self._happened_at(log_position)) <= made_at

    def _happened_at(self, log_position: int) -> int:
        """Return when a record happened, UNIX ns; if it says so, not after it was recorded. 0 without a record."""
        found = self.book.reader.read(after=log_position - 1, until=log_position) if log_position > 0 else ()
        return next((min(record.occurred_at, record.recorded_at) for record in found), 0)

    def has_changed_since(self, made_at: int, *, report_position: int) -> bool:
        """Return whether positions or cash changed after a report was made, by a record before it in the log.

        The newest of these records does not tell: it may be of something that happened before.
        """
        return self.memoize(
            "pnl", ("changed since", made_at, report_position), lambda: self._changed_since(made_at, report_position)
        )

    def _changed_since(self, made_at: int, report_position: int) -> bool:
        reader = self.book.reader
        # The time of a record, whatever clock it is from.
        with derived_times():
            found = reader.read(until=report_position, account=self._name, types=_CHANGES, start=made_at)
            return any(min(record.occurred_at, record.recorded_at) > made_at for record in found)

    @cached("opening")
    def capital(self) -> Amounts | None:
        """The starting balance and what came from outside since, by currency; None for an account not opened."""
        opened = starting_balance(self.book, self._name) is not None
        return capital(self.book, self._name, self.currency) if opened else None

    @cached("opening")
    @override
    def configuration(self) -> Configuration:
        """How the account is valued and judged."""
        return configuration_of(self.book, self._name)

    @cached("sessions")
    @override
    def day(self) -> TradingPeriod:
        """The trading day."""
        return day_of(self.book, self._name, self._at, self._at)

    @cached("sessions")
    @override
    def week(self) -> TradingPeriod:
        """The week of trading days."""
        return week_of(self.book, self._name, self._at, self._at)

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
        marks, depends, kept = self.memoize("floors", own, self._floors)
        return highest(marks, self.book.rates, own, self._at) if depends else kept

    def _floors(self) -> tuple[Marks, bool, Decimal | None]:
        """Return the floors, whether the highest depends on rates, and which it is if it does not."""
        marks = self.book.equity.floor_marks(self._name)
        depends = depends_on_rates(marks)
        return marks, depends, None if depends else highest(marks, self.book.rates, self.currency, self._at)

    @property
    def highs(self) -> Highs:
        """The account's recorded highs, with the cash that has moved since each."""
        own, marks = self.currency, self._high_marks
        kept: Highs | None = self.memoize(
            "highs", own, lambda: None if marks.depends_on_rates else self._highs_of(marks)
        )
        return kept or self._highs_of(marks)

    def _highs_of(self, marks: HighMarks) -> Highs:
        return marks.highest(self.book.rates, self.currency, self._at)

    @cached("highs")
    def _high_marks(self) -> HighMarks:
        return self.book.bests.high_marks(self._name)

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
