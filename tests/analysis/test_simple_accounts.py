"""Which accounts' fills count as they stand: those for which the fold says the same, and no others."""

from __future__ import annotations

import collections
import datetime
from collections.abc import Callable
from decimal import Decimal

import hypothesis
import pytest
from hypothesis import strategies as st

import projections
from eventstore import trading
from projections import analysis
from projections.analysis import simple_accounts, vectorised
from tests.analysis.desks import ODDITIES, Desk, usual_desk
from tests.proving import examples


@pytest.mark.parametrize("oddity", ODDITIES.values(), ids=ODDITIES)
def test_an_account_with_an_oddity_is_left_to_the_fold(oddity: Callable[[Desk], None]) -> None:
    desk = usual_desk()
    oddity(desk)
    found = analysis.simple_fills(desk.store)
    assert found.others == ("A",)
    assert found.fills.to_arrow().column("account").to_pylist() == ["B"]


def test_usual_accounts_are_simple() -> None:
    desk = usual_desk()
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
    desk = usual_desk()
    ODDITIES["a bust"](desk)
    assert analysis.simple_fills(desk.store, account="B").others == ()
    assert analysis.simple_fills(desk.store, account="A").others == ("A",)
    assert len(analysis.simple_fills(desk.store, account="NOBODY").fills) == 0


def test_positions_of_more_lots_than_the_fold_keeps_are_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simple_accounts, "LOTS_MAX", 3)
    desk = usual_desk()
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


@hypothesis.settings(max_examples=examples(test=40, prove=2_000))
@hypothesis.given(_STEPS)
def test_simple_accounts_have_what_the_fold_says(steps: list[tuple[str, bool, int, int, str | None]]) -> None:
    desk = usual_desk()
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
