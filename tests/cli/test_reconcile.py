"""`reconcile`: differences are shown, and booked only when that is confirmed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
from eventstore.trading import ContractDefined, PositionAdjusted, PositionReported, Side, TradeExecuted
from tests.cli.command import Run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with eventstore.open(tmp_path / "data") as store:
        store.append("contract/-/MNQH6", ContractDefined(symbol="MNQH6", multiplier=Decimal(2), currency="USD"))
        trade = TradeExecuted(trade_id="1", symbol="MNQH6", side=Side.BUY, quantity=Decimal(1), price=Decimal(21000))
        store.append("trade/A/1", trade)
        reported = PositionReported(symbol="MNQH6", quantity=Decimal(3), average_price=Decimal(21010))
        store.append("position/A/MNQH6", reported)
    return tmp_path / "data"


def adjusted(data: Path) -> list[Decimal]:
    with eventstore.open(data) as store:
        events = [record.event for record in store.read(types=PositionAdjusted)]
    return [event.quantity for event in events if isinstance(event, PositionAdjusted)]


def test_a_difference_is_shown_and_not_booked_without_yes(run: Run, data: Path) -> None:
    ended = run("reconcile", "--account", "A", "--data", data)
    assert ended.code == 1
    assert "MNQH6: the broker reports 3, the fills gave 1" in " ".join(ended.out.split())
    assert "0 adjustments booked; 1 differences left" in ended.out
    assert "repeat the command with --yes" in ended.err
    assert adjusted(data) == []


def test_what_is_confirmed_is_booked_once(run: Run, data: Path) -> None:
    first = run("reconcile", "--account", "A", "--data", data, "--yes", "--actor", "me@desk", "--json")
    assert (first.code, first.document["booked"], first.document["left"]) == (0, 1, 0)
    assert first.document["differences"][0]["difference"] == "2"
    again = run("reconcile", "--account", "A", "--data", data, "--yes", "--json")
    assert (again.code, again.document["booked"], again.document["differences"]) == (0, 0, [])
    assert adjusted(data) == [2]


def test_another_contract_is_left_alone(run: Run, data: Path) -> None:
    ended = run("reconcile", "--account", "A", "--symbol", "ESH6", "--data", data, "--yes", "--json")
    assert (ended.code, ended.document["differences"]) == (0, [])
    assert adjusted(data) == []


def test_an_unknown_account_is_refused(run: Run, data: Path) -> None:
    ended = run("reconcile", "--account", "B", "--data", data)
    assert ended.code == 2
