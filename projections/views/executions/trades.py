"""The trades view: running totals by symbol; and queries, which read each trade and its later changes from the log."""

import decimal
from collections.abc import Iterable
from decimal import Decimal
from typing import ClassVar, overload

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from eventstore import Event, Instant, Record
from eventstore.streams import SEPARATOR, unescaped
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
from projections.view import SHARED, BookReader, View
from projections.views.contracts.view import SYMBOLS_MAX, ContractsState, ContractsView, TooManySymbols
from projections.views.executions.anomalies import TradeAnomaly, TradeAnomalyKind, with_anomaly
from projections.views.executions.fees import Fees, with_fee
from projections.views.executions.recent_trades import AboutTrade, TradeEvent, TwoGenerationCache, find_trade

_BUY = Side.BUY


class RememberedTrade(msgspec.Struct, frozen=True, gc=False):
    """What a recent trade added to its symbol's totals; `quantity` is negative for a sale."""

    symbol: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    currency: str


class Totals(msgspec.Struct, frozen=True, gc=False):
    """Sums over one symbol's trades, without busted ones, which `busted` counts. Values are price × quantity."""

    symbol: str
    count: int = 0
    bought: Decimal = ZERO
    sold: Decimal = ZERO
    bought_value: Decimal = ZERO
    sold_value: Decimal = ZERO
    fees: Fees = ()
    busted: int = 0


class TradesState(msgspec.Struct):
    """One account. Totals by symbol; recent trades by stream, NUL and trade id; fees of no known symbol; anomalies."""

    totals: dict[str, Totals] = {}
    recent: TwoGenerationCache[RememberedTrade] = msgspec.field(default_factory=TwoGenerationCache)
    fees: Fees = ()
    anomalies: tuple[TradeAnomaly, ...] = ()


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """One trade as it stands now: `fee` includes fees that came later, `quantity` and `price` a correction.

    `order_id` is None for a trade without an order in this log. `fee` is in `fee_currency`, None if no currency was
    named; `other_fees` are those in other currencies. `occurred_at` is in UNIX ns, `position` is a log position.
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
    """Each symbol's totals. A trade id counts once per stream, as long as it is among the last 1,000 trades."""

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
    """Queries about trades."""

    def __init__(self, book: BookReader) -> None:
        self._book = book

    def of(self, account: str, symbol: str | None = None) -> tuple[Trade, ...]:
        """Return an account's trades from the log, oldest first; those of one symbol, or of a broker's name for one."""
        with decimal.localcontext(FIXED):
            trades = _collected(self._book.read(account=account, types=TradesView.types))
        if symbol is None:
            return tuple(trades)
        names = {symbol, self._symbol(symbol)}
        return tuple(trade for trade in trades if trade.symbol in names)

    @overload
    def totals(self, account: str) -> tuple[Totals, ...]: ...
    @overload
    def totals(self, account: str, symbol: str) -> Totals: ...
    def totals(self, account: str, symbol: str | None = None) -> Totals | tuple[Totals, ...]:
        """Return one symbol's totals, all zero if it has none; without a symbol those of every symbol, sorted."""
        state: TradesState | None = self._book.state(TradesView.name, account)
        totals = {} if state is None else state.totals
        if symbol is None:
            return tuple(sorted(totals.values(), key=lambda each: each.symbol))
        found = totals.get(symbol)
        if found is not None:
            return found
        symbol = self._symbol(symbol)
        return totals.get(symbol) or Totals(symbol)

    def unassigned_fees(self, account: str) -> Fees:
        """Return, by currency, the fees of trades whose symbol is no longer known."""
        state: TradesState | None = self._book.state(TradesView.name, account)
        return () if state is None else state.fees

    def anomalies(self, account: str) -> tuple[TradeAnomaly, ...]:
        """Return the last 100 anomalous records."""
        state: TradesState | None = self._book.state(TradesView.name, account)
        return () if state is None else state.anomalies

    def _symbol(self, name: str) -> str:
        state: ContractsState | None = self._book.state(ContractsView.name, SHARED)
        contract = None if state is None else state.find(name)
        return name if contract is None else contract.symbol


def _collected(records: Iterable[Record]) -> list[Trade]:
    trades: dict[str, Trade] = {}
    newest: dict[str, str] = {}
    later: list[tuple[str, AboutTrade]] = []
    for record in records:
        event = record.event
        if isinstance(event, TradeEvent):
            name = record.stream + SEPARATOR + event.trade_id
            if name not in trades:
                trades[name] = _recorded(event, record)
                newest[event.trade_id] = name
        elif isinstance(event, AboutTrade):
            later.append((record.stream + SEPARATOR + event.trade_id, event))
    # A change of a trade may precede it in the log, because different processes write to different streams.
    for name, about in later:
        known = name if name in trades else newest.get(about.trade_id)
        if known is not None and about.symbol in {None, trades[known].symbol}:
            trades[known] = _changed(trades[known], about)
    return list(trades.values())


def _recorded(event: TradeEvent, record: Record) -> Trade:
    return Trade(
        trade_id=event.trade_id,
        order_id=unescaped(record.entity) if isinstance(event, OrderFilled) else None,
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
    name = record.stream + SEPARATOR + event.trade_id
    recent = state.recent
    if name in recent.newer or name in recent.older:
        state.anomalies = with_anomaly(state.anomalies, TradeAnomalyKind.DUPLICATE_TRADE, record.position)
        return
    quantity = event.quantity if event.side is _BUY else -event.quantity
    trade = RememberedTrade(event.symbol, quantity, event.price, event.fee, event.fee_currency or "")
    _add(state, trade, 1)
    recent.put(name, trade)


def _add(state: TradesState, trade: RememberedTrade, count: int, busted: int = 0) -> None:
    """Add a trade to its symbol's totals, or with a count of -1 take it out again."""
    totals = state.totals.get(trade.symbol)
    if totals is None:
        if len(state.totals) >= SYMBOLS_MAX:
            raise TooManySymbols(TradesView.name, trade.symbol)
        totals = Totals(trade.symbol)
    quantity, fee = (trade.quantity, trade.fee) if count > 0 else (-trade.quantity, -trade.fee)
    value = quantity * trade.price
    bought, sold, bought_value, sold_value = totals.bought, totals.sold, totals.bought_value, totals.sold_value
    if trade.quantity > ZERO:
        bought += quantity
        bought_value += value
    else:
        sold -= quantity
        sold_value -= value
    fees = with_fee(totals.fees, trade.currency, fee) if fee else totals.fees
    state.totals[trade.symbol] = Totals(
        trade.symbol, totals.count + count, bought, sold, bought_value, sold_value, fees, totals.busted + busted
    )


def _charge(state: TradesState, event: FeeCharged, record: Record) -> None:
    currency, symbol = event.currency or "", event.symbol
    if symbol is None:
        _, trade = find_trade(state.recent, event, record.stream)
        symbol = None if trade is None else trade.symbol
    if symbol is None:
        state.fees = with_fee(state.fees, currency, event.amount)
        return
    if symbol not in state.totals and len(state.totals) >= SYMBOLS_MAX:
        raise TooManySymbols(TradesView.name, symbol)
    totals = state.totals.get(symbol) or Totals(symbol)
    state.totals[symbol] = replace(totals, fees=with_fee(totals.fees, currency, event.amount))


def _bust(state: TradesState, event: TradeBusted, record: Record) -> None:
    name, trade = find_trade(state.recent, event, record.stream)
    # A key of its own, remembered for longer than the trade: a repeated bust must not take the trade out twice.
    done = name + SEPARATOR + "bust"
    if state.recent.get(done) is not None:
        state.anomalies = with_anomaly(state.anomalies, TradeAnomalyKind.DUPLICATE_BUST, record.position)
        return
    if trade is None:
        trade = _repeated(event, event.quantity, event.price)
    if trade is None:
        state.anomalies = with_anomaly(state.anomalies, TradeAnomalyKind.UNKNOWN_BUST, record.position)
        return
    _add(state, trade, -1, busted=1)
    state.recent.put(done, trade)


def _correct(state: TradesState, event: TradeCorrected, record: Record) -> None:
    name, trade = find_trade(state.recent, event, record.stream)
    if trade is None:
        trade = _repeated(event, event.previous_quantity, event.previous_price)
    if trade is None or state.recent.get(name + SEPARATOR + "bust") is not None:
        state.anomalies = with_anomaly(state.anomalies, TradeAnomalyKind.UNKNOWN_CORRECTION, record.position)
        return
    buys = trade.quantity > ZERO if event.side is None else event.side is _BUY
    # A correction changes quantity and price, never the fee: that is charged or refunded by an event of its own.
    again = replace(trade, quantity=event.quantity if buys else -event.quantity, price=event.price)
    _add(state, trade, -1)
    _add(state, again, 1)
    state.recent.put(name, again)


def _repeated(
    event: TradeBusted | TradeCorrected, quantity: Decimal | None, price: Decimal | None
) -> RememberedTrade | None:
    """Return the trade from the figures that a later event repeats, or None if one is missing."""
    if event.symbol is None or event.side is None or quantity is None or price is None:
        return None
    fee, currency = (event.fee, event.fee_currency) if isinstance(event, TradeBusted) else (ZERO, None)
    return RememberedTrade(event.symbol, quantity if event.side is _BUY else -quantity, price, fee, currency or "")
