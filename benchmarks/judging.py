"""Judging: a quote of an open position, with every shipped policy and an account's limits on equity."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import eventstore
import projections
from benchmarks.rows import Row, compared, row
from benchmarks.timing import NS_PER_US, each_ns, in_turns, percentile, spread
from eventstore import ManualClock
from eventstore.trading import AccountOpened, ContractDefined, LimitsSet, OrderFilled, QuoteReceived, Side
from projections import Policies
from projections.rules import shipped_rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.setting import Setting
    from projections import Book

P50_US_MAX = 200.0
START = 1_790_000_000_000_000_000
APART = 50_000_000
SYMBOLS = {"ESZ6": 50, "NQZ6": 20}
LIMITS: dict[str, dict[str, Any]] = {
    "daily-loss": {"limit": "15000", "basis": "equity", "trailing": True},
    "weekly-loss": {"limit": "30000", "basis": "equity"},
    "daily-profit": {"target": "50000", "basis": "equity"},
    "trailing-drawdown": {"distance": "20000", "basis": "equity"},
    "maximum-contracts": {"limit": "10"},
}
BARE = "observed without policies"


def measure(setting: Setting) -> list[Row]:
    rounds, times = setting.scaled(9, 2), setting.scaled(1_000, 20)
    with (
        setting.directory() as directory,
        eventstore.open(directory, clock=ManualClock(START)) as store,
        projections.open(store, snapshots=False) as judged,
        projections.open(store, snapshots=False) as bare,
    ):
        _set_up(judged)
        bare.refresh()
        policies = Policies(judged, shipped_rules()).start(ticking=False)
        numbers = itertools.count(1)
        measures: dict[str, Callable[[], float]] = {
            "judged": lambda: _p50(judged, store.clock, numbers, times),  # type: ignore[arg-type]
            BARE: lambda: _p50(bare, store.clock, numbers, times),  # type: ignore[arg-type]
        }
        in_turns(1, measures)
        figures = in_turns(rounds, measures, setting.rounds("judging", rounds))
        policies.stop()
    ours = figures["judged"]
    return [
        row(
            "judging",
            "book.observe of a quote, judged by all policies, p50",
            unit="µs",
            figures=ours,
            beside=compared(ours, {BARE: figures[BARE]}),
            target=f"≤ {P50_US_MAX:g} µs",
            met=spread(ours).median <= P50_US_MAX,
            note=f"one account, two open positions, {len(LIMITS)} limits, four of them on equity; nothing is reached",
        )
    ]


def _set_up(book: Book) -> None:
    book.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
    for rule_id, parameters in LIMITS.items():
        book.append(f"limits/A/{rule_id}", LimitsSet(rule_id=rule_id, parameters=parameters), actor="bench")
    for symbol, worth in SYMBOLS.items():
        contract = ContractDefined(symbol=symbol, multiplier=Decimal(worth), tick_size=Decimal("0.25"), currency="USD")
        book.append(f"contract/-/{symbol}", contract)
        fill = OrderFilled(
            trade_id=symbol, symbol=symbol, side=Side.BUY, quantity=Decimal(1), price=Decimal(6_000), fee=Decimal(2)
        )
        book.append(f"order/A/{symbol}", fill)


def _p50(book: Book, clock: ManualClock, numbers: itertools.count[int], times: int) -> float:
    taken = []
    for _ in range(times):
        clock.advance(APART)
        number = next(numbers)
        symbol = list(SYMBOLS)[number % len(SYMBOLS)]
        # Below what was paid, so that no quote is a new high, which would be appended.
        event = QuoteReceived(symbol=symbol, last=Decimal("5999.75") - number % 9)
        taken += each_ns(lambda symbol=symbol, event=event: book.observe(f"quote/-/{symbol}", event), 1)  # type: ignore[misc]
    return percentile(taken, 0.5) / NS_PER_US
