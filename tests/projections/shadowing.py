"""Shared by the tests of shadow mode: an account, its mode, and what was recorded of it."""

from __future__ import annotations

from decimal import Decimal

from eventstore import Event, Record
from eventstore.trading import (
    EnforcementRequested,
    LockoutSet,
    OrderSubmitted,
    OrderType,
    Protection,
    ProtectionMode,
    Side,
    WouldAsk,
    WouldClear,
    WouldLock,
)
from projections import risk
from projections.risk import Proposal
from projections.risk.policies import Policy
from projections.rules import shipped_rules
from tests.places import Place
from tests.projections.rules_day import ACCOUNT, CALENDAR, Day

ACTED = (LockoutSet, EnforcementRequested, WouldLock, WouldClear, WouldAsk)


def new_day(place: Place, *policies: Policy) -> Day:
    day = Day(place, policies or shipped_rules(CALENDAR))
    day.open_account()
    day.define("ES")
    day.begin()
    return day


def set_mode(day: Day, mode: Protection, account: str = ACCOUNT, reason: str = "to try it") -> Record:
    return day.book.append(f"account/{account}/-", ProtectionMode(mode=mode, reason=reason), actor="ann@desk")[0]


def shadow(day: Day) -> None:
    set_mode(day, Protection.SHADOW)


def arm(day: Day) -> Record:
    return set_mode(day, Protection.ARMED)


def acted(day: Day, *types: type[Event]) -> list[tuple[str, str]]:
    return [(record.type, record.stream) for record in day.store.read(types=types or ACTED)]


def buy(day: Day, quantity: int = 1, *, account: str = ACCOUNT) -> risk.Answer:
    order = OrderSubmitted(symbol="ES", side=Side.BUY, order_type=OrderType.MARKET, quantity=Decimal(quantity))
    return risk.check(day.book, Proposal.of(account, order), day.clock.now_ns())
