"""Processes that alert, killed at the worst moments: each alert is sent at least once, and always under one id."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import eventstore
from eventstore import EventStore
from tests.alerting.alerting_scene import lock, sent
from tests.alerting.http_receiver import HANG, SECRET, HttpReceiver, is_signed
from tests.cli.command import plain_environment

Process = subprocess.Popen[str]

PROGRAM = """
import pathlib, sys
import eventstore
from gateways.alerting import started_for

data = pathlib.Path(sys.argv[1])
with eventstore.open(data) as store, started_for(store, data):
    print("note: alerting desk", file=sys.stderr, flush=True)
    sys.stdin.read()
"""
"""What any process does that alerts as well; it starts faster than the command line."""


class Processes:
    """Processes that alert about one log, and end with the test."""

    def __init__(self, data: Path, url: str) -> None:
        self.data = data
        self.running: list[Process] = []
        data.mkdir()
        settings = data / "eventstore.toml"
        settings.write_text(f'[[alerts]]\nname = "desk"\nurl = "{url}"\nsecret = "{SECRET}"\non = ["LOCKOUT"]\n')
        settings.chmod(0o600)

    def start(self, *arguments: str) -> Process:
        """Start one, and return it once what is recorded from now on will be sent."""
        command = [sys.executable, *(arguments or ("-c", PROGRAM, str(self.data)))]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=plain_environment(),
        )
        self.running.append(process)
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line == "note: alerting desk\n", line + process.stderr.read()
        return process

    def kill(self, process: Process, number: int = signal.SIGKILL) -> int:
        process.send_signal(number)
        code = process.wait(60)
        assert process.stderr is not None
        assert process.stdin is not None
        process.stderr.close()
        process.stdin.close()
        self.running.remove(process)
        return code


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with HttpReceiver() as receiver:
        yield receiver


@pytest.fixture
def processes(tmp_path: Path, receiver: HttpReceiver) -> Iterator[Processes]:
    found = Processes(tmp_path / "data", receiver.url)
    yield found
    for process in list(found.running):
        found.kill(process)


def wait_until_recorded(store: EventStore, count: int) -> None:
    """Wait until the log says of so many alerts that they were sent; fail after a while."""
    deadline = time.monotonic() + 60
    while len(sent(store)) < count:
        assert time.monotonic() < deadline, sent(store)
        store.wait(store.head(), 0.25)


@pytest.mark.slow
def test_a_kill_loses_no_alert_and_gives_none_a_second_id(processes: Processes, receiver: HttpReceiver) -> None:
    with eventstore.open(processes.data) as store:
        first = processes.start()
        # Noticed, and not delivered.
        receiver.answers = [500]
        one = lock(store)
        receiver.wait(1)
        processes.kill(first)
        # Delivered, perhaps, and not recorded.
        receiver.answers = [HANG]
        second = processes.start()
        receiver.wait(2)
        processes.kill(second)
        # Recorded while none of these processes ran.
        two = lock(store, rule_id="two")
        third = processes.start()
        fourth = processes.start("-m", "eventstore", "alerts", "--data", str(processes.data))
        receiver.wait(4)
        wait_until_recorded(store, 2)
        assert receiver.ids == [one, one, one, two]
        processes.kill(third)
        three = lock(store, rule_id="three")
        receiver.wait(5)
        assert processes.kill(fourth, signal.SIGTERM) == 0
        assert receiver.ids == [one, one, one, two, three]
        assert all(map(is_signed, receiver.received))
        assert [(each.subject, each.delivered) for each in sent(store)] == [
            ("daily-loss", True),
            ("two", True),
            ("three", True),
        ]
