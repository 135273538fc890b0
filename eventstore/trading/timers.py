"""Timers and cooldowns, never stored: stream `timer/ACCOUNT/NAME`."""

from eventstore.events import VOLATILE, Duration, Event, event


@event(categories=("timer",), durability=VOLATILE)
class TimerStarted(Event, frozen=True, kw_only=True):
    """A timer runs for `duration` (ns, or a timedelta) from `occurred_at` on; started again, it restarts."""

    name: str
    duration: Duration


@event(categories=("timer",), durability=VOLATILE)
class TimerCanceled(Event, frozen=True, kw_only=True):
    """A timer was ended before its time."""

    name: str
