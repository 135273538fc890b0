"""Policies driven by the clock: lockouts that expire, and trading days that open, close and are reset."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from msgspec.structs import replace
from typing_extensions import override

from eventstore import EventStore, SystemClock, UnknownContract
from eventstore.clock import GIVEN_MIN, NANOSECONDS, derived_from, wall_ns
from eventstore.streams import stream_of
from eventstore.trading import ClockJumped, LockoutExpired, LockoutSet, SessionClosed, SessionOpened
from projections.decimals import FIXED, ZERO
from projections.risk.policies import Decision, Policy, Trigger, TriggerKind
from projections.view import PartitionParked
from projections.views.lockouts.state import LockoutsState
from projections.views.log_clock import LogClock
from projections.views.sessions import EVERYONE, calendars_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from eventstore import Clock, Event
    from projections.book import Book
    from projections.sessions import Calendar, TradingDay
    from projections.views.limits.view import LimitsState
    from projections.views.lockouts.lockout import Lockout
    from projections.views.sessions import Session, SessionsState

JUMP_TOLERATED = 5 * NANOSECONDS
"""How far the wall clock may gain or lose against the monotonic one before it counts as changed."""
LATE_AFTER = 60 * NANOSECONDS
MISSED_MAX = 400


class Jump(NamedTuple):
    """A change of the wall clock: the time it would have shown, and the time it shows."""

    before: int
    after: int


class LockoutExpiry(Policy):
    """Records the expiry of lockouts within a second of their end, or at the start for those that ended before.

    A change of the wall clock while this runs is recorded for each account: its lockouts then stay in force until the
    monotonic clock has reached their end too, and what was recorded under a time that proves wrong does not count. A
    clock that was set back while nothing ran is found later: the log's newest record is then ahead of it. A suspended
    machine is not a clock change: the monotonic clock counts the time of the suspension.
    """

    name = "lockout-expiry"
    types: ClassVar[tuple[type[Event], ...]] = (LockoutSet,)
    timed: ClassVar[bool] = True

    def __init__(self) -> None:
        self._since: tuple[int, int] | None = None
        """Wall and monotonic clock when they last agreed."""
        self._jumps: list[Jump] = []
        self._handled: dict[str, int] = {}
        """By account, how many of the jumps were handed to its lockouts."""
        self._recorded: dict[str, int] = {}
        """By account, the log position of the newest recorded jump, by any process, that was taken into account."""
        self._decided: dict[str, Jump] = {}
        """By account, the last jump that this process itself decided to record."""
        self._newest: tuple[int, int] = (0, 0)
        """The log position of the book's newest record, and its time."""
        self._looked_at = 0
        """The log's head when this process first looked at its clocks."""

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterator[Decision]:
        clock = _clock(book)
        self._compare(book, clock)
        account = trigger.account
        handled = self._handled.setdefault(account, len(self._jumps))
        if trigger.kind is TriggerKind.RECORD:
            return  # Evaluated for this record only so that the clocks are compared from the first lockout on.
        self._handled[account] = len(self._jumps)
        state = _lockouts(book, account)
        if state is None:
            return
        if handled != len(self._jumps):
            for jump in self._jumps[handled:]:
                yield from self._jumped(account, state, jump)
            return  # Expiry by the changed clock waits for the next tick, when the lockouts view knows of the change.
        found_late = self._found_late(book, account, clock)
        if found_late is not None:
            yield found_late
            return
        self._recorded[account] = 0 if state.jumped is None else state.jumped[2]
        now = wall_ns(clock)
        for lockout in list(state.active.values()):
            if lockout.ends_at is not None and now >= lockout.ends_at:
                yield _expiry(book, lockout, clock)

    def _jumped(self, account: str, state: LockoutsState, jump: Jump) -> Iterator[Decision]:
        """Record a jump for an account, once even if two processes see it."""
        # Our own earlier jump is recorded meanwhile: only a later record can be the present one.
        if state.jumped is not None and state.jumped[:2] == self._decided.get(account):
            self._recorded[account] = state.jumped[2]
        since = self._recorded.get(account, 0)
        self._decided[account] = jump

        def is_recorded(book: Book) -> bool:
            state = _lockouts(book, account)
            if state is None or state.jumped is None:
                return False
            # Another process reads the clocks a little earlier or later: overlapping jumps in one direction are one.
            before, after, position = state.jumped
            same_way = (after > before) is (jump.after > jump.before)
            overlaps = max(min(before, after), min(jump)) < min(max(before, after), max(jump))
            if position > since and same_way and overlaps:
                self._recorded[account] = position
                return True
            return False

        event = ClockJumped(before=jump.before, after=jump.after)
        key = f"{account}/{since}/{jump.before}/{jump.after}"
        yield Decision(((f"lockout/{account}/clock", event),), obsolete_if=is_recorded, key=key)

    def _found_late(self, book: Book, account: str, clock: Clock) -> Decision | None:
        """Record that the clock was set back while no process saw it: what the log shows is ahead of it."""
        now = wall_ns(clock)

        def shown(book: Book) -> int:
            """Return the latest time that the log shows, after what is known to be wrong."""
            position, recorded_at = self._newest_of(book)
            known = _log_clock(book, account)
            return known.reached if known.explains(recorded_at, position) else recorded_at

        def is_explained(book: Book) -> bool:
            return shown(book) - now <= JUMP_TOLERATED

        # A clock that shows a time before 1990 is certainly wrong.
        if now < GIVEN_MIN or is_explained(book):
            return None
        latest, stream = shown(book), f"lockout/{account}/clock"
        found = [ClockJumped(before=latest, after=now)]
        if book.position > self._looked_at:
            # This process has followed the clock all the time: it was set ahead and back between two looks, which
            # changes no lockout's end.
            found.insert(0, ClockJumped(before=now, after=latest))
        events = tuple((stream, event) for event in found)
        return Decision(events, obsolete_if=is_explained, key=f"{account}/late/{book.position}")

    def _newest_of(self, book: Book) -> tuple[int, int]:
        """Return the log position and the time of a book's newest record, (0, 0) without one."""
        position = book.position
        if position != self._newest[0]:
            newest = next(iter(book.reader.read(after=position - 1, limit=1)), None)
            self._newest = (position, 0 if newest is None else newest.recorded_at)
        return self._newest

    def _compare(self, book: Book, clock: Clock) -> None:
        wall, monotonic = wall_ns(clock), clock.monotonic_ns()
        if self._since is None:
            # The log's head: a book of the past may be the first that this is asked about.
            self._since, self._looked_at = (wall, monotonic), book.reader.head()
            return
        # Against the last agreement, not the last tick: small steps add up to a jump.
        ahead = (wall - self._since[0]) - (monotonic - self._since[1])
        if abs(ahead) > JUMP_TOLERATED:
            self._since = (wall, monotonic)
            self._jumps.append(Jump(wall - ahead, wall))


def _lockouts(book: Book, account: str) -> LockoutsState | None:
    """Return an account's lockouts, None if their view failed: that must not stop the other accounts."""
    with contextlib.suppress(PartitionParked):
        state: LockoutsState | None = book.state("lockouts", account)
        return LockoutsState() if state is None else state
    return None


def _log_clock(book: Book, account: str) -> LogClock:
    """Return the clock of an account's log: that of its sessions, else of its limits if their view failed."""
    for view in ("sessions", "limits"):
        with contextlib.suppress(PartitionParked):
            state: SessionsState | LimitsState | None = book.state(view, account)
            return LogClock() if state is None else state.clock
    return LogClock()


def _expiry(book: Book, lockout: Lockout, clock: Clock) -> Decision:
    account, key = lockout.account, (lockout.rule_id, lockout.scope)
    cause = None if not isinstance(book.reader, EventStore) else book.reader.find(lockout.cause)
    stream = stream_of("lockout", account, lockout.rule_id) if cause is None else cause.stream
    event = LockoutExpired(rule_id=lockout.rule_id, scope=lockout.scope)

    def has_expired(book: Book) -> bool:
        state = _lockouts(book, account)
        held = () if state is None else state.active.values()
        now = wall_ns(clock)
        return not any(
            (each.rule_id, each.scope) == key and each.ends_at is not None and now >= each.ends_at for each in held
        )

    # Extended after its end, or in force again after a clock change, it expires a second time: a new key for each.
    return Decision(((stream, event),), obsolete_if=has_expired, key=f"{lockout.cause.hex()}/{lockout.positions[-1]}")


class SessionKeeper(Policy):
    """Opens, closes and resets each account's trading days, by the calendars given here, else by the book's.

    A new account begins with the current day. At each reset the day that ended is closed with its results and the
    next one begins, in one transaction; it opens at its `opens_at`, if that is later. A reset that was missed while no
    process ran is recorded once, marked late, as is one recorded more than a minute late; of many, the newest 400. A
    recorded day is not changed: another calendar applies from its reset on. One that was recorded under a clock that
    ran ahead is recorded again when its time comes.
    """

    name = "session-keeper"
    types: ClassVar[tuple[type[Event], ...]] = ()
    timed: ClassVar[bool] = True

    def __init__(self, calendars: Calendar | Mapping[str, Calendar] | None = None) -> None:
        self._calendars = None if calendars is None else calendars_of(calendars)
        self._opened: dict[str, tuple[str, int]] = {}
        """By account, the trading day whose opening is known to be recorded, and its first log position."""

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterable[Decision]:
        account, now = trigger.account, trigger.at
        calendar = self._calendar(book, account)
        if calendar is None:
            return ()
        try:
            known, again = _newest(book, account), _again(book, account)
        except PartitionParked:
            return ()  # This account's view failed: the others continue.
        if known is None:
            return [_first(account, calendar.day_at(now), again)]
        began_at = known.began_at or 0
        with derived_from(began_at):
            resets_at = calendar.next_reset(began_at) if known.resets_at is None else known.resets_at
        if now < resets_at:
            return self._opening(book, known, now, again)
        days = _missed(calendar, known, resets_at, now)
        return list(_resets(book, known, days, now, again))

    def _calendar(self, book: Book, account: str) -> Calendar | None:
        if self._calendars is None:
            return book.sessions.calendar(account)
        return self._calendars.get(account) or self._calendars.get(EVERYONE)

    def _opening(self, book: Book, session: Session, now: int, again: str) -> list[Decision]:
        account, day = session.account, session.trading_day.isoformat()
        opens_at, began_at, first = session.opens_at, session.began_at, session.positions[0]
        known = self._opened.get(account)
        if opens_at is None or began_at is None or not began_at < opens_at <= now or known == (day, first):
            return []

        def is_recorded(book: Book) -> bool:
            # One before the day's own first record was of a day that did not count.
            opened = book.read(stream=f"session/{account}/{day}", types=(SessionOpened,))
            return any(record.position >= first for record in opened)

        # Reading the log is left to `is_recorded`, once a day instead of at every tick.
        self._opened[account] = (day, first)
        event = SessionOpened(
            trading_day=session.trading_day,
            began_at=began_at,
            opens_at=opens_at,
            flat_by=session.flat_by,
            resets_at=session.resets_at,
            week=session.week,
            zone=session.zone,
        )
        key = f"{account}/{day}/opened{again}"
        return [Decision(((f"session/{account}/{day}", event),), obsolete_if=is_recorded, key=key)]


def _clock(book: Book) -> Clock:
    return book.reader.clock if isinstance(book.reader, EventStore) else SystemClock()


def _newest(book: Book, account: str) -> Session | None:
    """Return an account's newest trading day, None if its beginning is unknown."""
    state: SessionsState | None = book.state("sessions", account)
    newest = state.days[-1] if state is not None and state.days else None
    return None if newest is None or newest.began_at is None else newest


def _again(book: Book, account: str) -> str:
    """Return what makes a day's keys new after the clock was put right: what they named before may not count."""
    put_right = book.sessions.put_right(account)
    return f"/{put_right}" if put_right else ""


def _first(account: str, day: TradingDay, again: str) -> Decision:
    def is_known(book: Book) -> bool:
        return _newest(book, account) is not None

    events = ((f"session/{account}/{day.name}", day.opened()),)
    return Decision(events, obsolete_if=is_known, key=f"{account}/{day.name}/opened{again}")


def _missed(calendar: Calendar, known: Session, resets_at: int, now: int) -> list[TradingDay]:
    """Return the days that began since a known one's reset, oldest first; the first begins exactly at that reset."""
    with derived_from(resets_at):
        day = calendar.day_at(resets_at)
    while day.trading_day <= known.trading_day:
        day = calendar.following(day)
    days = [replace(day, began_at=resets_at)]
    while days[-1].resets_at <= now:
        days.append(calendar.following(days[-1]))
        # Bounded on the way: the log may be years old.
        del days[:-MISSED_MAX]
    return days


def _resets(book: Book, known: Session, days: list[TradingDay], now: int, again: str) -> Iterator[Decision]:
    account, ended = known.account, known.trading_day
    closed = _closed(book, known)
    for day in days:
        late = now - day.began_at > LATE_AFTER

        def is_known(book: Book, day: TradingDay = day) -> bool:
            newest = _newest(book, account)
            return newest is not None and (newest.began_at or 0) >= day.began_at

        events = (
            (f"session/{account}/{ended.isoformat()}", closed),
            (f"session/{account}/{day.name}", day.reset(late=late)),
        )
        yield Decision(events, obsolete_if=is_known, key=f"{account}/{day.name}/reset{again}")
        # The results of the missed days are not known yet: they follow from the log once it has their beginnings.
        closed, ended = SessionClosed(trading_day=day.trading_day), day.trading_day


def _closed(book: Book, session: Session) -> SessionClosed:
    """Return a day's close with its results as known now; an unknown one is left out and does not prevent the close."""
    account, day = session.account, session.trading_day
    closed = SessionClosed(trading_day=day)
    with contextlib.suppress(UnknownContract, PartitionParked):
        closed = replace(closed, trades=book.counters.day(account, day).fills)
        opened = book.accounts.get(account)
        if opened is None or opened.starting_balance is None:
            return closed
        mark = book.equity.get(account)
        closed = replace(closed, currency=opened.currency, high_water=None if mark is None else mark.high_water)
        totals = [each for each in book.pnl.day(account, trading_day=day) if each.currency == opened.currency]
        realized, fees, cash = (totals[0].result, totals[0].fees, totals[0].cash) if totals else (ZERO, ZERO, ZERO)
        balance = book.accounts.balance(account)
        if session.resets_at is not None:
            # Recorded late, the balance has the next day's fills already: they are taken out.
            balance = FIXED.subtract(balance, book.bests.realized_since(account, session.resets_at) or ZERO)
        closed = replace(closed, balance=balance, realized=realized, fees=fees, cash=cash or None)
    return closed
