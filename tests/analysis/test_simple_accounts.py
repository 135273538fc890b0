"""Which accounts' fills count as they stand: those for which the fold says the same, and no others."""

from __future__ import annotations

import collections
import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

import projections
from eventstore import Event, EventStore, ManualClock, trading
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import AdjustmentReason, ContractDefined, OrderFilled, Payoff, PositionSide, Side
from projections import analysis
from projections.analysis import simple_accounts, vectorised
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


def _desk() -> Desk:
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


@pytest.mark.parametrize("oddity", ODDITIES.values(), ids=ODDITIES)
def test_an_account_with_an_oddity_is_left_to_the_fold(oddity: Callable[[Desk], None]) -> None:
    desk = _desk()
    oddity(desk)
    found = analysis.simple_fills(desk.store)
    assert found.others == ("A",)
    assert found.fills.to_arrow().column("account").to_pylist() == ["B"]


def test_usual_accounts_are_simple() -> None:
    desk = _desk()
    desk.fill("A", buys=False, fee=Decimal("0.5"), trading_day=datetime.date(2025, 11, 30))
    desk.append("position/A/ES", trading.PositionReported(symbol="ES", quantity=Decimal(5)))
    desk.append("session/A/2025-11-30", trading.SessionOpened(trading_day=datetime.date(2025, 11, 30)))
    found = analysis.simple_fills(desk.store)
    assert found.others == ()
    table = found.fills.to_arrow()
    assert table.column("multiplier").to_pylist() == [Decimal(50)] * 3
    assert table.column("currency").to_pylist() == ["USD"] * 3
    assert found.fills.schema == table.schema


def test_one_account_is_read_alone() -> None:
    desk = _desk()
    ODDITIES["a bust"](desk)
    assert analysis.simple_fills(desk.store, account="B").others == ()
    assert analysis.simple_fills(desk.store, account="A").others == ("A",)
    assert len(analysis.simple_fills(desk.store, account="NOBODY").fills) == 0


def test_positions_of_more_lots_than_the_fold_keeps_are_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simple_accounts, "LOTS_MAX", 3)
    desk = _desk()
    for number in range(6):
        desk.fill("B", buys=number % 2 == 1)
    assert analysis.simple_fills(desk.store).others == ()
    desk.fill("A")
    desk.fill("A")
    desk.fill("A")
    assert analysis.simple_fills(desk.store).others == ("A",)


_STEPS = st.lists(
    st.tuples(
        st.sampled_from("ABC"),
        st.booleans(),
        st.integers(1, 4),
        st.sampled_from([0] * 8 + [1, 3]),
        st.sampled_from([None] * 12 + [name for name in ODDITIES if name not in {"a coin", "an inverse contract"}]),
    ),
    min_size=1,
    max_size=25,
)


@hypothesis.settings(max_examples=100)
@hypothesis.given(_STEPS)
def test_simple_accounts_have_what_the_fold_says(steps: list[tuple[str, bool, int, int, str | None]]) -> None:
    desk = _desk()
    for account, buys, quantity, ago, oddity in steps:
        desk.fill(account, buys=buys, quantity=Decimal(quantity), ago=ago)
        if oddity is not None:
            ODDITIES[oddity](desk)
    found = analysis.simple_fills(desk.store)
    if all(oddity is None and not ago for *_, ago, oddity in steps):
        assert found.others == ()
    realized: dict[str, Decimal] = collections.defaultdict(Decimal)
    held: dict[str, Decimal] = {}
    for row in vectorised.running(found.fills, exact=True).to_arrow().to_pylist():
        realized[row["account"]] += row["realized"]
        held[row["account"]] = row["net_quantity"]
    assert not set(held) & set(found.others)
    with projections.open(desk.store) as book:
        for account, last in held.items():
            position = book.positions.get(account, "ES")
            assert (position.quantity, position.realized) == (last, realized[account])
