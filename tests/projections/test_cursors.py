"""Policies' cursors among the watermarks: a damaged one resumes where no decision is skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import StorageWarning
from eventstore.trading import Marked
from eventstore.watermarks import Watermark, Watermarks
from projections.risk.policies import Policies
from projections.risk.policies.cursors import Cursors
from projections.rules import shipped_rules


def marked(store: eventstore.EventStore, count: int) -> list[eventstore.Record]:
    return store.append("mark/-/m", [Marked(name=str(number)) for number in range(count)])


@pytest.mark.parametrize("content", [b"{", b"\0" * 150, b'{"log_id":"x","position":1,"digest":"y"}'])
def test_a_damaged_cursor_resumes_from_the_lowest_of_the_others(tmp_path: Path, content: bytes) -> None:
    with eventstore.open(tmp_path) as store:
        records = marked(store, 6)
        cursors = Cursors(store)
        for name in ("one", "two", "three"):
            cursors.begin([name], 6)
        cursors.hold("two", 2)
        last = marked(store, 1)[0]
        cursors.write((last.position, last.digest))
        (tmp_path / "main" / "watermarks" / "policy.one").write_bytes(content)
        fresh = Cursors(store)
        with pytest.warns(StorageWarning, match="policy one is damaged .* resumes from position 2"):
            assert fresh.begin(["one"], 7)["one"] == 2
        assert fresh.begin(["one"], 7)["one"] == 2, "it was written again"
        assert fresh.begin(["three"], 7)["three"] == 7
        assert fresh.begin(["four"], 7)["four"] == 7, "a new one begins at the head"
    assert len(records) == 6


def test_a_damaged_cursor_is_not_taken_from_a_book_of_other_accounts(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store:
        marked(store, 6)
        Cursors(store, ["A"]).begin(["one"], 1)
        Cursors(store).begin(["one"], 4)
        (tmp_path / "main" / "watermarks" / "policy.one").write_bytes(b"?")
        with pytest.warns(StorageWarning, match="resumes from position 6"):
            assert Cursors(store).begin(["one"], 6)["one"] == 6


def test_a_cursor_of_another_log_is_damaged(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with eventstore.open(tmp_path / name) as store:
            marked(store, 3)
            Cursors(store).begin(["one"], 3)
    content = (tmp_path / "a" / "main" / "watermarks" / "policy.one").read_bytes()
    (tmp_path / "b" / "main" / "watermarks" / "policy.one").write_bytes(content)
    with pytest.warns(StorageWarning, match="another log"), eventstore.open(tmp_path / "b") as store:
        assert Cursors(store).begin(["one"], 2)["one"] == 2


def test_the_watermarks_are_read_once_for_all_policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"rule-{number}" for number in range(20)]
    read: list[Path] = []
    examine = Watermarks.examine

    def counted(watermarks: Watermarks) -> tuple[dict[str, Watermark], dict[str, str]]:
        read.append(watermarks.directory)
        return examine(watermarks)

    with eventstore.open(tmp_path) as store:
        marked(store, 6)
        Cursors(store).begin(names[:10], 3)
        monkeypatch.setattr(Watermarks, "examine", counted)
        assert Cursors(store).begin(names, 6) == dict(zip(names, [3] * 10 + [6] * 10, strict=True))
        assert len(read) == 1


def test_a_start_reads_the_watermarks_as_often_for_many_policies_as_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = [0]
    examine = Watermarks.examine

    def counted(watermarks: Watermarks) -> tuple[dict[str, Watermark], dict[str, str]]:
        read[-1] += 1
        return examine(watermarks)

    monkeypatch.setattr(Watermarks, "examine", counted)
    with eventstore.open(tmp_path) as store:
        for rules in (shipped_rules()[:1], shipped_rules()):
            read.append(0)
            with projections.open(store, snapshots=False) as book:
                Policies(book, rules).start(ticking=False).stop()
    _, for_one, for_many = read
    assert for_one == for_many >= 1
