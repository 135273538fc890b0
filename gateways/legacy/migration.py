"""`migrate`: a file or a directory of an older program into a log, all of it checked before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore import InvalidEvent
from gateways.legacy.database import is_database
from gateways.legacy.manager import ACCOUNT, StateManager
from gateways.legacy.mapped_migration import migrate_mapped
from gateways.legacy.reports import ItemStatus, MigratedItem, MigrationReport
from gateways.legacy.risk_tables import GATEWAY, RISK_MANAGER
from gateways.legacy.rows import TableChoices
from gateways.legacy.state_files import SUFFIXES, StateFile, UnreadableState, is_copy, read_state_file
from gateways.legacy.state_migration import migrate_states
from gateways.legacy.table_migration import migrate_tables, plan_tables

if TYPE_CHECKING:
    from datetime import tzinfo
    from pathlib import Path

    from eventstore import EventStore

STATES = (GATEWAY, RISK_MANAGER)
POSITIONS = {"active": True, "closed": False}


def migrate(
    store: EventStore,
    path: Path,
    *,
    mapping: Path | None = None,
    account: str | None = None,
    zone: tzinfo | None = None,
    states: str | None = None,
    positions: str | None = None,
    replace: bool = False,
    backup: bool = True,
    dry_run: bool = False,
) -> list[MigrationReport]:
    """Migrate JSON state files, tables of versions and SQLite files; return a report for each of the two kinds.

    With a `mapping`, as `import` takes it, the file is read by it.

    `account` is that of the state and of rows that name none; `zone` that of times without one; `states` how orders'
    states are numbered; `positions` whether those that only a database's versions have are `active` or `closed`.
    Raises InvalidEvent, with nothing written, for what cannot be read, and naming what must be chosen.
    """
    _check("states", states, STATES)
    _check("positions", positions, POSITIONS)
    if mapping is not None:
        _check_file(path)
        return [
            migrate_mapped(store, path, mapping, account=account, zone=zone, backup=backup, dry_run=dry_run),
        ]
    files, databases, others = _found(path)
    choices = TableChoices(account=account, zone=zone, states=states)
    for database in databases:
        # Read once more below: nothing is written before all of it can be.
        plan_tables(database, choices)
    reports = []
    if files:
        manager = StateManager(store, account=ACCOUNT if account is None else account)
        reports.append(
            migrate_states(
                manager.log,
                manager.codec,
                files,
                replace=replace,
                doubtful_active=None if positions is None else POSITIONS[positions],
                report_positions=True,
                backup=backup,
                dry_run=dry_run,
            )
        )
    reports += [migrate_tables(store, found, choices, backup=backup, dry_run=dry_run) for found in databases]
    if others:
        items = tuple(MigratedItem("file", found.name, ItemStatus.SET_ASIDE, why) for found, why in others)
        reports.append(MigrationReport(files=(str(path),), account=None, dry_run=dry_run, items=items))
    return reports


def _check(name: str, given: str | None, known: object) -> None:
    words = list(known) if isinstance(known, tuple | dict) else []
    if given is not None and given not in words:
        msg = f"{name} is {' or '.join(words)}, not {given!r:.40}"
        raise InvalidEvent(msg)


def _found(path: Path) -> tuple[list[StateFile], list[Path], list[tuple[Path, str]]]:
    """Return the state files, the SQLite files and what else is there, each with the reason that it is left."""
    if path.is_dir():
        return _in_directory(path)
    _check_file(path)
    return ([], [path], []) if is_database(path) else ([read_state_file(path)], [], [])


def _check_file(path: Path) -> None:
    if not path.is_file():
        msg = f"{path} is not a regular file" if path.exists() else f"there is no file {path}"
        raise InvalidEvent(msg)


def _in_directory(path: Path) -> tuple[list[StateFile], list[Path], list[tuple[Path, str]]]:
    files: list[StateFile] = []
    databases: list[Path] = []
    others: list[tuple[Path, str]] = []
    for found in sorted(each for each in path.iterdir() if each.is_file()):
        if is_copy(found):
            others.append((found, "its name says that it is a copy"))
        elif is_database(found):
            databases.append(found)
        elif found.suffix.lower() in SUFFIXES:
            file = _read(found, others)
            files += [] if file is None else [file]
    if not files and not databases:
        msg = f"{path} has no file with a state, with versions or with tables that are known"
        raise InvalidEvent(msg)
    return files, databases, others


def _read(path: Path, others: list[tuple[Path, str]]) -> StateFile | None:
    """Return a state file of a directory; None for another one, such as settings. One that is cut off raises."""
    try:
        return read_state_file(path)
    except UnreadableState as e:
        if not e.is_other:
            raise
        others.append((path, e.why))
        return None
