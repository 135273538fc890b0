"""Plots: what is certain is drawn as such, what is not is marked, and nothing else is left behind."""

from __future__ import annotations

import datetime
import subprocess
import sys
import warnings
from decimal import Decimal
from typing import Any

import matplotlib as mpl
import numpy as np
import pyarrow as pa
import pytest
from matplotlib.figure import Figure

from projections.analysis import plot
from projections.analysis.plot import lines
from tests.analysis.made import (
    DAYS,
    EQUITY,
    FILLS,
    HEADROOM,
    LOCKOUTS,
    OPENS_AT,
    POSITIONS,
    at,
    equity_row,
    fill_row,
    headroom_row,
    lockout_row,
    made,
)
from tests.analysis.pictures import CHICAGO, bars, drawn_minutes, png, texts

# --- certainty


def test_an_unknown_stretch_is_a_gap_and_is_marked() -> None:
    rows = [equity_row(0, "50000"), equity_row(10, None), equity_row(20, "50100"), equity_row(40, "50200")]
    ax = plot.equity(made(EQUITY, rows))
    assert drawn_minutes(ax.lines[0]) == [(0, 10), (20, 40)]
    assert bars(ax, "UNKNOWN") == [(10, 20)]


def test_a_stale_stretch_is_dotted_and_is_marked() -> None:
    rows = [
        equity_row(0, "50000"),
        equity_row(10, "50050", status="STALE"),
        equity_row(20, "50100"),
        equity_row(40, "1"),
    ]
    ax = plot.equity(made(EQUITY, rows))
    solid, dotted = ax.lines[0], ax.lines[1]
    assert drawn_minutes(solid) == [(0, 10), (20, 40)]
    assert drawn_minutes(dotted) == [(10, 20)]
    assert (solid.is_dashed(), dotted.is_dashed()) == (False, True)
    assert bars(ax, "STALE") == [(10, 20)]


@pytest.mark.parametrize("status", ["UNKNOWN", "", "known", None])
def test_a_value_that_is_not_called_known_is_not_drawn(status: str | None) -> None:
    rows = [equity_row(0, "50000"), equity_row(10, "99999", status=status), equity_row(20, "50100")]
    ax = plot.equity(made(EQUITY, rows))
    assert 99999 not in np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in ax.lines[:2]])
    assert bars(ax, "UNKNOWN") == [(10, 20)]


def test_drawdown_is_shaded_and_named_only_where_equity_is_known() -> None:
    rows = [
        equity_row(0, "50000"),
        equity_row(10, "49000", "50000"),
        equity_row(20, "40000", "50000", status="STALE"),
        equity_row(30, "49500", "50000"),
        equity_row(40, "50000"),
    ]
    ax = plot.equity(made(EQUITY, rows), zone=CHICAGO)
    assert "deepest drawdown 1,000.00 USD at 2025-11-19 08:40:00, below the high since 2025-11-19 08:30:00" in texts(ax)


def test_a_lockout_is_a_band_until_its_end_and_without_one_to_the_edge() -> None:
    frame = made(EQUITY, [equity_row(minute, "50000") for minute in range(0, 101, 10)])
    ends = made(LOCKOUTS, [lockout_row(20, 30), lockout_row(40, None, until=at(60)), lockout_row(80, None)])
    found = bars(plot.equity(frame, lockouts=ends), "locked out")
    assert [pair[0] for pair in found] == [20, 40, 80]
    assert [pair[1] for pair in found] == [30, 60, 102]
    others = made(LOCKOUTS, [lockout_row(20, 30, account="ACC2"), lockout_row(500, 600)])
    assert "locked out" not in texts(plot.equity(frame, lockouts=others))


def test_a_day_with_an_unknown_session_is_unknown_and_no_total_is_given() -> None:
    day = datetime.date(2025, 11, 19)
    rows = [
        {"account": "ACC1", "trading_day": day, "currency": "USD", "net": Decimal(5)},
        {"account": "ACC1", "trading_day": day, "currency": "USD", "net": None},
        {"account": "ACC1", "trading_day": day + datetime.timedelta(1), "currency": "USD", "net": Decimal(7)},
    ]
    ax = plot.days(made(DAYS, rows))
    assert [bar.get_height() for bar in ax.patches] == [7]
    assert "1 UNKNOWN" in texts(ax)
    assert "together" not in texts(ax)
    assert "together 12.00 USD" in texts(plot.days(made(DAYS, [row for row in rows if row["net"] is not None])))


def test_headroom_names_limits_without_a_figure_and_marks_those_unjudged() -> None:
    rows = [headroom_row(m, "0.5") for m in (0, 10, 20)]
    rows += [headroom_row(m, None, "blackout") for m in (0, 10, 20)]
    rows += [headroom_row(m, None, "trailing-drawdown", status="UNKNOWN") for m in (0, 10, 20)]
    ax = plot.headroom(made(HEADROOM, rows))
    assert "no figure to compare: blackout" in texts(ax)
    assert bars(ax, "UNKNOWN") == [(0, 20)]
    assert list(ax.lines[0].get_ydata())[:1] == [50]


def test_positions_have_a_lane_each_and_a_gap_where_one_is_unknown() -> None:
    held = {"account": "ACC1", "side": "NET", "status": "KNOWN"}
    rows = [{**held, "at": at(m), "symbol": "ESZ5", "quantity": Decimal(q)} for m, q in ((0, 2), (10, -4), (20, 0))]
    rows += [{**held, "at": at(m), "symbol": "NQZ5", "quantity": Decimal(1)} for m in (0, 10, 20)]
    rows[-1] |= {"status": "UNKNOWN"}
    rows[-2] |= {"status": "UNKNOWN"}
    ax = plot.positions(made(POSITIONS, rows))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["ESZ5", "NQZ5"]
    assert {"long", "short", "largest quantity 4"} <= set(texts(ax).splitlines())
    assert bars(ax, "UNKNOWN") == [(10, 20)]
    both = made(POSITIONS, [{**row, "side": side} for row in rows[:1] for side in ("LONG", "SHORT")])
    assert [label.get_text() for label in plot.positions(both).get_yticklabels()] == ["ESZ5 LONG", "ESZ5 SHORT"]


def test_fills_without_a_price_are_counted_and_those_with_anomalies_ringed() -> None:
    rows = [fill_row(0, "6000"), fill_row(1, None), fill_row(2, "6001", "SELL", anomalies='["late"]')]
    ax = plot.fills(made(FILLS, rows))
    assert "1 fill without a price not drawn" in texts(ax)
    assert {"1 buy", "1 sale", "1 with anomalies"} <= set(texts(ax).splitlines())


# --- very many points


def million(status: str) -> pa.Table:
    count = 1_000_000
    chance = np.random.default_rng(7)
    instants = OPENS_AT + np.cumsum(chance.integers(1, 60_000_000, count))
    values = 50_000 + np.cumsum(chance.normal(0, 5, count))
    values[654_321], values[123_456] = 99_999, 1
    names = np.full(count, "KNOWN", dtype=object)
    if status != "KNOWN":
        names[777_777] = status
    return pa.table({"at": pa.array(instants, pa.timestamp("ns", "UTC")), "equity": values, "status": pa.array(names)})


@pytest.mark.untraced
@pytest.mark.parametrize("status", ["KNOWN", "STALE", "UNKNOWN"])
def test_of_very_many_points_the_extremes_and_every_uncertain_stretch_are_drawn(status: str) -> None:
    ax = plot.equity(million(status))
    line = np.asarray(ax.lines[0].get_ydata(), dtype=float)
    assert len(line) < 3 * lines.POINTS_MAX
    assert (np.nanmax(line), np.nanmin(line)) == (99_999, 1)
    assert bool(np.isnan(line).any()) == (status != "KNOWN")
    assert (status in texts(ax)) == (status != "KNOWN")


def test_what_thinning_leaves_out_lies_between_what_is_drawn() -> None:
    chance = np.random.default_rng(3)
    times = np.sort(chance.random(50_000))
    values, code = chance.normal(0, 1, 50_000), chance.integers(0, 3, 50_000)
    values[code == 0] = np.nan
    chosen = lines.thinned(times, values, code)
    assert len(chosen) < len(times)
    interval = lines._intervals(times)
    for number in np.unique(interval)[::97]:
        inside, kept = np.flatnonzero(interval == number), chosen[interval[chosen] == number]
        assert np.nanmax(values[kept]) == np.nanmax(values[inside])
        assert np.nanmin(values[kept]) == np.nanmin(values[inside])
        assert set(code[kept]) == set(code[inside])
        assert {inside[0], inside[-1]} <= set(kept)


def test_very_many_fills_are_dots_that_cover_neither_side() -> None:
    count = 1_000_000
    chance = np.random.default_rng(5)
    table = pa.table({
        "occurred_at": pa.array(OPENS_AT + np.arange(count) * 1_000_000, pa.timestamp("ns", "UTC")),
        "symbol": pa.array(np.full(count, "X", dtype=object)),
        "side": pa.array(np.where(chance.random(count) < 0.5, "BUY", "SELL")),
        "price": 50_000 + np.round(np.cumsum(chance.normal(0, 5, count))),
    })  # fmt: skip
    ax = plot.fills(table)
    assert "too many for shapes" in texts(ax)
    dots = max(ax.collections, key=lambda each: len(each.get_offsets()))
    colours, counts = np.unique(dots.get_facecolor(), axis=0, return_counts=True)
    assert len(colours) == 2
    assert counts.min() > 0.4 * counts.sum()
    assert dots.get_rasterized()


def test_more_days_than_have_room_as_bars_are_lines_and_none_is_lost() -> None:
    days = [datetime.date(2020, 1, 1) + datetime.timedelta(number) for number in range(1_000)]
    rows = [{"trading_day": day, "net": Decimal(number % 7 - 3)} for number, day in enumerate(days)]
    ax = plot.days(made(DAYS, rows))
    assert len(ax.patches) == 0
    drawn = [len(lines_of_side.get_segments()) for lines_of_side in ax.collections]
    assert sum(drawn) == 1_000
    assert len(ax.get_xticklabels()) <= 7


# --- axes


def test_the_axes_say_the_currency_and_the_zone() -> None:
    frame = made(EQUITY, [equity_row(0, "1"), equity_row(9, "2")])
    assert (plot.equity(frame).get_ylabel(), plot.equity(frame).get_xlabel()) == ("equity, USD", "time, UTC")
    ax = plot.equity(frame, zone=CHICAGO)
    assert ax.get_xlabel() == "time, America/Chicago"
    ax.figure.canvas.draw()
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert "08:30" in labels
    nothing = made(EQUITY, [equity_row(0, "1", currency=None)])
    assert plot.equity(nothing).get_ylabel() == "equity, currency not stated"


def test_figures_on_the_axes_have_no_offset() -> None:
    ax = plot.equity(made(EQUITY, [equity_row(0, "1000000.25"), equity_row(9, "1000000.5")]))
    ax.figure.canvas.draw()
    assert all(label.get_text().startswith("1,000,000.") for label in ax.get_yticklabels()[1:-1])


def test_axes_that_are_given_are_drawn_on_and_returned() -> None:
    figure = Figure()
    pair = figure.subplots(2)
    frame = made(EQUITY, [equity_row(0, "1"), equity_row(9, "2")])
    assert plot.equity(frame, ax=pair[1]) is pair[1]
    assert not pair[0].lines


def test_a_plot_is_a_picture_in_a_notebook_and_unknown_to_pyplot() -> None:
    ax = plot.equity(made(EQUITY, [equity_row(0, "1"), equity_row(9, "2")]))
    picture, size = ax._repr_png_()
    assert picture.startswith(b"\x89PNG")
    assert size == {"width": 900, "height": 450}
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


@pytest.mark.slow
def test_importing_the_package_loads_no_library_and_drawing_no_pyplot() -> None:
    code = (
        "import sys\nfrom projections import analysis\n"
        "heavy = {'matplotlib', 'numpy', 'pandas', 'polars', 'pyarrow', 'duckdb'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "from tests.analysis.made import *\n"
        "analysis.plot.equity(made(EQUITY, [equity_row(0, '1')]))._repr_png_()\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_user_s_settings_of_matplotlib_stay_as_they_are() -> None:
    before = dict(mpl.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        png(plot.equity(made(EQUITY, [equity_row(0, "1"), equity_row(9, "2")])))
    assert dict(mpl.rcParams) == before


def test_colours_differ_in_greyscale_or_by_shape() -> None:
    """Gains and losses, buys and sales: filled and empty, so that a printer without colours shows them apart."""
    day = datetime.date(2025, 11, 19)
    rows = [{"trading_day": day + datetime.timedelta(n), "net": Decimal(amount)} for n, amount in enumerate((5, -5))]
    gain, loss = plot.days(made(DAYS, rows)).patches
    assert (gain.get_hatch(), loss.get_hatch()) == (None, "////")
    styles = {str(line.get_linestyle()) for line in _lines_of_rules(6)}
    assert len(styles) >= 2


def _lines_of_rules(count: int) -> list[Any]:
    rows = [headroom_row(minute, f"0.{rule}", f"rule-{rule}") for rule in range(1, count + 1) for minute in (0, 10)]
    return list(plot.headroom(made(HEADROOM, rows)).lines[: 2 * count : 2])


def test_of_very_many_limits_those_with_the_least_left_are_drawn() -> None:
    rows = [headroom_row(m, f"0.{rule:03}", f"rule-{rule}") for rule in range(1, 40) for m in (0, 10)]
    ax = plot.headroom(made(HEADROOM, rows))
    assert "the 12 of 39 limits with the least left" in texts(ax)
    assert "rule-1\n" in texts(ax)
    assert "rule-39" not in texts(ax)
