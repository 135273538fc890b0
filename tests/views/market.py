"""A book whose prices are observed on a clock that is put where a test wants it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import projections
from eventstore import EventStore, ManualClock
from eventstore.clock import NANOSECONDS
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import ContractDefined, FeedAlive, QuoteReceived, Side, TradeExecuted, Valuation
from projections import Book
from projections.views.quotes import Price, Quote

KNOWN, STALE, UNKNOWN = "KNOWN", "STALE", "UNKNOWN"
MARK, WITHIN, LAST, MID, LIQUIDATION = (
    Valuation.MARK,
    Valuation.LAST_WITHIN_SPREAD,
    Valuation.LAST,
    Valuation.MID,
    Valuation.LIQUIDATION,
)
START = 1_750_000_000 * NANOSECONDS


class Market:
    """A book on a clock that stands where it is put; times are seconds after its start."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.book: Book = projections.open(EventStore(MemoryJournal(clock=self.clock), clock=self.clock))

    def quote(
        self,
        seconds: float,
        symbol: str = "ESZ5",
        *,
        now: float | None = None,
        source: str | None = None,
        **values: Any,  # noqa: ANN401 - int or text
    ) -> None:
        """Observe what happened then, at that time or at another one."""
        self.clock.set(at_second(seconds if now is None else now))
        members: dict[str, Any] = {name: Decimal(value) for name, value in values.items()}
        event = QuoteReceived(symbol=symbol, source=source, **members)
        self.book.observe(f"quote/-/{symbol}", event, occurred_at=at_second(seconds))

    def ask(self, seconds: int, symbol: str = "ESZ5") -> Quote:
        quote = self.book.quotes.get(symbol, START + seconds * NANOSECONDS)
        assert quote is not None
        return quote

    def names(self, *names: str, symbol: str = "ESZ5") -> None:
        self.book.append(f"contract/-/{symbol}", ContractDefined(symbol=symbol, broker_ids=names))

    def fill(self, seconds: float, price: int | str, trade_id: str = "T1", *, now: float | None = None) -> None:
        """Record an own fill that happened then, at that time or at another one."""
        self.clock.set(at_second(seconds if now is None else now))
        trade = TradeExecuted(
            trade_id=trade_id, symbol="ESZ5", side=Side.BUY, quantity=Decimal(1), price=Decimal(price)
        )
        self.book.append(f"trade/A/{trade_id}", trade, occurred_at=at_second(seconds))

    def alive(self, seconds: float, source: str) -> None:
        self.clock.set(at_second(seconds))
        self.book.observe(f"feed/-/{source}", FeedAlive(source=source))

    def define(self, symbol: str = "ESZ5", *names: str, **members: Any) -> None:  # noqa: ANN401 - a definition's own
        self.book.append(f"contract/-/{symbol}", ContractDefined(symbol=symbol, broker_ids=names, **members))

    def price(
        self, seconds: float, valuation: Valuation = Valuation.LAST_WITHIN_SPREAD, *, long: bool = True
    ) -> tuple[Any, str]:
        """Return the price of a position then, and its status."""
        found = self.priced(seconds, valuation, long=long)
        return found.price, found.standing.status.value

    def priced(
        self, seconds: float, valuation: Valuation = Valuation.LAST_WITHIN_SPREAD, *, long: bool = True
    ) -> Price:
        return self.book.quotes.price("ESZ5", at_second(seconds), valuation, long=long)

    def extremes(self, valuation: Valuation = Valuation.LAST_WITHIN_SPREAD, *, long: bool = True) -> Any:  # noqa: ANN401 - two figures, or None
        return self.book.quotes.extremes("ESZ5", self.clock.now_ns(), valuation, long=long)

    def reopen(self) -> None:
        store: Any = self.book.reader
        self.book.close()
        self.book = projections.open(store)


def at_second(seconds: float) -> int:
    return START + round(seconds * NANOSECONDS)
