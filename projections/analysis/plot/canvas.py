"""The axes of all plots: colours, time in a zone, money, notes, and a picture of themselves for a notebook."""

from __future__ import annotations

import datetime
import functools
import io
import unicodedata
import zoneinfo
from typing import TYPE_CHECKING, Any

from eventstore import InvalidEvent
from eventstore.errors import shown
from projections.analysis.libraries import library

if TYPE_CHECKING:
    from collections.abc import Iterable

BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE, BLACK, GREY = "#56B4E9", "#CC79A7", "#000000", "#767676"
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
"""Okabe and Ito's, for every kind of colour vision. Shapes and hatches say the same without any colour."""
LINE_STYLES = ("-", (0, (7, 2)), (0, (7, 2, 1.5, 2)), (0, (3, 1.5)), (0, (7, 1.5, 1.5, 1.5, 1.5, 1.5)), (0, (12, 3)))
"""So that lines differ without colour; none is dotted, which says STALE."""
BAND = "#BBBBBB"
SIZE_INCHES = (9.0, 4.5)
DPI, SCALE = 100, 2
TEXT_POINTS, NOTE_POINTS = 9.0, 8.0
LEGEND_COLUMNS = 4
MARGIN = 0.02
NAME_MAX = 60
_LEGEND_BELOW_POINTS, _SUBTITLE_PAD_POINTS = 36, 20
_SECOND_DAYS = 1 / 86_400


def axes(given: Any) -> Any:  # noqa: ANN401 - axes of matplotlib's
    """Return the axes given, or new ones of a figure that pyplot does not know, so that none has to be closed."""
    if given is not None:
        if not hasattr(given, "get_xaxis_transform"):
            msg = f"ax has to be matplotlib's axes, not {shown(given)}"
            raise InvalidEvent(msg)
        return given
    figure = library("matplotlib.figure").Figure(figsize=SIZE_INCHES, dpi=DPI, layout="constrained")
    library("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    return figure.add_subplot(axes_class=_axes_class())


@functools.cache
def _axes_class() -> Any:  # noqa: ANN401 - a class of matplotlib's
    """Return a class of axes that a notebook shows as a picture where they are the value of a cell."""

    def png(self: Any) -> tuple[bytes, dict[str, int]]:  # noqa: ANN401 - axes of matplotlib's
        picture = io.BytesIO()
        self.figure.savefig(picture, format="png", dpi=DPI * SCALE)
        width, height = (round(inches * DPI) for inches in self.figure.get_size_inches())
        return picture.getvalue(), {"width": width, "height": height}

    return type("PlotAxes", (library("matplotlib.axes").Axes,), {"_repr_png_": png, "__module__": __name__})


def title(ax: Any, text: str, subtitle: str = "") -> None:  # noqa: ANN401 - axes of matplotlib's
    """Write a title, and a line below it, at the left."""
    pad = _SUBTITLE_PAD_POINTS if subtitle else 6
    ax.set_title(text, loc="left", fontsize=TEXT_POINTS + 2, fontweight="bold", pad=pad, parse_math=False)
    if subtitle:
        ax.annotate(
            subtitle,
            (0, 1),
            xytext=(0, 6),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=NOTE_POINTS,
            color=GREY,
            parse_math=False,
        )


def empty(ax: Any, text: str) -> None:  # noqa: ANN401 - the same
    """Say in the middle of axes why nothing is drawn."""
    ax.text(
        0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", fontsize=TEXT_POINTS, color=GREY,
        parse_math=False,
    )  # fmt: skip
    ax.set_xticks([])
    ax.set_yticks([])


def plain(ax: Any) -> None:  # noqa: ANN401 - the same
    """Leave only what is read: two spines, and light lines at the ticks of the figures."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GREY)
    ax.tick_params(labelsize=TEXT_POINTS, color=GREY)
    ax.grid(visible=True, axis="y", color=GREY, alpha=0.3, linewidth=0.6)
    ax.set_axisbelow(True)


def label(ax: Any, y: str, x: str) -> None:  # noqa: ANN401 - the same
    """Name what the axes measure, with units."""
    ax.set_ylabel(y, fontsize=TEXT_POINTS, parse_math=False)
    ax.set_xlabel(x, fontsize=TEXT_POINTS, parse_math=False)


def legend(ax: Any, entries: Iterable[tuple[Any, str]]) -> None:  # noqa: ANN401 - the same
    """Explain lines and areas below the axes, where nothing is covered."""
    named = list(entries)
    if not named:
        return
    transforms = library("matplotlib.transforms")
    below = transforms.ScaledTranslation(0, -_LEGEND_BELOW_POINTS / 72, ax.figure.dpi_scale_trans)
    made = ax.legend(
        [handle for handle, _ in named],
        # Matplotlib leaves out names that begin with an underscore.
        [text.replace("_", "\u2009_", 1) if text.startswith("_") else text for _, text in named],
        loc="upper left",
        bbox_to_anchor=(0, 0),
        bbox_transform=ax.transAxes + below,
        ncols=min(len(named), LEGEND_COLUMNS),
        frameon=False,
        fontsize=NOTE_POINTS,
        borderpad=0,
        handlelength=2.4,
    )
    for text in made.get_texts():
        text.set_parse_math(False)


def numbers_axis(axis: Any) -> None:  # noqa: ANN401 - an axis of matplotlib's
    """Write figures with thousands separated, never with an offset or a power of ten."""
    axis.set_major_formatter(library("matplotlib.ticker").FuncFormatter(lambda value, _: figure_text(value)))


def figure_text(value: float) -> str:
    """Return a figure for a tick or a note."""
    return f"{value + 0.0:,.10g}".replace("-", "−")


def counted(number: int, noun: str) -> str:
    """Return a number of things."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def money_text(value: float, currency: str | None) -> str:
    """Return an amount with its currency, rounded to hundredths."""
    return f"{value + 0.0:,.2f} {currency or ''}".rstrip().replace("-", "−")


def money_label(what: str, currency: str | None) -> str:
    """Return the name of an axis of money."""
    return f"{what}, {name_text(currency)}" if currency else f"{what}, currency not stated"


def name_text(text: str | None) -> str:
    """Return a name from data for a picture: control signs by their numbers, and no more than fits."""
    signs = [f"\\u{ord(sign):04x}" if unicodedata.category(sign) in {"Cc", "Cf", "Cs"} else sign for sign in text or ""]
    whole = "".join(signs)
    return whole if len(whole) <= NAME_MAX else f"{whole[: NAME_MAX - 1]}…"


def zone_of(given: object) -> datetime.tzinfo:
    """Return a time zone, given by name or as such; UTC for None."""
    if given is None:
        return datetime.UTC
    if isinstance(given, datetime.tzinfo):
        return given
    try:
        return zoneinfo.ZoneInfo(given)  # type: ignore[arg-type] # anything but a name is refused below
    except (zoneinfo.ZoneInfoNotFoundError, TypeError, ValueError, OSError) as e:
        msg = f"unknown time zone {shown(given)}: give one such as 'America/Chicago'"
        raise InvalidEvent(msg) from e


def day_numbers(instants: Any) -> Any:  # noqa: ANN401 - arrays of numpy's
    """Return UNIX ns as matplotlib counts days."""
    np = library("numpy")
    return library("matplotlib.dates").date2num(np.asarray(instants, dtype="int64").astype("datetime64[ns]"))


def time_axis(ax: Any, zone: datetime.tzinfo, first: float, last: float) -> None:  # noqa: ANN401 - axes of matplotlib's
    """Let the time axis span an interval, and say its zone; one instant alone gets a minute on both sides."""
    dates = library("matplotlib.dates")
    margin = (last - first) * MARGIN or 60 * _SECOND_DAYS
    ax.set_xlim(first - margin, last + margin)
    locator = dates.AutoDateLocator(tz=zone, minticks=4, maxticks=9)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=zone))
    ax.xaxis.get_offset_text().set_fontsize(NOTE_POINTS)


def time_label(zone: datetime.tzinfo) -> str:
    """Return the name of a time axis."""
    return f"time, {zone}"


def instant_text(instant: int, zone: datetime.tzinfo) -> str:
    """Return an instant, in UNIX ns, to the second."""
    return f"{datetime.datetime.fromtimestamp(instant // 1_000_000_000, zone):%Y-%m-%d %H:%M:%S}"
