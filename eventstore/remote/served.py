"""What a service says of its log to those who connect: its identity, its limits, and its tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from eventstore.journal import Fault, MissingTail, TypeRow
from eventstore.proofs.merkle import HASH_BYTES, Frontier, Node

if TYPE_CHECKING:
    from collections.abc import Sequence


class ServedLog(msgspec.Struct, frozen=True, kw_only=True):
    """The log that a service serves, and what it takes at once. `actor`: the name that what is appended will bear."""

    log: str
    log_id: str
    """16 bytes in hex."""
    head: int
    actor: str
    version: str
    """The service's own."""
    body_bytes_max: int
    page_max: int
    is_mirrored: bool = False
    """Whether the log is shipped to InfluxDB, so that an append can wait for it."""
    is_replicated: bool = False
    """Whether each append waits for a standby of PostgreSQL."""
    unproved: tuple[str, ...] = ()
    trouble: str = ""
    missing_tail: MissingTail | None = None
    first_recorded_at: str | None = None
    """To keys that may read every account alone, as `last_recorded_at`; None in an empty log."""
    last_recorded_at: str | None = None


class ServedHead(msgspec.Struct, frozen=True):
    """The last position of the log, 0 for an empty one."""

    head: int


class ServedNumber(msgspec.Struct, frozen=True):
    """A position of the log, or a version of a stream."""

    found: int


class ServedTypes(msgspec.Struct, frozen=True):
    """Each type and schema that the log has events of, with its durability and measures."""

    types: list[TypeRow]


class SentNode(msgspec.Struct, frozen=True):
    """A complete subtree: it covers the leaves from number × 2^level on, 2^level of them; the hash is hex."""

    level: int
    number: int
    hash: str


class ServedTree(msgspec.Struct, frozen=True):
    """The log's Merkle tree (RFC 6962): its size, and the roots in hex of its complete subtrees, the largest first."""

    size: int
    hashes: list[str]


class ServedNodes(msgspec.Struct, frozen=True):
    """Stored nodes of the tree."""

    nodes: list[SentNode]


class ServedFault(msgspec.Struct, frozen=True):
    """What is wrong with the storage, and the position it belongs to, 0 if it belongs to none."""

    position: int
    reason: str


class ServedIntegrity(msgspec.Struct, frozen=True):
    """What a check of the storage found; `is_done` is false while it still runs: ask again."""

    is_done: bool
    faults: list[ServedFault] = []


def served_tree(tree: Frontier) -> ServedTree:
    """Return a tree as it is sent."""
    hashes = tree.to_bytes()
    return ServedTree(tree.size, [hashes[at : at + HASH_BYTES].hex() for at in range(0, len(hashes), HASH_BYTES)])


def received_tree(sent: ServedTree) -> Frontier:
    """Return the tree that was sent; raise ValueError for hashes that cannot be its."""
    return Frontier(sent.size, [bytes.fromhex(each) for each in sent.hashes])


def served_nodes(nodes: Sequence[Node]) -> ServedNodes:
    """Return nodes as they are sent."""
    return ServedNodes([SentNode(node.level, node.number, node.hash.hex()) for node in nodes])


def received_nodes(sent: ServedNodes) -> list[Node]:
    """Return the nodes that were sent; raise ValueError for hashes that are none."""
    return [Node(node.level, node.number, bytes.fromhex(node.hash)) for node in sent.nodes]


def served_integrity(faults: list[Fault] | None) -> ServedIntegrity:
    """Return what a check found as it is sent; None while it runs."""
    if faults is None:
        return ServedIntegrity(is_done=False)
    return ServedIntegrity(is_done=True, faults=[ServedFault(fault.position, fault.reason) for fault in faults])


def received_faults(sent: ServedIntegrity) -> list[Fault]:
    """Return the faults that were sent."""
    return [Fault(fault.position, fault.reason) for fault in sent.faults]
