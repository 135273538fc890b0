"""One symbol for each futures contract: every spelling, the decade of a year with one digit, names that the log has."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import projections
from eventstore import EventStore, InvalidEvent
from eventstore.clock import parse_time
from eventstore.trading import ContractDefined, TradeExecuted
from gateways.importers import BadRow, ContractEntry, ContractTable, UnlistedContract, import_file
from gateways.importers.contract_names import ContractNames, KnownContract
from gateways.importers.contracts import builtin_table
from gateways.importers.definitions import known_contracts
from gateways.importers.spellings import SPELLINGS, spelled
from tests.importers.future_spellings import LETTERS, spellings

Write = Callable[..., Path]

IN_2016, IN_2026 = parse_time("2016-03-02T15:00:00Z"), parse_time("2026-03-02T15:00:00Z")
ROOTS = sorted(builtin_table().entries)


def names(*known: ContractDefined, at: int = IN_2026) -> ContractNames:
    return ContractNames(builtin_table(), [KnownContract(definition, at) for definition in known])


def defined(
    symbol: str, *broker_ids: str, root: str = "MNQ", multiplier: int | None = 2, **members: object
) -> ContractDefined:
    given = {
        "symbol": symbol,
        "root": root,
        "multiplier": None if multiplier is None else Decimal(multiplier),
        "currency": "USD",
        "broker_ids": broker_ids,
    }
    return ContractDefined(**{**given, **members})  # type: ignore[arg-type] # as the members of the event


@pytest.mark.parametrize("name", spellings("MNQ", 3, 2026))
def test_every_spelling_is_the_same_contract(name: str) -> None:
    contract = names().find(name, IN_2026)
    assert (contract.symbol, contract.root, contract.point_value) == ("MNQH6", "MNQ", Decimal(2))
    assert contract.broker_ids == (() if name == "MNQH6" else (name,))


@given(root=st.sampled_from(ROOTS), month=st.integers(1, 12), year=st.integers(1995, 2085), data=st.data())
def test_every_root_in_every_spelling(root: str, month: int, year: int, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(spellings(root, month, year))))
    at = parse_time(f"{year - (month == 1)}-{(month + 10) % 12 + 1:02}-15T12:00:00Z")
    contract = names().find(name, at)
    assert (contract.symbol, contract.root) == (f"{root}{LETTERS[month - 1]}{year % 10}", root)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "MNQ",
            "/MNQ",
            "@MNQ",
            "MNQ1!",
            "MNQ=F",
            "MNQ MAR",
            "MNQ H6",
            "MNQ 3-26",
            "MNQ 13-26",
            "MNQ 00-26",
            "MNQ 032026",
        ),
        *(
            "MnqH6",
            "mnqH6",
            "MNQh6",
            "MNQH06X",
            "MNQH123",
            "MNQA6",
            "MNQH6 C21000",
            "MNQH6-MNQM6",
            "MNQH6.EUREX",
            "//MNQH6",
        ),
        *(
            "XYZH6",
            "/XYZH26",
            "XYZ MAR26",
            "AAPL",
            "BTC",
            "ETH/USD",
            "MET",
            "CON.F.US.EP.H6",
            "CON.F.US.XYZ.H26",
            "MNQH6 ",
        ),
        *("\uff2d\uff2e\uff31\uff28\uff16", "MNQH\u0666", "e\u017fh6", ""),
    ],
)
def test_what_is_not_the_name_of_a_listed_contract_is_refused(name: str) -> None:
    with pytest.raises(UnlistedContract) as caught:
        names().find(name, IN_2026)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("XYZH6", "no table of contracts lists 'XYZH6': pass --contracts FILE.toml with a table [contracts.XYZ] that"),
        (
            "AAPL",
            """no table of contracts lists 'AAPL': pass --contracts FILE.toml with a table [contracts."AAPL"] that""",
        ),
        (
            "MNQ1!",
            "'MNQ1!' is not the name of a contract: the tables list its root MNQ, and a contract also has a month",
        ),
    ],
)
def test_the_message_has_the_known_root_and_no_figures(name: str, says: str) -> None:
    with pytest.raises(UnlistedContract) as caught:
        names().find(name, IN_2026)
    text = str(caught.value)
    assert text.startswith(says)
    assert "its multiplier, which is money per point, and its currency" in text
    assert not any(figure in text for figure in ("USD", "= 1", "=1"))


def test_a_program_s_spellings_alone_are_known_if_the_mapping_names_it() -> None:
    assert set(SPELLINGS) >= {"ninjatrader", "projectx", "tradingview", "as-written"}
    assert names().find("MNQ 03-26", IN_2026, "ninjatrader").symbol == "MNQH6"
    with pytest.raises(UnlistedContract):
        names().find("MNQH6", IN_2026, "as-written")
    with pytest.raises(InvalidEvent, match="ninjatrader"):
        names().find("MNQH6", IN_2026, "ninjatraders")


class TestTheDecade:
    def test_one_digit_is_of_the_decade_of_the_row(self) -> None:
        found = names()
        assert found.find("MNQH6", IN_2016).symbol == "MNQH6"
        assert found.find("MNQH16", IN_2016).symbol == "MNQH6"
        assert found.find("MNQH2026", IN_2026).symbol == "MNQH2026"
        assert found.find("MNQH6", IN_2026).symbol == "MNQH2026"
        assert found.find("MNQH6", IN_2016).symbol == "MNQH6"

    def test_a_name_asked_for_without_a_time_decides_nothing(self) -> None:
        found = names()
        assert found.find("/MNQH6").symbol == "MNQH6"
        assert [found.find("/MNQH6", at).symbol for at in (IN_2016, IN_2026)] == ["MNQH6", "MNQH2026"]

    def test_a_name_with_one_digit_is_none_of_a_contract_with_all_digits(self) -> None:
        found = names()
        found.find("MNQH16", IN_2016)
        assert found.find("MNQH6", IN_2026).broker_ids == ()
        assert found.find("/MNQH6", IN_2026).broker_ids == ()
        assert found.find("MNQH26", IN_2026).broker_ids == ("MNQH26",)

    @pytest.mark.parametrize(
        ("name", "at", "year"),
        [
            ("MNQZ5", "2025-12-31T23:59:59Z", "2025"),
            ("MNQZ5", "2026-12-31T23:59:59Z", "2025"),
            ("MNQZ5", "2027-01-01T00:00:00Z", "2035"),
            ("MNQF7", "2026-12-31T00:00:00Z", "2027"),
            ("MNQH6", "2017-04-01T00:00:00Z", "2026"),
            ("MNQH6", "2017-03-31T00:00:00Z", "2016"),
        ],
    )
    def test_its_bounds(self, name: str, at: str, year: str) -> None:
        found = names(defined(f"{name[:-1]}{year}"))
        assert found.find(name, parse_time(at)).symbol == f"{name[:-1]}{year}"

    @pytest.mark.parametrize(
        ("name", "at"), [("MNQH16", IN_2026), ("MNQH2006", IN_2016), ("MNQ 03-46", IN_2026), ("MNQH1926", IN_2026)]
    )
    def test_a_contract_that_was_not_traded_at_the_time_is_refused(self, name: str, at: int) -> None:
        with pytest.raises(InvalidEvent, match=r"is a contract of March .*, but the row is of 20.6-03-02"):
            names().find(name, at)

    def test_without_a_time_one_digit_stays_as_it_is(self) -> None:
        assert names().find("MNQH6").symbol == "MNQH6"
        assert names().find("MNQH26").symbol == "MNQH6"
        assert names(defined("MNQH6"), at=IN_2016).find("MNQH6").symbol == "MNQH6"


class TestNamesThatTheLogHas:
    def test_a_symbol_of_the_log_stays(self) -> None:
        found = names(defined("MNQH26"))
        assert [found.find(name, IN_2026).symbol for name in ("MNQH26", "MNQH6", "MNQ 03-26")] == ["MNQH26"] * 3
        assert found.find("MNQM26", IN_2026).symbol == "MNQM6"

    def test_each_of_two_symbols_for_one_contract_stays_and_others_get_the_usual_one(self) -> None:
        for known in ((defined("MNQH26"), defined("MNQH6")), (defined("MNQH6"), defined("MNQH26"))):
            found = names(*known)
            assert [found.find(name, IN_2026).symbol for name in ("MNQH26", "MNQH6", "MNQH2026")] == [
                "MNQH26",
                "MNQH6",
                "MNQH6",
            ]

    def test_a_name_that_the_log_lists_means_what_the_log_says(self) -> None:
        found = names(defined("FRONT", "MNQH6", "mine"), defined("NQM6", "MNQM6", root="NQ", multiplier=20))
        assert found.find("mine", IN_2026).symbol == "FRONT"
        assert found.find("MNQH6", IN_2026).symbol == "FRONT"
        assert found.find("MNQH26", IN_2026).symbol == "FRONT"
        other = found.find("MNQM6", IN_2026)
        assert (other.symbol, other.point_value) == ("NQM6", Decimal(20))

    def test_the_log_s_decade_is_that_of_its_names_its_expiry_or_its_record(self) -> None:
        by_name = names(defined("MNQH6", "CON.F.US.MNQ.H16"), at=IN_2026)
        by_expiry = names(defined("MNQH6", expiry=date(2016, 3, 18)), at=IN_2026)
        by_record = names(defined("MNQH6"), at=IN_2016)
        for found in (by_name, by_expiry, by_record):
            assert found.find("MNQH6", IN_2016).symbol == "MNQH6"
            assert found.find("MNQH6", IN_2026).symbol == "MNQH2026"

    def test_what_no_table_lists_is_found_if_the_log_defines_it(self) -> None:
        found = names(defined("XYZH6", "xyz", root="XYZ", multiplier=7), defined("AAPL", root="AAPL", multiplier=1))
        assert [found.find(name, IN_2026).symbol for name in ("XYZH6", "xyz", "XYZH26", "AAPL")] == [
            "XYZH6",
            "XYZH6",
            "XYZH6",
            "AAPL",
        ]
        assert found.find("XYZH26", IN_2026).point_value == 7
        with pytest.raises(UnlistedContract):
            found.find("XYZM6", IN_2026)

    def test_a_definition_without_a_point_value_is_none(self) -> None:
        with pytest.raises(UnlistedContract):
            names(defined("AAPL", root="AAPL", multiplier=None)).find("AAPL", IN_2026)

    def test_a_symbol_of_the_caller_s_own_table_stays(self) -> None:
        table = ContractTable({"MNQH26": ContractEntry(multiplier=Decimal(9))}, builtin_table())
        contract = ContractNames(table).find("MNQH26", IN_2026)
        assert (contract.symbol, contract.point_value) == ("MNQH26", Decimal(9))


HEADER = "time,symbol,side,quantity,price,trade_id"
MANY = (
    "2026-03-02T15:00:00Z,MNQH6,buy,1,21000.00,T1",
    "2026-03-02T15:00:05Z,MNQH26,sell,1,21010.00,T2",
    "2026-03-02T15:01:00Z,MNQH2026,buy,1,21000.00,T3",
    "2026-03-02T15:01:05Z,CON.F.US.MNQ.H26,sell,1,21001.00,T4",
)


class TestImports:
    def test_four_spellings_are_one_position(self, store: EventStore, write: Write) -> None:
        import_file(store, write("fills.csv", HEADER, *MANY), "fills", account="A1")
        with projections.open(store) as book:
            position = book.positions.get("A1", "MNQH6")
            assert (position.quantity, position.realized) == (Decimal(0), Decimal(22))
            assert book.positions.get("A1", "MNQH2026").realized == 22
            assert [contract.symbol for contract in book.contracts.all()] == ["MNQH6"]
            assert set(book.contracts.get("MNQH6").broker_ids) == {"MNQH26", "MNQH2026", "CON.F.US.MNQ.H26"}

    def test_a_log_in_which_a_spelling_was_a_symbol_gains_nothing(self, store: EventStore, write: Write) -> None:
        for symbol in ("MNQH6", "MNQH26"):
            store.append(f"contract/-/{symbol}", defined(symbol, name="Micro"), key="definition 1", occurred_at=IN_2026)
        path = write("fills.csv", HEADER, *MANY[:2])
        import_file(store, path, "fills", account="A1")
        trades = [r.event.symbol for r in store.read(types=TradeExecuted) if isinstance(r.event, TradeExecuted)]
        assert trades == ["MNQH6", "MNQH26"]
        again = import_file(store, path, "fills", account="A1")
        assert (again.added, len(known_contracts(store))) == (0, 2)

    def test_contracts_of_two_decades_are_two_positions(self, store: EventStore, write: Write) -> None:
        old = write(
            "old.csv", HEADER, "2016-03-02T15:00:00Z,MNQH6,buy,1,4300,T1", "2016-03-02T16:00:00Z,MNQH16,buy,1,4301,T2"
        )
        new = write(
            "new.csv",
            HEADER,
            "2026-03-02T15:00:00Z,MNQH6,buy,1,21000,T3",
            "2026-03-02T16:00:00Z,MNQ 03-26,buy,1,21001,T4",
        )
        for _ in range(2):
            for path in (old, new):
                import_file(store, path, "fills", account="A1")
        with projections.open(store) as book:
            held = {position.symbol: position.quantity for position in book.positions.of("A1")}
        assert held == {"MNQH6": 2, "MNQH2026": 2}
        assert len([*store.read(types=TradeExecuted)]) == 4

    def test_a_row_of_another_year_than_its_contract_names_line_column_and_value(
        self, store: EventStore, write: Write
    ) -> None:
        path = write("fills.csv", HEADER, MANY[0], "2036-03-02T15:00:00Z,MNQH26,buy,1,21000,T2")
        with pytest.raises(BadRow) as caught:
            import_file(store, path, "fills", account="A1")
        assert (caught.value.line, caught.value.column, caught.value.value) == (3, "symbol", "MNQH26")
        assert store.head() == 0


def test_a_name_in_both_cases_is_none() -> None:
    assert spelled("mnqh6") == spelled("MNQH6")
    assert spelled("Mnqh6") is None
    assert (
        spelled("ES Dec11") == spelled("es dec11") == spelled("ES DEC 11") == spelled("ES 12-11") == spelled("ES 12.11")
    )
    assert spelled("Es Dec11") is None


def test_the_document_s_spellings_are_read_as_it_says() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "IMPORT.md").read_text(encoding="utf-8")
    section = text.split("## Names of futures contracts", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| [^|`]+ \| (?P<examples>`[^|]+`) \| `(?P<program>\S+)` \|$", section, re.MULTILINE)
    assert {program for _, program in rows} == {*SPELLINGS} - {"as-written"}
    for examples, program in rows:
        for name in re.findall("`([^`]+)`", examples):
            assert names().find(name, IN_2026, program).symbol == "MNQH6", (program, name)
