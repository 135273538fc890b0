"""Lookups in the book, one call at a time, against a plain dict."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import eventstore
import projections
from benchmarks.rows import Row, compared, row
from benchmarks.timing import NS_PER_US, each_ns, in_turns, percentile, spread
from benchmarks.workload import append_all, lives
from eventstore.trading import ContractDefined, LockoutSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.setting import Setting
    from projections import Book

P50_US_MAX = 2.0
DECIDING_P50_US_MAX = 4.0
"""For a lookup that decides about exposure: it looks at the journal each time."""
DECIDING = "lockouts.active"
ACCOUNTS = 10
DICT = "a plain dict's get"


def measure(setting: Setting) -> list[Row]:
    rounds, times, events = setting.scaled(9, 2), setting.scaled(20_000, 200), setting.scaled(50_000, 2_000)
    setting.say(f"lookup: writing {events:,} events")
    with setting.directory() as directory, eventstore.open(directory) as store:
        rng = random.Random(2)
        facts = list(itertools.islice(lives(rng, accounts=ACCOUNTS, alive=1_000, fills_max=3), events))
        append_all(store, facts)
        # What a lookup joins is there, and what it must find is in force.
        symbols = sorted({event.symbol for _, event in facts if hasattr(event, "symbol")})
        for symbol in symbols:
            store.append(f"contract/-/{symbol}", ContractDefined(symbol=symbol, multiplier=50))  # type: ignore[arg-type]
        accounts = [f"ACC{number:03}" for number in range(ACCOUNTS)]
        for account in accounts:
            store.append(f"lockout/{account}/news", LockoutSet(rule_id="news", scope="symbol:ESZ5"))
        with projections.open(store, snapshots=False) as book:
            actions = _actions(book, rng, accounts, symbols, store.clock.now_ns())

            def p50(action: Callable[[], object]) -> Callable[[], float]:
                return lambda: percentile(each_ns(action, times), 0.5) / NS_PER_US

            in_turns(1, {name: p50(action) for name, action in actions.items()})
            figures = in_turns(
                rounds, {name: p50(action) for name, action in actions.items()}, setting.rounds("lookup", rounds)
            )
    plain = figures.pop(DICT)
    return [
        row(
            f"lookup-{name.split('.')[0]}",
            f"book.{name}, p50",
            unit="µs",
            figures=ours,
            beside=compared(ours, {DICT: plain}),
            target=f"≤ {_p50_us_max(name):g} µs",
            met=spread(ours).median <= _p50_us_max(name),
            note=f"{times:,} calls a round, each timed by itself, which the figures include",
        )
        for name, ours in figures.items()
    ]


def _p50_us_max(name: str) -> float:
    return DECIDING_P50_US_MAX if name == DECIDING else P50_US_MAX


def _actions(
    book: Book, rng: random.Random, accounts: list[str], symbols: list[str], now: int
) -> dict[str, Callable[[], object]]:
    orders = [(order.account, order.order_id) for order in book.orders.open()]
    rng.shuffle(orders)
    places = [(account, symbol) for account in accounts for symbol in symbols]
    rng.shuffle(places)
    order, place, account = itertools.cycle(orders), itertools.cycle(places), itertools.cycle(accounts)
    plain = dict.fromkeys(orders, 1)
    return {
        DICT: lambda: plain.get(next(order)),
        "orders.get": lambda: book.orders.get(*next(order)),
        "positions.get": lambda: book.positions.get(*next(place)),
        DECIDING: lambda: book.lockouts.active(next(account), now),
    }
