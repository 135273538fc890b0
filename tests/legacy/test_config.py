"""The settings of older managers: where they come from, what is refused, and that no secret is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eventstore import InvalidEvent
from gateways.legacy import StateNotice, load_config

FILE = {
    "database": {"database_type": "influxdb", "influxdb_token": "of-file", "retry_delay": 2},
    "api": {"enabled": True, "cors_origins": ["https://a"], "api_key": "k"},
    "cache": {"enabled": False, "ttl_seconds": 5},
    "fallback_directory": "elsewhere",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(FILE))
    return path


def test_a_file_that_exists_counts_alone(file: Path) -> None:
    config = load_config(file, environment={"TRADING_STATE_CACHE_TTL": "9", "TRADING_STATE_LOG_LEVEL": "DEBUG"})
    assert (config.database.influxdb_token, config.database.retry_delay, config.cache.ttl_seconds) == ("of-file", 2, 5)
    assert (config.api.enabled, config.api.cors_origins, config.cache.enabled) == (True, ["https://a"], False)
    assert (config.fallback_directory, config.log_level) == ("elsewhere", "WARNING")


def test_without_a_file_the_variables_count(tmp_path: Path) -> None:
    given = {
        "TRADING_STATE_DB_TYPE": "postgresql",
        "TRADING_STATE_POSTGRES_DB": "states",
        "TRADING_STATE_POSTGRES_PORT": "6000",
        "TRADING_STATE_POSTGRES_PASSWORD": "secret",
        "TRADING_STATE_API_ENABLED": "TRUE",
        "TRADING_STATE_CACHE_ENABLED": "yes",
        "TRADING_STATE_API_CORS_ORIGINS": "https://a, https://b",
        "TRADING_STATE_FALLBACK_DIR": "fallback",
        "OTHER": "x",
    }
    config = load_config(tmp_path / "missing.json", environment=given)
    assert config.database.get_connection_config() == {
        "host": "localhost", "port": 6000, "database": "states", "username": "postgres", "password": "secret",
    }  # fmt: skip
    # Only the word true is true.
    assert (config.api.enabled, config.cache.enabled) == (True, False)
    assert (config.api.cors_origins, config.fallback_directory) == (["https://a", "https://b"], "fallback")
    assert config.database.influx() is None


def test_the_defaults() -> None:
    config = load_config(environment={})
    assert config.database.get_connection_config() == {
        "url": "http://localhost:8086", "token": "", "org": "trading-org", "bucket": "trading-states",
    }  # fmt: skip
    assert (config.api.enabled, config.api.port, config.cache.ttl_seconds) == (False, 8000, 300)
    assert (config.migration_user_id, config.backup_retention_days) == ("system_migration", 30)


def test_influxdb_is_used_where_there_is_a_token() -> None:
    settings = load_config(environment={"TRADING_STATE_INFLUXDB_TOKEN": "secret"}).database.influx()
    assert settings is not None
    assert (settings.url, settings.org, settings.bucket, settings.token) == (
        "http://localhost:8086", "trading-org", "trading-states", "secret",
    )  # fmt: skip
    assert settings.timeout_seconds == 30


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ('{"database": {"influxdb_tokn": "x"}}', "influxdb_tokn"),
        ('{"databse": {}}', "databse"),
        ('{"cache": {"ttl_seconds": "five"}}', "ttl_seconds"),
        ('{"database": {"influxdb_url"', "truncated"),
        ("", "truncated"),
        ('{"database": {"database_type": "mongodb"}}', "database_type 'mongodb' is unknown"),
    ],
)
def test_a_file_with_errors_is_refused_and_never_read_as_the_defaults(tmp_path: Path, content: str, named: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(InvalidEvent, match=named):
        load_config(path)


def test_a_directory_is_not_a_file_of_settings(tmp_path: Path) -> None:
    with pytest.raises(InvalidEvent, match="cannot be read"):
        load_config(tmp_path)


def test_a_variable_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(InvalidEvent, match="TRADING_STATE_CACHE_TTL is 'long', which is not a number"):
        load_config(environment={"TRADING_STATE_CACHE_TTL": "long"})


def test_a_misspelt_variable_is_named() -> None:
    with pytest.warns(StateNotice, match="TRADING_STATE_INFLUX_TOKEN is not a setting"):
        load_config(environment={"TRADING_STATE_INFLUX_TOKEN": "x"})


def test_no_secret_is_shown() -> None:
    config = load_config(environment={"TRADING_STATE_INFLUXDB_TOKEN": "secret-1", "TRADING_STATE_API_KEY": "secret-2"})
    assert "secret" not in repr(config)
    assert "secret" not in str(config.database.__rich_repr__())
