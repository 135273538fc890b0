"""The commands `archive` and `export`: what they write, what they refuse, and how they end."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import eventstore
from eventstore import InvalidEvent, TargetExists
from eventstore.trading import LockoutSet, OrderRejected
from projections import analysis
from projections.analysis.exports.tables import table_name
from tests.analysis.archive_log import write_log
from tests.cli.command import NINE, Run, plain_environment


def test_archive_writes_days_that_are_over_and_check_agrees(run: Run, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    nothing = run("archive", folder, "--data", data)
    assert (nothing.code, nothing.err) == (0, "")
    assert "nothing to archive" in nothing.out
    done = run("archive", folder, "--data", data, "--until", 5, "--json")
    assert (done.code, done.document["first"], done.document["last"], done.document["head"]) == (0, 1, 5, 5)
    assert "positions 6 to 8" in run("archive", folder, "--data", data, "--until", 99).out
    checked = run("archive", folder, "--data", data, "--check")
    assert (checked.code, checked.out.splitlines()[0]) == (0, "ok: 8 archived records are as they were written")


def test_check_names_the_first_bad_position_and_ends_with_1(run: Run, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    run("archive", folder, "--data", data, "--until", 8)
    (path,) = (folder / "order").iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    found = run("archive", folder, "--data", data, "--check")
    assert (found.code, "wrong at position 2" in found.out) == (1, True)
    alone = run("archive", folder, "--data", tmp_path / "nowhere", "--check", "--json")
    assert (alone.code, alone.document["ok"], alone.document["first_bad"]) == (1, False, 2)
    assert "checked by itself" in alone.err
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("archive", "a", "--older-than", "soon"), "invalid duration"),
        (("archive", "a", "--check", "--older-than", "30d"), "--check takes neither"),
        (("archive", "a", "--check"), "not an archive"),
        (("archive",), "Missing argument"),
        (("export",), "give one of --parquet DIR"),
        (("export", "--csv", "a", "--sql", "b"), "give one of --parquet DIR"),
        (("export", "--csv", "a", "--type", "OrderFiled"), "did you mean OrderFilled"),
    ],
)
def test_misuse_ends_with_2_and_a_sentence(run: Run, data: Path, arguments: tuple[str, ...], sentence: str) -> None:
    ended = run(*arguments, "--data", data)
    assert (ended.code, ended.out) == (2, "")
    assert sentence in ended.err
    assert not Path("a").exists()


@pytest.mark.parametrize("command", [("archive", "a"), ("export", "--sql", "a")])
def test_without_the_extra_it_says_what_to_install(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("pyarrow", "pyarrow.parquet", "pyarrow.compute", "polars"):
        monkeypatch.setitem(sys.modules, name, None)
    extra = ("--until", "8") if command[0] == "archive" else ()
    ended = run(*command, *extra, "--data", data)
    assert (ended.code, ended.out) == (2, "")
    assert "[analysis]'" in ended.err
    assert not list(tmp_path.rglob("*.parquet"))
    assert not (tmp_path / "a").is_file()


def test_csv_reads_back_to_the_last_digit(run: Run, tmp_path: Path) -> None:
    reason = 'a "quoted", long\r\nreason\twith ü'
    with eventstore.open(tmp_path / "data") as store:
        store.append("order/ACC1/O-1", OrderRejected(reason=reason), occurred_at=NINE + 1, note="")
        store.append("order/ACC1/O-2", OrderRejected(reason=""), occurred_at=NINE)
        store.append("lockout/ACC1/x", LockoutSet(rule_id="x", reason="loss", until=NINE + 7))
    ended = run("export", "--csv", tmp_path / "out", "--data", tmp_path / "data", "--json")
    assert ended.document["tables"] == {"lockout_set": 1, "order_rejected": 2}
    content = (tmp_path / "out" / "order_rejected.csv").read_bytes()
    assert content.count(b"\r\n") == 4
    with (tmp_path / "out" / "order_rejected.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["reason"] for row in rows] == [reason, ""]
    assert rows[0]["occurred_at"] == "2025-11-19T15:00:00.000000001Z"
    # An empty text is quoted, a missing value is not.
    assert b',"",' in content
    with (tmp_path / "out" / "lockout_set.csv").open(newline="", encoding="utf-8") as file:
        (locked,) = csv.DictReader(file)
    assert (locked["until"], locked["account"]) == ("2025-11-19T15:00:00.000000007Z", "ACC1")


def test_parquet_keeps_types_and_what_does_not_fit_becomes_text(tmp_path: Path) -> None:
    write_log(tmp_path / "data", orders=60)
    found = analysis.export(tmp_path / "data", tmp_path / "out", "parquet")
    assert found.text_decimals == ("measured",)
    assert "1E-18" in pq.read_table(tmp_path / "out" / "measured.parquet").column("wei").to_pylist()
    fills = pq.read_table(tmp_path / "out" / "order_filled.parquet")
    assert fills.schema.field("price").type == pa.decimal128(38, 9)
    with eventstore.open(tmp_path / "data", read_only=True) as store:
        events = [record.event for record in store.read(types=("OrderFilled",))]
        assert found.rows == store.head()
    assert [(e.price, e.trade_id) for e in events] == list(  # type: ignore[attr-defined]
        zip(fills.column("price").to_pylist(), fills.column("trade_id").to_pylist(), strict=True)
    )
    # What no class here reads keeps its data: a type without one, and a schema of the future.
    assert "text" in pq.read_table(tmp_path / "out" / "noted_elsewhere.parquet").column("data")[0].as_py()
    divided = pq.read_table(tmp_path / "out" / "divided.parquet").select(["by", "data"]).to_pylist()
    assert {(row["by"] is None, row["data"] is None) for row in divided} == {(True, False), (False, True)}


def test_sql_has_typed_columns_and_every_nanosecond(run: Run, data: Path, tmp_path: Path) -> None:
    target = tmp_path / "dump.sql"
    ended = run("export", "--sql", target, "--data", data)
    assert (ended.code, ended.err) == (0, "")
    text = target.read_text("utf-8")
    assert text.count("CREATE TABLE") == len(ended.out.splitlines()) - 1
    assert text.startswith("-- log main")
    assert text.endswith("COMMIT;\n")
    assert '    "price" numeric' in text
    assert '    "occurred_at" timestamptz,\n    "occurred_at_ns" bigint' in text
    assert f"2025-11-19T15:00:03.000000Z\t{NINE + 3 * 10**9}" in text
    assert target.stat().st_mode & 0o077 == 0


def test_filters_are_those_of_read(run: Run, data: Path, tmp_path: Path) -> None:
    counts = []
    for number, extra in enumerate(
        [("--account", "ACC2"), ("--type", "OrderFilled"), ("--start", "3", "--stop", "6"), ("--account", "NOBODY")]
    ):
        ended = run("export", "--csv", tmp_path / f"{number}", "--data", data, *extra, "--json")
        read = run("read", "--data", data, *extra, "--json")
        counts.append(sum(ended.document["tables"].values()))
        assert counts[-1] == len(read.lines)
        assert ("no matching records" in ended.err) is (not counts[-1])
    assert counts == [2, 3, 3, 0]


def test_nothing_is_overwritten_and_a_failure_leaves_nothing(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(TargetExists, match="exists already"):
        analysis.export(data, tmp_path / "there", "csv")
    with pytest.raises(InvalidEvent, match="form is one of"):
        analysis.export(data, tmp_path / "new", "xlsx")
    monkeypatch.setattr("projections.analysis.exports.exporting.sync_directory", _interrupted)
    for form in ("parquet", "csv", "sql"):
        with pytest.raises(KeyboardInterrupt):
            analysis.export(data, tmp_path / "new", form)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "there"]


def _interrupted(_path: Path) -> None:
    raise KeyboardInterrupt


@pytest.mark.slow
def test_an_export_that_is_killed_has_no_file_of_its_name(tmp_path: Path) -> None:
    write_log(tmp_path / "data", orders=400)
    command = [sys.executable, "-m", "eventstore", "export", "--sql", "out.sql", "--data", "data"]
    with subprocess.Popen(command, cwd=tmp_path, env=plain_environment(), stdout=subprocess.DEVNULL) as child:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".out.sql.*")) and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(child.pid, signal.SIGKILL)
    assert not (tmp_path / "out.sql").exists()
    assert analysis.export(tmp_path / "data", tmp_path / "out.sql", "sql").rows


@pytest.mark.parametrize(
    ("type_name", "name"),
    [("OrderFilled", "order_filled"), ("PnLSet", "pn_l_set"), ("HTTPSeen2Way", "http_seen2_way"), ("a.b:C", "a_b_c")],
)
def test_a_type_s_table_is_called_like_it(type_name: str, name: str) -> None:
    assert table_name(type_name) == name
    assert len(table_name("A" + "bC" * 40)) <= 60


def test_mappings_and_lists_are_json(tmp_path: Path) -> None:
    write_log(tmp_path / "data", orders=5, turns=1)
    analysis.export(tmp_path / "data", tmp_path / "dump.sql", "sql")
    text = (tmp_path / "dump.sql").read_text("utf-8")
    assert '    "named" json' in text
    assert '\t{"x":"1.10"}' in text
    # COPY reads backslashes and tabs as the signs that they are.
    assert "a\\tb\\nü\\\\" in text
