"""Counts of orders, fills and round trips, in rolling windows and by trading day."""

import decimal
from collections.abc import Iterable
from datetime import date
from typing import Any, ClassVar

import msgspec
from typing_extensions import override

from eventstore import Event, Record
from eventstore.clock import NANOSECONDS, Times, asked_ns
from eventstore.trading import AccountReopened, ClockJumped, OrderSubmitted, SessionOpened, SessionReset
from projections.decimals import FIXED
from projections.sessions import TradingDay
from projections.view import BookReader, View, check_covered
from projections.views.executions.ledger import Ledger
from projections.views.executions.ledger_entry import LedgerEntry
from projections.views.executions.refolding import refolded
from projections.views.executions.seconds import HOUR, SECONDS_MAX, SecondCounts
from projections.views.executions.state import VIEW, ExecutionsState
from projections.views.executions.view import ExecutionsView

_KEY = ""


class Count(msgspec.Struct, frozen=True, gc=False):
    """The number of orders sent, of executions, and of round trips: positions that went from flat to flat.

    Executions count when they happened, busted ones too, as venues count them; one that is reported twice counts once.
    A round trip counts when it ended: one that a bust or a late report undoes is none.
    """

    orders: int = 0
    fills: int = 0
    round_trips: int = 0

    def plus(self, other: "Count") -> "Count":
        return Count(self.orders + other.orders, self.fills + other.fills, self.round_trips + other.round_trips)


NONE = Count()
_ORDER = Count(orders=1)


class Counts(msgspec.Struct, frozen=True):
    """An account's counts at an instant: of the last minute and hour, and of the trading day and week it lies in.

    Windows are made of whole seconds: they count everything in the minute, or hour, that ends with `at`, and possibly
    more that happened in the second it begins in or the second it ends in. `session` and `day` are the known trading
    day, or the date in UTC if no session event states one; `week` likewise.
    """

    minute: Count = NONE
    hour: Count = NONE
    session: Count = NONE
    day: Count = NONE
    week: Count = NONE


class CountersState(msgspec.Struct):
    """One account: the orders sent, by second and by trading day."""

    orders: SecondCounts = msgspec.field(default_factory=SecondCounts)
    ledger: Ledger[Count] = msgspec.field(default_factory=Ledger)


class CountersView(View[CountersState]):
    """Counts orders at the time they were sent. `bounded`: whether to drop seconds that no present window needs.

    A reopening begins the days again; rolling windows go on, because venues count what an account sends them.
    """

    name: ClassVar[str] = "counters"
    revision: ClassVar[int] = 4
    types: ClassVar[tuple[type[Event], ...] | None] = (
        OrderSubmitted,
        SessionOpened,
        SessionReset,
        AccountReopened,
        ClockJumped,
    )
    can_wait: ClassVar[bool] = True

    def __init__(self, *, bounded: bool = True) -> None:
        self._room = SECONDS_MAX if bounded else 2**62

    @override
    def initial(self) -> CountersState:
        return CountersState(SecondCounts(room=self._room))

    @override
    def apply(self, state: CountersState, event: Event, record: Record) -> None:
        # The most frequent class first, and by identity: each class matched in vain costs as much as a lookup.
        if type(event) is OrderSubmitted:
            state.ledger.add(record.occurred_at, _KEY, _ORDER)
            state.orders.add(record.occurred_at, record.recorded_at)
        elif isinstance(event, SessionOpened | SessionReset):
            state.ledger.add_day(event, record.occurred_at)
        elif isinstance(event, AccountReopened):
            state.ledger.begin_again()
        elif isinstance(event, ClockJumped):
            state.ledger.jump(event, record.position)


class Counters:
    """Queries about counters."""

    def __init__(self, book: BookReader) -> None:
        self._book = book

    def of(self, account: str, at: Times | None = None) -> Counts:
        """Return an account's counts at an instant (an aware datetime or UNIX ns), by default now.

        The newest hour is in memory; for an older one the account's records are read.
        """
        at_ns = asked_ns(at, self._book.now_ns)
        orders, executions = self._states(account)
        today = _today(orders, executions, at_ns)
        week = NONE
        for name in orders.ledger.names_of_week(at_ns):
            week = week.plus(Count(orders=orders.ledger.of_day(name).get(_KEY, NONE).orders))
        for name in executions.ledger.names_of_week(at_ns):
            week = week.plus(_sum(executions.ledger.of_day(name).values()))
        stop = at_ns // NANOSECONDS
        # Read the counts before the bounds: what is dropped in between is still in these dicts.
        kinds = tuple(
            SecondCounts(each.counts) for each in (orders.orders, executions.seconds, executions.trip_seconds)
        )
        bounds = (orders.orders, executions.seconds, executions.trip_seconds)
        if not all(each.covers(stop - HOUR + 1, stop) for each in bounds):
            kinds = self._refolded(account)
        minute, hour = (Count(*[each.within(stop - length, stop) for each in kinds]) for length in (60, HOUR - 1))
        return Counts(minute, hour, today, today, week)

    def today(self, account: str, at: Times | None = None, *, planned: TradingDay | None = None) -> Count:
        """Return the counts of the trading day that an instant lies in: those of `of`, without the windows.

        `planned`: that day by the calendar, if no event states it.
        """
        at_ns = asked_ns(at, self._book.now_ns)
        orders, executions = self._states(account)
        if planned is None:
            return _today(orders, executions, at_ns)
        ledgers: tuple[Ledger[Any], ...] = (orders.ledger, executions.ledger)
        return _sum([each for ledger in ledgers for each in ledger.between(planned.began_at, planned.resets_at)])

    def day(self, account: str, trading_day: date) -> Count:
        """Return the counts of a trading day, or of that date in UTC if no session event states the day."""
        orders, executions = self._states(account)
        name = trading_day.isoformat()
        found = NONE
        for ledger in (orders.ledger, executions.ledger):
            entries = ledger.of_day(name if ledger.day_named(name) is not None else "~" + name)
            found = found.plus(_sum(entries.values()))
        return found

    def _states(self, account: str) -> tuple[CountersState, ExecutionsState]:
        orders: CountersState | None = self._book.state(CountersView.name, account)
        executions: ExecutionsState | None = self._book.state(VIEW, account)
        if orders is None or executions is None:
            check_covered(self._book, account)
        return orders or CountersState(), executions or ExecutionsState()

    def _refolded(self, account: str) -> tuple[SecondCounts, ...]:
        counters = CountersView(bounded=False)
        orders = counters.initial()
        with decimal.localcontext(FIXED):
            for record in self._book.read(account=account, types=(OrderSubmitted,)):
                counters.apply(orders, record.event, record)
            executions = refolded(self._book, account, ExecutionsView(bounded=False))
        return orders.orders, executions.seconds, executions.trip_seconds


def _today(orders: CountersState, executions: ExecutionsState, at: int) -> Count:
    return _sum(orders.ledger.at(at).values()).plus(_sum(executions.ledger.at(at).values()))


def _sum(entries: Iterable[Count | LedgerEntry]) -> Count:
    orders = fills = trips = 0
    for each in entries:
        if isinstance(each, Count):
            orders += each.orders
        else:
            fills += each.executions
            trips += each.round_trips
    return Count(orders, fills, trips)
