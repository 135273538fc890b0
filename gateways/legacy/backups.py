"""Copies of what is migrated, beside it: FILE.backup.YYYYMMDD_HHMMSS, made before anything is written to the log."""

from __future__ import annotations

import filecmp
import shutil
from typing import TYPE_CHECKING

from eventstore import InvalidEvent, files
from eventstore.clock import format_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from eventstore import EventStore

_SIDECARS = ("-wal",)
"""What belongs to a SQLite file while it is in use: without it the file lacks its newest rows."""


def back_up(paths: Sequence[Path], store: EventStore) -> tuple[Path, ...]:
    """Copy files, and return the copies. A file of which there is a copy with the same content needs no other."""
    at = format_time(store.clock.now_ns())
    suffix = f"{at[:10].replace('-', '')}_{at[11:19].replace(':', '')}"
    return tuple(_copy(path, suffix) for path in paths)


def _copy(path: Path, suffix: str) -> Path:
    earlier = sorted(path.parent.glob(f"{_escaped(path.name)}.backup.*"))
    for found in earlier:
        if filecmp.cmp(path, found, shallow=False) and _same_sidecars(path, found):
            return found
    target = path.with_name(f"{path.name}.backup.{suffix}")
    number = 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.backup.{suffix}_{number}")
    try:
        for sidecar in ("", *_SIDECARS):
            source = path.with_name(path.name + sidecar)
            if source.is_file():
                _publish(source, target.with_name(target.name + sidecar))
    except OSError as e:
        msg = f"{path} cannot be copied to {target.name} beside it ({e.strerror}): nothing was written. Make a copy of "
        msg += "your own and use --no-backup"
        raise InvalidEvent(msg) from e
    return target


def _publish(source: Path, target: Path) -> None:
    with files.temporary(target) as temporary_path:
        shutil.copyfile(source, temporary_path)
        files.publish(temporary_path, target)


def _same_sidecars(path: Path, found: Path) -> bool:
    for sidecar in _SIDECARS:
        one, other = path.with_name(path.name + sidecar), found.with_name(found.name + sidecar)
        if one.is_file() != other.is_file() or (one.is_file() and not filecmp.cmp(one, other, shallow=False)):
            return False
    return True


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
