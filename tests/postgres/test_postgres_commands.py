"""Commands on a log in PostgreSQL, by its URL as --data; and URLs that name no log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import eventstore
from eventstore import InvalidEvent, NoSuchLog, ReadOnly, Unavailable
from eventstore.events import REPLICATED, SYNCED
from eventstore.journals.postgres import Location
from eventstore.locations import scheme_of
from tests.cli.command import Ended, run_here
from tests.store.facts import ORDER, rejected

PASSWORD = "hunter2"


def done(*words: str) -> Ended:
    result = run_here(*words)
    assert result.code == 0, result.err
    return result


def test_a_log_is_appended_read_verified_and_looked_at(postgres_url: str) -> None:
    data = ("--data", postgres_url)
    done("append", ORDER, "OrderRejected", '{"reason":"x"}', "--key", "k", *data)
    done("append", ORDER, "OrderRejected", '{"reason":"x"}', "--key", "k", *data)
    [line] = done("read", "--json", *data).out.splitlines()
    assert json.loads(line)["position"] == 1
    assert json.loads(done("verify", "--json", *data).out)["ok"]
    assert "at position 1" in done("state", *data).out
    assert "bytes on the server" in done("stats", *data).out
    assert json.loads(done("stats", "--json", *data).out)["bytes"] > 50_000
    assert "each commit SYNCED" in done("doctor", *data).out
    assert "each commit only read here" in done("doctor", "--read-only", *data).out
    with eventstore.open(postgres_url, read_only=True) as store:
        assert store.head() == 1


def test_commands_find_no_log_where_there_is_none_and_create_none(postgres_url: str) -> None:
    for words in (("read",), ("verify",), ("state",), ("mark", "x"), ("doctor",)):
        result = run_here(*words, "--data", postgres_url)
        assert result.code == 2
        assert "there is no log main" in result.err
    with pytest.raises(NoSuchLog):
        eventstore.open(postgres_url, read_only=True)


def test_what_needs_a_directory_says_so(postgres_url: str, tmp_path: Path) -> None:
    eventstore.open(postgres_url).close()
    for words in (("restore", "--from-influx"), ("migrate", str(tmp_path / "state.json"))):
        result = run_here(*words, "--data", postgres_url)
        assert result.code == 2
        assert "give --data DIR" in result.err


def test_no_message_repeats_a_password(tmp_path: Path) -> None:
    # Nothing listens there.
    url = f"postgresql://me:{PASSWORD}@127.0.0.1:1/db?connect_timeout=1"
    for words in (("read",), ("doctor",), ("backup", str(tmp_path / "x")), ("verify", "--json")):
        result = run_here(*words, "--data", url)
        assert result.code == 2
        assert PASSWORD not in result.out + result.err
    for given in (url, f"{url}&log=a/b", f"{url}&durability=both", f"{url}&schema=a b", f"{url}&log=a&log=b"):
        with pytest.raises((Unavailable, InvalidEvent)) as caught:
            eventstore.open(given)
        assert PASSWORD not in str(caught.value)
    assert PASSWORD not in repr(Location.of(url))


def test_what_is_read_only_takes_no_append(postgres_url: str) -> None:
    with eventstore.open(postgres_url) as store:
        store.append(ORDER, rejected())
    with eventstore.open(postgres_url, read_only=True) as store:
        assert store.read_only
        with pytest.raises(ReadOnly, match="log main was opened read-only"):
            store.append(ORDER, rejected())
        assert store.verify().checked == 1


def test_what_is_the_stores_own_is_taken_out_of_a_url() -> None:
    found: Location = Location.of("postgres://u@h1:1,h2:2/d?sslmode=require&log=desk&durability=REPLICATED&schema=own")
    assert tuple(found) == ("postgresql://u@h1:1,h2:2/d?sslmode=require", "desk", "own", REPLICATED)
    assert Location.of(found.url) == found
    assert tuple(Location.of("postgresql://h/d")) == ("postgresql://h/d", "main", "eventstore_main", None)
    assert Location.of("postgresql://h/d?durability=synced").durability is SYNCED
    assert Location.of("postgresql://h/d", "desk").log == "desk"
    assert Location.of("postgresql://h/d?log=desk", "desk").log == "desk"
    with pytest.raises(InvalidEvent, match="names log 'desk', and log='main'"):
        eventstore.open("postgresql://h/d?log=desk", log="main")


def test_each_host_of_a_url_is_a_location_that_shows_no_password() -> None:
    location = Location.of(f"postgresql://me:{PASSWORD}@a:1,b,c:3/d?sslmode=require&log=desk")
    hosts = location.hosts()
    rest = "d?sslmode=require"
    assert [each.uri for each in hosts] == [f"postgresql://me:{PASSWORD}@{host}/{rest}" for host in ("a:1", "b", "c:3")]
    assert {each.log for each in hosts} == {"desk"}
    assert not any(PASSWORD in f"{each} {each!r}" for each in (location, *hosts))
    only = Location.of("postgresql:///d?host=/run/postgresql")
    assert only.hosts() == [only]


def test_a_long_name_has_a_schema_that_no_other_has() -> None:
    first, second = ("x" * 63 + end for end in "ab")
    schemas = {Location.of("postgresql://h/d", name).schema for name in (first, second)}
    assert len(schemas) == 2
    assert all(len(schema) == 63 for schema in schemas)


def test_a_url_is_not_a_path() -> None:
    assert scheme_of("postgresql://h/d") == "postgresql"
    with pytest.raises(InvalidEvent, match="cannot be at a URL"):
        eventstore.open(Path("postgresql://h/d"))


def test_what_a_log_is_from_its_creation_it_stays(postgres_url: str) -> None:
    eventstore.open(postgres_url).close()
    with pytest.raises(InvalidEvent, match="is SYNCED from its creation, not REPLICATED"):
        eventstore.open(f"{postgres_url}&durability=replicated")
    with eventstore.open(f"{postgres_url}&durability=synced") as store:
        with pytest.raises(Unavailable, match="REPLICATED waits for a PostgreSQL standby"):
            store.append(ORDER, rejected(), durability=REPLICATED)
        assert store.head() == 0
