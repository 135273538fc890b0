"""Why an account was locked: the tree of causes and effects of random lockouts in a long log, with a worker's cuts."""

from __future__ import annotations

import itertools
import random
from decimal import Decimal
from typing import TYPE_CHECKING

import eventstore
import projections
from benchmarks.rows import Row, row
from benchmarks.timing import NS_PER_US, each_ns, percentile, spread
from benchmarks.workload import append_all, lives
from eventstore import ManualClock
from eventstore.clock import NANOSECONDS, utc_date
from eventstore.trading import ContractDefined, LimitsSet, LockoutSet, OrderFilled
from projections import auditing
from projections.worker import CutPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.setting import Setting
    from eventstore import EventStore, Record

MS_MAX = 100.0
ACCOUNTS = 100
FILLS_MAX = 3
FULL = 10_000_000
DAY_EVENTS = 50_000
"""Events of all accounts in a day: some 500 of each."""
LOCKED = 10
"""Accounts that are locked each day."""
RULE = "daily-loss"
BEGINS_AT = 1_760_000_000 * NANOSECONDS
DAY_NS = 24 * 3_600 * NANOSECONDS
NS_PER_MS = NS_PER_US * 1_000
SYMBOLS = ("ESZ5", "NQZ5", "MNQZ5", "CLF6", "GCG6", "ZNH6", "6EZ5", "RTYZ5")


def measure(setting: Setting) -> list[Row]:
    rounds = setting.scaled(5, 2)
    events = setting.scaled(1_000_000, 4_000, FULL)
    clock = ManualClock(BEGINS_AT - BEGINS_AT % DAY_NS)
    with setting.directory() as directory, eventstore.open(directory, clock=clock) as store:
        lockouts = _build(setting, store, clock, events)
        rng = random.Random(7)
        setting.say("causes: why of lockouts")
        taken = [each_ns(_asker(store, rng, lockouts), setting.scaled(200, 5)) for _ in range(rounds)]
    figures = [percentile(times, 0.99) / NS_PER_MS for times in taken]
    half = spread([percentile(times, 0.5) / NS_PER_MS for times in taken]).median
    scale = f"{events:,} events, {ACCOUNTS} accounts, {len(lockouts):,} lockouts"
    if events != FULL and not setting.quick:
        scale += f"; the target is for {FULL:,} events: --full"
    note = f"p50 {half:.1f} ms; {scale}; each with the fills of its day, the limit and what followed"
    met = spread(figures).median <= MS_MAX
    return [
        row("why", "why of a lockout, p99", unit="ms", figures=figures, target=f"≤ {MS_MAX:g} ms", met=met, note=note)
    ]


def _build(setting: Setting, store: EventStore, clock: ManualClock, events: int) -> list[Record]:
    """Write days of trading, each with some lockouts at its end; return these."""
    day_events = min(DAY_EVENTS, events // 4)
    every, since_cut = min(CutPolicy().events, events // 10), 0
    lived = lives(random.Random(5), accounts=ACCOUNTS, alive=setting.scaled(2_000, 20), fills_max=FILLS_MAX)
    lockouts: list[Record] = []
    limits = _begin(store)
    with projections.open(store) as book:
        while store.head() < events:
            before = store.head()
            append_all(store, itertools.islice(lived, day_events))
            lockouts += _lock(store, before, limits)
            book.refresh()
            since_cut += store.head() - before
            if since_cut >= every:
                book.snapshot()
                since_cut = 0
            clock.advance(DAY_NS)
            setting.say(f"causes: {store.head():,} of {events:,} events written, folded and cut")
    return lockouts


def _begin(store: EventStore) -> dict[str, int]:
    """Define the contracts and set a limit of each account; return the limits' log positions."""
    for symbol in SYMBOLS:
        store.append(f"contract/-/{symbol}", ContractDefined(symbol=symbol, multiplier=Decimal(50), currency="USD"))
    limit = LimitsSet(rule_id=RULE, parameters={"limit": "1000"})
    names = [f"ACC{number:03}" for number in range(ACCOUNTS)]
    return {name: store.append(f"limits/{name}/{RULE}", limit, actor="risk")[0].position for name in names}


def _lock(store: EventStore, before: int, limits: dict[str, int]) -> list[Record]:
    newest: dict[str, Record] = {}
    for record in store.read(after=before, types=OrderFilled):
        newest[record.account] = record
    found = []
    for account, fill in sorted(newest.items())[:LOCKED]:
        details = {"limit_position": limits[account], "trading_day": utc_date(fill.occurred_at).isoformat()}
        event = LockoutSet(rule_id=RULE, reason="daily loss reached", details=details)
        found += store.append(f"lockout/{account}/{RULE}", event, causation_id=fill.id, actor=f"policy:{RULE}")
    return found


def _asker(store: EventStore, rng: random.Random, lockouts: list[Record]) -> Callable[[], object]:
    def ask() -> object:
        return auditing.why(store, rng.choice(lockouts))

    return ask
