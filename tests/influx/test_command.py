"""The commands for InfluxDB: mirror, its check and repair, restore, adopt, and queries by URL."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import eventstore
from eventstore import InfluxSettings
from eventstore.influx import status
from eventstore.side import FileSide
from tests.cli.command import Ended, plain_environment, run_here, small_log
from tests.influx.api import Server
from tests.influx.test_checking import instant

Command = Callable[..., Ended]
WAIT_SECONDS = 30.0


@pytest.fixture
def variables(server: Server, bucket: str) -> dict[str, str]:
    return {
        "EVENTSTORE_INFLUX_URL": server.url,
        "EVENTSTORE_INFLUX_ORG": server.org,
        "EVENTSTORE_INFLUX_BUCKET": bucket,
        "EVENTSTORE_INFLUX_TOKEN": server.token,
        "EVENTSTORE_INFLUX_PATIENCE_SECONDS": "5",
    }


@pytest.fixture
def command(variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command in this process, InfluxDB's settings in its environment."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path, **changes: str) -> Ended:
        with monkeypatch.context() as patched:
            for name, value in (variables | changes).items():
                patched.setenv(name, value)
            ended = run_here(*arguments)
        assert variables["EVENTSTORE_INFLUX_TOKEN"] not in ended.out + ended.err
        return ended

    return run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    small_log(tmp_path / "data")
    return tmp_path / "data"


def test_once_ships_until_caught_up_and_the_check_agrees(command: Command, data: Path) -> None:
    ended = command("mirror", "--once", "--data", data)
    assert (ended.code, ended.out) == (0, "caught up: InfluxDB has log main up to position 8\n")
    assert command("mirror", "--once", "--data", data, "--json").document == {"log": "main", "position": 8, "head": 8}
    ended = command("mirror", "--check", "--data", data)
    assert ended.code == 0
    assert ended.out == "ok: InfluxDB has the same 8 records as the journal, and no others\n"


def test_a_missing_record_is_listed_and_repaired(command: Command, data: Path, server: Server, bucket: str) -> None:
    command("mirror", "--once", "--data", data)
    with eventstore.open(data) as store:
        at = instant(next(store.read(after=3)).recorded_at)
    server.delete_points(bucket, '_measurement="events" AND log="main"', at, at)
    ended = command("mirror", "--check", "--data", data)
    assert ended.code == 1
    assert "1 missing, 0 altered, 0 foreign, of 8\n" in ended.out
    assert "missing  position 4: OrderFilled of order/ACC1/O-1: no such point" in ended.out
    document = command("mirror", "--check", "--data", data, "--json").document
    assert [(each["kind"], each["position"]) for each in document["differences"]] == [("missing", 4)]
    assert command("mirror", "--check", "--repair", "--data", data).code == 0
    assert command("mirror", "--check", "--data", data).code == 0


def test_a_log_is_read_by_influxdbs_url(command: Command, data: Path, server: Server) -> None:
    command("mirror", "--once", "--data", data)
    asked: tuple[tuple[str, ...], ...] = (
        ("read", "--json"),
        ("tail", "-n", "3", "--account", "ACC1"),
        ("state", "--at", "2025-11-19T09:30:00-06:00", "--json"),
        ("as-of", "5", "--json"),
        ("diff", "2", "7", "--json"),
    )
    for arguments in asked:
        there, here = command(*arguments, "--data", server.url), command(*arguments, "--data", data)
        assert (there.code, there.out) == (0, here.out), arguments
    ended = command("verify", "--data", server.url, "--json")
    journal = command("verify", "--data", data, "--json").document
    name, created = journal["unproved"]
    assert (name, created.partition(",")[0]) == ("the log's name", "created_at")
    # InfluxDB does not hold when the log was created.
    assert ended.document == journal | {"unproved": [name]}
    assert "the journal's must be the same" in command("verify", "--data", server.url).out
    assert command("stats", "--data", server.url, "--json").document["events"] == 8
    for arguments in (("mark", "close"), ("backup", str(data / "copy")), ("doctor",)):
        refused = command(*arguments, "--data", server.url)
        assert refused.code == 2
        assert "--data DIR" in refused.err


def test_a_lost_journal_is_restored(command: Command, data: Path, tmp_path: Path) -> None:
    command("mirror", "--once", "--data", data)
    ended = command("restore", "--from-influx", "--data", tmp_path / "new")
    assert ended.code == 0, ended.err
    assert "restored into" in ended.out
    assert f"the copy on {socket.gethostname()} shipped" in ended.err
    assert command("mirror", "--once", "--data", tmp_path / "new").code == 0
    roots = [command("verify", "--data", place, "--json").document["root"] for place in (data, tmp_path / "new")]
    assert roots[0] == roots[1]
    refused = command("mirror", "--once", "--data", data)
    assert refused.code == 2
    assert "eventstore adopt" in refused.err
    assert command("adopt", "--data", data).code == 0
    assert command("mirror", "--once", "--data", data).code == 0


def test_acknowledged_positions_that_are_lost_exit_with_1(command: Command, data: Path) -> None:
    command("mirror", "--once", "--data", data)
    with eventstore.open(data) as store:
        store.append("mark/-/late", eventstore.trading.Marked(name="late"))
    for lost in (data / "main").glob("journal.db*"):
        lost.unlink()
    ended = command("restore", "--from-influx", "--data", data)
    assert ended.code == 1
    assert "positions 9 to 9 were acknowledged, according to the watermark head, but are not in InfluxDB" in ended.out
    assert command("verify", "--data", data).code == 0


@pytest.mark.parametrize("order", [("main", "main.2"), ("main.2", "main")])
def test_the_logs_of_a_rotated_log_are_restored_in_any_order(
    command: Command, data: Path, tmp_path: Path, order: tuple[str, str]
) -> None:
    assert command("rotate", "--data", data).code == 0
    for log in order:
        assert command("mirror", "--once", "--data", data, "--log", log).code == 0
    new = tmp_path / "new"
    first, second = (command("restore", "--from-influx", "--data", new, "--log", log) for log in order)
    for ended in (first, second):
        assert ended.code == 0, ended.err
        assert "restored into" in ended.out
        assert ended.out.endswith("this copy now ships the log\n")
        assert "cannot ship yet" not in ended.err
    assert f"log {order[0]} is restored, but does not open to append yet: " in first.err
    assert "does not open to append yet" not in second.err
    for log in order:
        assert command("mirror", "--once", "--data", new, "--log", log).code == 0
    roots = [command("verify", "--data", place, "--json").document["root"] for place in (data, new)]
    assert roots[0] == roots[1]


def test_what_is_lost_of_an_ended_log_is_reported(command: Command, data: Path) -> None:
    """The mirror stopped before the rotation: the record that ended the log is in no bucket."""
    command("mirror", "--once", "--data", data)
    assert command("rotate", "--data", data).code == 0
    for lost in (data / "main").glob("journal.db*"):
        lost.unlink()
    ended = command("restore", "--from-influx", "--data", data, "--log", "main")
    assert ended.code == 1
    assert "positions 9 to 9 were acknowledged, according to the watermark head, but are not in InfluxDB" in ended.out
    assert "does not open to append yet: " in ended.err


def test_an_unproved_restore_exits_with_1_unless_it_is_accepted(
    command: Command, data: Path, server: Server, bucket: str, tmp_path: Path
) -> None:
    command("mirror", "--once", "--data", data)
    server.delete_points(bucket, '_measurement="mirror"')
    new = tmp_path / "new"
    refused = command("restore", "--from-influx", "--data", new)
    assert (refused.code, refused.out) == (1, "")
    assert f"nothing proves that bucket '{bucket}' holds log 'main'" in refused.err
    assert "--unproved" in refused.err
    assert not new.exists()
    ended = command("restore", "--from-influx", "--unproved", "--data", new)
    assert ended.code == 0
    assert "positions 1 to 8 are unproved" in ended.out
    assert "nothing is missing" not in ended.out
    assert command("verify", "--data", new).code == 0


def test_a_usage_error_is_one_line(command: Command, data: Path, server: Server) -> None:
    for arguments, changes, message in (
        (("mirror", "--repair"), {}, "--repair requires --check"),
        (("restore",), {}, "give --from-influx"),
        (("mirror", "--once"), {"EVENTSTORE_INFLUX_URL": ""}, "set EVENTSTORE_INFLUX_URL"),
        (("mirror", "--once"), {"EVENTSTORE_INFLUX_TOKEN": "wrong"}, "does not accept the token"),
        (
            ("mirror", "--once"),
            {"EVENTSTORE_INFLUX_TOEKN": "x"},
            "unknown setting EVENTSTORE_INFLUX_TOEKN: the settings are",
        ),
        (("mirror", "--once"), {"EVENTSTORE_INFLUX_BUCKET": "none-such"}, "create it, or use another"),
        (("mirror", "--check"), {}, "it was never shipped there"),
        (("adopt",), {}, "there is nothing to adopt"),
        (("mirror", "--once", "--log", "other"), {}, "there is no log 'other'"),
    ):
        ended = command(*arguments, "--data", data, **changes)
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1), (arguments, ended)
        assert message in ended.err
    assert command("read", "--data", server.url, "--log", "other").code == 2


def test_once_gives_up_on_a_dead_server_after_patience_seconds(command: Command, data: Path) -> None:
    changes = {"EVENTSTORE_INFLUX_URL": "http://127.0.0.1:9", "EVENTSTORE_INFLUX_PATIENCE_SECONDS": "1"}
    ended = command("mirror", "--once", "--data", data, **changes)
    assert ended.code == 2
    assert "does not respond" in ended.err


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_mirror_command_ships_until_it_is_stopped(
    variables: dict[str, str], data: Path, tmp_path: Path, number: signal.Signals
) -> None:
    line = [sys.executable, "-m", "eventstore", "mirror", "--data", str(data)]
    environment = plain_environment() | variables
    with (
        subprocess.Popen(line, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as mirror,
        eventstore.open(data) as store,
    ):
        assert store.mirror.wait(timeout=WAIT_SECONDS)
        store.append("mark/-/late", eventstore.trading.Marked(name="late"), durability=eventstore.MIRRORED)
        states = [store.mirror.status.state]
        mirror.send_signal(number)
        out, err = mirror.communicate(timeout=WAIT_SECONDS)
        assert mirror.returncode == (0 if number == signal.SIGTERM else 130)
        assert b"Traceback" not in err
        if number == signal.SIGTERM:
            assert out == b"stopped: InfluxDB has log main up to position 9\n"
        else:
            assert err.endswith(
                b"interrupted: log main: InfluxDB has position 9 of 9; the rest ships at the next start\n"
            )
        states.append(store.mirror.status.state)
        assert states == ["shipping", "stopped"]


def test_settings_are_read_from_the_working_directory(
    command: Command, data: Path, tmp_path: Path, server: Server, bucket: str
) -> None:
    (tmp_path / "token").write_text(server.token + "\n")
    file = f'[influx]\nurl = "{server.url}"\norg = "{server.org}"\nbucket = "{bucket}"\n'
    (tmp_path / "eventstore.toml").write_text(f'{file}token_file = "{tmp_path / "token"}"\n')
    names = dict.fromkeys((f"EVENTSTORE_INFLUX_{name}" for name in ("URL", "ORG", "BUCKET", "TOKEN")), "")
    assert command("mirror", "--once", "--data", data, **names).code == 0
    assert command("read", "--data", server.url, "--limit", "1", "--json", **names).lines[0]["position"] == 1


def test_every_process_sees_the_status_of_the_mirror(command: Command, data: Path, variables: dict[str, str]) -> None:
    command("mirror", "--once", "--data", data)
    found = json.loads((data / "main" / status.STATUS_FILE).read_text())
    assert found["state"] == "stopped" or status.read_status(FileSide(data / "main")) is None
    assert "ok       mirror       stopped at 8, 0 behind\n" in command("doctor", "--data", data).out
    with eventstore.open(data) as store:
        assert (store.mirror.status.position, store.mirror.status.lag_events) == (8, 0)
        store.append("mark/-/late", eventstore.trading.Marked(name="late"))
        time.sleep(0.01)
        assert store.mirror.status.lag_events == 1
        assert store.mirror.status.lag_seconds > 0
        assert not store.mirror.wait(timeout=0.05)
    assert "warning  mirror       stopped at 8, 1 behind\n" in command("doctor", "--data", data).out
    assert InfluxSettings.load(environment=variables).bucket == variables["EVENTSTORE_INFLUX_BUCKET"]
