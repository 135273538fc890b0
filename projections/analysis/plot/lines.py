"""Lines over time that say how certain they are, thinned to what a picture can show, and the bands behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from projections.analysis.libraries import library
from projections.analysis.plot import canvas

if TYPE_CHECKING:
    from collections.abc import Iterable

    from projections.analysis.plot.given import Rows

KNOWN, STALE, UNKNOWN = "KNOWN", "STALE", "UNKNOWN"
INTERVALS = 1_200
"""A picture has fewer columns of points: of each interval the first, last, lowest and highest value are drawn."""
POINTS_MAX = 4 * INTERVALS
STRIP = 0.022
"""The height of the strip below a line that shows where it is not certain, as a part of the axes."""


def certainty(rows: Rows, values: Any) -> dict[str, Any]:  # noqa: ANN401 - arrays of numpy's
    """Return where values are KNOWN, STALE or UNKNOWN: a missing value is UNKNOWN, and so is a status of no such name.

    A frame without a column `status` says nothing against its values.
    """
    np = library("numpy")
    has_value = ~np.isnan(values)
    stale = rows.is_text("status", STALE) & has_value
    known = (rows.is_text("status", KNOWN) if "status" in rows.names else has_value) & has_value
    return {KNOWN: known, STALE: stale, UNKNOWN: ~known & ~stale}


def step_line(ax: Any, times: Any, values: Any, states: dict[str, Any], **style: Any) -> Any:  # noqa: ANN401
    """Draw values that each hold until the next, dotted where they are STALE and not at all where UNKNOWN.

    Returns the solid line, for a legend. Times are matplotlib's day numbers, in order.
    """
    np = library("numpy")
    code = np.where(states[KNOWN], 1, np.where(states[STALE], 2, 0))
    drawn = np.where(code == 0, np.nan, values)
    chosen = thinned(times, drawn, code)
    at, held, kinds = np.repeat(times[chosen], 2)[1:], np.repeat(drawn[chosen], 2)[:-1], np.repeat(code[chosen], 2)[:-1]
    (solid,) = ax.plot(at, np.where(kinds == 1, held, np.nan), solid_joinstyle="round", **style)
    if (code == 2).any():  # noqa: PLR2004 - the code of STALE
        ax.plot(at, np.where(kinds == 2, held, np.nan), **{**style, "linestyle": (0, (1, 1.6))})  # noqa: PLR2004
    # What is valued last has no later row to hold until.
    if len(code) and code[-1]:
        filled = style["color"] if code[-1] == 1 else "none"
        ax.plot(
            times[-1:], values[-1:], marker="o", markersize=4, color=style["color"], markerfacecolor=filled, zorder=3
        )
    return solid


def thinned(times: Any, values: Any, code: Any) -> Any:  # noqa: ANN401 - arrays of numpy's
    """Return the indices of the points to draw: all, or of each interval those that decide how it looks.

    They are the first, last, lowest and highest value, and the first of each kind of certainty.
    """
    np = library("numpy")
    if len(times) <= POINTS_MAX:
        return np.arange(len(times))
    interval = _intervals(times)
    first = np.flatnonzero(np.diff(interval, prepend=-1))
    chosen = [first, np.append(first[1:], len(times)) - 1]
    by_value = np.lexsort((values, interval))
    by_value = by_value[~np.isnan(values[by_value])]
    edges = np.flatnonzero(np.diff(interval[by_value], prepend=-1))
    chosen += [by_value[edges], by_value[np.append(edges[1:], len(by_value)) - 1]] if len(by_value) else []
    chosen.append(np.unique(interval * 4 + code, return_index=True)[1])
    return np.unique(np.concatenate(chosen))


def _intervals(times: Any) -> Any:  # noqa: ANN401 - arrays of numpy's
    np = library("numpy")
    span = times[-1] - times[0]
    if not span:
        return np.zeros(len(times), dtype="int64")
    return np.minimum(((times - times[0]) * (INTERVALS / span)).astype("int64"), INTERVALS - 1)


def runs(times: Any, where: Any) -> list[tuple[float, float]]:  # noqa: ANN401 - arrays of numpy's
    """Return the stretches in which something holds, each until the next row, as their first and last times."""
    np = library("numpy")
    edges = np.flatnonzero(np.diff(where.astype("int8"), prepend=0, append=0))
    ends = np.append(times[1:], times[-1:])
    return list(zip(times[edges[::2]].tolist(), ends[edges[1::2] - 1].tolist(), strict=True))


def joined(stretches: Iterable[tuple[float, float]], least: float) -> list[tuple[float, float]]:
    """Return stretches as starts and widths; those closer than `least` are joined, and widened to twice that."""
    found: list[list[float]] = []
    for start, end in sorted(stretches):
        if found and start - found[-1][1] < least:
            found[-1][1] = max(found[-1][1], end)
        else:
            found.append([start, end])
    return [(start, max(end - start, 2 * least)) for start, end in found]


def uncertain_strip(ax: Any, judged: list[tuple[Any, dict[str, Any]]]) -> list[tuple[Any, str]]:  # noqa: ANN401
    """Mark where a figure is STALE or UNKNOWN in a strip at the bottom of the axes; return entries for the legend.

    `judged`: the times of each line, and what `certainty` says of them.
    """
    left, right = ax.get_xlim()
    styles = {
        STALE: ("STALE: priced, but not certain", {"facecolor": "none", "edgecolor": canvas.GREY, "hatch": "/////"}),
        UNKNOWN: ("UNKNOWN: no figure", {"facecolor": canvas.BLACK, "edgecolor": canvas.BLACK}),
    }
    entries = []
    for status, (text, style) in styles.items():
        stretches = [stretch for times, states in judged for stretch in runs(times, states[status])]
        if stretches:
            found = joined(stretches, (right - left) / INTERVALS)
            bars = ax.broken_barh(found, (0, STRIP), transform=ax.get_xaxis_transform(), linewidth=0, zorder=4, **style)
            entries.append((bars, text))
    return entries


def bands(ax: Any, spans: Iterable[tuple[float, float]]) -> Any:  # noqa: ANN401 - axes of matplotlib's
    """Draw hatched bands over the whole height, each from a time to another, within the axes' limits; None without."""
    left, right = ax.get_xlim()
    least = (right - left) / INTERVALS
    within = [(max(start, left), min(end, right)) for start, end in spans if end >= left and start <= right]
    if not within:
        return None
    return ax.broken_barh(
        joined(within, least),
        (0, 1),
        transform=ax.get_xaxis_transform(),
        facecolor=canvas.BAND,
        edgecolor=canvas.GREY,
        alpha=0.35,
        hatch="\\\\",
        linewidth=0,
        zorder=0.5,
    )
