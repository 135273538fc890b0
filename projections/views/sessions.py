"""The sessions view: an account's trading days, when each begins and ends, and its closing figures; and its queries."""

import heapq
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import ClassVar, cast

import msgspec
from msgspec.structs import asdict, replace
from typing_extensions import override

from eventstore import Event, Instant, InvalidEvent, Record
from eventstore.clock import Times, asked_ns, derived_from
from eventstore.errors import shown
from eventstore.readable import Readable
from eventstore.streams import check_name
from eventstore.trading import ClockJumped, SessionClosed, SessionOpened, SessionReset
from projections.sessions import Calendar
from projections.view import BookReader, View, check_covered
from projections.views.log_clock import MARKS_MAX, LogClock, WrongTime, is_set_back

DAYS_MAX = 400
POSITIONS_MAX = 100
_CLOSING = ("closed_at", "balance", "realized", "fees", "cash", "high_water", "trades", "currency")
EVERYONE = "*"
"""The key in `calendars` of the calendar for all accounts that have none of their own."""


class Session(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """One trading day of an account, as its events state it. Times are UNIX ns; a member that no event states is None.

    `began_at` is None for a day of which only the closing was recorded. `late`: its reset was recorded late. The
    figures are those of its closing. `positions` are the log positions of the events about it, the first and last ones.
    """

    account: str
    trading_day: date
    began_at: Instant | None = None
    opens_at: Instant | None = None
    flat_by: Instant | None = None
    resets_at: Instant | None = None
    week: date | None = None
    zone: str | None = None
    late: bool = False
    closed_at: Instant | None = None
    balance: Decimal | None = None
    realized: Decimal | None = None
    fees: Decimal | None = None
    cash: Decimal | None = None
    high_water: Decimal | None = None
    trades: int | None = None
    currency: str | None = None
    positions: tuple[int, ...] = ()

    @property
    def closed(self) -> bool:
        """Whether its closing was recorded; the day itself lasts until its reset."""
        return self.closed_at is not None

    def holds(self, at_ns: int) -> bool:
        """Return whether an instant lies in it; if its reset is not known, it lasts until its closing."""
        end = self.closed_at if self.resets_at is None else self.resets_at
        return self.began_at is not None and self.began_at <= at_ns and (end is None or at_ns < end)


class SessionsState(msgspec.Struct):
    """One account: the 400 newest trading days, those without a known begin first, then in the order they began.

    `anomalies` are the newest days and closings that do not count, because the clock had run ahead.
    """

    days: tuple[Session, ...] = ()
    clock: LogClock = LogClock()
    anomalies: tuple[WrongTime, ...] = ()


class SessionsView(View[SessionsState]):
    """What is known of each trading day: in any order and repeatedly, each event adds the members that it states.

    A day begins at the earliest instant that any event gives for it. A member that an event leaves out stays as it was.
    `days_max` bounds how many days stay in state.

    Once the wall clock is set back, days that begin later have not begun, and what was closed later is open: they are
    marked and do not count, until they are recorded again.
    """

    name: ClassVar[str] = "sessions"
    revision: ClassVar[int] = 3
    types: ClassVar[tuple[type[Event], ...] | None] = (SessionOpened, SessionReset, SessionClosed, ClockJumped)

    def __init__(self, days_max: int | None = DAYS_MAX) -> None:
        self._days_max = days_max

    @override
    def initial(self) -> SessionsState:
        return SessionsState()

    @override
    def apply(self, state: SessionsState, event: Event, record: Record) -> None:
        match event:
            case SessionOpened() | SessionReset():
                day, members = event.trading_day, _begun(event, record)
                state.clock = state.clock.advanced(record, cast("int", members["began_at"]))
            case SessionClosed():
                named = _named(state, event, record)
                if named is None:
                    return  # It names no day, and the account is in no known day.
                day, members = named, _closed(event, record)
            case ClockJumped():
                _jump(state, event, record)
                return
            case _:
                return
        known = next((each for each in state.days if each.trading_day == day), None)
        fresh = _with(known or Session(account=record.account, trading_day=day), members, record.position)
        days = sorted([*(each for each in state.days if each is not known), fresh], key=_begin_order)
        if self._days_max is not None and len(days) > self._days_max:
            days.remove(min(days, key=lambda each: each.trading_day))
        state.days = tuple(days)


class Sessions:
    """Queries about sessions. An instant is an aware datetime or UNIX ns, by default now."""

    def __init__(self, book: BookReader) -> None:
        self._book = book
        self.calendars: dict[str, Calendar] = {}
        """By account, `*` for all others: used for instants in no recorded trading day."""

    def current(self, account: str, at: Times | None = None) -> Session | None:
        """Return the trading day that an instant lies in, None if no event states one."""
        return self._at(account, asked_ns(at, self._book.now_ns))

    def _at(self, account: str, at_ns: int) -> Session | None:
        for session in reversed(self._known(account)):
            if session.began_at is None or session.began_at <= at_ns:
                return session if session.holds(at_ns) else None
        return None

    def day(self, account: str, trading_day: date) -> Session | None:
        """Return a trading day by its date; one older than the last 400 recorded days is read from the log."""
        known = self._known(account)
        if len(known) >= DAYS_MAX and trading_day < min(session.trading_day for session in known):
            known = self.history(account)
        return next((session for session in known if session.trading_day == trading_day), None)

    def history(self, account: str) -> tuple[Session, ...]:
        """Return every trading day that the account's events state, folded from the log, oldest first."""
        view = SessionsView(days_max=None)
        state = view.initial()
        streams = (f"session/{account}/", f"lockout/{account}/")
        records = (self._book.read(stream=stream, types=view.types) for stream in streams)
        for record in heapq.merge(*records, key=_log_position):
            view.apply(state, record.event, record)
        return tuple(sorted(state.days, key=lambda session: session.trading_day))

    def anomalies(self, account: str) -> tuple[WrongTime, ...]:
        """Return the newest 1,000 days and closings that were recorded under a wrong time, oldest first."""
        state: SessionsState | None = self._book.state(SessionsView.name, account)
        return () if state is None else state.anomalies

    def put_right(self, account: str) -> int:
        """Return the log position of the newest record of a clock that was set back, 0 without one.

        What a policy decides once a day, it decides once more after that: its keys name this.
        """
        state: SessionsState | None = self._book.state(SessionsView.name, account)
        return 0 if state is None else state.clock.log_position

    def calendar(self, account: str) -> Calendar | None:
        """Return the calendar of an account, else that of all accounts, else None."""
        return self.calendars.get(account) or self.calendars.get(EVERYONE)

    def next_reset(self, account: str, at: Times | None = None) -> int | None:
        """Return the first reset after an instant: the recorded one, else the calendar's; None without either."""
        return self._next(account, at, "resets_at", Calendar.next_reset)

    def next_open(self, account: str, at: Times | None = None) -> int | None:
        """Return the first open after an instant: the recorded one, else the calendar's; None without either."""
        return self._next(account, at, "opens_at", Calendar.next_open)

    def next_flat_by(self, account: str, at: Times | None = None) -> int | None:
        """Return when positions must be flat next, after an instant: as recorded, else by the calendar, else None."""
        return self._next(account, at, "flat_by", Calendar.next_flat_by)

    def _next(
        self, account: str, at: Times | None, member: str, of: Callable[[Calendar, int], int | None]
    ) -> int | None:
        at_ns = asked_ns(at, self._book.now_ns)
        session = self._at(account, at_ns)
        from_ns = at_ns
        while session is not None:
            instant: int | None = getattr(session, member)
            if instant is not None and instant > at_ns:
                return instant
            if instant is None or session.resets_at is None:
                break
            # The recorded one has passed: a calendar that changed since must not give another one for the same day.
            from_ns = session.resets_at - 1
            session = self._at(account, session.resets_at)
        calendar = self.calendar(account)
        if calendar is not None:
            with derived_from(from_ns):
                return of(calendar, from_ns)
        return None

    def _known(self, account: str) -> tuple[Session, ...]:
        state: SessionsState | None = self._book.state(SessionsView.name, account)
        if state is None:
            check_covered(self._book, account)
        return () if state is None else state.days


def calendars_of(given: object) -> dict[str, Calendar]:
    """Return calendars by account, as `Sessions.calendars` holds them; a single one is that of all accounts."""
    if isinstance(given, Calendar):
        return {EVERYONE: given}
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(each, Calendar) for each in given.values()):
        msg = f"calendars is one Calendar, or a mapping of accounts to Calendars, not {shown(given)}"
        raise InvalidEvent(msg)
    for account in given.keys() - {EVERYONE}:
        check_name("account", account)
    return dict(given)


def _log_position(record: Record) -> int:
    return record.position


def _jump(state: SessionsState, event: ClockJumped, record: Record) -> None:
    """Once the clock is set back, take back the days and closings that have not come yet."""
    state.clock = state.clock.jumped(event, record)
    if not is_set_back(event):
        return
    days: list[Session] = []
    marks: list[WrongTime] = []
    now = event.after
    for day in state.days:
        begins_later = day.began_at is not None and day.began_at > now
        closed_at = day.closed_at
        if begins_later:
            what = f"the trading day {day.trading_day}"
            marks.append(WrongTime(what, day.began_at or 0, now, day.positions, record.position))
        elif closed_at is not None and closed_at > now:
            what = f"the close of {day.trading_day}"
            marks.append(WrongTime(what, closed_at, now, day.positions, record.position))
        # Of a day without a known begin, only the closing was recorded.
        if not begins_later and (day.began_at is not None or closed_at is None or closed_at <= now):
            days.append(_reopened(day) if closed_at is not None and closed_at > now else day)
    state.days, state.anomalies = tuple(days), (*state.anomalies, *marks)[-MARKS_MAX:]


def _reopened(day: Session) -> Session:
    return replace(day, **dict.fromkeys(_CLOSING))


def _begin_order(session: Session) -> tuple[bool, int, date]:
    return session.began_at is not None, session.began_at or 0, session.trading_day


def _begun(event: SessionOpened | SessionReset, record: Record) -> dict[str, object]:
    members = {name: getattr(event, name) for name in ("opens_at", "flat_by", "resets_at", "week", "zone")}
    if isinstance(event, SessionReset):
        return members | {"began_at": event.scheduled_for, "late": event.late}
    instants = (event.began_at, event.opens_at, record.occurred_at)
    return members | {"began_at": next(instant for instant in instants if instant is not None)}


def _closed(event: SessionClosed, record: Record) -> dict[str, object]:
    return asdict(event) | {"closed_at": record.occurred_at}


def _named(state: SessionsState, event: SessionClosed, record: Record) -> date | None:
    """Return the day that a closing names, itself or by its stream; else the newest day that had begun before it."""
    if event.trading_day is not None:
        return event.trading_day
    try:
        return date.fromisoformat(record.entity)
    except ValueError:
        begun = (day for day in reversed(state.days) if day.began_at is not None)
        return next((day.trading_day for day in begun if (day.began_at or 0) < record.occurred_at), None)


def _with(session: Session, stated: dict[str, object], log_position: int) -> Session:
    """Return a day with what an event states: of two begins, and of two closings, the earlier one."""
    members = {name: value for name, value in stated.items() if value is not None}
    for name in ("began_at", "closed_at"):
        known, fresh = getattr(session, name), members.get(name)
        if known is not None and isinstance(fresh, int):
            members[name] = min(known, fresh)
    positions = session.positions
    if len(positions) >= POSITIONS_MAX:
        positions = (positions[0], *positions[2:])
    return replace(session, **members, positions=(*positions, log_position))
