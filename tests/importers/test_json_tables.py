"""JSON: lists, lines and nested rows; numbers as written; what is damaged, ambiguous or absurd is refused."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path

import pytest

from eventstore import InvalidEvent
from gateways.importers.archives import BYTES_MAX
from gateways.importers.base import BadRow
from gateways.importers.containers import Read, Table, container_of, open_tables
from gateways.importers.containers.table import RefusedRow

TRADES = '[{"id": "a", "price": 1.50, "fee": {"cost": 1e-7, "currency": "USD"}},{"id":"b","amount":2,"fee":null}]'
COLUMNS = ["id", "price", "fee.cost", "fee.currency", "amount", "fee"]
ROWS = [(1, ["a", "1.50", "1e-7", "USD", "", ""]), (2, ["b", "", "", "", "2", ""])]


def file_of(tmp_path: Path, content: str | bytes, name: str = "trades.json") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def opened(path: Path, read: Read | None = None) -> Table:
    (table,) = open_tables(path, read or Read(), bytes_max=BYTES_MAX)
    return table


def rows_in(table: Table) -> list[tuple[int, list[str]]]:
    return [(row.line, [row.optional(column) or "" for column in table.columns]) for row in table.rows()]


def refused_rows(table: Table) -> list[tuple[int, str]]:
    return [(row.line, row.why) for row in table.rows() if isinstance(row, RefusedRow)]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("[", "the document ends in the middle of a value"),
        ('[{"id": 1}', "after row 1: the document ends before its last bracket"),
        ('[{"id": 1}, {"id"', "after row 1: the document ends in the middle of a value"),
        ('[{"id": 1}, {"id": 2}] []', "after row 2: continues after its end"),
        ('[{"id": 1} {"id": 2}]', "after row 1: is not JSON: '{' instead of ','"),
        ('[{"id": 1}, ]', "after row 1: is not JSON"),
        ('[{"id": 1}, {"id": nan}]', "after row 1: is not JSON"),
        ('[{"id": 1, "id": 2}]', "has the member 'id' twice in one object"),
        ('{"a": [{"id": 1}], "a": [{"id": 2}]}', "has the member 'a' twice in one object"),
        ('[{"id": ' + "[" * 100_000, "nested too deeply"),
        ("[" * 100_000, "nested too deeply|ends before"),
        ('{"a": ' * 100_000, "nested too deeply"),
        ('[{"id": "' + "x" * 1_200_000 + '"}]', "has a value of more than 1,000,000 characters"),
        ('[{"id": "\x00"}]', "Invalid control character"),
        (b'[{"id": "\xe9"}]', "line 1, is not text in UTF-8"),
        ('{"trades": [{"id": 1}], "other": {"orders": [{"id": 1}]}}', "has its rows in trades or other.orders"),
        ('{"ESZ5": {"qty": 1}, "NQZ5": {"qty": 2}}', r"has its rows in \*: state which as read\.path"),
        (json.dumps([{f"m{number}": 1} for number in range(4_010)]), "more than 4,000 members"),
    ],
)
def test_what_is_not_a_table_is_refused_with_its_place(tmp_path: Path, content: str | bytes, why: str) -> None:
    with pytest.raises(InvalidEvent, match=why) as caught:
        rows_in(opened(file_of(tmp_path, content)))
    assert "trades.json" in str(caught.value)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("[1, 2]", "is a list, not an object"),
        ("17", "is the number 17, not an object"),
        ('"text"', "is a text, not an object"),
        ("true", "is true or false, not an object"),
        ("null", "is null, not an object"),
        ('{"fee.cost": 1, "fee": {"cost": 2}}', "has two members that make the column 'fee.cost'"),
        ('{"id": "\\ud83d"}', "has half a character"),
        ('{"a": ' * 20 + "1" + "}" * 20, "has objects in objects more than 16 deep"),
    ],
)
def test_a_row_that_is_not_an_object_of_columns_is_refused_and_the_others_are_not(
    tmp_path: Path, row: str, why: str
) -> None:
    table = opened(file_of(tmp_path, f'[{{"id": 1}}, {row}, {{"id": 3}}]'))
    assert [(number, why in found) for number, found in refused_rows(table)] == [(2, True)]
    assert [r.optional("id") for r in table.rows() if not isinstance(r, RefusedRow)] == ["1", "3"]
    with pytest.raises(BadRow, match=r"trades\.json, line 2: "):
        rows_in(table)


def test_nested_members_are_columns_and_numbers_stay_as_written(tmp_path: Path) -> None:
    for name, content in (("a.json", TRADES), ("b.json", "\ufeff \n" + json.dumps(json.loads(TRADES), indent=2))):
        path = file_of(tmp_path, content.replace("1.5,", "1.50,").replace("1e-07", "1e-7"), name)
        table = opened(path)
        assert (container_of(path), list(table.columns), table.name) == ("json", COLUMNS, "")
        assert rows_in(table) == rows_in(table) == ROWS


def test_no_number_becomes_a_float(tmp_path: Path) -> None:
    digits, values = "9" * 5_000, '[1.10, true, null, {"e": "ü"}]'
    content = f'[{{"a": 1e400, "b": 0.10, "n": NaN, "c": {digits}, "d": {values}, "f": true, "g": []}}]'
    (row,) = opened(file_of(tmp_path, content)).rows()
    assert row.cells == ["1e400", "0.10", "NaN", digits, values, "true", "[]"]


@pytest.mark.parametrize(
    ("path", "rows"),
    [
        ("data.trades", [["1"], ["2"]]),
        ("data.account", [["7", "USD"]]),
        ("data.none", []),
        ("data.empty", []),
        ("data.positions.*", [["ESZ5", "3"], ["NQZ5", "4"], ["NQZ5", "5"]]),
    ],
)
def test_a_path_leads_to_the_rows(tmp_path: Path, path: str, rows: list[list[str]]) -> None:
    data = {
        "before": {"x": [[{"trades": 1}]]},
        "trades": [{"id": 1}, {"id": 2}],
        "account": {"balance": 7, "currency": "USD"},
        "none": None,
        "empty": [],
        "positions": {"ESZ5": {"qty": 3}, "NQZ5": [{"qty": 4}, {"qty": 5}]},
    }
    document = {"ok": True, "data": data, "after": "x"}
    for name, content in (("s.json", json.dumps(document, indent=1)), ("s.jsonl", json.dumps(document))):
        read = Read(path=path, container=name.partition(".")[2])
        assert [cells for _, cells in rows_in(opened(file_of(tmp_path, content, name), read))] == rows


def test_a_path_to_nothing_is_refused_with_the_members_that_exist(tmp_path: Path) -> None:
    path = file_of(tmp_path, '{"data": {"trades": [], "orders": []}, "n": 1}')
    with pytest.raises(InvalidEvent, match=r"has no member 'fills', as read\.path says; it has trades, orders"):
        opened(path, Read(path="data.fills"))
    with pytest.raises(InvalidEvent, match="has no object with a member 'fills'"):
        opened(path, Read(path="n.fills"))
    with pytest.raises(InvalidEvent, match="has no object with a member 'fills'"):
        opened(file_of(tmp_path, "[]"), Read(path="fills"))


def test_one_object_is_one_row(tmp_path: Path) -> None:
    path = file_of(tmp_path, '{"balance": 7, "open": [], "fee": {"cost": 1}, "prices": [1, 2]}')
    assert rows_in(opened(path)) == [(1, ["7", "[]", "1", "[1, 2]"])]
    assert rows_in(opened(file_of(tmp_path, "[]"))) == rows_in(opened(file_of(tmp_path, "null"), Read("json"))) == []


def test_lines_have_their_numbers_and_each_its_own_error(tmp_path: Path) -> None:
    lines = ['{"id": 1}', "", '{"id": 2, "id": 3}', '{"id": nan}', '{"id":', "[4]", "[" * 100_000, '{"id": 5}']
    path = file_of(tmp_path, "\n".join(lines), "trades.log")
    table = opened(path)
    assert container_of(path) == "jsonl"
    assert [line for line, _ in refused_rows(table)] == [3, 4, 5, 6, 7]
    good = [row for row in table.rows() if not isinstance(row, RefusedRow)]
    assert [(row.line, row.optional("id")) for row in good] == [(1, "1"), (8, "5")]
    missing = refused_rows(opened(path, Read(path="data.id")))
    assert "has no member 'data', as read.path says; it has id" in missing[0][1]
    long = file_of(tmp_path, '{"id": 1}\n{"id": "' + "x" * 1_000_000 + '"}\n')
    with pytest.raises(InvalidEvent, match="after row 1: line 2 has more than 1,000,000 characters"):
        opened(long)


def test_a_value_may_be_cut_anywhere_by_the_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in range(1, 12):
        monkeypatch.setattr("gateways.importers.containers.json_reader._CHUNK", size)
        assert rows_in(opened(file_of(tmp_path, TRADES))) == ROWS
        assert rows_in(opened(file_of(tmp_path, f'{{"a": [12, {{}}], "b": {TRADES}}}'), Read(path="b"))) == ROWS


def test_a_long_list_takes_no_memory(tmp_path: Path) -> None:
    path, note = tmp_path / "trades.json.gz", "x" * 2_000
    with gzip.open(path, "wt", compresslevel=1) as out:
        out.write('{"skipped": [' + f'{{"id": "{note}"}},' * 2_000 + '{}], "rows": [')
        out.write(f'{{"id": 123456, "note": "{note}"}},' * 2_000 + "{}]}")
    tracemalloc.start()
    count = sum(1 for _ in opened(path, Read(path="rows")).rows())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count, peak < 1_500_000) == (2_001, True), peak
