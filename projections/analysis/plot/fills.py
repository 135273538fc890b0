"""Fills over the price of a contract: what was bought and sold, when and at which price."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from projections.analysis.fills import fills as fills_frame
from projections.analysis.libraries import library
from projections.analysis.plot import canvas, lines
from projections.analysis.plot.given import Rows, rows_in, rows_of
from projections.analysis.plot.reading import account_zone

if TYPE_CHECKING:
    import datetime

    from typing_extensions import Unpack

    from projections.analysis.plot.reading import RangeOptions

COLUMNS = ("occurred_at", "symbol", "side", "price")
BUY, SELL = "BUY", "SELL"
CELLS_WIDE, CELLS_HIGH = 3_000, 1_500
"""Of dots that a picture shows at the same place one is drawn: a cell is a third of a pixel."""
MARKERS_MAX = 5_000
"""More fills than this are dots, drawn as pixels also in a file of vectors."""
NAMES = {BUY: "buy", SELL: "sale"}
AREA_MIN, AREA_MAX = 14.0, 90.0


def fills(
    data: object,
    account: str | None = None,
    *,
    symbol: str | None = None,
    currency: str | None = None,
    prices: object = None,
    zone: str | datetime.tzinfo | None = None,
    ax: Any = None,  # noqa: ANN401 - axes of matplotlib's
    **options: Unpack[RangeOptions],
) -> Any:  # noqa: ANN401 - the same
    """Draw the fills of one symbol over its price, and return the axes.

    `data`: a store, or a frame such as `analysis.fills` gives, with the columns occurred_at, symbol, side and price
    and, where they are known, account, quantity, currency and anomalies. `prices`: a frame with the columns at and
    price, of this symbol where it has a column symbol; without it the line joins the prices of the fills. `options` are
    those of `analysis.fills`, for a store. The times are in `zone`, else in the account's zone where a store records
    it, else in UTC.

    The area of a marker stands for the quantity. Fills with anomalies are ringed; those without a price are counted.
    `currency` chooses one of those that the contract has had. Raises InvalidEvent for rows of several symbols or in
    several currencies, and for a column of another kind.
    """
    rows = rows_of(data, lambda store: fills_frame(store, account=account, symbol=symbol, **options), options, COLUMNS)
    rows = rows.only("account", account)
    rows, symbol = rows.one("symbol", symbol, "symbols")
    rows, currency = rows.one("currency", currency, "currencies")
    where = canvas.zone_of(zone if zone is not None else account_zone(data, account))
    drawn = canvas.axes(ax)
    canvas.plain(drawn)
    canvas.label(drawn, canvas.money_label("price", currency), canvas.time_label(where))
    rows = rows.in_order("occurred_at")
    subtitle = _draw(drawn, rows, prices, symbol, where) if len(rows) else ""
    of = f" of {canvas.name_text(account)}" if account else ""
    canvas.title(drawn, f"Fills{of} in {canvas.name_text(symbol)}" if symbol else f"Fills{of}", subtitle)
    if not len(rows):
        canvas.empty(drawn, "no fills in this range")
    return drawn


def _draw(ax: Any, rows: Rows, prices: object, symbol: str | None, zone: datetime.tzinfo) -> str:  # noqa: ANN401
    np = library("numpy")
    times, price = canvas.day_numbers(rows.instants("occurred_at")), rows.numbers("price")
    line_at, line, name = _price_line(prices, symbol, times, price)
    canvas.time_axis(ax, zone, min([times[0], *line_at[:1]]), max([times[-1], *line_at[-1:]]))
    canvas.numbers_axis(ax.yaxis)
    chosen = lines.thinned(line_at, line, np.isnan(line).astype("int8"))
    (drawn,) = ax.plot(
        line_at[chosen], line[chosen], drawstyle="steps-post", color=canvas.GREY, linewidth=0.8, zorder=1.5
    )
    entries = [(drawn, name)] if len(line) > 1 else []
    area, priced = _areas(rows), ~np.isnan(price)
    sides = {side: rows.is_text("side", side) & priced for side in (BUY, SELL)}
    is_many = sum(int(where.sum()) for where in sides.values()) > MARKERS_MAX
    entries += _dots(ax, times, price, sides) if is_many else _triangles(ax, times, price, area, sides)
    entries += _rings(ax, rows, times, price, area)
    canvas.legend(ax, entries)
    missing = len(price) - int(priced.sum())
    unpriced = f"{canvas.counted(missing, 'fill')} without a price not drawn" if missing else ""
    size = "too many for shapes: choose a shorter range" if is_many else "area by quantity" if np.ptp(area) else ""
    return "; ".join(filter(None, [size, unpriced]))


def _triangles(ax: Any, times: Any, price: Any, area: Any, sides: dict[str, Any]) -> list[tuple[Any, str]]:  # noqa: ANN401
    """Draw buys as triangles that point up, sales as empty ones that point down; return entries for the legend."""
    styles = {
        BUY: {"marker": "^", "facecolor": canvas.BLUE, "edgecolor": "white", "linewidth": 0.4},
        SELL: {"marker": "v", "facecolor": "none", "edgecolor": canvas.VERMILLION, "linewidth": 0.9},
    }
    entries = []
    for side, where in sides.items():
        if where.any():
            ax.scatter(times[where], price[where], s=area[where], zorder=3, **styles[side])
            example = ax.scatter([], [], s=AREA_MAX / 2, **styles[side])
            entries.append((example, canvas.counted(int(where.sum()), NAMES[side])))
    return entries


def _dots(ax: Any, times: Any, price: Any, sides: dict[str, Any]) -> list[tuple[Any, str]]:  # noqa: ANN401
    """Draw very many fills as dots in the order of time, so that neither side covers the other."""
    np = library("numpy")
    # A light and a dark colour: dots of both sides have the same shape.
    colours = {BUY: canvas.BLUE, SELL: canvas.ORANGE}
    place = np.flatnonzero(sides[BUY] | sides[SELL])
    shown = place[_apart(times[place], price[place])]
    ax.scatter(
        times[shown], price[shown], s=4, linewidth=0, zorder=3, rasterized=True,
        c=np.where(sides[BUY][shown], colours[BUY], colours[SELL]),
    )  # fmt: skip
    return [
        (ax.scatter([], [], s=20, color=colours[side]), canvas.counted(int(where.sum()), NAMES[side]))
        for side, where in sides.items()
        if where.any()
    ]


def _price_line(prices: object, symbol: str | None, times: Any, price: Any) -> tuple[Any, Any, str]:  # noqa: ANN401
    """Return times and prices of the line, and its name."""
    if prices is None:
        return times, price, "price of these fills"
    rows = rows_in(prices, "prices", ("at", "price")).only("symbol", symbol).in_order("at")
    return canvas.day_numbers(rows.instants("at")), rows.numbers("price"), "price"


def _areas(rows: Rows) -> Any:  # noqa: ANN401 - an array of numpy's
    """Return the area of each marker in square points; a missing quantity has the smallest."""
    np = library("numpy")
    quantity = np.abs(np.nan_to_num(rows.numbers("quantity")))
    most = quantity.max(initial=0.0)
    if not most or not np.ptp(quantity):
        return np.full(len(rows), (AREA_MIN + AREA_MAX) / 2)
    return np.maximum(quantity / most * AREA_MAX, AREA_MIN)


def _apart(times: Any, price: Any) -> Any:  # noqa: ANN401 - arrays of numpy's
    """Return the indices of the dots that a picture can tell apart, in their order: the last at each place."""
    np = library("numpy")
    across = ((times - times[0]) / (np.ptp(times) or 1) * CELLS_WIDE).astype("int64")
    up = ((price - price.min()) / (np.ptp(price) or 1) * CELLS_HIGH).astype("int64")
    cells = across * (CELLS_HIGH + 1) + up
    _, last = np.unique(cells[::-1], return_index=True)
    return np.sort(len(cells) - 1 - last)


def _rings(ax: Any, rows: Rows, times: Any, price: Any, area: Any) -> list[tuple[Any, str]]:  # noqa: ANN401
    """Ring the fills whose record has anomalies."""
    np = library("numpy")
    marked = np.array([text not in {None, "", "[]"} for text in rows.texts("anomalies")], dtype=bool) & ~np.isnan(price)
    if not marked.any():
        return []
    style = {"facecolor": "none", "edgecolor": canvas.BLACK, "linewidth": 1.0}
    is_many = marked.sum() > MARKERS_MAX
    ax.scatter(times[marked], price[marked], s=area[marked] * 2.5 + 40, zorder=3.5, rasterized=is_many, **style)
    return [(ax.scatter([], [], s=AREA_MAX, **style), f"{marked.sum():,} with anomalies")]
