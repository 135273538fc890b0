"""The wheel, installed in an empty environment: bare, and with each extra."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from eventstore.extras import DISTRIBUTION
from tests.documents import ROOT
from tests.install.index import Wheels

pytestmark = [pytest.mark.install, pytest.mark.slow]

USE = """
import eventstore, projections
from eventstore.trading import Marked
with eventstore.open("data") as store, projections.open(store) as book:
    book.append("mark/-/m", Marked(name="m"))
    assert store.verify().ok and book.position == 1
"""
WORKS = {
    "cli": "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'eventstore', '--version'], check=True)",
    "influx": "import eventstore.influx.read.reader, eventstore.influx.ship.shipper",
    "analysis": "import pandas, pyarrow",
    "all": "import gateways.cli, eventstore.influx.ship.shipper, pandas, pyarrow",
}


class Environment:
    """A virtual environment that has the wheel, with or without an extra, and otherwise the lock's pins alone."""

    def __init__(self, directory: Path, wheel: Path, wheels: Wheels, extra: str) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory)], check=True)
        self.directory, self.python = directory, directory / "bin" / "python"
        wanted = f"{DISTRIBUTION}[{extra}] @ {wheel.as_uri()}" if extra else str(wheel)
        line = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "--quiet", "--no-compile"]
        line += ["--no-index", "--find-links", str(wheels.directory), "--disable-pip-version-check", wanted]
        ended = subprocess.run(line, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        line = [str(self.python), "-I", *arguments]
        return subprocess.run(line, cwd=self.directory, capture_output=True, text=True, check=False)


@pytest.fixture
def wheel(built: Path) -> Path:
    (wheel,) = built.glob("*.whl")
    return wheel


def test_the_distributions_are_well_formed(built: Path) -> None:
    names = sorted(path.name for path in built.iterdir())
    assert [name.rsplit("-", 1)[0] if name.endswith(".gz") else name.split("-")[0] for name in names] == [
        "trading_eventstore",
        "trading_eventstore",
    ]
    line = [sys.executable, "-m", "twine", "check", "--strict", *map(str, built.iterdir())]
    ended = subprocess.run(line, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout


def test_they_hold_the_packages_and_nothing_of_the_tests(built: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        files = set(archive.namelist())
    tops = {name.split("/")[0] for name in files}
    assert {name for name in tops if not name.endswith(".dist-info")} == {"eventstore", "projections", "gateways"}
    data = [
        *(ROOT / "projections" / "risk" / "programs").glob("*.toml"),
        *(ROOT / "eventstore" / "trading" / "released").glob("*.json"),
        ROOT / "gateways" / "importers" / "contracts.toml",
    ]
    assert {str(path.relative_to(ROOT)) for path in data} <= files
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive_of_source:
        members = {name.split("/", 1)[1] for name in archive_of_source.getnames() if "/" in name}
    assert {"LICENSE", "README.md", "pyproject.toml", "requirements.lock", "eventstore/store.py"} <= members
    # What an analyst opens first is in the source, and the demo's day that was played beside it is not.
    assert {f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")} <= members
    assert {"notebooks/pages.py", "docs/notebooks/01_replay_a_day.html"} <= members
    # The guide installs the units from there.
    assert {"docs/OPERATIONS.md", "compose/systemd/eventstore@.target"} <= members
    assert not [name for name in members if name.startswith("notebooks/demo")]


def test_a_bare_installation_works_and_names_the_extra_for_the_rest(
    tmp_path: Path, wheel: Path, wheels: Wheels
) -> None:
    bare = Environment(tmp_path / "bare", wheel, wheels, "")
    used = bare.run("-c", USE)
    assert (used.returncode, used.stderr) == (0, "")
    for command in (["-m", "eventstore", "--help"], ["-m", "eventstore", "verify"]):
        ended = bare.run(*command)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr == f"eventstore: the command line needs typer: pip install '{DISTRIBUTION}[cli]'\n"
    program = subprocess.run([bare.directory / "bin" / "eventstore"], capture_output=True, text=True, check=False)
    assert program.returncode == 2


@pytest.mark.parametrize("extra", WORKS)
def test_each_extra_brings_what_it_promises(tmp_path: Path, wheel: Path, wheels: Wheels, extra: str) -> None:
    environment = Environment(tmp_path / extra, wheel, wheels, extra)
    used = environment.run("-c", USE + WORKS[extra])
    assert (used.returncode, used.stderr) == (0, "")


def test_with_the_command_line_alone_influxdb_names_its_extra(tmp_path: Path, wheel: Path, wheels: Wheels) -> None:
    environment = Environment(tmp_path / "cli", wheel, wheels, "cli")
    environment.run("-c", USE)
    for arguments in (["mirror", "--once"], ["restore", "--from-influx"], ["read", "--data", "http://127.0.0.1:9"]):
        code = (
            "import os, sys\nos.environ.update(EVENTSTORE_INFLUX_URL='http://127.0.0.1:9', EVENTSTORE_INFLUX_ORG='o', "
            "EVENTSTORE_INFLUX_BUCKET='b', EVENTSTORE_INFLUX_TOKEN='t')\n"
            f"sys.argv = {['eventstore', *arguments]!r}\nfrom eventstore.__main__ import main\nmain()"
        )
        ended = environment.run("-c", code)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr == f"eventstore: InfluxDB needs influxdb-client: pip install '{DISTRIBUTION}[influx]'\n"
