"""The timers view: how long timers and cooldowns still run, lost on a restart; and its queries and callbacks."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import ClassVar

import msgspec
from typing_extensions import override

from eventstore import Event, Instant, Record, StoreError
from eventstore.clock import Times, asked_ns, duration_ns, format_time
from eventstore.streams import stream_of
from eventstore.trading import TimerCanceled, TimerStarted
from projections.view import BookReader, View, check_covered

TIMERS_MAX = 10_000


class TooManyTimers(StoreError):
    """An account's timers are bounded, and this many are running already."""

    def __init__(self, account: str, name: str) -> None:
        self.account, self.name = account, name
        super().__init__(
            f"{account} has {TIMERS_MAX:,} timers running and {name} is one more: restart a timer under its own name "
            "instead of naming another each time"
        )


class UnknownTimer(StoreError):
    """No such timer was started since `known_since`, or it was canceled: this does not mean that its time is over."""

    def __init__(self, account: str, name: str, known_since: int) -> None:
        self.account, self.name, self.known_since = account, name, known_since
        super().__init__(
            f"no timer {name} of {account} was started since {format_time(known_since)}, or it was canceled; timers "
            "are never stored and a restart loses them: one from before then may be running still, so start it again"
        )


class Timer(msgspec.Struct, frozen=True, kw_only=True):
    """One timer as of an instant: `remaining` (ns) of its `duration`, never more than that and never below 0."""

    account: str
    name: str
    started_at: Instant
    duration: int
    expires_at: Instant
    remaining: int
    expired: bool


class TimerStart(msgspec.Struct, frozen=True):
    """When a timer was started, and for how many nanoseconds."""

    started_at: Instant
    duration: int

    @property
    def expires_at(self) -> int:
        return self.started_at + self.duration


class TimersState(msgspec.Struct):
    """One account: timers by name, including those whose time is over."""

    timers: dict[str, TimerStart] = {}


class TimersView(View[TimersState]):
    """The newest start of each timer that was not canceled; events that occurred before that start have no effect.

    Unless the start lies in the future, as it does after the clock was set back. At 10,000 names in an account, timers
    whose time is over are dropped.
    """

    name: ClassVar[str] = "timers"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (TimerStarted, TimerCanceled)
    volatile: ClassVar[bool] = True

    @override
    def initial(self) -> TimersState:
        return TimersState()

    @override
    def apply(self, state: TimersState, event: Event, record: Record) -> None:
        if not isinstance(event, TimerStarted | TimerCanceled):
            return
        known = state.timers.get(event.name)
        if known is not None and not _is_later(record, known):
            return
        if isinstance(event, TimerCanceled):
            state.timers.pop(event.name, None)
            return
        if known is None and len(state.timers) >= TIMERS_MAX:
            state.timers = _running(state, event.name, record)
        state.timers[event.name] = TimerStart(record.occurred_at, event.duration)


class _Callback(msgspec.Struct, frozen=True, eq=False):
    """A callback, distinguished by its identity from one given later under the same name."""

    callback: Callable[[], object]


class Timers:
    """Queries about timers, and callbacks for when their time is over.

    Timers are never stored. A restart loses them and their callbacks: nothing is known of what was started before
    `known_since`, and None does not mean that a cooldown is over. `known` raises instead.
    """

    known_since: int
    """When this book was opened, in UNIX ns."""

    def __init__(self, book: BookReader) -> None:
        self._book = book
        self.known_since = book.now_ns()
        self._callbacks: dict[tuple[str, str], _Callback] = {}
        self._lock = threading.Lock()

    def start(
        self,
        account: str,
        name: str,
        duration: timedelta | int,
        callback: Callable[[], object] | None = None,
    ) -> Timer:
        """Start or restart a timer now, for a duration (a timedelta or ns); raise TooManyTimers at the limit.

        `callback` is called once, without arguments, by the first `due` at or after the timer's end; not if the timer
        is canceled, or restarted by this method, which replaces or removes the callback.
        """
        event = TimerStarted(name=name, duration=duration_ns(duration))
        state: TimersState | None = self._book.state(TimersView.name, account)
        if state is not None and len(state.timers) >= TIMERS_MAX:
            now = self._book.now_ns()
            if name not in state.timers and all(now < timer.expires_at for timer in list(state.timers.values())):
                # Raised before it is folded: a view that raises is parked and no longer answers for the account.
                raise TooManyTimers(account, name)
        record = self._book.observe(_stream(account, name), event)
        with self._lock:
            if callback is None:
                self._callbacks.pop((account, name), None)
            else:
                self._callbacks[account, name] = _Callback(callback)
        return _timer(account, name, TimerStart(record.occurred_at, event.duration), record.occurred_at)

    def cancel(self, account: str, name: str) -> bool:
        """Cancel a timer and its callback; return whether there was one."""
        if self.get(account, name) is None:
            return False
        self._book.observe(_stream(account, name), TimerCanceled(name=name))
        with self._lock:
            self._callbacks.pop((account, name), None)
        return True

    def get(self, account: str, name: str, at: Times | None = None) -> Timer | None:
        """Return a timer as of an instant, by default now; None if none is known, which does not mean it is over."""
        return self._get(account, name, asked_ns(at, self._book.now_ns))

    def _get(self, account: str, name: str, at_ns: int) -> Timer | None:
        state: TimersState | None = self._book.state(TimersView.name, account)
        known = None if state is None else state.timers.get(name)
        return None if known is None else _timer(account, name, known, at_ns)

    def known(self, account: str, name: str, at: Times | None = None) -> Timer:
        """Return a timer; raise UnknownTimer if none is known: it may have been started before a restart."""
        timer = self.get(account, name, at)
        if timer is None:
            raise UnknownTimer(account, name, self.known_since)
        return timer

    def lost(self, started_at: Times) -> bool:
        """Return whether a timer that was started at an instant is lost, because this book was opened later."""
        return asked_ns(started_at, self._book.now_ns) < self.known_since

    def of(self, account: str, at: Times | None = None) -> tuple[Timer, ...]:
        """Return an account's timers as of an instant, including those whose time is over, sorted by name."""
        at_ns = asked_ns(at, self._book.now_ns)
        state: TimersState | None = self._book.state(TimersView.name, account)
        if state is None:
            check_covered(self._book, account)
        timers = {} if state is None else dict(state.timers)
        return tuple(_timer(account, name, timers[name], at_ns) for name in sorted(timers))

    def due(self, at: Times | None = None) -> tuple[Timer, ...]:
        """Call the callbacks of timers whose time is over, the earliest first, each once; return these timers.

        One that raises does not stop the others: after all were called, raises an ExceptionGroup of what failed.
        """
        at_ns = asked_ns(at, self._book.now_ns)
        ended: list[Timer] = []
        errors: list[Exception] = []
        for timer, waiting in self._expired(at_ns, errors):
            if not self._forget(timer.account, timer.name, waiting):
                continue
            ended.append(timer)
            try:
                waiting.callback()
            except Exception as error:  # noqa: BLE001 - raised below, with those of the others
                error.add_note(f"in the callback of timer {timer.name} of {timer.account}")
                errors.append(error)
        if errors:
            msg = f"{len(errors)} callbacks of timers failed"
            raise ExceptionGroup(msg, errors)
        return tuple(ended)

    def _expired(self, at_ns: int, errors: list[Exception]) -> list[tuple[Timer, _Callback]]:
        """Return the timers with a callback whose time is over; drop the callbacks of timers that no longer exist."""
        with self._lock:
            entries = list(self._callbacks.items())
        expired = []
        for (account, name), waiting in entries:
            try:
                timer = self._get(account, name, at_ns)
            except StoreError as error:
                errors.append(error)
                continue
            if timer is None:
                self._forget(account, name, waiting)
            elif timer.expired:
                expired.append((timer, waiting))
        return sorted(expired, key=_end)

    def _forget(self, account: str, name: str, waiting: _Callback) -> bool:
        """Remove a callback; return False if another thread has removed or replaced it."""
        with self._lock:
            if self._callbacks.get((account, name)) is not waiting:
                return False
            del self._callbacks[account, name]
            return True

    @override
    def __repr__(self) -> str:
        since = format_time(self.known_since)
        return f"<Timers known since {since}, {len(self._callbacks)} callbacks waiting; what began earlier is gone>"


def _stream(account: str, name: str) -> str:
    return stream_of("timer", account, name)


def _timer(account: str, name: str, started: TimerStart, at_ns: int) -> Timer:
    left = started.expires_at - at_ns
    return Timer(
        account=account,
        name=name,
        started_at=started.started_at,
        duration=started.duration,
        expires_at=started.expires_at,
        remaining=min(max(left, 0), started.duration),
        expired=left <= 0,
    )


def _end(entry: tuple[Timer, _Callback]) -> tuple[int, str, str]:
    timer = entry[0]
    return timer.expires_at, timer.account, timer.name


def _is_later(record: Record, known: TimerStart) -> bool:
    at = record.occurred_at
    return known.started_at <= at or known.started_at > record.recorded_at >= at


def _running(state: TimersState, name: str, record: Record) -> dict[str, TimerStart]:
    """Return the timers still running, to make room for one more; raise TooManyTimers if there is none."""
    now = record.occurred_at
    running = {other: timer for other, timer in state.timers.items() if now < timer.expires_at}
    if len(running) >= TIMERS_MAX:
        raise TooManyTimers(record.account, name)
    return running
