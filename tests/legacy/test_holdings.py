"""What positions of a state say is held: only what is certain, for each symbol over all positions."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from gateways.legacy.holdings import holdings

CLEAR = {
    "signed": ({"symbol": "ES", "quantity": -2}, "-2"),
    "without a side": ({"symbol": "ES", "quantity": 2.5}, "2.5"),
    "long": ({"symbol": "ES", "quantity": 2, "direction": "LONG"}, "2"),
    "short": ({"symbol": "ES", "quantity": 2, "direction": "short"}, "-2"),
    "short, signed": ({"symbol": "ES", "quantity": -2, "side": "sell"}, "-2"),
    "a leg": ({"symbol1": "ES", "volume1": 0.1, "order1_type": "sell"}, "-0.1"),
}
UNCLEAR = {
    "no quantity": {"symbol": "ES"},
    "text": {"symbol": "ES", "quantity": "2"},
    "not a number": {"symbol": "ES", "quantity": math.nan},
    "true": {"symbol": "ES", "quantity": True},
    "contradicting": {"symbol": "ES", "quantity": 2, "direction": "long", "side": "sell"},
    "long below zero": {"symbol": "ES", "quantity": -2, "direction": "long"},
    "unknown side": {"symbol": "ES", "quantity": 2, "direction": "flat"},
    "a leg without a side": {"symbol1": "ES", "volume1": 1},
}


@pytest.mark.parametrize("name", CLEAR)
def test_a_holding_that_is_clear(name: str) -> None:
    position, quantity = CLEAR[name]
    assert holdings({"A": position}) == ({"ES": Decimal(quantity)}, {})


@pytest.mark.parametrize("name", UNCLEAR)
def test_a_holding_that_is_not_clear_leaves_out_its_symbol(name: str) -> None:
    found, unclear = holdings({"A": {"symbol": "ES", "quantity": 1}, "B": UNCLEAR[name]})
    assert (found, list(unclear)) == ({}, ["ES"])
    assert unclear["ES"].startswith("position B: ")


def test_holdings_of_several_pairs_add_up_exactly() -> None:
    legs = {"symbol1": "X", "volume1": 0.1, "order1_type": "buy", "symbol2": "Y", "volume2": 3, "order2_type": "sell"}
    found, unclear = holdings({"X-Y": legs, "X-Z": legs | {"volume1": 0.2}, "other": {"quantity": 5}, "odd": 7})
    assert (found, unclear) == ({"X": Decimal("0.3"), "Y": Decimal(-6)}, {})
