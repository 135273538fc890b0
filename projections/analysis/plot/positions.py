"""What an account holds of each contract, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from projections.analysis.every import TRADE
from projections.analysis.libraries import library
from projections.analysis.plot import canvas, lines
from projections.analysis.plot.given import Rows, rows_of
from projections.analysis.plot.reading import account_zone
from projections.analysis.positions import positions as positions_frame

if TYPE_CHECKING:
    import datetime

    from typing_extensions import Unpack

    from projections.analysis.plot.reading import InstantsOptions

COLUMNS = ("at", "symbol", "quantity")
SYMBOLS_MAX = 12
LANE = 0.42
"""The height of the largest quantity, as a part of the lane of its symbol."""


def positions(
    data: object,
    account: str | None = None,
    *,
    symbol: str | None = None,
    zone: str | datetime.tzinfo | None = None,
    ax: Any = None,  # noqa: ANN401 - axes of matplotlib's
    **options: Unpack[InstantsOptions],
) -> Any:  # noqa: ANN401 - the same
    """Draw the quantity that an account holds of each symbol, and return the axes.

    `data`: a store, or a frame such as `analysis.positions` gives, with the columns at, symbol and quantity (negative
    when short) and, where they are known, account, side and status. `symbol` chooses one. `options` are those of
    `analysis.positions`, for a store; `every` is each trade by default. The times are in `zone`, else in the account's
    zone where a store records it, else in UTC.

    Each symbol has a lane: long is filled above its middle, short is hatched below it. A quantity holds until the next
    row. Where a position is UNKNOWN there is a gap.
    Raises InvalidEvent for rows of several accounts, and for a column of another kind.
    """
    asked: InstantsOptions = {"every": TRADE, **options}
    read = rows_of(data, lambda store: positions_frame(store, account=account, **asked), options, COLUMNS)
    rows, account = read.one("account", account, "accounts")
    rows = rows.only("symbol", symbol).in_order("at")
    where = canvas.zone_of(zone if zone is not None else account_zone(data, account))
    drawn = canvas.axes(ax)
    canvas.plain(drawn)
    canvas.label(drawn, "quantity", canvas.time_label(where))
    drawn.grid(visible=False)
    subtitle = _draw(drawn, rows, where) if len(rows) else ""
    canvas.title(drawn, f"Positions of {canvas.name_text(account)}" if account else "Positions", subtitle)
    if not len(rows):
        canvas.empty(drawn, "no positions in this range")
    return drawn


def _draw(ax: Any, rows: Rows, zone: datetime.tzinfo) -> str:  # noqa: ANN401 - axes of matplotlib's
    np = library("numpy")
    times = canvas.day_numbers(rows.instants("at"))
    canvas.time_axis(ax, zone, times[0], times[-1])
    held = _held(rows)
    shown = sorted(held, key=lambda each: -each[2])[:SYMBOLS_MAX]
    most = max([largest for _, _, largest in shown], default=0.0) or 1.0
    areas: dict[str, Any] = {}
    judged = []
    for lane, (_, of_one, _) in enumerate(shown):
        at, quantity = canvas.day_numbers(of_one.instants("at")), of_one.numbers("quantity")
        judged.append((at, lines.certainty(of_one, quantity)))
        known = np.where(judged[-1][1][lines.KNOWN], quantity, np.nan)
        areas |= _lane(ax, at, known * (LANE / most), -lane)
    ax.set_yticks([-lane for lane in range(len(shown))], [canvas.name_text(name) for name, _, _ in shown])
    for text in ax.get_yticklabels():
        text.set_parse_math(False)
    ax.set_ylim(-len(shown) + 0.4, 0.6)
    canvas.legend(ax, [*((area, side) for side, area in areas.items()), *lines.uncertain_strip(ax, judged)])
    scale = f"largest quantity {canvas.figure_text(most)}" if areas else "nothing held"
    return f"{scale}; the {SYMBOLS_MAX} largest of {len(held)}" if len(held) > SYMBOLS_MAX else scale


def _lane(ax: Any, times: Any, heights: Any, middle: float) -> dict[str, Any]:  # noqa: ANN401 - arrays of numpy's
    """Draw what is held of one symbol, long above the middle of its lane and short below; return the areas by side."""
    np = library("numpy")
    chosen = lines.thinned(times, heights, np.isnan(heights).astype("int8"))
    at, height = np.repeat(times[chosen], 2)[1:], np.repeat(heights[chosen], 2)[:-1]
    ax.axhline(middle, color=canvas.GREY, linewidth=0.8)
    styles = {
        "long": {"facecolor": canvas.BLUE, "edgecolor": canvas.BLUE},
        "short": {"facecolor": "none", "edgecolor": canvas.VERMILLION, "hatch": "/////"},
    }
    areas = {}
    for side, style in styles.items():
        with_side = height > 0 if side == "long" else height < 0
        if with_side.any():
            level = middle + np.where(with_side, height, 0.0)
            areas[side] = ax.fill_between(at, middle, level, where=~np.isnan(height), linewidth=0.5, **style)
    return areas


def _held(rows: Rows) -> list[tuple[str, Rows, float]]:
    """Return the name, the rows and the largest quantity of each symbol; of each side where an account holds both."""
    np = library("numpy")
    found = []
    for name, of_one in rows.by("symbol"):
        sides = of_one.by("side")
        found += [(f"{name} {side}", of_side) for side, of_side in sides] if len(sides) > 1 else [(name, of_one)]
    return [(name, each, float(np.nanmax(np.abs(each.numbers("quantity")), initial=0))) for name, each in found]
