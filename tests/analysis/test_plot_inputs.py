"""What plots are given: frames of any library, empty ones, and what cannot be drawn."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from matplotlib.dates import num2date
from matplotlib.figure import Figure

from eventstore import InvalidEvent
from projections.analysis import plot
from projections.analysis.plot import canvas
from tests.analysis.made import (
    DAYS,
    EQUITY,
    FILLS,
    HEADROOM,
    LOCKOUTS,
    OPENS_AT,
    POSITIONS,
    equity_row,
    fill_row,
    headroom_row,
    lockout_row,
    made,
)
from tests.analysis.pictures import CHICAGO, png, texts

EMPTY = {"equity": EQUITY, "fills": FILLS, "days": DAYS, "headroom": HEADROOM, "positions": POSITIONS}


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_frame_gives_an_empty_plot_that_says_so(name: str) -> None:
    ax = getattr(plot, name)(made(EMPTY[name], []))
    assert "no " in texts(ax)
    assert "in this range" in texts(ax)
    assert png(ax)


@pytest.mark.parametrize("name", EMPTY)
def test_an_account_of_none_gives_an_empty_plot(name: str) -> None:
    rows = {
        "equity": [equity_row(0, "1")],
        "fills": [fill_row(0, "1")],
        "headroom": [headroom_row(0, "1")],
        "positions": [{"at": OPENS_AT, "account": "ACC1", "symbol": "X", "quantity": Decimal(1)}],
        "days": [{"account": "ACC1", "trading_day": datetime.date(2025, 1, 1), "net": Decimal(1)}],
    }
    assert "in this range" in texts(getattr(plot, name)(made(EMPTY[name], rows[name]), "NOBODY"))


def test_one_point_is_seen() -> None:
    ax = plot.equity(made(EQUITY, [equity_row(0, "50000", floor=Decimal(48000))]), zone=CHICAGO)
    zone = canvas.zone_of(CHICAGO)
    low, high = (num2date(edge, tz=zone) for edge in ax.get_xlim())  # type: ignore[no-untyped-call]
    assert (f"{low:%H:%M}", f"{high:%H:%M}") == ("08:29", "08:31")
    assert any(line.get_marker() == "o" for line in ax.lines)
    assert png(plot.fills(made(FILLS, [fill_row(0, "6000")])))
    assert png(plot.headroom(made(HEADROOM, [headroom_row(0, "0.5")])))


@pytest.mark.parametrize("library", ["frame", "arrow", "pandas", "polars", "exact", "text"])
def test_a_frame_of_any_library_gives_the_same_picture(library: str) -> None:
    rows = [equity_row(0, "50000.25"), equity_row(10, None), equity_row(20, "49000.5", "50000.25")]
    frame = made(EQUITY, rows)
    given: dict[str, Callable[[], object]] = {
        "frame": lambda: frame,
        "arrow": frame.to_arrow,
        "pandas": frame.to_pandas,
        "polars": frame.to_polars,
        "exact": lambda: made(EQUITY, rows, exact=True),
        "text": lambda: made(EQUITY, rows, exact="text"),
    }
    assert png(plot.equity(given[library]())) == png(plot.equity(frame))


def test_names_that_are_categories_are_read_from_every_library() -> None:
    frame = made(FILLS, [fill_row(0, "6000"), fill_row(5, "6001", "SELL"), fill_row(9, "6002", None)])
    plain = frame.to_arrow()
    place = plain.column_names.index("side")
    table = plain.set_column(place, "side", plain.column("side").dictionary_encode())
    for given in (table, pl.from_arrow(table), table.to_pandas()):
        assert png(plot.fills(given)) == png(plot.fills(frame))


def test_rows_are_drawn_in_the_order_of_time_and_those_without_an_instant_left_out() -> None:
    rows = [equity_row(20, "3"), equity_row(0, "1"), equity_row(5, "9", at=None), equity_row(10, "2")]
    ax = plot.equity(made(EQUITY, rows))
    assert list(ax.lines[0].get_ydata()) == [1, 1, 2, 2, 3]


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "accounts": (
        lambda: plot.equity(made(EQUITY, [equity_row(0, "1"), equity_row(1, "1", account="B")])),
        "several accounts: 'ACC1', 'B'; choose one by account=",
    ),
    "currencies": (
        lambda: plot.days(
            made(DAYS, [{"trading_day": datetime.date(2025, 1, d), "currency": c} for d, c in ((1, "USD"), (2, "EUR"))])
        ),
        "several currencies: 'USD', 'EUR'; choose one by currency=",
    ),
    "symbols": (
        lambda: plot.fills(made(FILLS, [fill_row(0, "1"), fill_row(0, "1", symbol="'; drop")])),
        "choose one by symbol=",
    ),
    "columns": (lambda: plot.equity(pd.DataFrame({"at": [], "x": []})), "data has no column equity, only at, x"),
    "no frame": (lambda: plot.equity([1, 2]), "data is a frame of pandas or polars"),
    "number": (lambda: plot.equity(7), "data is a frame"),
    "no zone": (
        lambda: plot.equity(pl.DataFrame({"at": [datetime.datetime(2025, 1, 1)], "equity": [1.0]})),  # noqa: DTZ001
        "column at of data has no time zone",
    ),
    "text for a number": (
        lambda: plot.days(pa.table({"trading_day": ["2025-01-01"], "net": ["much"]})),
        "column net has to hold numbers",
    ),
    "zone": (lambda: plot.equity(made(EQUITY, []), zone="Chicago"), "unknown time zone 'Chicago'"),
    "zone's type": (lambda: plot.equity(made(EQUITY, []), zone=7), "unknown time zone 7"),  # type: ignore[arg-type]
    "axes": (lambda: plot.equity(made(EQUITY, []), ax=Figure()), "ax has to be matplotlib's axes"),
    "options": (lambda: plot.equity(made(EQUITY, []), start=OPENS_AT), "start can be given with a store only"),
    "no day": (lambda: plot.days(made(DAYS, [{"net": Decimal(1)}])), "some rows have no trading_day"),
    "lockouts": (lambda: plot.equity(made(EQUITY, []), lockouts=made(EQUITY, [])), "lockouts has no column set_at"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_drawn_is_refused_with_what_to_give(name: str) -> None:
    call, message = BAD[name]
    with pytest.raises(InvalidEvent, match=message.replace("(", r"\(")):
        call()


@pytest.mark.slow
@pytest.mark.untraced
def test_names_from_data_are_shown_as_they_are() -> None:
    """Mathematical text, hidden signs, underscores and length take no effect."""
    for name in ("$x^2", r"$\frac{$", "_hidden", "a\u202eb", "x" * 500, "<b>&", "$$$"):
        rows = [equity_row(0, "1", account=name), equity_row(9, "1", account=name)]
        locks = made(LOCKOUTS, [lockout_row(1, 2, account=name, rule_id=name)])
        ax = plot.equity(made(EQUITY, rows), lockouts=locks)
        assert png(ax)
        assert png(plot.headroom(made(HEADROOM, [headroom_row(0, "1", name), headroom_row(5, "1", name)])))
        assert png(plot.fills(made(FILLS, [fill_row(0, "1", symbol=name)])))
        assert "\u202e" not in texts(ax)
        assert max(map(len, texts(ax).splitlines())) < 120
