"""CSV files with sections: headers that repeat or change inside one, sums, notes, and sections that are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventstore import InvalidEvent
from gateways.importers.archives import BYTES_MAX
from gateways.importers.base import BadRow
from gateways.importers.containers import Read, Table, open_tables

STATEMENT = """\
Statement,Header,Field Name,Field Value
Statement,Data,Title,Activity
Trades,Header,DataDiscriminator,Currency,Symbol,Quantity,Price,Fee
Trades,Data,Order,USD,ABC,"1,000",10,-1
Trades,Data,Order,USD,XYZ,-4,20,-1
Trades,SubTotal,,USD,ABC,996,,-2
Trades,Header,DataDiscriminator,Currency,Symbol,Quantity,,Fee in USD
Trades,Data,Order,EUR,EUR.USD,5,,-3
Trades,Header,DataDiscriminator,Currency,Symbol,Quantity,Price,Fee
Trades,Data,Order,USD,ABC,7,11,0
Trades,Total,,USD,,,,-5
Cash Report,Header,Currency,Total
"""
FLEX = """\
"BOF","U1","Query","2","20260302","20260303"
"BOA","U1"
"BOS","CTRN","Cash"
"Amount"
"5"
"EOS","CTRN","1"
"BOS","TRNT","Trades"
"Symbol","Quantity"
"ABC","1"

"XYZ","2"
"EOS","TRNT","2"
"EOA","U1"
"""
Rows = list[tuple[int, list[str]]]


def file_of(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "statement.csv"
    path.write_text(content)
    return path


def opened(path: Path, read: Read) -> list[tuple[list[str], Rows]]:
    tables = open_tables(path, read, bytes_max=BYTES_MAX)
    assert {table.name for table in tables} == {read.section}
    return [(list(table.columns), rows_in(table)) for table in tables]


def rows_in(table: Table) -> Rows:
    return [(row.line, [row.optional(column) or "" for column in table.columns]) for row in table.rows()]


def test_each_header_of_a_section_has_its_rows(tmp_path: Path) -> None:
    usual = (
        ["DataDiscriminator", "Currency", "Symbol", "Quantity", "Price", "Fee"],
        [
            (4, ["Order", "USD", "ABC", "1,000", "10", "-1"]),
            (5, ["Order", "USD", "XYZ", "-4", "20", "-1"]),
            (10, ["Order", "USD", "ABC", "7", "11", "0"]),
        ],
    )
    forex = (
        ["DataDiscriminator", "Currency", "Symbol", "Quantity", "column 5", "Fee in USD"],
        [(8, ["Order", "EUR", "EUR.USD", "5", "", "-3"])],
    )
    assert opened(file_of(tmp_path, STATEMENT), Read(section="Trades")) == [usual, forex]
    semicolons = file_of(tmp_path, STATEMENT.replace('"1,000"', "1.000").replace(",", ";"))
    assert [columns for columns, _ in opened(semicolons, Read(section="Trades"))] == [usual[0], forex[0]]


def test_a_statement_in_another_language_has_other_words(tmp_path: Path) -> None:
    path = file_of(tmp_path, STATEMENT.replace(",Header,", ",Encabezado,").replace(",Data,", ",Datos,"))
    with pytest.raises(InvalidEvent, match=r"second column is Data, but Datos, SubTotal, Total: .* read\.kinds|Datos:"):
        opened(path, Read(section="Trades"))
    assert [len(rows) for _, rows in opened(path, Read(section="Trades", kinds=("Datos",)))] == [3, 1]


def test_a_section_without_rows_has_none(tmp_path: Path) -> None:
    assert opened(file_of(tmp_path, STATEMENT), Read(section="Cash Report")) == [(["Currency", "Total"], [])]


def test_flex_sections_begin_and_end_with_records(tmp_path: Path) -> None:
    trades: tuple[list[str], Rows] = (["Symbol", "Quantity"], [(9, ["ABC", "1"]), (11, ["XYZ", "2"])])
    assert opened(file_of(tmp_path, FLEX), Read(section="TRNT")) == [trades]
    marked = "HEADER,TRNT,Symbol,Quantity\nDATA,TRNT,ABC,1\nHEADER,CTRN,Amount\nDATA,CTRN,5\nDATA,TRNT,XYZ,2\n"
    assert [rows for _, rows in opened(file_of(tmp_path, marked), Read(section="TRNT"))] == [
        [(2, ["ABC", "1"]), (5, ["XYZ", "2"])]
    ]


def test_a_section_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidEvent, match=r"no section 'Transactions'.*: Cash Report, Statement, Trades$"):
        opened(file_of(tmp_path, STATEMENT), Read(section="Transactions"))


def test_a_line_that_does_not_fit_is_refused_with_its_place(tmp_path: Path) -> None:
    for broken, line in (
        (STATEMENT.replace('"1,000"', "1,000"), 4),
        (STATEMENT.replace(",7,11,0", ",7,11"), 10),
        (STATEMENT.replace(",XYZ,", ',"XYZ\nTrades,Data,Order,USD,X,1,2,3\n",'), 7),
    ):
        with pytest.raises(BadRow) as caught:
            opened(file_of(tmp_path, broken), Read(section="Trades"))
        assert caught.value.line == line
    with pytest.raises(BadRow, match=r"line 2: is a row of section TRNT above its header"):
        opened(file_of(tmp_path, "BOF,U1,x\nDATA,TRNT,ABC,1\n"), Read(section="TRNT"))
    with pytest.raises(InvalidEvent, match="no section 'Trades'"):
        opened(file_of(tmp_path, "\n\n"), Read(section="Trades"))
