"""Inclusion and consistency proofs against RFC 6962's known ones, Go's, and every other size and index."""

import random
from hashlib import sha256

import pytest

from eventstore.proofs.merkle import EMPTY_ROOT, TreeHead
from eventstore.proofs.paths import (
    SIZE_MAX,
    blocks,
    consistency_path,
    folded,
    inclusion_path,
    is_consistent,
    is_included,
)
from eventstore.testing import naive_root
from tests.proving import rounds

# The leaves of certificate-transparency's reference implementation, and its proofs for them.
DATA = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
KNOWN = [sha256(b"\0" + bytes.fromhex(data)).digest() for data in DATA]
A, B, C, D, E, F, G, H, J = (
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
)
INCLUSION = {(0, 1): [], (0, 8): [A, B, C], (5, 8): [D, E, F], (2, 3): [G], (1, 5): [H, B, D]}
CONSISTENCY = {(1, 1): [], (1, 8): [A, B, C], (6, 8): [J, E, F], (2, 5): [B, D]}

# SHA-256 over all proofs that golang.org/x/mod/sumdb/tlog v0.30.0 gives, one after another: of trees of 1 to 130
# leaves, and of every 31st size up to 1,024; for each index, and for each earlier size.
GO = {
    (130, 1): (
        "f530126d76ce8ed44184d30c442cf997fff7ec193c40a122959d53a906042457",
        "8d71c50dcd8bbd9b430c83d00abc58ed47a9807f4318a9a203628521f12d7db7",
    ),
    (1024, 31): (
        "fb5d882b81463423ef6438d5329568ce59afbced12da39bba0e4555b8333b1a2",
        "5f14aa2b68176934f6387b735f9ab10fe0f2243f9781a1619385a36ae40c6080",
    ),
}
LEAVES = [sha256(b"\0" + number.to_bytes(4, "big")).digest() for number in range(1_024)]


class Tree:
    """Subtrees of some leaves, each computed once."""

    def __init__(self, leaves: list[bytes]) -> None:
        self._leaves, self._known = leaves, dict[tuple[int, int], bytes]()

    def subtree(self, start: int, stop: int) -> bytes:
        found = self._known.get((start, stop))
        if found is None:
            if stop - start == 1:
                found = self._leaves[start]
            else:
                middle = start + (1 << (stop - start - 1).bit_length() - 1)
                found = sha256(b"\1" + self.subtree(start, middle) + self.subtree(middle, stop)).digest()
            self._known[start, stop] = found
        return found

    def head(self, size: int) -> TreeHead:
        return TreeHead(size, self.subtree(0, size) if size else EMPTY_ROOT)


TREE = Tree(LEAVES)


@pytest.mark.parametrize(("place", "known"), INCLUSION.items(), ids=str)
def test_inclusion_proofs_are_those_that_everybody_knows(place: tuple[int, int], known: list[str]) -> None:
    index, size = place
    tree = Tree(KNOWN)
    path = inclusion_path(index, size, tree.subtree)
    assert [each.hex() for each in path] == known
    assert is_included(KNOWN[index], index, TreeHead(size, naive_root(KNOWN[:size])), path)


@pytest.mark.parametrize(("sizes", "known"), CONSISTENCY.items(), ids=str)
def test_consistency_proofs_are_those_that_everybody_knows(sizes: tuple[int, int], known: list[str]) -> None:
    first, second = sizes
    tree = Tree(KNOWN)
    path = consistency_path(first, second, tree.subtree)
    assert [each.hex() for each in path] == known
    older, newer = [TreeHead(size, naive_root(KNOWN[:size])) for size in sizes]
    assert is_consistent(older, newer, path)


@pytest.mark.parametrize("sizes", GO, ids=str)
def test_proofs_are_those_of_go(sizes: tuple[int, int]) -> None:
    largest, step = sizes
    inclusion, consistency = sha256(), sha256()
    for size in range(step, largest + 1, step):
        for index in range(size):
            inclusion.update(b"".join(inclusion_path(index, size, TREE.subtree)))
            consistency.update(b"".join(consistency_path(index + 1, size, TREE.subtree)))
    assert (inclusion.hexdigest(), consistency.hexdigest()) == GO[sizes]


def test_every_proof_of_small_trees_holds_and_for_no_other_size_or_index() -> None:
    # Not checking that a size is used up has let proofs of other sizes pass elsewhere. The root does not say its size.
    for size in range(1, 40):
        head = TREE.head(size)
        for index in range(size):
            path = inclusion_path(index, size, TREE.subtree)
            assert is_included(LEAVES[index], index, head, path)
            assert not is_included(LEAVES[index], index, head, [*path, path[-1] if path else LEAVES[0]])
            assert not path or not is_included(LEAVES[index], index, head, path[:-1])
            assert not path or not is_included(LEAVES[index], index, head, path[1:])
            for other in range(size):
                assert other == index or not is_included(LEAVES[index], other, head, path)
        for first in range(size + 1):
            path = consistency_path(first, size, TREE.subtree)
            assert is_consistent(TREE.head(first), head, path)
            assert not is_consistent(TREE.head(first), head, [*path, LEAVES[0]])
            assert not path or not is_consistent(TREE.head(first), head, path[:-1])
            for other in range(size + 1):
                assert other == first or not is_consistent(TREE.head(other), head, path) or path == []


def test_an_inclusion_proof_of_another_size_is_refused_wherever_its_path_would_be_another() -> None:
    for size in range(1, 40):
        for index in range(size):
            path = inclusion_path(index, size, TREE.subtree)
            for other in range(1, 80):
                found = is_included(LEAVES[index], index, TreeHead(other, TREE.subtree(0, size)), path)
                # The same hashes on the same sides prove the same: a size is bound to its root by the signature.
                assert not found or _sides(index, other) == _sides(index, size)


def _sides(index: int, size: int) -> list[bool]:
    sides, start, stop = list[bool](), 0, size
    while stop - start > 1 and index < size:
        middle = start + (1 << (stop - start - 1).bit_length() - 1)
        sides.append(index >= middle)
        start, stop = (middle, stop) if index >= middle else (start, middle)
    return sides


def test_from_an_empty_tree_and_to_the_same_one_only_the_true_roots_are_consistent() -> None:
    empty, head = TreeHead(0, EMPTY_ROOT), TREE.head(5)
    assert is_consistent(empty, head, [])
    assert is_consistent(empty, empty, [])
    assert is_consistent(head, head, [])
    assert not is_consistent(TreeHead(0, bytes(32)), head, [])
    assert not is_consistent(TreeHead(0, bytes(32)), TreeHead(0, bytes(32)), [])
    assert not is_consistent(empty, head, [LEAVES[0]])
    assert not is_consistent(head, TreeHead(5, bytes(32)), [])
    assert not is_consistent(head, TREE.head(4), consistency_path(4, 5, TREE.subtree))
    # One that is not there is no proof.
    assert not is_consistent(TREE.head(4), TREE.head(8), [])


@pytest.mark.parametrize("index", [-1, 5, SIZE_MAX, 1 << 70])
def test_an_index_outside_the_tree_has_no_proof(index: int) -> None:
    with pytest.raises(ValueError, match="has no leaf"):
        inclusion_path(index, 5, TREE.subtree)
    assert not is_included(LEAVES[0], index, TREE.head(5), inclusion_path(0, 5, TREE.subtree))


@pytest.mark.parametrize("first", [-1, 6])
def test_a_size_that_the_tree_never_had_has_no_proof(first: int) -> None:
    with pytest.raises(ValueError, match="did not have"):
        consistency_path(first, 5, TREE.subtree)


def test_hashes_of_other_lengths_prove_nothing() -> None:
    path = inclusion_path(2, 5, TREE.subtree)
    head = TREE.head(5)
    assert not is_included(LEAVES[2][:-1], 2, head, path)
    assert not is_included(LEAVES[2], 2, TreeHead(5, head.root + b"\0"), path)
    assert not is_included(LEAVES[2], 2, head, [path[0] + path[1], *path[2:]])
    assert not is_included(LEAVES[2], 2, head, [path[0].hex(), *path[1:]])  # type: ignore[list-item] # on purpose
    assert not is_included(LEAVES[2], 2, TreeHead(1 << 70, head.root), path)


def test_blocks_are_complete_subtrees_that_give_the_root() -> None:
    for start, stop in [(0, 1), (0, 5), (0, 700), (64, 70), (256, 300), (512, 1_024)]:
        found = list(blocks(start, stop))
        assert found[0][1] << found[0][0] == start
        assert sum(1 << level for level, _ in found) == stop - start
        hashes = [TREE.subtree(number << level, (number + 1) << level) for level, number in found]
        assert folded(hashes) == TREE.subtree(start, stop)


MUTATED = 400
"""Mutations in one round: 250 rounds are 100,000."""


def test_no_mutated_proof_is_accepted() -> None:
    for seed in rounds("mutated tree proofs", test=5, prove=250):
        chance = random.Random(seed)
        for _ in range(MUTATED // 2):
            size = chance.randrange(1, 1_025)
            index = chance.randrange(size)
            path = inclusion_path(index, size, TREE.subtree)
            leaf, at, head, mutated = _mutated_inclusion(chance, index, size, path)
            same = (leaf, at, head, mutated) == (LEAVES[index], index, TREE.head(size), path)
            assert same or not is_included(leaf, at, head, mutated), (index, size)
            # Every log continues the empty one.
            first = chance.randrange(size + 1) or size
            path = consistency_path(first, size, TREE.subtree)
            older, newer, mutated = _mutated_consistency(chance, first, size, path)
            same = (older, newer, mutated) == (TREE.head(first), TREE.head(size), path)
            assert same or not is_consistent(older, newer, mutated), (first, size)


def _mutated_inclusion(
    chance: random.Random, index: int, size: int, path: list[bytes]
) -> tuple[bytes, int, TreeHead, list[bytes]]:
    leaf, head = LEAVES[index], TREE.head(size)
    match chance.randrange(4):
        case 0:
            return _flipped(chance, leaf), index, head, path
        case 1:
            return leaf, chance.randrange(size), head, path
        case 2:
            return leaf, index, TreeHead(size, _flipped(chance, head.root)), path
        case _:
            return leaf, index, head, _mutated_path(chance, path)


def _mutated_consistency(
    chance: random.Random, first: int, size: int, path: list[bytes]
) -> tuple[TreeHead, TreeHead, list[bytes]]:
    older, newer = TREE.head(first), TREE.head(size)
    match chance.randrange(4):
        case 0:
            return TreeHead(first, _flipped(chance, older.root)), newer, path
        case 1:
            return older, TreeHead(size, _flipped(chance, newer.root)), path
        case 2:
            # Another honest log that was spliced in at the size.
            spliced = Tree([*LEAVES[: max(first - 1, 0)], *reversed(LEAVES[max(first - 1, 0) : size])])
            return older, TreeHead(size, spliced.subtree(0, size)), consistency_path(first, size, spliced.subtree)
        case _:
            return older, newer, _mutated_path(chance, path)


def _mutated_path(chance: random.Random, path: list[bytes]) -> list[bytes]:
    found = list(path)
    at = chance.randrange(len(found) + 1)
    match chance.randrange(5):
        case 0:
            found.insert(at, chance.choice(LEAVES))
        case 1 if found:
            del found[chance.randrange(len(found))]
        case 2 if found:
            at = chance.randrange(len(found))
            found[at] = _flipped(chance, found[at])
        case 3:
            chance.shuffle(found)
        case _:
            found.append(found[-1] if found else LEAVES[0])
    return found


def _flipped(chance: random.Random, content: bytes) -> bytes:
    at = chance.randrange(len(content) * 8)
    return content[: at // 8] + bytes([content[at // 8] ^ 1 << at % 8]) + content[at // 8 + 1 :]
