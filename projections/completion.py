"""What a book completes or refuses before it appends: thin busts, limits none can judge, accounts in use reopened."""

from __future__ import annotations

import decimal
import itertools
from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from msgspec.structs import replace

from eventstore import SYNCED, Batch, DuplicateEvent, Event, InvalidEvent
from eventstore.arguments import batches_of, events_of, keyed_ids
from eventstore.events import encode
from eventstore.journal import BATCH_EVENTS_MAX
from eventstore.streams import account_of
from eventstore.trading import (
    AccountReopened,
    FeeCharged,
    LimitsSet,
    OrderFilled,
    PositionSide,
    Side,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections.decimals import FIXED
from projections.view import SHARED, BookReader, PartitionParked
from projections.views.accounts import own_currency
from projections.views.executions.identity import fitting
from projections.views.executions.items import Figures
from projections.views.executions.positions import Positions
from projections.views.executions.state import VIEW, Amendment, AmendmentKind, ExecutionsState, holding_key
from projections.views.executions.view import ExecutionsView
from projections.views.limits.parameters import refuse_unreadable
from projections.views.orders.view import Orders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore import Durability, EventStore, Record, Unchanged
    from eventstore.batch import AppendOptions
    from projections.views.executions.items import Item

Amending: TypeAlias = TradeBusted | TradeCorrected

RECORDS_MAX = 10_000
"""How many records of its stream are read for a trade that the book does not know any more."""
_TYPES = (OrderFilled, TradeExecuted, FeeCharged, TradeBusted, TradeCorrected)
_NAMES: dict[type[Event], tuple[str, ...]] = {
    TradeBusted: ("symbol", "side", "quantity", "price"),
    TradeCorrected: ("symbol", "side", "previous_quantity", "previous_price"),
}
_ONE = Decimal(1)
LOOKED_AT: frozenset[type[Event]] = frozenset({LimitsSet, AccountReopened, *_NAMES})
"""The events that are completed, or may be refused, before they are appended."""


class Refreshable(BookReader, Protocol):
    """A book that can fold what others have appended."""

    def refresh(self) -> int:
        """Fold what the log has beyond the book's position."""


def append(
    book: Refreshable, store: EventStore, stream: str, events: Event | Sequence[Event], options: AppendOptions
) -> list[Record]:
    """Append to one stream as the store does, busts and corrections completed, limits that none can judge refused."""
    if isinstance(events, Event) and type(events) not in _NAMES and type(events) is not AccountReopened:
        _refuse(stream, events)
        return store.append(stream, events, **options)
    given: dict[str, Any] = dict(options)
    durability, unchanged = given.pop("durability", SYNCED), given.pop("unchanged", None)
    return append_many(book, store, [Batch(stream, events, **given)], durability, unchanged)


def append_many(
    book: Refreshable,
    store: EventStore,
    batches: Sequence[Batch],
    durability: Durability = SYNCED,
    unchanged: Unchanged | None = None,
) -> list[Record]:
    """Append as the store does, busts and corrections completed, limits that none can judge refused.

    What they do not say of their trade is taken from the fold, else from the records of their own stream; where no
    trade is found, or several fit, they are appended as given. Under a known key the recorded content decides, so that
    a repetition is one, whatever became of the trade since.
    """
    batches = [_read_once(batch) for batch in batches_of(batches)]
    given = [_given(batch) for batch in batches]
    refuse(book, store, given)
    if not any(_lacks_something(event) for each in given for event in each.events):
        return store.append_many(batches, durability=durability, unchanged=unchanged)
    found = completed(book, store, given)
    try:
        return store.append_many(_with_events(batches, found), durability=durability, unchanged=unchanged)
    except DuplicateEvent:
        # Somebody else may have appended it under this key in between, with other figures.
        again = completed(book, store, given)
        if again == found:
            raise
        return store.append_many(_with_events(batches, again), durability=durability, unchanged=unchanged)


class GivenEvents(NamedTuple):
    """Events for one stream, and the id of each that its writer chose, by a key or not."""

    stream: str
    events: Sequence[Event]
    ids: Sequence[bytes | None]


def _given(batch: Batch) -> GivenEvents:
    events = events_of(batch.events)
    ids = [None] * len(events) if batch.key is None else keyed_ids(batch.stream, batch.key, len(events))
    return GivenEvents(batch.stream, events, ids)


def _with_events(batches: Sequence[Batch], events: Sequence[Sequence[Event]]) -> list[Batch]:
    return [replace(batch, events=each) for batch, each in zip(batches, events, strict=True)]


def refuse(book: Refreshable, store: EventStore, given: Sequence[GivenEvents]) -> None:
    """Raise InvalidEvent for limits that none can judge, and for accounts in use that are reopened."""
    for each in given:
        for event in each.events:
            _refuse(each.stream, event)
        if any(isinstance(event, AccountReopened) for event in each.events):
            _check_reopening(book, store, each)


def reads_book(batches: Sequence[Batch]) -> bool:
    """Return whether the book is read before batches are appended; refuse what no book is needed for.

    Where it is not, `EventStore.append_many` appends the same. Their events can be read several times.
    """
    events = [(batch.stream, event) for batch in batches for event in events_of(batch.events)]
    for stream, event in events:
        _refuse(stream, event)
    return any(_lacks_something(event) or isinstance(event, AccountReopened) for _, event in events)


def _refuse(stream: str, event: Event) -> None:
    if isinstance(event, LimitsSet):
        refuse_unreadable(event, stream)


def _check_reopening(book: Refreshable, store: EventStore, given: GivenEvents) -> None:
    """Raise InvalidEvent if an account that is reopened is in use, or was never opened; a repetition is neither."""
    account, events = account_of(given.stream), given.events
    if any(id_ is not None and store.find(id_) for id_ in given.ids):
        return
    book.refresh()
    if own_currency(book, account) is None and not any(getattr(event, "currency", None) for event in events):
        msg = f"account {account} was never opened: append AccountOpened, or give the reopening a currency"
        raise InvalidEvent(msg)
    held = [each.symbol for each in Positions(book).of(account) if each.quantity or each.reported]
    working = [order.order_id for order in Orders(book).open(account)]
    if held or working:
        open_ones = [f"{', '.join(held[:5])} open"] * bool(held) + [f"order {', '.join(working[:5])} working"] * bool(
            working
        )
        msg = (
            f"account {account} cannot be reopened with {' and '.join(open_ones)}: close and cancel what is left, or "
            "record that it is closed, then reopen it"
        )
        raise InvalidEvent(msg)


def _read_once(batch: Batch) -> Batch:
    """Return a batch whose events and keys can be read several times."""
    if isinstance(batch.events, Event | list | tuple) and (batch.key is None or isinstance(batch.key, str | tuple)):
        return batch
    key = batch.key
    if isinstance(key, Iterable) and not isinstance(key, str):
        key = tuple(itertools.islice(key, BATCH_EVENTS_MAX + 1))
    return replace(batch, events=events_of(batch.events), key=key)


def _lacks_something(event: Event) -> bool:
    names = _NAMES.get(type(event))
    return names is not None and any(getattr(event, name) is None for name in names)


def completed(book: Refreshable, store: EventStore, given: Sequence[GivenEvents]) -> list[list[Event]]:
    """Return the events of each stream, busts and corrections with what they lack of their trade, as `append_many`."""
    book.refresh()
    found: list[list[Event]] = []
    # What precedes an event in the same call is not folded yet: only the first one about a trade is completed.
    seen: set[tuple[str, object]] = set()
    for stream, events, ids in given:
        account, fresh = account_of(stream), []
        for event, id_ in zip(events, ids, strict=True):
            complete = event
            if isinstance(event, TradeBusted | TradeCorrected) and _lacks_something(event):
                encode(event)  # A malformed one is refused before anything is looked up by it.
                recorded = None if id_ is None else store.find(id_)
                if recorded is not None:
                    complete = _as_recorded(event, recorded)
                elif (account, event.trade_id) not in seen:
                    complete = _as_known(book, account, stream, event)
            trade_id = getattr(event, "trade_id", None)
            if isinstance(trade_id, str):
                seen.add((account, trade_id))
            fresh.append(complete)
        found.append(fresh)
    return found


def _as_recorded(event: Amending, recorded: Record) -> Event:
    """Return an event with what it lacks as it was recorded under its key."""
    try:
        known = recorded.event
    except InvalidEvent:
        return event
    if type(known) is not type(event):
        return event
    return _with(event, {name: getattr(known, name) for name in known.__struct_fields__})


def _as_known(book: BookReader, account: str, stream: str, event: Amending) -> Event:
    """Return an event with what it lacks as its trade has it, or as it is: no trade, or several, or one of no use."""
    try:
        state: ExecutionsState | None = book.state(VIEW, account)
        shared: ExecutionsState | None = book.state(VIEW, SHARED)
    except PartitionParked:
        return event
    if state is None:
        return event
    kind = AmendmentKind.BUST if isinstance(event, TradeBusted) else AmendmentKind.CORRECTION
    sign = None if event.side is None else 1 if event.side is Side.BUY else -1
    amendment = Amendment(
        kind, 0, 0, 0, stream, event.trade_id, event.symbol, event.position_side, sign, *_repeated(event)
    )
    with decimal.localcontext(FIXED):
        found = fitting(state.recent.find(event.trade_id), amendment, state.symbols)
        if not found or stream not in found[0].streams:
            own = fitting(_of_stream(book, shared, amendment), amendment, state.symbols)
            if len(own) == 1 and not _may_be_stated(state, own[0]):
                return event
            found = own or found
    return _filled(event, found[0], state.symbols) if len(found) == 1 else event


def _repeated(event: Amending) -> tuple[Decimal | None, Decimal | None, Figures | None]:
    """Return quantity, price and earlier figures, as far as an event repeats them of its trade."""
    if isinstance(event, TradeBusted):
        return event.quantity, event.price, None
    if event.previous_quantity is None or event.previous_price is None:
        return None, None, None
    return None, None, Figures((0, 0), event.previous_quantity, event.previous_price)


def _of_stream(book: BookReader, shared: ExecutionsState | None, amendment: Amendment) -> tuple[Item, ...]:
    """Return the trades of an id in its own stream, with what that stream says became of them."""
    view = ExecutionsView()
    state = view.initial()
    records = list(itertools.islice(book.read(stream=amendment.stream, types=_TYPES), RECORDS_MAX + 1))
    if len(records) > RECORDS_MAX:
        return ()
    for record in records:
        event = record.event
        if getattr(event, "trade_id", None) == amendment.trade_id:
            view.apply_beside(ExecutionsState() if shared is None else shared, state, event, record)
    view.finish(state)
    return state.recent.find(amendment.trade_id)


def _may_be_stated(state: ExecutionsState, item: Item) -> bool:
    """Return whether a trade that the fold does not know can be booked by its figures.

    They are those of its own time, which a split has changed since, and an event has room for fees in one currency.
    """
    window = state.windows.get(holding_key(state, item.symbol, item.side))
    is_split = window is not None and window.scaled(_ONE, (item.at, item.log_position)) != _ONE
    return not is_split and len(item.fees) <= 1


def _filled(event: Amending, item: Item, names: dict[str, str]) -> Event:
    side = Side.BUY if item.quantity > 0 else Side.SELL
    # A correction of the side has no room for the earlier one.
    if item.busted or (event.side is not None and event.side is not side):
        return event
    quantity, price = abs(item.quantity), item.price
    members: dict[str, Any] = {
        "symbol": names.get(item.symbol, item.symbol), "side": side, "position_side": item.side,
        "quantity": quantity, "price": price, "previous_quantity": quantity, "previous_price": price,
    }  # fmt: skip
    if len(item.fees) == 1:
        ((currency, members["fee"]),) = item.fees
        members["fee_currency"] = currency or None
    return _with(event, members)


def _with(event: Amending, members: dict[str, Any]) -> Event:
    """Return an event with members that it does not state: it states no side NET, and no fee of 0."""
    changed = {name: members[name] for name in _NAMES[type(event)] if getattr(event, name) is None}
    if event.position_side is PositionSide.NET:
        changed["position_side"] = members["position_side"]
    if isinstance(event, TradeBusted) and not event.fee and event.fee_currency is None and "fee" in members:
        changed |= {"fee": members["fee"], "fee_currency": members["fee_currency"]}
    return replace(event, **changed)
