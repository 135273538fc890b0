"""A book of one account whose events happen when a test says, with contracts in two currencies."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import projections
from eventstore import Event, EventStore, ManualClock
from eventstore.clock import to_ns
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import ContractDefined, QuoteReceived, SessionReset
from projections.book import Book
from projections.views.executions.pnl_totals import PnlTotals

HOUR = 3_600 * 10**9
MONDAY = to_ns(datetime(2026, 1, 5, tzinfo=UTC))
TUESDAY = MONDAY + 24 * HOUR


def contract(symbol: str, multiplier: int | str, currency: str | None = "USD") -> ContractDefined:
    return ContractDefined(symbol=symbol, multiplier=Decimal(multiplier), currency=currency)


class Trading:
    """A book of account A whose events happen when each call says."""

    def __init__(self) -> None:
        self.clock = ManualClock(MONDAY)
        self.store = EventStore(MemoryJournal(), clock=self.clock)
        self.book: Book = projections.open(self.store, snapshots=False)
        for each in (contract("ESZ5", 50), contract("NQZ5", 20), contract("FDAX", 25, "EUR")):
            self.book.append(f"contract/-/{each.symbol}", each)

    def at(self, at: int, *events: Event, stream: str = "order/A/O-1") -> None:
        self.book.append(stream, list(events), occurred_at=at)

    def day(self, at: int, until: int, day: int, week: date | None = None) -> None:
        event = SessionReset(trading_day=date(2026, 1, day), scheduled_for=at, resets_at=until, week=week)
        self.at(at, event, stream=f"session/A/2026-01-{day:02}")

    def quote(self, at: int, symbol: str, price: int | str) -> None:
        self.book.observe(f"quote/-/{symbol}", QuoteReceived(symbol=symbol, last=Decimal(price)), occurred_at=at)


def amounts(made: tuple[PnlTotals, ...]) -> list[tuple[Any, ...]]:
    """Return for each currency what was realized, the fees, and what was realized by average cost."""
    return [(each.currency, each.realized, each.fees, each.realized_average_cost) for each in made]
