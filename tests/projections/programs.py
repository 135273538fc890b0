"""Shared by the tests of worked examples: an account of a firm's program, on a real store and the shipped policies."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time
from decimal import Decimal

import eventstore
import projections
from eventstore import ManualClock
from eventstore.trading import (
    AccountConfigured,
    AccountOpened,
    CashKind,
    CashMoved,
    ContractDefined,
    LimitsSet,
    OrderFilled,
    OrderSubmitted,
    QuoteReceived,
    Side,
)
from projections import Policies
from projections.risk import Proposal, check
from projections.rules import shipped_rules
from projections.sessions import Calendar
from projections.valuation import Status
from tests.places import Place

SECOND = 1_000_000_000
ACCOUNT, SYMBOL, UNITS = "A", "EURUSD", 100
PRICE = Decimal(10_000)
CHICAGO = Calendar(zone="America/Chicago", open=time(17), reset=time(17))
PRAGUE = Calendar(zone="Europe/Prague", open=time(0), reset=time(0))
ATHENS = Calendar(zone="Europe/Athens", open=time(0), reset=time(0))
UTC_MIDNIGHT = Calendar(zone="UTC", open=time(0), reset=time(0), weekdays=(0, 1, 2, 3, 4, 5, 6))
BREAKOUT = Calendar(zone="UTC", open=time(0, 30), reset=time(0, 30), weekdays=(0, 1, 2, 3, 4, 5, 6))
MONDAY = datetime(2026, 11, 16, 12, tzinfo=UTC)


class Program:
    """An account of a firm's program, its days and the figures of its rules; one unit of the price is 100 of money."""

    def __init__(self, place: Place, calendar: Calendar, balance: int, quantity: int = UNITS) -> None:
        self.calendar = calendar
        self.clock = ManualClock(MONDAY)
        self.store = eventstore.open(place, clock=self.clock)
        self.book = projections.open(self.store, calendars=calendar)
        self.policies = Policies(self.book, shipped_rules()).start(ticking=False)
        self.orders = self.held = 0
        self.price, self.left_open, self.quantity = PRICE, Decimal(0), Decimal(quantity)
        contract = ContractDefined(symbol=SYMBOL, multiplier=UNITS / self.quantity, currency="USD")
        self.book.append(f"contract/-/{SYMBOL}", contract)
        opened = AccountOpened(starting_balance=Decimal(balance), currency="USD")
        self.book.append(f"account/{ACCOUNT}/-", opened)
        self.policies.tick()

    def configure(self, **settings: object) -> None:
        event = AccountConfigured(**settings)  # type: ignore[arg-type]
        self.book.append(f"account/{ACCOUNT}/-", event, actor="desk")

    def limit(self, rule_id: str, **parameters: object) -> None:
        """Set a limit, in force at once: a looser one would wait for the next session."""
        event = LimitsSet(rule_id=rule_id, parameters=parameters)
        self.book.append(f"limits/{ACCOUNT}/{rule_id}", event, actor="desk")

    def move_cash(self, kind: CashKind, amount: int) -> None:
        event = CashMoved(amount=Decimal(amount), currency="USD", kind=kind)
        self.book.append(f"account/{ACCOUNT}/-", event)

    # Trading

    def hold(self, side: Side) -> None:
        """Open a position at the present price."""
        self._trade(side)
        self.held, self.left_open = (1 if side is Side.BUY else -1), self.price

    def show(self, open_result: int) -> None:
        """Observe the price at which the open position has a result."""
        self.price = self.left_open + self.held * Decimal(open_result) / UNITS
        self.quote()

    def close_out(self) -> None:
        """Close the position at the present price."""
        self._trade(Side.SELL if self.held > 0 else Side.BUY)
        self.held = 0

    def make(self, amount: int) -> None:
        """Open a position and close it with a result."""
        self.hold(Side.BUY)
        self.price += Decimal(amount) / UNITS
        self.close_out()

    def quote(self) -> None:
        self.clock.advance(SECOND)
        quote = QuoteReceived(symbol=SYMBOL, last=self.price, bid=self.price, ask=self.price)
        self.book.observe(f"quote/-/{SYMBOL}", quote)

    def _trade(self, side: Side) -> None:
        self.clock.advance(SECOND)
        self.orders += 1
        fill = OrderFilled(
            trade_id=f"T-{self.orders}", symbol=SYMBOL, side=side, quantity=self.quantity, price=self.price
        )
        self.book.append(f"order/{ACCOUNT}/O-{self.orders}", fill)

    def end_day(self) -> None:
        """Go past the day's reset with what is open, while quotes of the present price flow."""
        reset = self.book.sessions.next_reset(ACCOUNT, self.clock.now_ns())
        assert reset is not None
        self.clock.set(reset - 3 * SECOND)
        self.quote()
        self.quote()
        self.clock.set(reset)
        self.policies.tick()
        self.quote()
        self.quote()

    # Figures

    @property
    def balance(self) -> int | Decimal:
        return self.book.accounts.balance(ACCOUNT)

    @property
    def equity(self) -> int | Decimal:
        equity = self.book.equity.now(ACCOUNT)
        assert equity.status is Status.KNOWN, equity.why
        return equity.equity

    @property
    def floor(self) -> int | Decimal | None:
        """The floor of the trailing drawdown."""
        mark = self.book.equity.get(ACCOUNT)
        return None if mark is None else mark.floor

    @property
    def used(self) -> int | Decimal:
        """How much of the only limit the account has used up, as the check before an order has it."""
        [rule_id] = [limit.rule_id for limit in self.book.limits.of(ACCOUNT)]
        return self.used_of(rule_id)

    def used_of(self, rule_id: str) -> int | Decimal:
        """Return how much of one of its limits the account has used up."""
        order = OrderSubmitted(symbol=SYMBOL, side=Side.BUY, quantity=Decimal(1))
        findings = check(self.book, Proposal.of(ACCOUNT, order), self.clock.now_ns()).findings
        [finding] = [each for each in findings if each.rule_id == rule_id]
        assert finding.figure is not None, finding.reason
        return finding.figure

    @property
    def locked_by(self) -> list[str]:
        return [each.rule_id for each in self.book.lockouts.active(ACCOUNT, self.clock.now_ns())]

    def breaks_at(self, floor: int) -> bool:
        """Return whether equity one above a floor locks nothing, and equity at it does."""
        assert self.held, "a position moves the equity"
        for above in (1, 1):
            self.show_equity(floor + above)
            if self.locked_by:
                return False
        for _ in range(2):
            self.show_equity(floor)
        return bool(self.locked_by)

    def show_equity(self, equity: int) -> None:
        self.show(int(equity - self.balance))
        if not self.locked_by:
            assert self.equity == equity

    def close(self) -> None:
        self.policies.stop()
        self.book.close()
        self.store.close()


Begin = Callable[[Calendar, int], Program]
BeginProgram = Callable[[str], Program]
