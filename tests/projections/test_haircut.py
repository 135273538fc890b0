"""A haircut on converted amounts narrows the headroom of a check, and neither a figure nor what locks."""

from __future__ import annotations

from decimal import Decimal

import pytest

import projections
from eventstore import EventStore, InvalidEvent, ManualClock
from eventstore.clock import NANOSECONDS
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountConfigured,
    AccountOpened,
    ContractDefined,
    LimitsSet,
    OrderFilled,
    RateQuoted,
    Side,
    Verdict,
)
from projections import Book, Policies
from projections.risk import Proposal, check
from projections.risk.checking import Checked
from projections.rules import shipped_rules

START = 1_790_000_000 * NANOSECONDS


class Desk:
    """An account in USD that has lost in a contract priced in EUR, at 1.10 USD."""

    def __init__(self, **limit: str) -> None:
        self.clock = ManualClock(START)
        store = EventStore(MemoryJournal(clock=self.clock), clock=self.clock)
        self.book: Book = projections.open(store)
        self.policies = Policies(self.book, shipped_rules()).start(ticking=False)
        self.book.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        for symbol, currency in (("FDAX", "EUR"), ("ES", "USD")):
            defined = ContractDefined(symbol=symbol, multiplier=Decimal(1), currency=currency)
            self.book.append(f"contract/-/{symbol}", defined)
        self.book.append("rate/-/EURUSD", RateQuoted(base="EUR", quote="USD", rate=Decimal("1.10")))
        for rule_id, amount in limit.items():
            name = rule_id.replace("_", "-")
            parameters = {"distance" if name == "trailing-drawdown" else "limit": amount, "basis": "realized"}
            self.book.append(f"limits/A/{name}", LimitsSet(rule_id=name, parameters=parameters), actor="desk")

    def lose(self, symbol: str, amount: int) -> None:
        for number, (side, price) in enumerate(((Side.BUY, 5_000), (Side.SELL, 5_000 - amount))):
            fill = OrderFilled(
                trade_id=f"{symbol}{number}", symbol=symbol, side=side, quantity=Decimal(1), price=Decimal(price)
            )
            self.book.append(f"order/A/{symbol}{number}", fill)

    def hold_back(self, haircut: str) -> None:
        self.book.append("account/A/-", AccountConfigured(haircut=Decimal(haircut)), actor="desk")

    def asked(self) -> Checked:
        order = Proposal(account="A", symbol="ES", side=Side.BUY, quantity=Decimal(1))
        return check(self.book, order, self.clock.now_ns())


def test_a_haircut_narrows_the_headroom_of_a_loss_limit_by_its_share_of_what_was_converted() -> None:
    desk = Desk(daily_loss="1000")
    desk.lose("FDAX", 850)  # 935 USD
    assert desk.asked().verdict is Verdict.WARNING
    desk.hold_back("0.1")
    answer = desk.asked()
    assert (answer.verdict, answer.rule_id) == (Verdict.REJECT, "daily-loss")
    assert "93.50 held back for converted amounts" in answer.reason


def test_a_haircut_changes_no_figure_and_locks_nothing() -> None:
    desk = Desk(daily_loss="1000", trailing_drawdown="1000")
    desk.hold_back("0.5")
    desk.lose("FDAX", 850)
    assert not desk.asked().passed
    assert {each.figure for each in desk.asked().findings} == {Decimal(935)}
    assert desk.book.equity.now("A").equity == Decimal(49_065)
    assert desk.book.lockouts.active("A", desk.clock.now_ns()) == ()


def test_a_haircut_counts_for_a_drawdown_too() -> None:
    desk = Desk(trailing_drawdown="1000")
    desk.lose("FDAX", 850)
    assert desk.asked().passed
    desk.hold_back("0.1")
    answer = desk.asked()
    assert (answer.verdict, answer.rule_id) == (Verdict.REJECT, "trailing-drawdown")


def test_what_is_in_the_account_s_own_currency_has_no_haircut() -> None:
    desk = Desk(daily_loss="1000", trailing_drawdown="1000")
    desk.hold_back("0.9")
    desk.lose("ES", 935)
    assert desk.asked().passed


@pytest.mark.parametrize("haircut", ["-0.1", "1", "1.5"])
def test_a_haircut_is_a_share_below_one(haircut: str) -> None:
    with pytest.raises(InvalidEvent, match=f"haircut {haircut} is not a share: expected 0 or more, and less than 1"):
        Desk().hold_back(haircut)
