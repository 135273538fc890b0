"""The tree against the known roots of Certificate Transparency, and against RFC 6962's recursion."""

import random
from hashlib import sha256

import pytest

from eventstore.proofs import merkle
from eventstore.proofs.merkle import Frontier, Node
from eventstore.testing import naive_root

# The test tree of certificate-transparency's own reference implementation, and its root after each leaf.
DATA = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
SIZE_MAX = 700
LEAVES = [sha256(b"\0" + number.to_bytes(4, "big")).digest() for number in range(SIZE_MAX)]


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_those_that_everybody_knows(size: int) -> None:
    tree = Frontier()
    tree.grow([sha256(b"\0" + bytes.fromhex(data)).digest() for data in DATA[:size]])
    assert (tree.size, tree.root().hex()) == (size, ROOTS[size])


def test_the_root_is_the_recursions_at_every_size() -> None:
    tree = Frontier()
    for size, leaf in enumerate(LEAVES, 1):
        tree.grow([leaf])
        assert tree.root() == naive_root(LEAVES[:size]), size


@pytest.mark.parametrize("seed", range(20))
def test_growing_by_batches_is_growing_leaf_by_leaf(seed: int) -> None:
    chance = random.Random(seed)
    by_batches, by_leaves = Frontier(), Frontier()
    completed: list[Node] = []
    at = 0
    while at < SIZE_MAX:
        count = chance.choice([0, 1, 2, 3, 7, 64, 255, 256, 257, 400])
        completed += by_batches.grow(LEAVES[at : at + count])
        at += count
        assert by_batches.root() == naive_root(LEAVES[:at])
    one_by_one = [node for leaf in LEAVES for node in by_leaves.grow([leaf])]
    assert by_batches == by_leaves
    assert sorted(completed) == sorted(one_by_one)


def test_the_completed_nodes_are_those_from_the_stored_level_up() -> None:
    leaves = [sha256(bytes([0, *number.to_bytes(2, "big")])).digest() for number in range(1100)]
    completed = Frontier().grow(leaves)
    places = [(node.level, node.number) for node in completed]
    assert sorted(places) == [(8, 0), (8, 1), (8, 2), (8, 3), (9, 0), (9, 1), (10, 0)]
    for level, number, found in completed:
        width = 1 << level
        assert found == naive_root(leaves[number * width : (number + 1) * width])


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 257, 511, 512, 513, 699])
def test_bytes_give_the_tree_back_and_it_grows_on(size: int) -> None:
    tree = Frontier()
    tree.grow(LEAVES[:size])
    again = Frontier.from_bytes(size, tree.to_bytes())
    assert again == tree
    assert len(tree.to_bytes()) == merkle.HASH_BYTES * size.bit_count()
    again.grow(LEAVES[size:])
    assert again.root() == naive_root(LEAVES)


@pytest.mark.parametrize("size", [0, 1, 4, 8, 2])
def test_bytes_of_another_size_are_refused(size: int) -> None:
    tree = Frontier()
    tree.grow(LEAVES[:3])
    with pytest.raises(ValueError, match="complete subtrees"):
        Frontier.from_bytes(size, tree.to_bytes())


def test_a_copy_grows_by_itself() -> None:
    tree = Frontier()
    tree.grow(LEAVES[:5])
    twin = tree.copy()
    twin.grow(LEAVES[5:9])
    assert (tree.size, tree.root(), twin.size) == (5, naive_root(LEAVES[:5]), 9)
    assert tree != twin


def test_a_tree_shows_its_size_and_root() -> None:
    assert repr(Frontier()) == "<Frontier of 0 leaves, root e3b0c44298fc1c14>"
