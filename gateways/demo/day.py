"""A simulated futures day, the same in every run: what three accounts send, and what their broker answers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from eventstore import Event
from eventstore.clock import NANOSECONDS, parse_time
from eventstore.trading import (
    AccountOpened,
    ContractDefined,
    FeeCharged,
    LimitsSet,
    Marked,
    OrderAccepted,
    OrderCanceled,
    OrderCancelRequested,
    OrderFilled,
    OrderRejected,
    OrderReplaced,
    OrderReplaceRequested,
    OrderReported,
    OrderStatus,
    OrderSubmitted,
    OrderType,
    PositionReported,
    QuoteReceived,
    Side,
    TimeInForce,
)
from gateways.importers import contract_for

ZONE = "America/Chicago"
OPENS_AT = parse_time("2025-11-19T08:30:00-06:00")
RESET_AT = parse_time("2025-11-19T17:00:00-06:00")
CLOSES_AT = parse_time("2025-11-19T15:00:00-06:00")
TICK_NS = 20 * NANOSECONDS
TICKS = 1_170
EVENTS = 19_651
"""The number of events of the day, with those that the policies and the trading loop append."""
LOSS_MAX = Decimal(3_000)
RULE = "daily-loss"
DESK = "kim@risk-desk"
"""The actor who sets the limits."""
EVENTS_APART_NS = 50_000_000
REPORT_EACH = 45
# With this seed the second account reaches its daily loss limit after midday.
SEED = 20_251_123
PULL = 4

Gate = Callable[[str, str, int], bool]
"""Asked before an order that opens a position: is it allowed, for this account and symbol at this instant?"""
Sent = Iterator[tuple[str, Event]]


class Fact(NamedTuple):
    """One event to append; stream and key decide its id, so that repeating it is a no-op."""

    stream: str
    event: Event
    key: str
    occurred_at: int
    actor: str | None = None


class Instrument(NamedTuple):
    """The start price and swing of a contract, in ticks, and the fee per side."""

    start: int
    swing: int
    fee: Decimal


INSTRUMENTS = {
    "ESZ5": Instrument(26_640, 3, Decimal("2.25")),
    "NQZ5": Instrument(98_400, 7, Decimal("2.25")),
    "CLZ5": Instrument(6_010, 3, Decimal("2.40")),
    "GCZ5": Instrument(40_830, 5, Decimal("2.45")),
}


class Style(NamedTuple):
    """How an account trades: the number of orders it tries on each tick, and its largest order and position.

    Of a hundred orders, `market` are market orders, and `chasing` follow the price; the others go against it.
    """

    orders: int
    market: int
    quantity_max: int
    position_max: int
    chasing: int


ACCOUNTS = {
    "ACC1": Style(orders=2, market=15, quantity_max=2, position_max=6, chasing=46),
    "ACC2": Style(orders=2, market=20, quantity_max=1, position_max=3, chasing=62),
    "ACC3": Style(orders=1, market=25, quantity_max=3, position_max=6, chasing=46),
}


def contracts() -> list[Fact]:
    """Return the definitions of the four contracts, which come first."""
    facts = []
    for symbol in INSTRUMENTS:
        stream = f"contract/-/{symbol}"
        facts.append(Fact(stream, contract_for(symbol), "definition 1", OPENS_AT - 60 * NANOSECONDS))
    return facts


def accounts() -> list[Fact]:
    """Return the start of each account: its balance, and the loss limit that locks it for the day."""
    facts, at = [], OPENS_AT - 60 * NANOSECONDS
    parameters = {"limit": str(LOSS_MAX), "revocable": False}
    for account in ACCOUNTS:
        opened = AccountOpened(starting_balance=Decimal(50_000), currency="USD")
        facts += [
            Fact(f"account/{account}/-", opened, "opened", at),
            Fact(f"limits/{account}/{RULE}", LimitsSet(rule_id=RULE, parameters=parameters), "first limit", at, DESK),
        ]
    return facts


def ticks(gate: Gate, seed: int = SEED, market: SimulatedMarket | None = None) -> Iterator[list[Fact]]:
    """Yield the day tick by tick: the facts of a tick are appended together. `market` shows the prices of that tick."""
    market = SimulatedMarket(random.Random(seed)) if market is None else market
    traders = [Trader(name, style, random.Random(seed + n)) for n, (name, style) in enumerate(ACCOUNTS.items(), 1)]
    yield [*contracts(), *accounts()]
    for number in range(TICKS):
        at = OPENS_AT + number * TICK_NS
        market.move()
        sent: list[tuple[str, Event]] = []
        for trader in traders:
            sent += trader.tick(number, market, gate, at)
            if number % REPORT_EACH == REPORT_EACH - 1:
                sent += trader.reports()
        sent += _marks(number)
        yield [
            Fact(stream, event, f"{number}.{index}", at + index * EVENTS_APART_NS)
            for index, (stream, event) in enumerate(sent)
        ]


def _marks(number: int) -> Iterable[tuple[str, Event]]:
    names = {0: "open", TICKS // 2: "midday", TICKS - 1: "close"}
    return [(f"mark/-/{names[number]}", Marked(name=names[number]))] if number in names else []


class SimulatedMarket:
    """Four prices in ticks, each on a random walk around a slower one; `moved` is the last change of each."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._sizes = {symbol: _tick_size(contract_for(symbol)) for symbol in INSTRUMENTS}
        self.prices = {symbol: instrument.start for symbol, instrument in INSTRUMENTS.items()}
        self._fair = dict(self.prices)
        self.moved = dict.fromkeys(INSTRUMENTS, 0)

    def move(self) -> None:
        for symbol, instrument in INSTRUMENTS.items():
            swing = instrument.swing
            # Integers only: the last digit of a float may differ between machines.
            self._fair[symbol] += self._chance.randrange(-1, 2)
            step = sum(self._chance.randrange(-swing, swing + 1) for _ in range(3))
            step += (self._fair[symbol] - self.prices[symbol]) // PULL
            self.prices[symbol] += step
            self.moved[symbol] = step

    def price(self, symbol: str, price: int) -> Decimal:
        """Return a price in ticks as the exchange writes it."""
        return price * self._sizes[symbol]

    def quote(self, number: int) -> QuoteReceived:
        """Return the newest price of one contract, of each in turn."""
        symbol = list(self.prices)[number % len(self.prices)]
        return QuoteReceived(symbol=symbol, last=self.price(symbol, self.prices[symbol]))


def _tick_size(contract: ContractDefined) -> Decimal:
    assert contract.tick_size is not None, "the built-in table has it for each of the four"
    return contract.tick_size


@dataclass(slots=True)
class WorkingOrder:
    """A working order at the venue."""

    stream: str
    broker_id: str
    symbol: str
    side: Side
    price: int | None
    quantity: int
    born: int
    stays: bool
    filled: int = 0

    @property
    def leaves(self) -> int:
        return self.quantity - self.filled


@dataclass(slots=True)
class Trader:
    """One account: what it sends, and what the broker answers."""

    name: str
    style: Style
    chance: random.Random
    working: list[WorkingOrder] = field(default_factory=list)
    held: dict[str, int] = field(default_factory=lambda: dict.fromkeys(INSTRUMENTS, 0))
    late_fees: list[tuple[int, FeeCharged]] = field(default_factory=list)
    orders: int = 0
    trades: int = 0

    def tick(self, number: int, market: SimulatedMarket, may_open: Gate, at: int) -> Sent:
        """Yield what happens to the account's working orders, then what it sends, if allowed."""
        for order in list(self.working):
            yield from self._progress(order, number, market)
        while self.late_fees and self.late_fees[0][0] <= number:
            fee = self.late_fees.pop(0)[1]
            yield f"trade/{self.name}/{fee.trade_id}", fee
        for _ in range(self.style.orders):
            symbol = self.chance.choice(list(INSTRUMENTS))
            order = self._draw_order(symbol, number, market)
            if may_open(self.name, symbol, at):
                yield from self._send(order, market)
            else:
                yield from self._close_all(number, market)

    def reports(self) -> Sent:
        """Yield the broker's reports of the working orders and the positions."""
        for order in self.working:
            partly = OrderStatus.PARTIALLY_FILLED if order.filled else OrderStatus.NEW
            yield (
                order.stream,
                OrderReported(
                    status=partly,
                    raw_status="Working",
                    broker_order_id=order.broker_id,
                    symbol=order.symbol,
                    side=order.side,
                    quantity=Decimal(order.quantity),
                    filled_quantity=Decimal(order.filled),
                ),
            )
        for symbol, quantity in self.held.items():
            yield f"position/{self.name}/{symbol}", PositionReported(symbol=symbol, quantity=Decimal(quantity))

    def _draw_order(self, symbol: str, number: int, market: SimulatedMarket) -> WorkingOrder:
        """Return the order that the account would send. Random numbers are drawn whether it is allowed or not."""
        style, chance = self.style, self.chance
        rising = market.moved[symbol] > 0
        chases = chance.randrange(100) < style.chasing
        side = Side.BUY if rising == chases else Side.SELL
        held = self.held[symbol]
        if abs(held) >= style.position_max:
            side = Side.SELL if held > 0 else Side.BUY
        is_market, away = chance.randrange(100) < style.market, chance.randrange(1, 9)
        price = (
            None if is_market else market.prices[symbol] - away if side is Side.BUY else market.prices[symbol] + away
        )
        quantity, stays = chance.randrange(1, style.quantity_max + 1), chance.randrange(100) < 2  # noqa: PLR2004 - of a hundred
        return self._order(symbol, side, price, quantity, number, stays=stays and not is_market)

    def _order(
        self, symbol: str, side: Side, price: int | None, quantity: int, number: int, *, stays: bool = False
    ) -> WorkingOrder:
        self.orders += 1
        stream = f"order/{self.name}/O-{self.orders:05}"
        broker_id = f"{7_000_000 + int(self.name[-1]) * 100_000 + self.orders}"
        return WorkingOrder(stream, broker_id, symbol, side, price, quantity, number, stays)

    def _send(self, order: WorkingOrder, market: SimulatedMarket, *, closing: bool = False) -> Sent:
        limit = None if order.price is None else market.price(order.symbol, order.price)
        yield (
            order.stream,
            OrderSubmitted(
                symbol=order.symbol,
                side=order.side,
                quantity=Decimal(order.quantity),
                order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
                limit_price=limit,
                time_in_force=TimeInForce.GOOD_TILL_CANCEL if order.stays else TimeInForce.DAY,
                reduce_only=closing,
            ),
        )
        if not closing and self.chance.randrange(100) < 3:  # noqa: PLR2004 - of a hundred
            yield order.stream, OrderRejected(reason="price outside the band")
            return
        yield order.stream, OrderAccepted(broker_order_id=order.broker_id)
        self.working.append(order)
        if order.price is None:
            yield from self._fill(order, market, whole=closing)

    def _progress(self, order: WorkingOrder, number: int, market: SimulatedMarket) -> Sent:
        now = market.prices[order.symbol]
        age = number - order.born
        if order.price is None or (now <= order.price if order.side is Side.BUY else now >= order.price):
            yield from self._fill(order, market)
        elif age == 6 and self.chance.randrange(3):  # noqa: PLR2004 - two minutes
            nearer = 2 if order.side is Side.BUY else -2
            order.price += nearer
            price = market.price(order.symbol, order.price)
            yield order.stream, OrderReplaceRequested(limit_price=price)
            yield order.stream, OrderReplaced(limit_price=price)
        elif age >= 12 and not order.stays:  # noqa: PLR2004 - four minutes
            yield from self._cancel(order, "stale")

    def _fill(self, order: WorkingOrder, market: SimulatedMarket, *, whole: bool = False) -> Sent:
        quantity = order.leaves
        if quantity > 1 and not whole and not self.chance.randrange(3):
            quantity = self.chance.randrange(1, quantity)
        sign = 1 if order.side is Side.BUY else -1
        # A market order pays the spread.
        price = market.prices[order.symbol] + sign if order.price is None else order.price
        order.filled += quantity
        self.held[order.symbol] += sign * quantity
        self.trades += 1
        trade_id = f"{self.name}-T{self.trades:05}"
        if not order.leaves:
            self.working.remove(order)
        if self.trades % 100 == 0:
            late = FeeCharged(trade_id=trade_id, amount=Decimal("0.35"), currency="USD", symbol=order.symbol)
            self.late_fees.append((order.born + 30, late))
        yield (
            order.stream,
            OrderFilled(
                trade_id=trade_id,
                symbol=order.symbol,
                side=order.side,
                quantity=Decimal(quantity),
                price=market.price(order.symbol, price),
                fee=quantity * INSTRUMENTS[order.symbol].fee,
                fee_currency="USD",
            ),
        )

    def _cancel(self, order: WorkingOrder, reason: str) -> Sent:
        self.working.remove(order)
        yield order.stream, OrderCancelRequested(reason=reason)
        yield order.stream, OrderCanceled(reason=reason, quantity=Decimal(order.leaves))

    def _close_all(self, number: int, market: SimulatedMarket) -> Sent:
        """Locked out: cancel working orders and close positions, which a reduce-only lockout still allows."""
        for order in list(self.working):
            yield from self._cancel(order, "locked out")
        for symbol, quantity in self.held.items():
            if quantity:
                side = Side.SELL if quantity > 0 else Side.BUY
                closing = self._order(symbol, side, None, abs(quantity), number)
                yield from self._send(closing, market, closing=True)
