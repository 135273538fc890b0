"""Executions that an imported file has under an id of its own: each counts once, also if it is reported live."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from eventstore.clock import NANOSECONDS
from eventstore.ids import keyed_id
from eventstore.streams import account_of, stream_of
from eventstore.trading import (
    FeeCharged,
    NoteAdded,
    OrderFilled,
    Side,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from eventstore.trading.notes import TAG_MAX
from gateways.importers.notes import is_imported
from gateways.messages.mapped import MappedEvent
from projections.view import PartitionParked
from projections.views.executions.items import ItemKind
from projections.views.executions.state import VIEW

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eventstore import EventStore, Record
    from projections import Book
    from projections.views.executions.items import Item
    from projections.views.executions.state import ExecutionsState

IMPORTED = "imported-execution"
_WITH_COSTS = "costs-known"
_TRADE = "trade "


class ImportedTrade(NamedTuple):
    """An imported trade that a live execution is, and whether its file has what trades cost."""

    trade_id: str
    has_costs: bool


class ImportedExecutions:
    """Gives live executions that a file has already the file's trade id, so that the fold counts them once.

    They are the same by account, contract, side, quantity, price and second. A note names both ids, so that what comes
    later of the execution, such as a bust, is found after a restart as well. One of these is for one commit.
    """

    def __init__(self, book: Book, store: EventStore, source: str) -> None:
        self._book, self._store, self._source = book, store, source
        self._claims: dict[tuple[str, str], ImportedTrade] = {}
        self._taken: set[int] = set()

    @property
    def accounts(self) -> frozenset[str]:
        """The accounts of the claims that were made: another one may make the same until they are recorded."""
        return frozenset(account for account, _ in self._claims)

    @property
    def count(self) -> int:
        """How many claims were made."""
        return len(self._claims)

    def named(self, events: Iterable[MappedEvent]) -> Iterator[MappedEvent]:
        """Yield events as they are to be recorded, each claim before the execution that makes it."""
        for mapped in events:
            match mapped.event:
                case OrderFilled() | TradeExecuted() as event:
                    yield from self._executed(mapped, event)
                case FeeCharged() | TradeBusted() | TradeCorrected() as event:
                    yield self._amended(mapped, event)
                case _:
                    yield mapped

    def _executed(self, mapped: MappedEvent, event: OrderFilled | TradeExecuted) -> Iterator[MappedEvent]:
        account = account_of(mapped.stream)
        claim = self._claim_of(account, event.trade_id)
        if claim is None and (imported := self._imported(account, event, mapped)) is not None:
            record, claim = imported
            self._claims[account, event.trade_id] = claim
            yield self._note(account, event.trade_id, claim, record)
        if claim is not None:
            event = replace(event, trade_id=claim.trade_id)
            # A file's costs may be on another of its executions, as those of a round trip are on its exit.
            event = replace(event, fee=type(event.fee)(0), fee_currency=None) if claim.has_costs else event
        yield replace(mapped, event=event)

    def _amended(self, mapped: MappedEvent, event: FeeCharged | TradeBusted | TradeCorrected) -> MappedEvent:
        account = account_of(mapped.stream)
        claim = self._claim_of(account, event.trade_id)
        if claim is None:
            return mapped
        if isinstance(event, FeeCharged) and claim.has_costs:
            text = f"{event.amount} {event.currency} for {event.trade_id}: the file has the costs of {claim.trade_id}"
            note = NoteAdded(target=mapped.stream, text=text, tags=(IMPORTED,))
            return replace(mapped, stream=_stream(account, f"fee {mapped.key} {event.trade_id}"), event=note)
        return replace(mapped, event=replace(event, trade_id=claim.trade_id))

    def _claim_of(self, account: str, trade_id: str) -> ImportedTrade | None:
        """Return the imported trade that a live one is known to be."""
        claim = self._claims.get((account, trade_id))
        if claim is not None:
            return claim
        found = self._store.find(keyed_id(_stream(account, trade_id), IMPORTED))
        note = None if found is None else found.event
        if not isinstance(note, NoteAdded):
            return None
        name = next(tag for tag in note.tags if tag.startswith(_TRADE))
        return ImportedTrade(name.removeprefix(_TRADE), _WITH_COSTS in note.tags)

    def _note(self, account: str, trade_id: str, claim: ImportedTrade, record: Record) -> MappedEvent:
        text = f"{self._source} trade {trade_id} is {claim.trade_id} of {record.note!r}, and counts once"
        tags = (IMPORTED, f"{_TRADE}{claim.trade_id}", *[_WITH_COSTS] * claim.has_costs)
        note = NoteAdded(target=record.stream, text=text, tags=tags)
        return MappedEvent(_stream(account, trade_id), note, IMPORTED, None)

    def _imported(
        self, account: str, event: OrderFilled | TradeExecuted, mapped: MappedEvent
    ) -> tuple[Record, ImportedTrade] | None:
        """Return the imported execution that a live one is, and that no other one is yet."""
        try:
            state: ExecutionsState | None = self._book.state(VIEW, account)
        except PartitionParked:
            return None
        # What the log has under its own id stays so.
        if state is None or mapped.occurred_at is None or state.recent.find(event.trade_id):
            return None
        contract = self._book.contracts.find(event.symbol)
        symbol = event.symbol if contract is None else contract.symbol
        quantity = event.quantity if event.side is Side.BUY else -event.quantity
        second = mapped.occurred_at // NANOSECONDS
        for item in _trades(state):
            if (
                item.at // NANOSECONDS == second
                and (item.quantity, item.price, item.symbol) == (quantity, event.price, symbol)
                and len(item.streams) == 1
                and item.log_position not in self._taken
                and (record := self._import_of(item)) is not None
            ):
                self._taken.add(item.log_position)
                return record, ImportedTrade(item.trade_id or "", self._has_costs(state, record.note))
        return None

    def _import_of(self, item: Item) -> Record | None:
        """Return the record of a trade if a file stated it, under an id that a note can name."""
        (record,) = self._store.read(after=item.log_position - 1, limit=1)
        is_nameable = 0 < len(item.trade_id or "") <= TAG_MAX - len(_TRADE)
        return record if is_imported(record) and is_nameable else None

    def _has_costs(self, state: ExecutionsState, note: str) -> bool:
        """Return whether an imported file has the costs of its executions."""
        charged = (item for item in _trades(state) if item.stated_fees)
        return any(record.note == note for item in charged if (record := self._import_of(item)) is not None)


def _trades(state: ExecutionsState) -> list[Item]:
    """Return an account's newest trades, those that were undone left out."""
    found = (items for known in (state.recent.older, state.recent.newer) for items in list(known.values()))
    return [item for items in found for item in items if item.kind is ItemKind.TRADE and item.quantity]


def _stream(account: str, name: str) -> str:
    return stream_of("note", account, hashlib.sha256(f"{IMPORTED} {name}".encode()).hexdigest()[:32])
