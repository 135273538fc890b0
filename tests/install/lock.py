"""The lock file, parsed: the pinned version of each package, and its platforms."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from packaging.markers import Marker, default_environment
from packaging.utils import NormalizedName, canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.lock"
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)(?: *; *(?P<marker>[^\\]+?))? *\\?$", re.MULTILINE)

Environment = Mapping[str, str]


class Pin(NamedTuple):
    """One line of the lock: a version, and the machines that need it."""

    version: str
    marker: Marker | None

    def applies(self, environment: Environment) -> bool:
        return self.marker is None or self.marker.evaluate(dict(environment))


def pins(environment: Environment) -> dict[NormalizedName, str]:
    """Return the version of each package that the lock pins for an environment."""
    found = [
        (canonicalize_name(pin["name"]), Pin(pin["version"], Marker(pin["marker"]) if pin["marker"] else None))
        for pin in _PIN.finditer(LOCK.read_text(encoding="utf-8"))
    ]
    return {name: pin.version for name, pin in found if pin.applies(environment)}


def constraints() -> str:
    """Return the lock's pins, each with its marker, as constraints for pip."""
    found = _PIN.finditer(LOCK.read_text(encoding="utf-8"))
    return "".join(f"{pin[0].rstrip(' ' + chr(92))}\n" for pin in found)


def here() -> Environment:
    """Return the environment of this Python, as markers see it."""
    return {**{key: str(value) for key, value in default_environment().items()}, "extra": ""}


def supported() -> Iterator[Environment]:
    """Yield the environments that the project supports: each Python from 3.11 on, on Linux and macOS."""
    for version in ("3.11", "3.12", "3.13", "3.14"):
        for platform, system, machine in (("linux", "Linux", "x86_64"), ("darwin", "Darwin", "arm64")):
            yield {
                **here(),
                "python_version": version,
                "python_full_version": f"{version}.0",
                "implementation_version": f"{version}.0",
                "sys_platform": platform,
                "platform_system": system,
                "platform_machine": machine,
            }
