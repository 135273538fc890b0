"""Directories of wheels that pip uses as an index: those of the lock, and newer ones built by the test."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterable
from email.parser import Parser
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from tests.install.lock import LOCK, constraints, here, pins


class Wheels(NamedTuple):
    """A directory of wheels, as an index that pip is pointed at."""

    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables that let pip see this directory and no other index, and keep nothing."""
        return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": self.directory.as_uri(), "PIP_NO_CACHE_DIR": "1"}

    def beside(self, directory: Path) -> Wheels:
        """Return a directory with the same wheels, to which others can be added."""
        for wheel in self.directory.iterdir():
            (directory / wheel.name).symlink_to(wheel)
        return Wheels(directory)


def download(directory: Path) -> None:
    """Fetch what the lock names for this machine; pip's cache has most of it."""
    line = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    line += ["--only-binary", ":all:", "--require-hashes", "--requirement", str(LOCK), "--dest", str(directory)]
    ended = subprocess.run(line, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def download_for(python: Path, directory: Path, requirements: Iterable[str]) -> Wheels:
    """Fetch what an interpreter needs for some requirements, all of it at the versions that the lock pins."""
    pinned = directory / "constraints.txt"
    pinned.write_text(constraints(), encoding="utf-8")
    line = [sys.executable, "-m", "pip", "--python", str(python), "download", "--quiet", "--disable-pip-version-check"]
    line += ["--only-binary", ":all:", "--constraint", str(pinned), "--dest", str(directory), *requirements]
    ended = subprocess.run(line, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return Wheels(directory)


def required_by_range(wheels: Wheels) -> set[str]:
    """Return the locked packages that some other one requires by a range: pip alone would look for the newest."""
    locked, found = pins(here()), set()
    for wheel in wheels.directory.iterdir():
        with zipfile.ZipFile(wheel) as archive:
            found_in = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
            # A wheel may carry others within its packages.
            (name,) = [name for name in found_in if name.count("/") == 1]
            fields = Parser().parsestr(archive.read(name).decode("utf-8"))
        for requirement in map(Requirement, fields.get_all("Requires-Dist", [])):
            exact = [part.operator for part in requirement.specifier] == ["=="]
            if canonicalize_name(requirement.name) in locked and not exact:
                found.add(canonicalize_name(requirement.name))
    return {str(name) for name in found}


def newer_than(version: str) -> str:
    """Return a later version that every range takes which takes this one: a post-release."""
    return f"{Version(version).base_version}.post999"


def make_wheel(directory: Path, name: str, version: str) -> Path:
    """Write a wheel that has nothing but its name and version."""
    stem = f"{name.replace('-', '_')}-{version}"
    path, info = directory / f"{stem}-py3-none-any.whl", f"{stem}.dist-info"
    assert parse_wheel_filename(path.name)[0] == name
    members = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{member},," for member in (*members, f"{info}/RECORD")]
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in members.items():
            archive.writestr(member, text)
        archive.writestr(f"{info}/RECORD", "\n".join(record) + "\n")
    return path
