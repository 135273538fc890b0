"""Shared by the tests of enforcement as a goal: an account, its lockouts, requests, orders, fills and reports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import projections
from eventstore import Batch, Event, EventStore, ManualClock, Record
from eventstore.clock import NANOSECONDS, to_ns
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountOpened,
    Allows,
    ContractDefined,
    EnforcementAction,
    EnforcementEscalated,
    EnforcementRequested,
    EnforcementTaken,
    LockoutCleared,
    LockoutSet,
    OrderCanceled,
    OrderFilled,
    OrderSubmitted,
    OrderType,
    PositionReported,
    Side,
)
from projections import Book, Policies
from projections.risk.enforcement.requests import requests_of
from projections.risk.policies import Policy
from projections.views.enforcement import Enforcement

NOON = datetime(2026, 11, 20, 15, tzinfo=UTC)
BEGAN = to_ns(NOON)
SECOND = NANOSECONDS
BUY, SELL = Side.BUY, Side.SELL
FLATTEN, CANCEL = EnforcementAction.FLATTEN, EnforcementAction.CANCEL_ORDERS
FLATTEN_SYMBOL, REDUCE_TO = EnforcementAction.FLATTEN_SYMBOL, EnforcementAction.REDUCE_TO


class GoalsDesk:
    """Account A on a log in memory, whose clock is set by hand; by default without any policy."""

    def __init__(self, *policies: Policy) -> None:
        self.clock = ManualClock(NOON)
        self.store = EventStore(MemoryJournal(clock=self.clock), clock=self.clock)
        self.book: Book = projections.open(self.store)
        self.policies = Policies(self.book, policies).start(ticking=False) if policies else None
        self.number = 0
        self.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        self.define("ESZ6", root="ES", broker_ids=("CON.EP",))

    def close(self) -> None:
        if self.policies is not None:
            self.policies.stop()
        self.book.close()
        self.store.close()

    @property
    def now(self) -> int:
        return self.clock.now_ns()

    def append(self, stream: str, event: Event | Sequence[Event], **more: Any) -> Record:  # noqa: ANN401 - any circumstance
        return self.book.append(stream, event, **more)[0]

    def define(self, symbol: str, **more: Any) -> None:  # noqa: ANN401 - any member
        self.append(
            f"contract/-/{symbol}", ContractDefined(symbol=symbol, multiplier=Decimal(50), currency="USD", **more)
        )

    def pass_seconds(self, seconds: float) -> None:
        """Let time pass, and the policies see it."""
        self.clock.advance(int(seconds * SECOND))
        if self.policies is not None:
            self.policies.tick()

    # Lockouts and requests

    def lock(
        self,
        action: EnforcementAction = FLATTEN,
        *,
        rule: str = "loss",
        scope: str = "account",
        seconds: float | None = None,
        **more: Any,  # noqa: ANN401 - what the request names
    ) -> list[Enforcement]:
        """Set a lockout together with what it asks for; return the requests."""
        until = None if seconds is None else self.now + int(seconds * SECOND)
        self.number += 1
        lockout = LockoutSet(rule_id=rule, scope=scope, allows=Allows.REDUCE_ONLY, reason="too much", until=until)
        asked = requests_of(
            "A", rule, action, name=f"{rule}-{self.number}", reason="too much", details={}, scope=scope, **more
        )
        records = self.book.append_many([Batch(f"lockout/A/{rule}", lockout), *(Batch(*each) for each in asked)])
        found = [self.book.enforcement.get("A", str(each.uuid)) for each in records[1:]]
        return [each for each in found if each is not None]

    def unlock(self, rule: str = "loss") -> None:
        self.append(f"lockout/A/{rule}", LockoutCleared(by="risk@desk", reason="enough"))

    def answer(self, *, success: bool = True, action: EnforcementAction | None = None) -> None:
        """Answer what has no answer yet."""
        for each in self.book.enforcement.of("A"):
            if not (each.taken or each.superseded) and action in {None, each.action}:
                stream = f"enforcement/A/{each.request_id}"
                self.append(stream, EnforcementTaken(request_id=each.request_id, success=success))

    @property
    def pending(self) -> list[tuple[str, int]]:
        """Each pending request: its action and attempt."""
        return [(str(each.action), each.attempt) for each in self.book.enforcement.pending("A")]

    @property
    def attempts(self) -> list[tuple[float, str, int]]:
        """What was asked for again: seconds after noon, action and attempt."""
        found = []
        for record in self.store.read(types=(EnforcementRequested,)):
            event = record.event
            assert isinstance(event, EnforcementRequested)
            if event.attempt > 1:
                found.append(((record.recorded_at - BEGAN) / SECOND, str(event.action), event.attempt))
        return [(round(at, 3), action, attempt) for at, action, attempt in found]

    @property
    def escalations(self) -> list[tuple[float, int]]:
        """What was escalated: seconds after noon and attempts."""
        found = [(each.recorded_at, each.event) for each in self.store.read(types=(EnforcementEscalated,))]
        return [(round((at - BEGAN) / SECOND, 3), event.attempts) for at, event in found]  # type: ignore[attr-defined]

    # Orders, fills and reports

    def submit(self, side: Side, quantity: int, order_id: str, symbol: str = "ESZ6", **more: Any) -> None:  # noqa: ANN401 - any member
        event = OrderSubmitted(
            symbol=symbol, side=side, quantity=Decimal(quantity), order_type=OrderType.STOP, stop_price=Decimal(5_000)
        )
        self.append(f"order/A/{order_id}", event, **more)

    def cancel(self, order_id: str) -> None:
        self.append(f"order/A/{order_id}", OrderCanceled())

    def fill(
        self, side: Side, quantity: int, order_id: str | None = None, symbol: str = "ESZ6", *, price: int = 5_000
    ) -> None:
        self.number += 1
        event = OrderFilled(
            trade_id=f"T{self.number}", symbol=symbol, side=side, quantity=Decimal(quantity), price=Decimal(price)
        )
        self.append(f"order/A/{order_id or f'O{self.number}'}", event)

    def report(self, quantity: int, symbol: str = "ESZ6") -> None:
        self.append(f"position/A/{symbol}", PositionReported(symbol=symbol, quantity=Decimal(quantity)))
