"""Laws that the reference models keep on any random history: quantities, cash flow, and the order of reporting."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from tests.proving import rounds
from tests.reference.days import Money, money
from tests.reference.facts import ZERO, Fact
from tests.reference.histories import CONTRACTS, INVERSE, RULES, START, history
from tests.reference.items import worth
from tests.reference.positions import Positions
from tests.reference.round_trips import all_trips, volume
from tests.reference.sequence import Position

pytestmark = pytest.mark.untraced

OF_TRADES = {"FILL", "TRADE", "BUST", "CORRECT"}


def after(facts: list[Fact]) -> Positions:
    account = Positions()
    for log, fact in enumerate(facts, 1):
        account.apply(replace(fact, log=log))
    return account


def exact(account: Positions) -> Iterator[tuple[str, list[Position]]]:
    """Yield each contract with its positions, except where something is split or booked for an unknown trade."""
    for symbol in CONTRACTS:
        held = [position for (name, _), position in account.held.items() if name == symbol]
        kinds = {item.kind for position in held for item, _, _ in position.entries()}
        if "SPLIT" not in kinds and not any(fact.symbol == symbol for fact in account.booked):
            yield symbol, held


def test_a_position_is_what_was_bought_less_what_was_sold_with_its_adjustments() -> None:
    for seed in rounds("reference law of quantities", test=40, prove=4_000):
        account = after(history(seed))
        for symbol, held in exact(account):
            _, bought, sold, _ = volume(account, symbol)
            items = [item for position in held for item, _, _ in position.entries()]
            others = {"FILL", "OPPOSITE", "REPRICE", "CARRIED"}
            adjusted = sum((item.quantity for item in items if item.kind not in others), Fraction(0))
            taken = sum((each.taken for each in account.executions.all if each.contract == symbol), ZERO)
            assert sum(position.totals().quantity for position in held) == Fraction(bought - sold - taken) + adjusted


def test_what_was_realized_and_what_is_open_are_the_cash_flow() -> None:
    checked = 0
    for seed in rounds("reference law of cash", test=40, prove=4_000):
        account = after(history(seed))
        for symbol, held in exact(account):
            items = [item for position in held for item, _, _ in position.entries()]
            adjustments = [item for item in items if item.execution is None and item.kind != "CARRIED"]
            mine = [each for each in account.executions.all if each.contract == symbol]
            inverse = symbol == INVERSE
            # A trade at no price that counts realizes nothing, whatever became of it.
            ever = [worth(Fraction(price), inverse=inverse) for each in mine for *_, price in each.figures]
            stated = [worth(item.price, inverse=inverse) for item in adjustments]
            if None in ever or None in stated:
                continue
            checked += 1
            parts = [
                (Fraction(each.quantity - each.taken), worth(Fraction(each.price), inverse=inverse)) for each in mine
            ]
            parts += [(item.quantity, value) for item, value in zip(adjustments, stated, strict=True)]
            paid = sum((quantity * (value or 0) for quantity, value in parts), Fraction(0))
            entries = [entry for position in held for entry in position.entries()]
            totals = [position.totals() for position in held]
            assert sum(each.cost for each in totals) - sum(first for _, first, _ in entries) == paid
            assert sum(each.average_total for each in totals) - sum(last for *_, last in entries) == paid
    assert checked


def test_the_trips_that_ended_made_what_was_realized_of_flat_positions() -> None:
    for seed in rounds("reference law of round trips", test=40, prove=4_000):
        account = after(history(seed))
        for (symbol, side), position in account.held.items():
            trips = [trip for trip in all_trips(account) if (trip.symbol, trip.side) == (symbol, side)]
            made = [trip.received for trip in trips]
            if not position.totals().quantity and None not in made:
                assert sum(each for each in made if each is not None) == sum(
                    first for _, first, _ in position.entries()
                )


@pytest.mark.slow
def test_any_order_of_reporting_within_the_window_gives_the_same_figures() -> None:
    for seed in rounds("reference law of order", test=40, prove=4_000):
        chance = random.Random(seed)
        # Each position is opened by so much that it is never flat: everything is within its window.
        known, facts = _opened(seed, chance)
        expected = _figures(after(known + _in_turn(facts)))
        for _ in range(3):
            chance.shuffle(facts)
            assert _figures(after(known + _in_turn(facts))) == expected


def _opened(seed: int, chance: random.Random) -> tuple[list[Fact], list[Fact]]:
    """Return what is reported first, in its order, and what may be in any. Of conflicting reports, the first counts."""
    facts = [fact for fact in history(seed, 40, RULES.keys() - {"identity", "ahead"}) if fact.reason != "RECONCILED"]
    known = [fact for fact in facts if fact.kind == "DEFINE"]
    for number, symbol in enumerate(CONTRACTS):
        for side in ("NET", "LONG", "SHORT"):
            trade = Fact("TRADE", 0, START + number, id=f"{symbol} {side}", symbol=symbol, side=chance.choice((1, -1)))
            known.append(replace(trade, quantity=Decimal(1_000_000), price=Decimal(100), held=side, stream="trade/-"))
    # What is about a trade that is never reported stays as it was booked.
    reported = {fact.id for fact in facts if fact.kind in {"FILL", "TRADE"}} | {""}
    return known, [fact for fact in facts if fact.kind in {*OF_TRADES, "FEE", "ADJUST"} and fact.id in reported]


def _in_turn(facts: list[Fact]) -> list[Fact]:
    """Return the facts with the changes of each trade in the order in which they happened: the last one stands."""
    changes = [fact for fact in facts if fact.kind in {"BUST", "CORRECT"}]
    in_turn = {fact.id: sorted((each for each in changes if each.id == fact.id), key=_time) for fact in changes}
    return [in_turn[fact.id].pop(0) if fact.kind in {"BUST", "CORRECT"} else fact for fact in facts]


def _time(fact: Fact) -> tuple[int, str]:
    return fact.at, fact.kind


def _figures(account: Positions) -> Any:  # noqa: ANN401 - whatever is to be the same
    assert not any(kind == "LATE" for position in account.held.values() for kind, _ in position.marked)
    held = {key: position.totals() for key, position in account.held.items()}
    made: dict[tuple[str, str], Money] = money(account, [])
    return {key: (each.quantity, each.lots, each.average_total) for key, each in held.items() if each.lots}, made
