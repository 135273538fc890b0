"""Queries about trades: sums by contract, and each trade from the log as it stands now."""

import decimal
from decimal import Decimal
from typing import overload

import msgspec

from eventstore import Event, Instant, Record
from eventstore.readable import Readable
from eventstore.streams import SEPARATOR, unescaped
from eventstore.trading import OrderFilled, PositionSide, Side, TradeExecuted
from projections.decimals import FIXED, ZERO
from projections.view import BookReader, check_covered
from projections.views.executions.anomalies import TradeAnomaly, bounded
from projections.views.executions.fees import Fees, with_fees
from projections.views.executions.items import Item
from projections.views.executions.pnl_totals import Rates
from projections.views.executions.positions import anomalies_of
from projections.views.executions.refolding import refolded
from projections.views.executions.state import SIDES, VIEW, ExecutionsState, Holding, Traded
from projections.views.executions.view import ExecutionsView

_UNLIMITED = 2**62


class Totals(msgspec.Struct, frozen=True, gc=False):
    """Sums over one contract's trades, without busted ones, which `busted` counts. Values are price × quantity."""

    symbol: str
    count: int = 0
    bought: Decimal = ZERO
    sold: Decimal = ZERO
    bought_value: Decimal = ZERO
    sold_value: Decimal = ZERO
    fees: Fees = ()
    busted: int = 0


class Trade(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """One trade as it stands now: `fee` includes fees that came later, `quantity` and `price` a correction.

    `order_id` is None for a trade without an order in this log. `fee` is in `fee_currency`, None if no currency was
    named; `other_fees` are those in other currencies, under "" those that named none. `occurred_at` is in UNIX ns,
    `position` is a log position.
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


class Trades:
    """Queries about trades."""

    def __init__(self, book: BookReader) -> None:
        self._book = book

    def of(self, account: str, symbol: str | None = None) -> tuple[Trade, ...]:
        """Return an account's trades from the log, oldest first; those of one contract, by any of its names.

        All its records of trades are read, and reports are compared among all of them.
        """
        first: dict[int, Record] = {}
        with decimal.localcontext(FIXED):
            state = refolded(self._book, account, ExecutionsView(trades_max=_UNLIMITED), first)
            found = sorted((item for items in state.recent.newer.values() for item in items), key=_position)
            rates = Rates(self._book, None)
            wanted = None if symbol is None else rates.symbol(symbol)
            return tuple(
                trade_of(item, first[item.log_position].event)
                for item in found
                if symbol is None or symbol == item.symbol or rates.symbol(item.symbol) == wanted
            )

    @overload
    def totals(self, account: str) -> tuple[Totals, ...]: ...
    @overload
    def totals(self, account: str, symbol: str) -> Totals: ...
    def totals(self, account: str, symbol: str | None = None) -> Totals | tuple[Totals, ...]:
        """Return one contract's totals, all zero if it has none; without a symbol those of every contract, sorted."""
        state: ExecutionsState | None = self._book.state(VIEW, account)
        if state is None:
            check_covered(self._book, account)
        if symbol is None:
            by_symbol: dict[str, list[Holding]] = {}
            for holding in [] if state is None else list(state.holdings.values()):
                by_symbol.setdefault(holding.symbol, []).append(holding)
            found = (_totals(name, by_symbol[name]) for name in sorted(by_symbol))
            return tuple(each for each in found if each != Totals(each.symbol))
        held = [] if state is None else _held(state, symbol)
        if held or state is None:
            return _totals(symbol, held)
        name = state.symbols.get(symbol) or Rates(self._book, None).symbol(symbol)
        return _totals(name, _held(state, name))

    def unassigned_fees(self, account: str) -> Fees:
        """Return, by currency, the fees of trades whose symbol is not known."""
        state: ExecutionsState | None = self._book.state(VIEW, account)
        return () if state is None else state.fees

    def anomalies(self, account: str) -> tuple[TradeAnomaly, ...]:
        """Return the last 100 anomalous records of the account's trades."""
        state: ExecutionsState | None = self._book.state(VIEW, account)
        if state is None:
            check_covered(self._book, account)
            return ()
        found = {each for holding in list(state.holdings.values()) for each in anomalies_of(state, holding)}
        return bounded(tuple(sorted({*found, *state.anomalies}, key=lambda each: (each.position, each.kind))))


def _position(item: Item) -> int:
    return item.log_position


def trade_of(item: Item, event: Event) -> Trade:
    """Return a trade as it stands now; `event` is its first report."""
    assert isinstance(event, OrderFilled | TradeExecuted), "only reports of executions are remembered"
    order, busted = item.order_stream, item.busted
    # Those of a busted trade are gone with it.
    fees = {} if busted else dict(item.fees)
    own = event.fee_currency or (next(iter(fees)) if fees and not event.fee else "")
    shown = next(each for each in reversed(item.figures) if each.quantity)
    fee = fees.pop(own, ZERO)
    return Trade(
        trade_id=event.trade_id,
        order_id=None if order is None else unescaped(order.split("/", 2)[2]),
        symbol=event.symbol,
        side=Side.BUY if shown.quantity > ZERO else Side.SELL,
        quantity=abs(shown.quantity),
        price=event.price if shown.price is None else shown.price,
        fee=fee,
        occurred_at=item.at,
        position=item.log_position,
        busted=busted,
        corrected=len([each for each in item.history if each.quantity]) > 1,
        fee_currency=own or None,
        other_fees=tuple(sorted(fees.items())),
        position_side=event.position_side,
        exchange_trade_id=event.exchange_trade_id,
    )


def _held(state: ExecutionsState, symbol: str) -> list[Holding]:
    found = [state.holdings.get(symbol + SEPARATOR + side) for side in SIDES]
    return [holding for holding in found if holding is not None]


def _totals(symbol: str, holdings: list[Holding]) -> Totals:
    if len(holdings) == 1:
        fees, sums = holdings[0].fees, holdings[0].traded
    else:
        fees, sums = (), Traded()
        with decimal.localcontext(FIXED):
            for holding in holdings:
                fees, sums = with_fees(fees, holding.fees), sums.plus(holding.traded)
    values = sums.bought, sums.sold, sums.bought_value, sums.sold_value
    return Totals(symbol, sums.count, *values, fees, sums.busted)
