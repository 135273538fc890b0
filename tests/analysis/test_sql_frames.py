"""A predicate chooses rows of a frame's table; it never changes what they are or how often they are there."""

from datetime import date
from decimal import Decimal

import pytest

from eventstore.trading import ContractDefined, LimitsSet, SessionOpened
from projections import analysis
from tests.analysis.scenes import Scene, at, column, rows


@pytest.fixture
def scene() -> Scene:
    """Two accounts with a contract of two names; only one account's day is stated, and it ends in the afternoon."""
    found = Scene(opened=None)
    terms = {"multiplier": Decimal(1), "currency": "USD"}
    found.add("contract/-/X", ContractDefined(symbol="X", broker_ids=("CON.X",), **terms))  # type: ignore[arg-type] # terms
    for account in ("A", "B"):
        found.open("00:00:00", 1_000, account)
        limit = LimitsSet(rule_id="maximum-position", revision=1, parameters={"limit": "7"})
        found.add(f"limits/{account}/maximum-position", limit, at("00:00:01"))
    day = SessionOpened(trading_day=date(2025, 6, 16), began_at=at("00:00:00"), resets_at=at("15:00:00"))
    found.add("session/A/2025-06-16", day, at("00:00:02"))
    for account, hour in (("A", 10), ("B", 11)):
        found.buy(f"{hour}:00:00", 1, 100, account=account)
        found.sell(f"{hour}:30:00", 1, 101, account=account, symbol="CON.X")
    return found


@pytest.mark.parametrize("table", ["fills", "round_trips", "positions"])
def test_two_names_of_a_contract_give_its_rows_once(scene: Scene, table: str) -> None:
    whole = rows(analysis.sql(scene.store, f"from {table} where account >= 'A' order by account"))
    asked = f"from {table} where symbol in ('X', 'CON.X') order by account"
    assert rows(analysis.sql(scene.store, asked)) == whole
    assert len(rows(analysis.sql(scene.store, f"from {table} where symbol = 'CON.X'"))) == 0


@pytest.mark.parametrize("table", ["positions", "equity", "headroom", "fills", "days", "lockouts"])
def test_an_account_s_rows_are_those_that_the_table_has_of_it(scene: Scene, table: str) -> None:
    for account in ("A", "B"):
        asked = rows(analysis.sql(scene.store, f"from {table} where account = '{account}'"))
        whole = rows(analysis.sql(scene.store, f"from {table}"))
        assert asked == [row for row in whole if row["account"] == account]


def test_with_an_account_its_own_days_end_at_their_own_instants(scene: Scene) -> None:
    (row,) = rows(analysis.sql(scene.store, "select * from equity", account="A"))
    assert row["at"] == at("15:00:00") - 1


@pytest.mark.parametrize(
    ("table", "quotient"), [("positions", "average_price"), ("round_trips", "entry_price"), ("headroom", "share")]
)
def test_exact_quotients_are_those_of_the_frame(scene: Scene, table: str, quotient: str) -> None:
    for minute, (quantity, price) in enumerate(((1, 100), (2, 101))):
        scene.buy(f"12:0{minute}:00", quantity, price)
    scene.sell("12:02:00", 3, 103)
    for minute, (quantity, price) in enumerate(((2, 100), (1, 101))):
        scene.buy(f"13:0{minute}:00", quantity, price)
    frame = column(getattr(analysis, table)(scene.store, exact=True), quotient)
    found = column(analysis.sql(scene.store, f"from {table}", exact=True), quotient)
    assert sorted(map(str, found)) == sorted(map(str, frame))
    assert any(value is not None and value * 7 % 1 for value in found)
