"""`EnhancedTradingStateManager`: the manager of a database, as older programs make it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventstore import InvalidEvent
from eventstore.errors import shown
from gateways.legacy.config import INFLUXDB, POSTGRESQL, DatabaseConfig
from gateways.legacy.manager import ACCOUNT, StateManager
from gateways.legacy.notices import StateNotice

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from eventstore import EventStore, InfluxSettings

    AnyPath = str | os.PathLike[str]


class EnhancedTradingStateManager(StateManager):
    """The manager of a database: `database_config` has InfluxDB's url, token, org and bucket.

    InfluxDB gets a copy of the log if there is a token. The file named by `fallback_file_path` is taken over if nothing
    is saved yet.
    """

    def __init__(
        self,
        database_type: str = INFLUXDB,
        database_config: Mapping[str, Any] | None = None,
        fallback_file_path: AnyPath | None = None,
        enable_file_fallback: bool = True,  # noqa: FBT001, FBT002 - as older programs give it
        *,
        place: EventStore | AnyPath | None = None,
        account: str = ACCOUNT,
    ) -> None:
        self.database_type = database_type
        super().__init__(place, account=account, influx=_influx_of(database_type, database_config or {}))
        if fallback_file_path is not None and enable_file_fallback:
            self.file = Path(fallback_file_path)


def _influx_of(database_type: str, given: Mapping[str, Any]) -> InfluxSettings | None:
    if database_type == POSTGRESQL:
        warnings.warn("postgresql is neither read nor written: the state is kept in a log", StateNotice, stacklevel=4)
        return None
    if database_type != INFLUXDB:
        msg = f"database_type {shown(database_type)} is unknown: it is {INFLUXDB} or {POSTGRESQL}"
        raise InvalidEvent(msg)
    names = ("url", "token", "org", "bucket")
    if unknown := sorted({*given} - {*names}):
        msg = f"database_config has {shown(unknown[0])}, and its members are {', '.join(names)}"
        raise InvalidEvent(msg)
    config = DatabaseConfig()
    for name, value in given.items():
        setattr(config, f"influxdb_{name}", str(value))
    return config.influx()


def create_enhanced_trading_state_manager(
    database_type: str = INFLUXDB,
    database_config: Mapping[str, Any] | None = None,
    fallback_file_path: AnyPath | None = None,
) -> EnhancedTradingStateManager:
    """Return an initialized manager."""
    manager = EnhancedTradingStateManager(database_type, database_config, fallback_file_path)
    manager.initialize()
    return manager
