"""Checks before an order, and headroom, with every rule in force and three positions open, against comparisons."""

from __future__ import annotations

import datetime
import itertools
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import eventstore
import projections
from benchmarks.rows import Row, compared, row
from benchmarks.timing import NS_PER_US, each_ns, in_turns, percentile, spread
from eventstore import ManualClock
from eventstore.trading import (
    AccountOpened,
    BlackoutScheduled,
    ContractDefined,
    EquityMarked,
    LimitsSet,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderSubmitted,
    QuoteReceived,
    SessionOpened,
    Side,
    Verdict,
)
from projections import risk
from projections.risk.proposals import Proposal

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.setting import Setting
    from projections import Book

P50_US_MAX = 50.0
HEADROOM_US_MAX = {"headroom": 50.0, "headroom-fill": 250.0}
START = 1_790_000_000_000_000_000
HOUR = 3_600_000_000_000
SYMBOLS = {"ESZ6": 50, "NQZ6": 20, "MESZ6": 5}
FILLED = "NQZ6"
LIMITS: dict[str, dict[str, Any]] = {
    "daily-loss": {"limit": "1000", "basis": "equity"},
    "weekly-loss": {"limit": "3000"},
    "daily-profit": {"target": "5000"},
    "trailing-drawdown": {"distance": "2000"},
    "trade-limit": {"limit": 50},
    "maximum-contracts": {"limit": "10", "weights": {"MES": "0.1"}},
    "maximum-position": {"limit": "6"},
    "order-size": {"limit": "5"},
    "available-balance": {"minimum": "1000", "margins": {"ES": "500"}},
    "concentration": {"limit": "50"},
    "symbol-block": {"symbols": ["CL"]},
    "cooldown": {"losing_trips": 3},
    "consistency": {"limit": "0.5"},
    "blackout": {},
}
DICT = "a dict of eleven figures, each compared with its limit"


def measure(setting: Setting) -> list[Row]:
    rounds, times, few = setting.scaled(9, 2), setting.scaled(3_000, 50), setting.scaled(300, 10)
    with (
        setting.directory() as directory,
        eventstore.open(directory, clock=ManualClock(START)) as store,
        projections.open(store, snapshots=False) as book,
    ):
        _set_up(book)
        order = Proposal(account="A", symbol="ESZ6", side=Side.BUY, quantity=Decimal(1), limit_price=Decimal(6_000))

        def check() -> None:
            found = risk.check(book, order, START)
            assert found.verdict is Verdict.PASS, found.reason

        def headroom() -> None:
            assert len(book.limits.headroom("A", START)) == len(LIMITS)

        flows = _flows(book)
        measures: dict[str, Callable[[], float]] = {
            name: lambda change=change, count=count: _p50(change, check, count)  # type: ignore[misc]
            for (name, change), count in zip(flows.items(), (times, times, few, few), strict=True)
        }
        measures["headroom"] = lambda: _p50(_nothing, headroom, times)
        measures["headroom-fill"] = lambda: _p50(flows["fill"], headroom, few)
        plain = _plain()
        measures[DICT] = lambda: _p50(_nothing, plain, times)
        in_turns(1, measures)
        figures = in_turns(rounds, measures, setting.rounds("risk", rounds))
    beside = figures.pop(DICT)
    return [_row(name, ours, beside) for name, ours in figures.items()]


def _row(name: str, ours: list[float], beside: list[float]) -> Row:
    most = HEADROOM_US_MAX.get(name, P50_US_MAX if name in {"again", "quote"} else None)
    what = "headroom of all limits" if name in HEADROOM_US_MAX else "risk.check"
    return row(
        f"risk-{name}",
        f"{what} {WHEN[name]}, p50",
        unit="µs",
        figures=ours,
        beside=compared(ours, {DICT: beside}),
        target="" if most is None else f"≤ {most:g} µs",
        met=None if most is None else spread(ours).median <= most,
        note=f"{len(LIMITS)} limits, three open positions, each timed by itself; all pass",
    )


WHEN = {
    "again": "while nothing changes",
    "quote": "after each quote of an open position",
    "order": "after each order's events",
    "fill": "after each fill",
    "headroom": "while nothing changes",
    "headroom-fill": "after each fill",
}


def _set_up(book: Book) -> None:
    day = SessionOpened(
        trading_day=datetime.date(2026, 9, 21),
        began_at=START - HOUR,
        resets_at=START + 20 * HOUR,
        zone="America/Chicago",
    )
    balance = Decimal(50_000)
    mark = EquityMarked(balance=balance, equity=balance, high_water=balance, floor=Decimal(48_000), currency="USD")
    book.append("account/A/-", AccountOpened(starting_balance=balance, currency="USD"))
    book.append("session/A/2026-09-21", day)
    book.append("equity/A/-", mark)
    book.append("blackout/-/x", BlackoutScheduled(start=START + HOUR, stop=START + 2 * HOUR, reason="CPI"))
    for rule_id, parameters in LIMITS.items():
        book.append(f"limits/A/{rule_id}", LimitsSet(rule_id=rule_id, parameters=parameters), actor="bench")
    for symbol, worth in SYMBOLS.items():
        contract = ContractDefined(symbol=symbol, root=symbol[:-2], multiplier=Decimal(worth), currency="USD")
        book.append(f"contract/-/{symbol}", contract)
        book.append(f"order/A/O-{symbol}", [_submitted(symbol, 3), OrderAccepted(), _filled(f"T-{symbol}", symbol)])
        # So that the one is not flat while one contract is sold and bought again.
        if symbol == FILLED:
            book.append(f"order/A/O-{symbol}", _filled("T-more", symbol))
        _quote(book, symbol, 0)


def _flows(book: Book) -> dict[str, Callable[[], object]]:
    """Return what happens before each check, by the names of the rows."""
    numbers = itertools.count(1)

    def order() -> None:
        events = [_submitted("ESZ6", 1), OrderAccepted(), OrderCanceled()]
        book.append(f"order/A/W{next(numbers)}", events)

    def fill() -> None:
        # One after the other, so that the position stays what it is.
        number = next(numbers)
        for side in (Side.SELL, Side.BUY):
            book.append(f"order/A/F{number}{side}", _filled(f"F{number}{side}", FILLED, side))

    return {
        "again": _nothing,
        "quote": lambda: _quote(book, "ESZ6", next(numbers)),
        "order": order,
        "fill": fill,
    }


def _plain() -> Callable[[], object]:
    """Return the least that judging takes: figures that somebody else keeps, and no words."""
    limits = {name: Decimal(1_000 + number) for number, name in enumerate(list(LIMITS)[:11])}
    figures = dict.fromkeys(limits, Decimal("999.25"))
    return lambda: [name for name, figure in figures.items() if figure > limits[name]]


def _p50(change: Callable[[], object], action: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        change()
        taken += each_ns(action, 1)
    return percentile(taken, 0.5) / NS_PER_US


def _nothing() -> None:
    """Tell nothing."""


def _submitted(symbol: str, quantity: int) -> OrderSubmitted:
    return OrderSubmitted(symbol=symbol, side=Side.BUY, quantity=Decimal(quantity))


def _filled(trade_id: str, symbol: str, side: Side = Side.BUY) -> OrderFilled:
    return OrderFilled(
        trade_id=trade_id, symbol=symbol, side=side, quantity=Decimal(1), price=Decimal(6_000), fee=Decimal("0.01")
    )


def _quote(book: Book, symbol: str, number: int) -> None:
    last = Decimal("6001.25") + number % 7
    event = QuoteReceived(symbol=symbol, last=last, bid=last, ask=last + Decimal("0.25"))
    book.observe(f"quote/-/{symbol}", event)
