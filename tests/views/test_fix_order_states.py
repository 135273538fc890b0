"""FIX 4.4's order state change matrices: status, filled, left and average price after each step."""

from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from projections.views.orders.view import Order
from tests.views.order_folding import OrderFolding, event_of

TABLE = Path(__file__).with_name("fix_order_states.txt").read_text(encoding="utf-8")
CASES = [case.strip().splitlines() for case in TABLE.split("\n[")[1:]]


def shown(order: Order) -> str:
    average = order.average_price
    leaves = "-" if order.leaves is None else f"{order.leaves:f}"
    return f"{order.status} {order.cumulative:f} {leaves} {'-' if average is None else f'{average.normalize():f}'}"


def steps_of(case: list[str]) -> list[tuple[str, str]]:
    rows = [line for line in case[1:] if line and not line.startswith("#")]
    return [(event.strip(), expected.strip()) for event, expected in (row.split("|") for row in rows)]


@pytest.mark.parametrize("case", CASES, ids=[case[0].split("]")[0] for case in CASES])
def test_an_order_is_in_the_state_that_the_matrix_says_after_each_step(case: list[str]) -> None:
    folding = OrderFolding()
    found = [(event, shown(folding.add("X", event_of(event)))) for event, _ in steps_of(case)]
    assert found == steps_of(case)


@pytest.mark.parametrize("case", CASES, ids=[case[0].split("]")[0] for case in CASES])
def test_an_order_that_works_leaves_what_is_not_filled_and_a_closed_one_leaves_nothing(case: list[str]) -> None:
    folding = OrderFolding()
    for event, _ in steps_of(case):
        order = folding.add("X", event_of(event))
        if order.quantity is not None and order.is_open:
            assert order.leaves == order.quantity - order.cumulative
        if not order.is_open:
            assert order.leaves in {None, Decimal(0)}


def test_the_table_has_each_group_of_matrices() -> None:
    groups = Counter(case[0][0] for case in CASES)
    assert set(groups) >= set("ABCDEFGHIJKL")
    assert sum(groups.values()) >= 50
