"""The round trips view: what each position realized from flat to flat, in points, and its fees; and its queries."""

from decimal import Decimal
from typing import ClassVar

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from eventstore import Event, Instant, Record
from eventstore.streams import SEPARATOR
from eventstore.trading import (
    AdjustmentReason,
    FeeCharged,
    OrderFilled,
    PositionAdjusted,
    Side,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections.decimals import ZERO
from projections.view import BookReader, View
from projections.views.contracts.view import SYMBOLS_MAX, TooManySymbols
from projections.views.executions.fees import Fees, with_fee
from projections.views.executions.recent_trades import TwoGenerationCache, find_trade

TRIPS_MAX = 100
LEGS_MAX = 200
_BUY = Side.BUY


class RoundTrip(msgspec.Struct, frozen=True, kw_only=True):
    """One round trip that ended at `ended_at` (UNIX ns) with the record at log position `position`.

    `points` are before fees, None if any part of it had no price; `fees` by currency, "" for those that named none. A
    fill through zero ends a round trip, which takes its fee, and begins the next.
    """

    symbol: str
    side: str
    points: Decimal | None
    fees: Fees = ()
    ended_at: Instant
    position: int
    number: int


class OpenRoundTrip(msgspec.Struct, frozen=True):
    """A round trip in progress: the quantity held, what was received less what was paid, fees, and its number."""

    quantity: Decimal = ZERO
    received: Decimal | None = ZERO
    fees: Fees = ()
    number: int = 0


class RoundTripLeg(msgspec.Struct, frozen=True, gc=False):
    """A recent trade: the round trip that it belongs to, and its figures; its quantity is zero once it is busted."""

    key: str
    number: int
    quantity: Decimal
    price: Decimal
    fees: Fees = ()

    @property
    def symbol(self) -> str:
        return self.key.partition(SEPARATOR)[0]


class RoundTripsState(msgspec.Struct):
    """One account: the round trips in progress by symbol, NUL and side, the last 100 that ended, and recent trades."""

    open: dict[str, OpenRoundTrip] = {}
    trips: tuple[RoundTrip, ...] = ()
    recent: TwoGenerationCache[RoundTripLeg] = msgspec.field(default_factory=TwoGenerationCache)
    count: int = 0


class RoundTripsView(View[RoundTripsState]):
    """A round trip ends when its position comes to flat, or goes through it.

    A trade that is busted, or corrected to another quantity, after its round trip has ended changes the quantity held
    from then on, at the trade's own price; the round trip stays as it was. A corrected price, or a fee that comes
    later, counts for the trade's round trip.
    """

    # Its name in snapshots and on the book.
    name: ClassVar[str] = "trips"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (
        OrderFilled,
        TradeExecuted,
        FeeCharged,
        TradeBusted,
        TradeCorrected,
        PositionAdjusted,
    )

    @override
    def initial(self) -> RoundTripsState:
        return RoundTripsState()

    @override
    def apply(self, state: RoundTripsState, event: Event, record: Record) -> None:
        match event:
            case OrderFilled() | TradeExecuted():
                _fill(state, event, record)
            case FeeCharged():
                _charge(state, event, record)
            case TradeBusted() | TradeCorrected():
                _change(state, event, record)
            case PositionAdjusted() if event.quantity:
                _adjust(state, event, record)
            case _:
                return


class RoundTrips:
    """Queries about round trips."""

    def __init__(self, book: BookReader) -> None:
        self._book = book

    def of(self, account: str, symbol: str | None = None) -> tuple[RoundTrip, ...]:
        """Return the account's last 100 round trips, or those in a symbol among them, in the order they ended."""
        state: RoundTripsState | None = self._book.state(RoundTripsView.name, account)
        trips = () if state is None else state.trips
        return trips if symbol is None else tuple(trip for trip in trips if trip.symbol == symbol)


def _fill(state: RoundTripsState, event: OrderFilled | TradeExecuted, record: Record) -> None:
    name = record.stream + SEPARATOR + event.trade_id
    if state.recent.get(name) is not None:
        return
    key = event.symbol + SEPARATOR + event.position_side
    quantity = event.quantity if event.side is _BUY else -event.quantity
    fees = ((event.fee_currency or "", event.fee),) if event.fee else ()
    number = _trade(state, key, (quantity, event.price), fees, record)
    state.recent.put(name, RoundTripLeg(key, number, quantity, event.price, fees), LEGS_MAX)


def _trade(state: RoundTripsState, key: str, traded: tuple[Decimal, Decimal | None], fees: Fees, record: Record) -> int:
    """Buy or sell a quantity at a price; return the number of the round trip that this belongs to."""
    quantity, price = traded
    held = state.open.get(key)
    if held is None:
        if len(state.open) >= SYMBOLS_MAX:
            raise TooManySymbols(RoundTripsView.name, key.partition(SEPARATOR)[0])
        state.count += 1
        held = OpenRoundTrip(number=state.count)
    spent = held.fees
    for currency, amount in fees:
        spent = with_fee(spent, currency, amount)
    after = held.quantity + quantity
    # A fill through zero closes this round trip with a part of its quantity and opens the next with the rest.
    through = held.quantity * after < ZERO
    closing = -held.quantity if through else quantity
    received = None if held.received is None or price is None else held.received - closing * price
    if after and not through:
        state.open[key] = OpenRoundTrip(after, received, spent, held.number)
        return held.number
    _end(state, key, OpenRoundTrip(ZERO, received, spent, held.number), record)
    # The whole fee of a fill through zero counts for the round trip that it ends.
    if through:
        state.count += 1
        state.open[key] = OpenRoundTrip(after, None if price is None else -after * price, (), state.count)
    return held.number


def _end(state: RoundTripsState, key: str, held: OpenRoundTrip, record: Record) -> None:
    state.open.pop(key, None)
    if not held.received and not held.fees and record.type == "TradeBusted":
        return  # All its trades were busted: there was no round trip.
    symbol, _, side = key.partition(SEPARATOR)
    trip = RoundTrip(
        symbol=symbol,
        side=side,
        points=held.received,
        fees=held.fees,
        ended_at=record.occurred_at,
        position=record.position,
        number=held.number,
    )
    state.trips = (*state.trips[1 - TRIPS_MAX :], trip)


def _charge(state: RoundTripsState, event: FeeCharged, record: Record) -> None:
    _, leg = find_trade(state.recent, event, record.stream)
    if leg is None:
        return
    fee = (event.currency or "", event.amount)
    held = state.open.get(leg.key)
    # The symbol may be in its next round trip by now: the number says which one the trade belongs to.
    if held is not None and held.number == leg.number:
        state.open[leg.key] = replace(held, fees=with_fee(held.fees, *fee))
        return
    state.trips = tuple(
        replace(trip, fees=with_fee(trip.fees, *fee)) if trip.number == leg.number else trip for trip in state.trips
    )


def _change(state: RoundTripsState, event: TradeBusted | TradeCorrected, record: Record) -> None:
    """Take a trade back and, if it is corrected, book it again; in one step, or the round trip would end in between."""
    name, leg = find_trade(state.recent, event, record.stream)
    if leg is None or not leg.quantity:
        return
    fresh, price, back = ZERO, leg.price, tuple((currency, -amount) for currency, amount in leg.fees)
    if isinstance(event, TradeCorrected):
        buys = leg.quantity > ZERO if event.side is None else event.side is _BUY
        fresh, price = event.quantity if buys else -event.quantity, event.price
        back = ()
    by = fresh - leg.quantity
    # Only the price was corrected: that can still change a round trip that has ended, because its quantities stay.
    if not by:
        _reprice(state, leg, price)
    held = state.open.get(leg.key)
    if held is not None and held.received is not None and held.number == leg.number:
        # Still the same round trip: replace the trade's amount. `by * price` is added here because _trade subtracts it
        # below, where the change of quantity may end the round trip.
        received = held.received + leg.quantity * leg.price - fresh * price + by * price
        state.open[leg.key] = replace(held, received=received)
    if by:
        _trade(state, leg.key, (by, price), back, record)
    state.recent.put(name, RoundTripLeg(leg.key, leg.number, fresh, price, leg.fees), LEGS_MAX)


def _reprice(state: RoundTripsState, leg: RoundTripLeg, price: Decimal) -> None:
    """Correct the points of a round trip that has ended for another price of one of its trades."""
    more = leg.quantity * (leg.price - price)
    state.trips = tuple(
        replace(trip, points=trip.points + more) if trip.number == leg.number and trip.points is not None else trip
        for trip in state.trips
    )


def _adjust(state: RoundTripsState, event: PositionAdjusted, record: Record) -> None:
    key = event.symbol + SEPARATOR + event.position_side
    held = state.open.get(key)
    if event.reason is AdjustmentReason.SPLIT:
        # The quantity changes, and what was paid for it stays.
        if held is not None and held.quantity * (held.quantity + event.quantity) > ZERO:
            state.open[key] = replace(held, quantity=held.quantity + event.quantity)
        return
    _trade(state, key, (event.quantity, event.price), (), record)
