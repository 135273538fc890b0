"""Migration as older programs call it: `StateMigrator`, `BatchMigrator`, `validate_migration`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventstore import InvalidEvent
from gateways.legacy import state_plans
from gateways.legacy.config import INFLUXDB
from gateways.legacy.enhanced import create_enhanced_trading_state_manager
from gateways.legacy.reports import ItemStatus, MigrationReport
from gateways.legacy.state_files import PAIR_STATES, POSITIONS, StateFile, UnreadableState, is_copy, read_state_file
from gateways.legacy.state_migration import differences, migrate_states, wanted_of
from gateways.legacy.summaries import iso

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from gateways.legacy.manager import StateManager

    AnyPath = str | os.PathLike[str]


class StateMigrator:
    """Migrates one JSON state file into a manager's state, and reports each item."""

    def __init__(self, source_file_path: AnyPath, target_manager: StateManager, user_id: str = "migration") -> None:
        self.path, self.manager, self.user_id = Path(source_file_path), target_manager, user_id
        self.report: MigrationReport | None = None
        self._at = ""

    def migrate_trading_state(self, backup_original: bool = True) -> bool:  # noqa: FBT001, FBT002 - as older programs call it
        """Migrate the file and mark a snapshot; return whether nothing was left out. A file without a state has none.

        Raises UnreadableState for a file that is cut off, NewerState where the log has a state of its own.
        """
        report = migrate_states(
            self.manager.log,
            self.manager.codec,
            [read_state_file(self.path)],
            user_id=self.user_id,
            backup=backup_original,
        )
        self.report, self._at = report, iso(self.manager.store.clock.now_ns())
        if report.added:
            self.manager.create_snapshot(f"migrated {self.path.name}")
        return report.complete

    def get_migration_report(self) -> dict[str, Any]:
        """Return counts, the share of success from 0 to 1, and each item."""
        items = () if self.report is None else self.report.items
        failed = sum(item.status is ItemStatus.LEFT_OUT for item in items)
        log = []
        for item in items:
            status = "failed" if item.status is ItemStatus.LEFT_OUT else "success"
            log.append(
                {"type": item.kind, "pair": item.name, "status": status, "timestamp": self._at, "reason": item.why}
            )
        return {
            "total_items": len(items),
            "successful_items": len(items) - failed,
            "failed_items": failed,
            "success_rate": (len(items) - failed) / len(items) if items else 1.0,
            "migration_log": log,
            "source_file": str(self.path),
            "migration_time": self._at,
        }


class BatchMigrator:
    """Migrates the files of a directory, which hold one state together."""

    def __init__(self, target_manager: StateManager) -> None:
        self.manager = target_manager
        self.report: MigrationReport | None = None

    def migrate_directory(self, directory_path: AnyPath, file_pattern: str = "*.json") -> bool:
        """Migrate the files of a directory whose names match; return whether nothing was left out."""
        found = _read_directory(Path(directory_path), file_pattern)
        self.report = migrate_states(self.manager.log, self.manager.codec, found)
        return self.report.complete


def _read_directory(directory: Path, pattern: str) -> list[StateFile]:
    """Return the state files of a directory; copies that older programs made of them, and other files, are none."""
    if not directory.is_dir():
        msg = f"{directory} is not a directory"
        raise InvalidEvent(msg)
    found = []
    for path in sorted(path for path in directory.glob(pattern) if path.is_file() and not is_copy(path)):
        try:
            found.append(read_state_file(path))
        except UnreadableState as e:
            if not e.is_other:
                raise
    return found


def migrate_existing_state(
    source_file_path: AnyPath,
    database_type: str = INFLUXDB,
    database_config: Mapping[str, Any] | None = None,
    backup_original: bool = True,  # noqa: FBT001, FBT002 - as older programs call it
) -> bool:
    """Migrate a file into the default place; return whether nothing was left out."""
    with create_enhanced_trading_state_manager(database_type, database_config) as manager:
        return StateMigrator(source_file_path, manager).migrate_trading_state(backup_original)


def validate_migration(source_file_path: AnyPath, target_manager: StateManager) -> dict[str, Any]:
    """Compare a file with a manager's state, every member of it."""
    file = read_state_file(Path(source_file_path))
    wanted = wanted_of(target_manager.codec, state_plans.plan([file], doubtful_active=True))
    issues = list(differences(target_manager.log, wanted))
    state = target_manager.load_trading_state() or {}
    source = file.document if isinstance(file.document, dict) else {}
    found = {
        "position_count_source": len(source.get(POSITIONS, {})),
        "position_count_target": len(state.get(POSITIONS, {})),
        "pair_count_source": len(source.get(PAIR_STATES, {})),
        "pair_count_target": len(state.get(PAIR_STATES, {})),
    }
    message = f"{len(issues)} differences" if issues else "the state in the log equals the file's"
    return {"valid": not issues, "message": message, "issues": issues} | found
