"""Ids: increasing and unique when generated, the same everywhere when derived from a key."""

import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from eventstore import InvalidEvent, entropy
from eventstore.ids import NAMESPACE, as_id, id_text, keyed_id, new_ids
from tests.store.facts import AT

MILLISECOND = 1_000_000
FORK = """
import os
from eventstore import entropy

entropy.piece()
child = os.fork()
if child:
    os.waitpid(child, 0)
print(*(entropy.piece().hex() for _ in range(2 * entropy.BLOCK_PIECES)), flush=True)
if not child:
    os._exit(0)
"""


def drawn(count: int, now_ns: int, random: int) -> list[uuid.UUID]:
    ids = new_ids(count, now_ns, lambda size: random.to_bytes(size, "big"))
    return [uuid.UUID(bytes=id_) for id_ in ids]


@pytest.mark.parametrize("random", [0, 2**62 - 3, 2**63 - 3, 2**72 - 3, 2**73 - 1, 2**80 - 1], ids=hex)
def test_ids_of_one_millisecond_increase_from_wherever_chance_put_the_first(random: int) -> None:
    ids = drawn(10, AT, random)
    assert ids == sorted(set(ids))
    assert {(id_.version, id_.variant) for id_ in ids} == {(7, uuid.RFC_4122)}
    assert {id_.int >> 80 for id_ in ids} == {AT // MILLISECOND}


def test_ids_of_different_chance_differ_in_every_bit_that_chance_has() -> None:
    first = drawn(1, AT, 0)[0].int
    assert all(drawn(1, AT, 1 << bit)[0].int != first for bit in range(73))


def test_a_later_millisecond_comes_after_whatever_chance_drew() -> None:
    assert drawn(1, AT, 2**73 - 1)[0] < drawn(1, AT + MILLISECOND, 0)[0]


@pytest.mark.parametrize(("stream", "key"), [("order/A/1", "x"), ("order/A/ü漢😀", "ü/\1/x"), ("a/b/c", "k" * 1024)])
def test_a_keyed_id_is_the_standard_librarys(stream: str, key: str) -> None:
    assert keyed_id(stream, key) == uuid.uuid5(NAMESPACE, f"{stream}\0{key}").bytes


def test_an_id_is_taken_as_uuid_or_bytes() -> None:
    given = uuid.UUID(int=5)
    assert as_id(given) == as_id(given.bytes) == given.bytes
    assert as_id(None) is None
    for wrong in (b"", b"x" * 17, str(given), 5):
        with pytest.raises(InvalidEvent, match="an id is a UUID or its 16 bytes"):
            as_id(wrong)


def test_no_two_threads_are_given_the_same_random_bytes() -> None:
    with ThreadPoolExecutor(4) as executor:
        drawn = [executor.submit(lambda: [entropy.piece() for _ in range(2_000)]) for _ in range(4)]
        pieces = [piece for each in drawn for piece in each.result()]
    assert len(set(pieces)) == len(pieces)
    assert {len(piece) for piece in pieces} == {entropy.PIECE_BYTES}
    assert len(entropy.piece(16)) == 16


def test_a_forks_child_shares_no_random_bytes_with_its_parent() -> None:
    """In a process of its own, which has one thread."""
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, check=True)
    ours, theirs = (set(line.split()) for line in done.stdout.splitlines())
    assert len(ours) == len(theirs) == 2 * entropy.BLOCK_PIECES
    assert not ours & theirs


@pytest.mark.parametrize("number", [0, 1, 2**127 + 2**60 + 5, 2**128 - 1])
def test_an_id_is_written_as_the_standard_library_writes_it(number: int) -> None:
    assert id_text(number.to_bytes(16, "big")) == str(uuid.UUID(int=number))
