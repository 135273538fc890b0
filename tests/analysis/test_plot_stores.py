"""Plots and reports of a store: the same as those of its frames, in the zone that it records."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
from eventstore import ManualClock
from eventstore.trading import AccountOpened, ContractDefined, LimitsSet, LockoutSet, OrderFilled, SessionOpened, Side
from projections import analysis
from projections.analysis import plot
from tests.analysis.made import OPENS_AT, at
from tests.analysis.pictures import CHICAGO, png, texts

PRICES = {"at": [at(0), at(5), at(20)], "symbol": ["ESZ5"] * 3, "price": [6000.0, 6010.0, 5990.0]}
WEEK_NS = 7 * 86_400_000_000_000


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of one account that bought at 08:30 and sold half an hour later, with a limit and a lockout."""
    directory = tmp_path_factory.mktemp("log") / "data"
    clock = ManualClock(OPENS_AT - 60_000_000_000)
    with eventstore.open(directory, clock=clock) as store:
        store.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD"))
        store.append("account/ACC1/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        limit = LimitsSet(rule_id="daily-loss", parameters={"limit": "1000"})
        store.append("limits/ACC1/daily-loss", limit, actor="risk@desk")
        session = SessionOpened(trading_day=datetime.date(2025, 11, 19), zone=CHICAGO)
        store.append("session/ACC1/2025-11-19", session)
        for minute, side, price in ((0, Side.BUY, "6000"), (30, Side.SELL, "5985.50")):
            clock.advance(at(minute) - clock.now_ns())
            fill = OrderFilled(
                trade_id=f"T{minute}", symbol="ESZ5", side=side, quantity=Decimal(1), price=Decimal(price),
                fee=Decimal("2.10"), fee_currency="USD",
            )  # fmt: skip
            store.append(f"order/ACC1/O{minute}", fill)
        lockout = LockoutSet(rule_id="daily-loss", reason="729.20 of 500.00 USD lost")
        store.append("lockout/ACC1/daily-loss", lockout)
    return directory


@pytest.mark.parametrize("name", ["equity", "headroom", "positions"])
def test_a_store_gives_the_picture_of_its_frame_at_each_trade(data: Path, name: str) -> None:
    lockouts = {} if name == "positions" else {"lockouts": analysis.lockouts(data, "ACC1")}
    frame = getattr(analysis, name)(data, account="ACC1", every="trade")
    given = png(getattr(plot, name)(frame, "ACC1", zone=CHICAGO, **lockouts))
    assert png(getattr(plot, name)(data, "ACC1")) == given
    with eventstore.open(data, read_only=True) as store:
        assert png(getattr(plot, name)(store, "ACC1")) == given


@pytest.mark.parametrize("name", ["fills", "days"])
def test_a_store_gives_the_picture_of_its_rows(data: Path, name: str) -> None:
    frame = getattr(analysis, name)(data, account="ACC1")
    zone = {} if name == "days" else {"zone": CHICAGO}
    assert png(getattr(plot, name)(data, "ACC1")) == png(getattr(plot, name)(frame, "ACC1", **zone))


def test_prices_and_instants_reach_the_frame(data: Path) -> None:
    ax = plot.equity(data, "ACC1", every="5min", prices=PRICES, stale_after=WEEK_NS, stop=at(31))
    assert {49_997.9, 50_497.9, 49_497.9} <= set(ax.lines[0].get_ydata())
    assert "UNKNOWN" not in texts(ax)
    assert "UNKNOWN" in texts(plot.equity(data, "ACC1", every="5min", stop=at(31)))


def test_a_report_of_a_store_has_the_figures_of_its_book(data: Path, tmp_path: Path) -> None:
    path = analysis.report(data, "ACC1", tmp_path / "report.html", prices=PRICES, stale_after=WEEK_NS)
    text = path.read_text(encoding="utf-8")
    for said in ("−729.20", "49,270.80", "729.20 of 500.00 USD lost", "daily-loss", CHICAGO, "0:30:00"):
        assert said in text, said
    with eventstore.open(data, read_only=True) as store:
        size, root = store.root()
    assert f"--root {root.hex()} --size {size}" in text
