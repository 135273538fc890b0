"""The counters view: orders, fills and round trips in rolling windows and by trading day; and its queries."""

import decimal
from bisect import bisect_right
from datetime import date
from decimal import Decimal
from typing import ClassVar

import msgspec
from typing_extensions import override

from eventstore import Event, Record
from eventstore.clock import NANOSECONDS, Times, to_ns
from eventstore.streams import SEPARATOR
from eventstore.trading import (
    AdjustmentReason,
    OrderFilled,
    OrderSubmitted,
    PositionAdjusted,
    SessionOpened,
    SessionReset,
    Side,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections.decimals import FIXED, ZERO
from projections.view import BookReader, View
from projections.views.contracts.view import SYMBOLS_MAX, TooManySymbols
from projections.views.executions.ledger import Ledger
from projections.views.executions.recent_trades import TwoGenerationCache, find_trade

HOUR = 3_601
"""The number of seconds that a window of an hour can touch, because it may begin and end within one."""
SECONDS_MAX = 2 * HOUR
_KEY = ""
# Looked up once: an access through the enumeration's class costs as much as two multiplications.
_BUY = Side.BUY


class Count(msgspec.Struct, frozen=True, gc=False):
    """The number of orders sent, of fills received, and of round trips: positions that went from flat to flat."""

    orders: int = 0
    fills: int = 0
    round_trips: int = 0

    def plus(self, other: "Count") -> "Count":
        return Count(self.orders + other.orders, self.fills + other.fills, self.round_trips + other.round_trips)


NONE = Count()
_ORDER, _FILL, _LAST_FILL, _END = Count(orders=1), Count(fills=1), Count(fills=1, round_trips=1), Count(round_trips=1)


class Counts(msgspec.Struct, frozen=True):
    """An account's counts at an instant: of the last minute and hour, and of the trading day and week it lies in.

    Windows are made of whole seconds: they count everything in the minute, or hour, that ends with `at`, and possibly
    more that happened in the second it begins in or the second it ends in. `session` and `day` are the known trading
    day, or the date in UTC if no session event states one; `week` likewise.
    """

    minute: Count = NONE
    hour: Count = NONE
    session: Count = NONE
    day: Count = NONE
    week: Count = NONE


class RememberedFill(msgspec.Struct, frozen=True, gc=False):
    """Which quantity a recent trade changed, and by how much; by zero once it is busted."""

    key: str
    quantity: Decimal

    @property
    def symbol(self) -> str:
        return self.key.partition(SEPARATOR)[0]


class CountersState(msgspec.Struct):
    """One account. Counts by second of `occurred_at`; open quantities by symbol, NUL and side; recent trades.

    Seconds up to `dropped_to` and from `dropped_from` on may have been dropped.
    """

    orders: dict[int, int] = {}
    fills: dict[int, int] = {}
    round_trips: dict[int, int] = {}
    room: int = SECONDS_MAX
    dropped_to: int | None = None
    dropped_from: int | None = None
    quantities: dict[str, Decimal] = {}
    recent: TwoGenerationCache[RememberedFill] = msgspec.field(default_factory=TwoGenerationCache)
    ledger: Ledger[Count] = msgspec.field(default_factory=Ledger)


class CountersView(View[CountersState]):
    """Counts events at the time they happened; a count is never taken back.

    A busted trade still counts as a fill, as venues count it: a bust or correction changes only the quantity held, and
    ends no round trip. An adjustment to flat ends one, and so does a fill through zero, which begins the next. A trade
    id recorded again in its stream counts once, as long as it is among the last 1,000.

    `bounded`: whether to drop seconds that no window of the present needs.
    """

    name: ClassVar[str] = "counters"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (
        OrderSubmitted,
        OrderFilled,
        TradeExecuted,
        TradeBusted,
        TradeCorrected,
        PositionAdjusted,
        SessionOpened,
        SessionReset,
    )

    def __init__(self, *, bounded: bool = True) -> None:
        self._room = SECONDS_MAX if bounded else 2**62

    @override
    def initial(self) -> CountersState:
        return CountersState(room=self._room)

    @override
    def apply(self, state: CountersState, event: Event, record: Record) -> None:
        # The most frequent class first, and by identity: each class matched in vain costs as much as a lookup.
        if type(event) is OrderSubmitted:
            state.ledger.add(record.occurred_at, _KEY, _ORDER)
            _count(state, state.orders, record)
            return
        match event:
            case OrderFilled() | TradeExecuted():
                _fill(state, event, record)
            case TradeBusted():
                _bust(state, event, record)
            case TradeCorrected():
                _correct(state, event, record)
            case PositionAdjusted():
                _adjust(state, event, record)
            case SessionOpened() | SessionReset():
                state.ledger.add_day(event, record.occurred_at)
            case _:
                pass


class Counters:
    """Queries about counters."""

    def __init__(self, book: BookReader) -> None:
        self._book = book

    def of(self, account: str, at: Times | None = None) -> Counts:
        """Return an account's counts at an instant (an aware datetime or UNIX ns), by default now.

        The newest hour is in memory; for an older one the account's records are read.
        """
        at_ns = self._book.now_ns() if at is None else to_ns(at)
        state: CountersState | None = self._book.state(CountersView.name, account)
        if state is None:
            return Counts()
        ledger = state.ledger
        today = ledger.at(at_ns).get(_KEY, NONE)
        week = NONE
        for name in ledger.names_of_week(at_ns):
            week = week.plus(ledger.of_day(name).get(_KEY, NONE))
        stop = at_ns // NANOSECONDS
        # Read the buckets before the bounds: what is dropped in between is still in these buckets.
        buckets = (state.orders, state.fills, state.round_trips)
        to, later = state.dropped_to, state.dropped_from
        if (to is not None and stop - HOUR < to) or (later is not None and stop >= later):
            whole = self._refolded(account)
            buckets = (whole.orders, whole.fills, whole.round_trips)
        minute, hour = (_within(buckets, stop - length, stop) for length in (60, HOUR - 1))
        return Counts(minute, hour, today, today, week)

    def today(self, account: str, at: Times | None = None) -> Count:
        """Return the counts of the trading day that an instant lies in: those of `of`, without the windows."""
        at_ns = self._book.now_ns() if at is None else to_ns(at)
        state: CountersState | None = self._book.state(CountersView.name, account)
        return NONE if state is None else state.ledger.at(at_ns).get(_KEY, NONE)

    def day(self, account: str, trading_day: date) -> Count:
        """Return the counts of a trading day, or of that date in UTC if no session event states the day."""
        state: CountersState | None = self._book.state(CountersView.name, account)
        if state is None:
            return NONE
        name = trading_day.isoformat()
        known = state.ledger.day_named(name) is not None
        return state.ledger.of_day(name if known else "~" + name).get(_KEY, NONE)

    def _refolded(self, account: str) -> CountersState:
        view = CountersView(bounded=False)
        state = view.initial()
        with decimal.localcontext(FIXED):
            for record in self._book.read(account=account, types=view.types):
                view.apply(state, record.event, record)
        return state


def _within(buckets: tuple[dict[int, int], ...], start: int, stop: int) -> Count:
    # The list is copied in one step, whatever the fold does meanwhile.
    return Count(*[sum(n for second, n in list(each.items()) if start <= second <= stop) for each in buckets])


def _count(state: CountersState, buckets: dict[int, int], record: Record) -> None:
    second = record.occurred_at // NANOSECONDS
    if second in buckets:
        buckets[second] += 1
        return
    buckets[second] = 1
    if len(buckets) > state.room:
        _drop(state, record)


def _drop(state: CountersState, record: Record) -> None:
    """Drop the seconds that no window of the present needs.

    The present is not the newest `occurred_at`: one event from a clock that runs ahead would make everything else look
    old. Nor is it the last record's time: an import of past trades would drop the current hour. So what stays is the
    hour before the newest second that the log's own time has reached, as many later seconds, and the hour on either
    side of this record.
    """
    last, reached = (instant // NANOSECONDS for instant in (record.occurred_at, record.recorded_at))
    seconds = sorted({*state.orders, *state.fills, *state.round_trips})
    place = bisect_right(seconds, reached)
    newest = seconds[place - 1] if place else last
    first = bisect_right(seconds, newest - HOUR)
    kept = set(seconds[first : first + 2 * HOUR])
    kept.update(seconds[bisect_right(seconds, last - HOUR) : bisect_right(seconds, last + HOUR)])
    gone = [second for second in seconds if second not in kept]
    earlier = [second for second in gone if second <= newest]
    later = [second for second in gone if second > newest]
    # Publish the bounds first: a reader who sees fewer seconds must also see that some were dropped.
    state.dropped_to = max([*earlier, *([] if state.dropped_to is None else [state.dropped_to])], default=None)
    state.dropped_from = min([*later, *([] if state.dropped_from is None else [state.dropped_from])], default=None)
    state.orders, state.fills, state.round_trips = (
        {second: n for second, n in each.items() if second in kept}
        for each in (state.orders, state.fills, state.round_trips)
    )
    state.room = max(HOUR, len(kept)) + HOUR


def _fill(state: CountersState, event: OrderFilled | TradeExecuted, record: Record) -> None:
    name = record.stream + SEPARATOR + event.trade_id
    recent = state.recent
    if name in recent.newer or name in recent.older:
        return
    key = event.symbol + SEPARATOR + event.position_side
    quantity = event.quantity if event.side is _BUY else -event.quantity
    ended = _hold(state, key, quantity)
    recent.put(name, RememberedFill(key, quantity))
    state.ledger.add(record.occurred_at, _KEY, _LAST_FILL if ended else _FILL)
    _count(state, state.fills, record)
    if ended:
        _count(state, state.round_trips, record)


def _hold(state: CountersState, key: str, quantity: Decimal) -> bool:
    """Change the quantity held by a signed quantity; return whether the position went to flat, or through it."""
    quantities = state.quantities
    held = quantities.get(key)
    if held is None:
        if len(quantities) >= SYMBOLS_MAX:
            raise TooManySymbols(CountersView.name, key.partition(SEPARATOR)[0])
        quantities[key] = quantity
        return False
    after = held + quantity
    if not after:
        del quantities[key]
        return True
    quantities[key] = after
    return (after > ZERO) is not (held > ZERO)


def _adjust(state: CountersState, event: PositionAdjusted, record: Record) -> None:
    key = event.symbol + SEPARATOR + event.position_side
    held = state.quantities.get(key, ZERO)
    if not event.quantity:
        return
    if event.reason is AdjustmentReason.SPLIT and held * (held + event.quantity) <= ZERO:
        return  # As in the positions view, a split of a flat position, or one that reverses its side, is ignored.
    if _hold(state, key, event.quantity):
        state.ledger.add(record.occurred_at, _KEY, _END)
        _count(state, state.round_trips, record)


def _bust(state: CountersState, event: TradeBusted, record: Record) -> None:
    stated = None
    if event.symbol is not None and event.side is not None and event.quantity is not None:
        quantity = event.quantity if event.side is _BUY else -event.quantity
        stated = RememberedFill(event.symbol + SEPARATOR + event.position_side, quantity)
    name, found = find_trade(state.recent, event, record.stream)
    known = stated if found is None else found
    if known is not None and known.quantity:
        _hold(state, known.key, -known.quantity)
        state.recent.put(name, RememberedFill(known.key, ZERO))


def _correct(state: CountersState, event: TradeCorrected, record: Record) -> None:
    stated = None
    if event.symbol is not None and event.side is not None and event.previous_quantity is not None:
        quantity = event.previous_quantity if event.side is _BUY else -event.previous_quantity
        stated = RememberedFill(event.symbol + SEPARATOR + event.position_side, quantity)
    name, found = find_trade(state.recent, event, record.stream)
    known = stated if found is None else found
    if known is None or not known.quantity:
        return
    buys = known.quantity > ZERO if event.side is None else event.side is _BUY
    quantity = event.quantity if buys else -event.quantity
    if quantity != known.quantity:
        _hold(state, known.key, quantity - known.quantity)
    state.recent.put(name, RememberedFill(known.key, quantity))
