"""How far an account is from each of its limits, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from projections.analysis.headroom import headroom as headroom_frame
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

COLUMNS = ("at", "rule_id", "share")
PERCENT = 100
RULES_MAX = 12


def headroom(
    data: object,
    account: str | None = None,
    *,
    rule: str | None = None,
    lockouts: object = None,
    zone: str | datetime.tzinfo | None = None,
    ax: Any = None,  # noqa: ANN401 - axes of matplotlib's
    **options: Unpack[StatesOptions],
) -> Any:  # noqa: ANN401 - the same
    """Draw what is left of each limit, in percent of the limit, and return the axes.

    `data`: a store, or a frame such as `analysis.headroom` gives, with the columns at, rule_id and share and, where
    they are known, account and status. `rule` chooses one limit. `lockouts`: a frame such as `analysis.lockouts` gives;
    a store's are read from it. `options` are those of `analysis.headroom`, for a store; `every` is each trade by
    default. The times are in `zone`, else in the account's zone where a store records it, else in UTC.

    100 % is an unused limit, 0 % one that is reached. A share holds until the limit's next row; where it is STALE it is
    dotted, where it is missing or UNKNOWN there is a gap. Limits that compare no figure are named below the title.
    Raises InvalidEvent for rows of several accounts, and for a column of another kind.
    """
    rows = rows_of(data, lambda store: headroom_frame(store, account, **by_trade(options)), options, COLUMNS)
    rows, account = rows.one("account", account, "accounts")
    rows = rows.only("rule_id", rule).in_order("at")
    where = canvas.zone_of(zone if zone is not None else account_zone(data, account))
    if lockouts is None and is_store(data):
        lockouts = lockouts_frame(data, account, progress=options.get("progress"))
    locked = lockouts_of(lockouts, account)
    drawn = canvas.axes(ax)
    canvas.plain(drawn)
    canvas.label(drawn, "left of the limit, %", canvas.time_label(where))
    subtitle = _draw(drawn, rows, where, locked) if len(rows) else ""
    canvas.title(drawn, f"Headroom of {canvas.name_text(account)}" if account else "Headroom", subtitle)
    if not len(rows):
        canvas.empty(drawn, "no limits in this range")
    return drawn


def _draw(ax: Any, rows: Rows, zone: datetime.tzinfo, lockouts: Rows | None) -> str:  # noqa: ANN401
    times = canvas.day_numbers(rows.instants("at"))
    canvas.time_axis(ax, zone, times[0], times[-1])
    canvas.numbers_axis(ax.yaxis)
    with_figure, without = _sorted_out(rows)
    entries, states = [], []
    for number, (rule, of_rule) in enumerate(with_figure[:RULES_MAX]):
        at, left = canvas.day_numbers(of_rule.instants("at")), of_rule.numbers("share") * PERCENT
        states.append((at, lines.certainty(of_rule, left)))
        colour, style = (
            canvas.COLOURS[number % len(canvas.COLOURS)],
            canvas.LINE_STYLES[number % len(canvas.LINE_STYLES)],
        )
        line = lines.step_line(ax, at, left, states[-1][1], color=colour, linestyle=style, linewidth=1.6)
        entries.append((line, canvas.name_text(rule)))
    ax.axhline(0, color=canvas.BLACK, linewidth=1.0)
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, -5), max(high, PERCENT + 5))
    if low < 0:
        ax.axhspan(min(low, -5), 0, facecolor=canvas.VERMILLION, alpha=0.1, zorder=0.4)
    entries += lockout_bands(ax, lockouts)
    entries += lines.uncertain_strip(ax, states)
    canvas.legend(ax, entries)
    notes = (
        [f"the {RULES_MAX} of {len(with_figure)} limits with the least left"] if len(with_figure) > RULES_MAX else []
    )
    notes += [f"no figure to compare: {', '.join(map(canvas.name_text, without[:RULES_MAX]))}"] if without else []
    return "; ".join(notes)


def _sorted_out(rows: Rows) -> tuple[list[tuple[str, Rows]], list[str]]:
    """Return the limits to draw, those with the least left first, and the names of those that compare no figure."""
    np = library("numpy")
    drawn, without = [], []
    for rule, of_rule in rows.by("rule_id"):
        share = of_rule.numbers("share")
        judged = of_rule.is_text("status", lines.KNOWN)
        if np.isnan(share).all() and judged.all():
            without.append(rule)
        else:
            drawn.append((np.nanmin(share, initial=np.inf), rule, of_rule))
    return [(rule, of_rule) for _, rule, of_rule in sorted(drawn, key=lambda each: each[:2])], without
