"""What other records say of earlier ones: busts and corrections of trades by their ids, corrections of equity."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from eventstore import EventStore
from eventstore.trading import (
    EquityCorrected,
    EquityMarked,
    LockoutSet,
    OrderFilled,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator

    from eventstore import Event, EventReader, Record
    from projections.book import Book

TYPES = (TradeBusted, TradeCorrected, EquityCorrected)
_CHAIN_MAX = 100


class TradeAmendment(NamedTuple):
    """A bust or a correction of a trade: its log position, and the contract that it names."""

    position: int
    symbol: str | None
    is_bust: bool


class Amendments:
    """The busts and corrections that a log has of an account or of all, as known at its head."""

    def __init__(self, store: EventReader, account: str | None) -> None:
        self._store, self._account = store, account
        self._trades: dict[tuple[str, str], list[TradeAmendment]] = {}
        self._corrected: dict[tuple[str, bytes], list[int]] = {}
        self._first: dict[tuple[str, str], str] = {}
        self._log_position = 0
        self.keep_up()

    def keep_up(self) -> None:
        """Take in what was recorded since this was last called."""
        head = self._store.head()
        known = set(self._store.types())
        types = tuple([cls for cls in TYPES if cls.__name__ in known])
        found = self._store.read(after=self._log_position, until=head, account=self._account, types=types)
        for record in found if types else ():
            self._take(record)
        self._log_position = head

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._trades or self._corrected)

    def of_trade(self, record: Record, event: Event, book: Book) -> Iterator[TradeAmendment]:
        """Yield what amends the trade that a record reports, oldest first; its contract may go by any of its names."""
        if not isinstance(event, OrderFilled | TradeExecuted):
            return
        for each in self._trades.get((record.account, event.trade_id), ()):
            if each.symbol is None or _name(book, each.symbol) == _name(book, event.symbol):
                yield each

    def of_record(self, record: Record) -> list[int]:
        """Return the log positions of the corrections of equity that name a record as wrong."""
        return self._corrected.get((record.account, record.id), [])

    def _take(self, record: Record) -> None:
        event, account = record.event, record.account
        if isinstance(event, EquityCorrected):
            if event.wrong is not None:
                self._corrected.setdefault((account, event.wrong.bytes), []).append(record.position)
        elif isinstance(event, TradeBusted | TradeCorrected):
            trade_id = self._trade_id(account, event.trade_id)
            amendment = TradeAmendment(record.position, event.symbol, isinstance(event, TradeBusted))
            self._trades.setdefault((account, trade_id), []).append(amendment)
            if isinstance(event, TradeCorrected) and event.correction_id not in {None, trade_id}:
                self._first[account, event.correction_id or ""] = trade_id

    def _trade_id(self, account: str, named: str) -> str:
        """Return the id of the trade that an id names: its own, or that of one of its corrections."""
        for _ in range(_CHAIN_MAX):
            earlier = self._first.get((account, named))
            if earlier is None:
                break
            named = earlier
        return named


def position_of(store: EventReader, account: str, id_: uuid.UUID) -> int | None:
    """Return the log position of the mark or lockout of an account that an id names; None without one."""
    if isinstance(store, EventStore):
        record = store.find(id_)
        # One of another account is not what the id is for.
        return None if record is None or record.account != account else record.position
    found = (
        record.position
        for record in store.read(account=account, types=(EquityMarked, LockoutSet))
        if record.id == id_.bytes
    )
    return next(found, None)


def _name(book: Book, symbol: str) -> str:
    contract = book.contracts.find(symbol)
    return symbol if contract is None else contract.symbol
