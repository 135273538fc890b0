"""Shared by the tests of the rules: a futures account on a Chicago calendar, its fills, quotes and limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import ClassVar

import eventstore
import projections
from eventstore import Event, EventStore, ManualClock, Record
from eventstore.clock import Times
from eventstore.trading import (
    AccountOpened,
    ContractDefined,
    EquityMarked,
    LimitBreached,
    LimitsSet,
    LockoutSet,
    OrderFilled,
    QuoteReceived,
    SessionClosed,
    Side,
    TradeBusted,
)
from projections import Book
from projections.risk.limits.groups import GroupLimits
from projections.risk.limits.kind import KINDS
from projections.risk.policies import Decision, Policies, Policy, Trigger
from projections.sessions import Calendar
from tests.places import Place

ACCOUNT = "A"
CALENDAR = Calendar(zone="America/Chicago", open=time(17), reset=time(17), flat_by=time(15, 10))
SECOND = 1_000_000_000
HOUR = 3_600 * SECOND


def at(day: int, hour: int, minute: int = 0, second: int = 0) -> int:
    """Return an instant of November 2026 in UTC; the reset of a winter's trading day is at 23:00."""
    return int(datetime(2026, 11, day, hour, minute, second, tzinfo=UTC).timestamp()) * SECOND


# Friday, 2026-11-20, at 9:00 in Chicago; its trading day's reset, and the one of Monday's.
NOON = at(20, 15)
RESET = at(20, 23)
NEXT_RESET = at(23, 23)


class IdlePolicy:
    """Is run in the place of a policy that a test does not have: its limits count as judged, and nothing is decided."""

    types: ClassVar[tuple[type[Event], ...]] = ()
    quotes: ClassVar[bool] = False
    timed: ClassVar[bool] = False

    def __init__(self, name: str) -> None:
        self.name = name

    def decide(self, book: Book, trigger: Trigger) -> Iterable[Decision]:
        return ()


def completed(policies: Sequence[Policy]) -> list[Policy]:
    """Return some policies with idle ones for every other kind of limit, so that none counts as unjudged."""
    lacking = {GroupLimits.name, *KINDS} - {policy.name for policy in policies}
    return [*policies, *map(IdlePolicy, sorted(lacking))]


class Day:
    """A store with a book and policies, whose clock is set by hand; each fill has an order of its own."""

    def __init__(self, place: Place, policies: Sequence[Policy], *, now: Times = NOON, account: str = ACCOUNT) -> None:
        self.clock = ManualClock(now)
        self.account = account
        self.store: EventStore = eventstore.open(place, clock=self.clock)
        self.number = self.store.head() * 1_000
        self.restart(policies)

    def restart(self, policies: Sequence[Policy]) -> None:
        """Open the log again, as a new process does: what was observed is gone."""
        self.book: Book = projections.open(self.store, calendars=CALENDAR)
        self.policies = Policies(self.book, completed(policies)).start(ticking=False)

    def close(self) -> None:
        self.policies.stop()
        self.book.close()
        self.store.close()

    # Events

    def open_account(self, balance: str = "50000", currency: str = "USD", *, account: str | None = None) -> None:
        stream = f"account/{account or self.account}/-"
        self.book.append(stream, AccountOpened(starting_balance=Decimal(balance), currency=currency))

    def define(
        self, symbol: str, multiplier: str = "50", currency: str | None = "USD", *, root: str | None = None
    ) -> list[Record]:
        contract = ContractDefined(symbol=symbol, multiplier=Decimal(multiplier), currency=currency, root=root)
        return self.book.append(f"contract/-/{symbol}", contract)

    def begin(self, now: int | None = None) -> None:
        """Record the current trading day."""
        day = CALENDAR.day_at(self.clock.now_ns() if now is None else now)
        self.book.append(f"session/{self.account}/{day.name}", day.opened())

    def end(self, *, late: bool = False) -> None:
        """Go to the trading day's reset, unless it is past, and record its close and the next day."""
        session = self.book.sessions.history(self.account)[-1]
        assert session.resets_at is not None
        self.clock.set(max(session.resets_at, self.clock.now_ns()))
        stream, day = f"session/{self.account}/", CALENDAR.day_at(session.resets_at)
        self.book.append(stream + session.trading_day.isoformat(), SessionClosed(trading_day=session.trading_day))
        self.book.append(stream + day.name, day.reset(late=late))

    def limit(self, rule_id: str, **parameters: object) -> Record:
        event = LimitsSet(rule_id=rule_id, parameters=parameters)
        return self.book.append(f"limits/{self.account}/{rule_id}", event, actor="risk@desk")[0]

    def old_limit(self, rule_id: str, **parameters: object) -> None:
        """Set a limit as a log may have it that was written before books refused what none can judge."""
        event = LimitsSet(rule_id=rule_id, parameters=parameters)
        self.store.append(f"limits/{self.account}/{rule_id}", event, actor="risk@desk")
        self.book.refresh()

    def fill(
        self,
        side: Side,
        price: str,
        symbol: str = "ES",
        *,
        quantity: str = "1",
        fee: str = "0",
        when: Times | None = None,
    ) -> Record:
        self.number += 1
        event = OrderFilled(
            trade_id=f"T{self.number}",
            symbol=symbol,
            side=side,
            quantity=Decimal(quantity),
            price=Decimal(price),
            fee=Decimal(fee),
        )
        return self.book.append(f"order/{self.account}/O{self.number}", event, occurred_at=when)[0]

    def make(self, amount: str, symbol: str = "ES", *, fee: str = "0", when: Times | None = None) -> Record:
        """Realize an amount of money by a round trip in one contract of 50 a point, and return its last fill."""
        price = Decimal(5_000) + Decimal(amount) / 50
        self.fill(Side.BUY, "5000", symbol, when=when)
        return self.fill(Side.SELL, str(price), symbol, fee=fee, when=when)

    def quote(self, price: str, symbol: str = "ES") -> None:
        self.book.observe(f"quote/-/{symbol}", QuoteReceived(symbol=symbol, last=Decimal(price)))

    def confirm(self, price: str, symbol: str = "ES") -> None:
        """Quote a price twice, a second apart: nothing irrevocable, and no high, follows from one observation."""
        self.quote(price, symbol)
        self.pass_seconds(1)
        self.quote(price, symbol)

    def pass_seconds(self, seconds: int) -> None:
        self.clock.advance(seconds * SECOND)

    # Consequences

    def lockouts(self) -> list[Record]:
        return list(self.store.read(types=(LockoutSet,)))

    def reasons(self) -> list[str]:
        return [record.event.reason for record in self.lockouts() if isinstance(record.event, LockoutSet)]

    def breaches(self) -> list[LimitBreached]:
        return [
            record.event
            for record in self.store.read(types=(LimitBreached,))
            if isinstance(record.event, LimitBreached)
        ]

    def is_locked(self, now: int | None = None) -> bool:
        return bool(self.book.lockouts.active(self.account, self.clock.now_ns() if now is None else now))


def trading_day(place: Place, *policies: Policy) -> Day:
    """Return a day of an opened account with a contract of 50 a point."""
    day = Day(place, policies)
    day.open_account()
    day.define("ES")
    day.begin()
    return day


def marks(day: Day) -> list[EquityMarked]:
    found = (record.event for record in day.store.read(types=(EquityMarked,)))
    return [event for event in found if isinstance(event, EquityMarked)]


def the_lockout(day: Day) -> LockoutSet:
    [record] = day.lockouts()
    assert isinstance(record.event, LockoutSet)
    return record.event


def details(day: Day) -> dict[str, object]:
    found = the_lockout(day).details
    assert isinstance(found, dict)
    return found


def busted(trade_id: str, side: Side, price: int) -> TradeBusted:
    return TradeBusted(trade_id=trade_id, symbol="ES", side=side, quantity=Decimal(1), price=Decimal(price))
