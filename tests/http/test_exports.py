"""Exports: cut off where they fail, given up where the client leaves, and else what the commands write."""

from __future__ import annotations

import csv
import io
import json
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import apsw
import httpx
import pytest

import eventstore
from eventstore.proofs import stream_bundle, verify_bundle
from eventstore.proofs.key_files import FOLDER, KeyFolder
from eventstore.proofs.signers import origin_of
from eventstore.trading import OrderRejected
from gateways.http import ServiceSettings, streaming
from tests.cli.command import run_here
from tests.http.audited import AT, OWN, SECRET, audited_log
from tests.http.callers import ByName, asked, auditor
from tests.http.serving import Running, running

WAIT_SECONDS = 30


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER, str(tmp_path / "keys"))
    audited_log(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a log that is larger than what sockets keep."""
    found = tmp_path_factory.mktemp("long")
    with eventstore.open(found) as store:
        for number in range(40):
            store.append(f"order/ACC1/O-{number}", [OrderRejected(reason="x" * 500)] * 1_000)
    return found


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.01)


def is_idle(served: Running) -> bool:
    """Return whether nothing is being made, and no file of it is left."""
    directory = served.service.store.directory
    assert directory is not None
    return not served.service.streamed and not list(directory.glob("export-*"))


@pytest.mark.parametrize("path", ["/v1/export", "/v1/export.jsonl", "/v1/export.csv"])
def test_what_means_nothing_is_refused_before_anything_is_sent(directory: Path, path: str) -> None:
    with running(directory) as served:
        for query in ("start=soon", "stop=1000", "zone=Nowhere", "account=no%20account", "types=a&types=,"):
            answer = served.client.get(f"{path}?{query}")
            assert answer.status_code == 422, query
            assert answer.headers["content-type"] == "application/problem+json"
        wait_for(lambda: is_idle(served))


def test_a_record_that_was_changed_cuts_the_export_off(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store:
        store.append("order/ACC1/O-1", [OrderRejected(reason="late")] * 2_000)
    with closing(apsw.Connection(str(tmp_path / "main" / "journal.db"))) as connection:
        connection.execute("UPDATE event SET note = 'altered' WHERE position = 700")
    with running(tmp_path) as served:
        for path in ("/v1/export", "/v1/export.csv"):
            with pytest.raises(httpx.RemoteProtocolError):
                served.client.get(path)
        wait_for(lambda: is_idle(served))


def test_no_more_exports_are_made_at_once_than_are_allowed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "STREAMED_MAX", 0)
    with running(directory) as served:
        answer = served.client.get("/v1/export.csv")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/v1/export", "/v1/export.jsonl"])
def test_an_export_is_given_up_when_the_client_leaves(long_log: Path, path: str) -> None:
    with running(long_log) as served:
        with served.client.stream("GET", path) as answer:
            assert next(answer.iter_raw())
            wait_for(lambda: served.service.streamed)
        wait_for(lambda: is_idle(served))
        assert served.client.get("/health/live").status_code == 200


def test_a_client_that_takes_nothing_is_cut_off(long_log: Path) -> None:
    with running(long_log, settings=ServiceSettings(send_seconds_max=0.3)) as served:
        host, port = served.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), WAIT_SECONDS) as reading:
            reading.sendall(b"GET /v1/export.jsonl HTTP/1.1\r\nHost: localhost\r\n\r\n")
            wait_for(lambda: served.service.streamed)
            wait_for(lambda: is_idle(served))


def test_a_service_that_stops_ends_its_exports(long_log: Path) -> None:
    with running(long_log) as served:
        answer = served.client.send(served.client.build_request("GET", "/v1/export.jsonl"), stream=True)
        assert answer.status_code == 200
    assert not served.service.streamed


def test_a_bundle_verifies_by_the_program_in_it_and_is_that_of_the_command(directory: Path, tmp_path: Path) -> None:
    with eventstore.open(directory) as store:
        key = KeyFolder(tmp_path / "keys").create(origin_of("main", store.log_id), "main", store.log_id, AT).key
        store.checkpoint()
    with running(directory) as served:
        answer = served.client.get("/v1/export", params={"account": OWN})
    assert answer.headers["content-type"] == "application/zip"
    bundle = tmp_path / "b.zip"
    bundle.write_bytes(answer.content)
    checked = verify_bundle(bundle, key=key)
    assert (checked.ok, checked.records) == (True, 11)
    with zipfile.ZipFile(bundle) as packed:
        packed.extract("verify_bundle.py", tmp_path)
        files = {name: packed.read(name) for name in packed.namelist()}
    command = [sys.executable, "-I", str(tmp_path / "verify_bundle.py"), str(bundle), "--key", key]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    assert_as_the_command(files, directory, tmp_path / "c.zip", "--account", OWN)


def assert_as_the_command(files: dict[str, bytes], directory: Path, target: Path, *options: str) -> None:
    assert run_here("export", "--bundle", target, *options, "--data", directory).code == 0
    with zipfile.ZipFile(target) as packed:
        expected = {name: packed.read(name) for name in packed.namelist()}
    assert files.keys() == expected.keys()
    assert {name for name in files if files[name] != expected[name]} <= {"manifest.json", "manifest.note"}


def test_a_bundle_of_a_rotated_log_has_all_that_its_checkpoint_covers(directory: Path, tmp_path: Path) -> None:
    for words in (("keys", "new"), ("checkpoint",), ("rotate",), ("keys", "new"), ("checkpoint",)):
        assert run_here(*words, "--data", directory).code == 0
    with running(directory) as served:
        answer = served.client.get("/v1/export", params={"start": 21})
    assert answer.status_code == 200, answer.text
    (tmp_path / "b.zip").write_bytes(answer.content)
    with zipfile.ZipFile(tmp_path / "b.zip") as packed:
        files = {name: packed.read(name) for name in packed.namelist()}
    assert verify_bundle(tmp_path / "b.zip").records > 0
    assert_as_the_command(files, directory, tmp_path / "c.zip", "--start", "21")


def test_a_new_checkpoint_needs_a_key_and_covers_the_newest_record(directory: Path, tmp_path: Path) -> None:
    with running(directory) as served:
        assert served.client.get("/v1/export", params={"checkpoint": "new"}).status_code == 409
        store = served.service.store.sync_store
        key = KeyFolder(tmp_path / "keys").create(origin_of("main", store.log_id), "main", store.log_id, AT).key
        answer = served.client.get("/v1/export", params={"checkpoint": "new"})
    (tmp_path / "b.zip").write_bytes(answer.content)
    assert (verify_bundle(tmp_path / "b.zip", key=key).ok, verify_bundle(tmp_path / "b.zip", key=key).size) == (
        True,
        19,
    )


def test_lines_are_the_records_that_the_filters_leave(directory: Path) -> None:
    with running(directory) as served:
        lines = served.client.get("/v1/export.jsonl", params={"account": OWN, "types": "OrderFilled"}).text
        (line,) = [json.loads(each) for each in lines.splitlines()]
        (record,) = served.client.get("/v1/records", params={"account": OWN, "types": "OrderFilled"}).json()["records"]
        assert line == record
        bounded = served.client.get("/v1/export.jsonl", params={"start": "5", "stop": "noon", "after": 6}).text
    assert [json.loads(each)["position"] for each in bounded.splitlines()] == list(range(7, 16))


def test_a_table_is_the_bundle_s_and_a_formula_stays_text(directory: Path) -> None:
    with running(directory) as served:
        event = {"type": "OrderRejected", "data": {"reason": "late"}}
        served.append("order/ACC1/O-9", event, note="=1+1")
        table = served.client.get("/v1/export.csv").content
        packed = zipfile.ZipFile(io.BytesIO(served.client.get("/v1/export").content))
    assert table == packed.read("records.csv")
    rows = list(csv.DictReader(io.StringIO(table.decode())))
    assert (len(rows), rows[-1]["note"]) == (20, "'=1+1")


def test_a_key_exports_its_account_alone(directory: Path) -> None:
    with running(directory, authenticator=ByName(auditor("chief"), auditor("limited", OWN))) as served:
        for path in ("/v1/export", "/v1/export.jsonl", "/v1/export.csv"):
            assert asked(served, path, "limited").status_code == 403
            assert asked(served, path, "limited", account=SECRET).status_code == 403
            own = asked(served, path, "limited", account=OWN)
            assert own.status_code == 200
            text = own.content if path != "/v1/export" else _unpacked(own.content)
            assert SECRET.encode() not in text
        assert asked(served, "/v1/export.csv", "limited", stream=f"order/{SECRET}/").status_code == 403
        assert asked(served, "/v1/export.csv", "limited", stream="order/").status_code == 403
        assert asked(served, "/v1/export", "limited", account="-").status_code == 403
        shared = asked(served, "/v1/export.jsonl", "limited", account="-").text
        assert [json.loads(each)["stream"] for each in shared.splitlines()] == ["contract/-/ESZ5", "mark/-/noon"]


def _unpacked(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        return b"".join(packed.read(name) for name in packed.namelist())


@pytest.mark.slow
def test_the_first_files_of_a_bundle_are_sent_before_its_records_are_read(long_log: Path) -> None:
    with eventstore.open(long_log) as store:
        read: list[int] = []
        chunks = stream_bundle(store, long_log, progress=lambda done, _of: read.append(done))
        first: Iterator[bytes] = iter(chunks)
        assert next(first).startswith(b"PK")
        assert not read
        rest = b"".join(first)
        assert read
        assert rest
        assert not list(long_log.glob("export-*"))
