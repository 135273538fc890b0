"""Shared by the tests of enforcement: requests of an account, the broker's answers, and the log behind them."""

from __future__ import annotations

from decimal import Decimal

from eventstore import EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountOpened,
    ContractDefined,
    EnforcementAction,
    EnforcementRequested,
    LockoutSet,
    OrderFilled,
    OrderSubmitted,
    Side,
)
from projections import Book
from projections.views.enforcement import Enforcement

START = 1_790_000_000_000_000_000
SECOND = 1_000_000_000


def store_in_memory(clock: ManualClock | None = None) -> EventStore:
    given = ManualClock(START) if clock is None else clock
    return EventStore(MemoryJournal(clock=given), clock=given)


def opened(book: Book | EventStore, account: str = "A") -> None:
    """Open an account, and define the contract that it trades."""
    book.append(f"account/{account}/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
    define = ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD")
    book.append("contract/-/ES", define, key="ES")


def ask(
    book: Book,
    action: EnforcementAction = EnforcementAction.FLATTEN,
    request_id: str = "R1",
    *,
    account: str = "A",
    symbol: str | None = None,
    quantity: str | None = None,
) -> Enforcement:
    """Append a request, and return it as the book has it."""
    size = None if quantity is None else Decimal(quantity)
    event = EnforcementRequested(
        rule_id="desk", action=action, reason="go home", request_id=request_id, symbol=symbol, quantity=size
    )
    book.append(f"enforcement/{account}/{request_id}", event)
    found = book.enforcement.get(account, request_id)
    assert found is not None
    return found


def lock(book: Book, account: str = "A") -> None:
    book.append(f"lockout/{account}/desk", LockoutSet(rule_id="desk", reason="go home"))


def trade(
    book: Book, side: Side, quantity: str = "1", price: str = "6000", *, order_id: str = "O1", account: str = "A"
) -> None:
    """Send an order and fill it."""
    size = Decimal(quantity)
    sent = OrderSubmitted(symbol="ES", side=side, quantity=size)
    fill = OrderFilled(trade_id=f"T-{order_id}", symbol="ES", side=side, quantity=size, price=Decimal(price))
    book.append(f"order/{account}/{order_id}", [sent, fill])
