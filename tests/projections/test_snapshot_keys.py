"""Cuts are signed with the user's key: those edited without it, or made elsewhere, are skipped."""

import fcntl
import os
import stat
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

import eventstore
import projections
from eventstore import EventStore
from eventstore.trading import LockoutSet
from projections import SnapshotWarning
from projections.cuts.keys import FILE, signing_key, state_directory
from projections.cuts.rows import signed_text
from tests.projections.cut_files import again, executed, move_on
from tests.projections.cutting import digest, from_zero
from tests.projections.examples import bought, in_thread, snapshots_file


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where this test's key is: a state directory of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "eventstore" / FILE


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return snapshots_file(tmp_path / "data")


def cut(store: EventStore, cuts: int = 1) -> None:
    with projections.open(store) as book:
        for number in range(cuts):
            book.append("lockout/L/loss", LockoutSet(rule_id=f"loss{number}", revocable=False))
            book.append("trade/A/T", bought(f"T{store.head()}", 3))
            book.append("trade/B/T", bought(f"T{store.head()}", 5))
            assert book.snapshot()


def opened(store: EventStore) -> tuple[projections.Book, list[str]]:
    """Open the book, check that it is correct, and return it with its warnings."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        book = projections.open(store)
    assert digest(book) == from_zero(store)
    assert all(each.category is SnapshotWarning for each in warned)
    return book, [str(each.message) for each in warned]


def healed(store: EventStore, book: projections.Book) -> None:
    """Check that the next cut is signed with a key that stays."""
    move_on(book)
    assert book.snapshot()
    book.close()
    again(store)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_key_is_its_owner_s_alone_and_not_beside_the_snapshots(store: EventStore, key: Path, file: Path) -> None:
    cut(store)
    assert (mode_of(key), mode_of(key.parent), mode_of(file)) == (0o600, 0o700, 0o600)
    assert key.read_bytes().strip() not in file.read_bytes()
    assert not key.is_relative_to(file.parent)
    assert signing_key().secret.hex() not in repr(signing_key())
    assert repr(signing_key().secret) not in repr(signing_key())
    assert [path.name for path in key.parent.iterdir()] == [FILE]
    again(store)


def test_a_setgid_directory_gives_its_group_no_key(key: Path) -> None:
    key.parent.parent.mkdir()
    key.parent.parent.chmod(0o2770)
    first = signing_key()
    assert (mode_of(key), mode_of(key.parent) & 0o777) == (0o600, 0o700)
    assert signing_key() == first


def test_processes_that_begin_at_once_have_one_key() -> None:
    script = "import sys; from projections.cuts.keys import signing_key as k; sys.stdin.read(1); print(k().name.hex())"
    processes = [
        subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    names = {process.communicate("\n", timeout=60)[0] for process in processes}
    assert len(names) == 1
    assert names == {signing_key().name.hex() + "\n"}


def test_who_comes_while_a_key_is_made_takes_that_one(key: Path) -> None:
    key.parent.mkdir(parents=True, mode=0o700)
    maker = os.open(key.parent, os.O_RDONLY)
    fcntl.flock(maker, fcntl.LOCK_EX)
    found: list[bytes] = []
    join = in_thread(lambda: found.append(signing_key().secret))
    time.sleep(0.05)
    assert not found
    key.write_bytes(b"ab" * 32 + b"\n")
    key.chmod(0o600)
    os.close(maker)
    join()
    assert found == [bytes.fromhex("ab" * 32)]


def test_every_part_of_a_cut_is_signed() -> None:
    cut, digests = (b"log", 5, b"digest"), {"A": b"1", "B": b"2"}
    texts = [
        signed_text(cut, "trades", b"lineage", 1, digests),
        signed_text((b"other", 5, b"digest"), "trades", b"lineage", 1, digests),
        signed_text((b"log", 6, b"digest"), "trades", b"lineage", 1, digests),
        signed_text((b"log", 5, b"other"), "trades", b"lineage", 1, digests),
        signed_text(cut, "positions", b"lineage", 1, digests),
        signed_text(cut, "trades", b"other", 1, digests),
        signed_text(cut, "trades", b"lineage", 2, digests),
        signed_text(cut, "trades", b"lineage", 1, {"A": b"1"}),
        signed_text(cut, "trades", b"lineage", 1, {"A": b"2", "B": b"1"}),
        signed_text(cut, "trades", b"lineage", 1, {"A": b"1", "C": b"2"}),
        signed_text(cut, "trades", b"lineage", 1, {"A1": b"", "B": b"2"}),
    ]
    assert len(set(texts)) == len(texts)
    assert signed_text(cut, "trades", b"lineage", 1, {"B": b"2", "A": b"1"}) == texts[0]


def test_another_user_s_cut_is_passed_over_with_one_warning(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(store)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    book, warned = opened(store)
    assert book.recovery.cut == 0
    [warning] = warned
    assert "signed with another key" in warning
    healed(store, book)


def readable_by_others(key: Path) -> None:
    key.chmod(0o644)


def writable_by_the_group(key: Path) -> None:
    key.chmod(0o620)


def empty(key: Path) -> None:
    key.write_bytes(b"")


def truncated(key: Path) -> None:
    key.write_bytes(key.read_bytes()[:30])


def longer(key: Path) -> None:
    key.write_bytes(key.read_bytes() + b"00")


def garbage(key: Path) -> None:
    key.write_bytes(b"\xff" * 65)


def fifo(key: Path) -> None:
    key.unlink()
    os.mkfifo(key)


def dangling(key: Path) -> None:
    key.unlink()
    key.symlink_to(key.parent / "nowhere")


def another_s(key: Path) -> None:
    if os.geteuid() == 0:
        os.chown(key, 65_534, 65_534)
    key.write_bytes(b"ab" * 32 + b"\n")


def removed(key: Path) -> None:
    key.unlink()


@pytest.mark.parametrize(
    "harm",
    [
        readable_by_others,
        writable_by_the_group,
        empty,
        truncated,
        longer,
        garbage,
        fifo,
        dangling,
        another_s,
        removed,
    ],
)
def test_a_key_that_cannot_be_trusted_is_replaced_and_its_cuts_are_passed_over(
    store: EventStore, key: Path, harm: Callable[[Path], None]
) -> None:
    cut(store)
    harm(key)
    book, warned = opened(store)
    assert book.recovery.cut == 0
    assert any("signed with another key" in message for message in warned)
    if harm not in {another_s, removed, dangling}:
        assert any("it was replaced" in message for message in warned)
    assert key.is_file()
    assert mode_of(key) == 0o600
    healed(store, book)


def without_home(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "not/absolute")


def below_a_file(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    (place / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(place / "file"))


def directory_as_key(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    (place / "state" / "eventstore" / FILE).mkdir(parents=True)


def home_on_proc(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/self")


@pytest.mark.parametrize("lacking", [without_home, below_a_file, directory_as_key, home_on_proc])
def test_without_a_place_for_the_key_this_process_alone_believes_its_cuts(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: Callable[..., None]
) -> None:
    lacking(monkeypatch, tmp_path)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        cut(store, 2)
        with projections.open(store) as book:
            assert book.recovery.cut == store.head()
    assert ["cannot be stored" in str(each.message) for each in warned] == [True]
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "found"))
    book, messages = opened(store)
    assert book.recovery.cut == 0
    assert ["signed with another key" in message for message in messages] == [True]
    healed(store, book)


def test_a_state_home_that_is_not_absolute_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for given in ("", "relative/place"):
        monkeypatch.setenv("XDG_STATE_HOME", given)
        assert state_directory() == tmp_path / ".local" / "state" / "eventstore"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "given"))
    assert state_directory() == tmp_path / "given" / "eventstore"


SWAPPED = (
    "UPDATE state SET (data, size, digest) = (SELECT data, size, digest FROM state o WHERE o.view = state.view "
    "AND o.position = state.position AND o.partition = CASE state.partition WHEN 'A' THEN 'B' ELSE 'A' END) "
    "WHERE view = 'trades' AND position = 6"
)


@pytest.mark.parametrize(
    "edit",
    [
        SWAPPED,
        "DELETE FROM state WHERE partition = 'L'",
        "DELETE FROM state WHERE view = 'positions' AND partition = 'A' AND position = 6",
        "UPDATE state SET partition = 'M' WHERE partition = 'L'",
        "INSERT INTO state SELECT view, lineage, 'N', position, data, size, digest FROM state WHERE partition = 'A'",
        (
            "UPDATE state SET data = (SELECT data FROM state o WHERE o.view = state.view AND o.partition = 'B') "
            "WHERE partition = 'A'"
        ),
        "UPDATE part SET position = 5 WHERE position = 6",
        "UPDATE part SET revision = revision + 1",
        "UPDATE part SET signature = zeroblob(32)",
        "UPDATE part SET signature = x'00', signer = x'00'",
        "UPDATE part SET signature = (SELECT signature FROM part o WHERE o.view = 'orders' AND o.position = 6)",
        "UPDATE part SET lineage = (SELECT lineage FROM part o WHERE o.view = 'orders')",
        "UPDATE cut SET digest = zeroblob(32)",
        "UPDATE cut SET position = position - 1",
        "DELETE FROM cut WHERE position = 6",
        "DELETE FROM part WHERE view = 'lockouts' AND position = 6",
    ],
)
def test_no_edit_without_the_key_gets_into_a_book(store: EventStore, file: Path, edit: str) -> None:
    cut(store, 2)
    executed(file, edit)
    book, _ = opened(store)
    assert book.lockouts.active("L", store.clock.now_ns())
    assert book.positions.get("A", "ESZ5").quantity == 6
    healed(store, book)


def test_triggers_and_views_in_the_file_do_nothing_to_a_cut(store: EventStore, file: Path) -> None:
    cut(store)
    executed(file, "CREATE TRIGGER t AFTER INSERT ON state BEGIN DELETE FROM state WHERE partition = 'L'; END")
    book, warned = opened(store)
    assert any("its tables do not have the schema of snapshots" in message for message in warned)
    healed(store, book)


def test_what_a_book_read_or_wrote_is_what_it_signs_again(store: EventStore, file: Path) -> None:
    """A state that is replaced while a book is open is written again, not signed."""
    with projections.open(store) as book:
        book.append("lockout/L/loss", LockoutSet(rule_id="loss", revocable=False))
        move_on(book)
        assert book.snapshot()
        executed(file, "UPDATE state SET digest = zeroblob(32), data = x'00' WHERE partition = 'L'")
        executed(file, "INSERT INTO state SELECT view, lineage, 'N', position, data, size, digest FROM state LIMIT 1")
        move_on(book)
        assert book.snapshot()
    again(store)
    connection = apsw.Connection(str(file))
    assert connection.execute("SELECT count(*) FROM state WHERE partition = 'N'").get == 0
    connection.close()
