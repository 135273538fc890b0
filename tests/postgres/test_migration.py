"""A log that is moved to PostgreSQL and back is the same log, and a copy that is not finished leaves nothing."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

import eventstore
from eventstore import (
    Batch,
    CorruptJournal,
    EventStore,
    InvalidEvent,
    Record,
    StoreError,
    TargetExists,
    Unavailable,
)
from eventstore.events import SYNCED
from eventstore.journal import TypeRow, append
from eventstore.journals.postgres import Location, ReadOnlyPostgres
from eventstore.journals.sqlite import SqliteJournal
from eventstore.migration import Migrated, migrate
from eventstore.trading import Marked
from tests.cli.command import flip
from tests.postgres.servers import PostgresServer
from tests.reliability.checking import environment
from tests.store.facts import OTHER, POSITION, adjusted, contract, filled, rejected

CORRELATION, CAUSATION = (bytes([number]) * 16 for number in (1, 2))
LONG = "€" * 19_000
"""The data of an event may have 60 KB, and a sign takes three bytes here."""
ELSEWHERE = TypeRow("tested.Elsewhere", 3, "QUEUED", ("number",))
APPENDS_A_TYPE_OF_ITS_OWN = """
    import eventstore, sys

    @eventstore.event(name="tested.Elsewhere", schema=3, durability=eventstore.QUEUED, measures=("number",),
                      upcasters={1: dict, 2: dict})
    class Elsewhere(eventstore.Event, frozen=True, kw_only=True):
        number: int = 0

    with eventstore.open(sys.argv[1]) as store:
        store.append("mark/-/elsewhere", Elsewhere(number=7))
"""
COPIES = """
    import sys, time
    from eventstore.migration import migrate

    def stop(done, total):
        if done * 3 >= total * float(sys.argv[3]):
            print("there", flush=True)
            time.sleep(300)

    migrate(sys.argv[1], sys.argv[2], progress=stop)
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def program(text: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(text), *arguments]


def append_many(place: Path, count: int) -> None:
    with eventstore.open(place) as store:
        for first in range(1, count + 1, 5_000):
            numbers = range(first, min(first + 5_000, count + 1))
            store.append_many([Batch(f"order/ACC{n % 50}/O-{n % 9_000}", [filled(n)]) for n in numbers])


def content(place: Path | str) -> tuple[bytes, int, tuple[int, bytes], list[TypeRow], list[Record]]:
    """Return all that a log consists of, once it verifies."""
    with eventstore.open(place) as store:
        assert store.verify().ok
        created_at = getattr(store.journal, "created_at")()  # noqa: B009 - of both journals, and not of the protocol
        return store.log_id, created_at, store.root(), list(store.journal.types()), list(store.read())


def is_there(url: str) -> bool:
    try:
        with closing(ReadOnlyPostgres(Location.of(url))):
            return True
    except Unavailable:
        return False


def nothing(url: str) -> bool:
    """Return whether a log is not there, and can be created: which it is then."""
    if is_there(url):
        return False
    with eventstore.open(url) as store:
        return store.head() == 0


def there_and_back(data: Path, url: str, again: Path) -> Migrated:
    """Move a log to PostgreSQL and back, and check that nothing has become of it on the way."""
    before = content(data)
    there = migrate(data, url)
    assert content(url) == before
    back = migrate(url, again)
    assert content(again) == before
    assert (there.root, there.size, there.head) == (back.root, back.size, back.head)
    return back


@pytest.mark.parametrize("count", [0, 3, 256, 2_300])
def test_a_log_is_the_same_there_and_back(count: int, data: Path, postgres_url: str, tmp_path: Path) -> None:
    append_many(data, count)
    moved = there_and_back(data, postgres_url, tmp_path / "again")
    assert (moved.log, moved.size, moved.head, moved.left) == ("main", count, count, ())


@pytest.mark.slow
def test_so_is_a_long_one(data: Path, postgres_url: str, tmp_path: Path) -> None:
    append_many(data, 70_000)
    assert there_and_back(data, postgres_url, tmp_path / "again").size == 70_000


def test_so_is_all_that_a_record_may_hold(data: Path, postgres_url: str, tmp_path: Path) -> None:
    with eventstore.open(data) as store:
        store.append(OTHER, filled(), note="", correlation_id=CORRELATION, causation_id=CAUSATION, key="k")
        store.append(
            "contract/-/É%2F€", [contract("\u0001\u202e🂡"), contract("")], note="naïve \\ \\N\t\r\n", actor="é"
        )
        store.append(OTHER, rejected(LONG), occurred_at=10**18, correlation_id=CORRELATION)
        store.append("mark/-/x", Marked(name="x" * 128), causation_id=CAUSATION)
    there_and_back(data, postgres_url, tmp_path / "again")


def test_so_is_what_the_log_keeps_of_types_that_are_unknown_here(data: Path, postgres_url: str, tmp_path: Path) -> None:
    append_many(data, 2)
    append_elsewhere(data)
    there_and_back(data, postgres_url, tmp_path / "again")
    with eventstore.open(postgres_url) as store:
        assert ELSEWHERE in store.journal.types()


def test_also_of_one_that_is_new_while_the_log_is_copied(data: Path, postgres_url: str) -> None:
    append_many(data, 3_000)
    with eventstore.open(data):
        moved = migrate(data, postgres_url, progress=changing(lambda: append_elsewhere(data), 1))
    assert moved.size == 3_001
    assert content(postgres_url) == content(data)


def append_elsewhere(data: Path) -> None:
    """Append, by another process, an event of a type that has no class in this one."""
    subprocess.run(program(APPENDS_A_TYPE_OF_ITS_OWN, str(data)), env=environment(), check=True)


def test_a_log_moves_between_servers(data: Path, postgres_16_url: str, postgres_url: str) -> None:
    append_many(data, 300)
    migrate(data, postgres_16_url)
    migrate(postgres_16_url, postgres_url)
    assert content(postgres_url) == content(data)


def test_a_moved_log_is_appended_to(data: Path, postgres_url: str, tmp_path: Path) -> None:
    append_many(data, 300)
    with eventstore.open(data) as store:
        store.append(OTHER, filled(), key="once")
    migrate(data, postgres_url)
    with eventstore.open(postgres_url) as store:
        store.append(OTHER, filled(), key="once")
        assert store.head() == 301
        store.append("mark/-/x", Marked(name="x"), expected=0)
    migrate(postgres_url, tmp_path / "again")
    with eventstore.open(tmp_path / "again") as store:
        [record] = store.append("mark/-/x", Marked(name="x"), expected=1)
        assert (record.position, store.verify().ok) == (303, True)


def test_a_changed_byte_is_refused_with_its_position(data: Path, postgres_url: str) -> None:
    append_many(data, 3_000)
    flip(data, 1_234)
    with pytest.raises(CorruptJournal, match="nothing was copied") as caught:
        migrate(data, postgres_url)
    assert caught.value.position == 1_234
    assert nothing(postgres_url)


def test_so_is_one_in_postgresql(data: Path, postgres_url: str, postgres: PostgresServer, tmp_path: Path) -> None:
    append_many(data, 3_000)
    migrate(data, postgres_url)
    schema = Location.of(postgres_url).schema
    postgres.execute(f"UPDATE {schema}.event SET note = 'x' WHERE position = 1234")  # noqa: S608 - the test's own
    with pytest.raises(CorruptJournal, match="nothing was copied") as caught:
        migrate(postgres_url, tmp_path / "again")
    assert caught.value.position == 1_234
    assert not (tmp_path / "again").exists()


def changing(act: Callable[[], object], part: float) -> Callable[[int, int], None]:
    """Return a progress that acts once, in the given part of the three: verify, copy and prove."""
    acts = iter([act])

    def step(done: int, total: int) -> None:
        if done * 3 > total * part:
            for each in acts:
                each()

    return step


def test_a_record_that_is_changed_while_it_is_copied_is_refused(data: Path, postgres_url: str) -> None:
    append_many(data, 6_000)
    with eventstore.open(data) as store:
        writer = getattr(store.journal, "_writer")  # noqa: B009 - who changes a record has SQLite for it
        change = changing(lambda: writer.execute("UPDATE event SET note = 'x' WHERE position = 5900"), 1)
        with pytest.raises(CorruptJournal) as caught:
            migrate(data, postgres_url, progress=change)
    assert caught.value.position == 5_900
    assert nothing(postgres_url)


def test_an_existing_log_stays_as_it_is(data: Path, postgres_url: str, tmp_path: Path) -> None:
    append_many(data, 3)
    with eventstore.open(postgres_url) as store:
        store.append("mark/-/x", Marked(name="x"))
    with pytest.raises(TargetExists, match="exists already"):
        migrate(data, postgres_url)
    with pytest.raises(TargetExists, match="exists already"):
        migrate(postgres_url, data)
    assert len(content(data)[-1]) == 3
    assert len(content(postgres_url)[-1]) == 1


@pytest.mark.untraced
@pytest.mark.parametrize("part", [1.01, 1.6, 2.0])
@pytest.mark.parametrize("to_postgres", [True, False])
def test_a_copy_that_is_killed_leaves_nothing(
    part: float, to_postgres: bool, data: Path, postgres_url: str, tmp_path: Path
) -> None:
    append_many(data, 9_000)
    again = tmp_path / "again"
    if not to_postgres:
        migrate(data, postgres_url)
    source, target = (str(data), postgres_url) if to_postgres else (postgres_url, str(again))
    with subprocess.Popen(
        program(COPIES, source, target, str(part)), env=environment(), stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"there\n"
        assert not (is_there(target) if to_postgres else (again / "main" / "journal.db").exists())
        child.kill()
    assert migrate(source, target).size == 9_000
    assert content(target) == content(source)
    if not to_postgres:
        assert list((again / "main").glob(".*")) == []


@pytest.mark.untraced
@pytest.mark.parametrize("to_postgres", [True, False])
def test_one_that_is_killed_while_it_is_proved_is_whole(
    to_postgres: bool, data: Path, postgres_url: str, tmp_path: Path
) -> None:
    append_many(data, 3_000)
    if not to_postgres:
        migrate(data, postgres_url)
    source, target = (str(data), postgres_url) if to_postgres else (postgres_url, str(tmp_path / "again"))
    with subprocess.Popen(program(COPIES, source, target, "2.01"), env=environment(), stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"there\n"
        child.kill()
    with pytest.raises(TargetExists):
        migrate(source, target)
    assert content(target) == content(source)


def test_what_is_appended_while_it_is_copied_is_copied_too(data: Path, postgres_url: str, tmp_path: Path) -> None:
    append_many(data, 3_000)
    with eventstore.open(data) as store:
        moved = migrate(data, postgres_url, progress=changing(lambda: grow(store), 1))
    assert (moved.size, moved.head) == (3_002, 3_002)
    assert content(postgres_url) == content(data)
    with eventstore.open(postgres_url) as store:
        moved = migrate(postgres_url, tmp_path / "again", progress=changing(lambda: grow(store), 1))
    assert (moved.size, moved.head) == (3_004, 3_004)
    assert content(postgres_url) == content(tmp_path / "again")


def grow(store: EventStore) -> None:
    """Append two events, of types that the log did not have at first."""
    store.append("mark/-/grown", Marked(name="grown"))
    store.append(POSITION, adjusted())


def grow_at(place: Path) -> None:
    with eventstore.open(place) as store:
        grow(store)


@pytest.mark.parametrize("is_open_before", [True, False])
def test_what_is_appended_later_is_named(is_open_before: bool, data: Path, postgres_url: str) -> None:
    append_many(data, 3_000)
    if is_open_before:
        with eventstore.open(data) as store:
            moved = migrate(data, postgres_url, progress=changing(lambda: grow(store), 2))
    else:
        moved = migrate(data, postgres_url, progress=changing(lambda: grow_at(data), 2))
    assert (moved.size, moved.head) == (3_000, 3_002)
    with eventstore.open(data, read_only=True) as source, eventstore.open(postgres_url) as target:
        assert source.root(3_000) == target.root() == (3_000, bytes.fromhex(moved.root))


def test_a_writer_that_opens_a_resting_log_ends_its_copy(data: Path, postgres_url: str) -> None:
    append_many(data, 3_000)
    with pytest.raises(Unavailable, match="stop what appends to it, and run this again"):
        migrate(data, postgres_url, progress=changing(lambda: grow_at(data), 1))
    assert not is_there(postgres_url)
    assert migrate(data, postgres_url).size == 3_002


def append_as_once(store: EventStore, **members: str) -> None:
    """Append a record with members that earlier versions took."""
    (batch,), _ = store.prepared([Batch(OTHER, filled())], SYNCED, None)
    drafts = [replace(draft, **members) for draft in batch.drafts]
    journal = store.journal
    assert isinstance(journal, SqliteJournal)
    append(journal, [replace(batch, drafts=drafts)])


@pytest.mark.parametrize("member", ["note", "actor"])
def test_a_nul_is_refused_with_its_position(member: str, data: Path, postgres_url: str) -> None:
    append_many(data, 2_500)
    with eventstore.open(data) as store:
        append_as_once(store, **{member: "a\0b"})
        store.append(OTHER, filled())
    with pytest.raises(InvalidEvent, match="position 2501: its text has a NUL"):
        migrate(data, postgres_url, progress=lambda done, total: None if done * 3 <= total else pytest.fail("copied"))
    assert nothing(postgres_url)


def test_so_is_one_that_is_appended_meanwhile(data: Path, postgres_url: str) -> None:
    append_many(data, 3_000)
    with eventstore.open(data) as store, pytest.raises(InvalidEvent, match="position 3001: its text has a NUL"):
        migrate(data, postgres_url, progress=changing(lambda: append_as_once(store, note="\0"), 1))
    assert nothing(postgres_url)


def test_a_log_keeps_its_name(data: Path, postgres: PostgresServer, postgres_url: str) -> None:
    with eventstore.open(data, log="desk") as store:
        store.append("mark/-/x", Marked(name="x"))
    other = postgres.url(log="desk", schema=Location.of(postgres_url).schema)
    with pytest.raises(InvalidEvent, match="leave out one of them"):
        migrate(data, other, log="main")
    assert migrate(data, other).log == "desk"
    with pytest.raises(InvalidEvent, match="leave out one of them"):
        migrate(other, postgres.url(log="main"))


@pytest.mark.parametrize(
    ("source", "target"), [("data", "other"), ("http://127.0.0.1/x", "postgresql://127.0.0.1:9/x"), ("data", "s3://x")]
)
def test_other_places_are_refused(source: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError):
        migrate(source, target)
    assert list(tmp_path.iterdir()) == []
