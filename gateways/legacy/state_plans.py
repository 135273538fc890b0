"""What files of older managers hold together: one state, and of each item which file's it is, or why it is left out.

A pair that was closed must not come back as active. So the last state file counts, and positions that were kept when a
database failed only if they are newer; of versions from a database, which never say that a position was closed, the
positions count only where somebody says so.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import InvalidEvent
from gateways.legacy.reports import ItemStatus, MigratedItem
from gateways.legacy.state_files import PAIR_STATES, POSITIONS, FileKind, StateFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SAVED_AT = "last_save_time"
_SKIPPED_OPERATIONS = frozenset({"snapshot"})
_GONE = "delete"
_OLDER = "the state file is newer, and it counts"


class PlannedState(msgspec.Struct):
    """A state to save, as JSON has it; `exists` False where the files hold none."""

    positions: dict[str, Any] = {}
    pair_states: dict[str, Any] = {}
    portfolio: dict[str, Any] = {}
    absent: tuple[str, ...] = ()
    exists: bool = False
    items: list[MigratedItem] = []
    saved_at: str | None = None

    def add(self, kind: str, name: str, status: ItemStatus = ItemStatus.MIGRATED, why: str = "") -> None:
        self.items.append(MigratedItem(kind, name, status, why))


def plan(files: Sequence[StateFile], *, doubtful_active: bool | None = None) -> PlannedState:
    """Return the state of files; raise InvalidEvent where a choice is missing or two files contradict one another.

    `doubtful_active` says whether positions that only a database's versions have are active; None: it must be asked.
    """
    planned = PlannedState()
    states = [file for file in files if file.kind is FileKind.STATE and file.document]
    if len(states) > 1:
        names = ", ".join(file.path.name for file in states)
        msg = f"{names} are {len(states)} states, and an account has one: migrate each with an --account of its own"
        raise InvalidEvent(msg)
    for file in states:
        _add_state(planned, file.document)
    for file in files:
        if file.kind is FileKind.FALLBACK:
            _add_fallback(planned, file, alone=not states)
    versions = [file for file in files if file.kind is FileKind.VERSIONS]
    if versions:
        has_truth = planned.exists
        rows = [row for file in versions for row in file.document]
        _add_versions(planned, rows, has_truth=has_truth, doubtful_active=doubtful_active)
    return planned


def _add_state(planned: PlannedState, document: dict[str, Any]) -> None:
    members = dict(document)
    planned.absent = tuple(name for name in (POSITIONS, PAIR_STATES) if name not in members)
    planned.positions = dict(members.pop(POSITIONS, {}))
    planned.pair_states = dict(members.pop(PAIR_STATES, {}))
    planned.portfolio, planned.exists = members, True
    saved_at = members.get(SAVED_AT)
    planned.saved_at = saved_at if isinstance(saved_at, str) else None
    for name in planned.positions:
        planned.add("position", name)
    for name in planned.pair_states:
        planned.add("pair_state", name)
    for name in members:
        planned.add("portfolio", name)


def _add_fallback(planned: PlannedState, file: StateFile, *, alone: bool) -> None:
    for pair, position in file.document.items():
        why = "" if alone else _older(position.get("timestamp"), planned.saved_at)
        if why:
            status = ItemStatus.SET_ASIDE if why == _OLDER else ItemStatus.LEFT_OUT
            planned.add("position", pair, status, f"{file.path.name}: {why}")
            continue
        planned.items = [item for item in planned.items if (item.kind, item.name) != ("position", pair)]
        planned.positions[pair] = position
        planned.add("position", pair, why="" if alone else f"of {file.path.name}, newer than the state file")
    planned.exists = planned.exists or bool(file.document)


def _older(timestamp: object, saved_at: str | None) -> str:
    """Return why a position does not count beside a state file; empty if it is the newer one."""
    ours, theirs = _time(timestamp), _time(saved_at)
    if ours is None or theirs is None or (ours.tzinfo is None) != (theirs.tzinfo is None):
        return "whether it or the state file is newer is unknown, for one of them has no time to compare"
    return "" if ours > theirs else _OLDER


def _time(text: object) -> datetime.datetime | None:
    if not isinstance(text, str):
        return None
    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError:
        return None


def _add_versions(
    planned: PlannedState, rows: list[dict[str, Any]], *, has_truth: bool, doubtful_active: bool | None
) -> None:
    newest = _newest(rows)
    positions = {_name(row, "position_"): row for row in newest if row["state_type"] == "position"}
    if positions and not has_truth and doubtful_active is None:
        pairs = ", ".join(sorted(positions)[:20])
        msg = (
            "a database's versions never say that a position was closed, so these may be closed: "
            f"{pairs}. Say whether they are active with --positions active, or --positions closed; or migrate the "
            "directory of the last state file together with the versions"
        )
        raise InvalidEvent(msg)
    for pair, row in positions.items():
        if has_truth:
            planned.add("position", pair, ItemStatus.SET_ASIDE, "of the database; the file says which are active")
        elif doubtful_active:
            planned.positions[pair] = row["data"]
            planned.add("position", pair, why="stated to be active")
        else:
            planned.add("position", pair, ItemStatus.SET_ASIDE, "stated to be closed")
    for row in newest:
        _add_other(planned, row, has_truth=has_truth)
    planned.exists = planned.exists or bool(planned.positions or planned.pair_states or planned.portfolio)


def _add_other(planned: PlannedState, row: dict[str, Any], *, has_truth: bool) -> None:
    match row["state_type"]:
        case "position":
            return
        case "pair_state" if not has_truth:
            name = _name(row, "pair_")
            planned.pair_states[name] = row["data"]
            planned.add("pair_state", name)
        case "portfolio" if not has_truth and isinstance(row["data"], dict):
            planned.portfolio |= row["data"]
            planned.add("portfolio", str(row["state_id"]))
        case "pair_state" | "portfolio":
            why = "of the database; the file's counts" if has_truth else "its data is not an object"
            status = ItemStatus.SET_ASIDE if has_truth else ItemStatus.LEFT_OUT
            planned.add(row["state_type"], str(row["state_id"]), status, why)
        case other:
            planned.add(str(other), str(row["state_id"]), ItemStatus.LEFT_OUT, "no manager loads states of this type")


def _newest(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the newest version of each state that is not deleted. A snapshot's rows are copies, not versions."""
    dated = []
    for number, row in enumerate(rows, 1):
        at = _time(row.get("timestamp"))
        if at is None:
            msg = f"version {number} has no valid timestamp ({row.get('timestamp')!r:.60}): its order is unknown"
            raise InvalidEvent(msg)
        # Versions are in UTC where they do not say it.
        dated.append((at if at.tzinfo else at.replace(tzinfo=datetime.UTC), number, row))
    newest: dict[tuple[object, object], dict[str, Any]] = {}
    for _, _, row in sorted(dated, key=lambda each: each[:2]):
        if row.get("operation") not in _SKIPPED_OPERATIONS and not _is_copy(row):
            newest[row["state_type"], row["state_id"]] = row
    return [row for row in newest.values() if row.get("operation") != _GONE and row["data"] is not None]


def _is_copy(row: dict[str, Any]) -> bool:
    return isinstance(row["data"], dict) and "_snapshot_id" in row["data"]


def _name(row: dict[str, Any], prefix: str) -> str:
    return str(row["state_id"]).removeprefix(prefix)
