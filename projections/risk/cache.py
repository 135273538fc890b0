"""What checks need to know of an account, cached between checks for as long as the log and the clock leave it valid."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from eventstore import InvalidEvent, StoreError
from eventstore.streams import check_name
from projections.risk.dependencies import DEPENDENCIES, DEPENDENT_GROUPS, MEMBERS, VIEWS, cached
from projections.risk.limits.figures import calendar_day_if_missing
from projections.risk.limits.holdings import closing_quantities_of, exposure_of, open_positions_of, working_orders_of
from projections.view import SHARED
from projections.views.accounts import own_currency
from projections.views.blackouts import BlackoutsView
from projections.views.contracts.names import all_names
from projections.views.contracts.view import ContractsView
from projections.views.executions.pnl_totals import Rates, to_currency
from projections.views.executions.state import VIEW as EXECUTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from decimal import Decimal

    from eventstore.trading import PositionSide, Side
    from projections.book import Book
    from projections.risk.limits.holdings import AccountExposure, OpenOrder, OpenPosition
    from projections.sessions import Calendar
    from projections.views.accounts import Account
    from projections.views.blackouts import Blackout
    from projections.views.executions.counters import Count
    from projections.views.executions.pnl_totals import PnlTotals
    from projections.views.high_water_marks import Highs
    from projections.views.limits.view import Limit

ACCOUNTS_MAX = 10_000
NAMES_MAX = 10_000
_DAY_NS = 86_400_000_000_000
_FOREVER = 2**63 - 1

T = TypeVar("T")


class RiskCache:
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
    def _book(self) -> Book:
        book = self._weak_book()
        assert book is not None, "the caller of a check holds its book"
        return book

    def is_valid(self, at: int, calendar: Calendar | None) -> bool:
        """Return whether the cached values hold at an instant, apart from what records have changed since."""
        return self.valid_span[0] <= at < self.valid_span[1] and self._calendar is calendar

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
        finds = (("day_bounds", self._ledger_span), ("sessions", self._session_span), ("limits", self._limits_span))
        for group, find in finds:
            try:
                start, stop = self.memoize(group, "span", find)
            except StoreError:
                # A check that needs this reports the error itself. Here it must not reject an order that only reduces.
                start, stop = self._at, self._at + 1
            since, until = max(since, start), min(until, stop)
        return since, until

    def _ledger_span(self) -> tuple[int, int]:
        at, state = self._at, self._book.state(EXECUTIONS, self._name)
        if state is None:
            # Without any trade the day is the date in UTC.
            return at - at % _DAY_NS, at - at % _DAY_NS + _DAY_NS
        span = state.ledger.published.span_at(at)
        return span.since, span.until

    def _session_span(self) -> tuple[int, int]:
        at, state = self._at, self._book.state("sessions", self._name)
        days = () if state is None else state.days
        instants = [instant for day in days for instant in (day.began_at, day.resets_at, day.closed_at)]
        planned = calendar_day_if_missing(self._book, self._name, at)
        if planned is not None:
            instants += [planned.began_at, planned.resets_at]
        return _around(at, [instant for instant in instants if instant is not None])

    def _limits_span(self) -> tuple[int, int]:
        at = self._limits_at()
        limits = [*self.limits, *self._book.limits.pending(self._name, at)]
        since, until = _around(at, [limit.in_force_at for limit in limits if limit.in_force_at is not None])
        # A clock behind the log sees the limits as of the log's newest time, however far behind it is.
        return (since if at == self._at else 0), until

    def _limits_at(self) -> int:
        """Return the instant to read limits at: with a clock behind the log, what is recorded already is in force."""
        state = self._book.state("limits", self._name)
        return self._at if state is None else max(self._at, state.recorded_to)

    # Account, limits and results

    @cached("limits")
    def limits(self) -> tuple[Limit, ...]:
        """The limits in force, sorted by rule."""
        return self._book.limits.of(self._name, self._limits_at())

    @cached("blackouts")
    def blackouts(self) -> tuple[Blackout, ...]:
        """The account's own blackouts and those of all accounts, past and future ones included."""
        states = [self._book.state(BlackoutsView.name, partition) for partition in (SHARED, self._name)]
        return tuple(blackout for state in states if state is not None for blackout in state.blackouts.values())

    @property
    def account(self) -> Account | None:
        """What is known of the account; None if nothing."""
        return self._opened_account or self._unopened_account

    @cached("opening")
    def _opened_account(self) -> Account | None:
        # Its currency is stated, not derived from what it trades: a fill leaves this group valid.
        state = self._book.state("accounts", self._name)
        return None if state is None or state.opened is None else self._book.accounts.get(self._name)

    @cached("account")
    def _unopened_account(self) -> Account | None:
        return self._book.accounts.get(self._name)

    @property
    def currency(self) -> str | None:
        """The account's own currency: the one it was opened in, or the only one among its records."""
        opened = self._opened_account
        return self._derived_currency if opened is None else opened.currency

    @cached("account")
    def _derived_currency(self) -> str | None:
        return own_currency(self._book, self._name)

    def balance(self, currency: str | None = None) -> Decimal:
        """Return cash plus realized results less fees, in a currency, by default the account's own."""
        return self.memoize(
            "pnl", f"balance {currency or ''}", lambda: self._book.accounts.balance(self._name, currency)
        )

    @cached("pnl")
    def _rates(self) -> Rates:
        return Rates(self._book, self.currency)

    @cached("pnl")
    def day_totals(self) -> tuple[PnlTotals, ...]:
        """The trading day's results by currency; a day that no session records begins when the calendar says."""
        book, name, at = self._book, self._name, self._at
        state, planned = book.state(EXECUTIONS, name), calendar_day_if_missing(book, name, at)
        if state is None:
            return ()
        if planned is None or planned.began_at < state.ledger.steps_from:
            return to_currency(state.ledger.at(at).items(), self._rates)
        steps = state.ledger.steps_of(planned.began_at, planned.resets_at)
        return to_currency([(step.key, step.entry) for step in steps], self._rates)

    @cached("pnl")
    def week_totals(self) -> tuple[PnlTotals, ...]:
        """The results of the week's trading days by currency."""
        state = self._book.state(EXECUTIONS, self._name)
        if state is None:
            return ()
        published = state.ledger.published
        # A fill drops this member, but adds no day: the names are found again only for another tuple of days.
        days, names = self.groups["sessions"].get("week", (None, ()))
        if days is not published.days:
            names = published.names_of_week(self._at)
            self.groups["sessions"]["week"] = (published.days, names)
        return to_currency([each for name in names for each in published.of_day(name).items()], self._rates)

    @cached("counts")
    def counts(self) -> Count:
        """The day's numbers of orders, fills and round trips."""
        return self._book.counters.today(self._name, self._at)

    @cached("marks")
    def marked_floor(self) -> Decimal | None:
        """The highest drawdown floor that was recorded."""
        mark = self._book.equity.get(self._name)
        return None if mark is None else mark.floor

    @cached("highs")
    def highs(self) -> Highs:
        """The account's recorded highs."""
        return self._book.bests.highs(self._name)

    def best_realized_of_day(self, currency: str | None, *, net: bool) -> Decimal:
        """Return the highest realized result of the day so far, in a currency."""

        def compute() -> Decimal:
            planned = calendar_day_if_missing(self._book, self._name, self._at)
            bounds = None if planned is None else (planned.began_at, planned.resets_at)
            return self._book.bests.realized(self._name, self._at, currency, net=net, bounds=bounds)

        return self.memoize("day_best", (currency, net), compute)

    def best_marked_of_day(self, *, net: bool) -> Decimal:
        """Return the day's highest recorded result with open positions, in the account's own currency."""

        def compute() -> Decimal:
            session = self._book.sessions.current(self._name, self._at)
            day = None if session is None else session.trading_day
            return self._book.bests.marked(self._name, day, self._at, net=net)

        return self.memoize("day_best", net, compute)

    # Positions and working orders

    @cached("positions")
    def positions(self) -> tuple[OpenPosition, ...]:
        """The open positions."""
        return open_positions_of(self._book, self._name)

    def unrealized(self, held: OpenPosition, price: Decimal) -> Decimal:
        """Return the result of closing a position at a price, in money; raises UnknownContract."""
        # By identity, which costs less than comparing decimals: an equal price of another quote only computes again.
        values = self.groups["positions"]
        known = values.get((held.symbol, held.side))
        if known is None or known[0] is not held or known[1] is not price:
            known = values[held.symbol, held.side] = (held, price, held.position.unrealized(price))
        amount: Decimal = known[2]
        return amount

    @cached("orders")
    def working_orders(self) -> tuple[OpenOrder, ...]:
        """The orders that may still be executed."""
        return working_orders_of(self._book, self._name)

    @cached("orders")
    def incomplete_orders(self) -> tuple[OpenOrder, ...]:
        """The working orders without a known symbol, side or quantity: their effect is unknown."""
        return tuple(each for each in self.working_orders if None in (each.symbol, each.side, each.leaves))

    @cached("orders")
    def closing_quantities(self) -> dict[tuple[str, PositionSide, Side], Decimal]:
        """The quantity that working orders may still execute, by symbol, position side and order side."""
        return closing_quantities_of(self.working_orders)

    @cached("exposure")
    def exposure(self) -> AccountExposure:
        """The worst case of all open positions and working orders."""
        return exposure_of(self.positions, self.working_orders)

    def names(self, symbol: str) -> tuple[str, ...]:
        """Return all names of a symbol: itself first, and last its root, if it has one."""
        known = self.groups["names"]
        names: tuple[str, ...] | None = known.get(symbol)
        if names is None:
            if len(known) >= NAMES_MAX:
                known.clear()
            names = known[symbol] = all_names(self._book.state(ContractsView.name, SHARED), symbol)
        return names


def _around(at: int, instants: Iterable[int]) -> tuple[int, int]:
    """Return the last of some instants that is not after `at`, and the first that is after it."""
    since, until = 0, _FOREVER
    for instant in instants:
        if instant <= at:
            since = max(since, instant)
        else:
            until = min(until, instant)
    return since, until


class _BookCaches:
    """The newest cache of each account of a book, and the partitions whose change counts it compares."""

    def __init__(self) -> None:
        self.caches: dict[str, RiskCache] = {}
        self.partitions: dict[str, tuple[tuple[str, str], ...]] = {}

    def of(self, book: Book, account: str, at: int) -> RiskCache:
        partitions = self.partitions.get(account)
        if partitions is None:
            partitions = self._admit(book, account)
        # The fold raises a count after it has changed the state, and here counts are read before any state. They may be
        # older than the values, never newer: at worst the next check computes something again.
        change_counts = book.change_counts(partitions)
        before = self.caches.get(account)
        calendar = book.sessions.calendar(account)
        if before is not None and not before.is_valid(at, calendar):
            before = None
        if before is not None and before.change_counts == change_counts:
            return before
        fresh = RiskCache(book, account, at, change_counts, before)
        if not fresh.is_valid(at, calendar):
            # A day or limit recorded since begins between the instant of the older cache and this one: what was taken
            # over, though none of its views changed, is of the time before.
            fresh = RiskCache(book, account, at, change_counts, None)
        self.caches[account] = fresh
        return fresh

    def _admit(self, book: Book, account: str) -> tuple[tuple[str, str], ...]:
        check_name("account", account)
        if account == SHARED or not book.covers(account):
            msg = f"{book!r} does not fold account {account}: use a book that does"
            raise InvalidEvent(msg)
        if len(self.partitions) >= ACCOUNTS_MAX:
            self.partitions.clear()
            self.caches.clear()
        partitions = tuple((view.rstrip("*"), SHARED if view.endswith("*") else account) for view in VIEWS)
        self.partitions[account] = partitions
        return partitions


_caches: weakref.WeakKeyDictionary[Book, _BookCaches] = weakref.WeakKeyDictionary()


def risk_cache(book: Book, account: str, at: int) -> RiskCache:
    """Return an account's cache for an instant, with the values of earlier checks that are still valid."""
    caches = _caches.get(book) or _caches.setdefault(book, _BookCaches())
    return caches.of(book, account, at)
