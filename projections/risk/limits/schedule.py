"""What a clock brings about: lockouts that expire, and trading days that open, close and are reset."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from msgspec.structs import replace
from typing_extensions import override

from eventstore import EventStore, SystemClock, UnknownContract
from eventstore.clock import NANOSECONDS, wall_ns
from eventstore.trading import ClockJumped, LockoutExpired, LockoutSet, SessionClosed, SessionOpened
from projections.decimals import FIXED, ZERO
from projections.risk.limits.base import escaped
from projections.risk.policies import Decision, Policy, Trigger, TriggerKind
from projections.view import PartitionParked
from projections.views.sessions import EVERYONE, calendars_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from eventstore import Clock, Event
    from projections.book import Book
    from projections.sessions import Calendar, TradingDay
    from projections.views.lockouts.view import Lockout, LockoutsState
    from projections.views.sessions import Session, SessionsState

JUMP_TOLERATED = 5 * NANOSECONDS
"""How far the wall clock may leave the monotonic one behind, or stay behind it, before it counts as moved."""
LATE_AFTER = 60 * NANOSECONDS
MISSED_MAX = 400


class Jump(NamedTuple):
    """A wall clock that was moved: what it would have said, and what it says."""

    before: int
    after: int


class LockoutExpiry(Policy):
    """Records that a lockout's end came, within a second of it, or at the start for those that ended before.

    A wall clock that is moved while this runs is recorded, for each account that has a lockout with an end: the
    lockouts view lets those in force hold until the monotonic clock has come to their end as well. A machine that
    slept has not had its clock moved: the monotonic clock counts the time that it slept.
    """

    name = "lockout-expiry"
    types: ClassVar[tuple[type[Event], ...]] = (LockoutSet,)
    timed: ClassVar[bool] = True

    def __init__(self) -> None:
        self._since: tuple[int, int] | None = None
        """Both clocks as they were when they last agreed: wall and monotonic."""
        self._jumps: list[Jump] = []
        self._told: dict[str, int] = {}
        """By account, up to which jump its lockouts have heard of."""
        self._recorded: dict[str, int] = {}
        """By account, the position of the last jump that was recorded, by whomever, of those it knew of by then."""
        self._decided: dict[str, Jump] = {}
        """By account, the last jump that this process itself wanted recorded."""

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterator[Decision]:
        clock = _clock(book)
        self._compare(clock)
        account = trigger.account
        told = self._told.setdefault(account, len(self._jumps))
        if trigger.kind is TriggerKind.RECORD:
            return  # Asked from its first lockout on, so that the clocks are compared from then on at the latest.
        self._told[account] = len(self._jumps)
        state = _lockouts(book, account)
        if state is None:
            return
        if told != len(self._jumps):
            for jump in self._jumps[told:]:
                yield from self._jumped(account, state, jump)
            return  # What expires by this clock is asked at the next tick, when the lockouts know of it.
        self._recorded[account] = 0 if state.jumped is None else state.jumped[2]
        now = wall_ns(clock)
        for lockout in list(state.active.values()):
            if lockout.ends_at is not None and now >= lockout.ends_at:
                yield _expiry(book, lockout, clock)

    def _jumped(self, account: str, state: LockoutsState, jump: Jump) -> Iterator[Decision]:
        """Record a jump for an account whose lockouts it concerns, once, though two processes may see it."""
        if state.jumped is not None and state.jumped[:2] == self._decided.get(account):
            self._recorded[account] = state.jumped[2]
        since = self._recorded.get(account, 0)
        self._decided[account] = jump

        def is_told(book: Book) -> bool:
            state = _lockouts(book, account)
            if state is None or state.jumped is None:
                return False
            before, after, position = state.jumped
            same_way = (after > before) is (jump.after > jump.before)
            overlaps = max(min(before, after), min(jump)) < min(max(before, after), max(jump))
            if position > since and same_way and overlaps:
                self._recorded[account] = position
                return True
            return False

        ending = [*state.active.values(), *(each for each in state.ended if each.ended_by == "expired")]
        if any(lockout.until is not None for lockout in ending):
            event = ClockJumped(before=jump.before, after=jump.after)
            key = f"{account}/{since}/{jump.before}/{jump.after}"
            yield Decision(((f"lockout/{account}/clock", event),), obsolete_if=is_told, key=key)

    def _compare(self, clock: Clock) -> None:
        wall, monotonic = wall_ns(clock), clock.monotonic_ns()
        if self._since is None:
            self._since = (wall, monotonic)
            return
        ahead = (wall - self._since[0]) - (monotonic - self._since[1])
        if abs(ahead) > JUMP_TOLERATED:
            self._since = (wall, monotonic)
            self._jumps.append(Jump(wall - ahead, wall))


def _lockouts(book: Book, account: str) -> LockoutsState | None:
    """Return an account's lockouts; of one whose view failed nothing is told, and the others go on."""
    with contextlib.suppress(PartitionParked):
        state: LockoutsState | None = book.state("lockouts", account)
        return state
    return None


def _expiry(book: Book, lockout: Lockout, clock: Clock) -> Decision:
    account, key = lockout.account, (lockout.rule_id, lockout.scope)
    cause = None if not isinstance(book.reader, EventStore) else book.reader.find(lockout.cause)
    stream = f"lockout/{account}/{escaped(lockout.rule_id)}" if cause is None else cause.stream
    event = LockoutExpired(rule_id=lockout.rule_id, scope=lockout.scope)

    def is_settled(book: Book) -> bool:
        state = _lockouts(book, account)
        held = () if state is None else state.active.values()
        now = wall_ns(clock)
        return not any(
            (each.rule_id, each.scope) == key and each.ends_at is not None and now >= each.ends_at for each in held
        )

    # Extended after its end, or put in force again after the clock was moved, it expires anew.
    return Decision(((stream, event),), obsolete_if=is_settled, key=f"{lockout.cause.hex()}/{lockout.positions[-1]}")


class SessionKeeper(Policy):
    """Opens, closes and resets each account's trading days, by the calendars given here or else by the book's.

    An account begins with the day it is in. At each reset the day that ended is closed with what it came to and the
    next one begins, both at once; it opens at its `opens_at`, where that is later. A reset missed while nobody was
    there is told once, marked late, as is one told more than a minute late; of very many the newest 400. What was
    told stands: another calendar counts from the reset of the day that is known.
    """

    name = "session-keeper"
    types: ClassVar[tuple[type[Event], ...]] = ()
    timed: ClassVar[bool] = True

    def __init__(self, calendars: Calendar | Mapping[str, Calendar] | None = None) -> None:
        self._calendars = None if calendars is None else calendars_of(calendars)
        self._opened: dict[str, str] = {}
        """By account, the trading day that is known to have been told open."""

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterable[Decision]:
        account, now = trigger.account, trigger.at
        calendar = self._calendar(book, account)
        if calendar is None:
            return ()
        try:
            known = _newest(book, account)
        except PartitionParked:
            return ()  # Of one whose view failed nothing is told, and the others go on.
        if known is None:
            return [_first(account, calendar.day_at(now))]
        began_at = known.began_at or 0
        resets_at = calendar.next_reset(began_at) if known.resets_at is None else known.resets_at
        if now < resets_at:
            return self._opening(book, known, now)
        days = _missed(calendar, known, resets_at, now)
        return list(_resets(book, known, days, now))

    def _calendar(self, book: Book, account: str) -> Calendar | None:
        if self._calendars is None:
            return book.sessions.calendar(account)
        return self._calendars.get(account) or self._calendars.get(EVERYONE)

    def _opening(self, book: Book, session: Session, now: int) -> list[Decision]:
        account, day = session.account, session.trading_day.isoformat()
        opens_at, began_at = session.opens_at, session.began_at
        if opens_at is None or began_at is None or not began_at < opens_at <= now or self._opened.get(account) == day:
            return []

        def is_told(book: Book) -> bool:
            return any(book.read(stream=f"session/{account}/{day}", types=(SessionOpened,)))

        # The log is asked once for each day, not at every tick.
        self._opened[account] = day
        event = SessionOpened(
            trading_day=session.trading_day,
            began_at=began_at,
            opens_at=opens_at,
            flat_by=session.flat_by,
            resets_at=session.resets_at,
            week=session.week,
            zone=session.zone,
        )
        return [Decision(((f"session/{account}/{day}", event),), obsolete_if=is_told, key=f"{account}/{day}/opened")]


def _clock(book: Book) -> Clock:
    return book.reader.clock if isinstance(book.reader, EventStore) else SystemClock()


def _newest(book: Book, account: str) -> Session | None:
    """Return the last trading day of an account whose begin is known."""
    state: SessionsState | None = book.state("sessions", account)
    newest = state.days[-1] if state is not None and state.days else None
    return None if newest is None or newest.began_at is None else newest


def _first(account: str, day: TradingDay) -> Decision:
    def is_known(book: Book) -> bool:
        return _newest(book, account) is not None

    events = ((f"session/{account}/{day.name}", day.opened()),)
    return Decision(events, obsolete_if=is_known, key=f"{account}/{day.name}/opened")


def _missed(calendar: Calendar, known: Session, resets_at: int, now: int) -> list[TradingDay]:
    """Return the days that began since a known one's reset, oldest first; the first of them begins right there."""
    day = calendar.day_at(resets_at)
    while day.trading_day <= known.trading_day:
        day = calendar.following(day)
    days = [replace(day, began_at=resets_at)]
    while days[-1].resets_at <= now:
        days.append(calendar.following(days[-1]))
        del days[:-MISSED_MAX]
    return days


def _resets(book: Book, known: Session, days: list[TradingDay], now: int) -> Iterator[Decision]:
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
        yield Decision(events, obsolete_if=is_known, key=f"{account}/{day.name}/reset")
        # Of the days that nobody was there for, only the log can tell, once it knows when they began.
        closed, ended = SessionClosed(trading_day=day.trading_day), day.trading_day


def _closed(book: Book, session: Session) -> SessionClosed:
    """Return what a day came to, as known now; what nobody can tell is left out, and does not keep it from ending."""
    account, day = session.account, session.trading_day
    told = SessionClosed(trading_day=day)
    with contextlib.suppress(UnknownContract, PartitionParked):
        told = replace(told, trades=book.counters.day(account, day).fills)
        opened = book.accounts.get(account)
        if opened is None or opened.starting_balance is None:
            return told
        mark = book.equity.get(account)
        told = replace(told, currency=opened.currency, high_water=None if mark is None else mark.high_water)
        made = [each for each in book.pnl.day(account, trading_day=day) if each.currency == opened.currency]
        realized, fees = (made[0].realized, made[0].fees) if made else (ZERO, ZERO)
        balance = book.accounts.balance(account)
        if session.resets_at is not None:
            # Told late, the next day's fills are there already.
            balance = FIXED.subtract(balance, book.bests.realized_since(account, session.resets_at) or ZERO)
        told = replace(told, balance=balance, realized=realized, fees=fees)
    return told
