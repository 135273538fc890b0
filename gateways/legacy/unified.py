"""The managers of older programs under their own names, each a `StateManager` with the settings these programs have."""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from eventstore import EventStore, Unavailable
from gateways.legacy import migrators, takeover
from gateways.legacy.config import POSTGRESQL, StateManagementConfig, load_config
from gateways.legacy.manager import ACCOUNT, State, StateManager
from gateways.legacy.notices import StateNotice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from eventstore import Clock

    AnyPath = str | os.PathLike[str]


class TradingStateManager(StateManager):
    """The manager of a JSON file: `TradingStateManager("state.json")` keeps it in a log beside the file."""


class UnifiedStateManager(StateManager):
    """The manager of a program with settings in config.json or in TRADING_STATE_… variables.

    The state is in `place`, by default EVENTSTORE_DATA, else `data`. With `auto_migrate`, a `legacy_state_path` that
    exists is migrated when the manager is initialized, and renamed to FILE.migrated.
    """

    def __init__(
        self,
        config_path: AnyPath | None = None,
        auto_migrate: bool = True,  # noqa: FBT001, FBT002 - as older programs give it
        legacy_state_path: AnyPath | None = None,
        *,
        place: EventStore | AnyPath | None = None,
        account: str = ACCOUNT,
        log: str = "main",
        clock: Clock | None = None,
    ) -> None:
        self.config: StateManagementConfig = load_config(config_path)
        influx = self.config.database.influx()
        super().__init__(place, account=account, log=log, influx=influx, clock=clock)
        self.auto_migrate = auto_migrate
        self.legacy_state_path = None if legacy_state_path is None else Path(legacy_state_path)

    @property
    def enhanced_manager(self) -> StateManager:
        """This manager: older ones had another one inside."""
        return self

    @override
    def health_check(self) -> bool:
        """Return whether the store answers; False where the settings enable an HTTP interface, which is not here."""
        return super().health_check() and not self.config.api.enabled

    @override
    def get_system_status(self) -> State:
        config = self.config
        return super().get_system_status() | {
            "api_enabled": config.api.enabled,
            "cache_enabled": config.cache.enabled,
            "mirrored": config.database.influx() is not None,
        }

    async def start_api_server(self) -> None:
        """Do nothing where the settings do not enable it; raise Unavailable where they do."""
        self.start_api_server_sync()

    def start_api_server_sync(self) -> None:
        """Do nothing where the settings do not enable it; raise Unavailable where they do."""
        if self.config.api.enabled:
            msg = (
                "a manager serves no HTTP interface itself: set api.enabled to false, and run `eventstore serve`, "
                "which answers the older managers' routes for the same states"
            )
            raise Unavailable(msg)

    def migrate_from_file(self, file_path: AnyPath, backup_original: bool = True) -> bool:  # noqa: FBT001, FBT002 - as older programs call it
        """Take over a JSON state file; return whether all of it is in the log now."""
        return migrators.StateMigrator(file_path, self, self.config.migration_user_id).migrate_trading_state(
            backup_original
        )

    def batch_migrate_directory(self, directory_path: AnyPath, file_pattern: str = "*.json") -> bool:
        """Take over the state that a directory's files hold together."""
        return migrators.BatchMigrator(self).migrate_directory(directory_path, file_pattern)

    def cleanup_old_states(self, days_to_keep: int | None = None) -> bool:
        """Delete nothing, say so, and return False: a log is only appended to."""
        warnings.warn(
            "cleanup_old_states deleted nothing: every state that was saved stays in the log. `eventstore archive` "
            "writes days that are over as Parquet",
            StateNotice,
            stacklevel=2,
        )
        return False

    @override
    def _begin(self) -> None:
        super()._begin()
        self._notice()
        if self.auto_migrate and self.legacy_state_path is not None and self.legacy_state_path.is_file():
            takeover.take_over(self.log, self.codec, self.legacy_state_path, renamed=True)

    def _notice(self) -> None:
        """Say which settings have no effect here, or another one."""
        if self.config.database.database_type == POSTGRESQL:
            warnings.warn(
                "database_type is postgresql: the state is kept in a log on this machine instead, and PostgreSQL is "
                "neither read nor written. To take over what it has, export its table trading_states as CSV or JSON "
                "and run `eventstore migrate FILE`",
                StateNotice,
                stacklevel=6,
            )
        if self.config.api.enabled:
            warnings.warn(
                "api.enabled is true, and a manager serves no HTTP interface itself: run `eventstore serve`",
                StateNotice,
                stacklevel=6,
            )


class StateManagerAdapter:
    """The four calls of the file manager, on another manager."""

    def __init__(self, manager: StateManager) -> None:
        self.manager = manager

    def save_trading_state(
        self,
        active_positions: Mapping[Any, Any],
        pair_states: Mapping[Any, Any],
        portfolio_data: Mapping[str, Any] | None = None,
    ) -> bool:
        return self.manager.save_trading_state(active_positions, pair_states, portfolio_data)

    def load_trading_state(self) -> State | None:
        return self.manager.load_trading_state()

    def get_portfolio_summary(self) -> State:
        return self.manager.get_portfolio_summary()

    def state_exists(self) -> bool:
        return self.manager.state_exists()


_managers: dict[tuple[object, ...], UnifiedStateManager] = {}
_managers_lock = threading.Lock()


def get_state_manager(
    config_path: AnyPath | None = None,
    auto_migrate: bool = True,  # noqa: FBT001, FBT002 - as older programs give it
    legacy_state_path: AnyPath | None = None,
) -> UnifiedStateManager:
    """Return the process's manager with these settings, initialized; the same one each time."""
    data = os.environ.get("EVENTSTORE_DATA", "")
    key = (
        os.getpid(),
        *(None if path is None else os.path.realpath(path) for path in (config_path, legacy_state_path)),
    )
    with _managers_lock:
        manager = _managers.get((*key, os.path.realpath(data)))
        if manager is None:
            manager = UnifiedStateManager(config_path, auto_migrate, legacy_state_path)
            _managers[*key, os.path.realpath(data)] = manager
    manager.initialize()
    return manager


@contextlib.asynccontextmanager
async def state_manager_context(config_path: AnyPath | None = None) -> AsyncIterator[UnifiedStateManager]:
    """Yield an initialized manager, and shut it down at the end."""
    with UnifiedStateManager(config_path) as manager:
        yield manager


def create_backward_compatible_manager(state_file_path: AnyPath | None = None) -> StateManagerAdapter:
    """Return the file manager's calls on the process's manager, which takes over the file if it exists."""
    return StateManagerAdapter(get_state_manager(legacy_state_path=state_file_path))


def migrate_legacy_system(legacy_state_path: AnyPath, config_path: AnyPath | None = None) -> bool:
    """Take over a JSON state file, or a directory of them; return whether all of it is in the log now."""
    with UnifiedStateManager(config_path, auto_migrate=False) as manager:
        if Path(legacy_state_path).is_dir():
            return manager.batch_migrate_directory(legacy_state_path)
        return manager.migrate_from_file(legacy_state_path)
