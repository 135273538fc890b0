"""Profit and loss by trading day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventstore import InvalidEvent
from projections.analysis.days import days as days_frame
from projections.analysis.libraries import library
from projections.analysis.plot import canvas
from projections.analysis.plot.given import Rows, rows_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from projections.analysis.plot.reading import RangeOptions

COLUMNS = ("trading_day", "net")
TICKS_MAX = 7
BARS_MAX = 400
"""More days than a picture has room for as bars are drawn as lines without hatches."""


def days(
    data: object,
    account: str | None = None,
    *,
    currency: str | None = None,
    ax: Any = None,  # noqa: ANN401 - axes of matplotlib's
    **options: Unpack[RangeOptions],
) -> Any:  # noqa: ANN401 - the same
    """Draw the net result of each trading day, and return the axes.

    `data`: a store, or a frame such as `analysis.days` gives, with the columns trading_day and net and, where they are
    known, account and currency. The sessions of a day, and the accounts where none is chosen, are added up; amounts in
    different currencies never are: `currency` chooses one. `options` are those of `analysis.days`, for a store.

    A day whose net result is missing, or that of one of its sessions, is a gap that is marked as unknown.
    Raises InvalidEvent for rows in several currencies, and for a column of another kind.
    """
    rows = rows_of(data, lambda store: days_frame(store, account=account, **options), options, COLUMNS)
    rows = rows.only("account", account)
    rows, currency = rows.one("currency", currency, "currencies")
    drawn = canvas.axes(ax)
    canvas.plain(drawn)
    canvas.label(drawn, canvas.money_label("net result", currency), "trading day")
    names, sums = _by_day(rows)
    subtitle = _draw(drawn, names, sums, currency) if names else ""
    count = len(rows.values("account"))
    of = canvas.name_text(account or next(iter(rows.values("account")), "")) if count <= 1 else f"{count} accounts"
    canvas.title(drawn, f"Net result by trading day of {of}" if of else "Net result by trading day", subtitle)
    if not names:
        canvas.empty(drawn, "no trading days in this range")
    return drawn


def _by_day(rows: Rows) -> tuple[list[str], Any]:
    """Return the trading days in order, and the sum of each; NaN where one of its rows has none."""
    np = library("numpy")
    texts = rows.texts("trading_day")
    if any(text is None for text in texts):
        msg = "some rows have no trading_day: a day's result needs one"
        raise InvalidEvent(msg)
    names, places = np.unique(np.array(texts, dtype=object).astype(str), return_inverse=True)
    return names.tolist(), np.bincount(places, weights=rows.numbers("net"), minlength=len(names))


def _draw(ax: Any, names: list[str], sums: Any, currency: str | None) -> str:  # noqa: ANN401 - axes of matplotlib's
    np = library("numpy")
    places, unknown = np.arange(len(names)), np.isnan(sums)
    entries = []
    for text, where, style in (
        ("gain", sums >= 0, {"facecolor": canvas.BLUE, "edgecolor": canvas.BLUE}),
        ("loss", sums < 0, {"facecolor": "none", "edgecolor": canvas.VERMILLION, "hatch": "////"}),
    ):
        if not where.any():
            continue
        if len(names) > BARS_MAX:
            shade = style["edgecolor"]
            many = ax.vlines(places[where], 0, sums[where], color=shade, linewidth=0.8, rasterized=True)
            entries.append((many, text))
        else:
            width = 0.8 if len(names) > 1 else 0.3
            entries.append((ax.bar(places[where], sums[where], width=width, linewidth=0.8, **style), text))
    ax.axhline(0, color=canvas.GREY, linewidth=0.8)
    if unknown.any():
        (marks,) = ax.plot(
            places[unknown], np.zeros(unknown.sum()), linestyle="", marker="x", color=canvas.BLACK, markersize=6
        )
        entries.append((marks, f"{unknown.sum():,} UNKNOWN"))
    ax.set_xlim(-0.7, len(names) - 0.3)
    ax.xaxis.grid(visible=False)
    _ticks(ax, names)
    canvas.numbers_axis(ax.yaxis)
    canvas.legend(ax, entries)
    text = f"{(sums > 0).sum():,} of {canvas.counted(len(names), 'day')} with a gain"
    # With a day that is unknown the total is unknown too.
    return text if unknown.any() else f"{text}; together {canvas.money_text(sums.sum(), currency)}"


def _ticks(ax: Any, names: list[str]) -> None:  # noqa: ANN401 - axes of matplotlib's
    """Name as many days as can be read, at equal distances."""
    step = -(-len(names) // TICKS_MAX)
    shown = range(0, len(names), step)
    ax.set_xticks(list(shown), [canvas.name_text(names[place]) for place in shown])
    for text in ax.get_xticklabels():
        text.set_parse_math(False)
