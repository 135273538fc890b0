"""A damaged write-ahead log: acknowledged records are there, or the log is refused and every answer says so."""

from __future__ import annotations

import itertools
import random
import shutil
import struct
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import apsw
import pytest

import eventstore
from eventstore import CorruptJournal, StorageWarning, UnsupportedFormat
from eventstore.journals.sqlite import maintenance
from eventstore.watermarks import Watermark, Watermarks
from tests.evidence import Writer, everything
from tests.memory import directory_in_memory
from tests.proving import rounds
from tests.store.facts import ORDER, rejected, texts

PAGE_BYTES = 2_048
STRIDE = 24 + PAGE_BYTES
BEFORE, TRANSACTIONS = 3, 10
HEAD = BEFORE + TRANSACTIONS
BITS = (0x01, 0x80, 0xFF)
# A prime number, so that its multiples come to each byte of the log.
FAR = 99_991


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "LOOK_AGAIN_SECONDS", 0.0)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with directory_in_memory() as directory:
        yield Path(directory)


@pytest.fixture(scope="module", params=["some moved over", "nothing moved over"])
def left(request: pytest.FixtureRequest, place: Path) -> Path:
    """A log whose writer was killed, without a watermark: ten transactions are in the write-ahead log alone."""
    directory = place / str(request.param).replace(" ", "-")
    if request.param == "some moved over":
        with eventstore.open(directory) as store:
            for number in range(1, BEFORE + 1):
                store.append(ORDER, rejected(number))
    writer = Writer(directory)
    while writer.append(1) < HEAD:
        pass
    writer.kill()
    shutil.rmtree(directory / "main" / "watermarks", ignore_errors=True)
    return directory


@pytest.fixture
def copy(left: Path, place: Path) -> Path:
    return put(left, place / f"copy of {left.name}")


def put(left: Path, copy: Path, wal: bytes | None = None) -> Path:
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(left, copy)
    if wal is not None:
        wal_of(copy).write_bytes(wal)
    return copy


def wal_of(directory: Path) -> Path:
    return directory / "main" / "journal.db-wal"


def journal_of(directory: Path) -> Path:
    return directory / "main" / "journal.db"


def frame_at(number: int) -> int:
    return 32 + (number - 1) * STRIDE


def ends(content: bytes) -> list[int]:
    """Return the numbers of the frames that end a transaction."""
    numbers = range(1, (len(content) - 32) // STRIDE + 1)
    return [number for number in numbers if struct.unpack_from(">I", content, frame_at(number) + 4)[0]]


def changed(content: bytes, at: int, bits: int) -> bytes:
    return content[:at] + bytes([content[at] ^ bits]) + content[at + 1 :]


def check(left: Path, copy: Path, wal: bytes, *, is_last: bool) -> None:
    """Open a log with a changed write-ahead log, to write and to read only."""
    put(left, copy, wal)
    before = everything(copy / "main")
    whole = [str(number) for number in range(1, HEAD + 1)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StorageWarning)
        try:
            with eventstore.open(copy, read_only=True) as store:
                found = store.verify()
                assert texts(store) == whole[: store.head()]
                assert found.ok == (store.missing_tail is None)
                if not is_last:
                    assert not found.ok
                    assert "the write-ahead log is damaged" in str(found.reason)
        except CorruptJournal as refused:
            assert "the write-ahead log is damaged" in str(refused)  # noqa: PT017 - it may open, too
    assert everything(copy / "main") == before
    if is_last:
        with eventstore.open(copy) as store:
            assert store.head() in {HEAD - 1, HEAD}
            return
    with pytest.raises(CorruptJournal, match=r"the write-ahead log is damaged .* Nothing was changed"):
        eventstore.open(copy)
    assert everything(copy / "main") == before


def test_a_changed_byte_anywhere_is_damage_except_in_the_last_transaction(left: Path, copy: Path) -> None:
    content = wal_of(left).read_bytes()
    last, end = (frame_at(number + 1) for number in ends(content)[-2:])
    for seed in rounds(f"changed byte, {left.name}", test=200, prove=end):
        # Each byte once, the few of an ordinary run far from one another. Behind them zeros may be reserved.
        at = seed * FAR % end
        bits = random.Random(seed).choice([*BITS, content[at] or 1])
        wal = changed(content, at, bits)
        wal_of(copy).write_bytes(wal)
        found = maintenance.damaged_wal(journal_of(copy))
        assert (found is not None) or at >= last, f"byte {at}, bits {bits:#x}"
        if seed % 25 == 0:
            check(left, copy, wal, is_last=at >= last and found is None)


def test_each_byte_of_the_headers_counts(left: Path, copy: Path) -> None:
    content = wal_of(left).read_bytes()
    last, first = ends(content)[-2], ends(content)[-3] + 1
    places = [range(32), *(range(frame_at(number), frame_at(number) + 28) for number in (1, first, last))]
    for at in itertools.chain(*places):
        for bits in {0x01, 0xFF, content[at] or 0x80}:
            wal_of(copy).write_bytes(changed(content, at, bits))
            assert maintenance.damaged_wal(journal_of(copy)) is not None, f"byte {at}, bits {bits:#x}"


def test_a_large_damage_is_found_wherever_other_transactions_follow(left: Path, copy: Path) -> None:
    content = wal_of(left).read_bytes()
    chance = random.Random(5)
    for size in (512, 4_096, 8_192):
        # Behind it are the ends of two transactions more.
        at = chance.randrange(frame_at(ends(content)[-3]) - size)
        for filling in (b"\xff" * size, chance.randbytes(size)):
            check(left, copy, content[:at] + filling + content[at + size :], is_last=False)


def test_the_refusal_says_which_frame_and_position(left: Path, copy: Path) -> None:
    content = wal_of(left).read_bytes()
    frame = ends(content)[5] + 2
    put(left, copy, changed(content, frame_at(frame) + 1_000, 0x10))
    head = HEAD - len(ends(content)) + 6
    place = f"frame {frame} of {ends(content)[-1]}: acknowledged records after position {head} may be lost"
    with pytest.raises(CorruptJournal, match=place) as refused:
        eventstore.open(copy)
    assert refused.value.position == head + 1
    with pytest.warns(StorageWarning, match=place):
        store = eventstore.open(copy, read_only=True)
    with store:
        missing = store.missing_tail
        assert missing is not None
        assert (missing.first, missing.last, missing.watermark) == (head + 1, None, "")
        assert store.verify().first_bad == head + 1
        with pytest.raises(CorruptJournal, match="so no copy was made"):
            store.backup(copy / "backup")
        mark = Watermark(store.log_id.hex(), HEAD, "")
    Watermarks(copy / "main" / "watermarks").write("head", mark)
    with pytest.warns(StorageWarning, match=f"{place}; the watermark head saw position {HEAD}"):
        eventstore.open(copy, read_only=True).close()


def test_a_damaged_log_is_refused_beside_one_who_took_no_notice(left: Path, copy: Path) -> None:
    """Another program opened it first, and has not written yet."""
    content = wal_of(left).read_bytes()
    put(left, copy, changed(content, frame_at(ends(content)[2]) + 100, 1))
    with closing(apsw.Connection(str(journal_of(copy)))) as other:
        other.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        other.execute("SELECT count(*) FROM event").fetchall()
        with pytest.raises(CorruptJournal, match="the write-ahead log is damaged"):
            eventstore.open(copy)


def test_zeros_behind_the_last_frame_change_no_answer(left: Path, copy: Path) -> None:
    """Reserved room is not a frame: whole it is read to its end, damaged it is refused, torn it loses its last part."""
    content = wal_of(left).read_bytes()
    numbers = ends(content)
    whole, zeros = content[: frame_at(numbers[-1] + 1)], bytes(STRIDE * 50 + 1_000)
    put(left, copy, whole + zeros)
    for read_only in (True, False):
        with eventstore.open(copy, read_only=read_only) as store:
            assert texts(store) == [str(number) for number in range(1, HEAD + 1)]
            assert store.verify().ok
    check(left, copy, changed(whole, frame_at(numbers[2]) + 100, 1) + zeros, is_last=False)
    check(left, copy, changed(whole, 20, 1) + zeros, is_last=False)
    check(left, copy, changed(whole, frame_at(numbers[-1]) + 100, 1) + zeros, is_last=True)


def test_a_file_that_is_not_a_journal_says_so_itself(tmp_path: Path) -> None:
    (tmp_path / "main").mkdir()
    journal_of(tmp_path).write_bytes(b"no database" * 1_000)
    wal_of(tmp_path).write_bytes(b"no log" * 1_000)
    assert maintenance.damaged_wal(journal_of(tmp_path)) is None
    with pytest.raises(UnsupportedFormat, match="is not a journal"):
        eventstore.open(tmp_path)


def test_openings_beside_writers_find_no_damage(tmp_path: Path) -> None:
    """What is looked at is being written: by threads that append, and from its beginning again and again."""
    done = threading.Event()

    def append(store: eventstore.EventStore, account: int) -> None:
        while not done.is_set():
            store.append(f"order/ACC{account}/O-1", [rejected("x" * 300)] * 20)

    with eventstore.open(tmp_path) as store, ThreadPoolExecutor(2) as executor:
        appending = [executor.submit(append, store, account) for account in range(2)]
        try:
            for _ in range(15):
                assert maintenance.damaged_wal(store._journal.path) is None  # type: ignore[attr-defined]
                eventstore.open(tmp_path).close()
        finally:
            done.set()
        for each in appending:
            each.result()


def test_what_is_refused_keeps_its_write_ahead_log(left: Path, copy: Path) -> None:
    """For whatever reason: the last connection that is closed would move it over and delete it."""
    with eventstore.open(left, read_only=True) as store:
        mark = Watermark(store.log_id.hex(), HEAD + 1, "")
    Watermarks(copy / "main" / "watermarks").write("head", mark)
    before = wal_of(copy).read_bytes()
    with pytest.raises(CorruptJournal, match="acknowledged records are lost"):
        eventstore.open(copy)
    assert wal_of(copy).read_bytes() == before
