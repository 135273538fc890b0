"""To what the times of a file's executions are cut off: the second, the minute, or the day."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from eventstore.clock import NANOSECONDS
from gateways.importers.mapped import MappedReader
from projections.sessions import zone_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, tzinfo
    from typing import Any

    from gateways.importers.base import Reader

MINUTE, DAY = 60 * NANOSECONDS, 86_400 * NANOSECONDS
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Granularity:
    """What all times so far are whole: in `zone`, None where each row has its own."""

    def __init__(self, zone: tzinfo | None = UTC, times: Iterable[int] = ()) -> None:
        self.zone = zone
        self._count = 0
        self._are_minutes = True
        self._are_days = zone is not None
        for at in times:
            self.take(at)

    def take(self, at: int) -> None:
        """Take a time, UNIX ns."""
        self._count += 1
        if self._are_minutes and at % MINUTE:
            self._are_minutes = self._are_days = False
        if self._are_days and self.zone is not None:
            self._are_days = local(at, self.zone).time() == time(0)

    @property
    def unit(self) -> int:
        """The unit in ns. One time alone may be at a whole minute by chance, and at midnight hardly."""
        if self._count and self._are_days:
            return DAY
        return MINUTE if self._count > 1 and self._are_minutes else NANOSECONDS

    def cut(self, at: int) -> int:
        """Return a time as a file would state it; in days, the midnight of its date in UTC."""
        if self.unit != DAY or self.zone is None:
            return at if self.unit == NANOSECONDS else at // MINUTE * MINUTE
        return (date_of(at, self.zone) - _EPOCH.date()).days * DAY


def local(at: int, zone: tzinfo) -> datetime:
    """Return a time, UNIX ns, on the clock of a zone."""
    return (_EPOCH + timedelta(microseconds=at // 1000)).astimezone(zone)


def date_of(at: int, zone: tzinfo) -> date:
    """Return the date of a time in a zone."""
    return local(at, zone).date()


def zone_in(reader: Reader[Any]) -> tzinfo | None:
    """Return the zone of a file's times, UTC where they state their own; None where each row names one."""
    zone = reader.mapping.time.zone if isinstance(reader, MappedReader) else None
    return UTC if zone is None else None if zone.startswith("@") else zone_of(zone)
