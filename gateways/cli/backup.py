"""`backup`: a copy of a log as of now, verified before it gets its name."""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

import eventstore
from eventstore import (
    CorruptJournal,
    EventStore,
    ReadOnly,
    StorageFull,
    StorageWarning,
    TargetExists,
    Unavailable,
    Verification,
)
from eventstore.clock import NANOSECONDS
from eventstore.files import publish_directory
from eventstore.locations import journal_path, local_path
from gateways.cli import options, stores
from gateways.cli.options import CommonOptions
from gateways.cli.verification import verify_log
from gateways.presenting.output import note, put, put_json

Target = Annotated[
    Path, typer.Argument(metavar="TARGET", help="New directory; with --keep-days the folder of dated copies.")
]
KeepDays = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="Copy to TARGET/<UTC time>, and remove this log's dated copies older than N days."
    ),
]

_DATED = "%Y%m%dT%H%M%SZ"
_DATED_NAME = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_DAY_NS = 86_400 * NANOSECONDS


@options.command(postgres=True)
def backup(common: CommonOptions, target: Target, *, keep_days: KeepDays = None) -> None:
    """Copy the log as of now, verify the copy, and print its root, while others may append.

    The copy gets its name only after it is verified; nothing is overwritten, and the newest dated copy is never
    removed.
    """
    with stores.open_local_reader(common) as store:
        now = store.clock.now_ns()
        path = target if keep_days is None else target / _dated(now)
        size, root = _copy(store, path)
        log = store.log
    removed = [] if keep_days is None else _prune(target, log, now - keep_days * _DAY_NS, path)
    if common.as_json:
        gone = [str(each) for each in removed]
        put_json({"log": log, "target": str(path), "size": size, "root": root.hex(), "removed": gone})
        return
    put(f"copied to {path}, and verified: {size:,} records")
    put(f"root {root.hex()}")
    for each in removed:
        put(f"removed {each}, older than {keep_days} days")


def _copy(store: EventStore, path: Path) -> tuple[int, bytes]:
    """Copy a log under a temporary name, verify the copy, then rename it; return its size and root."""
    path = local_path(path, "the copy")
    if path.exists() or path.is_symlink():
        msg = f"{path} exists already: name a new place for the copy"
        raise TargetExists(msg)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    created = [folder for folder in path.parents if not folder.exists()]
    try:
        store.backup(temporary)
        found, size, root = _verified(store, temporary)
        if not found.ok:
            raise CorruptJournal(found.first_bad or 0, f"{found.reason} (so no copy was kept)")
        publish_directory(temporary, path)
    except (StorageFull, ReadOnly, Unavailable) as e:
        shutil.rmtree(temporary, ignore_errors=True)
        for folder in created:
            with contextlib.suppress(OSError):
                folder.rmdir()
        # The message names the target that was given, not the temporary name.
        raise type(e)(str(e).replace(str(temporary), str(path))) from e
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return size, root


def _verified(store: EventStore, place: Path) -> tuple[Verification, int, bytes]:
    """Verify a copy; of a log that continues others, the copy is of the one log."""
    with warnings.catch_warnings():
        if store.chain is not None:
            warnings.simplefilter("ignore", StorageWarning)
        with eventstore.open(place, log=store.log, read_only=store.chain is not None) as copy:
            return verify_log(copy), *copy.root()


def _prune(folder: Path, log: str, before: int, newest: Path) -> list[Path]:
    """Remove the dated copies of this log from before a time; return which."""
    removed = []
    for path, taken_at in _dated_copies(folder, log):
        if taken_at < before and path != newest:
            shutil.rmtree(path)
            removed.append(path)
    return removed


def _dated_copies(folder: Path, log: str) -> Iterator[tuple[Path, int]]:
    """Yield the directories with a dated copy's name that hold this log alone, with their times."""
    for path in sorted(folder.iterdir()):
        if not _DATED_NAME.fullmatch(path.name) or path.is_symlink() or not path.is_dir():
            continue
        if [found.name for found in path.iterdir()] != [log] or not journal_path(path, log).is_file():
            note(f"{path} is named like a dated copy, but is not one of log {log}: left alone")
            continue
        try:
            taken = datetime.datetime.strptime(path.name, _DATED).replace(tzinfo=datetime.UTC)
        except ValueError:  # such as a 13th month
            continue
        yield path, int(taken.timestamp()) * NANOSECONDS


def _dated(now: int) -> str:
    return datetime.datetime.fromtimestamp(now // NANOSECONDS, datetime.UTC).strftime(_DATED)
