"""The systemd units in compose/systemd are valid, and what each of them starts does its work and ends as it says."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

import eventstore
from gateways.cli import app
from gateways.cli.mirror import DRAIN_SECONDS
from tests.cli.command import commands
from tests.cli.services import started
from tests.documents import ROOT, blocks

UNITS = ROOT / "compose" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
GUIDE = ROOT / "docs" / "OPERATIONS.md"
PROGRAM = "/opt/eventstore/current/bin/eventstore"
FUNCTIONS = "/etc/eventstore/desk/desk.py"
GIVEN = {
    block.mark.rpartition("/")[2]: block.text
    for language in ("ini", "toml", "python")
    for block in blocks(GUIDE, language)
    if block.mark.startswith("/etc/eventstore/")
}
"""The files that the guide has in a store's directory, by name."""

Settings = dict[str, list[str]]


def settings_of(unit: Path) -> Settings:
    """Return what a unit sets, each key with all its values, in order; sections do not share keys here."""
    found: Settings = {}
    for line in unit.read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith(("#", ";")):
            key, _, value = line.partition("=")
            found.setdefault(key.strip(), []).append(value.strip())
    return found


def command_of(unit: Path) -> list[str]:
    """Return a unit's command line, with the variables of the guide's environment file."""
    [line] = settings_of(unit)["ExecStart"]
    for assigned in GIVEN["environment"].splitlines():
        name, _, value = assigned.partition("=")
        line = line.replace(f"${name}", value)
    program, *words = shlex.split(line)
    assert program == PROGRAM
    assert not any("$" in word for word in words)
    return words


def by_name(path: Path) -> str:
    return path.name


def seconds(unit: Path, key: str) -> float:
    [value] = settings_of(unit)[key]
    return float(value)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd to ask")
def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    names = []
    for unit in UNITS.iterdir():
        names.append(unit.name.replace("@.", "@desk."))
        text = unit.read_text(encoding="utf-8")
        # Nothing is installed there; that a command is an executable file is all that is asked of it.
        (tmp_path / names[-1]).write_text(text.replace(PROGRAM, "/bin/true"), encoding="utf-8")
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for name in names)],
        env=os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    complaints = [line for line in ran.stderr.splitlines() if any(name in line for name in names)]
    assert (complaints, ran.returncode) == ([], 0), ran.stderr


@pytest.mark.parametrize("unit", SERVICES, ids=by_name)
def test_a_unit_s_command_is_accepted(unit: Path) -> None:
    group: Any = commands(app)
    name, *words = command_of(unit)
    command = group.commands[name]
    with command.make_context(name, words, resilient_parsing=False) as context:
        assert context.command is command


@pytest.mark.parametrize("unit", SERVICES, ids=by_name)
def test_each_service_is_started_again_and_may_write_to_its_store_alone(unit: Path) -> None:
    settings = settings_of(unit)
    assert settings["Restart"] == ["always"]
    assert settings["StartLimitIntervalSec"] == ["0"]
    assert settings["KillSignal"] == ["SIGTERM"]
    assert settings["User"] == ["eventstore"]
    assert settings["ProtectSystem"] == ["strict"]
    assert settings["NoNewPrivileges"] == ["yes"]
    assert settings["StateDirectory"] == ["eventstore/%i"]
    assert "EVENTSTORE_DATA=/var/lib/eventstore/%i" in settings["Environment"]
    assert settings["PartOf"] == ["eventstore@%i.target"]
    assert f"{unit.name.replace('@.', '@%i.')}" in settings_of(UNITS / "eventstore@.target")["Wants"][0]


def test_what_several_units_share_is_the_same_in_each() -> None:
    own = {"Description", "ExecStart", "After", "Wants", "Type", "TimeoutStopSec", "TimeoutStartSec", "WatchdogSec"}
    own |= {"NotifyAccess", "LoadCredential", "Environment"}
    shared = [{key: value for key, value in settings_of(unit).items() if key not in own} for unit in SERVICES]
    assert all(each == shared[0] for each in shared)


def test_every_place_and_variable_of_the_units_is_in_the_guide() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    for unit in SERVICES:
        text = "\n".join(value for values in settings_of(unit).values() for value in values)
        places = {place.replace("%i", "desk") for place in re.findall(r"/(?:etc|opt|var)/[\w./%-]+", text)}
        names = set(re.findall(r"\$(\w+)", text)) | {
            each.partition("=")[0] for each in settings_of(unit)["Environment"]
        }
        credentials = {each.partition(":")[0] for each in settings_of(unit).get("LoadCredential", [])}
        missing = [each for each in places | names | credentials if each.removesuffix("/bin/eventstore") not in guide]
        assert missing == [], unit.name


def test_a_clean_stop_takes_less_than_the_unit_allows() -> None:
    mirror = UNITS / "eventstore-mirror@.service"
    assert seconds(mirror, "TimeoutStopSec") > 2 * DRAIN_SECONDS


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """The directory in /etc of the guide's store, and the store with its contract and limits in `data`."""
    for name, text in GIVEN.items():
        (tmp_path / name).write_text(text.replace("/usr/bin/logger", "/bin/true"), encoding="utf-8")
    with eventstore.open(tmp_path / "data"):
        return tmp_path


@pytest.mark.untraced
@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("policies", "running: the policies of log main"),
        ("enforcer", "enforcing for all accounts of log main with desk:carry_out"),
        ("alerts", "alerting pager"),
        ("mirror", "InfluxDB"),
        ("serve", "there are no API keys"),
    ],
)
def test_what_a_unit_starts_runs_and_ends_in_time(desk: Path, name: str, sign: str) -> None:
    """InfluxDB is unreachable here: the mirror waits for it, and ends all the same."""
    unit = UNITS / f"eventstore-{name}@.service"
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    (desk / "influx-token").write_text("a-token", encoding="utf-8")
    settings = {"EVENTSTORE_INFLUX_URL": url, "EVENTSTORE_INFLUX_TOKEN_FILE": str(desk / "influx-token")}
    with started(command_of(unit), desk, **settings) as service:
        service.wait_for(sign)
        if settings_of(unit)["Type"] == ["notify"]:
            service.wait_until("READY=1")
        ended = service.end(seconds=seconds(unit, "TimeoutStopSec"))
    assert ended.code == 0, ended.err
