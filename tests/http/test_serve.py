"""`eventstore serve` as a process: what it refuses to do, what it says, and how it ends."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import eventstore
from gateways.http.access import Scope
from tests.cli.command import plain_environment, run_here
from tests.http.keys import added, event, seed

pytestmark = pytest.mark.service

WAIT_SECONDS = 60


class Process:
    """A service in a process of its own, which answers at `url`."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process, self.url = process, url

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """End it by a signal; return its exit code, and what it said to stderr."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=WAIT_SECONDS)
        return self.process.returncode, said


@contextmanager
def served(data: Path, *options: str) -> Iterator[Process]:
    command = [sys.executable, "-m", "eventstore", "serve", "--data", str(data), "--port", "0", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=plain_environment()
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://\S+", line)
            assert found is not None, line or (process.stderr and process.stderr.read())
            yield Process(process, found[0])
        finally:
            process.kill()


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - refused
def test_without_keys_other_machines_are_not_answered(tmp_path: Path, host: str) -> None:
    seed(tmp_path)
    ended = run_here("serve", "--data", tmp_path, "--port", 0, "--host", host)
    assert (ended.code, "without API keys the service listens on the loopback only" in ended.err) == (2, True)
    assert not ended.out


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--log-format", "xml", "json or text"),
        ("--cors-origin", "*", "is not an origin"),
        ("--cors-origin", "https://desk.example/", "is not an origin"),
        ("--cors-origin", "desk.example", "is not an origin"),
        ("--host", "no.such.host.invalid", ""),
    ],
)
def test_options_that_mean_nothing_are_refused(tmp_path: Path, option: str, value: str, words: str) -> None:
    seed(tmp_path)
    ended = run_here("serve", "--data", tmp_path, "--port", 0, option, value)
    assert (ended.code, words in ended.err) == (2, True)
    assert not ended.out


def test_a_log_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    ended = run_here("serve", "--data", tmp_path / "nowhere")
    assert ended.code == 2
    assert not (tmp_path / "nowhere").exists()


def test_a_service_that_is_stopped_says_so_to_followers_and_loses_nothing(tmp_path: Path) -> None:
    seed(tmp_path)
    with served(tmp_path) as service, httpx.Client(base_url=service.url, timeout=WAIT_SECONDS) as client:
        head = client.get("/v1/records?limit=1").json()["head"]
        with client.stream("GET", "/v1/follow", params={"after": head}) as stream:
            lines = stream.iter_lines()
            assert next(line for line in lines if line == "event: log")
            answer = httpx.post(f"{service.url}/v1/streams/order/ACC1/O-1", json={"events": [event("OrderAccepted")]})
            position = answer.json()["records"][0]["position"]
            assert next(line for line in lines if line == f"id: {position}")
            began = time.monotonic()
            service.process.send_signal(signal.SIGTERM)
            assert next(line for line in lines if line == "event: closed")
            assert json.loads(next(lines).removeprefix("data: "))["title"] == "Closed"
        code, said = service.end()
        assert (code, time.monotonic() - began < 10) == (0, True), said
    assert "the service has ended" in said
    assert "no API keys" in said
    with eventstore.open(tmp_path) as store:
        assert store.head() == position


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_either_signal_ends_it_well(tmp_path: Path, number: int) -> None:
    seed(tmp_path)
    with served(tmp_path) as service:
        assert httpx.get(f"{service.url}/health/live").status_code == 200
        assert service.end(number)[0] == 0


def test_each_request_is_a_line_of_json_on_stderr_without_its_key(tmp_path: Path) -> None:
    seed(tmp_path)
    text = added(tmp_path, "desk", Scope.READ, accounts=())
    options = ("--log-format", "json", "--host", "0.0.0.0", "--allowed-host", "store.example")  # noqa: S104 - with a key
    with served(tmp_path, *options) as service:
        url = service.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - the same
        headers = {"authorization": f"Bearer {text}", "host": "store.example"}
        assert httpx.get(f"{url}/v1/records", headers=headers).status_code == 200
        assert httpx.get(f"{url}/v1/records?key={text}", headers=headers).status_code == 400
        assert httpx.get(f"{url}/v1/records").status_code == 401
        _, said = service.end()
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert [(each["route"], each["status"], each["key"]) for each in lines] == [
        ("/v1/records", 200, "desk"),
        ("-", 400, None),
        ("/v1/records", 401, None),
    ]
    assert text not in said
    assert text[11:30] not in said
    used = json.loads(run_here("api-keys", "--data", tmp_path, "--json").out)
    assert used["last_used_at"] is not None
