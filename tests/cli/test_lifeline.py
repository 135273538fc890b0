"""`lifeline`, and `diff --view`: an order's life, and what differs in other views than orders and positions."""

from __future__ import annotations

from pathlib import Path

import pytest

import eventstore
from eventstore.trading import NoteAdded, OrderCanceled, OrderCancelRequested
from projections.changes import VIEWS
from tests.cli.command import NINE, SECOND, Run


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("ACC1", "O-99"), 1, "no record of order O-99 in ACC1"),
        (("NOBODY", "O-1"), 1, "there is no account 'NOBODY'"),
        (("a/b", "O-1"), 2, "a/b"),
        (("ACC1", ""), 2, "a stream is category/account/entity"),
        (("ACC1", "O-1", "--known-by", "never"), 2, "never"),
        (("ACC1", "O-1", "--occurred-at", "2025-11-19 25:00"), 2, "2025-11-19 25:00"),
    ],
)
def test_what_no_order_can_be_asked_by_is_said(
    run: Run, data: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ended = run("lifeline", *arguments, "--data", data)
    assert ended.code == code
    assert said in ended.out + ended.err


def test_an_order_s_life_with_its_answers_and_what_is_missing(run: Run, data: Path) -> None:
    ended = run("lifeline", "ACC1", "O-1", "--data", data)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("order O-1 of ACC1: buy 3 ESZ5; PARTIALLY_FILLED, 2 filled; 3 records, 1 problem\n")
    assert "it has not ended: PARTIALLY_FILLED, 1 left" in ended.out
    with eventstore.open(data) as store:
        store.append("order/ACC1/O-1", OrderCancelRequested(), occurred_at=NINE + 8 * SECOND)
    asked = run("lifeline", "ACC1", "O-1", "--data", data)
    assert asked.code == 1
    assert "CANCEL_UNANSWERED" in asked.out
    with eventstore.open(data) as store:
        store.append("order/ACC1/O-1", OrderCanceled(), occurred_at=NINE + 9 * SECOND)
    found = run("lifeline", "ACC1", "O-1", "--data", data, "--json")
    assert found.code == 0
    document = found.document
    assert (document["ended"], document["problems"], document["uncertain"]) == (True, [], "")
    assert [(each["request"], each["answer"], each["occurred"]) for each in document["latencies"]][-1] == (
        9,
        10,
        SECOND,
    )
    assert document["steps"][0]["record"]["type"] == "OrderSubmitted"
    assert document["steps"][-1]["order"]["status"] == "CANCELED"
    # As it was known before the request.
    then = run("lifeline", "ACC1", "O-1", "--known-by", "8", "--data", data, "--json").document
    assert [each["kind"] for each in then["problems"]] == ["NOT_ENDED"]


def test_diff_compares_the_views_that_are_named(run: Run, data: Path) -> None:
    with eventstore.open(data) as store:
        store.append("note/ACC1/N-1", NoteAdded(target="order/ACC1/O-1", text="late"), occurred_at=NINE + 8 * SECOND)
    usual = run("diff", "1", "9", "--data", data, "--json").document["changes"]
    assert {each["view"] for each in usual} == {"orders", "positions", "lockouts"}
    every = run("diff", "1", "9", "--view", "all", "--data", data, "--json").document["changes"]
    assert [each for each in every if each["view"] in {"orders", "positions", "lockouts"}] == usual
    (note,) = run("diff", "1", "9", "--view", "notes", "--data", data, "--json").document["changes"]
    assert (note["kind"], note["after"]["text"]) == ("ADDED", "late")
    assert [record["position"] for record in note["records"]] == [9]
    shown = run("diff", "1", "9", "--view", "notes", "--view", "days", "--data", data)
    assert (shown.code, shown.err) == (0, "")
    assert "text late" in shown.out
    refused = run("diff", "1", "9", "--view", "order", "--data", data)
    assert refused.code == 2
    assert "unknown view 'order'" in refused.err
    assert all(name in "".join(refused.err.split()) for name in VIEWS)
