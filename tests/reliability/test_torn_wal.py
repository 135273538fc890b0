"""No healthy write-ahead log is mistaken for a damaged one, whatever kills and power cuts left behind its end."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from eventstore.journals.sqlite.wal_damage import Damage, checksum, damage
from tests.proving import rounds
from tests.reliability.wal_model import HEADER, PAGE_BYTES, SECTOR, STRIDE, ModelLog, recovered


def lived(chance: random.Random) -> ModelLog:
    """Return a log after commits, kills before the sync, restarts from its beginning, and power cuts."""
    log = ModelLog(chance)
    for _ in range(chance.randint(1, 25)):
        drawn = chance.random()
        if chance.random() < 0.15:
            log.reserve(chance.choice([1, SECTOR, 10 * STRIDE, chance.randint(1, 40 * STRIDE)]))
        if drawn < 0.06:
            log.restart()
        elif drawn < 0.1:
            log.cut_power()
            log.recover()
        elif drawn < 0.35:
            log.commit(size(chance), killed=True)
            if chance.random() < 0.3:
                # Everybody is gone: what was not synced is found, and counts.
                log.recover()
        else:
            log.commit(size(chance))
    return log


def size(chance: random.Random) -> int:
    return chance.choice([1, 2, 3, 5, 5, 6, 7, 30])


def test_no_kill_and_no_power_cut_leaves_what_looks_like_damage(tmp_path: Path) -> None:
    place = tmp_path / "wal"
    for seed in rounds("torn write-ahead log", test=300, prove=20_000):
        log = lived(random.Random(seed))
        for content in (bytes(log.current), log.cut_power()):
            accepted, _, _ = recovered(content)
            assert accepted >= log.acknowledged, "the model loses what was acknowledged"
            place.write_bytes(content)
            assert damage(place, accepted, PAGE_BYTES) is None


def test_a_header_that_lies_across_two_sectors_can_be_of_two_writes(tmp_path: Path) -> None:
    """A frame that was the last of its transaction in an older log is not yet the last of one in this log."""
    log, number = ModelLog(random.Random(1)), 42
    log.commit(number)
    log.commit(9)
    at = HEADER + (number - 1) * STRIDE
    assert at % SECTOR == SECTOR - 8
    older = bytes(log.current)
    log.restart()
    log.commit(number - 2)
    log.commit(6, killed=True)
    content = bytes(log.current)
    begin, end = at - at % SECTOR, at + 8
    place = tmp_path / "wal"
    place.write_bytes(content[:begin] + older[begin:end] + content[end:])
    assert damage(place, log.frames, PAGE_BYTES) is None


def test_frames_that_came_while_they_were_looked_at_are_not_damage(tmp_path: Path) -> None:
    place = tmp_path / "wal"
    log = ModelLog(random.Random(1))
    for _ in range(4):
        log.commit(3)
    place.write_bytes(log.current)
    for accepted in (0, 3, 6, 12):
        assert damage(place, accepted, PAGE_BYTES) is None


def test_a_damaged_frame_with_a_header_across_two_sectors_is_found(tmp_path: Path) -> None:
    place, number = tmp_path / "wal", 42
    log = ModelLog(random.Random(5))
    log.commit(number)
    log.commit(5)
    # In the last byte of a word, a change can look like an older header: then it is dropped.
    for offset in range(0, STRIDE, 4):
        content = bytearray(log.current)
        content[HEADER + (number - 1) * STRIDE + offset] ^= 0x11
        place.write_bytes(content)
        assert damage(place, 0, PAGE_BYTES) == Damage(number, number + 5), f"byte {offset}"


def test_what_may_be_a_torn_tail_is_dropped(tmp_path: Path) -> None:
    """Nothing says any more that the frame before the last transaction was the end of another."""
    place = tmp_path / "wal"
    log = ModelLog(random.Random(5))
    log.commit(5)
    log.commit(5)
    content = bytearray(log.current)
    at = HEADER + 4 * STRIDE
    content[at + 4 : at + 100] = bytes(96)
    content[at + 8 : at + 24] = log.current[at + 8 : at + 24]
    place.write_bytes(content)
    assert damage(place, 0, PAGE_BYTES) is None


def test_a_file_that_is_not_a_log_is_not_damage(tmp_path: Path) -> None:
    place = tmp_path / "wal"
    log = ModelLog(random.Random(1))
    log.commit(3)
    for content in (b"", bytes(32), bytes(20), bytes(100_000), random.Random(2).randbytes(100_000), log.current[:32]):
        place.write_bytes(content)
        assert damage(place, 0, PAGE_BYTES) is None


@pytest.mark.parametrize("reserved", [0, 3 * STRIDE])
def test_a_header_is_damaged_also_before_one_frame(reserved: int, tmp_path: Path) -> None:
    place = tmp_path / "wal"
    for count in (1, 2):
        log = ModelLog(random.Random(count))
        log.commit(count)
        log.reserve(reserved)
        place.write_bytes(bytes(24) + log.current[24:])
        assert damage(place, 0, PAGE_BYTES) == Damage(0, count)


def test_checksums_in_the_other_byte_order_are_read(tmp_path: Path) -> None:
    """The order is that of the machine that created the log."""
    place, salts, seed = tmp_path / "wal", b"saltsalt", (0, 0)
    content = struct.pack(">IIII", 0x377F0683, 3_007_000, PAGE_BYTES, 0) + salts
    seed = checksum(content, seed, ">")
    content += struct.pack(">II", *seed)
    for _ in range(3):
        frame = struct.pack(">II", 1, 1)
        seed = checksum(frame + bytes(PAGE_BYTES), seed, ">")
        content += frame + salts + struct.pack(">II", *seed) + bytes(PAGE_BYTES)
    place.write_bytes(content)
    assert damage(place, 3, PAGE_BYTES) is None
    place.write_bytes(content[:100] + b"x" + content[101:])
    assert damage(place, 0, PAGE_BYTES) == Damage(1, 3)
    place.write_bytes(b"x" + content[1:])
    assert damage(place, 0, PAGE_BYTES) == Damage(0, 3)


def test_damage_before_the_last_transaction_is_found_behind_any_past(tmp_path: Path) -> None:
    place = tmp_path / "wal"
    for seed in rounds("damaged write-ahead log", test=200, prove=20_000):
        chance = random.Random(seed)
        log = lived(chance)
        log.commit(size(chance))
        log.commit(size(chance))
        content = bytearray(log.synced)
        frame = chance.randint(1, log.ended)
        at = HEADER + (frame - 1) * STRIDE + chance.choice([chance.randrange(24), chance.randrange(STRIDE)])
        content[at] ^= chance.choice([0x01, 0x80, 0xFF, content[at] or 1])
        place.write_bytes(content)
        found = damage(place, recovered(bytes(content))[0], PAGE_BYTES)
        assert found is not None, f"byte {at} of frame {frame}"
        assert found == Damage(frame, found.frames)
        assert found.frames >= log.frames
