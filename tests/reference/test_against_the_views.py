"""The views compared with the reference models and with each other, on random histories of every kind."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import pytest

import projections
from projections.book import Book
from projections.cuts.states import encoded
from projections.views.executions import window
from projections.views.executions.state import ExecutionsState
from projections.views.executions.view import ExecutionsView
from tests.proving import rounds
from tests.reference.agreement import AGREEMENT
from tests.reference.compared import ACCOUNTS, Compared, Pair, recorded
from tests.reference.differences import FIGURES, money_problems, order_problems, position_problems, trip_problems
from tests.reference.histories import CONTRACTS, INVERSE, SPOT

pytestmark = pytest.mark.untraced

Check = Callable[[Pair], list[str]]


def problems_of(pairs: Iterable[Pair], checks: Iterable[Check]) -> list[str]:
    return [f"{pair.account} {problem}" for pair in pairs for check in checks for problem in check(pair)]


def by_value(book: Book, account: str) -> object:
    """Return the state of an account's executions, as it is read from a snapshot."""
    state = book.state(ExecutionsView.name, account)
    return msgspec.msgpack.decode(encoded(state), type=ExecutionsState | None)


def other_books(both: Compared, chance: random.Random) -> list[str]:
    """Return where books that were folded otherwise differ: in one page, of one account, as of an earlier record."""
    problems, account, position = [], chance.choice(ACCOUNTS), chance.randint(1, both.store.head())
    with projections.open(both.store, snapshots=False) as whole:
        unlike = [each for each in ACCOUNTS if by_value(whole, each) != by_value(both.book, each)]
        problems += [f"{each} is different in one page" for each in unlike]
    with projections.open(both.store, snapshots=False, accounts=(account,)) as alone:
        problems += problems_of([Pair(alone, both.models[account])], FIGURES)
    # Before the last definition there is not an amount of money for everything.
    defined = max(fact.log for _, fact in both.applied if fact.kind == "DEFINE")
    checks = FIGURES if position >= defined else [check for check in FIGURES if check is not money_problems]
    with projections.as_of(both.store, position=position) as past:
        problems += problems_of((Pair(past, each) for each in both.models_at(position).values()), checks)
    return problems


def test_the_views_agree_with_the_models_and_with_each_other(memory_path: Path) -> None:
    for seed in rounds("views against models", test=200, prove=20_000):
        both = Compared(recorded(seed, 40), memory_path / f"{seed}.sqlite")
        assert problems_of(both.pairs, (*FIGURES, *AGREEMENT)) == []
        assert other_books(both, random.Random(seed)) == []
        both.close()


@pytest.mark.parametrize(
    ("seed", "symbols"),
    [
        pytest.param(1144, tuple(CONTRACTS), id="a-correction-by-another-name"),
        pytest.param(5509, tuple(CONTRACTS), id="two-trips-of-one-number"),
        pytest.param(5860, tuple(CONTRACTS), id="nothing-left-under-later-terms"),
        pytest.param(10180, (INVERSE, SPOT), id="a-fee-in-the-coin-before-a-split"),
        pytest.param(13821, (INVERSE, SPOT), id="nothing-but-rounding-before-any-terms"),
    ],
)
def test_the_views_agree_on_histories_on_which_they_once_did_not(
    seed: int, symbols: tuple[str, ...], memory_path: Path
) -> None:
    both = Compared(recorded(seed, 40, symbols=symbols), memory_path / f"{seed}.sqlite")
    assert problems_of(both.pairs, (*FIGURES, *AGREEMENT)) == []
    assert other_books(both, random.Random(seed)) == []
    both.close()


@pytest.mark.parametrize("seed", [422, 962])
def test_orders_agree_on_histories_on_which_they_once_did_not(seed: int, memory_path: Path) -> None:
    """A bust that was booked before its trade; one record that changes a trade in two steps."""
    both = Compared(recorded(seed), memory_path / f"{seed}.sqlite")
    assert problems_of(both.pairs, (order_problems,)) == []
    both.close()


def test_the_views_agree_with_the_models_of_inverse_contracts_and_coin_fees(memory_path: Path) -> None:
    for seed in rounds("views against models of payoffs", test=60, prove=20_000):
        both = Compared(recorded(seed, 40, symbols=(INVERSE, SPOT)), memory_path / f"{seed}.sqlite")
        assert problems_of(both.pairs, (*FIGURES, *AGREEMENT)) == []
        assert other_books(both, random.Random(seed)) == []
        both.close()


@pytest.mark.slow
def test_the_views_agree_with_the_models_of_orders(memory_path: Path) -> None:
    for seed in rounds("views against models of orders", test=15, prove=2_000):
        both = Compared(recorded(seed), memory_path / f"{seed}.sqlite")
        assert problems_of(both.pairs, (*FIGURES, *AGREEMENT, order_problems)) == []
        both.close()


@pytest.mark.slow
def test_the_views_agree_with_the_models_at_their_limits(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "WINDOW_MAX", 6)
    monkeypatch.setattr(window, "RECONCILED_MAX", 2)
    defaults = ExecutionsView.__init__.__kwdefaults__ or {}
    monkeypatch.setitem(defaults, "trades_max", 8)
    for seed in rounds("views against models at limits", test=15, prove=2_000):
        limits = {"identities_max": 8, "window_max": 6, "reconciled_max": 2}
        both = Compared(recorded(seed), memory_path / f"{seed}.sqlite", **limits)
        # A list of trades has no limits.
        assert problems_of(both.pairs, (position_problems, money_problems, trip_problems)) == []
        both.close()
