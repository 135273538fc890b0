"""Histories made by chance for the laws: three accounts, what brokers send of them, and some of it surprising."""

import hashlib
import random
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from eventstore import Event, EventStore, ManualClock, Record, trading
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AdjustmentReason,
    Allows,
    ContractDefined,
    FeeCharged,
    LockoutCleared,
    LockoutExpired,
    LockoutExtended,
    LockoutSet,
    Marked,
    OrderFilled,
    OrderReported,
    OrderStatus,
    OrderSubmitted,
    PositionAdjusted,
    PositionReported,
    PositionSide,
    Side,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections import View
from projections.fold import Fold
from projections.views.contracts import ContractsView
from projections.views.lockouts import LockoutsView
from projections.views.orders import OrdersView
from projections.views.positions import PositionsView
from projections.views.trades import TradesView

Fact = tuple[str, Event]

START = 1_750_000_000_000_000_000
SECOND = 1_000_000_000
ACCOUNTS = ("A", "B", "C")
SYMBOLS = ("ESZ5", "NQZ5")
ORDERS = ("O1", "O2", "O/3", "O4", "O5")
TRADES = ("T1", "T2", "T3", "T4")


def views() -> list[View[Any]]:
    """Return the shipped views, with bounds so small that a short history goes over them."""
    return [
        OrdersView(closed_max=2, unknown_max=2),
        TradesView(),
        PositionsView(),
        LockoutsView(ended_max=2),
        ContractsView(),
    ]


def history(chance: random.Random, length: int) -> list[Fact]:
    """Return facts of all kinds; the same chance gives the same ones."""
    makers = [_order, _order, _order, _fill, _fill, _fill, _about_trade, _position, _lockout, _shared]
    return [chance.choice(makers)(chance, chance.choice(ACCOUNTS)) for _ in range(length)]


def store_of(facts: Iterable[Fact] = (), directory: Path | None = None) -> EventStore:
    """Return a store in memory that holds these facts; ids and times are the same each time."""
    clock = ManualClock(START)
    store = EventStore(MemoryJournal(clock=clock, log_id=bytes(16)), clock=clock, directory=directory)
    for fact in facts:
        append(store, fact)
    return store


def append(store: EventStore, fact: Fact, write: Callable[..., Sequence[Record]] | None = None) -> Record:
    """Append one fact under a key of its place, a second later than the last."""
    stream, event = fact
    clock, place = store.clock, store.head() + 1
    assert isinstance(clock, ManualClock)
    clock.advance(SECOND)
    # Every fifth fact is told late, so that the two times of a record differ.
    occurred_at = clock.now_ns() - (place % 5 == 0) * 7 * SECOND
    return (write or store.append)(stream, event, key=str(place), occurred_at=occurred_at, actor="test")[0]


def folded(records: Iterable[Record], accounts: frozenset[str] | None = None) -> Fold:
    fold = Fold(views(), accounts=accounts)
    fold.apply(list(records))
    return fold


def states(fold: Fold) -> dict[tuple[str, str], bytes]:
    """Return every state of a fold as the bytes that a snapshot holds."""
    return {
        (name, partition): msgspec.msgpack.encode(state)
        for name, slot in fold.slots.items()
        for partition, state in slot.states.items()
    }


def fingerprint_of(seed: int, length: int) -> str:
    """Return one digest of all states that the history of a seed folds to."""
    found = states(folded(store_of(history(random.Random(seed), length)).read()))
    digest = hashlib.sha256()
    for key in sorted(found):
        digest.update(repr(key).encode() + found[key])
    return digest.hexdigest()


def _quantity(chance: random.Random) -> Decimal:
    return Decimal(chance.randint(1, 9))


def _price(chance: random.Random) -> Decimal:
    # A third of a cent: sums of such prices need more digits than a careless context keeps.
    return Decimal(chance.randint(300_000, 310_000)) / 300


def _side(chance: random.Random) -> Side:
    return chance.choice((Side.BUY, Side.SELL))


def _held(chance: random.Random) -> PositionSide:
    return chance.choice((PositionSide.NET, PositionSide.NET, PositionSide.LONG, PositionSide.SHORT))


def _order(chance: random.Random, account: str) -> Fact:
    quantity, symbol, side = _quantity(chance), chance.choice(SYMBOLS), _side(chance)
    event: Event
    match chance.randint(0, 10):
        case 0 | 1 | 2:
            event = OrderSubmitted(symbol=symbol, side=side, quantity=quantity, limit_price=_price(chance))
        case 3 | 4:
            event = trading.OrderAccepted(broker_order_id=chance.choice(("X1", "X2", None)))
        case 5:
            event = trading.OrderCanceled(quantity=chance.choice((quantity, None)))
        case 6:
            event = trading.OrderReplaced(quantity=quantity)
        case 7:
            event = trading.OrderReduced(by=quantity)
        case 8:
            event = chance.choice((trading.OrderCancelRequested(), trading.OrderReplaceRequested(quantity=quantity)))
        case 9:
            event = chance.choice((trading.OrderRejected(), trading.OrderExpired(), trading.OrderCancelRejected()))
        case _:
            status = chance.choice(list(OrderStatus))
            event = OrderReported(status=status, symbol=symbol, quantity=quantity, filled_quantity=_quantity(chance))
    return _order_stream(chance, account), event


def _order_stream(chance: random.Random, account: str) -> str:
    return f"order/{account}/{chance.choice(ORDERS).replace('/', '%2F')}"


def _fill(chance: random.Random, account: str) -> Fact:
    kind, stream = OrderFilled, _order_stream(chance, account)
    trade_id = chance.choice(TRADES)
    if chance.randint(0, 3) == 0:
        kind, stream = TradeExecuted, f"trade/{account}/{trade_id}"  # type: ignore[assignment] # of the same members
    return stream, kind(
        trade_id=trade_id,
        symbol=chance.choice(SYMBOLS),
        side=_side(chance),
        quantity=_quantity(chance),
        price=_price(chance),
        fee=Decimal(chance.randint(-1, 3)) / 7,
        fee_currency=chance.choice(("USD", "USD", None)),
        position_side=_held(chance),
    )


def _about_trade(chance: random.Random, account: str) -> Fact:
    trade_id = chance.choice(TRADES)
    stream = chance.choice((_order_stream(chance, account), f"trade/{account}/{trade_id}"))
    quantity, price = _quantity(chance), _price(chance)
    named: dict[str, Any] = {}
    if chance.randint(0, 1):
        named = {"symbol": chance.choice(SYMBOLS), "position_side": _held(chance)}
    match chance.randint(0, 4):
        case 0:
            return stream, FeeCharged(trade_id=trade_id, amount=price / 1000, currency="USD", **named)
        case 1:
            return stream, TradeBusted(trade_id=trade_id, **named)
        case 2:
            told: dict[str, Any] = {"side": _side(chance), "quantity": quantity, "price": price}
            return stream, TradeBusted(trade_id=trade_id, **told, **named)
        case 3:
            return stream, TradeCorrected(trade_id=trade_id, quantity=quantity, price=price, **named)
        case _:
            told = {"side": _side(chance), "previous_quantity": _quantity(chance), "previous_price": _price(chance)}
            return stream, TradeCorrected(trade_id=trade_id, quantity=quantity, price=price, **told, **named)


def _position(chance: random.Random, account: str) -> Fact:
    symbol, quantity = chance.choice(SYMBOLS), Decimal(chance.randint(-5, 5))
    stream, held = f"position/{account}/{symbol}", _held(chance)
    if chance.randint(0, 2) == 0:
        return stream, PositionReported(symbol=symbol, quantity=quantity, frozen=Decimal(1), position_side=held)
    reason = chance.choice(list(AdjustmentReason))
    price = chance.choice((_price(chance), None))
    return stream, PositionAdjusted(symbol=symbol, quantity=quantity, reason=reason, price=price, position_side=held)


def _lockout(chance: random.Random, account: str) -> Fact:
    rule, scope = chance.choice(("loss", "news")), chance.choice(("account", "root:ES", "symbol:NQZ5"))
    until = chance.choice((None, START + chance.randint(1, 60) * SECOND))
    event: Event
    match chance.randint(0, 5):
        case 0 | 1 | 2:
            allows = chance.choice(list(Allows))
            revocable = bool(chance.randint(0, 3))
            event = LockoutSet(rule_id=rule, scope=scope, allows=allows, until=until, revocable=revocable)
        case 3:
            event = LockoutExtended(until=until, scope=chance.choice((scope, None)))
        case 4:
            event = LockoutCleared(by="desk", scope=chance.choice((scope, None)))
        case _:
            event = LockoutExpired(scope=chance.choice((scope, None)))
    return f"lockout/{account}/{rule}", event


def _shared(chance: random.Random, _account: str) -> Fact:
    if chance.randint(0, 3) == 0:
        return "mark/-/eod", Marked(name="eod")
    symbol = chance.choice(SYMBOLS)
    alias = chance.choice((f"CON.{symbol}", "CON.ANY"))
    event = ContractDefined(symbol=symbol, multiplier=_quantity(chance), broker_ids=(alias,), currency="USD")
    return f"contract/-/{symbol}", event
