"""A path is a local path: a URL, a Windows drive and an empty path are refused, and no folder is created."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import eventstore
import projections
from eventstore import EventStore, InvalidEvent, Unavailable
from eventstore.locations import local_path, scheme_of

URLS = [
    "mysql+pymysql://host/db",
    "sqlite:///tmp/x.db",
    "sqlite:x.db",
    "file:///tmp/x",
    "http://influx:8086",
    "HTTPS://influx:8086",
    "s3://bucket/log",
    "foo://bar",
    ":memory:",
]
OF_POSTGRES = [
    "postgresql://user:hunter2@host/db?log=main",
    "postgres://host/db",
    "postgresql:/host/db",
    " postgresql://host/db",
]
"""What opens a log, but is a place for no file."""
DRIVES = ["C:\\data", "c:/data", "D:"]
NO_PATHS: list[Any] = ["", "  ", None, 5, b"data", "a\0b"]
PATHS = ["data", "a:b", "2025:11", "back:monday/x", "/a/postgresql:/x", "x/http://y", "dätä", "~x"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change into an empty directory, in which a wrong name would become a folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("given", [*URLS, *DRIVES, *NO_PATHS], ids=repr)
def test_opening_what_is_not_a_directory_is_refused_and_creates_nothing(here: Path, given: Any) -> None:  # noqa: ANN401 - that is the test
    with pytest.raises(InvalidEvent, match="a directory on this machine") as caught:
        eventstore.open(given)
    assert "hunter2" not in str(caught.value)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    "given", ["postgresql:/host/db", "postgres:host/db", "postgresql:", "postgresql://host/db?=x&log"]
)
def test_half_a_url_of_postgresql_is_refused(here: Path, given: str) -> None:
    with pytest.raises(InvalidEvent, match="not a URL of PostgreSQL"):
        eventstore.open(given)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    "given",
    [
        "postgresql://me:hunter2%@127.0.0.1:1/db",
        "postgresql://me:hunter2%zz@127.0.0.1:1/db?log=main",
        "postgresql://me:hunter2@127.0.0.1:port/db",
        "postgresql://me:hunter2@127.0.0.1:0/db",
        "postgresql://me:hunter2@[::1]:65536/db",
        "postgresql://me:hunter2@127.0.0.1:1,127.0.0.2:x/db",
    ],
)
def test_a_password_or_port_that_libpq_cannot_read_is_refused_without_showing_it(here: Path, given: str) -> None:
    with pytest.raises(InvalidEvent, match="not a URL of PostgreSQL") as caught:
        eventstore.open(given)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("given", ["nonsense=1", "connect_timeout=soon"])
def test_a_parameter_that_libpq_does_not_know_is_named_as_what_is_wrong(here: Path, given: str) -> None:
    with pytest.raises(InvalidEvent, match=f"{given.partition('=')[0]}.*: correct the URL") as caught:
        eventstore.open(f"postgresql://me:hunter2@127.0.0.1:1/db?log=main&{given}")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("given", ["127.0.0.1:1", "[::1]:1", "127.0.0.1:1,[::1]:00002"])
def test_a_server_that_is_away_is_unavailable(here: Path, given: str) -> None:
    with pytest.raises(Unavailable, match="cannot be reached") as caught:
        eventstore.open(f"postgresql://me:hunter%32@{given}/db")
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize("url", [*URLS, *OF_POSTGRES])
def test_a_url_keeps_being_one_as_a_path(here: Path, url: str) -> None:
    with pytest.raises(InvalidEvent, match="cannot be at a URL"):
        eventstore.open(Path(url))
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("given", [*URLS, *OF_POSTGRES, *DRIVES])
def test_neither_a_copy_nor_snapshots_are_put_there(here: Path, store: EventStore, given: str) -> None:
    before = set(here.rglob("*"))
    calls: list[Callable[[], object]] = [
        lambda: store.backup(given),
        lambda: projections.open(store, snapshots=given),
        lambda: projections.Snapshots(given),
    ]
    for call in calls:
        with pytest.raises(InvalidEvent, match="cannot be"):
            call()
    assert set(here.rglob("*")) == before


@pytest.mark.parametrize("path", PATHS)
def test_an_unusual_name_is_a_path_all_the_same(path: str) -> None:
    assert local_path(path) == Path(path)
    assert scheme_of(path) == ""


def test_a_directory_with_a_schemes_name_opens_by_a_path(here: Path) -> None:
    for given in ("./file:/x", here / "http:"):
        with eventstore.open(given) as store, projections.open(store) as book:
            book.snapshot()
            assert store.directory is not None
            assert store.directory.is_dir()
    assert sorted(path.name for path in here.iterdir()) == ["file:", "http:"]


@pytest.mark.parametrize("given", ["postgresql://user:hunter2@host/db", "data", "", "C:\\x", "influx:8086"])
def test_connecting_to_an_invalid_address_is_refused(given: str) -> None:
    with pytest.raises(InvalidEvent, match=r"http:// or https://: eventstore\.open opens a directory") as caught:
        eventstore.connect(given)
    assert "hunter2" not in str(caught.value)
