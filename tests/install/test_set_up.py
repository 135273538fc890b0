"""Set-up installs exactly what the lock names, whatever an index offers."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from eventstore.extras import DISTRIBUTION
from tests.install.index import Wheels, make_wheel, newer_than, required_by_range
from tests.install.lock import here, pins

pytestmark = [pytest.mark.install, pytest.mark.slow]


@pytest.fixture
def index(wheels: Wheels, tmp_path: Path) -> Wheels:
    """The lock's wheels, and of each package that another one requires by a range a newer release."""
    (tmp_path / "index").mkdir()
    index = wheels.beside(tmp_path / "index")
    locked = pins(here())
    ranged = required_by_range(wheels)
    assert {"coverage", "numpy", "pydantic", "urllib3"} <= ranged
    for name in ranged:
        make_wheel(index.directory, name, newer_than(locked[canonicalize_name(name)]))
    return index


def set_up(checkout: Path, index: Wheels) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **index.environment}
    for inherited in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
        environment.pop(inherited, None)
    line = ["make", "--directory", str(checkout), ".venv/.installed"]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=False, timeout=300)


def test_newer_releases_change_nothing_and_a_lock_that_lacks_something_is_noticed(
    checkout: Path, index: Wheels
) -> None:
    ended = set_up(checkout, index)
    assert ended.returncode == 0, ended.stderr
    pip = str(checkout / ".venv" / "bin" / "pip")
    listed = json.loads(
        subprocess.run([pip, "list", "--format", "json"], capture_output=True, text=True, check=True).stdout
    )
    installed = {each["name"].lower().replace("_", "-").replace(".", "-"): each["version"] for each in listed}
    for own in (DISTRIBUTION, "pip", "setuptools"):
        installed.pop(own, None)
    assert installed == {str(name): version for name, version in pins(here()).items()}
    ran = subprocess.run(
        [str(checkout / ".venv" / "bin" / "eventstore"), "--help"], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")

    # All over again would take another minute: what the lock lacks now is taken out as well.
    lock = checkout / "requirements.lock"
    before, _, rest = lock.read_text(encoding="utf-8").partition("\niniconfig==")
    assert rest
    lock.write_text(before + "\n" + rest[rest.index("\n    # via pytest") + 1 :], encoding="utf-8")
    subprocess.run([pip, "uninstall", "--quiet", "--yes", "iniconfig"], check=True)
    ended = set_up(checkout, index)
    assert ended.returncode != 0
    assert "requires iniconfig, which is not installed" in ended.stdout + ended.stderr


def test_an_installation_that_resolves_again_would_fail(checkout: Path, index: Wheels) -> None:
    makefile = checkout / "Makefile"
    text = makefile.read_text(encoding="utf-8")
    assert "--no-deps --require-hashes" in text
    makefile.write_text(text.replace("--no-deps --require-hashes", "--require-hashes"), encoding="utf-8")
    ended = set_up(checkout, index)
    assert ended.returncode != 0
    assert "must have their versions pinned" in ended.stderr
