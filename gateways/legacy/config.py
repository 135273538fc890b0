"""The settings of older state managers: config.json if its path is given and it exists, else TRADING_STATE_… variables.

Never mixed. A file that cannot be read, or that has a setting that is not one, is refused: with the defaults in its
place, a program would silently keep its state elsewhere.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from typing_extensions import override

from eventstore import InfluxSettings, InvalidEvent
from eventstore.errors import shown
from gateways.legacy.notices import StateNotice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX = "TRADING_STATE_"
INFLUXDB, POSTGRESQL = "influxdb", "postgresql"


class DatabaseConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where older managers kept the state. Of it, InfluxDB gets a copy of the log if a token is set."""

    database_type: str = INFLUXDB
    influxdb_url: str = "http://localhost:8086"
    influxdb_token: str = ""
    influxdb_org: str = "trading-org"
    influxdb_bucket: str = "trading-states"
    postgresql_host: str = "localhost"
    postgresql_port: int = 5432
    postgresql_database: str = "trading_states"
    postgresql_username: str = "postgres"
    postgresql_password: str = ""
    connection_timeout: int = 30
    retry_attempts: int = 3
    retry_delay: float = 1.0

    def get_connection_config(self) -> dict[str, Any]:
        """Return what the database of this type is reached by."""
        if self.database_type == POSTGRESQL:
            names = ("host", "port", "database", "username", "password")
            return {name: getattr(self, f"postgresql_{name}") for name in names}
        return {name: getattr(self, f"influxdb_{name}") for name in ("url", "token", "org", "bucket")}

    def influx(self) -> InfluxSettings | None:
        """Return the settings of the mirror; None without a token, or where the database is another one."""
        if self.database_type != INFLUXDB or not self.influxdb_token:
            return None
        return InfluxSettings(
            url=self.influxdb_url,
            org=self.influxdb_org,
            bucket=self.influxdb_bucket,
            token=self.influxdb_token,
            timeout_seconds=float(self.connection_timeout),
        )

    @override
    def __repr__(self) -> str:
        return f"<DatabaseConfig {self.database_type}>"

    @override
    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # Never the token or the password.
        return [("database_type", self.database_type)]


class APIConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The HTTP interface of older managers; here `eventstore serve` has its routes, with settings of its own."""

    enabled: bool = False
    host: str = "0.0.0.0"  # noqa: S104 - the older programs' default; nothing is bound to it
    port: int = 8000
    cors_origins: list[str] = msgspec.field(default_factory=lambda: ["*"])
    api_key: str | None = None
    rate_limit_per_minute: int = 100

    @override
    def __repr__(self) -> str:
        return f"<APIConfig {'enabled' if self.enabled else 'disabled'}>"


class CacheConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The cache of older managers; here the newest state is kept in memory in any case."""

    enabled: bool = True
    ttl_seconds: int = 300
    max_size: int = 1000
    cleanup_interval: int = 60


class StateManagementConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """All settings of an older state manager."""

    database: DatabaseConfig = msgspec.field(default_factory=DatabaseConfig)
    api: APIConfig = msgspec.field(default_factory=APIConfig)
    cache: CacheConfig = msgspec.field(default_factory=CacheConfig)
    enable_validation: bool = True
    enable_file_fallback: bool = True
    fallback_directory: str = "./state_fallback"
    log_level: str = "WARNING"
    backup_retention_days: int = 30
    migration_batch_size: int = 100
    migration_user_id: str = "system_migration"


class _Variable(NamedTuple):
    section: str
    name: str
    parse: Callable[[str], Any]


def _is_true(text: str) -> bool:
    # As in the older programs: any other word is false.
    return text.strip().lower() == "true"


def _origins(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


_VARIABLES = {
    "DB_TYPE": _Variable("database", "database_type", str),
    **{f"INFLUXDB_{n.upper()}": _Variable("database", f"influxdb_{n}", str) for n in ("url", "token", "org", "bucket")},
    "POSTGRES_HOST": _Variable("database", "postgresql_host", str),
    "POSTGRES_PORT": _Variable("database", "postgresql_port", int),
    "POSTGRES_DB": _Variable("database", "postgresql_database", str),
    "POSTGRES_USER": _Variable("database", "postgresql_username", str),
    "POSTGRES_PASSWORD": _Variable("database", "postgresql_password", str),
    "CONNECTION_TIMEOUT": _Variable("database", "connection_timeout", int),
    "RETRY_ATTEMPTS": _Variable("database", "retry_attempts", int),
    "RETRY_DELAY": _Variable("database", "retry_delay", float),
    "API_ENABLED": _Variable("api", "enabled", _is_true),
    "API_HOST": _Variable("api", "host", str),
    "API_PORT": _Variable("api", "port", int),
    "API_CORS_ORIGINS": _Variable("api", "cors_origins", _origins),
    "API_KEY": _Variable("api", "api_key", str),
    "API_RATE_LIMIT": _Variable("api", "rate_limit_per_minute", int),
    "CACHE_ENABLED": _Variable("cache", "enabled", _is_true),
    "CACHE_TTL": _Variable("cache", "ttl_seconds", int),
    "CACHE_MAX_SIZE": _Variable("cache", "max_size", int),
    "CACHE_CLEANUP_INTERVAL": _Variable("cache", "cleanup_interval", int),
    "ENABLE_VALIDATION": _Variable("", "enable_validation", _is_true),
    "ENABLE_FILE_FALLBACK": _Variable("", "enable_file_fallback", _is_true),
    "FALLBACK_DIR": _Variable("", "fallback_directory", str),
    "LOG_LEVEL": _Variable("", "log_level", str),
    "BACKUP_RETENTION_DAYS": _Variable("", "backup_retention_days", int),
    "MIGRATION_BATCH_SIZE": _Variable("", "migration_batch_size", int),
    "MIGRATION_USER_ID": _Variable("", "migration_user_id", str),
}


def load_config(
    config_path: str | os.PathLike[str] | None = None,
    env_prefix: str = PREFIX,
    *,
    environment: Mapping[str, str] | None = None,
) -> StateManagementConfig:
    """Return the settings of a file that is given and exists, else those of the environment's variables.

    Raises InvalidEvent for a file that is not JSON, for a setting that is unknown and for a value of another type.
    """
    path = None if config_path is None else Path(config_path)
    if path is not None and path.exists():
        config = _of_file(path)
    else:
        config = _of_variables(os.environ if environment is None else environment, env_prefix)
    if config.database.database_type not in {INFLUXDB, POSTGRESQL}:
        found = shown(config.database.database_type)
        msg = f"database_type {found} is unknown: it is {INFLUXDB} or {POSTGRESQL}, as older state managers had it"
        raise InvalidEvent(msg)
    return config


def _of_file(path: Path) -> StateManagementConfig:
    try:
        return msgspec.json.decode(path.read_bytes(), type=StateManagementConfig)
    except OSError as e:
        msg = f"{path} cannot be read: {e.strerror}"
        raise InvalidEvent(msg) from e
    except msgspec.MsgspecError as e:
        msg = f"{path}: {e}. Correct it: with the defaults the state would be kept elsewhere"
        raise InvalidEvent(msg) from e


def _of_variables(environment: Mapping[str, str], prefix: str) -> StateManagementConfig:
    found: dict[str, dict[str, Any]] = {"database": {}, "api": {}, "cache": {}, "": {}}
    for key, text in environment.items():
        if not key.startswith(prefix):
            continue
        variable = _VARIABLES.get(key.removeprefix(prefix))
        if variable is None:
            known = ", ".join(prefix + name for name in _VARIABLES)
            warnings.warn(f"{key} is not a setting: the settings are {known}", StateNotice, stacklevel=4)
            continue
        found[variable.section][variable.name] = _parsed(key, text, variable)
    top = found.pop("")
    return msgspec.convert(found | top, StateManagementConfig)


def _parsed(key: str, text: str, variable: _Variable) -> Any:  # noqa: ANN401 - a setting's value
    try:
        return variable.parse(text)
    except ValueError as e:
        msg = f"{key} is {shown(text)}, which is not a number"
        raise InvalidEvent(msg) from e
