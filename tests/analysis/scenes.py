"""Small histories for the frames of past states: what happened when, and when it was recorded."""

from decimal import Decimal
from typing import Any

from eventstore import Event, EventStore, ManualClock, Record
from eventstore.clock import to_ns
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountOpened,
    CashKind,
    CashMoved,
    ContractDefined,
    Side,
    TradeExecuted,
)

DAY = "2025-06-16"
SECOND = 1_000_000_000
HOUR = 3_600 * SECOND


def at(time: str, day: str = DAY) -> int:
    """Return an instant of a day in UTC, in UNIX ns."""
    return to_ns(f"{day}T{time}Z")


class Scene:
    """A log in memory to which facts of any time are added; each is recorded a nanosecond after the last, or later."""

    def __init__(self, *, opened: str | None = "00:00:00", balance: int = 10_000) -> None:
        clock = ManualClock(at("00:00:00") - HOUR)
        self.store = EventStore(MemoryJournal(clock=clock, log_id=bytes(16)), clock=clock)
        self.clock, self._trades = clock, 0
        if opened is not None:
            for symbol in ("X", "Y"):
                self.add(f"contract/-/{symbol}", ContractDefined(symbol=symbol, multiplier=Decimal(1), currency="USD"))
            self.open(opened, balance)

    def add(self, stream: str, event: Event, occurred_at: int | None = None, recorded_at: int | None = None) -> Record:
        occurred = self.clock.now_ns() if occurred_at is None else occurred_at
        recorded = occurred if recorded_at is None else recorded_at
        self.clock.set(max(self.clock.now_ns(), recorded))
        return self.store.append(stream, event, occurred_at=occurred, actor="test")[0]

    def open(self, time: str, balance: int, account: str = "A", currency: str = "USD") -> Record:
        opened = AccountOpened(starting_balance=Decimal(balance), currency=currency)
        return self.add(f"account/{account}/-", opened, at(time))

    def trade(
        self,
        time: str,
        side: Side,
        quantity: int,
        price: object,
        *,
        symbol: str = "X",
        account: str = "A",
        **more: Any,  # noqa: ANN401 - any argument of a frame
    ) -> Record:
        """Add an execution; `late` is when it was recorded, `day` its date."""
        self._trades += 1
        trade_id = f"T{self._trades}"
        event = TradeExecuted(
            trade_id=trade_id, symbol=symbol, side=side, quantity=Decimal(quantity), price=Decimal(str(price))
        )
        happened = at(time, more.get("day", DAY))
        late = None if more.get("late") is None else at(more["late"], more.get("day", DAY))
        return self.add(f"trade/{account}/{trade_id}", event, happened, late)

    def buy(self, time: str, quantity: int, price: object, **more: Any) -> Record:  # noqa: ANN401 - any argument of a frame
        return self.trade(time, Side.BUY, quantity, price, **more)

    def sell(self, time: str, quantity: int, price: object, **more: Any) -> Record:  # noqa: ANN401 - any argument of a frame
        return self.trade(time, Side.SELL, quantity, price, **more)

    def cash(self, time: str, amount: int, kind: CashKind = CashKind.DEPOSIT, **more: Any) -> Record:  # noqa: ANN401 - any argument of a frame
        event = CashMoved(kind=kind, amount=Decimal(amount), currency=more.get("currency", "USD"))
        return self.add(f"account/{more.get('account', 'A')}/-", event, at(time, more.get("day", DAY)))


def prices(*rows: tuple[object, str, object]) -> dict[str, list[Any]]:
    """Return prices as a frame's columns."""
    return {
        "at": [each if isinstance(each, int) else at(str(each)) for each, _, _ in rows],
        "symbol": [symbol for _, symbol, _ in rows],
        "price": [None if price is None else Decimal(str(price)) for _, _, price in rows],
    }


def rows(frame: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - any argument of a frame
    """Return a frame's rows; instants as UNIX ns, which Python's own types cannot hold."""
    table = frame.to_arrow()
    columns: dict[str, list[Any]] = {}
    for name in table.column_names:
        column = table.column(name)
        kind = str(column.type)
        columns[name] = (column.cast("int64") if kind.startswith("timestamp") else column).to_pylist()
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def column(frame: Any, name: str) -> list[Any]:  # noqa: ANN401 - any argument of a frame
    return [row[name] for row in rows(frame)]
