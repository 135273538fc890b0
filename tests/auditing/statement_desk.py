"""A desk whose trades a broker's statement is compared with: the log in memory, and rows as a file would have them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from eventstore import EventStore, ManualClock
from eventstore.clock import NANOSECONDS, parse_time
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountOpened,
    CashKind,
    CashMoved,
    ContractDefined,
    OrderFilled,
    SessionOpened,
    Side,
    TradeExecuted,
)
from projections import auditing
from projections.auditing import Break, Stated, StatedCash, StatedExecution, Statement

DAY = date(2025, 11, 18)
BEGAN = parse_time("2025-11-17T23:00:00Z")
NINE = parse_time("2025-11-18T15:00:00Z")
SECOND, MINUTE, HOUR = NANOSECONDS, 60 * NANOSECONDS, 3_600 * NANOSECONDS
BUY, SELL = Side.BUY, Side.SELL


class Desk:
    """An account in a log, and the rows of a statement that agrees with it."""

    def __init__(self, *, sessions: bool = True) -> None:
        self.clock = ManualClock(NINE + 12 * HOUR)
        self.store = EventStore(MemoryJournal(log="desk", clock=self.clock), clock=self.clock)
        self.rows: list[StatedExecution] = []
        self.cash: list[StatedCash] = []
        self.lists_cash = False
        self._define("ESZ5", 50)
        self._define("NQZ5", 20)
        opened = AccountOpened(starting_balance=Decimal(50_000), currency="USD")
        self.store.append("account/A/-", opened, occurred_at=BEGAN)
        if sessions:
            resets = BEGAN + 23 * HOUR
            session = SessionOpened(trading_day=DAY, began_at=BEGAN, resets_at=resets)
            self.store.append(f"session/A/{DAY}", session, occurred_at=BEGAN)

    def _define(self, symbol: str, multiplier: int) -> None:
        defined = ContractDefined(
            symbol=symbol, multiplier=Decimal(multiplier), currency="USD", tick_size=Decimal("0.25")
        )
        self.store.append(f"contract/-/{symbol}", defined, occurred_at=BEGAN)

    def trade(self, trade_id: str, side: Side, quantity: int, price: str, after: int, **given: Any) -> StatedExecution:  # noqa: ANN401 - a row's own
        """Record a trade, and return it as a row of the statement, which has it too."""
        symbol, fee = given.pop("symbol", "ESZ5"), Decimal(given.pop("fee", "2.5"))
        at, order = NINE + after * SECOND, given.pop("order", None)
        kind = TradeExecuted if order is None else OrderFilled
        event = kind(
            trade_id=trade_id, symbol=symbol, side=side, quantity=Decimal(quantity), price=Decimal(price), fee=fee
        )
        stream = f"trade/A/{trade_id}" if order is None else f"order/A/{order}"
        self.store.append(stream, event, occurred_at=at)
        row = StatedExecution(
            line=len(self.rows) + 2,
            account="A",
            symbol=symbol,
            side=side,
            quantity=Decimal(quantity),
            price=Decimal(price),
            at=at // SECOND * SECOND,
            trade_id=trade_id,
            order_id=order,
            fee=fee,
        )
        self.rows.append(replace(row, **given))
        return self.rows[-1]

    def move(self, kind: CashKind, amount: str, after: int, reference: str | None = None) -> None:
        """Record a movement of cash, which the statement has too."""
        event = CashMoved(amount=Decimal(amount), currency="USD", kind=kind, reference=reference)
        self.store.append("account/A/-", event, occurred_at=NINE + after * SECOND)
        received = -Decimal(amount) if kind in {CashKind.FEE, CashKind.WITHDRAWAL} else Decimal(amount)
        row = StatedCash(
            line=100 + len(self.cash),
            account="A",
            amount=received,
            currency="USD",
            kind=kind,
            at=NINE + after * SECOND,
            reference=reference,
        )
        self.cash.append(row)
        self.lists_cash = True

    def change(self, trade_id: str, /, **members: Any) -> None:  # noqa: ANN401 - a row's own
        """Change a row of the statement."""
        self.rows = [replace(each, **members) if each.trade_id == trade_id else each for each in self.rows]

    def drop(self, *trade_ids: str) -> None:
        """Take rows out of the statement."""
        self.rows = [each for each in self.rows if each.trade_id not in trade_ids]

    def each(self, change: Callable[[StatedExecution], dict[str, Any]]) -> None:
        """Change every row of the statement."""
        self.rows = [replace(each, **change(each)) for each in self.rows]

    def forget_ids(self) -> None:
        """Let the statement have no ids."""
        self.each(lambda _: {"trade_id": None})

    def stated(self, **members: Any) -> Stated:  # noqa: ANN401 - a statement's own
        kinds = frozenset(CashKind) if self.lists_cash else frozenset[CashKind]()
        plain = Stated(source="file", executions=tuple(self.rows), cash=tuple(self.cash), cash_kinds=kinds)
        return replace(plain, **members)

    def compared(self, members: dict[str, Any] | None = None, **given: Any) -> Statement:  # noqa: ANN401 - the question's own
        return auditing.statement(self.store, self.stated(**(members or {})), **given)

    def breaks(self, **members: Any) -> list[tuple[str, str | None]]:  # noqa: ANN401 - a statement's own
        """Return kind and trade id of each break."""
        return kinds(self.compared(members).breaks)


def kinds(breaks: tuple[Break, ...]) -> list[tuple[str, str | None]]:
    """Return kind and trade id of breaks, sorted."""
    return sorted((str(each.kind), each.trade_id) for each in breaks)


@contextlib.contextmanager
def desk(*, sessions: bool = True) -> Iterator[Desk]:
    """Yield a desk with a round trip of two contracts, in three trades."""
    made = Desk(sessions=sessions)
    made.trade("T-1", BUY, 2, "6700.25", 0)
    made.trade("T-2", SELL, 1, "6710.25", 60)
    made.trade("T-3", SELL, 1, "6705", 120)
    yield made
    made.store.close()
