"""docs/OPERATIONS.md on a real systemd: every command of it acts, the services live on, and hold what they promise."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from tests.cli.command import plain_environment
from tests.documents import INFLUXDB, ROOT, Block, blocks
from tests.influx.servers import find_influxd
from tests.install.index import download_for
from tests.operations.machine import GIVEN, Machine, Shell, booted
from tests.operations.test_guide import GUIDE, UNITS
from tests.shell import is_as_shown

pytestmark = [pytest.mark.systemd, pytest.mark.slow, pytest.mark.untraced]

PYTHON: Final = Path("/usr/bin/python3")
"""Debian's own: the user of the guide may not read where another one may be installed."""
SERVICES: Final = sorted(path.name.partition("@")[0] for path in UNITS.glob("*.service"))
TARGET: Final = "eventstore@desk.target"
ALL: Final = "eventstore*@desk.*"
TOKEN_FILE: Final = "/etc/eventstore/desk/influx-token"
INFLUXD: Final = f"""[Service]
DynamicUser=yes
StateDirectory=influxd
ExecStart={GIVEN}/influxd --bolt-path ${{STATE_DIRECTORY}}/bolt --sqlite-path ${{STATE_DIRECTORY}}/sqlite \
--engine-path ${{STATE_DIRECTORY}}/engine --reporting-disabled --log-level error
"""
SET_UP_INFLUXDB: Final = """
import sys, time
from tests.influx.api import Server
server = Server("http://localhost:8086", "desk", sys.argv[1])
for _ in range(600):
    if server.is_ready():
        break
    time.sleep(0.1)
server.set_up()
server.make_bucket(name="events")
"""
TERMINAL: Final = {"PYTHONUNBUFFERED": "1"}
"""Lines come in the order in which they are written, as on a terminal."""
TEMPORARY: Final = "/tmp"  # noqa: S108 - the service's own
PROBE: Final = """[Service]
ExecStart=
ExecStart={python} -I {given}/operations/probe.py {places}
Type=oneshot
Restart=no
"""


class Desk(NamedTuple):
    """The machine of the guide, and what each of its blocks printed."""

    machine: Machine
    printed: list[tuple[Block, str]]


def unit(name: str, store: str = "desk") -> str:
    return f"{name}@{store}.service"


def required() -> list[str]:
    """Return what the guide's pip needs: the project's requirements, with those of three extras and of the build."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = declared["project"]["optional-dependencies"]
    return [
        *declared["project"]["dependencies"],
        *extras["cli"],
        *extras["http"],
        *extras["influx"],
        *declared["build-system"]["requires"],
    ]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The machine, once all blocks of the guide were worked through on it in their order."""
    directory = tmp_path_factory.mktemp("machine")
    wheels = tmp_path_factory.mktemp("wheels")
    download_for(PYTHON, wheels, required())
    given = {"checkout": ROOT, "wheels": wheels, "operations": Path(__file__).parent, "influxd": find_influxd()}
    with booted(directory, **given) as machine:
        token = secrets.token_hex()
        start_influxdb(machine, token)
        yield Desk(machine, list(walked_through(machine, token)))


def start_influxdb(machine: Machine, token: str) -> None:
    """Start an InfluxDB where the guide has it, with its organisation and bucket."""
    machine.write("/etc/systemd/system/influxd.service", INFLUXD)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "influxd.service")
    line = machine.entered(namespaces="--net")
    line = [*line[: line.index("env")], sys.executable, "-c", SET_UP_INFLUXDB, token]
    ended = subprocess.run(line, env=plain_environment(), capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stderr + machine.run("journalctl", "--unit", "influxd", "--no-pager")


def walked_through(machine: Machine, token: str) -> Iterator[tuple[Block, str]]:
    """Save the files and run the commands, each as the user that the guide names, and yield what each block printed."""
    pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": f"{GIVEN}/wheels", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    shells = {"root": Shell(machine, directory=f"{GIVEN}/checkout", settings=pip)}
    try:
        for block in blocks(GUIDE):
            if block.mark.startswith("/"):
                machine.write(block.mark, block.text)
            elif block.language == "sh":
                assert block.mark in {"", INFLUXDB}
                printed = ""
                for user, script in parts(block.text):
                    if user not in shells:
                        as_user = ("runuser", "-u", user, "--")
                        shells[user] = Shell(machine, *as_user, directory=f"{GIVEN}/checkout", settings=TERMINAL)
                    printed += shells[user].run(script)
                if TOKEN_FILE in block.text:
                    machine.run("tee", TOKEN_FILE, text=token)
                yield block, printed
    finally:
        for shell in shells.values():
            shell.close()


def parts(script: str) -> Iterator[tuple[str, str]]:
    """Yield the parts of a block, each with its user: a comment says whose the lines below it are."""
    _, *marked = re.split(r"^# as (\w+)\n", f"# as eventstore\n{script}", flags=re.MULTILINE)
    yield from ((user, part) for user, part in zip(marked[::2], marked[1::2], strict=True) if part)


@pytest.fixture
def running(desk: Desk) -> Machine:
    """The machine, with all services of the store running."""
    desk.machine.run("systemctl", "start", TARGET)
    for name in SERVICES:
        desk.machine.wait_until(unit(name), ActiveState="active")
    return desk.machine


def test_the_commands_print_what_the_guide_says(desk: Desk) -> None:
    for block, printed in desk.printed:
        assert not block.output or is_as_shown(printed, block.output), f"{block.name} printed:\n{printed}"
    assert desk.machine.run("readlink", "/opt/eventstore/current") == "0.1.0\n"
    assert "eventstore" in desk.machine.run("journalctl", "--identifier", "eventstore", "--no-pager")


def test_all_services_run_and_are_started_at_boot(running: Machine) -> None:
    assert running.run("systemctl", "list-units", "--failed", "--no-legend") == ""
    assert running.run("systemctl", "is-enabled", TARGET) == "enabled\n"
    assert TARGET in running.shown("multi-user.target", "Wants").split()
    for name in SERVICES:
        assert running.shown(unit(name), "Result") == "success"
        process = running.shown(unit(name), "MainPID")
        assert running.run("stat", "--format", "%U", f"/proc/{process}") == "eventstore\n"


@pytest.mark.parametrize("name", SERVICES)
def test_a_killed_service_is_started_again(running: Machine, name: str) -> None:
    before = running.shown(unit(name), "MainPID")
    restarts = int(running.shown(unit(name), "NRestarts"))
    running.run("kill", "-KILL", before)
    running.wait_until(unit(name), NRestarts=str(restarts + 1), ActiveState="active")
    assert running.shown(unit(name), "MainPID") not in {"0", before}
    for other in SERVICES:
        assert running.shown(unit(other), "ActiveState") == "active"


@pytest.mark.parametrize("name", SERVICES)
def test_a_stopped_service_ends_by_itself_in_time(running: Machine, name: str) -> None:
    running.run("systemctl", "stop", unit(name))
    ended = {key: running.shown(unit(name), key) for key in ("ActiveState", "Result", "ExecMainStatus")}
    assert ended == {"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}


def test_the_target_stops_all_and_none_is_killed(running: Machine) -> None:
    running.run("systemctl", "stop", ALL)
    for name in SERVICES:
        ended = {key: running.shown(unit(name), key) for key in ("ActiveState", "Result", "MainPID")}
        assert ended == {"ActiveState": "inactive", "Result": "success", "MainPID": "0"}, name


def test_what_trades_starts_once_all_was_judged(desk: Desk) -> None:
    machine = desk.machine
    machine.run("systemctl", "stop", ALL)
    machine.write("/opt/desk/bin/trade", "#!/bin/sh\nexec sleep infinity\n", "0755")
    machine.run("systemctl", "start", "desk-trading.service")
    assert machine.shown("desk-trading.service", "ActiveState") == "active"
    assert machine.shown(unit("eventstore-policies"), "ActiveState") == "active"
    policies, trading = (
        int(machine.shown(each, key))
        for each, key in (
            (unit("eventstore-policies"), "ActiveEnterTimestampMonotonic"),
            ("desk-trading.service", "ExecMainStartTimestampMonotonic"),
        )
    )
    assert policies <= trading
    machine.run("systemctl", "stop", "desk-trading.service")


def probed(machine: Machine, name: str, places: list[str]) -> dict[str, Any]:
    """Run the probe in the place of a service of another store, and return what it found."""
    machine.run("cp", "--archive", "--no-target-directory", "/etc/eventstore/desk", "/etc/eventstore/probe")
    text = PROBE.format(python=PYTHON, given=GIVEN, places=" ".join(places))
    machine.write(f"/etc/systemd/system/{unit(name, 'probe')}.d/probe.conf", text)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", unit(name, "probe"))
    found: dict[str, Any] = json.loads(machine.run("cat", "/var/lib/eventstore/probe/found.json"))
    machine.run("rm", "-r", "/var/lib/eventstore/probe")
    return found


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_cannot_do_what_its_unit_forbids(desk: Desk, name: str) -> None:
    refused = ["/etc/eventstore/probe", "/var/lib/eventstore", "/var/lib/eventstore/desk", "/var/backups/eventstore"]
    found = probed(desk.machine, name, [*refused, "/var/lib/eventstore/probe", TEMPORARY, "/home", "/root"])
    secret = {"eventstore-enforcer": ["broker-token"], "eventstore-mirror": ["influx-token"]}
    assert found == {
        **dict.fromkeys(refused, "EROFS"),
        "/var/lib/eventstore/probe": "done",
        TEMPORARY: "done",
        "/home": "EACCES",
        "/root": "EACCES",
        "AF_PACKET": "EAFNOSUPPORT",
        "AF_NETLINK": "EAFNOSUPPORT",
        "AF_INET": "done",
        "namespace": "EPERM",
        "personality": "EPERM",
        "set-user-id": "EPERM",
        # In the directory, where the enforcer alone does not look for it.
        "broker-token": "EACCES",
        "/dev/kmsg": "ENOENT",
        "CapBnd": "0000000000000000",
        "CapEff": "0000000000000000",
        "NoNewPrivs": "1",
        "Seccomp": "2",
        "Umask": "0077",
        "credentials": secret.get(name, []),
    }
    # Its /tmp was its own.
    assert "written" not in desk.machine.run("ls", TEMPORARY).split()
