"""The machine and software that figures depend on, without anything that identifies it."""

from __future__ import annotations

import os
import platform
import sqlite3
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import apsw

from eventstore.journals.sqlite.schema import file_system

PACKAGES = ("eventstore", "eventsourcing", "msgspec", "umadb")


def machine(scratch: Path) -> dict[str, object]:
    """Return the facts, for the machine that this runs on and the directory that the data go to."""
    facts: dict[str, object] = {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite_of_apsw": apsw.sqlite_lib_version(),
        "sqlite_of_python": sqlite3.sqlite_version,
        "file_system": file_system(scratch) or "unknown",
        "load_before": round(os.getloadavg()[0], 2),
    }
    return facts | {name: _version(name) for name in PACKAGES}


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process in bytes, as /proc has it."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1_024
    msg = f"process {pid} has ended"
    raise AssertionError(msg)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - a file that only Linux has
            names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
            return next(names, platform.machine())
    except OSError:
        return platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
