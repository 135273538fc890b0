"""Times on a page about one day: the zone's offset is said once, and repeated only where it is another one."""

from __future__ import annotations

from typing_extensions import override

from gateways.presenting.presenter import Presenter

_OFFSET = len("+00:00")


class DayTimes(Presenter, frozen=True):
    """A presenter whose times are `2026-11-18 09:30:00.000`, with their offset where it is not the day's."""

    offset: str = ""

    @classmethod
    def of(cls, shown: Presenter, at: int) -> DayTimes:
        """Return the presenter of the day that an instant lies in."""
        return cls(zone=shown.zone, stated=shown.stated, exact=shown.exact, offset=_offset(Presenter.time(shown, at)))

    @override
    def time(self, instant: int | None) -> str:
        text = super().time(instant)
        return text.removesuffix(self.offset).replace("T", " ", 1) if self.offset else text


def _offset(text: str) -> str:
    """Return the offset at the end of a time in ISO 8601, `-06:00` or `Z`."""
    return "Z" if text.endswith("Z") else text[-_OFFSET:]
