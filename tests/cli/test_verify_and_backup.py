"""`verify` and `backup`: changes are named, a copy counts once verified, and nothing is overwritten."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import eventstore
from eventstore.trading import Marked
from tests.cli.command import Run, flip


def grow(data: Path, count: int) -> None:
    with eventstore.open(data) as store:
        store.append("mark/-/many", [Marked(name="many")] * count)


def test_verify_counts_and_names_the_root(run: Run, data: Path) -> None:
    with eventstore.open(data) as store:
        size, root = store.root()
    ended = run("verify", "--data", data)
    assert ended.code == 0
    assert "ok: 8 records are as they were written" in ended.out
    assert f"root {root.hex()}" in ended.out
    found = run("verify", "--after", "5", "--data", data, "--json").document
    assert found == {
        "log": "main",
        "ok": True,
        "checked": 3,
        "first_bad": None,
        "reason": None,
        "unproved": ["the log's name", "created_at, the time at which the log was created"],
        "size": size,
        "root": root.hex(),
    }


def test_verify_proves_a_root_that_was_kept_when_the_log_was_shorter(run: Run, data: Path) -> None:
    with eventstore.open(data) as store:
        size, root = store.root()
    grow(data, 300)
    ended = run("verify", "--root", root.hex(), "--size", size, "--data", data)
    assert ended.code == 0
    assert f"the log had root {root.hex()} at size {size}, and the log continues it" in ended.out
    ended = run("verify", "--root", root.hex(), "--data", data)
    assert ended.code == 1
    assert "wrong at position 1: positions 1 to 308 do not give the root that was kept" in ended.out
    found = run("verify", "--root", root.hex(), "--size", 309, "--data", data, "--json")
    assert (found.code, found.document["first_bad"]) == (1, 309)
    assert "its tail is lost" in found.document["reason"]


@pytest.mark.parametrize("given", [["--root", "12"], ["--size", "3"], ["--root", "x" * 64], ["--size", "-1"]])
def test_a_malformed_root_or_size_is_misuse(run: Run, data: Path, given: list[str]) -> None:
    ended = run("verify", *given, "--data", data)
    assert (ended.code, ended.out) == (2, "")
    assert "root" in ended.err or "size" in ended.err


def test_verify_says_what_it_cannot_prove_and_what_belongs_to_no_position(run: Run, data: Path) -> None:
    assert "unproved: created_at, the time at which the log was created" in run("verify", "--data", data).out
    with closing(sqlite3.connect(data / "main" / "journal.db", isolation_level=None)) as journal:
        journal.execute("INSERT INTO meta VALUES ('owner', 'me')")
    ended = run("verify", "--data", data)
    assert ended.code == 1
    assert ended.out.startswith("wrong: the meta table has an entry 'owner'")
    assert "8 records are as they were written; keep the file" in ended.out
    assert "the meta table has an entry" in run("doctor", "--data", data).out
    with closing(sqlite3.connect(data / "main" / "journal.db", isolation_level=None)) as journal:
        journal.execute("CREATE TRIGGER t AFTER INSERT ON event BEGIN SELECT 1; END")
    ended = run("verify", "--data", data)
    assert (ended.code, ended.out.splitlines()[0]) == (
        1,
        "wrong: the trigger 't' does not belong to a journal: it was added",
    )
    # Opening refuses it, and has looked at no record.
    assert "no records were checked, because the log cannot be opened; keep the file" in ended.out
    assert "as they were written" not in ended.out


def test_verify_says_of_which_size_a_root_is_and_that_the_log_is_sound(run: Run, data: Path) -> None:
    with eventstore.open(data) as store:
        _, early = store.root(5)
    grow(data, 3_000)
    for size in ("3008", "7", "3009"):
        ended = run("verify", "--root", early.hex().upper(), "--size", size, "--data", data)
        assert ended.code == 1
        assert "3,008 records are as they were written; the root given is the log's at size 5" in ended.out
        assert "give --size 5" in ended.out
        assert "backup" not in ended.out
    found = run("verify", "--root", early.hex(), "--data", data, "--json")
    assert (found.code, found.document["ok"], found.document["root_of_size"]) == (1, False, 5)
    foreign = run("verify", "--root", "00" * 32, "--data", data)
    assert foreign.code == 1
    assert "keep the file, restore from a backup" in foreign.out
    flip(data, 4)
    damaged = run("verify", "--root", early.hex(), "--data", data, "--json")
    assert (damaged.code, damaged.document["first_bad"], "root_of_size" in damaged.document) == (1, 4, False)


def test_verify_says_that_nothing_lies_past_the_end(run: Run, data: Path) -> None:
    for form in ((), ("--json",), ("--read-only",)):
        ended = run("verify", "--after", "9", "--data", data, *form)
        assert ended.code == 0
        assert "position 9 is not in the log, which ends at 8: no record was checked" in ended.err
    ended = run("verify", "--after", "8", "--data", data)
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize("later", [0, 3_000])
def test_verify_names_the_first_bad_position(run: Run, data: Path, later: int) -> None:
    """Opening finds what was changed near the head, and verifying what was changed before."""
    grow(data, later)
    flip(data, 4)
    ended = run("verify", "--data", data)
    assert ended.code == 1
    assert "wrong at position 4: the record does not have its digest" in ended.out
    found = run("verify", "--data", data, "--json")
    assert (found.code, found.document["ok"], found.document["first_bad"]) == (1, False, 4)


def test_a_changed_log_is_found_on_opening(run: Run, data: Path) -> None:
    flip(data, 4)
    ended = run("state", "--data", data)
    assert (ended.code, ended.out) == (1, "")
    assert "position 4" in ended.err
    assert ended.err.count("\n") == 1


def test_a_file_that_is_not_a_journal_is_a_usage_error(run: Run, tmp_path: Path) -> None:
    journal = tmp_path / "main" / "journal.db"
    journal.parent.mkdir()
    journal.write_bytes(b"something else entirely, and long enough to be looked at" * 100)
    for command in ("verify", "doctor", "stats"):
        ended = run(command, "--data", tmp_path)
        assert (ended.code, ended.out) == (2, "")
        assert "is not a journal" in ended.err


def test_a_backup_opens_and_has_the_same_root(run: Run, data: Path, tmp_path: Path) -> None:
    target = tmp_path / "copies" / "one"
    ended = run("backup", target, "--data", data)
    assert ended.code == 0
    assert f"copied to {target}" in ended.out
    with eventstore.open(data) as store, eventstore.open(target) as copy:
        assert copy.root() == store.root()
        assert store.root()[1].hex() in ended.out
    assert [path.name for path in target.parent.iterdir()] == ["one"]


def test_a_backup_overwrites_nothing(run: Run, data: Path, tmp_path: Path) -> None:
    for name in ("file", "empty", "link"):
        target = tmp_path / name
        if name == "file":
            target.write_text("mine")
        elif name == "empty":
            target.mkdir()
        else:
            target.symlink_to(tmp_path / "elsewhere")
        ended = run("backup", target, "--data", data)
        assert (ended.code, ended.out) == (2, "")
        assert "exists already" in ended.err
    assert (tmp_path / "file").read_text() == "mine"
    assert list((tmp_path / "empty").iterdir()) == []
    assert not (tmp_path / "elsewhere").exists()


def test_a_copy_that_does_not_verify_is_not_kept(run: Run, data: Path, tmp_path: Path) -> None:
    grow(data, 3_000)
    flip(data, 4)
    ended = run("backup", tmp_path / "copies" / "one", "--data", data)
    assert (ended.code, ended.out) == (1, "")
    assert "position 4" in ended.err
    assert list((tmp_path / "copies").iterdir()) == []


def test_dated_copies_past_their_days_are_removed_and_nothing_else(run: Run, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    for name in ("20200101T000000Z", "20200102T000000Z", "other", "20200103T000000", "20201301T000000Z"):
        assert run("backup", folder / name, "--data", data).code == 0
    assert run("backup", folder / "20200107T000000Z", "--data", data).code == 0
    (folder / "20200107T000000Z" / "notes.txt").write_text("about this copy")
    (folder / "20200104T000000Z").mkdir()
    (folder / "20200104T000000Z" / "notes.txt").write_text("not made by this command")
    (folder / "20200105T000000Z").write_text("nor this")
    (folder / "20200106T000000Z").symlink_to(folder / "other")
    ended = run("backup", folder, "--keep-days", "30", "--data", data, "--json")
    assert ended.code == 0
    removed = ended.document["removed"]
    assert sorted(removed) == [str(folder / "20200101T000000Z"), str(folder / "20200102T000000Z")]
    kept = {path.name for path in folder.iterdir()}
    made = Path(ended.document["target"]).name
    assert kept == {
        *("other", "20200103T000000", "20201301T000000Z", "20200104T000000Z"),
        *("20200105T000000Z", "20200106T000000Z", "20200107T000000Z", made),
    }
    assert "left alone" in ended.err


def test_a_dated_copy_of_another_log_is_left_alone(run: Run, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    with eventstore.open(data, log="other") as store:
        store.append("mark/-/x", Marked(name="x"))
    assert run("backup", folder / "20200101T000000Z", "--log", "other", "--data", data).code == 0
    assert run("backup", folder, "--keep-days", "1", "--data", data).code == 0
    assert (folder / "20200101T000000Z" / "other" / "journal.db").is_file()


def test_a_dated_copy_within_its_days_stays(run: Run, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    first = run("backup", folder, "--keep-days", "1", "--data", data, "--json").document
    Path(first["target"]).rename(folder / "20200101T000000Z")
    assert run("backup", folder, "--keep-days", "36500", "--data", data).code == 0
    assert len(list(folder.iterdir())) == 2
