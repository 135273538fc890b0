"""Files of each container with bytes changed, lost, doubled or moved: rows, or an error that names the file."""

from __future__ import annotations

import gzip
import os
import tempfile
import zipfile
from io import BytesIO
from pathlib import Path

import apsw
import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventstore import InvalidEvent
from gateways.importers.base import BadRow, TableRow
from gateways.importers.containers import Read, Table, container_of, open_tables

CSV = b'Id,Symbol,Price,Note\n7,ESZ5,1.5,"a, b"\n8,MNQZ5,2,"two\nlines"\n9,ESZ5,-3,\n'
SECTIONS = b"T,Header,Id,Price\nT,Data,1,2\nT,Total,,2\nT,Header,Id,,Fee\nT,Data,2,,3\nU,Header,Id\nU,Data,1\n"
JSON = '{"a": [1, {"b": null}], "rows": [{"id": 1, "fee": {"c": 1e-7}, "s": "\\u00fc"}, {"id": 2, "l": [true, "ü"]}]}'
LINES = b'{"id": 1, "fee": {"cost": 0.10}}\n\n{"id": 2, "note": "x\\n"}\n{"id": 3}\n'
HTML = (
    "<html><style>td {}</style><table><tr><th colspan=3><b>Deals</b></th></tr><tr><td>Time</td><td>Deal</td>"
    "<td>Price</td></tr><tr><td>2026</td><td class=hidden>x</td><td>7</td><td>1&nbsp;000</td></tr>"
    "<!-- end --><tr><td colspan=2></td><td><b>1</b></td></tr></table><script>x('<td>')</script></html>"
)


FILLING = """
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
INSERT INTO trades SELECT i, 'P' || (i % 7), i / 10.0, zeroblob(i) FROM n
"""


def sqlite_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.db"
        connection = apsw.Connection(str(path))
        for sql in (
            "PRAGMA page_size = 512",
            "CREATE TABLE trades (id INTEGER PRIMARY KEY, pair TEXT, amount REAL, note BLOB)",
            "CREATE INDEX by_pair ON trades (pair)",
            FILLING,
        ):
            for _ in connection.execute(sql):
                pass
        connection.close()
        return path.read_bytes()


def workbook_file() -> bytes:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (("Id", "Symbol", "Price"), (1, "ESZ5", 1.5), (2, "MNQ & Co", "=1+1")):
        book.active.append(row)
    book.active.merge_cells("A4:A5")
    out = BytesIO()
    book.save(out)
    return out.getvalue()


def stored(data: bytes) -> bytes:
    """Return a zip with its members as they are, so that changes reach their content."""
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as packed, zipfile.ZipFile(out, "w") as archive:
        for name in packed.namelist():
            archive.writestr(name, packed.read(name))
    return out.getvalue()


SQLITE, WORKBOOK = sqlite_file(), workbook_file()
CASES: dict[str, tuple[bytes, Read]] = {
    "csv": (CSV, Read()),
    "csv-declared": (CSV, Read(container="csv", delimiter=",", encoding="latin-1", header=("Id", "Price"))),
    "csv-utf-16": (CSV.decode().encode("utf-16"), Read(container="csv")),
    "csv-gzip": (gzip.compress(CSV * 40, mtime=0), Read()),
    "sections": (SECTIONS, Read(section="T")),
    "json": (JSON.encode(), Read(path="rows")),
    "json-any": (b"[" + LINES.replace(b"\n\n", b",").replace(b"}\n{", b"},{") + b"]", Read(container="json")),
    "jsonl": (LINES, Read(container="jsonl")),
    "sqlite": (SQLITE, Read(table="trades")),
    "sqlite-query": (SQLITE, Read(query="SELECT pair, sum(amount) AS s FROM trades WHERE pair > 'P2' GROUP BY pair")),
    "html": (HTML.encode(), Read(container="html-table")),
    "html-titled": (HTML.encode(), Read(section="Deals")),
    "xlsx": (WORKBOOK, Read()),
    "xlsx-stored": (stored(WORKBOOK), Read()),
}
INSERTED = b'"\n,<[{\0\xff\r&;-'
FAULTS = ("cut", "drop", "double", "set", "flip", "insert", "clear", "turn")


def faulty(data: bytes, fault: str, start: int, length: int) -> bytes:
    before, after = data[:start], data[start:]
    match fault:
        case "cut":
            return before
        case "drop":
            return before + after[length:]
        case "double":
            return before + after[:length] + after
        case "set":
            return before + bytes([length]) + after[1:]
        case "flip":
            return before + bytes([after[0] ^ (1 << length % 8)]) + after[1:]
        case "insert":
            return before + INSERTED[length % len(INSERTED) :][:1] + after
        case "clear":
            return before + bytes(length) + after[length:]
        case _:
            return after + before


PLACES = st.tuples(st.sampled_from(FAULTS), st.floats(0, 1, exclude_max=True), st.integers(0, 255))


@pytest.mark.parametrize("name", CASES)
def test_a_file_that_is_as_it_was_written_is_read(name: str) -> None:
    data, read = CASES[name]
    assert read_all(data, read) > 0


@pytest.mark.parametrize("name", CASES)
def test_a_changed_file_gives_rows_or_an_error_that_names_it(name: str) -> None:
    data, read = CASES[name]
    examples = 2_000 if os.environ.get("PROVE") == "1" else 20

    @settings(max_examples=examples)
    @given(st.lists(PLACES, min_size=1, max_size=3))
    def check(places: list[tuple[str, float, int]]) -> None:
        changed = data
        for fault, share, length in places:
            if changed:
                changed = faulty(changed, fault, int(share * len(changed)), length)
        read_all(changed, read)

    check()


def read_all(data: bytes, read: Read) -> int:
    """Read every cell of a file; return how many rows are whole. Any error but the expected ones is a failure."""
    whole = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "export"
        path.write_bytes(data)
        error: InvalidEvent | None = None
        try:
            container_of(path)
            for table in open_tables(path, read, bytes_max=1_000_000):
                for row in table.rows():
                    whole += is_whole(row, table)
        except InvalidEvent as e:
            error = e
        assert error is None or "export" in str(error)
        assert [found.name for found in path.parent.iterdir()] == [path.name]
    return whole


def is_whole(row: TableRow, table: Table) -> bool:
    """Return whether a row has a cell for each column; one that has not must say where it is."""
    if len(row.cells) == len(table.columns):
        return all(row.optional(column) != "" for column in table.columns)
    with pytest.raises(BadRow, match=f"export.*, line {row.line}: "):
        row.optional("")
    return False
