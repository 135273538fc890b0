"""The demo's second child process: an account with a position open, and the feed that its value depends on."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from typing import TextIO

import msgspec

import eventstore
from eventstore import ManualClock
from eventstore.clock import NANOSECONDS, parse_time
from eventstore.trading import (
    AccountOpened,
    FeedAlive,
    LimitsSet,
    OrderFilled,
    OrderSubmitted,
    QuoteReceived,
    Side,
    Verdict,
)
from gateways.demo.day import DESK
from gateways.demo.trading import CALENDAR
from gateways.importers import contract_for
from projections import Book, Policies
from projections import open as open_book
from projections.risk import Proposal, check
from projections.rules import shipped_rules
from projections.valuation import Status

COMMAND = "demo-feed"
ACCOUNT, SYMBOL, SOURCE = "ACC4", "ESZ5", "CME"
BEGINS_AT = parse_time("2025-11-19T10:00:00-06:00")
QUANTITY = Decimal(2)
ENTRY, LAST = Decimal("6660.00"), Decimal("6664.00")
STALE_SECONDS, LOCKED_SECONDS = 11, 30


class Seen(msgspec.Struct, frozen=True):
    """What a process sees of the account at an instant (UNIX ns)."""

    at: int
    status: Status
    why: str
    equity: Decimal
    high_water: Decimal
    floor: Decimal | None
    last_good: dict[str, tuple[Decimal, int]]
    buy: str
    """Why an order that opens is rejected; empty if it may be sent."""
    sell: str
    lockouts: dict[str, int | None]
    """The rules that lock the account, each with its end."""


class Desk:
    """A book with the shipped policies on a log of one account, at times that are set by hand."""

    def __init__(self, directory: Path, at: int) -> None:
        self.clock = ManualClock(at)
        self.store = eventstore.open(directory, clock=self.clock)
        self.book: Book = open_book(self.store, calendars=CALENDAR)
        self.policies = Policies(self.book, shipped_rules())

    def begin(self) -> None:
        """Record the contract, the account, its limits and the position."""
        append = self.book.append
        append(f"contract/-/{SYMBOL}", contract_for(SYMBOL))
        append(f"account/{ACCOUNT}/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        for rule, parameters in (
            ("daily-loss", {"limit": "1000", "basis": "equity"}),
            ("trailing-drawdown", {"distance": "2000", "basis": "equity"}),
        ):
            append(f"limits/{ACCOUNT}/{rule}", LimitsSet(rule_id=rule, parameters=parameters), actor=DESK)
        self.policies.start(ticking=False)
        order = OrderSubmitted(symbol=SYMBOL, side=Side.BUY, quantity=QUANTITY)
        fill = OrderFilled(trade_id="T-1", symbol=SYMBOL, side=Side.BUY, quantity=QUANTITY, price=ENTRY)
        append(f"order/{ACCOUNT}/O-1", [order, fill])

    def quote(self, last: Decimal, seconds: int = 1) -> None:
        """Let time pass, and observe a quote at its end."""
        self.wait(seconds)
        tick = Decimal("0.25")
        quote = QuoteReceived(symbol=SYMBOL, last=last, bid=last - tick, ask=last + tick, source=SOURCE)
        self.book.observe(f"quote/-/{SYMBOL}", quote)

    def heartbeat(self, seconds: int) -> None:
        """Let time pass, and observe that the feed works, though it has nothing new."""
        self.wait(seconds)
        self.book.observe(f"feed/-/{SOURCE}", FeedAlive(source=SOURCE))

    def wait(self, seconds: int) -> None:
        """Let time pass: the policies look at the clock each second."""
        for _ in range(seconds):
            self.clock.advance(NANOSECONDS)
            self.policies.tick()

    def see(self) -> Seen:
        now = self.clock.now_ns()
        equity = self.book.equity.now(ACCOUNT)
        return Seen(
            at=now,
            status=equity.status,
            why=equity.why,
            equity=equity.equity,
            high_water=equity.high_water,
            floor=equity.floor,
            last_good={symbol: (used.price, used.at) for symbol, used in equity.last_good.items()},
            buy=self._rejection(Side.BUY),
            sell=self._rejection(Side.SELL),
            lockouts={each.rule_id: each.until for each in self.book.lockouts.active(ACCOUNT, now)},
        )

    def _rejection(self, side: Side) -> str:
        order = OrderSubmitted(symbol=SYMBOL, side=side, quantity=Decimal(1))
        answer = check(self.book, Proposal.of(ACCOUNT, order, order_id="O-2"), self.clock.now_ns())
        return answer.reason if answer.verdict is Verdict.REJECT else ""

    def close(self) -> None:
        self.policies.stop()
        self.book.close()
        self.store.close()


def lose_the_feed(directory: Path, out: TextIO) -> None:
    """Hold a position while its feed dies, write what is seen, and wait to be killed."""
    desk = Desk(directory, BEGINS_AT)
    desk.begin()
    for points in range(int(LAST - ENTRY) + 1):
        desk.quote(ENTRY + points)
    # A second observation confirms the high, so that it is marked.
    desk.quote(LAST)
    for seconds in (0, STALE_SECONDS, LOCKED_SECONDS):
        desk.wait(seconds)
        out.write(msgspec.json.encode(desk.see()).decode() + "\n")
        out.flush()
    sys.stdin.read()
