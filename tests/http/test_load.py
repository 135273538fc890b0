"""A service under load is killed and started again: what it acknowledged is there once, and followers miss nothing."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

import eventstore
from tests.http.load import Load, Loaded
from tests.http.served_process import served_process
from tests.proving import cases
from tests.waiting import until

pytestmark = pytest.mark.service

SMALL = Load(port=0, seconds=4, rate=100, clients=10, followers=10)
FULL = Load(port=0, seconds=60, rate=500, clients=50, followers=50)
END_SECONDS = 180


@contextlib.contextmanager
def loading(load: Load) -> Iterator[subprocess.Popen[bytes]]:
    """Run the clients, in a process of their own."""
    command = [sys.executable, "-m", "tests.http.load", msgspec.json.encode(load).decode()]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as clients:
        try:
            yield clients
        finally:
            clients.kill()


def ended(clients: subprocess.Popen[bytes]) -> Loaded:
    """Return what came of it, once the clients are done."""
    output, _ = clients.communicate(timeout=END_SECONDS)
    assert clients.returncode == 0
    return msgspec.json.decode(output, type=Loaded)


@pytest.mark.prove
@pytest.mark.parametrize("load", cases(test=[SMALL], prove=[FULL]))
def test_a_kill_under_load_loses_nothing_and_repeats_nothing(tmp_path: Path, load: Load) -> None:
    with (
        served_process(tmp_path) as served,
        loading(msgspec.structs.replace(load, port=served.port)) as clients,
        httpx.Client(base_url=f"http://127.0.0.1:{served.port}", trust_env=False, timeout=END_SECONDS) as client,
    ):
        half = load.seconds * load.rate / 2
        until(lambda: client.get("/v1/records?limit=1").json()["head"] >= half, "half is not appended", END_SECONDS)
        served.kill()
        served.start()
        found = ended(clients)
        served.stop()
    assert found.broken == []
    assert len(found.acknowledged) == load.seconds * load.rate
    assert found.retries >= 1
    assert found.resumptions >= load.followers
    with eventstore.open(tmp_path, read_only=True) as store:
        records = list(store.read())
        assert store.verify().ok
    positions = {str(uuid.UUID(bytes=record.id)): record.position for record in records}
    assert len(positions) == len(records)
    # Each acknowledged record once, where the answer said; nothing else.
    assert dict(found.acknowledged) == positions
    assert len(found.followed) == load.followers
    assert all((last, count) == (len(records), len(records) - first) for first, last, count in found.followed)
