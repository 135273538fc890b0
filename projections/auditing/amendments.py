"""What other records say of earlier ones: busts and corrections of trades by their ids, corrections of equity."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from eventstore import EventStore, StoreError
from eventstore.trading import (
    EquityCorrected,
    EquityMarked,
    LockoutSet,
    OrderFilled,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections.replay import as_of
from projections.views.executions.state import VIEW as EXECUTIONS

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator

    from eventstore import Event, EventReader, Record
    from projections.book import Book
    from projections.views.executions.state import ExecutionsState

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
        self._books: dict[str, Book] = {}
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
        if head != self._log_position:
            self._books = {}
        self._log_position = head

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._trades or self._corrected)

    def of_trade(self, record: Record, event: Event, head: Book | None = None) -> Iterator[TradeAmendment]:
        """Yield what amends the trade that a record reports, oldest first; its contract may go by any of its names.

        `head` is a book at the log's head, where there is one: else the account is folded, if it has any amendment.
        """
        if not isinstance(event, OrderFilled | TradeExecuted):
            return
        for each in self._trades.get((record.account, event.trade_id), ()):
            if _is_about(self._book_of(record.account) if head is None else head, each, record, event):
                yield each

    def _book_of(self, account: str) -> Book:
        """Return what is known of an account at the log's head: only the few trades that are amended ask for it."""
        known = self._books.get(account)
        if known is None:
            known = self._books[account] = as_of(self._store, position=self._log_position, account=account)
        return known

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


def _is_about(book: Book, amendment: TradeAmendment, record: Record, event: OrderFilled | TradeExecuted) -> bool:
    """Return whether an amendment is about the trade of a record, and not about another one of its id."""
    try:
        if amendment.symbol not in {None, event.symbol} and not _is_same(book, amendment.symbol, event.symbol):
            return False
        changed = _changed_by(book, amendment, record, event)
    except StoreError:
        # The fold of the account has stopped: what the records themselves say is all there is.
        return amendment.symbol in {None, event.symbol}
    return not changed or record.position in changed


def _is_same(book: Book, one: str | None, other: str) -> bool:
    """Return whether two names are known to be of one contract."""
    contracts = [None if name is None else book.contracts.find(name) for name in (one, other)]
    return contracts[0] is not None and contracts[0] == contracts[1]


def _changed_by(book: Book, amendment: TradeAmendment, record: Record, event: OrderFilled | TradeExecuted) -> set[int]:
    """Return the first reports of the trades that an amendment changed; none for one reported again."""
    state: ExecutionsState | None = book.state(EXECUTIONS, record.account)
    items = () if state is None else state.recent.find(event.trade_id)
    firsts = {item.log_position for item in items}
    if record.position not in firsts and any(first < record.position for first in firsts):
        return set()
    return {item.log_position for item in items for each in item.history if each.since[1] == amendment.position}
