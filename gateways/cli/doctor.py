"""`doctor`: the health of a log's directory, storage, recent records and sidecar files, one line per check."""

from __future__ import annotations

import contextlib
import os
import platform
import statistics
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from eventstore import CheckpointSettings, Clock, CorruptJournal, EventStore, UnsupportedFormat, released
from eventstore.clock import NANOSECONDS
from eventstore.journal import Fault, Replicable
from eventstore.journals.sqlite.schema import WAL_BYTES_MAX
from eventstore.journals.sqlite.wal import WriteAheadLog, write_ahead_log
from eventstore.locations import journal_path
from eventstore.proofs.health import checkpoint_health
from eventstore.proofs.key_files import key_folder
from eventstore.side import LogSide
from gateways.alerting.checks import (
    LINES_SHOWN,
    OK,
    WARNING,
    WRONG,
    Check,
    alert_checks,
    directory_checks,
    enforcement_checks,
    group_checks,
    mirror_checks,
    policy_checks,
    problem_checks,
    unjudged_checks,
    watermark_checks,
)
from gateways.alerting.diagnosis import diagnosis
from gateways.cli import clock, options, stores
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.cli.verification import verify_log
from gateways.cli.wal_holders import holders_of
from gateways.presenting.approvals import awaited_approvals, awaited_sentence, with_groups
from gateways.presenting.book_summary import pending_requests
from gateways.presenting.documents import plain
from gateways.presenting.headroom import unjudged_of
from gateways.presenting.output import put_json, put_under
from gateways.presenting.presenter import Presenter
from projections import SnapshotWarning, compare_snapshots
from projections import open as open_book
from projections.opening import snapshots_of
from projections.risk.limits.baseline import baseline_notes
from projections.risk.limits.named import unknown_names

TAIL = 10_000
# Older versions can lose a commit while another connection checkpoints.
SQLITE_LEAST = (3, 51, 3)
SYNC_SAMPLES = 50
SYNC_BYTES = 4_096
# No medium that keeps its data without power answers faster: it is memory, or a cache without a battery.
SYNC_NS_LEAST = 10_000


Deep = Annotated[
    bool, typer.Option("--deep", help="Fold the whole log, and compare the newest snapshots with it state by state.")
]
Rollback = Annotated[
    str | None,
    typer.Option(metavar="VERSION", help="Also check what of the log an earlier version would not read."),
]


@options.command(postgres=True, read_only=True)
def doctor(common: CommonOptions, *, deep: Deep = False, rollback: Rollback = None) -> None:
    """Check directory, storage, recent records and sidecar files; print one line for each check.

    Exit code 1 if something is wrong; warnings alone exit 0. `verify` checks every record.
    """
    new = () if rollback is None else released.additions(rollback)
    read_only = common.read_only or stores.is_protected(common)
    log, missing = common.log, dict[str, Any]()
    checks: list[Check] = []
    if common.postgres is not None:
        checks.append(_python())
    elif common.data.is_dir():
        directory = journal_path(common.data, common.log).parent
        checks += [_python(), _sqlite(), *directory_checks(directory, read_only=read_only)]
    try:
        with stores.open_local_reader(common) as store:
            log, missing = store.log, stores.missing_tail(store)
            checks += [
                Check("opening", OK, f"log {store.log} opens at position {store.head():,}"),
                *_store_checks(store, deep=deep),
                *(() if rollback is None else _rollback_checks(store, rollback, new)),
            ]
    except UnsupportedFormat:
        raise
    except CorruptJournal as e:
        reason = ". ".join([e.reason, *getattr(e, "__notes__", ())])
        checks.append(Check("opening", WRONG, f"position {e.position}: {reason}"))
    is_ok = all(check.status != WRONG for check in checks)
    if common.as_json:
        put_json({"log": log, "ok": is_ok, "checks": plain(checks), **missing})
    else:
        for check in checks:
            put_under(f"{check.status:<8} {check.name:<12} ", check.detail)
    if not is_ok:
        end_with_problem()


def _python() -> Check:
    return Check("python", OK, f"{platform.python_implementation()} {platform.python_version()}")


def _sqlite() -> Check:
    # apsw has the version of the SQLite it was made for, which its wheels contain.
    version = metadata.version("apsw")
    known = tuple(int(part) for part in version.split(".")[:3] if part.isdecimal())
    sqlite = f"SQLite {'.'.join(map(str, known))} by apsw {version}"
    if known < SQLITE_LEAST:
        return Check("sqlite", WRONG, f"{sqlite} may lose commits: update apsw")
    return Check("sqlite", OK, sqlite)


def _store_checks(store: EventStore, *, deep: bool) -> Iterator[Check]:
    directory = store.directory
    if directory is not None and not store.read_only:
        yield _sync_check(directory, store.clock)
    yield _clock_check(store)
    is_right, said = clock.standing(store)
    yield Check("time source", OK if is_right else WARNING, said)
    yield from problem_checks("storage", store.doctor(), "its own check and the derived columns are fine")
    after = max(store.head() - TAIL, 0)
    found = verify_log(store, after=after)
    if found.ok:
        yield Check("records", OK, f"the last {found.checked:,} are as they were written")
    else:
        yield Check("records", WRONG, str(Fault(found.first_bad or 0, found.reason or "")))
    if directory is None:
        yield _server_check(store)
    else:
        yield wal_check(write_ahead_log(journal_path(directory.parent, store.log)))
    if store.side is not None:
        yield from watermark_checks(store, store.side)
        yield from group_checks(store)
        yield from mirror_checks(store)
        yield from _checkpoint_checks(store, store.side)
    # Compared first: a book that is opened may write a cut of its own.
    compared = list(_snapshot_comparison(store)) if deep and not store.read_only else []
    yield from _book_checks(store, is_compared=bool(compared))
    if deep and store.read_only:
        yield Check("deep", OK, "snapshots not compared: the log is open read-only")
    yield from compared


def _server_check(store: EventStore) -> Check:
    """Say what keeps the log, how durable it is there, and what is not seen from here."""
    kept = store.journal.durability.name if isinstance(store.journal, Replicable) else "only read here"
    return Check("server", OK, f"{store.journal!r}, each commit {kept}; its disk and memory are not seen from here")


def _sync_check(directory: Path, timer: Clock) -> Check:
    """Write and sync a few blocks, as an append does, and check how long a sync takes."""
    sync = getattr(os, "fdatasync", os.fsync)
    samples = []
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            for _ in range(SYNC_SAMPLES):
                os.write(file.fileno(), bytes(SYNC_BYTES))
                began = timer.monotonic_ns()
                sync(file.fileno())
                samples.append(timer.monotonic_ns() - began)
    except OSError as e:
        return Check("disk sync", WRONG, f"a file of {SYNC_SAMPLES * SYNC_BYTES:,} bytes could not be synced: {e}")
    return sync_check(samples)


def sync_check(samples: list[int]) -> Check:
    """Judge a disk by how long its syncs took, in ns."""
    median = int(statistics.median(samples))
    took = f"{median / 1e3:,.0f} µs, the median of {len(samples)}, {max(samples) / 1e3:,.0f} µs at most"
    if median < SYNC_NS_LEAST:
        return Check(
            "disk sync", WARNING, f"{took}: no disk is this fast, a power cut may lose what it has acknowledged"
        )
    return Check("disk sync", OK, took)


def _clock_check(store: EventStore) -> Check:
    ahead = 0
    for record in store.read(after=max(store.head() - 1, 0)):
        ahead = record.recorded_at - store.clock.now_ns()
    if ahead > NANOSECONDS:
        return Check("clock", WARNING, f"the last record is {ahead / 1e9:,.1f} s ahead of the clock: was it set back?")
    return Check("clock", OK, "the last record is not ahead of the clock")


def wal_check(found: WriteAheadLog) -> Check:
    """Judge the size of a write-ahead log, and name what keeps it from shrinking."""
    size = f"{found.bytes / 1e6:,.1f} MB"
    if found.bytes <= WAL_BYTES_MAX:
        return Check("WAL", OK, f"{size} in the write-ahead log")
    return Check("WAL", WARNING, f"{size} in the write-ahead log, more than it needs: {holders_of(found)}")


def _checkpoint_checks(store: EventStore, side: LogSide) -> Iterator[Check]:
    """Check that the log still gives its newest signed checkpoint, and that every witness has it."""
    try:
        found = checkpoint_health(store, side, key_folder(CheckpointSettings.load().keys))
    except ImportError as e:
        yield Check("checkpoints", WARNING, f"signatures are not checked: {e}")
        return
    yield from [Check("checkpoints", WRONG, each) for each in found.wrong]
    yield from [Check("checkpoints", WARNING, each) for each in found.attention]
    if not found.wrong:
        yield Check("checkpoints", OK, found.summary)


def _book_checks(store: EventStore, *, is_compared: bool) -> Iterator[Check]:
    with _snapshot_warnings() as warned, open_book(store) as book:
        recovery, parked = book.recovery, book.parked
        accounts = () if parked else book.partitions("limits")
        now = store.clock.now_ns()
        unstated = baseline_notes(book, [limit for name in accounts for limit in book.limits.of(name, now)])
        unknown = [] if parked else unknown_names(book, now)
        policies = [] if parked else list(policy_checks(book, accounts))
        unjudged = unjudged_of(book, accounts, now)
        awaited = () if parked else awaited_approvals(book, with_groups(book, book.accounts.known()))
        groups = () if parked else book.groups.problems()
        alerting = diagnosis(book, store)
        asked = pending_requests(book, book.partitions("enforcement"), now)
    if store.read_only:
        yield Check("snapshots", OK, f"not used when the log is read-only: {recovery.tail:,} records folded")
    elif warned:
        yield from warned
    elif not recovery.cut:
        yield Check("snapshots", OK, f"none yet: {recovery.tail:,} records folded")
    else:
        age = f"the newest cut, at {recovery.cut:,}, is {_age(store, recovery.cut)}"
        hint = "" if is_compared else "; not compared with the log: use --deep"
        yield Check("snapshots", OK, f"{age}, {recovery.tail:,} records folded after it{hint}")
    yield from problem_checks("views", [str(error) for error in parked.values()], "every view folds to the head")
    yield from policies
    yield from enforcement_checks(asked, now)
    yield from [Check("baseline", WARNING, each) for each in unstated[:LINES_SHOWN]]
    yield from [Check("names", WARNING, each) for each in unknown[:LINES_SHOWN]]
    yield from [Check("approvals", WARNING, awaited_sentence(each, Presenter())) for each in awaited[:LINES_SHOWN]]
    yield from [Check("groups", WARNING, each) for each in groups[:LINES_SHOWN]]
    yield from unjudged_checks(unjudged)
    yield from alert_checks(alerting)


@contextlib.contextmanager
def _snapshot_warnings() -> Iterator[list[Check]]:
    """Yield a list that gets a check for each warning about snapshots, when the block ends."""
    checks: list[Check] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SnapshotWarning)
        yield checks
    checks += [Check("snapshots", WARNING, str(warning.message)) for warning in caught]


def _age(store: EventStore, position: int) -> str:
    """Return how old a record is, at least 0 if the clock was set back."""
    [record] = store.read(after=position - 1, until=position)
    minutes = max(store.clock.now_ns() - record.recorded_at, 0) // (60 * NANOSECONDS)
    days, hours = minutes // 1_440, minutes // 60 % 24
    return f"{days:,} d {hours} h old" if days else f"{hours} h {minutes % 60} min old"


def _snapshot_comparison(store: EventStore) -> Iterator[Check]:
    """Compare the newest cut with a fold of the whole log; if it differs, no book starts from it again."""
    with _snapshot_warnings() as warned:
        found = compare_snapshots(store)
    yield from warned
    lines = [
        f"view {each.view}, partition {each.partition}, at {each.cut:,}: {each.reason}" for each in found.differences
    ]
    fine = f"{found.compared:,} states at {found.cut:,} are what the log's records fold to"
    yield from problem_checks("deep", lines, fine if found.cut else "there is no cut to compare with the log")
    if found.unsigned:
        yield Check(
            "signature", WARNING, f"not used, because this user's key did not sign it: {', '.join(found.unsigned)}"
        )
    if found.signed_differences and (snapshots := snapshots_of(store, None)) is not None:
        with _snapshot_warnings() as warned:
            snapshots.set_aside("it differs from the log: restart what runs on this log")
        yield from warned


def _rollback_checks(store: EventStore, version: str, new: Sequence[released.Addition]) -> Iterator[Check]:
    """Check which records an earlier version would not read, and say what this one may still write."""
    here = {each.type for each in new}.intersection(store.types())
    found = released.unread(store.read(types=sorted(here)), new) if here else {}
    lines = [f"{each.name}, first at position {at:,}: version {version} {each.effect.removeprefix('it ')}"
             for each, at in sorted(found.items())]  # fmt: skip
    yield from problem_checks("rollback", lines, f"version {version} reads every record of this log")
    if left := [each.name for each in new if each not in found]:
        yield Check("rollback", OK, f"not in this log, and new to version {version}: {', '.join(left)}")
