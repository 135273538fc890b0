"""The trading day that a row states, as a date, or as its midnight in Chicago."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from gateways.importers.texts import CellError

if TYPE_CHECKING:
    from collections.abc import Callable

_ISO = re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})", re.ASCII)
_DAY = re.compile(
    r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4}|\d{2})(?: 0?0:00:00(?:\.0+)?(?: .*)?)?", re.ASCII
)  # fmt: skip
# Halfway between Chicago's two offsets, so that its midnight in either is at most half an hour off.
_CHICAGO = timedelta(hours=-5, minutes=-30)
_CENTURY, _SHORT = 2000, 2


def to_trading_day(text: str, to_time: Callable[[str], int]) -> date:
    """Return a trading day: the date as written at midnight, else the day whose midnight in Chicago is nearest.

    TopstepX writes a day as its midnight in Chicago, in the offset of its times, for example 05:00 +00:00. `to_time`
    reads such a time.
    """
    found = _ISO.fullmatch(text) or _DAY.fullmatch(text)
    if found is None:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=to_time(text) // 1000)
        return (moment + _CHICAGO + timedelta(hours=12)).date()
    year = int(found["year"])
    try:
        return date(year + _CENTURY if len(found["year"]) == _SHORT else year, int(found["month"]), int(found["day"]))
    except ValueError as e:
        msg = "is not a valid date, month first"
        raise CellError(msg) from e
