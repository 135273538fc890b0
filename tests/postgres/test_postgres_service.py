"""A log in PostgreSQL as it is served over HTTP: its keys, exports, health and metrics; and copies of it."""

from __future__ import annotations

import io
import json
import signal
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import eventstore
from eventstore import EventStore, InvalidEvent, ManualClock, TargetExists, Unavailable
from eventstore.side import LogSide
from gateways.http.access import NotAuthenticated, Scope
from gateways.http.keys import KeyAuthenticator, KeyDocument, document
from tests.cli.command import Ended, run_here
from tests.cli.services import started
from tests.http.serving import running
from tests.influx.mirroring import fill
from tests.postgres.servers import PostgresServer
from tests.store.facts import ORDER, rejected
from tests.waiting import until

NOW = 1_795_000_000_000_000_000
PASSWORD = "hunter2"


@pytest.fixture
def store(postgres_url: str) -> Iterator[EventStore]:
    with eventstore.open(postgres_url) as store:
        fill(store, 10)
        yield store


@pytest.fixture
def side(store: EventStore) -> LogSide:
    assert store.side is not None
    return store.side


@pytest.fixture
def keys(side: LogSide) -> KeyDocument:
    return KeyDocument(side)


def with_key(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


def done(*words: str) -> Ended:
    result = run_here(*words)
    assert result.code == 0, result.err
    return result


def test_a_log_is_served(store: EventStore, postgres_url: str) -> None:
    with running(postgres_url) as service:
        events = [{"type": "OrderRejected", "data": {"reason": "x"}}]
        assert service.client.post(f"/v1/streams/{ORDER}", json={"events": events}).status_code == 200
        assert store.head() == 11
        ready = service.client.get("/health/ready").json()
        assert ready["ready"]
        named = {each["name"] for each in ready["checks"]}
        assert {"journal", "book", "watermarks", "views", "policies"} <= named
        assert "disk space" not in named
        metrics = service.client.get("/metrics").text
        assert "eventstore_log_position 11" in metrics
        assert 'eventstore_part_failed{part="workers"} 0' in metrics
        assert 'eventstore_part_failed{part="checkpoints"} 0' in metrics
        assert "eventstore_workers_omitted 0" in metrics
        assert service.client.get("/v1/mirrored", params={"position": 1}).status_code == 409
        bundle = service.client.get("/v1/export")
        assert bundle.status_code == 200
        with zipfile.ZipFile(io.BytesIO(bundle.content)) as packed:
            assert packed.testzip() is None
            assert len(packed.read("records.jsonl").splitlines()) == 11


def test_keys_are_those_of_the_log(keys: KeyDocument, side: LogSide) -> None:
    assert (keys.exists(), keys.load(), keys.used()) == (False, (), {})
    key, text = keys.add("desk", [Scope.READ], now=NOW, by="ann", accounts=("ACC1",))
    assert text.encode() not in side.documents("api-keys.json")["api-keys.json"]
    with pytest.raises(InvalidEvent, match="revoke it first"):
        keys.add("desk", [Scope.ADMIN], now=NOW, by="eve")
    keys.write_used({key.id: "2026-01-01T00:00:00Z"})
    keys.write_used({key.id: "2025-01-01T00:00:00Z"})
    elsewhere = KeyDocument(side)
    assert elsewhere.load() == (key,)
    assert elsewhere.used() == {key.id: "2026-01-01T00:00:00Z"}
    elsewhere.revoke("desk", now=NOW, by="ann")
    assert [each.revoked_by for each in keys.load()] == ["ann"]
    side.keep("api-keys.json", b"{")
    with pytest.raises(Unavailable, match=r"document api-keys\.json of log main at postgresql://\*\*\*@.* cannot be"):
        keys.load()


def test_keys_that_another_host_has_just_added_or_revoked_are_kept(
    keys: KeyDocument, side: LogSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by a service, which looks at them once in a while."""
    monkeypatch.setattr(document, "LOOK_SECONDS", 60.0)
    elsewhere = KeyDocument(side)
    elsewhere.add("first", [Scope.READ], now=NOW, by="ann")
    with keys.watched():
        elsewhere.add("second", [Scope.READ], now=NOW, by="ann")
        elsewhere.revoke("first", now=NOW, by="ann")
        assert [each.name for each in keys.load()] == ["first"], "as it was seen"
        keys.add("third", [Scope.READ], now=NOW, by="bob")
    found = {each.name: each.is_over(NOW) for each in KeyDocument(side).load()}
    assert found == {"first": True, "second": False, "third": False}


def test_keys_are_not_changed_without_the_lock(keys: KeyDocument, side: LogSide, postgres: PostgresServer) -> None:
    with keys._locked():
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        with pytest.raises(Unavailable):
            side.documents("")
        with pytest.raises(Unavailable, match="the lock of those who change"):
            keys._write(())
    assert not keys.exists()


def test_a_service_that_cannot_look_at_the_keys_lets_nobody_in(
    keys: KeyDocument, side: LogSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request waits for the server: a thread looks at them."""
    monkeypatch.setattr(document, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(document, "STALE_SECONDS", 0.5)
    _, text = keys.add("desk", [Scope.READ], now=NOW, by="ann")
    with keys.watched():
        authenticator = KeyAuthenticator(keys, ManualClock(NOW), "local")
        caller = authenticator.caller(with_key(text))
        asked = threading.get_ident()

        def documents(prefix: str) -> dict[str, bytes]:
            assert threading.get_ident() != asked, "a request waits for the server"
            raise Unavailable(prefix)

        monkeypatch.setattr(side, "documents", documents)
        until(lambda: not authenticator.is_valid(caller), "nobody is let in")
        with pytest.raises(Unavailable, match="nobody is let in until the server answers"):
            authenticator.caller(with_key(text))
        monkeypatch.undo()
        until(lambda: authenticator.is_valid(caller), "it answers again")
        KeyDocument(side).revoke("desk", now=NOW, by="ann")
        until(lambda: not authenticator.is_valid(caller), "the key is revoked")
        with pytest.raises(NotAuthenticated, match="revoked"):
            authenticator.caller(with_key(text))


@pytest.mark.slow
def test_a_service_is_started_and_its_keys_are_changed_by_commands(
    store: EventStore, postgres_url: str, tmp_path: Path
) -> None:
    data = ("--data", postgres_url.replace("es@", f"es:{PASSWORD}@"))
    text = done("api-keys", "add", "desk", "--scope", "read", *data).out.strip()
    assert "desk" in done("api-keys", *data).out
    with started(["serve", "--port", "0", *data], tmp_path) as service:
        service.wait_until("READY=1")
        assert service.process.stdout is not None
        line = service.process.stdout.readline().decode()
        assert line.startswith("serving log main at http://127.0.0.1:")
        with httpx.Client(base_url=line.split()[-1], trust_env=False) as client:
            assert client.get("/v1/head").status_code == 401
            assert client.get("/v1/head", headers=with_key(text)).json() == {"head": 10}
            done("api-keys", "revoke", "desk", *data)
            began = time.monotonic()
            until(lambda: client.get("/v1/head", headers=with_key(text)).status_code == 401, "it is revoked")
            assert time.monotonic() - began < 4
        ended = service.end(signal.SIGTERM)
    assert ended.code == 0
    assert PASSWORD not in ended.out + ended.err


def test_a_copy_in_a_directory_is_the_same_log(store: EventStore, postgres_url: str, tmp_path: Path) -> None:
    place = store.backup(tmp_path / "copy")
    assert place == tmp_path / "copy" / "main"
    with eventstore.open(tmp_path / "copy") as copy:
        assert (copy.log_id, copy.root(), copy.verify().ok) == (store.log_id, store.root(), True)
        assert list(copy.read()) == list(store.read())
        assert copy.doctor() == []
    with pytest.raises(TargetExists):
        store.backup(tmp_path / "copy")
    with eventstore.open(postgres_url, read_only=True) as reader:
        reader.backup(tmp_path / "second")
    made = done("backup", str(tmp_path / "dated"), "--keep-days", "1", "--json", "--data", postgres_url)
    found = json.loads(made.out)
    assert (found["log"], found["size"], found["root"]) == ("main", 10, store.root()[1].hex())
    assert done("verify", "--json", "--data", found["target"]).code == 0


def test_nothing_is_left_of_a_copy_of_a_log_that_is_not_sound(
    store: EventStore, postgres: PostgresServer, tmp_path: Path
) -> None:
    schema = store.journal.location.schema  # type: ignore[attr-defined] # of one in PostgreSQL
    postgres.execute(f"UPDATE {schema}.event SET note = 'changed' WHERE position = 4".encode())  # noqa: S608 - a test's own name
    with pytest.raises(eventstore.CorruptJournal) as caught:
        store.backup(tmp_path / "copy")
    assert caught.value.position == 4
    assert not (tmp_path / "copy").exists()


def test_commands_say_what_they_find_of_a_log_on_a_server(
    store: EventStore, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = ("--data", postgres_url.replace("es@", f"es:{PASSWORD}@"))
    found = json.loads(done("doctor", "--json", *data).out)["checks"]
    names = [each["name"] for each in found]
    assert {"python", "server", "watermarks", "checkpoints", "records"} <= set(names)
    assert "none yet" in next(each["detail"] for each in found if each["name"] == "watermarks")
    refused = run_here("alerts", "--once", *data)
    assert (refused.code, "no heartbeat in ./eventstore.toml" in refused.err) == (2, True)
    assert PASSWORD not in refused.err
    done("archive", str(tmp_path / "archive"), *data)
    assert "by itself alone" not in done("archive", "--check", str(tmp_path / "archive"), *data).err
    # Its settings are those of the working directory.
    (tmp_path / "eventstore.toml").write_text("audit_reads = true\n")
    head = store.head()
    done("timeline", *data)
    assert [each.type for each in store.read(after=head)] == ["RecordsRead"]


def test_a_store_of_a_loop_shows_no_password(postgres_url: str) -> None:
    import asyncio

    from eventstore import aio

    async def names() -> list[str]:
        async with aio.open(postgres_url.replace("es@", f"es:{PASSWORD}@")) as opened:
            await opened.append(ORDER, rejected())
            return [thread.name for thread in threading.enumerate()]

    found = asyncio.run(names())
    assert any("postgresql://***@" in name for name in found)
    assert not any(PASSWORD in name for name in found)
