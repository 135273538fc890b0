"""Commands on the log of a service: what they append and read is what they append and read in its directory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import eventstore
from tests.cli.command import Run
from tests.http.serving import Running, running

ORDER = json.dumps({"symbol": "ESZ5", "side": "BUY", "quantity": "1", "order_type": "MARKET"})


@pytest.fixture
def service(data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setenv("EVENTSTORE_KEY", "")
    with running(data) as found:
        yield found


def test_without_a_key_in_the_environment_nothing_is_appended_to_a_url(
    run: Run, service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EVENTSTORE_KEY")
    for command in (
        ("append", "order/ACC1/O-9", "OrderSubmitted", ORDER),
        ("lock", "ACC1"),
        ("stop", "ACC1", "--reason", "r"),
    ):
        ended = run(*command, "--data", service.url)
        assert ended.code == 2
        assert "EVENTSTORE_KEY" in ended.err


@pytest.mark.parametrize(
    "command", [("doctor",), ("backup", "copy"), ("policies",), ("import", "orders.csv"), ("clock",)]
)
def test_a_command_that_needs_the_files_says_so(run: Run, service: Running, command: list[str]) -> None:
    ended = run(*command, "--data", service.url)
    assert ended.code == 2
    assert "this command needs its journal: give --data DIR" in ended.err


def test_an_actor_that_is_not_the_keys_name_is_refused(run: Run, service: Running) -> None:
    ended = run("lock", "ACC1", "--actor", "somebody", "--data", service.url)
    assert ended.code == 2
    assert "name of the key" in ended.err


def test_a_service_that_does_not_answer_is_named(run: Run, service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventstore.remote.journal.OPENING_SECONDS", 0.2)
    ended = run("read", "--data", "http://127.0.0.1:1")
    assert ended.code == 2
    assert "http://127.0.0.1:1" in ended.err


@pytest.mark.parametrize(
    "command",
    [
        ("read",),
        ("read", "--json", "--account", "ACC1"),
        ("tail", "-n", "3"),
        ("state", "--account", "ACC1"),
        ("timeline", "ACC1"),
        ("pnl",),
        ("limits",),
        ("why", "1"),
        ("verify", "--json"),
        ("diff", "1", "3"),
    ],
)
def test_what_is_read_of_a_service_is_what_its_directory_has(
    run: Run, service: Running, data: Path, command: tuple[str, ...]
) -> None:
    there, here = run(*command, "--data", service.url), run(*command, "--data", data)
    # What is in force is said of now.
    shown = [re.sub(r"in force at \S+", "", ended.out) for ended in (there, here)]
    assert (there.code, shown[0].replace(service.url, str(data))) == (here.code, shown[1])


def test_what_a_person_decides_is_appended_through_a_service(run: Run, service: Running, data: Path) -> None:
    for command in (
        ("append", "order/ACC1/O-9", "OrderSubmitted", ORDER, "--key", "k"),
        ("append", "order/ACC1/O-9", "OrderSubmitted", ORDER, "--key", "k"),
        ("note", "ACC1", "order/ACC1/O-9", "by hand"),
        ("mark", "before-the-open"),
        ("lock", "ACC1", "--reason", "too late"),
        ("unlock", "ACC1"),
        ("stop", "ACC1", "--reason", "r"),
        ("resume", "ACC1", "--reason", "r", "--actor", service.service.store.actor),
    ):
        ended = run(*command, "--data", service.url)
        assert ended.code == 0, (command, ended.err)
    with eventstore.open(data, read_only=True) as store:
        types = [record.type for record in store.read()]
        actors = {record.actor for record in store.read(account="ACC1", types="LockoutSet")}
    assert types.count("OrderSubmitted") == 3  # two of them before
    assert {"NoteAdded", "Marked", "LockoutSet", "LockoutCleared"} <= set(types)
    assert actors == {service.service.store.actor}
