"""The service of a log in PostgreSQL that is rotated: before and after it, followers across it, and the keys."""

from __future__ import annotations

import signal
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

import eventstore
from eventstore.trading import OrderCanceled
from gateways.http import serving
from projections.rotation import rotate
from tests.cli.command import run_here
from tests.cli.services import started
from tests.http.followed import followed
from tests.http.serving import WAIT_SECONDS, running
from tests.rotation.logs import begun, check
from tests.waiting import until

CANCELED = {"type": "OrderCanceled", "data": {}}
ORDER = "order/A/O-1"


@pytest.fixture
def url(postgres_url: str) -> str:
    """The URL of a log of four records."""
    return begun(postgres_url)


@pytest.fixture
def rotated(url: str) -> str:
    with eventstore.open(url) as store:
        rotate(store)
    return url


def test_a_service_that_starts_after_a_rotation_serves_both_logs_as_one(rotated: str) -> None:
    with eventstore.open(rotated) as store:
        head = store.head()
    with running(rotated) as service:
        client = service.client
        assert client.get("/v1/head").json()["head"] == head
        assert service.append(ORDER, CANCELED, expected=2).status_code == 200
        records = client.get("/v1/records", params={"stream": ORDER}).json()["records"]
        assert [(each["version"], each["position"]) for each in records] == [(1, 3), (2, 4), (3, head + 1)]
        ready = client.get("/health/ready").json()
        assert (ready["ready"], ready["log"], ready["log_position"]) == (True, "main.2", head + 1)
        [position] = client.get("/v1/state/positions", params={"account": "A"}).json()["state"]
        assert (position["quantity"], position["lots"][0]["position"]) == ("1", 4)
        entries = client.get("/v1/timeline", params={"account": "A"}).json()["entries"]
        assert {1, 2, 3, 4, head + 1} <= {each["position"] for each in entries}
        for at in (3, 5, head + 1):
            assert client.get(f"/v1/timeline/{at}").json()["position"] == at
        assert client.post("/v1/verification").status_code == 200
        found = awaited(client)
        assert (found["ok"], found["checked"]) == (True, head + 1)
    with eventstore.open(rotated) as store:
        check(store)


def awaited(client: httpx.Client) -> dict[str, Any]:
    """Return what the verification that was begun has found."""
    until(lambda: client.get("/v1/verification").json()["last"] is not None, "it is verified")
    found: dict[str, Any] = client.get("/v1/verification").json()["last"]
    return found


def test_a_service_whose_log_has_ended_refuses_to_append_and_says_so(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "WATCH_SECONDS", WAIT_SECONDS)
    with running(url) as service:
        with eventstore.open(url) as store:
            rotate(store)
        refused = service.append(ORDER, CANCELED)
        assert (refused.status_code, refused.json()["title"], refused.json()["next"]) == (403, "LogHasEnded", "main.2")
        ready = service.client.get("/health/ready")
        assert ready.status_code == 503
        assert "log main has ended, and log main.2 continues it" in ready.json()["detail"]


def test_a_follower_resumes_in_the_next_log_where_it_was(url: str) -> None:
    """The service ends with its log; started again, it leads to the next one, in which positions are counted on."""
    with eventstore.open(url) as store:
        log_id = str(uuid.UUID(bytes=store.log_id))
    with running(url) as service, followed(service, after=2, log_id=log_id) as stream:
        received = stream.records(2)
        with eventstore.open(url) as store:
            rotate(store)
        assert stream.next("record").data["type"] == "LogEnded"
        last = stream.next("closed")
        assert "log main has ended, and log main.2 continues it" in last.data["detail"]
    with eventstore.open(url) as store:
        store.append(ORDER, OrderCanceled())
        head = store.head()
    with running(url) as service:
        with followed(service, after=5, log_id=log_id) as stream:
            received += stream.records(head - 5)
        # A position that the old log has never had is of another copy of it.
        with service.client.stream("GET", "/v1/follow", params={"after": 6, "log_id": log_id}) as refused:
            assert refused.status_code == 409
    assert [each["position"] for each in received] == [3, 4, *range(6, head + 1)]


@pytest.mark.slow
def test_the_command_ends_with_its_log_and_serves_the_next_one_once_started_again(url: str, tmp_path: Path) -> None:
    data = ("--data", url)
    added = run_here("api-keys", "add", "desk", "--scope", "read", *data)
    headers = {"authorization": f"Bearer {added.out.strip()}"}
    with started(["serve", "--port", "0", *data], tmp_path) as service:
        service.wait_until("READY=1")
        with eventstore.open(url) as store:
            rotate(store)
        ended = service.ended()
    assert ended.code == 2
    assert "log main has ended, and log main.2 continues it" in ended.err
    with started(["serve", "--port", "0", *data], tmp_path) as service:
        service.wait_until("READY=1")
        assert service.process.stdout is not None
        line = service.process.stdout.readline().decode()
        assert line.startswith("serving log main.2 at http://127.0.0.1:")
        with httpx.Client(base_url=line.split()[-1], trust_env=False) as client:
            assert client.get("/v1/head").status_code == 401
            assert client.get("/v1/head", headers=headers).status_code == 200
            assert run_here("api-keys", "revoke", "desk", *data).code == 0
            until(lambda: client.get("/v1/head", headers=headers).status_code == 401, "it is revoked")
        assert service.end(signal.SIGTERM).code == 0
