"""A desk that fills in memory, and what may make of an account's fills something else than they say."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from eventstore import Event, EventStore, ManualClock, trading
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import AdjustmentReason, ContractDefined, OrderFilled, Payoff, PositionSide, Side
from tests.analysis.recorded import START

SECOND = 1_000_000_000


class Desk:
    """A store in memory; a second passes before each event."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.store = EventStore(MemoryJournal(clock=self.clock), clock=self.clock)
        self.count = 0

    def append(self, stream: str, event: Event, *, ago: int = 0) -> None:
        self.clock.advance(SECOND)
        self.store.append(stream, event, occurred_at=self.clock.now_ns() - ago * SECOND, actor="desk@host/test")

    def fill(self, account: str, *, ago: int = 0, buys: bool = True, **members: Any) -> None:  # noqa: ANN401 - a fill's
        self.count += 1
        usual = {"trade_id": f"T{self.count}", "symbol": "ES", "quantity": Decimal(1), "price": Decimal(self.count)}
        event = OrderFilled(**{"side": Side.BUY if buys else Side.SELL, **usual, **members})
        self.append(f"order/{account}/O{self.count}", event, ago=ago)

    def define(self, symbol: str = "ES", **members: Any) -> None:  # noqa: ANN401 - a contract's
        terms = {"multiplier": Decimal(50), "currency": "USD", **members}
        self.append(f"contract/-/{symbol}", ContractDefined(symbol=symbol, **terms))


def _adjust(desk: Desk, reason: AdjustmentReason) -> None:
    adjusted = trading.PositionAdjusted(symbol="ES", quantity=Decimal(2), reason=reason)
    desk.append("position/A/ES", adjusted)


ODDITIES: dict[str, Callable[[Desk], None]] = {
    "a bust": lambda desk: desk.append("trade/A/T1", trading.TradeBusted(trade_id="T1")),
    "a correction": lambda desk: desk.append(
        "trade/A/T1", trading.TradeCorrected(trade_id="T1", quantity=Decimal(3), price=Decimal(7))
    ),
    "a later fee": lambda desk: desk.append("fee/A/T1", trading.FeeCharged(trade_id="T1", amount=Decimal(1))),
    "a split": lambda desk: _adjust(desk, AdjustmentReason.SPLIT),
    "an opening": lambda desk: _adjust(desk, AdjustmentReason.OPENING),
    "a reopening": lambda desk: desk.append("account/A/-", trading.AccountReopened(starting_balance=Decimal(1))),
    "a trade reported twice": lambda desk: desk.fill("A", trade_id="T1", price=Decimal(1)),
    "an id of two trades": lambda desk: desk.fill("A", trade_id="T1", price=Decimal(2)),
    "a venue's id": lambda desk: desk.fill("A", exchange_trade_id="X"),
    "a late fill": lambda desk: desk.fill("A", ago=1_000),
    "a fill of tomorrow": lambda desk: desk.fill("A", ago=-86_400),
    "two sides": lambda desk: desk.fill("A", position_side=PositionSide.LONG),
    "another name": lambda desk: desk.fill("A", symbol="CON.ES"),
    "an inverse contract": lambda desk: desk.fill("A", symbol="BTC"),
    "a coin": lambda desk: desk.fill("A", symbol="BTCEUR"),
    "a contract defined twice": lambda desk: desk.fill("A", symbol="NQ"),
    "a multiplier of many digits": lambda desk: desk.fill("A", symbol="THIRD"),
}


def usual_desk() -> Desk:
    desk = Desk()
    desk.define(broker_ids=("CON.ES",))
    desk.define("BTC", payoff=Payoff.INVERSE, base_currency="BTC")
    desk.define("BTCEUR", base_currency="BTC")
    desk.define("NQ")
    desk.define("NQ", multiplier=Decimal(2))
    desk.define("THIRD", multiplier=None, tick_size=Decimal(3), tick_value=Decimal(1))
    desk.fill("A")
    desk.fill("B")
    return desk
