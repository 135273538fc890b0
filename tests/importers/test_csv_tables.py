"""CSV: delimiters, encodings, headers below titles, lines that do not fit; rows, or an error that says where."""

from __future__ import annotations

import gzip
import sys
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from eventstore import InvalidEvent
from gateways.importers.archives import BYTES_MAX
from gateways.importers.base import BadRow
from gateways.importers.containers import Read, Table, container_of, open_tables
from gateways.importers.containers.table import RefusedRow

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TABLE = "Id,Symbol,Price\n7,ESZ5,1.5\n8,MNQZ5,2\n"
ROWS = [(2, ["7", "ESZ5", "1.5"]), (3, ["8", "MNQZ5", "2"])]


def opened(path: Path, read: Read | None = None) -> Table:
    (table,) = open_tables(path, read or Read(), bytes_max=BYTES_MAX)
    return table


def rows_in(table: Table) -> list[tuple[int, list[str]]]:
    """Read all rows; a row that is refused raises its error."""
    return [(row.line, [row.optional(column) or "" for column in table.columns]) for row in table.rows()]


def file_of(tmp_path: Path, content: str | bytes, name: str = "trades.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused_rows(table: Table) -> list[tuple[int, str]]:
    return [(row.line, row.why) for row in table.rows() if isinstance(row, RefusedRow)]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b" \n\r\n,,\n", "is empty"),
        (b"Id,Qty\n1,\xe9\n", r"line 2, is not text in UTF-8 .* read\.encoding, for example cp1252"),
        ("Id,Qty\n1,2\n".encode("utf-16")[:-1], "line 2, is not text"),
        ("Id,Qty\n".encode("utf-16-le"), "line 1: it has a NUL character"),
        (b"Id,Qty\n1,2\n\0\0\0,3\n", "line 3: it has a NUL character"),
        (b'Id,Qty\n1,"2\n3,4\n', "line 3: unexpected end of data"),
        (b'Id,Qty\n1,"2" 3\n', "line 2: ',' expected after"),
        (b"Id,Qty\n1," + b"2" * 1_100_000 + b"\n", "line 2: "),
        (b"Id,Qty,Id\n1,2,3\n", "line 1, column Id: 'Id' occurs more than once in the header"),
        (b",".join(b"c%d" % n for n in range(4_001)) + b"\n", "the header has 4,001 columns, 4,000 at most"),
        (b"\xff" * 100 + b"\n", "line 1, is not text in UTF-8"),
    ],
)
def test_what_is_not_a_table_is_refused_with_its_place(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(InvalidEvent, match=why) as caught:
        rows_in(opened(file_of(tmp_path, content)))
    assert "trades.csv" in str(caught.value)


def test_a_header_alone_is_a_table_without_rows(tmp_path: Path) -> None:
    table = opened(file_of(tmp_path, "Id,Symbol,Price"))
    assert (dict(table.columns), rows_in(table), table.name) == ({"Id": 0, "Symbol": 1, "Price": 2}, [], "")


@pytest.mark.parametrize(
    ("header", "line", "why"),
    [
        ("a,b,c", "1,2", "the line has 2 cells, but the header has 3"),
        ("a,b,c", "1,2,3,4", "the line has 4 cells, but the header has 3"),
        # Not taken as a line that ends with a delimiter: an unquoted 1,000 leaves an empty last cell too.
        ("a,b,c", "1,2,000,", "the line has 4 cells, but the header has 3"),
        # The cell missing may be any of them.
        ("a,b,c,", "1,2,3", "the line has 3 cells, but the header has 4"),
        ("a,b,c,,", "1,2,3,,5", "the line has a value in a column that the header does not name"),
        ("a,b,c", '1,"2,3\n7,8",9', "a quoted cell of this row holds whole lines of the file"),
        ("a,b,c", '1,"2\n4,5,6\n7",9', "a quoted cell of this row holds whole lines of the file"),
    ],
)
def test_a_line_that_does_not_fit_its_header_is_refused_and_the_others_are_not(
    tmp_path: Path, header: str, line: str, why: str
) -> None:
    good = header.replace("a", "x")
    table = opened(file_of(tmp_path, f"{header}\n{line}\n{good}\n"))
    assert [why in found for _, found in refused_rows(table)] == [True]
    assert [row.optional("a") for row in table.rows() if not isinstance(row, RefusedRow)] == ["x"]
    first = next(table.rows())
    with pytest.raises(BadRow, match=r"trades\.csv, line \d: ") as caught:
        first.optional("no such column")
    assert (first.cells, caught.value.line) == ([], 2 + line.count("\n"))


def test_rows_are_the_same_however_often_they_are_read(tmp_path: Path) -> None:
    table = opened(file_of(tmp_path, TABLE))
    unfinished = table.rows()
    next(unfinished)
    assert rows_in(table) == rows_in(table) == ROWS
    unfinished.close()


def test_a_note_of_several_lines_is_one_cell(tmp_path: Path) -> None:
    table = opened(file_of(tmp_path, 'Id,Note,Price\n7,"bought\n the dip, again\nand again",1\n8,,2\n'))
    assert rows_in(table) == [(4, ["7", "bought\n the dip, again\nand again", "1"]), (5, ["8", "", "2"])]


@pytest.mark.parametrize(
    "content",
    [
        TABLE.replace(",", ";"),
        TABLE.replace(",", "\t"),
        TABLE.replace(",", "|"),
        TABLE.replace(",", " , "),
        TABLE.replace("\n", "\r\n"),
        TABLE.replace("\n", "\r"),
        "sep=;\n" + TABLE.replace(",", ";"),
        "sep=,\r\n" + TABLE,
        "\n\n" + TABLE,
        "\ufeff" + TABLE,
        TABLE.replace("\n", ",\n"),
        TABLE.replace("\n", ",,,\n"),
        TABLE.replace("8,", "Id,Symbol,Price\n8,"),
        TABLE.replace("8,", ",,\n\n \n8,"),
        TABLE.removesuffix("\n"),
    ],
)
def test_the_same_rows_in_many_forms(tmp_path: Path, content: str) -> None:
    assert [cells for _, cells in rows_in(opened(file_of(tmp_path, content)))] == [cells for _, cells in ROWS]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_says_the_encoding(tmp_path: Path, encoding: str) -> None:
    content = "Id;Währung;Price\n7;€;1\n".encode(encoding)
    for declared in (None, "latin-1"):
        assert rows_in(opened(file_of(tmp_path, content), Read(encoding=declared))) == [(2, ["7", "€", "1"])]


def test_other_encodings_are_declared(tmp_path: Path) -> None:
    path = file_of(tmp_path, "Id,Währung\n7,€\n".encode("cp1252"))
    with pytest.raises(InvalidEvent, match="line 1, is not text in UTF-8"):
        opened(path)
    table = opened(path, Read(encoding="cp1252"))
    assert (list(table.columns), rows_in(table)) == (["Id", "Währung"], [(2, ["7", "€"])])
    for unknown in ("klingon", "base64", "rot13", "\0"):
        with pytest.raises(InvalidEvent, match="unknown encoding"):
            opened(path, Read(encoding=unknown))


@pytest.mark.parametrize(
    ("content", "header"),
    [
        # A decimal comma in each row and in the header: the delimiter that separates more is right.
        ("Zeit;Preis;Menge, Stück\n9;1,5;2\n10;2,5;2\n", ["Zeit", "Preis", "Menge, Stück"]),
        ("Time,Text;s,Price\n9,a;b,1\n10,c,2\n", ["Time", "Text;s", "Price"]),
        ("Name\nvalue\n", ["Name"]),
    ],
)
def test_the_delimiter_is_seen_in_header_and_rows(tmp_path: Path, content: str, header: list[str]) -> None:
    assert list(opened(file_of(tmp_path, content)).columns) == header


def test_two_delimiters_that_fit_as_well_are_asked_about(tmp_path: Path) -> None:
    with pytest.raises(InvalidEvent, match="may be delimited by"):
        opened(file_of(tmp_path, "a,b;c,d;e\n1,5;2,5;3\n"))
    path = file_of(tmp_path, "a,b;c\n1,5;6\n")
    with pytest.raises(InvalidEvent, match=r"trades\.csv may be delimited by ',' or ';': .* read\.delimiter"):
        opened(path)
    assert rows_in(opened(path, Read(delimiter=";"))) == [(2, ["1,5", "6"])]


def test_rows_by_another_delimiter_than_the_header_s_are_refused(tmp_path: Path) -> None:
    table = opened(file_of(tmp_path, "Id,Symbol,Price\n7;ESZ5;1,5\n"))
    assert refused_rows(table) == [(2, "the line has 2 cells, but the header has 3")]


def test_a_header_is_found_below_titles(tmp_path: Path) -> None:
    content = 'Trades of,"2026, March"\n\nAccount;;\n' + TABLE.replace(",", ";")
    path = file_of(tmp_path, content)
    found: tuple[int | tuple[str, ...], ...] = (4, ("Price", "Id"))
    for header in found:
        table = opened(path, Read(header=header))
        assert rows_in(table) == [(line + 3, cells) for line, cells in ROWS]
    with pytest.raises(InvalidEvent, match="has no header with Id, Qty in its first 100 lines; line 4 lacks Qty"):
        opened(path, Read(header=("Id", "Qty")))
    with pytest.raises(InvalidEvent, match=r"has no header with Qty, Px in its first 100 lines$"):
        opened(path, Read(header=("Qty", "Px")))
    with pytest.raises(InvalidEvent, match=r"has no header: read\.header is 40"):
        opened(path, Read(header=40))
    late = file_of(tmp_path, "title\n" * 100 + TABLE, "late.csv")
    with pytest.raises(InvalidEvent, match="in its first 100 lines"):
        opened(late, Read(header=("Id",)))


def test_columns_without_names_have_their_place(tmp_path: Path) -> None:
    table = opened(file_of(tmp_path, ",Symbol,,Price,\n0,ESZ5,x,1,\n"))
    assert list(table.columns) == ["index", "Symbol", "column 3", "Price"]
    assert rows_in(table) == [(2, ["0", "ESZ5", "x", "1"])]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"container": "xls"}, "read.container is 'xls': choose one of csv, json"),
        ({"delimiter": ",,"}, "read.delimiter"),
        ({"delimiter": '"'}, "read.delimiter"),
        ({"header": 0}, "read.header is 0: lines are counted from 1"),
        ({"table": "a", "query": "SELECT 1"}, "read.query"),
    ],
)
def test_a_mapping_s_mistakes_are_named(wrong: dict[str, object], why: str) -> None:
    with pytest.raises(InvalidEvent, match=why):
        Read(**wrong)  # type: ignore[arg-type]


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_packed_files_are_recognised_by_their_content(tmp_path: Path) -> None:
    data = TABLE.encode()
    paths = [
        file_of(tmp_path, gzip.compress(data), "trades.bin"),
        file_of(tmp_path, gzip.compress(data[:20]) + gzip.compress(data[20:]), "joined.csv.gz"),
        file_of(tmp_path, zstd.compress(data), "trades.csv.zst"),
        zipped(tmp_path / "trades.zip", {"part-00000.csv": data, "__MACOSX/part-00000.csv": b"", ".DS_Store": b"\0"}),
    ]
    for path in paths:
        assert container_of(path) == "csv"
        assert rows_in(opened(path)) == ROWS


def test_a_zip_s_member_is_the_only_one_or_named(tmp_path: Path) -> None:
    path = zipped(tmp_path / "both.zip", {"a/trades.csv": TABLE.encode(), "orders.csv": b"Id\n1\n"})
    with pytest.raises(InvalidEvent, match=r"both\.zip has 2 files of data, not one \(a/trades\.csv, orders\.csv\)"):
        opened(path)
    assert rows_in(opened(path, Read(member="a/trades.csv"))) == ROWS
    with pytest.raises(InvalidEvent, match=r"both\.zip has no member 'b\.csv': it has a/trades\.csv, orders\.csv"):
        opened(path, Read(member="b.csv"))
    with pytest.raises(InvalidEvent, match=r"trades\.csv is not a zip, so it has no member 'b\.csv'"):
        opened(file_of(tmp_path, TABLE), Read(member="b.csv"))
    with pytest.raises(InvalidEvent, match="has 0 files of data"):
        opened(zipped(tmp_path / "none.zip", {"__MACOSX/x": b""}))
    nested = zipped(tmp_path / "nested.zip", {"inner.zip": zipped(tmp_path / "inner.zip", {"a": b"b"}).read_bytes()})
    with pytest.raises(InvalidEvent, match=r"nested\.zip/inner\.zip is a zip in a zip: unpack it"):
        opened(nested)
    bad = zipped(tmp_path / "bad.zip", {"t.csv": b"Id,Qty\n1\n"})
    with pytest.raises(BadRow, match=r"bad\.zip/t\.csv, line 2: "):
        rows_in(opened(bad))


@pytest.mark.parametrize("name", ["trades.csv.gz", "trades.csv.zst", "trades.zip"])
def test_an_archive_is_read_within_a_bound_and_refused_when_damaged(tmp_path: Path, name: str) -> None:
    data = TABLE.encode() + b"9,ESZ5,1\n" * 30_000
    path = tmp_path / name
    if name.endswith("zip"):
        zipped(path, {"trades.csv": data})
    else:
        path.write_bytes(gzip.compress(data) if name.endswith("gz") else zstd.compress(data))
    with pytest.raises(InvalidEvent, match=f"{name} expands to more than 100,000 bytes"):
        rows_in(open_tables(path, Read(), bytes_max=100_000)[0])
    packed = path.read_bytes()
    for length in (5, len(packed) // 2, len(packed) - 3):
        path.write_bytes(packed[:length])
        with pytest.raises(InvalidEvent, match=name):
            rows_in(opened(path))


def test_a_member_that_cannot_be_unpacked_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trades.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("trades.csv", TABLE)
    plain = path.read_bytes()
    local, central = plain.index(b"PK\3\4"), plain.index(b"PK\1\2")
    # A flag says that there is a password; the other number is of a method that few programs know.
    for offset, value, why in ((6, b"\1", "password"), (8, b"\x63", "compression method")):
        data = bytearray(plain)
        data[local + offset : local + offset + 1] = data[central + offset + 2 : central + offset + 3] = value
        path.write_bytes(data)
        with pytest.raises(InvalidEvent, match=rf"trades\.zip/trades\.csv cannot be read \(.*{why}.*unpack it"):
            opened(path)


def test_a_long_file_takes_no_memory(tmp_path: Path) -> None:
    row = f'7,"{"x" * 300}",1.5\n'
    table = opened(file_of(tmp_path, "Id,Note,Price\n" + row * 10_000))
    tracemalloc.start()
    count = sum(1 for _ in table.rows())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count, peak < 1_000_000) == (10_000, True), peak


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an old Excel workbook, or one with a password"),
        (b"%PDF-1.7\n", "is a PDF"),
        (b"PAR1\x15\x04", "is a Parquet file"),
        (gzip.compress(gzip.compress(b"a,b\n", mtime=0), mtime=0), "is packed twice"),
        (b'<?xml version="1.0"?>\n<rows/>', "is XML"),
    ],
)
def test_a_file_that_traders_have_and_that_is_not_a_table_is_refused_by_name(
    tmp_path: Path, content: bytes, why: str
) -> None:
    with pytest.raises(InvalidEvent, match=f"export {why}"):
        opened(file_of(tmp_path, content, "export"))


def test_a_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        opened(tmp_path / "none.csv")
