"""The same trading of two accounts, one in shadow mode: where one was locked, the other would have been."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import projections
from eventstore import Event, EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountOpened,
    ContractDefined,
    EnforcementRequested,
    LimitsSet,
    LockoutCleared,
    LockoutSet,
    OrderFilled,
    OrderSubmitted,
    OrderType,
    Protection,
    ProtectionMode,
    QuoteReceived,
    Side,
    WouldAsk,
    WouldClear,
    WouldLock,
)
from projections import risk
from projections.risk import Proposal
from projections.risk.policies import Policies, Policy
from tests.projections.rules_day import ACCOUNT, CALENDAR, HOUR, NOON, SECOND

Step = tuple[str, Any]
SYMBOLS = ("ES", "NQ")
GAPS = (SECOND, 30 * SECOND, HOUR, 9 * HOUR)
_OF_THE_LOG = frozenset({"limit_position", "marks", "trips"})
"""Parts of a lockout's details that are other positions and ids in another log."""


def limits(chance: random.Random) -> list[Step]:
    """Return a few limits, each of which some of the trading will reach."""
    known = [
        ("daily-loss", {"limit": "400"}),
        ("daily-loss:equity", {"limit": "600", "basis": "equity"}),
        ("weekly-loss", {"limit": "900"}),
        ("daily-profit", {"target": "700"}),
        ("trailing-drawdown", {"distance": "800", "basis": "realized"}),
        ("maximum-contracts", {"limit": "2"}),
        ("trade-limit", {"limit": 3}),
        ("cooldown", {"losing_trips": 2, "duration": 2 * HOUR}),
        ("symbol-block", {"symbols": ["NQ"]}),
    ]
    return [("limit", each) for each in chance.sample(known, chance.randint(1, 4))]


def trading(chance: random.Random, length: int, *, quotes: bool = True) -> list[Step]:
    """Return fills, quotes and ticks, each some time after the last one."""
    steps: list[Step] = []
    for number in range(length):
        kind = chance.choice(("fill", "fill", "fill", "quote", "tick")) if quotes else "fill"
        symbol, price = chance.choice(SYMBOLS), Decimal(4_000 + chance.randint(-6, 6))
        side, quantity = chance.choice((Side.BUY, Side.SELL)), Decimal(chance.randint(1, 2))
        steps.append(("wait", chance.choice(GAPS)))
        steps.append((kind, (f"T{number}", symbol, side, quantity, price)))
    return steps


_ALIKE: dict[type[Event], int] = {
    LockoutSet: 0, WouldLock: 0, LockoutCleared: 1, WouldClear: 1, EnforcementRequested: 2, WouldAsk: 2
}  # fmt: skip


class Twin:
    """One of the two: a log in memory, its book and its policies."""

    def __init__(self, policies: Sequence[Policy], *, shadow: bool, now: int = NOON) -> None:
        self.clock = ManualClock(now)
        self.store = EventStore(MemoryJournal(clock=self.clock), clock=self.clock)
        self.book = projections.open(self.store, calendars=CALENDAR)
        self.policies = Policies(self.book, policies).start(ticking=False)
        self.append(f"account/{ACCOUNT}/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        if shadow:
            self.set_mode(Protection.SHADOW)
        for symbol in SYMBOLS:
            self.append(f"contract/-/{symbol}", ContractDefined(symbol=symbol, multiplier=Decimal(50), currency="USD"))

    def append(self, stream: str, event: Event, at: int | None = None) -> None:
        self.book.append(stream, event, actor="ann@desk", occurred_at=at)

    def set_mode(self, mode: Protection) -> None:
        self.append(f"account/{ACCOUNT}/-", ProtectionMode(mode=mode))

    def take(self, step: Step, at: int | None = None) -> None:
        """Do one step; `at`: when it happened, if it is reported later."""
        kind, what = step
        if kind == "wait":
            self.clock.advance(what)
        elif kind == "limit":
            self.append(f"limits/{ACCOUNT}/{what[0]}", LimitsSet(rule_id=what[0], parameters=what[1]))
        elif kind == "tick":
            self.policies.tick()
        else:
            trade_id, symbol, side, quantity, price = what
            if kind == "quote":
                self.book.observe(f"quote/-/{symbol}", QuoteReceived(symbol=symbol, last=price))
                return
            fill = OrderFilled(trade_id=trade_id, symbol=symbol, side=side, quantity=quantity, price=price)
            self.append(f"order/{ACCOUNT}/{trade_id}", fill, at)

    def decided(self) -> list[tuple[Any, ...]]:
        """Return what policies did to the account, or would have done, in the order of the log."""
        types = (LockoutSet, LockoutCleared, EnforcementRequested, WouldLock, WouldClear, WouldAsk)
        return [_as_decided(record.event) for record in self.store.read(types=types)]

    def locked_at(self) -> list[tuple[str, str, int]]:
        """Return which rule locked, or would have, in which scope and until when, sorted."""
        events = (record.event for record in self.store.read(types=(LockoutSet, WouldLock)))
        return sorted((event.rule_id, event.scope, event.until or 0) for event in events)  # type: ignore[attr-defined]

    def check(self) -> risk.Answer:
        order = OrderSubmitted(symbol="ES", side=Side.BUY, order_type=OrderType.MARKET, quantity=Decimal(1))
        return risk.check(self.book, Proposal.of(ACCOUNT, order), self.clock.now_ns())

    def close(self) -> None:
        self.policies.stop()
        self.book.close()
        self.store.close()


def _as_decided(event: Event) -> tuple[Any, ...]:
    """Return an event's members, the same for what was done and for what would have been."""
    given = {name: getattr(event, name) for name in event.__struct_fields__}
    details = given.get("details")
    if isinstance(details, dict):
        given["details"] = {name: each for name, each in details.items() if name not in _OF_THE_LOG}
    # A request's id has a part of its trigger's.
    given.pop("request_id", None)
    return (_ALIKE[type(event)], *sorted(given.items()))
