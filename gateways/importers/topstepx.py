"""What TopstepX's two exports share: the format of times and trading days."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from eventstore.clock import parse_time
from eventstore.errors import InvalidEvent
from gateways.importers.texts import CellError

# 07/21/2025 17:59:00 +04:00, month first, with any offset.
_TIME = re.compile(
    r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4}) (?P<hour>\d{1,2})(?P<minutes>:\d{2}:\d{2}(?:\.\d{1,9})?)"
    r" ?(?P<zone>[+-]\d{2}):?(?P<offset>\d{2})",
    re.ASCII,
)
_DAY = re.compile(r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})(?: 0?0:00:00(?:\.0+)?(?: .*)?)?", re.ASCII)
# Halfway between Chicago's two offsets, so that its midnight in either is at most half an hour off.
_CHICAGO = timedelta(hours=-5, minutes=-30)


def to_time(text: str) -> int:
    """Return a time of the export as UNIX ns; raise CellError for another format, or a time without an offset."""
    found = _TIME.fullmatch(text)
    if found is None:
        msg = "is not a time like 07/21/2025 17:59:00 +04:00"
        raise CellError(msg)
    part = found.groupdict()
    day = f"{part['year']}-{part['month']:0>2}-{part['day']:0>2}"
    try:
        return parse_time(f"{day}T{part['hour']:0>2}{part['minutes']}{part['zone']}:{part['offset']}")
    except InvalidEvent as e:
        msg = "is not a valid time from 1970 to 2199, month first"
        raise CellError(msg) from e


def to_trading_day(text: str) -> date:
    """Return a trading day: the date as written at midnight, else the day whose midnight in Chicago is nearest.

    An export writes a day as its midnight in Chicago, in the offset of its times, for example 05:00 +00:00.
    """
    found = _DAY.fullmatch(text)
    if found is None:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=to_time(text) // 1000)
        return (moment + _CHICAGO + timedelta(hours=12)).date()
    try:
        return date(int(found["year"]), int(found["month"]), int(found["day"]))
    except ValueError as e:
        msg = "is not a valid date, month first"
        raise CellError(msg) from e
