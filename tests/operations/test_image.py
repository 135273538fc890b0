"""The image of the service: pinned, without privileges, tools or secrets, and with what the lock names for it."""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import eventstore
from eventstore.trading import Marked
from gateways.demo.day import EVENTS
from gateways.demo.seeding import NotTheDemo, seed
from tests.operations.image import ROOT, arguments_of, instructions, stages

SCRIPT = ROOT / "compose" / "service" / "requirements.py"
LOCK, PROJECT = ROOT / "requirements.lock", ROOT / "pyproject.toml"
EXTRAS = ("http", "cli", "influx", "audit")


def part_of_lock(*names: str, lock: Path = LOCK) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, lock, PROJECT, *names], capture_output=True, text=True, check=False, timeout=60
    )


def packages(text: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))


def test_its_instructions_are_known() -> None:
    known = {"ARG", "FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE"}
    known |= {"STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert {name for name, _ in instructions()} == known


def test_its_base_is_a_slim_python_of_an_exact_version() -> None:
    ((name, base),) = [each for each in instructions() if each[0] == "ARG"]
    assert name == "ARG"
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.\d+\.\d+-slim-\w+", base)
    assert [stage[0][1].split()[0] for stage in stages()] == ["${PYTHON_IMAGE}", "${PYTHON_IMAGE}"]


def test_packages_are_installed_by_hash_and_never_compiled() -> None:
    build, _ = stages()
    commands = [command for run in arguments_of(build, "RUN") for command in run.split("&&")]
    installed = [command for command in commands if " install " in command]
    assert len(installed) == 3
    for command in installed:
        words = shlex.split(command)
        assert "--no-deps" in words
        # From the lock, or the wheel that was made of this checkout.
        from_lock = {"--require-hashes", "--only-binary"} <= set(words)
        assert from_lock or "--no-index" in words, command
    assert f"requirements.lock pyproject.toml {' '.join(EXTRAS)} >" in " ".join(commands)


def test_the_result_has_no_privileges_and_nothing_that_installs() -> None:
    _, result = stages()
    assert arguments_of(result, "COPY") == ["--from=build /opt/eventstore /opt/eventstore"]
    assert arguments_of(result, "USER") == ["10001:10001"]
    (run,) = arguments_of(result, "RUN")
    assert run.startswith("pip uninstall ")
    assert "install " not in run.replace("uninstall ", "").replace("install --directory", "")
    names = [name for name, _ in result]
    # What starts runs as that user.
    assert names.index("USER") < names.index("ENTRYPOINT")


def test_its_health_is_what_the_service_answers() -> None:
    _, result = stages()
    (check,) = arguments_of(result, "HEALTHCHECK")
    assert "/health/live" in check
    assert "--start-period=" in check
    from gateways.http.routes import ROUTES

    assert any("/health/live" in getattr(route, "paths", ()) for route in ROUTES)


def test_the_builder_sees_what_is_copied_and_nothing_else() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    lines = [line for line in ignored if line and not line.startswith("#")]
    assert lines[0] == "*"
    sent = {line[1:] for line in lines if line.startswith("!")}
    build, _ = stages()
    copied = {word for each in arguments_of(build, "COPY") for word in each.split()[:-1]}
    assert sent == copied
    for path in copied:
        assert (ROOT / path).exists(), path
    for secret in (".env", "compose/.env", "data", ".git", ".venv"):
        assert not any(fnmatch.fnmatch(secret, each) for each in sent)


def test_it_holds_what_its_extras_need_and_no_more() -> None:
    part = part_of_lock(*EXTRAS)
    assert (part.returncode, part.stderr) == (0, "")
    found = packages(part.stdout)
    assert {"msgspec", "apsw", "litestar", "uvicorn", "typer", "influxdb-client", "cryptography"} <= found
    assert not found & {"pytest", "mypy", "playwright", "mkdocs", "jupyterlab", "pandas", "duckdb", "hatchling", "pip"}
    assert found < packages(LOCK.read_text(encoding="utf-8"))
    # Every entry keeps its hashes.
    assert part.stdout.count("==") == len(re.findall(r"^\S+==.*\\\n +--hash=sha256:", part.stdout, re.MULTILINE))


def test_what_is_installed_needs_nothing_else() -> None:
    """By the metadata of what is installed here, which the lock names."""
    from importlib import metadata

    from packaging.requirements import Requirement

    found = packages(part_of_lock(*EXTRAS).stdout)
    missing = set()
    for name in found:
        try:
            requires = metadata.requires(name) or ()
        except metadata.PackageNotFoundError:
            # Of another platform.
            continue
        for text in requires:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                required = re.sub(r"[-_.]+", "-", needed.name).lower()
                missing |= {f"{name} needs {required}"} if required not in found else set()
    assert missing == set()


def test_a_package_that_the_lock_lacks_or_an_unknown_extra_is_refused(tmp_path: Path) -> None:
    text = LOCK.read_text(encoding="utf-8")
    lacking = tmp_path / "lock"
    lacking.write_text(re.sub(r"^litestar==.*\n(?: .*\n)+", "", text, flags=re.MULTILINE), encoding="utf-8")
    refused = part_of_lock("http", lock=lacking)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "lacks litestar: run `make lock`" in refused.stderr
    unknown = part_of_lock("htttp")
    assert unknown.returncode == 1
    assert "no extra or group is named htttp" in unknown.stderr


@pytest.mark.slow
def test_every_extra_and_group_can_be_taken_out_of_the_lock() -> None:
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    for name in project["project"]["optional-dependencies"] | project["dependency-groups"]:
        if name != "all":
            assert part_of_lock(name).returncode == 0, name


def test_a_log_with_other_records_is_not_seeded(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store:
        store.append("mark/-/own", Marked(name="own"))
        with pytest.raises(NotTheDemo, match="1 records that are not the demo's: nothing was added"):
            seed(store)
        assert store.head() == 1
    environment = {**os.environ, "EVENTSTORE_DATA": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-m", "gateways.demo.seeding"],
        env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 2
    assert ran.stderr.startswith("demo: log main has 1 records")


@pytest.mark.slow
@pytest.mark.untraced
def test_the_demo_s_day_is_seeded_once(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store:
        assert seed(store) == EVENTS
        assert seed(store) == 0
