"""Rotated logs in PostgreSQL: what keeps the next one from its place, what lies where, and what lies beside it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import eventstore
import projections
from eventstore import InvalidEvent, LogHasEnded, Overloaded, ReadOnly, TargetExists, Unavailable, migration
from eventstore.journals.postgres import Location
from eventstore.side import FencedMarks, LogSide
from eventstore.trading import LogEnded, OrderCanceled, OrderSubmitted
from eventstore.watermarks import Watermark
from projections import Book
from projections.risk.policies import Decision, Trigger
from projections.rotation import rotate
from projections.shares import SHARES
from tests.cli.command import run_here
from tests.places import named
from tests.postgres.desks import Desk
from tests.postgres.following import LockEvery
from tests.postgres.rotated import executed, schemas
from tests.postgres.servers import PostgresServer
from tests.reliability.checking import WAIT_SECONDS
from tests.rotation.facts import SUBMITTED
from tests.rotation.logs import begun, check
from tests.waiting import until

ROLE = "rotating"


@pytest.fixture
def url(postgres_url: str) -> str:
    """The URL of a log of four records."""
    return begun(postgres_url)


# What keeps a rotation from its place


def test_a_role_that_may_make_no_schema_learns_which_right_it_lacks(postgres: PostgresServer, url: str) -> None:
    location = Location.of(url)
    postgres.execute(f"CREATE ROLE {ROLE} LOGIN")
    try:
        everything = f"ALL ON ALL TABLES IN SCHEMA {location.schema}"
        executed(url, f"GRANT {everything} TO {ROLE}", f"GRANT USAGE ON SCHEMA {location.schema} TO {ROLE}")
        parts = urlsplit(url)
        as_role = parts._replace(netloc=f"{ROLE}@{parts.netloc.rpartition('@')[2]}").geturl()
        with eventstore.open(as_role) as store:
            with pytest.raises(ReadOnly, match=f'GRANT CREATE ON DATABASE "postgres" TO "{ROLE}", or CREATE SCHEMA'):
                rotate(store)
            store.append("order/A/O-1", OrderCanceled(), key="on")
            executed(url, f'CREATE SCHEMA "{location.schema}.2" AUTHORIZATION {ROLE}')
            assert rotate(store).next == "main.2"
        for each in (as_role, url):
            with eventstore.open(each) as store:
                check(store)
    finally:
        executed(url, f"DROP OWNED BY {ROLE} CASCADE", f"DROP ROLE {ROLE}")


def test_who_may_use_a_log_may_use_the_next_one(postgres: PostgresServer, url: str) -> None:
    location, parts = Location.of(url), urlsplit(url)
    roles = ("reading", "appending", "locked_out")
    for role in roles:
        postgres.execute(f"CREATE ROLE {role} LOGIN")
    try:
        tables = f"ALL TABLES IN SCHEMA {location.schema}"
        executed(url, f"GRANT USAGE ON SCHEMA {location.schema} TO {', '.join(roles)}")
        executed(url, f"GRANT SELECT ON {tables} TO reading", f"GRANT ALL ON {tables} TO appending")
        with eventstore.open(url) as store:
            rotate(store)
        reading, appending, locked_out = (
            parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}").geturl() for role in roles
        )
        with eventstore.open(appending) as store:
            assert store.log == "main.2"
            store.append("order/A/O-1", OrderCanceled(), key="on")
            check(store)
        with eventstore.open(reading, read_only=True) as store:
            assert (store.log, store.verify().ok) == ("main.2", True)
        with eventstore.open(reading) as store, pytest.raises(ReadOnly, match="permission denied"):
            store.append("order/A/O-1", OrderCanceled())
        with pytest.raises(ReadOnly, match="permission denied"):
            eventstore.open(named(locked_out, "main.2"), read_only=True)
    finally:
        for role in roles:
            executed(url, f"DROP OWNED BY {role} CASCADE", f"DROP ROLE {role}")


def test_a_log_of_the_next_ones_name_that_may_not_be_read_is_ignored(postgres: PostgresServer, url: str) -> None:
    location = Location.of(url)
    eventstore.open(named(url, "main.2"), log="main.2").close()
    postgres.execute(f"CREATE ROLE {ROLE} LOGIN")
    try:
        executed(url, f"GRANT ALL ON ALL TABLES IN SCHEMA {location.schema} TO {ROLE}")
        executed(url, f"GRANT USAGE ON SCHEMA {location.schema} TO {ROLE}")
        parts = urlsplit(url)
        with eventstore.open(parts._replace(netloc=f"{ROLE}@{parts.netloc.rpartition('@')[2]}").geturl()) as store:
            assert (store.log, store.head()) == ("main", 4)
    finally:
        executed(url, f"DROP OWNED BY {ROLE} CASCADE", f"DROP ROLE {ROLE}")


def test_a_schema_that_others_use_is_left_alone(url: str) -> None:
    schema = f"{Location.of(url).schema}.2"
    executed(url, f'CREATE SCHEMA "{schema}"', f'CREATE TABLE "{schema}".mark (name text)')
    with eventstore.open(url) as store:
        with pytest.raises(TargetExists, match=r"\.2\" of log main\.2 .* has mark"):
            rotate(store)
        assert rotate(store, name="next").next == "next"
    with eventstore.open(url) as store:
        assert store.log == "next"


def test_nothing_is_rotated_while_workers_of_a_group_run(desk: Desk) -> None:
    desk.submit(5)
    desk.worker("a")
    with pytest.raises(Overloaded, match="workers of a group run on log main"):
        rotate(desk.store)
    assert desk.store.log not in {record.log for record in desk.store.read(types=LogEnded)}


def test_a_log_that_was_rotated_is_not_moved(url: str, tmp_path: Path) -> None:
    with eventstore.open(url) as store:
        rotate(store)
    for log in ("main", "main.2"):
        with pytest.raises(InvalidEvent, match="was rotated"):
            migration.migrate(named(url, log), tmp_path / "moved")
    assert not (tmp_path / "moved").exists()


# What lies where


def test_a_next_log_that_is_gone_is_not_begun_again(url: str) -> None:
    with eventstore.open(url) as store:
        rotate(store)
    schema = f"{Location.of(url).schema}.2"
    executed(url, f'ALTER SCHEMA "{schema}" RENAME TO "{schema}_away"')
    with pytest.raises(Unavailable, match=r"has ended, and log main\.2, which continues it, is not there"):
        eventstore.open(url)
    with eventstore.open(url, read_only=True) as store:
        assert (store.log, store.head()) == ("main", 5)
    eventstore.open(named(url, "main.2"), log="main.2").close()
    with pytest.raises(Unavailable, match="move it away"):
        eventstore.open(url)
    executed(url, f'DROP SCHEMA "{schema}" CASCADE', f'ALTER SCHEMA "{schema}_away" RENAME TO "{schema}"')
    with eventstore.open(url) as store:
        check(store)


def test_an_old_log_that_is_gone_is_not_begun_again(url: str) -> None:
    with eventstore.open(url) as store:
        rotate(store)
    schema = Location.of(url).schema
    executed(url, f"ALTER SCHEMA {schema} RENAME TO {schema}_kept")
    with pytest.raises(Unavailable, match=r"there is no log main .*, but schemas .*\.2 of logs after it"):
        eventstore.open(url)
    with pytest.raises(Unavailable, match="write the name of its schema into document previous"):
        eventstore.open(named(url, "main.2"))
    with pytest.warns(match="main"), eventstore.open(named(url, "main.2"), read_only=True) as store:
        assert projections.open(store).positions.get("A", "ES").quantity == 1
    statement = f"UPDATE document SET content = '{schema}_kept' WHERE name = 'previous'"  # noqa: S608 - a test's own
    executed(str(named(url, "main.2")), statement)
    with eventstore.open(named(url, "main.2")) as store:
        check(store)


def test_an_old_log_that_is_gone_is_not_begun_again_whatever_the_next_one_is_called(url: str) -> None:
    with eventstore.open(url) as store:
        rotate(store, name="y27")
    schema = Location.of(url).schema
    executed(url, f"ALTER SCHEMA {schema} RENAME TO {schema}_kept")
    with pytest.raises(
        Unavailable, match=f"there is no log main .*, but schema {schema}_y27 of a log that continues it"
    ):
        eventstore.open(url)
    assert schema not in schemas(url)
    eventstore.open(named(url, "other"), log="other").close()
    executed(url, f"ALTER SCHEMA {schema}_kept RENAME TO {schema}")
    with eventstore.open(url) as store:
        assert store.log == "y27"
        check(store)


def test_an_old_log_from_before_its_end_does_not_open_to_append(url: str) -> None:
    keep = "CREATE TABLE kept AS SELECT * FROM head"
    executed(url, keep)
    with eventstore.open(url) as store:
        rotate(store)
    executed(url, "DELETE FROM event WHERE position = 5", "DELETE FROM head", "INSERT INTO head SELECT * FROM kept")
    with pytest.raises(Unavailable, match=r"is an older copy: it has ended, and log main\.2 continues it"):
        eventstore.open(url)
    with eventstore.open(url, read_only=True) as store:
        assert store.head() == 4


# What lies beside


@pytest.mark.slow
def test_workers_of_a_group_resume_after_a_rotation_where_they_were(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[str | None] = set()
    decide = LockEvery.decide

    def noted(policy: LockEvery, book: Book, trigger: Trigger) -> Iterable[Decision]:
        if isinstance(trigger.event, OrderSubmitted):
            seen.add(trigger.event.reference)
        return decide(policy, book, trigger)

    monkeypatch.setattr(LockEvery, "decide", noted)
    worker = desk.worker("a")
    assert worker.wait(SHARES, WAIT_SECONDS)
    desk.submit(40)
    desk.decided(lambda: "x:39" in seen)
    worker.stop()
    seen.clear()
    desk.submit(40)
    rotate(desk.store)
    desk.store = desk._stack.enter_context(eventstore.open(desk.url))
    assert desk.store.log == "main.2"
    desk.submit(40)
    worker = desk.worker("b")
    assert worker.wait(SHARES, WAIT_SECONDS)
    desk.decided(lambda: f"x:{3 * 40 - 1}" in seen)
    worker.stop()
    assert seen == {f"x:{number}" for number in range(40, 3 * 40)}, "what the first one has seen is not seen again"
    assert desk.store.side is not None
    marks, _ = desk.store.side.marks().examine()
    assert desk.store.chain is not None
    assert {desk.store.chain.offset < mark.position <= desk.store.head() for mark in marks.values()} == {True}
    eventstore.open(desk.url).close()


def test_a_worker_of_a_group_ends_with_its_log(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It began just after it was looked whether any run."""
    monkeypatch.setattr("projections.rotation._check_unused", lambda _: None)
    desk.submit(5)
    worker = desk.worker("a")
    assert worker.wait(SHARES, WAIT_SECONDS)
    rotate(desk.store)
    until(lambda: isinstance(worker.error, LogHasEnded))


def test_marks_go_on_in_the_next_log(url: str) -> None:
    def mark_at(store: eventstore.EventStore, position: int) -> Watermark:
        (record,) = store.read(after=position - 1, limit=1)
        return Watermark(store.log_id.hex(), position, record.digest.hex())

    with eventstore.open(url) as store:
        assert store.side is not None
        store.side.marks().write("kept", mark_at(store, 3))
        rotate(store)
    with eventstore.open(url) as store:
        assert isinstance(store.side, LogSide)
        marks, head = store.side.marks(), store.head()
        assert isinstance(marks, FencedMarks)
        marks.write_new([("kept", mark_at(store, head)), ("new", mark_at(store, head))])
        found, _ = marks.examine()
        assert {name: mark.position for name, mark in found.items()} == {"kept": 3, "new": head}
        marks.write_all([("kept", mark_at(store, head - 1)), ("new", mark_at(store, 4))], [])
        found, _ = marks.examine()
        assert {name: mark.position for name, mark in found.items()} == {"kept": head - 1, "new": head}
    with eventstore.open(url) as store:
        assert store.log == "main.2", "no mark is ahead of the log"


def test_books_begin_at_snapshots_in_the_next_logs_tables(url: str) -> None:
    with eventstore.open(url) as store:
        rotate(store)
    with eventstore.open(url) as store, projections.open(store) as book:
        offset = store.chain.offset if store.chain else 0
        assert book.recovery.cut == offset
        book.append("order/A/O-2", SUBMITTED)
        book.snapshot()
        with projections.open(store) as other:
            assert other.recovery.cut == store.head()
            assert other.positions.get("A", "ES").quantity == 1


def test_the_command_rotates_by_its_url(url: str) -> None:
    done = run_here("rotate", "--data", url)
    assert done.code == 0, done.err
    assert "log main.2 continues it from its state" in done.out
    assert run_here("verify", "--data", url).code == 0
