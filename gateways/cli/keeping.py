"""`verify` and `backup`: proof that nothing was changed, and copies that are proved before they count."""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

import eventstore
from eventstore import (
    CorruptJournal,
    EventReader,
    EventStore,
    ReadOnly,
    StorageFull,
    TargetExists,
    Unavailable,
    UnsupportedFormat,
    Verification,
)
from eventstore.clock import NANOSECONDS
from eventstore.files import sync_directory
from eventstore.locations import local_path
from eventstore.proofs import merkle
from eventstore.store import journal_path
from gateways.cli import options, outcome
from gateways.presenting.output import note, progress, put, put_json

After = Annotated[int, typer.Option(min=0, metavar="POSITION", help="Check only what comes past this position.")]
Root = Annotated[
    str | None,
    typer.Option(metavar="HEX", help="A root that was kept elsewhere: the log must have had it, and continue it."),
]
Size = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help="The size of the log that --root is of [default: all]."),
]
Target = Annotated[
    Path, typer.Argument(metavar="TARGET", help="A new directory; with --keep-days the folder of dated ones.")
]
KeepDays = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Copy to TARGET/<UTC time>, and remove this log's dated copies past N days."),
]

_DATED = "%Y%m%dT%H%M%SZ"
_DATED_NAME = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_DAY_NS = 86_400 * NANOSECONDS


def verify(  # noqa: PLR0917 - the command's options
    after: After = 0,
    root: Root = None,
    size: Size = None,
    data: options.Data = options.DATA,
    log: options.Log = options.LOG,
    read_only: options.ReadOnlyFlag = False,
    as_json: options.Json = False,
) -> None:
    """Recompute every digest and the tree, check all else that reads depend on; name the first bad position.

    Exit code 1 when one is found. Keep the printed root elsewhere: whoever rewrites records and tree is found only
    with --root and --size, however much the log has grown since.
    """
    found: Verification | None = None
    now: tuple[int, bytes] | None = None
    more: dict[str, Any] = {}
    try:
        with _opened(data, log, read_only=read_only) as store:
            _note_end(store, after)
            found = checked(store, after=after, root=root, size=size)
            now = store.root()
            more = options.missing_tail(store)
            if root is not None and not found.ok:
                more |= _root_of(store, root)
    except UnsupportedFormat:
        raise
    except CorruptJournal as e:
        # Opening looks at the head and the last records, and did not get further; or no root can be computed.
        if found is None or found.ok:
            found = Verification(ok=False, checked=0, first_bad=e.position, reason=e.reason)
    if as_json:
        head, current = (None, None) if now is None else (now[0], now[1].hex())
        put_json({"log": log, **as_document(found), "size": head, "root": current, **more})
    else:
        _put_verdict(found, now, more.get("root_of_size"), from_influx=bool(options.url_of(data)))
        if found.ok and root is not None:
            when = "now" if size is None else f"at size {size:,}, and the log continues it"
            put(f"the log had root {root.lower()} {when}")
    if not found.ok:
        outcome.wrong()


@contextlib.contextmanager
def _opened(data: Path, log: str, *, read_only: bool) -> Iterator[EventReader]:
    """Open a log to verify it: read-only where it lost its tail, which is a reason to look and not to refuse."""
    with contextlib.ExitStack() as stack:
        try:
            store = stack.enter_context(options.reading(data, log, read_only=read_only))
        except CorruptJournal as e:
            if read_only or options.url_of(data) or not options.lost_tail(data, log):
                raise
            note(f"{e.reason}: verified as with --read-only")
            store = stack.enter_context(options.reading(data, log, read_only=True))
        yield store


def _note_end(store: EventReader, after: int) -> None:
    """Say that no record lies past a position that is not in the log."""
    if after > store.head():
        note(f"position {after} is not in the log, which ends at {store.head()}: no record was checked")


def _root_of(store: EventReader, root: str) -> dict[str, Any]:
    """Return the member that says of which size a root is the log's, where the log is as it was written; else none."""
    if not checked(store).ok:
        return {}
    sought, tree = root.lower(), merkle.Frontier()
    with progress("looking for the root") as step:
        for record in store.read():
            if tree.root().hex() == sought:
                break
            tree.grow([record.digest])
            step(tree.size, store.head())
    return {"root_of_size": tree.size} if tree.root().hex() == sought else {}


def checked(store: EventReader, *, after: int = 0, root: str | None = None, size: int | None = None) -> Verification:
    """Verify a log with a progress bar on stderr."""
    with progress("verifying") as step:
        return store.verify(after=after, root=root, size=size, progress=step)


def as_document(found: Verification) -> dict[str, Any]:
    """Return a verdict by its members' names."""
    return {
        "ok": found.ok,
        "checked": found.checked,
        "first_bad": found.first_bad,
        "reason": found.reason,
        "unproved": found.unproved,
    }


def _put_verdict(
    found: Verification, now: tuple[int, bytes] | None, root_size: int | None, *, from_influx: bool
) -> None:
    if from_influx:
        # No digest is stored there, so what is read proves its order; its content is proved by comparison.
        proved = "follow one another without a gap, and give the roots that the mirror left"
        advice = "compare with the journal: eventstore mirror --check"
    else:
        proved, advice = "are as they were written", "keep the file, restore from a backup"
    if found.ok:
        put(f"ok: {found.checked:,} records {proved}")
        for what in found.unproved:
            put(f"unproved: {what}")
        root = "" if now is None else now[1].hex()
        put(f"root {root}" + ("  (the journal's must be the same)" if from_influx else ""))
        return
    where, before = (f" at position {found.first_bad}", " before it") if found.first_bad else ("", "")
    put(f"wrong{where}: {found.reason}")
    if not found.checked and now is None:
        put(f"no records were checked, because the log cannot be opened; {advice}")
        return
    if now is not None and root_size is not None:
        put(f"{now[0]:,} records {proved}; the root given is the log's at size {root_size:,}: give --size {root_size}")
        return
    put(f"{found.checked:,} records{before} {proved}; {advice}")


def backup(
    target: Target,
    keep_days: KeepDays = None,
    data: options.LocalData = options.DATA,
    log: options.Log = options.LOG,
    as_json: options.Json = False,
) -> None:
    """Copy the log as of now, verify the copy, and print its root. Appending may go on meanwhile.

    The copy has its name only once it is proved; nothing is overwritten, and the newest dated copy always stays.
    """
    with options.asking(data, log) as store:
        now = store.clock.now_ns()
        place = target if keep_days is None else target / _dated(now)
        size, root = _copy(store, place)
    removed = [] if keep_days is None else _prune(target, log, now - keep_days * _DAY_NS, place)
    if as_json:
        gone = [str(path) for path in removed]
        put_json({"log": log, "target": str(place), "size": size, "root": root.hex(), "removed": gone})
        return
    put(f"copied to {place}, and verified: {size:,} records")
    put(f"root {root.hex()}")
    for path in removed:
        put(f"removed {path}, older than {keep_days} days")


def _copy(store: EventStore, place: Path) -> tuple[int, bytes]:
    """Copy a log beside its target, prove the copy, then give it its name."""
    place = local_path(place, "the copy")
    if place.exists() or place.is_symlink():
        msg = f"{place} exists already: name a new place for the copy"
        raise TargetExists(msg)
    passing = place.with_name(f".{place.name}.{os.getpid()}.part")
    absent = [folder for folder in place.parents if not folder.exists()]
    try:
        store.backup(passing)
        with eventstore.open(passing, log=store.log) as copy:
            found, (size, root) = checked(copy), copy.root()
        if not found.ok:
            raise CorruptJournal(found.first_bad or 0, f"{found.reason} (so no copy was kept)")
        passing.rename(place)
        sync_directory(place.parent)
    except (StorageFull, ReadOnly, Unavailable) as e:
        # The copy is made beside its target, under a name that nobody gave.
        shutil.rmtree(passing, ignore_errors=True)
        for folder in absent:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise type(e)(str(e).replace(str(passing), str(place))) from e
    finally:
        shutil.rmtree(passing, ignore_errors=True)
    return size, root


def _prune(folder: Path, log: str, before: int, newest: Path) -> list[Path]:
    """Remove the dated copies of this log from before a time; return which."""
    removed = []
    for path, taken_at in _dated_copies(folder, log):
        if taken_at < before and path != newest:
            shutil.rmtree(path)
            removed.append(path)
    return removed


def _dated_copies(folder: Path, log: str) -> Iterator[tuple[Path, int]]:
    """Yield the directories that only this command names so and that hold this log alone, with their times."""
    for path in sorted(folder.iterdir()):
        if not _DATED_NAME.fullmatch(path.name) or path.is_symlink() or not path.is_dir():
            continue
        if [found.name for found in path.iterdir()] != [log] or not journal_path(path, log).is_file():
            note(f"{path} is named like a dated copy but is none of log {log}: left alone")
            continue
        try:
            taken = datetime.datetime.strptime(path.name, _DATED).replace(tzinfo=datetime.UTC)
        except ValueError:  # such as a 13th month
            continue
        yield path, int(taken.timestamp()) * NANOSECONDS


def _dated(now: int) -> str:
    return datetime.datetime.fromtimestamp(now // NANOSECONDS, datetime.UTC).strftime(_DATED)
