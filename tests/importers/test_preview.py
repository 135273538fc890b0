"""What an import says it will do before it does it, and nothing is written for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from decimal import Decimal
from pathlib import Path

import pytest

from eventstore import EventStore
from eventstore.clock import parse_time
from gateways.importers import MissingChoices, import_file, preset, presets, preview_file, show_mapping
from gateways.importers.mapping_files import parse_mapping

Write = Callable[..., Path]

HEADER = "time,symbol,side,quantity,price,fee,pnl,status"
ROWS = (
    "2026-03-02T15:00:00Z,MNQH26,buy,2,21000,0.62,-0.62,filled",
    "2026-03-02T15:00:05Z,MNQH6,sell,1,21010,0.31,19.38,filled",
    "2026-03-02T15:00:06Z,MNQH6,sell,1,21010,0.31,20,void",
)
ANSWERS = {"rows.where.status": "filled", "pnl.after-fees": "true"}


def test_it_says_what_an_import_appends(store: EventStore, write: Write) -> None:
    path = write("fills.csv", HEADER, *ROWS)
    found = preview_file(path, account="A", answers=ANSWERS)
    assert (found.format, found.rows, found.events, found.set_aside) == (
        "fills",
        3,
        {"TradeExecuted": 2},
        {"status is void": 1},
    )
    assert (found.accounts, found.first, found.last) == (
        ("A",),
        parse_time("2026-03-02T15:00:00Z"),
        parse_time("2026-03-02T15:00:05Z"),
    )
    (contract,) = found.contracts
    assert (contract.symbol, contract.names, contract.point_value, contract.is_default) == (
        "MNQH6",
        ("MNQH26",),
        Decimal(2),
        False,
    )
    assert [(each.symbol, each.quantity) for each in found.positions] == [("MNQH6", Decimal(1))]
    assert found.fees == {"": Decimal("0.93")}
    assert [(row.reported, row.after_fees) for row in found.pnl] == [(Decimal("18.76"), True)]
    assert found.choices["fees.sign"] == "paid-is-positive"
    assert found.as_json(UTC)["first"] == "2026-03-02T15:00:00.000000000Z"
    assert store.head() == 0
    report = import_file(store, path, account="A", answers=ANSWERS)
    assert report.types == {"ContractDefined": 1, **found.events}


def test_terms_by_default_are_marked(write: Write) -> None:
    path = write("fills.csv", "time,symbol,side,quantity,price", "2026-03-02T15:00:00Z,ABC/USDT,buy,2,0.5")
    (contract,) = preview_file(path, account="A", answers={"contract.default.asset": "CRYPTO"}).contracts
    assert (contract.currency, contract.point_value, contract.is_default) == ("USDT", Decimal(1), True)


def test_what_is_missing_is_asked_for_as_by_an_import(write: Write) -> None:
    with pytest.raises(MissingChoices) as caught:
        preview_file(write("fills.csv", HEADER, *ROWS))
    assert [question.key for question in caught.value.questions] == ["account", "rows.where.status"]


@pytest.mark.parametrize("name", presets())
def test_a_preset_printed_and_read_again_is_the_same(name: str) -> None:
    assert parse_mapping(name, show_mapping(name)).mapping == preset(name).mapping
    assert preset(name).mapping.title
