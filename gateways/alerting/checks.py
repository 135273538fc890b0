"""Checks of a log's health, each ok, a warning or wrong, with words: what `doctor` prints and a service answers."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import msgspec

from eventstore.journals.sqlite.schema import NETWORK_FILE_SYSTEMS, file_system
from eventstore.watermarks import Watermarks
from gateways.alerting.settings import FREE_LOW
from gateways.alerting.wellness import FREE_LEAST
from gateways.presenting.headroom import unjudged_line
from gateways.presenting.presenter import Presenter
from gateways.presenting.rows import escalation_lines, request_line
from projections.risk.policies.liveness import enforcement_notes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from eventstore import EventStore
    from gateways.alerting.diagnosis import Diagnosis
    from projections import Book
    from projections.views.enforcement import Enforcement
    from projections.views.limits.headroom import Unjudged

OK, WARNING, WRONG = "ok", "warning", "wrong"
MEMORY_FILE_SYSTEMS = frozenset({"ramfs", "tmpfs"})
LINES_SHOWN = 20


class Check(msgspec.Struct, frozen=True):
    """One check. `status`: ok, warning (works, but needs attention) or wrong (exit code 1)."""

    name: str
    status: str
    detail: str


def directory_checks(directory: Path, *, read_only: bool = False) -> Iterator[Check]:
    """Check a directory's file system and, unless it is only read, the free space there."""
    kind = file_system(directory) or "of unknown kind"
    if read_only:
        yield Check("file system", OK, f"{kind}, opened read-only: nothing is written there")
        return
    if kind in NETWORK_FILE_SYSTEMS:
        yield Check("file system", WRONG, f"{kind}: SQLite's locks do not work over a network: use a local disk")
    elif kind in MEMORY_FILE_SYSTEMS:
        yield Check("file system", WARNING, f"{kind}: this is memory, lost without power")
    else:
        yield Check("file system", OK, kind)
    usage = shutil.disk_usage(_existing(directory))
    free = f"{usage.free / 1e9:,.1f} GB free of {usage.total / 1e9:,.1f}"
    status = WRONG if usage.free < FREE_LEAST else WARNING if usage.free < FREE_LOW else OK
    yield Check("disk space", status, free if status == OK else f"{free}: make room")


def _existing(directory: Path) -> Path:
    return next(path for path in (directory, *directory.absolute().parents) if path.exists())


def watermark_checks(store: EventStore, directory: Path) -> Iterator[Check]:
    """List the watermarks; opening has compared each with the record that it saw."""
    # Each file has positions of the log itself.
    head = store.alone().head()
    marks, unsound = Watermarks(directory / "watermarks").examine()
    for name, why in unsound.items():
        yield Check("watermarks", WRONG, f"{name!r} is not a valid watermark ({why}): ignored")
    for name in [name for name, mark in marks.items() if mark.log_id != store.log_id.hex()]:
        yield Check("watermarks", WARNING, f"{name} belongs to another log ({marks.pop(name).log_id}): ignored")
    missing = store.missing_tail
    if missing is not None:
        yield Check("WAL" if missing.damage else "watermarks", WRONG, str(missing))
        return
    found = ", ".join(f"{name} at {mark.position:,} ({head - mark.position:,} behind)" for name, mark in marks.items())
    yield Check("watermarks", OK, found or "none yet")


def mirror_checks(store: EventStore) -> Iterator[Check]:
    """Report how far InfluxDB has the log, if it is mirrored there."""
    if not store.mirror.exists:
        return
    found = store.mirror.status
    detail = f"{found.state} at {found.position:,}, {found.lag_events:,} behind"
    if found.last_error is not None:
        detail += f": {found.last_error}"
    is_ok = found.state == "shipping" or not found.lag_events
    yield Check("mirror", WRONG if found.state == "halted" else OK if is_ok else WARNING, detail)


def alert_checks(found: Diagnosis) -> Iterator[Check]:
    """Check that alerts can be sent, if any are set."""
    yield from [Check("alerts", WRONG, each) for each in found.wrong[:LINES_SHOWN]]
    yield from [Check("alerts", WARNING, each) for each in found.attention[:LINES_SHOWN]]
    if found.summary and not found.wrong:
        yield Check("alerts", OK, found.summary)


def enforcement_checks(asked: Sequence[Enforcement], now: int) -> Iterator[Check]:
    """Check that nothing is asked for that is not done; what was escalated is wrong."""
    loud = escalation_lines(asked, Presenter(), now)
    yield from problem_checks("enforcement", loud, f"{len(asked):,} pending, none escalated")
    quiet = [request_line(each, Presenter(), now) for each in asked if each.escalated_at is None]
    yield from [Check("enforcement", WARNING, each) for each in quiet[:LINES_SHOWN]]


def policy_checks(book: Book, accounts: Iterable[str]) -> Iterator[Check]:
    """Check that some process runs the policies that limits rely on, and that none has stopped."""
    stopped = [each.sentence for each in book.policies.all_stopped()]
    unenforced = [] if stopped else enforcement_notes(book, accounts)
    if not unenforced:
        yield from problem_checks("policies", stopped, "none has stopped")
    yield from [Check("policies", WARNING, each) for each in unenforced[:LINES_SHOWN]]


def unjudged_checks(unjudged: Mapping[str, Sequence[Unjudged]]) -> Iterator[Check]:
    """Warn of each limit that is not judged, by account."""
    lines = [unjudged_line(name, each, Presenter()) for name, found in unjudged.items() for each in found]
    yield from [Check("limits", WARNING, each) for each in lines[:LINES_SHOWN]]
    if len(lines) > LINES_SHOWN:
        yield Check("limits", WARNING, f"and {len(lines) - LINES_SHOWN:,} more that are not judged")


def problem_checks(name: str, problems: Iterable[str], fine: str) -> Iterator[Check]:
    """Yield a check that is wrong for each problem, or one that is ok without any."""
    lines = list(problems)
    if not lines:
        yield Check(name, OK, fine)
    for line in lines[:LINES_SHOWN]:
        yield Check(name, WRONG, line)
    if len(lines) > LINES_SHOWN:
        yield Check(name, WRONG, f"and {len(lines) - LINES_SHOWN:,} more problems")
