"""Excel workbooks: sheets, reports, dates and numbers; formulas, merged cells, bombs and foreign files."""

from __future__ import annotations

import datetime
import re
import sys
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import openpyxl
import pytest

from eventstore import InvalidEvent
from gateways.importers.archives import BYTES_MAX
from gateways.importers.base import BadRow
from gateways.importers.containers import Read, Table, container_of, open_tables, xlsx_scan
from gateways.importers.containers.table import RefusedRow

HEADER = ("Id", "Symbol", "Price", "Time")
AT = datetime.datetime.fromisoformat("2026-03-02T09:35:00.250")
SHEET = "xl/worksheets/sheet1.xml"
Rows = list[tuple[object, ...]]
Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Save rows as a sheet, or several by name, of a workbook."""

    def save(rows: Rows | dict[str, Rows], name: str = "trades.xlsx") -> Path:
        book = openpyxl.Workbook()
        assert book.active is not None
        book.remove(book.active)
        for title, sheet in (rows if isinstance(rows, dict) else {"Sheet": rows}).items():
            created = book.create_sheet(title)
            for row in sheet:
                created.append(row)
        book.save(tmp_path / name)
        return tmp_path / name

    return save


def edited(path: Path, part: str, edit: Callable[[str], str]) -> Path:
    """Change the XML of one part of a workbook."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[part] = edit(parts[part].decode()).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


def with_shared_strings(path: Path, texts: Sequence[str]) -> Path:
    """Give a workbook the strings that Excel keeps apart from its sheets; its first row refers to the first four."""
    strings = "".join(f"<si><t>{text}</t></si>" for text in texts)
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    override = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}"/>'
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/sharedStrings.xml", f'<sst xmlns="{main}">{strings}</sst>')
    edited(path, "[Content_Types].xml", lambda xml: xml.replace("</Types>", f"{override}</Types>"))
    for index, column in enumerate("ABCD"):
        pattern, cell = rf'<c r="{column}1".*?</c>', f'<c r="{column}1" t="s"><v>{index}</v></c>'
        edited(path, SHEET, partial(re.sub, pattern, cell))
    return path


def opened(path: Path, read: Read | None = None) -> list[Table]:
    return list(open_tables(path, read or Read(), bytes_max=BYTES_MAX))


def rows_in(table: Table) -> list[tuple[int, list[str]]]:
    return [(row.line, [row.optional(column) or "" for column in table.columns]) for row in table.rows()]


def refused_rows(table: Table) -> list[tuple[int, str]]:
    return [(row.line, row.why) for row in table.rows() if isinstance(row, RefusedRow)]


def test_cells_are_text(save: Save) -> None:
    path = save([
        HEADER,
        ("T-1", "ESZ5", 6700.25, AT),
        (2, None, 5.0, datetime.date(2026, 3, 2)),
        (True, "'=1", 1e22, datetime.time(9, 35)),
        (10**15, " x ", 0.1234567890123457, datetime.timedelta(hours=30)),
        (None, None, None, None),
        ("7", "#N/A", -0.5, 46083.5),
    ])  # fmt: skip
    (table,) = opened(path)
    assert (container_of(path), table.name, list(table.columns)) == ("xlsx", "", list(HEADER))
    assert rows_in(table) == rows_in(table) == [
        (2, ["T-1", "ESZ5", "6700.25", "2026-03-02T09:35:00.250000"]),
        (3, ["2", "", "5", "2026-03-02T00:00:00"]),
        (4, ["TRUE", "'=1", "1e+22", "09:35:00"]),
        (5, ["1000000000000000", "x", "0.1234567890123457", "1 day, 6:00:00"]),
        (7, ["7", "#N/A", "-0.5", "46083.5"]),
    ]  # fmt: skip


def test_sheets_are_tables_and_one_may_be_named(save: Save) -> None:
    path = save({"Trades": [HEADER, (1, "ESZ5", 1, "t")], "Notes": [], "Orders": [("Id", "Status"), (1, "Filled")]})
    assert [(table.name, list(table.columns)) for table in opened(path)] == [
        ("Trades", list(HEADER)),
        ("Orders", ["Id", "Status"]),
    ]
    (orders,) = opened(path, Read(sheet="Orders"))
    assert (orders.name, rows_in(orders)) == ("", [(2, ["1", "Filled"])])
    with pytest.raises(InvalidEvent, match=r"has no sheet 'Fills', as read\.sheet says; it has Trades, Notes, Orders"):
        opened(path, Read(sheet="Fills"))
    with pytest.raises(InvalidEvent, match=r"trades\.xlsx has no table"):
        opened(path, Read(sheet="Notes"))


def test_a_report_has_titled_tables(save: Save) -> None:
    rows: Rows = [
        ("Trade History Report",),
        ("Name:", None, "A. Trader"),
        ("Deals",),
        (None, *HEADER, "Price"),
        (None, 1, "ESZ5", 6700.5, "t", 2),
        (None, None, None, -5.5),
        (None,),
        ("Results",),
        ("Total:", 3),
    ]
    (table,) = opened(save(rows), Read(section="deals:"))
    assert (table.name, list(table.columns)) == ("Deals", ["index", *HEADER, "Price (2)"])
    assert rows_in(table) == [(5, ["", "1", "ESZ5", "6700.5", "t", "2"]), (6, ["", "", "", "-5.5", "", ""])]
    with pytest.raises(InvalidEvent, match=r"no table titled 'Orders', as read\.section says; titles: .*Deals"):
        opened(save(rows), Read(section="Orders"))
    cut = [*rows[:5], ("a remark",), *rows[4:]]
    with pytest.raises(InvalidEvent, match="line 7: looks like a row of the table whose header is in line 4"):
        opened(save(cut), Read(section="Deals"))


def test_a_table_may_stand_anywhere_in_its_sheet(save: Save) -> None:
    rows = [(), (None, None, *HEADER, None), (), (None, None, 1, "ESZ5", 2), (None, None, 2, "ESZ5", 2, 3, "aside")]
    path = save(rows)
    (table,) = opened(path)
    assert [row.cells for row in table.rows()] == [["1", "ESZ5", "2", ""], []]
    assert refused_rows(table) == [(5, "the line has a value in a column that the header does not name")]
    (named,) = opened(save([("Account: 7", "x"), ("Id", "y"), HEADER, (1, "ESZ5", 2, "t")]), Read(header=("Price",)))
    assert rows_in(named) == [(4, ["1", "ESZ5", "2", "t"])]


def test_a_formula_without_a_result_and_a_merged_cell_are_not_read_as_empty(save: Save) -> None:
    rows: Rows = [HEADER, *((number, "ESZ5", 2, "t") for number in range(1, 7))]
    path = save([*rows, (8, "ESZ5", "=1+1", "t")])
    book = openpyxl.load_workbook(path)
    assert book.active is not None
    book.active.merge_cells("B3:B4")
    book.active.merge_cells("A7:B7")
    book.save(path)
    (table,) = opened(path)
    assert refused_rows(table) == [
        (4, "has a cell that is merged with the one above (B3:B4): separate them"),
        (8, "has a formula whose result is not in the file: open the workbook and save it"),
    ]
    with pytest.raises(BadRow, match=r"trades\.xlsx, line 4: has a cell that is merged"):
        rows_in(table)
    with_results = edited(path, SHEET, lambda xml: re.sub(r"(<f>1\+1</f>)<v ?/?>(?:</v>)?", r"\1<v>2</v>", xml))
    assert [line for line, _ in refused_rows(opened(with_results)[0])] == [4]
    assert [row.cells[2] for row in opened(path)[0].rows() if row.line == 8] == ["2"]
    empty_text = edited(
        path, SHEET, lambda xml: xml.replace('"C8"', '"C8" t="str"').replace('<v>2</v></c><c r="D8', '<v/></c><c r="D8')
    )
    assert [line for line, _ in refused_rows(opened(empty_text)[0])] == [4]


def test_what_a_sheet_says_of_its_size_is_not_believed(save: Save) -> None:
    path = save([HEADER, (1, "ESZ5", 2, "t"), (2, "ESZ5", 2, "t")])
    edited(path, SHEET, lambda xml: re.sub(r'<dimension ref="[^"]*"', '<dimension ref="A1:B2"', xml))
    assert len(rows_in(opened(path)[0])) == 2


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('<row r="3"', '<row r="2"', "has row 2 below row 2"),
        ('<row r="3"', '<row r="9999999"', "has row 9999999 below row 2"),
        ('<row r="3"', '<row r="-3"', "has a row '-3'"),
        ('r="C3"', 'r="B3"', "has cell B3 in row 3, after column 2"),
        ('r="C3"', 'r="ZZZZ3"', "has a cell at 'ZZZZ3'"),
        ('r="C3"', 'r="C4"', "has cell C4 in row 3"),
        ("</row>", "</raw>", "is damaged"),
        ("<worksheet", "<!DOCTYPE w [<!ENTITY a 'b'>]><worksheet", "has a document type in xl/worksheets/sheet1.xml"),
        (
            "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
            "urn:other",
            "has 3 rows, of which only 0 can be",
        ),
        ("<v>2</v>", "<v>two</v>", "cannot be read as a workbook"),
    ],
)
def test_a_damaged_sheet_is_refused(save: Save, old: str, new: str, why: str) -> None:
    path = save([HEADER, (1, "ESZ5", 2, "t"), (2, "ESZ5", 2, "t")])
    edited(path, SHEET, lambda xml: xml.replace(old, new))
    with pytest.raises(InvalidEvent, match=re.escape(why)) as caught:
        [rows_in(table) for table in opened(path)]
    assert "trades.xlsx" in str(caught.value)


def test_texts_are_in_a_part_of_their_own_as_excel_writes_them(save: Save) -> None:
    path = with_shared_strings(save([HEADER, (1, "ESZ5", 2, "t")]), ["Nr", "Symbol &amp; Co", "x", "y"])
    assert list(opened(path)[0].columns) == ["Nr", "Symbol & Co", "x", "y"]
    edited(path, SHEET, lambda xml: xml.replace("<v>3</v>", "<v>9</v>"))
    with pytest.raises(InvalidEvent, match=r"trades\.xlsx cannot be read as a workbook"):
        opened(path)


def test_a_workbook_is_read_within_bounds(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path = with_shared_strings(save([HEADER, (1, "ESZ5", 2, "t")]), [*HEADER, *("x" * 1_000 for _ in range(200))])
    with pytest.raises(InvalidEvent, match=r"trades\.xlsx expands to more than 100,000 bytes"):
        open_tables(path, Read(), bytes_max=100_000)
    monkeypatch.setattr(xlsx_scan, "HELD_BYTES_MAX", 100_000)
    with pytest.raises(InvalidEvent, match="more than 100,000 bytes of texts and styles"):
        opened(path)
    monkeypatch.undo()
    monkeypatch.setattr(xlsx_scan, "REFUSED_ROWS_MAX", 5)
    formulas = save([HEADER, *((number, "=1", 2, "t") for number in range(7))])
    with pytest.raises(InvalidEvent, match="more than 5 rows that cannot be read; row 2 has a formula"):
        opened(formulas)
    monkeypatch.undo()
    monkeypatch.setattr(xlsx_scan, "ROW_CHARACTERS_MAX", 500)
    inline = '<c r="A2" t="inlineStr"><is><t>' + "x" * 600 + "</t></is></c>"
    long = edited(save([HEADER, (None, 1)]), SHEET, lambda xml: xml.replace('<c r="B2"', inline + '<c r="B2"'))
    with pytest.raises(InvalidEvent, match="more than 500 characters in row 2"):
        opened(long)


def test_without_the_extra_a_workbook_says_what_to_install(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save([HEADER, (1, "ESZ5", 2, "t")])
    monkeypatch.delitem(sys.modules, "gateways.importers.containers.xlsx_tables", raising=False)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    assert container_of(path) == "xlsx"
    with pytest.raises(ImportError, match=r"workbooks needs openpyxl: pip install 'trading-eventstore\[xlsx\]'"):
        opened(path)


def test_a_workbook_in_an_archive(save: Save, tmp_path: Path) -> None:
    path, packed = save([HEADER, (1, "ESZ5", 2, "t")]), tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(path, "trades.xlsx")
    assert container_of(packed) == "xlsx"
    assert rows_in(opened(packed)[0]) == [(2, ["1", "ESZ5", "2", "t"])]


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"xl/workbook.bin": b"", "[Content_Types].xml": b""}, r"is a binary workbook \(\.xlsb\): save it as \.xlsx"),
        ({"mimetype": b"", "META-INF/manifest.xml": b"", "content.xml": b""}, "is an OpenDocument file"),
        ({"xl/workbook.xml": b"", "[Content_Types].xml": b"<Types/>"}, "cannot be read as a workbook|is damaged"),
        ({"xl/workbook.xml": b"<a/>"}, "cannot be read as a workbook"),
    ],
)
def test_a_zip_that_is_another_kind_of_document(tmp_path: Path, parts: dict[str, bytes], why: str) -> None:
    path = tmp_path / "trades.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    with pytest.raises(InvalidEvent, match=why):
        opened(path)


def test_a_workbook_with_a_password_and_a_text_with_its_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "trades.xlsx"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    with pytest.raises(InvalidEvent, match=r"trades\.xlsx is an old Excel workbook, or one with a password"):
        opened(path)
    path.write_bytes(b"Id,Price\n1,2\n")
    assert rows_in(opened(path)[0]) == [(2, ["1", "2"])]
    with pytest.raises(InvalidEvent, match=r"trades\.xlsx cannot be read as a workbook"):
        opened(path, Read(container="xlsx"))
