"""Signed checkpoints of a log in PostgreSQL: kept in its tables, proved, and missed where they are gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import eventstore
from eventstore import CheckpointSettings, EventStore, Overloaded, Unavailable
from eventstore.journals.postgres import Location, PostgresSide, documents
from eventstore.proofs import signing, verify_bundle
from eventstore.proofs.checkpoint_file import NAME, CheckpointFile
from eventstore.proofs.health import checkpoint_health
from eventstore.proofs.key_files import KeyFolder
from eventstore.proofs.signers import origin_of
from eventstore.proofs.witness_file import WITNESSED
from eventstore.side import FileSide, LogSide
from tests.cli.command import run_here
from tests.influx.mirroring import fill
from tests.postgres.servers import PostgresServer


@pytest.fixture(params=["files", "tables"])
def side(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LogSide]:
    """What lies beside a log, in each of the two homes that it may have."""
    if request.param == "files":
        yield FileSide(tmp_path)
        return
    with eventstore.open(request.getfixturevalue("postgres_url")) as store:
        assert store.side is not None
        yield store.side


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyFolder:
    """A folder of keys that commands use too."""
    monkeypatch.setenv("EVENTSTORE_KEYS", str(tmp_path / "keys"))
    return KeyFolder(tmp_path / "keys")


@pytest.fixture
def settings(folder: KeyFolder) -> CheckpointSettings:
    return CheckpointSettings(keys=str(folder.path), every_seconds=0, witnesses={"usb": ["cat"]})


@pytest.fixture
def store(postgres_url: str, folder: KeyFolder, settings: CheckpointSettings) -> Iterator[EventStore]:
    """A log of ten events with a key, and nothing signed yet."""
    with eventstore.open(postgres_url, checkpoints=settings) as store:
        fill(store, 10)
        folder.create(origin_of(store.log, store.log_id), store.log, store.log_id, store.clock.now_ns())
        yield store


def side_of(store: EventStore) -> LogSide:
    assert store.side is not None
    return store.side


def test_a_document_grows_at_its_end(side: LogSide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "PART_BYTES", 10)
    assert side.end("grows.txt", 5) == (b"", True)
    whole = b""
    side.add("grows.txt2", b"z")
    for number in range(40):
        line = b"line %d\n" % number
        side.add("grows.txt", line)
        whole += line
        for length in (1, 7, 25, len(whole) - 1):
            assert side.end("grows.txt", length) == (whole[-length:], length >= len(whole))
        assert side.end("grows.txt", len(whole)) == (whole, True)
        assert side.end("grows.txt", 10_000) == (whole, True)
    side.add("grows.txt.other", b"x")
    side.add("grows", b"y")
    assert side.end("grows.txt", 10_000) == (whole, True)
    assert side.end("grows", 10) == (b"y", True)


def test_checkpoints_are_signed_kept_and_witnessed(
    store: EventStore, folder: KeyFolder, postgres_url: str, settings: CheckpointSettings
) -> None:
    first = store.checkpoint()
    assert (first.new, first.checkpoint.size, first.is_witnessed) == (True, 10, True)
    assert not store.checkpoint().new
    with eventstore.open(postgres_url) as other:
        fill(other, 5)
        second = other.checkpoint(settings)
        assert (second.new, second.checkpoint.size) == (True, 15)
        assert second.outcomes[0].state == WITNESSED
    kept = CheckpointFile(side_of(store))
    assert [each.size for each in kept.newest()] == [10, 15]
    assert kept.last() == second.checkpoint
    with eventstore.open(postgres_url, read_only=True) as reader:
        found = checkpoint_health(reader, side_of(reader), folder)
    assert (found.wrong, found.attention) == ((), ())
    assert found.summary.endswith("; witnessed by usb")


def test_the_end_is_signed_when_a_store_closes(store: EventStore, postgres_url: str, folder: KeyFolder) -> None:
    settings = CheckpointSettings(keys=str(folder.path), every_seconds=3600, at_close=True)
    with eventstore.open(postgres_url, checkpoints=settings) as other:
        fill(other, 1)
    assert CheckpointFile(side_of(store)).newest()[-1].size == 11


def test_commands_sign_list_prove_and_export(
    store: EventStore, postgres_url: str, folder: KeyFolder, tmp_path: Path
) -> None:
    data = ("--data", postgres_url)
    assert run_here("keys", "new", *data).code == 0
    ended = run_here("checkpoint", "--no-witness", *data)
    assert ended.code == 0, ended.err
    assert "kept in document checkpoints.txt of log main at postgresql://***@" in ended.out
    [listed] = json.loads(run_here("checkpoint", "--list", "--json", *data).out)["checkpoints"]
    assert listed["size"] == 10
    shown = run_here("keys", *data)
    assert len(shown.out.splitlines()) == 2
    (tmp_path / "keys.txt").write_text(shown.out)
    proof, bundle = str(tmp_path / "proof"), tmp_path / "bundle.zip"
    assert run_here("prove", "3", "--out", proof, *data).code == 0
    assert run_here("prove", "--check", proof, "--key", str(tmp_path / "keys.txt")).code == 0
    exported = run_here("export", "--bundle", str(bundle), *data)
    assert exported.code == 0, exported.err
    assert verify_bundle(bundle, key=shown.out.splitlines()[0]).size == 10
    assert "the newest has size 10" in run_here("doctor", *data).out


def test_checkpoints_that_are_gone_are_missed(store: EventStore, folder: KeyFolder, postgres: PostgresServer) -> None:
    store.checkpoint()
    schema = store.journal.location.schema  # type: ignore[attr-defined] # of one in PostgreSQL
    postgres.execute(f"DELETE FROM {schema}.document WHERE name = '{NAME}'".encode())  # noqa: S608 - a test's own names
    found = checkpoint_health(store, side_of(store), folder)
    assert any("lacks the checkpoint of size 10" in each for each in found.wrong)
    fill(store, 1)
    (note,) = store.checkpoint().notes
    assert note.startswith(f"document {NAME} of log main at postgresql://***@")
    assert note.endswith("lacked the checkpoint of size 10, and has it again")
    assert [each.size for each in CheckpointFile(side_of(store)).newest()] == [10, 11]


def test_one_process_signs_at_a_time(
    store: EventStore, postgres_url: str, monkeypatch: pytest.MonkeyPatch, settings: CheckpointSettings
) -> None:
    monkeypatch.setattr(signing, "LOCK_SECONDS", 0.2)
    with eventstore.open(postgres_url) as other:
        lock = side_of(other).lock(signing.LOCK_FILE)
        assert lock.take()
        with pytest.raises(Overloaded, match="another process has been signing"):
            store.checkpoint(settings)
    assert store.checkpoint(settings).new


def test_who_has_lost_the_lock_signs_nothing(store: EventStore, postgres: PostgresServer) -> None:
    def lose(_done: int, _of: int) -> None:
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        with pytest.raises(Unavailable):
            side_of(store).documents("")

    with pytest.raises(Unavailable, match="the lock of those who sign was lost"):
        store.checkpoint(progress=lose)
    assert CheckpointFile(side_of(store)).newest() == []
    assert store.checkpoint().new


def test_a_location_is_shown_without_a_password() -> None:
    side = PostgresSide(Location.of("postgresql://me:hunter2@h/d"), read_only=True)
    assert side.described("x") == "document x of log main at postgresql://***@h/d"
    assert "hunter2" in side.address
