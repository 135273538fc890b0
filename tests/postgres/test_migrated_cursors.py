"""What lies beside a log moves with it: policies resume where they were, and nothing else takes them for its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import eventstore
from eventstore import CorruptJournal, EventStore, TargetExists
from eventstore.migration import migrate
from eventstore.watermarks import Watermark, Watermarks
from projections.risk.policies import account_sets
from projections.risk.policies.cursors import Cursors, have_begun
from tests.cli.command import small_log
from tests.postgres.servers import PostgresServer
from tests.reliability.checking import environment

ACCOUNTS = frozenset({"ACC1", "ACC2"})
KILLED_BEFORE_THE_FILE = """
import os, signal, sys
from eventstore import files, migration

files.publish = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
migration.migrate(sys.argv[1], sys.argv[2])
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    small_log(tmp_path / "data")
    return tmp_path / "data"


def marks(store: EventStore) -> dict[str, Watermark]:
    assert store.side is not None
    found = store.side.marks()
    try:
        return {name: mark for name, mark in found.examine()[0].items() if name != "head"}
    finally:
        found.close()


def run_policies(store: EventStore, *, up_to: int) -> None:
    """Leave what policies leave that have seen a log up to a position, of two accounts and of all."""
    digest = next(store.read(after=up_to - 1, limit=1)).digest
    for accounts in (None, ACCOUNTS):
        cursors = Cursors(store, accounts)
        cursors.begin(["limits"], up_to)
        cursors.write((up_to, digest))


def test_policies_resume_where_they_were(data: Path, postgres_url: str, tmp_path: Path) -> None:
    with eventstore.open(data) as store:
        run_policies(store, up_to=5)
        before = marks(store)
    moved = migrate(data, postgres_url)
    set_name = account_sets.name_of(ACCOUNTS)
    assert moved.beside == (f"policies{set_name}.accounts", "policy.limits", f"policy.limits{set_name}")
    assert moved.left == ()
    for place in (postgres_url, tmp_path / "again"):
        if place != postgres_url:
            assert migrate(postgres_url, place).beside == moved.beside
        with eventstore.open(place) as store:
            assert marks(store) == before
            assert store.side is not None
            assert account_sets.remembered(store.side, {}) == {set_name: ACCOUNTS}
            assert have_begun(store)
            assert Cursors(store).begin(["limits"], store.head()) == {"limits": 5}


def test_how_far_the_mirror_is_stays(data: Path, postgres_url: str) -> None:
    with eventstore.open(data) as store:
        record = next(store.read())
        mark = Watermark(store.log_id.hex(), 1, record.digest.hex(), record.digest.hex())
    Watermarks(data / "main" / "watermarks").write("mirror", mark)
    moved = migrate(data, postgres_url)
    assert (moved.beside, moved.left) == ((), ("watermarks/mirror",))


def test_what_is_not_the_log_s_stays(data: Path, postgres_url: str, postgres: PostgresServer, tmp_path: Path) -> None:
    migrate(data, postgres_url)
    with eventstore.open(postgres_url) as store:
        digest, log_id = next(store.read(after=2, limit=1)).digest.hex(), store.log_id.hex()
        assert store.side is not None
        kept = store.side.marks()
        kept.write("policy.begun", Watermark(log_id, 0, ""))
        kept.write("policy.other", Watermark("00" * 16, 3, digest))
        kept.write("policy.changed", Watermark(log_id, 4, digest))
        kept.write("policy.beyond", Watermark(log_id, 9, digest))
        store.side.keep("../policies@00.accounts", b"[]")
        store.side.keep("journal.db", b"x")
        store.side.keep("policies/../../x.accounts", b"[]")
    moved = migrate(postgres_url, tmp_path / "again")
    assert moved.beside == ("policy.begun",)
    assert sorted(moved.left) == [
        "document ../policies@00.accounts",
        "document journal.db",
        "document policies/../../x.accounts",
        "mark policy.beyond",
        "mark policy.changed",
        "mark policy.other",
    ]
    assert sorted(path.name for path in (tmp_path / "again").rglob("*") if "journal" not in path.name) == [
        "head",
        "main",
        "policy.begun",
        "watermarks",
    ]


@pytest.mark.untraced
def test_a_log_without_its_cursors_is_never_seen(data: Path, postgres_url: str, tmp_path: Path) -> None:
    """They are there before its file is: what is killed in between is not a log, and the next completes it."""
    with eventstore.open(data) as store:
        run_policies(store, up_to=5)
    migrate(data, postgres_url)
    again = tmp_path / "again"
    command = [sys.executable, "-c", KILLED_BEFORE_THE_FILE, postgres_url, str(again)]
    assert subprocess.run(command, env=environment(), check=False).returncode == -9
    assert (again / "main" / "watermarks" / "policy.limits").exists()
    with pytest.raises(CorruptJournal, match="acknowledged records are lost"):
        eventstore.open(again)
    migrate(postgres_url, again)
    with eventstore.open(again) as store:
        assert Cursors(store).begin(["limits"], store.head()) == {"limits": 5}


def test_a_copy_that_cannot_get_its_name_leaves_no_cursors(
    data: Path, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with eventstore.open(data) as store:
        run_policies(store, up_to=5)
    migrate(data, postgres_url)

    def refused(*_: object) -> None:
        msg = "no"
        raise OSError(msg)

    monkeypatch.setattr("eventstore.files.publish", refused)
    with pytest.raises(OSError, match="no"):
        migrate(postgres_url, tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(("of_this_log", "position"), [(False, 1), (True, 9)])
def test_the_watermarks_of_another_log_are_left_alone(
    of_this_log: bool, position: int, data: Path, postgres_url: str, tmp_path: Path
) -> None:
    moved = migrate(data, postgres_url)
    place = tmp_path / "again" / "main" / "watermarks"
    place.parent.mkdir(parents=True)
    Watermarks(place).write("head", Watermark(moved.log_id if of_this_log else "00" * 16, position, "00" * 32))
    with pytest.raises(TargetExists, match="watermark head of another log, or of more records"):
        migrate(postgres_url, tmp_path / "again")
    assert [path.name for path in place.parent.rglob("*")] == ["watermarks", "head"]
