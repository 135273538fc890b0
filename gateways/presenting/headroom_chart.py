"""What was left of a limit over a day, as a picture within a page: no file, no script, in the page's own colours."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from projections.html_page import escaped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    from gateways.presenting.presenter import Presenter

WIDTH, HEIGHT = 960, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 86, 24, 14, 22
_HOUR = 3_600_000_000_000
_TICKS_MAX = 12


class ChartPoint(NamedTuple):
    """What was left at an instant; None where it was not known."""

    at: int
    left: Decimal | None


def headroom_chart(
    points: Sequence[ChartPoint], locked_at: Sequence[int], shown: Presenter, *, title: str, unit: str
) -> str:
    """Return the picture: a step line of what was left, the limit at zero, and an upright line at each lockout.

    Where it was not known, the line is interrupted. Empty without two instants, or where nothing is known.
    """
    known = [float(each.left) for each in points if each.left is not None]
    if not known or points[0].at == points[-1].at:
        return ""
    frame = _Frame(points[0].at, points[-1].at, min(*known, 0.0), max(*known, 0.0))
    lines = "".join(
        f'<path d="{path}" fill="none" stroke="var(--blue)" stroke-width="1.5"/>' for path in _paths(points, frame)
    )
    marks = "".join(_lockout_line(frame, at, shown) for at in locked_at if frame.begins <= at <= frame.ends)
    return (
        f'<svg class="chart" role="img" aria-label="{escaped(title)}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-size="11" fill="currentColor">{"".join(_axes(frame, shown, unit))}{lines}{marks}</svg>'
    )


class _Frame(NamedTuple):
    """The time and the amounts that a picture is of."""

    begins: int
    ends: int
    low: float
    high: float

    def x(self, at: int) -> float:
        return _LEFT + (at - self.begins) / (self.ends - self.begins) * (WIDTH - _LEFT - _RIGHT)

    def y(self, left: float) -> float:
        span = (self.high - self.low) or 1.0
        return _TOP + (self.high - left) / span * (HEIGHT - _TOP - _BOTTOM)


def _paths(points: Sequence[ChartPoint], frame: _Frame) -> Iterator[str]:
    """Yield a path for each stretch of known points, up to where it is not known any more."""
    stretches = [list(each) for _, each in itertools.groupby(points, key=lambda each: each.left is not None)]
    for stretch, following in itertools.zip_longest(stretches, stretches[1:]):
        if stretch[0].left is not None:
            end = "" if following is None else f"H{round(frame.x(following[0].at))}"
            yield "".join(_steps(stretch, frame)) + end


def _steps(points: list[ChartPoint], frame: _Frame) -> Iterator[str]:
    """Yield the steps of a path; of several points on one pixel the extremes are drawn."""
    command = "M"
    for pixel, group in itertools.groupby(points, key=lambda each: round(frame.x(each.at))):
        ys = [frame.y(float(each.left or 0)) for each in group]
        if command == "L":
            yield f"H{pixel}"
        for y in dict.fromkeys([ys[0], min(ys), max(ys), ys[-1]]):
            yield f"{command}{pixel} {y:.1f}"
            command = "L"


def _axes(frame: _Frame, shown: Presenter, unit: str) -> Iterator[str]:
    zero = frame.y(0.0)
    yield f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{zero:.1f}" y2="{zero:.1f}" stroke="var(--red)"/>'
    levels = {frame.high: f"{frame.high:,.0f} {unit}", frame.low: f"{frame.low:,.0f} {unit}", 0.0: "limit"}
    for level, text in levels.items():
        near_zero = level and abs(frame.y(level) - zero) < 12  # noqa: PLR2004 - the height of a text
        if not near_zero:
            yield f'<text x="{_LEFT - 6}" y="{frame.y(level) + 4:.1f}" text-anchor="end">{escaped(text.strip())}</text>'
    for at in _hours(frame):
        x = frame.x(at)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}" stroke="var(--line)"/>'
        yield f'<text x="{x:.1f}" y="{HEIGHT - 7}" text-anchor="middle">{_clock(shown, at)}</text>'


def _hours(frame: _Frame) -> list[int]:
    """Return whole hours in the picture, at most twelve."""
    first = -(-frame.begins // _HOUR) * _HOUR
    hours = list(range(first, frame.ends + 1, _HOUR))
    return hours[:: max(-(-len(hours) // _TICKS_MAX), 1)]


def _clock(shown: Presenter, at: int) -> str:
    return escaped(shown.time(at)[11:16])


def _lockout_line(frame: _Frame, at: int, shown: Presenter) -> str:
    x = frame.x(at)
    anchor = "end" if x > WIDTH * 0.8 else "start"
    text = x + (-5 if anchor == "end" else 5)
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}" stroke="var(--red)" '
        f'stroke-dasharray="4 3"/><text x="{text:.1f}" y="{_TOP + 10}" text-anchor="{anchor}" '
        f'fill="var(--red)">locked {_clock(shown, at)}</text>'
    )
