"""Round trips without a fold are those of the fold, row by row."""

from __future__ import annotations

import datetime
import importlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from eventstore import trading
from eventstore.trading import OrderSubmitted, Side
from projections import analysis
from tests.analysis.desks import ODDITIES, SECOND, Desk, usual_desk
from tests.analysis.recorded import START
from tests.proving import examples

module = importlib.import_module("projections.analysis.round_trips")


def rows(desk: Desk, **given: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - any argument of the frame
    found: list[dict[str, Any]] = analysis.round_trips(desk.store, progress=False, **given).to_arrow().to_pylist()
    return found


def folded(desk: Desk, **given: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - the same
    """Return the round trips by the fold alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "simple_trips", lambda *_, **__: None)
        return rows(desk, **given)


def accounts_folded(desk: Desk) -> set[str]:
    """Return the accounts that are folded for a frame of round trips."""
    found: set[str] = set()
    whole = module.simple_trips

    def noting(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - as it is called
        simple = whole(*given, **named)
        found.update(simple.others)
        return simple

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "simple_trips", noting)
        rows(desk)
    return found


def _submit(desk: Desk, account: str, strategy: str | None) -> None:
    """Submit the order that the next fill is of."""
    order = OrderSubmitted(symbol="ES", side=Side.BUY, quantity=Decimal(9), strategy=strategy)
    desk.append(f"order/{account}/O{desk.count + 1}", order)


def _note(desk: Desk) -> None:
    desk.append("note/B/N1", trading.NoteAdded(target="order/B/O2", tags=("news",)))


def _open_session(desk: Desk) -> None:
    day = datetime.date(2025, 12, 24)
    desk.append(f"session/B/{day}", trading.SessionOpened(trading_day=day, began_at=START, opens_at=START))


MORE: dict[str, Callable[[Desk], None]] = {
    "a note": _note,
    "a session": _open_session,
    "a fee in another currency": lambda desk: desk.fill("B", fee=Decimal(1), fee_currency="EUR"),
}
_STEPS = st.lists(
    st.tuples(
        st.sampled_from("ABC"),
        st.booleans(),
        st.sampled_from([1, 2, 3, Decimal("0.5")]),
        st.sampled_from([Decimal(0), Decimal("0.1"), Decimal("-0.25")]),
        st.sampled_from(["none", "none", "scalp", "swing"]),
        st.sampled_from([None] * 25 + list(ODDITIES) + list(MORE)),
    ),
    min_size=1,
    max_size=30,
)


@hypothesis.settings(max_examples=examples(test=30, prove=2_000))
@hypothesis.given(_STEPS, st.booleans())
def test_rows_are_those_of_the_fold(steps: list[tuple[Any, ...]], is_defined: bool) -> None:
    desk = usual_desk() if is_defined else Desk()
    for account, buys, quantity, fee, strategy, oddity in steps:
        if strategy != "none":
            _submit(desk, account, strategy)
        desk.fill(account, buys=buys, quantity=Decimal(quantity), fee=fee, price=Decimal(desk.count * 7 % 11) / 4)
        if oddity is not None:
            {**ODDITIES, **MORE}[oddity](desk)
    if not is_defined:
        desk.define()
    for exact in (False, True):
        assert rows(desk, exact=exact) == folded(desk, exact=exact)


def _traded() -> Desk:
    desk = usual_desk()
    for number in range(30):
        desk.fill("AB"[number % 2], buys=number % 4 > 1, price=Decimal(number % 7))
    return desk


RANGES: dict[str, dict[str, Any]] = {
    "from an instant": {"start": START + 20 * SECOND},
    "to an instant": {"stop": START + 25 * SECOND},
    "as it was known": {"stop": START + 25 * SECOND, "time": "recorded"},
    "since it was known": {"start": START + 25 * SECOND, "time": "recorded"},
    "of one account": {"account": "B"},
    "of nobody": {"account": "NOBODY"},
    "of a symbol": {"symbol": "CON.ES"},
    "as texts": {"exact": "text"},
}


@pytest.mark.parametrize("given", RANGES.values(), ids=RANGES)
def test_a_part_is_the_same_part(given: dict[str, Any]) -> None:
    desk = _traded()
    assert rows(desk, **given) == folded(desk, **given)
    assert rows(desk)


def test_accounts_are_folded_only_where_they_must_be() -> None:
    desk = _traded()
    assert accounts_folded(desk) == set()
    ODDITIES["a bust"](desk)
    assert accounts_folded(desk) == {"A"}
    assert rows(desk) == folded(desk)
    assert {row["account"] for row in rows(desk)} == {"A", "B"}


@pytest.mark.parametrize("oddity", MORE.values(), ids=MORE)
def test_an_account_with_more_to_say_is_folded(oddity: Callable[[Desk], None]) -> None:
    desk = _traded()
    oddity(desk)
    assert accounts_folded(desk) == {"B"}
    assert rows(desk) == folded(desk)


def test_numbers_of_many_digits_are_left_to_the_fold() -> None:
    desk = _traded()
    for buys in (True, False):
        desk.fill("C", buys=buys, price=Decimal("0.12345678901"))
    assert rows(desk) == folded(desk)
    assert len([row for row in rows(desk) if row["account"] == "C"]) == 1


def test_means_without_an_end_are_rounded_alike() -> None:
    desk = usual_desk()
    for price in (1, 1, 2):
        desk.fill("C", price=Decimal(price))
    desk.fill("C", buys=False, quantity=Decimal(3), price=Decimal(1))
    for exact in (False, True):
        found = rows(desk, exact=exact)
        assert found == folded(desk, exact=exact)
        assert found[0]["entry_price"] == (Decimal("1.333333333") if exact else 4 / 3)


def test_a_contract_without_a_currency_counts_in_the_account_s_own() -> None:
    desk = Desk()
    desk.append("account/A/-", trading.AccountOpened(starting_balance=Decimal(1), currency="EUR"))
    desk.define(currency=None)
    for number in range(4):
        desk.fill("A", buys=number % 2 == 0)
    assert [row["currency"] for row in rows(desk)] == ["EUR", "EUR"]
    assert rows(desk) == folded(desk)


def test_the_smallest_figures_have_round_trips_too() -> None:
    desk, tiny = Desk(), Decimal("1e-9")
    desk.define(multiplier=tiny)
    for number in range(4):
        desk.fill("A", buys=number % 2 == 0, quantity=tiny, price=tiny)
    assert [row["gross"] for row in rows(desk)] == [0, 0]
    assert rows(desk) == folded(desk)
