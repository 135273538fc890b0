"""What time it is by an account's log: where a wall clock that ran ahead was put right, and what that proves wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from eventstore import Instant
from eventstore.clock import GIVEN_MIN

if TYPE_CHECKING:
    from eventstore import Record
    from eventstore.trading import ClockJumped

AHEAD_MAX = 100
MARKS_MAX = 1_000


class WrongTime(msgspec.Struct, frozen=True):
    """What was recorded under a time that later proved wrong, and does not count; `stated` is that time in UNIX ns.

    `put_right_to` is what the clock was set to, `log_position` that of the record of it. `positions` are the log
    positions of what does not count.
    """

    what: str
    stated: Instant
    put_right_to: Instant
    positions: tuple[int, ...]
    log_position: int


class LogClock(msgspec.Struct, frozen=True):
    """The time that an account's records show.

    A log's `recorded_at` strictly increases: after a clock that ran ahead is put right, it increases by a nanosecond a
    record until the clock has caught up, and says nothing. `reached` is the latest time that a record shows and nothing
    proved wrong; `put_right_to`, `recorded_at` and `log_position` are of the newest record of a clock that was set
    back, `ahead` the log positions and times of the jumps ahead since, which nothing proved wrong.
    """

    reached: Instant = 0
    put_right_to: Instant = 0
    recorded_at: Instant = 0
    log_position: int = 0
    ahead: tuple[tuple[int, int], ...] = ()

    def explains(self, recorded_at: int, log_position: int) -> bool:
        """Return whether a record's time only follows from those before the clock was put right."""
        since = log_position - self.log_position
        return bool(self.log_position) and recorded_at <= self.recorded_at + max(since, 0)

    def time_of(self, record: Record) -> int:
        """Return when a record was taken; after a clock was put right, the latest time that is certain."""
        return self.reached if self.explains(record.recorded_at, record.position) else record.recorded_at

    def advanced(self, record: Record, shown: int = 0) -> LogClock:
        """Return the clock after a record; `shown` is a time that it shows, though the log's own says nothing."""
        now = max(self.time_of(record), min(shown, record.occurred_at, record.recorded_at))
        return self if now <= self.reached else replace(self, reached=now)

    def not_before(self, log_position: int) -> int:
        """Return the time after the last that the clock was set ahead to since a record: it may have been behind."""
        return max((after + 1 for position, after in self.ahead if position > log_position), default=0)

    def jumped(self, event: ClockJumped, record: Record) -> LogClock:
        """Return the clock after a jump; one set back shows that every later time was wrong."""
        if not is_set_back(event) and event.after < event.before:
            return self
        if event.after >= event.before:
            return replace(self, ahead=(*self.ahead[1 - AHEAD_MAX :], (record.position, event.after)))
        return LogClock(
            reached=event.after,
            put_right_to=event.after,
            recorded_at=record.recorded_at,
            log_position=record.position,
            ahead=tuple(each for each in self.ahead if each[1] <= event.after),
        )


def is_set_back(event: ClockJumped) -> bool:
    """Return whether a clock was set back: what was recorded under a later time has not come yet.

    One that shows a time before 1990, as a machine without a battery does, proves nothing.
    """
    return GIVEN_MIN <= event.after < event.before
