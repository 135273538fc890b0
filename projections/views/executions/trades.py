"""Trades: each one from the log with what became of it later, and the running totals of each symbol."""

import decimal
import enum
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import ClassVar, Generic, NamedTuple, TypeVar, overload

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from eventstore import Event, Instant, Record
from eventstore.trading import (
    FeeCharged,
    OrderFilled,
    PositionSide,
    Side,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections.decimals import FIXED, ZERO
from projections.view import SHARED, Lens, View
from projections.views.contracts.view import SYMBOLS_MAX, ContractsState, ContractsView, TooManySymbols

RECENT_MAX = 1_000
ANOMALIES_MAX = 100

V = TypeVar("V")
Fees = tuple[tuple[str, Decimal], ...]
"""Fees by currency, sorted; "" stands for those that named none."""
TradeEvent = OrderFilled | TradeExecuted
AboutTrade = FeeCharged | TradeBusted | TradeCorrected
_BUY = Side.BUY


class TradeAnomalyKind(enum.StrEnum):
    """Why a record surprised."""

    DUPLICATE_TRADE = "DUPLICATE_TRADE"
    """The same trade id came again in the same stream: it counts once."""
    DUPLICATE_BUST = "DUPLICATE_BUST"
    """The trade was busted already."""
    DUPLICATE_CORRECTION = "DUPLICATE_CORRECTION"
    """The trade was corrected to these figures already."""
    UNKNOWN_BUST = "UNKNOWN_BUST"
    """No such trade is remembered and the bust repeats no figures: nothing changed."""
    UNKNOWN_CORRECTION = "UNKNOWN_CORRECTION"
    """No such trade is remembered, or it was busted, and no earlier figures are repeated: nothing changed."""
    LATE_BUST = "LATE_BUST"
    """The trade was too old to fold again without it: the opposite was booked."""
    LATE_CORRECTION = "LATE_CORRECTION"
    """The trade was too old to fold again with it: the opposite of the old and the new were booked."""
    OVERCLOSED = "OVERCLOSED"
    """More was closed than a hedged side held."""
    UNPRICED = "UNPRICED"
    """A position was opened without a price: this quantity realizes nothing."""
    IMPOSSIBLE_SPLIT = "IMPOSSIBLE_SPLIT"
    """A split of a flat position, or one that would turn it around: nothing changed."""
    LOTS_MERGED = "LOTS_MERGED"
    """There were too many open lots: the older half became one at its average price."""


class TradeAnomaly(NamedTuple):
    """What was odd about a record, and the record's position in the log."""

    kind: TradeAnomalyKind
    position: int


class TwoGenerationCache(msgspec.Struct, Generic[V]):
    """The last keys and what is known of each, 1,000 to 2,000 of them: two generations, the older dropped whole."""

    newer: dict[str, V] = {}
    older: dict[str, V] = {}

    def put(self, key: str, value: V, most: int | None = None) -> None:
        if len(self.newer) >= (most or RECENT_MAX):
            self.older = self.newer
            self.newer = {}
        self.newer[key] = value

    def get(self, key: str) -> V | None:
        value = self.newer.get(key)
        return self.older.get(key) if value is None else value

    def ending(self, suffix: str) -> Iterator[tuple[str, V]]:
        """Yield the keys with this ending and what is known of them, newest first."""
        for generation in (self.newer, self.older):
            for key, value in reversed(generation.items()):
                if key.endswith(suffix):
                    yield key, value


def with_fee(fees: Fees, currency: str, amount: Decimal) -> Fees:
    """Return the fees with one more, without what came to zero; nothing is ever summed across currencies."""
    if len(fees) == 1 and fees[0][0] == currency:
        total = fees[0][1] + amount
        return ((currency, total),) if total else ()
    sums = dict(fees)
    sums[currency] = sums.get(currency, ZERO) + amount
    return tuple(sorted(item for item in sums.items() if item[1]))


def with_anomaly(marks: tuple[TradeAnomaly, ...], kind: TradeAnomalyKind, position: int) -> tuple[TradeAnomaly, ...]:
    """Return the marks with one more, the last 100 of them."""
    return (*marks[1 - ANOMALIES_MAX :], TradeAnomaly(kind, position))


class RememberedTrade(msgspec.Struct, frozen=True, gc=False):
    """What a recent trade added to its symbol's totals; `quantity` is below zero where it was sold."""

    symbol: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    currency: str


class Totals(msgspec.Struct, frozen=True, gc=False):
    """Sums over one symbol's trades, without the busted ones, which `busted` counts. Values are price × quantity."""

    symbol: str
    count: int = 0
    bought: Decimal = ZERO
    sold: Decimal = ZERO
    bought_value: Decimal = ZERO
    sold_value: Decimal = ZERO
    fees: Fees = ()
    busted: int = 0


class TradesState(msgspec.Struct):
    """One account. Totals by symbol; recent trades by stream, NUL and trade id; fees and marks of no known symbol."""

    totals: dict[str, Totals] = {}
    recent: TwoGenerationCache[RememberedTrade] = msgspec.field(default_factory=TwoGenerationCache)
    fees: Fees = ()
    marked: tuple[TradeAnomaly, ...] = ()


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """One trade as it stands now: fees that came later are in `fee`, a correction in `quantity` and `price`.

    `order_id` is None for a trade without an order of ours. `fee` is in `fee_currency`, or in none named;
    `other_fees` are those in other currencies. `occurred_at` is in UNIX ns, `position` the record's in the log.
    """

    trade_id: str
    order_id: str | None
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    occurred_at: Instant
    position: int
    busted: bool = False
    corrected: bool = False
    fee_currency: str | None = None
    other_fees: Fees = ()
    position_side: PositionSide = PositionSide.NET
    exchange_trade_id: str | None = None


class TradesView(View[TradesState]):
    """Each symbol's totals. A trade counts once: its id is known within its stream for the last 1,000 trades."""

    name: ClassVar[str] = "trades"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (
        OrderFilled,
        TradeExecuted,
        FeeCharged,
        TradeBusted,
        TradeCorrected,
    )

    @override
    def initial(self) -> TradesState:
        return TradesState()

    @override
    def apply(self, state: TradesState, event: Event, record: Record) -> None:
        match event:
            case OrderFilled() | TradeExecuted():
                _trade(state, event, record)
            case FeeCharged():
                _charge(state, event, record)
            case TradeBusted():
                _bust(state, event, record)
            case TradeCorrected():
                _correct(state, event, record)
            case _:
                pass


class Trades:
    """Questions about trades."""

    def __init__(self, lens: Lens) -> None:
        self._lens = lens

    def of(self, account: str, symbol: str | None = None) -> tuple[Trade, ...]:
        """Return an account's trades from the log, oldest first; those of one symbol, or of what a broker calls so."""
        with decimal.localcontext(FIXED):
            trades = _collected(self._lens.read(account=account, types=TradesView.types))
        if symbol is None:
            return tuple(trades)
        names = {symbol, self._symbol(symbol)}
        return tuple(trade for trade in trades if trade.symbol in names)

    @overload
    def totals(self, account: str) -> tuple[Totals, ...]: ...
    @overload
    def totals(self, account: str, symbol: str) -> Totals: ...
    def totals(self, account: str, symbol: str | None = None) -> Totals | tuple[Totals, ...]:
        """Return one symbol's totals, all zero where there are none; without a symbol everyone's, sorted."""
        state: TradesState | None = self._lens.state(TradesView.name, account)
        totals = {} if state is None else state.totals
        if symbol is None:
            return tuple(sorted(totals.values(), key=lambda each: each.symbol))
        found = totals.get(symbol)
        if found is not None:
            return found
        symbol = self._symbol(symbol)
        return totals.get(symbol) or Totals(symbol)

    def unassigned_fees(self, account: str) -> Fees:
        """Return, by currency, the fees of trades whose symbol is not known any more."""
        state: TradesState | None = self._lens.state(TradesView.name, account)
        return () if state is None else state.fees

    def anomalies(self, account: str) -> tuple[TradeAnomaly, ...]:
        """Return the last 100 records that surprised."""
        state: TradesState | None = self._lens.state(TradesView.name, account)
        return () if state is None else state.marked

    def _symbol(self, name: str) -> str:
        state: ContractsState | None = self._lens.state(ContractsView.name, SHARED)
        contract = None if state is None else state.find(name)
        return name if contract is None else contract.symbol


def _collected(records: Iterable[Record]) -> list[Trade]:
    trades: dict[str, Trade] = {}
    newest: dict[str, str] = {}
    later: list[tuple[str, AboutTrade]] = []
    for record in records:
        event = record.event
        if isinstance(event, TradeEvent):
            name = record.stream + "\0" + event.trade_id
            if name not in trades:
                trades[name] = _told(event, record)
                newest[event.trade_id] = name
        elif isinstance(event, AboutTrade):
            later.append((record.stream + "\0" + event.trade_id, event))
    # What is said about a trade may stand before it in the log, for each stream has a writer of its own.
    for name, about in later:
        known = name if name in trades else newest.get(about.trade_id)
        if known is not None and about.symbol in {None, trades[known].symbol}:
            trades[known] = _changed(trades[known], about)
    return list(trades.values())


def _told(event: TradeEvent, record: Record) -> Trade:
    return Trade(
        trade_id=event.trade_id,
        order_id=record.entity.replace("%2F", "/") if isinstance(event, OrderFilled) else None,
        symbol=event.symbol,
        side=event.side,
        quantity=event.quantity,
        price=event.price,
        fee=event.fee,
        occurred_at=record.occurred_at,
        position=record.position,
        fee_currency=event.fee_currency,
        position_side=event.position_side,
        exchange_trade_id=event.exchange_trade_id,
    )


def _changed(trade: Trade, about: AboutTrade) -> Trade:
    match about:
        case TradeBusted():
            return replace(trade, busted=True)
        case TradeCorrected():
            side = trade.side if about.side is None else about.side
            return replace(trade, quantity=about.quantity, price=about.price, side=side, corrected=True)
        case FeeCharged(amount=amount, currency=currency):
            if currency is None or currency == trade.fee_currency:
                return replace(trade, fee=trade.fee + amount)
            if trade.fee_currency is None and not trade.fee:
                return replace(trade, fee=amount, fee_currency=currency)
            return replace(trade, other_fees=with_fee(trade.other_fees, currency, amount))


def _trade(state: TradesState, event: TradeEvent, record: Record) -> None:
    name = record.stream + "\0" + event.trade_id
    recent = state.recent
    if name in recent.newer or name in recent.older:
        state.marked = with_anomaly(state.marked, TradeAnomalyKind.DUPLICATE_TRADE, record.position)
        return
    quantity = event.quantity if event.side is _BUY else -event.quantity
    dealt = RememberedTrade(event.symbol, quantity, event.price, event.fee, event.fee_currency or "")
    _add(state, dealt, 1)
    recent.put(name, dealt)


def _add(state: TradesState, dealt: RememberedTrade, count: int, busted: int = 0) -> None:
    """Add a trade to its symbol's totals, or with a count of -1 take it out again."""
    totals = state.totals.get(dealt.symbol)
    if totals is None:
        if len(state.totals) >= SYMBOLS_MAX:
            raise TooManySymbols(TradesView.name, dealt.symbol)
        totals = Totals(dealt.symbol)
    quantity, fee = (dealt.quantity, dealt.fee) if count > 0 else (-dealt.quantity, -dealt.fee)
    value = quantity * dealt.price
    bought, sold, bought_value, sold_value = totals.bought, totals.sold, totals.bought_value, totals.sold_value
    if dealt.quantity > ZERO:
        bought += quantity
        bought_value += value
    else:
        sold -= quantity
        sold_value -= value
    fees = with_fee(totals.fees, dealt.currency, fee) if fee else totals.fees
    state.totals[dealt.symbol] = Totals(
        dealt.symbol, totals.count + count, bought, sold, bought_value, sold_value, fees, totals.busted + busted
    )


def _charge(state: TradesState, event: FeeCharged, record: Record) -> None:
    currency, symbol = event.currency or "", event.symbol
    if symbol is None:
        _, dealt = _remembered(state, event, record.stream)
        symbol = None if dealt is None else dealt.symbol
    if symbol is None:
        state.fees = with_fee(state.fees, currency, event.amount)
        return
    if symbol not in state.totals and len(state.totals) >= SYMBOLS_MAX:
        raise TooManySymbols(TradesView.name, symbol)
    totals = state.totals.get(symbol) or Totals(symbol)
    state.totals[symbol] = replace(totals, fees=with_fee(totals.fees, currency, event.amount))


def _bust(state: TradesState, event: TradeBusted, record: Record) -> None:
    name, dealt = _remembered(state, event, record.stream)
    done = name + "\0bust"
    if state.recent.get(done) is not None:
        state.marked = with_anomaly(state.marked, TradeAnomalyKind.DUPLICATE_BUST, record.position)
        return
    if dealt is None:
        dealt = _repeated(event, event.quantity, event.price)
    if dealt is None:
        state.marked = with_anomaly(state.marked, TradeAnomalyKind.UNKNOWN_BUST, record.position)
        return
    _add(state, dealt, -1, busted=1)
    state.recent.put(done, dealt)


def _correct(state: TradesState, event: TradeCorrected, record: Record) -> None:
    name, dealt = _remembered(state, event, record.stream)
    if dealt is None:
        dealt = _repeated(event, event.previous_quantity, event.previous_price)
    if dealt is None or state.recent.get(name + "\0bust") is not None:
        state.marked = with_anomaly(state.marked, TradeAnomalyKind.UNKNOWN_CORRECTION, record.position)
        return
    buys = dealt.quantity > ZERO if event.side is None else event.side is _BUY
    again = replace(dealt, quantity=event.quantity if buys else -event.quantity, price=event.price)
    _add(state, dealt, -1)
    _add(state, again, 1)
    state.recent.put(name, again)


def _remembered(state: TradesState, event: AboutTrade, stream: str) -> tuple[str, RememberedTrade | None]:
    """Return a trade's name and what it added: in this very stream, else the newest of its id."""
    name = stream + "\0" + event.trade_id
    dealt = state.recent.get(name)
    if dealt is None:
        for other, found in state.recent.ending("\0" + event.trade_id):
            if event.symbol in {None, found.symbol}:
                return other, found
    return name, dealt


def _repeated(
    event: TradeBusted | TradeCorrected, quantity: Decimal | None, price: Decimal | None
) -> RememberedTrade | None:
    """Return the trade as a later event repeats it, or None where a figure is missing."""
    if event.symbol is None or event.side is None or quantity is None or price is None:
        return None
    fee, currency = (event.fee, event.fee_currency) if isinstance(event, TradeBusted) else (ZERO, None)
    return RememberedTrade(event.symbol, quantity if event.side is _BUY else -quantity, price, fee, currency or "")
