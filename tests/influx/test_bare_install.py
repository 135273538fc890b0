"""Without the influx extra everything else works, and what needs it says what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Imports fail as if the package were not installed.
WITHOUT = """
import importlib.util, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "influxdb_client" else found(name, *rest)
sys.modules["influxdb_client"] = None
"""
SETTINGS = 'eventstore.InfluxSettings("http://127.0.0.1:9", "org", "bucket", "token")'
CURE = "InfluxDB needs influxdb-client: pip install 'trading-eventstore[influx]'"


def run(code: str, directory: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", WITHOUT + code]
    return subprocess.run(line, cwd=directory, capture_output=True, text=True, check=False, timeout=60)


def test_a_store_works_without_the_extra(tmp_path: Path) -> None:
    ended = run("import eventstore, projections\nprint(eventstore.open('data').mirror.status.state)", tmp_path)
    assert (ended.stdout, ended.stderr) == ("stopped\n", "")


@pytest.mark.parametrize(
    "code", [f"eventstore.open('data', influx={SETTINGS})", f"eventstore.connect(settings={SETTINGS})"]
)
def test_what_needs_the_extra_names_the_package_to_install(tmp_path: Path, code: str) -> None:
    ended = run(f"import eventstore\n{code}", tmp_path)
    assert ended.stderr.endswith(f"ImportError: {CURE}\n")


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_the_command_line_without_its_extra_is_a_usage_error(tmp_path: Path, package: str) -> None:
    code = f"sys.modules[{package!r}] = None\nfrom eventstore.__main__ import main\nmain()"
    ended = run(code, tmp_path)
    message = f"eventstore: the command line needs {package}: pip install 'trading-eventstore[cli]'\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", message)


def test_another_missing_package_is_not_reported_as_an_extra(tmp_path: Path) -> None:
    code = "sys.modules['msgspec'] = None\nfrom eventstore.__main__ import main\nmain()"
    ended = run(code, tmp_path)
    assert ended.returncode == 1
    assert "pip install" not in ended.stderr


def test_a_command_without_the_extra_reports_it_in_one_line(tmp_path: Path) -> None:
    arguments = "['eventstore', 'read', '--data', 'http://127.0.0.1:9']"
    variables = "EVENTSTORE_INFLUX_ORG='o', EVENTSTORE_INFLUX_BUCKET='b'"
    code = f"import os\nsys.argv = {arguments}\nos.environ.update({variables})\nfrom gateways.cli import main\nmain()"
    ended = run(code, tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"eventstore: {CURE}\n")
