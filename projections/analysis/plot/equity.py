"""An account's equity over time, with its drawdown, floor and lockouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from projections.analysis.equity import equity as equity_frame
from projections.analysis.libraries import library
from projections.analysis.lockouts import lockouts as lockouts_frame
from projections.analysis.plot import canvas, lines
from projections.analysis.plot.given import Rows, is_store, rows_of
from projections.analysis.plot.lockouts import lockout_bands, lockouts_of
from projections.analysis.plot.reading import account_zone, by_trade

if TYPE_CHECKING:
    import datetime

    from typing_extensions import Unpack

    from projections.analysis.plot.reading import StatesOptions

COLUMNS = ("at", "equity")


def equity(
    data: object,
    account: str | None = None,
    *,
    currency: str | None = None,
    lockouts: object = None,
    zone: str | datetime.tzinfo | None = None,
    ax: Any = None,  # noqa: ANN401 - axes of matplotlib's
    **options: Unpack[StatesOptions],
) -> Any:  # noqa: ANN401 - the same
    """Draw an account's equity, and return the axes.

    `data`: a store, or a frame such as `analysis.equity` gives, with the columns at, equity and, where they are known,
    account, currency, drawdown, floor and status. `lockouts`: a frame such as `analysis.lockouts` gives; a
    store's are read from it. `options` are those of `analysis.equity`, for a store; `every` is each trade by default.
    The times are in `zone`, else in the account's zone where a store records it, else in UTC.

    Equity holds until the next row. Where it is STALE it is dotted, where it is UNKNOWN there is a gap. `currency`
    chooses one of those that an account has had, where it was reopened in another one.
    Raises InvalidEvent for rows of several accounts, or in several currencies, and for a column of another kind.
    """
    rows = rows_of(data, lambda store: equity_frame(store, account, **by_trade(options)), options, COLUMNS)
    rows, account = rows.one("account", account, "accounts")
    rows, currency = rows.one("currency", currency, "currencies")
    where = canvas.zone_of(zone if zone is not None else account_zone(data, account))
    if lockouts is None and is_store(data):
        lockouts = lockouts_frame(data, account, progress=options.get("progress"))
    locked = lockouts_of(lockouts, account)
    drawn = canvas.axes(ax)
    canvas.plain(drawn)
    canvas.label(drawn, canvas.money_label("equity", currency), canvas.time_label(where))
    rows = rows.in_order("at")
    subtitle = _draw(drawn, rows, where, locked) if len(rows) else ""
    canvas.title(drawn, f"Equity of {canvas.name_text(account)}" if account else "Equity", subtitle)
    if not len(rows):
        canvas.empty(drawn, "no equity in this range")
    return drawn


def _draw(ax: Any, rows: Rows, zone: datetime.tzinfo, lockouts: Rows | None) -> str:  # noqa: ANN401
    """Draw the rows, and return what is said about the deepest drawdown."""
    values, instants = rows.numbers("equity"), rows.instants("at")
    times, states = canvas.day_numbers(instants), lines.certainty(rows, values)
    canvas.time_axis(ax, zone, times[0], times[-1])
    canvas.numbers_axis(ax.yaxis)
    line = lines.step_line(ax, times, values, states, color=canvas.BLUE, linewidth=1.6, zorder=2.5)
    entries = [(line, "equity"), *_marks(ax, rows, times, values, states), *lockout_bands(ax, lockouts)]
    canvas.legend(ax, [*entries, *lines.uncertain_strip(ax, [(times, states)])])
    return _deepest(rows, instants, states[lines.KNOWN], zone)


def _marks(ax: Any, rows: Rows, times: Any, values: Any, states: dict[str, Any]) -> list[tuple[Any, str]]:  # noqa: ANN401
    """Draw the highest equity so far, what separates equity from it, and the floor; return entries for the legend."""
    np = library("numpy")
    entries = []
    high, floor, known = values + np.abs(rows.numbers("drawdown")), rows.numbers("floor"), states[lines.KNOWN]
    if not np.isnan(high).all():
        chosen = lines.thinned(times, np.where(known, values, np.nan), known.astype("int8"))
        at = np.repeat(_wide(ax, times[chosen]), 2)[1:]
        low, top = (np.repeat(np.where(known, each, np.nan)[chosen], 2)[:-1] for each in (values, high))
        shaded = ax.fill_between(at, low, top, facecolor=canvas.ORANGE, alpha=0.3, linewidth=0)
        (mark,) = ax.plot(at, top, color=canvas.BLACK, linewidth=0.9, linestyle=(0, (5, 2)))
        entries += [(mark, "highest so far"), (shaded, "drawdown")]
    if not np.isnan(floor).all():
        chosen = lines.thinned(times, floor, np.isnan(floor).astype("int8"))
        at, level = np.repeat(_wide(ax, times[chosen]), 2)[1:], np.repeat(floor[chosen], 2)[:-1]
        (line,) = ax.plot(at, level, color=canvas.VERMILLION, linewidth=1.4, linestyle=(0, (6, 1.5, 1, 1.5)))
        entries.append((line, "floor"))
    return entries


def _wide(ax: Any, times: Any) -> Any:  # noqa: ANN401 - axes of matplotlib's, arrays of numpy's
    """Return times such that a level can be seen: that of one instant alone is drawn across the axes."""
    return library("numpy").array(ax.get_xlim()[:1]) if len(times) == 1 else times


def _deepest(rows: Rows, instants: Any, known: Any, zone: datetime.tzinfo) -> str:  # noqa: ANN401
    """Return the deepest drawdown that is certain, when it was, and since when equity had been below its high."""
    np = library("numpy")
    depths = np.where(known, np.abs(rows.numbers("drawdown")), np.nan)
    if np.isnan(depths).all() or not np.nanmax(depths):
        return ""
    lowest = int(np.nanargmax(depths))
    amount = canvas.money_text(depths[lowest], next(iter(rows.values("currency")), None))
    text = f"deepest drawdown {amount} at {canvas.instant_text(instants[lowest], zone)}"
    at_high = np.flatnonzero(depths[:lowest] == 0)
    return f"{text}, below the high since {canvas.instant_text(instants[at_high[-1]], zone)}" if len(at_high) else text
