"""How an account stands by what is in the log: kept for the next check, for as long as nothing of it changes."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from eventstore import InvalidEvent, StoreError
from eventstore.streams import check_name
from projections.risk.limits.figures import untold
from projections.risk.limits.holdings import closing_of, held_by, summed, working_for
from projections.view import SHARED
from projections.views.accounts import own_currency
from projections.views.blackouts import BlackoutsView
from projections.views.contracts.names import all_names
from projections.views.contracts.view import ContractsView
from projections.views.executions.pnl_totals import Rates, to_currency
from projections.views.executions.positions import PositionsView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from decimal import Decimal

    from eventstore.trading import PositionSide, Side
    from projections.book import Book
    from projections.risk.limits.holdings import Held, Sums, Working
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
_LAST = 2**63 - 1

# What each group is made of: while none of these views changes, what was made of them holds. A star: what is shared.
_MADE_OF = {
    "days": ("positions",),
    "sessions": ("sessions",),
    "limited": ("limits",),
    "earned": ("positions", "accounts", "contracts*", "sessions"),
    "held": ("positions", "contracts*"),
    "working": ("orders", "contracts*"),
    "sums": ("positions", "orders", "contracts*"),
    "counted": ("counters",),
    "opened": ("accounts",),
    "known": ("accounts", "positions", "contracts*"),
    "marked": ("equity", "accounts", "positions", "contracts*"),
    "highs": ("bests",),
    "best": ("positions", "accounts", "contracts*", "bests", "sessions"),
    "named": ("contracts*",),
    "blackouts": ("blackouts", "blackouts*"),
}
_VIEWS = tuple(dict.fromkeys(view for views in _MADE_OF.values() for view in views))
_MADE_WITH = tuple(tuple(group for group, views in _MADE_OF.items() if view in views) for view in _VIEWS)

T = TypeVar("T")


class _Of(Generic[T]):
    """A member of Standing that is made of one group's views when it is asked for first, and then simply there."""

    def __init__(self, group: str, make: Callable[[Any], T]) -> None:
        self._make, self._name = make, make.__name__
        self.__doc__ = make.__doc__
        _MEMBERS[group].append(make.__name__)

    def __get__(self, standing: Standing, cls: type[Standing]) -> T:
        made = standing.__dict__[self._name] = self._make(standing)
        return made


_MEMBERS: dict[str, list[str]] = {group: [] for group in _MADE_OF}
"""The names of the members that are made of each group's views."""


def _of(group: str) -> Callable[[Callable[[Any], T]], _Of[T]]:
    return lambda make: _Of(group, make)


class Standing:
    """What checks ask of an account that nothing but the log changes, each looked up once.

    It holds at instants in `span`: no trading day begins or ends, and no limit comes into force, between the two.
    When a view moves on, a new one takes over what is not made of it. What raises is asked again by the next check.
    It knows its book weakly: kept for that book, it would never let it go.
    """

    def __init__(self, book: Book, account: str, at: int, turns: tuple[int, ...], before: Standing | None) -> None:
        self.groups: dict[str, dict[Any, Any]]
        if before is None:
            self.groups = {group: {} for group in _MADE_OF}
        else:
            self._take_over(before, turns)
        self._weak, self._account, self._at, self.turns = weakref.ref(book), account, at, turns
        self._calendar = book.sessions.calendar(account)
        self.span = self._find_span()

    def _take_over(self, before: Standing, turns: tuple[int, ...]) -> None:
        """Take what an older one knows, but for what is made of views that have moved on.

        What that one still puts into a group that both have is made of the same.
        """
        known, groups = before.__dict__.copy(), before.groups.copy()
        for turn, earlier, made_with in zip(turns, before.turns, _MADE_WITH, strict=True):
            if turn != earlier:
                for group in made_with:
                    groups[group] = {}
                    for name in _MEMBERS[group]:
                        known.pop(name, None)
        self.__dict__.update(known)
        self.groups = groups

    @property
    def _book(self) -> Book:
        book = self._weak()
        assert book is not None, "whoever asks has the book"
        return book

    def holds(self, at: int, calendar: Calendar | None) -> bool:
        """Tell whether at an instant all is as it was, but for what the log has told since."""
        return self.span[0] <= at < self.span[1] and self._calendar is calendar

    def kept(self, group: str, name: object, make: Callable[[], T]) -> T:
        """Return what was made of a group of views under a name, made now where it was not yet."""
        made = self.groups[group]
        if name in made:
            found: T = made[name]
            return found
        if len(made) >= NAMES_MAX:
            made.clear()
        fresh = made[name] = make()
        return fresh

    # When it holds

    def _find_span(self) -> tuple[int, int]:
        since, until = 0, _LAST
        finds = (("days", self._days_span), ("sessions", self._sessions_span), ("limited", self._limits_span))
        for group, find in finds:
            try:
                start, stop = self.kept(group, "span", find)
            except StoreError:
                # Whatever needs what cannot be told says so itself; nobody is kept from reducing a position by it.
                start, stop = self._at, self._at + 1
            since, until = max(since, start), min(until, stop)
        return since, until

    def _days_span(self) -> tuple[int, int]:
        at, state = self._at, self._book.state(PositionsView.name, self._account)
        if state is None:
            return at - at % _DAY_NS, at - at % _DAY_NS + _DAY_NS
        span = state.ledger.published.span_at(at)
        return span.since, span.until

    def _sessions_span(self) -> tuple[int, int]:
        at, state = self._at, self._book.state("sessions", self._account)
        days = () if state is None else state.days
        told = [instant for day in days for instant in (day.began_at, day.resets_at, day.closed_at)]
        planned = untold(self._book, self._account, at)
        if planned is not None:
            told += [planned.began_at, planned.resets_at]
        return _around(at, [instant for instant in told if instant is not None])

    def _limits_span(self) -> tuple[int, int]:
        at = self._limits_at()
        limits = [*self.limits, *self._book.limits.pending(self._account, at)]
        since, until = _around(at, [limit.in_force_at for limit in limits if limit.in_force_at is not None])
        # Before the log's own time, they are as they were then.
        return (since if at == self._at else 0), until

    def _limits_at(self) -> int:
        """Return when limits are asked for: where a clock lies behind the log, what was set already is in force."""
        state = self._book.state("limits", self._account)
        return self._at if state is None else max(self._at, state.recorded_to)

    # What is known

    @_of("limited")
    def limits(self) -> tuple[Limit, ...]:
        """Those in force, sorted by rule."""
        return self._book.limits.of(self._account, self._limits_at())

    @_of("blackouts")
    def blackouts(self) -> tuple[Blackout, ...]:
        """Those of the account and of everyone, past and coming ones too."""
        states = [self._book.state(BlackoutsView.name, partition) for partition in (SHARED, self._account)]
        return tuple(blackout for state in states if state is not None for blackout in state.blackouts.values())

    @property
    def known(self) -> Account | None:
        return self._opened or self._unopened

    @_of("opened")
    def _opened(self) -> Account | None:
        # What is known of an account that was opened does not depend on what it trades.
        state = self._book.state("accounts", self._account)
        return None if state is None or state.opened is None else self._book.accounts.get(self._account)

    @_of("known")
    def _unopened(self) -> Account | None:
        return self._book.accounts.get(self._account)

    @property
    def currency(self) -> str | None:
        """The account's own: that it was opened in, or the only one that anything of it names."""
        opened = self._opened
        return self._named if opened is None else opened.currency

    @_of("known")
    def _named(self) -> str | None:
        return own_currency(self._book, self._account)

    def balance(self, currency: str | None = None) -> Decimal:
        """Return cash with what was realized, less the fees, in a currency or the account's own."""
        return self.kept(
            "earned", f"balance {currency or ''}", lambda: self._book.accounts.balance(self._account, currency)
        )

    @_of("earned")
    def _rates(self) -> Rates:
        return Rates(self._book, self.currency)

    @_of("earned")
    def day(self) -> tuple[PnlTotals, ...]:
        """What the trading day has made; one that nobody has told yet began when the calendar says."""
        book, account, at = self._book, self._account, self._at
        state, planned = book.state(PositionsView.name, account), untold(book, account, at)
        if state is None:
            return ()
        if planned is None or planned.began_at < state.ledger.steps_from:
            return to_currency(state.ledger.at(at).items(), self._rates)
        steps = state.ledger.steps_of(planned.began_at, planned.resets_at)
        return to_currency([(step.key, step.entry) for step in steps], self._rates)

    @_of("earned")
    def week(self) -> tuple[PnlTotals, ...]:
        """What the week of trading days has made."""
        state = self._book.state(PositionsView.name, self._account)
        if state is None:
            return ()
        told = state.ledger.published
        # Which days are of the week is known for as long as no other days are told.
        days, names = self.groups["sessions"].get("week", (None, ()))
        if days is not told.days:
            names = told.names_of_week(self._at)
            self.groups["sessions"]["week"] = (told.days, names)
        return to_currency([each for name in names for each in told.of_day(name).items()], self._rates)

    @_of("counted")
    def counts(self) -> Count:
        """The day's orders, fills and round trips."""
        return self._book.counters.today(self._account, self._at)

    @_of("marked")
    def floor(self) -> Decimal | None:
        """The highest drawdown floor that was marked."""
        mark = self._book.equity.get(self._account)
        return None if mark is None else mark.floor

    @_of("highs")
    def highs(self) -> Highs:
        """The highest marks of the account."""
        return self._book.bests.highs(self._account)

    def best_of_day(self, currency: str | None, *, net: bool) -> Decimal:
        """Return the highest that the day's realized result was so far, in a currency."""

        def find() -> Decimal:
            planned = untold(self._book, self._account, self._at)
            bounds = None if planned is None else (planned.began_at, planned.resets_at)
            return self._book.bests.realized(self._account, self._at, currency, net=net, bounds=bounds)

        return self.kept("best", (currency, net), find)

    def marked_of_day(self, *, net: bool) -> Decimal:
        """Return the highest that the day's result was marked at, open positions included, in the own currency."""

        def find() -> Decimal:
            session = self._book.sessions.current(self._account, self._at)
            day = None if session is None else session.trading_day
            return self._book.bests.marked(self._account, day, self._at, net=net)

        return self.kept("best", net, find)

    # What is held and working

    @_of("held")
    def positions(self) -> tuple[Held, ...]:
        """Those that are open."""
        return held_by(self._book, self._account)

    def unrealized(self, held: Held, price: Decimal) -> Decimal:
        """Return what closing a position at a price would make, in money; raises UnknownContract."""
        made = self.groups["held"]
        known = made.get((held.symbol, held.side))
        if known is None or known[0] is not held or known[1] is not price:
            known = made[held.symbol, held.side] = (held, price, held.position.unrealized(price))
        amount: Decimal = known[2]
        return amount

    @_of("working")
    def working(self) -> tuple[Working, ...]:
        """The orders of which more may still be executed."""
        return working_for(self._book, self._account)

    @_of("working")
    def unknown(self) -> tuple[Working, ...]:
        """The working orders of which nobody knows how much they may do to what."""
        return tuple(each for each in self.working if None in (each.symbol, each.side, each.leaves))

    @_of("working")
    def closing(self) -> dict[tuple[str, PositionSide, Side], Decimal]:
        """What working orders may still execute, by symbol, the side of the position and their own."""
        return closing_of(self.working)

    @_of("sums")
    def sums(self) -> Sums:
        """What all that is held and working comes to."""
        return summed(self.positions, self.working)

    def names(self, symbol: str) -> tuple[str, ...]:
        """Return all that a symbol is called, itself first, and its root last, where it has one."""
        known = self.groups["named"]
        names: tuple[str, ...] | None = known.get(symbol)
        if names is None:
            if len(known) >= NAMES_MAX:
                known.clear()
            names = known[symbol] = all_names(self._book.state(ContractsView.name, SHARED), symbol)
        return names


def _around(at: int, instants: Iterable[int]) -> tuple[int, int]:
    """Return the last of some instants that is not after another one, and the first after it."""
    since, until = 0, _LAST
    for instant in instants:
        if instant <= at:
            since = max(since, instant)
        else:
            until = min(until, instant)
    return since, until


class _Kept:
    """The newest standing of each account of a book, and which turns it goes by."""

    def __init__(self) -> None:
        self.standings: dict[str, Standing] = {}
        self.wanted: dict[str, tuple[tuple[str, str], ...]] = {}

    def of(self, book: Book, account: str, at: int) -> Standing:
        wanted = self.wanted.get(account)
        if wanted is None:
            wanted = self._admit(book, account)
        turns = book.turns(wanted)
        before = self.standings.get(account)
        calendar = book.sessions.calendar(account)
        if before is not None and not before.holds(at, calendar):
            before = None
        if before is not None and before.turns == turns:
            return before
        fresh = Standing(book, account, at, turns, before)
        if not fresh.holds(at, calendar):
            # A day or a limit that was told meanwhile begins between the older one and now.
            fresh = Standing(book, account, at, turns, None)
        self.standings[account] = fresh
        return fresh

    def _admit(self, book: Book, account: str) -> tuple[tuple[str, str], ...]:
        check_name("account", account)
        if account == SHARED or not book.covers(account):
            msg = f"{book!r} knows nothing of account {account}: ask one that folds it"
            raise InvalidEvent(msg)
        if len(self.wanted) >= ACCOUNTS_MAX:
            self.wanted.clear()
            self.standings.clear()
        wanted = tuple((view.rstrip("*"), SHARED if view.endswith("*") else account) for view in _VIEWS)
        self.wanted[account] = wanted
        return wanted


_kept: weakref.WeakKeyDictionary[Book, _Kept] = weakref.WeakKeyDictionary()


def standing_of(book: Book, account: str, at: int) -> Standing:
    """Return how an account stands at an instant, with what earlier checks found that still holds."""
    kept = _kept.get(book)
    if kept is None:
        kept = _kept.setdefault(book, _Kept())
    return kept.of(book, account, at)
