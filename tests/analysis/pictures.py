"""What a plot shows: its picture, its texts, and where lines and bars lie."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tests.analysis.made import OPENS_AT

CHICAGO = "America/Chicago"
OPEN_DAY: float = date2num(np.datetime64(OPENS_AT, "ns"))  # type: ignore[no-untyped-call]


def png(ax: Axes) -> bytes:
    assert isinstance(ax.figure, Figure)
    picture = io.BytesIO()
    ax.figure.savefig(picture, format="png")
    return picture.getvalue()


def texts(ax: Axes) -> str:
    """All that is written on axes."""
    parts = [ax.get_title(loc="left"), ax.get_xlabel(), ax.get_ylabel(), *(text.get_text() for text in ax.texts)]
    legend = ax.get_legend()
    return "\n".join(parts + ([] if legend is None else [text.get_text() for text in legend.get_texts()]))


def drawn_minutes(line: Line2D) -> list[tuple[float, float]]:
    """Return the stretches of a line that are drawn, in minutes after the open."""
    times, values = np.asarray(line.get_xdata(orig=False), dtype=float), np.asarray(line.get_ydata(), dtype=float)
    minutes = (times - OPEN_DAY) * 1440
    found: list[list[float]] = []
    for minute, value in zip(minutes, values, strict=True):
        if np.isnan(value):
            found.append([])
        elif found and found[-1]:
            found[-1].append(minute)
        else:
            found.append([minute])
    return [(round(part[0], 3), round(part[-1], 3)) for part in found if len(part) > 1]


def bars(ax: Axes, named: str) -> list[tuple[float, float]]:
    """Return where the bars with a name in the legend lie, in minutes after the open."""
    legend = ax.get_legend()
    assert legend is not None
    assert any(text.get_text().startswith(named) for text in legend.get_texts())
    for shown in ax.collections:
        faces = np.atleast_2d(shown.get_facecolor()).tolist()
        plain = "UNKNOWN" if faces and faces[0][:3] == [0, 0, 0] else ""
        kind = {"/////": "STALE", "\\\\": "locked out"}.get(shown.get_hatch() or "", plain)
        if kind == named:
            across = [np.asarray(path.vertices, dtype=float)[:, 0] for path in shown.get_paths()]
            ends = [((each.min() - OPEN_DAY) * 1440, (each.max() - OPEN_DAY) * 1440) for each in across]
            return [(round(float(low), 3), round(float(high), 3)) for low, high in ends]
    return []
