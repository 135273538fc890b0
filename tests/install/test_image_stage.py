"""The commands that build the image, run here as the Dockerfile has them: what they install answers as a service."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.install.index import Wheels
from tests.operations.image import ROOT, arguments_of, stages

pytestmark = pytest.mark.install

WAIT_SECONDS = 120
ASK = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1] + '/health/live', timeout=30).read().decode())"


def environment(place: Path, **more: str) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("PYTHON", "PIP_", "EVENTSTORE_"))}
    # Unbuffered, as in the image: what starts the service reads the line that it prints.
    return {**kept, "PATH": f"{place / 'bin'}:/usr/bin:/bin", "PYTHONUNBUFFERED": "1", **more}


def build(place: Path, wheels: Wheels) -> Path:
    """Run the first stage in a directory, with pip kept to the lock's wheels; return the environment it makes."""
    stage, _ = stages()
    (place / "bin").mkdir()
    (place / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    source = place / "src"
    source.mkdir()
    for name, arguments in stage:
        if name == "COPY":
            *files, target = arguments.split()
            for file in files:
                copy(ROOT / file, source / target if target != "./" else source / Path(file).name)
        elif name == "RUN":
            command = arguments.replace("/opt/", f"{place}/opt/").replace("/wheels", f"{place}/wheels")
            ran = subprocess.run(
                ["bash", "-e", "-c", command],
                cwd=source, env=environment(place, **wheels.environment), capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert ran.returncode == 0, ran.stdout + ran.stderr
    assert arguments_of(stage, "RUN")
    return place / "opt" / "eventstore"


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, target)


def run(place: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=place, env=environment(place), capture_output=True, text=True, check=False, timeout=WAIT_SECONDS,
    )  # fmt: skip


def test_what_the_image_installs_answers_as_a_service(tmp_path: Path, wheels: Wheels) -> None:
    installed = build(tmp_path, wheels)
    python, program = installed / "bin" / "python", installed / "bin" / "eventstore"
    assert "No module named pip" in run(tmp_path, python, "-m", "pip").stderr
    created = run(tmp_path, python, "-c", "import eventstore; eventstore.open('data').close()")
    assert (created.returncode, created.stderr) == (0, "")
    served = subprocess.Popen(
        [program, "serve", "--port", "0"],
        cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert served.stdout is not None
        url = served.stdout.readline().split()[-1]
        assert '"status":"live"' in run(tmp_path, python, "-c", ASK, url).stdout
    finally:
        served.terminate()
        served.wait(WAIT_SECONDS)
        if served.stdout is not None:
            served.stdout.close()
