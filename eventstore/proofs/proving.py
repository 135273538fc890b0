"""Proofs that a record is in a log, and that a log only grew: made from a store, written as text, checked again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, overload

import msgspec

from eventstore.arguments import position_of, size_of
from eventstore.errors import CorruptJournal, InvalidEvent, InvalidNote, shown
from eventstore.proofs import paths
from eventstore.proofs.checkpoints import Checkpoint
from eventstore.proofs.lines import line_of
from eventstore.proofs.signed_notes import NOTE_BYTES_MAX, SignedNote, base64_of, bytes_of
from eventstore.proofs.signers import origin_of
from eventstore.proofs.standalone import verify_bundle
from eventstore.proofs.stored_tree import PassedTree, StoredTree
from eventstore.readable import Readable
from eventstore.record import Digester
from eventstore.store import EventStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eventstore.proofs.merkle import TreeHead
    from eventstore.reader import EventReader
    from eventstore.record import Record
    from eventstore.side import LogSide

TITLE = "c2sp.org/tlog-proof@v1"
HASHES_MAX = 64
TEXT_MAX = NOTE_BYTES_MAX + 1_000_000
_INDEX = re.compile("index (0|[1-9][0-9]{0,18})", re.ASCII)
_OLD = re.compile("old (0|[1-9][0-9]{0,18})", re.ASCII)


class InclusionProof(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """That a record is in the log that a checkpoint is of. `line` is the record as JSON, with all its members.

    It proves as much as the checkpoint does: verify who signed that, with a key from elsewhere.
    """

    log_id: bytes
    position: int
    line: bytes
    digest: bytes
    path: tuple[bytes, ...]
    checkpoint: Checkpoint

    @property
    def holds(self) -> bool:
        """Whether record, path and checkpoint fit together."""
        return paths.is_included(self.digest, self.position - 1, self.checkpoint.head, self.path)

    @property
    def text(self) -> str:
        """The proof as C2SP's tlog-proof has it; its extra data is the log's id, a newline, and the record's line."""
        extra = self.log_id.hex().encode() + b"\n" + self.line
        lines = [TITLE, f"extra {base64_of(extra)}", f"index {self.position - 1}", *map(base64_of, self.path)]
        return "".join([f"{line}\n" for line in lines]) + "\n" + checkpoint_text(self.checkpoint)

    @classmethod
    def parse(cls, text: str) -> InclusionProof:
        """Return the proof that `text` wrote; raise InvalidNote for anything else, and for one that does not hold."""
        head, checkpoint = _parts(text)
        title, extra, index = (*head, "", "", "")[:3]
        found = _INDEX.fullmatch(index)
        if title != TITLE or not extra.startswith("extra ") or found is None:
            msg = f"a proof begins with {TITLE}, the record as extra data, and its index"
            raise InvalidNote(msg)
        log_id, _, line = bytes_of(extra.removeprefix("extra "), "the record").partition(b"\n")
        if not line.endswith(b"\n"):
            msg = "the proof's record was cut off"
            raise InvalidNote(msg)
        path = tuple([bytes_of(each, "a hash of the proof") for each in head[3:]])
        id_ = _log_id(log_id)
        try:
            row = verify_bundle.Lines(id_).record(line[:-1], 1)
        except verify_bundle.NotSo as e:
            msg = f"the proof's record is damaged: {e.reason}"
            raise InvalidNote(msg) from e
        proof = cls(
            log_id=id_, position=row.position, line=line, digest=row.digest, path=path, checkpoint=checkpoint
        )  # fmt: skip
        if int(found[1]) != row.position - 1 or not proof.holds:
            msg = f"position {row.position} is not proved to be in the log of {checkpoint}: record or proof was altered"
            raise InvalidNote(msg)
        return proof


class ConsistencyProof(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """That the log that a checkpoint is of begins with all that it had at an earlier size."""

    from_size: int
    path: tuple[bytes, ...]
    checkpoint: Checkpoint

    def continues(self, earlier: TreeHead | Checkpoint) -> bool:
        """Return whether the log only grew since it had an earlier root, which was kept elsewhere."""
        head = earlier.head if isinstance(earlier, Checkpoint) else earlier
        return head.size == self.from_size and paths.is_consistent(head, self.checkpoint.head, self.path)

    @property
    def text(self) -> str:
        """The proof as witnesses take it (C2SP's tlog-witness, add-checkpoint): the old size, hashes, checkpoint."""
        lines = [f"old {self.from_size}", *map(base64_of, self.path)]
        return "".join([f"{line}\n" for line in lines]) + "\n" + checkpoint_text(self.checkpoint)

    @classmethod
    def parse(cls, text: str) -> ConsistencyProof:
        """Return the proof that `text` wrote; raise InvalidNote for anything else."""
        head, checkpoint = _parts(text)
        found = _OLD.fullmatch(head[0])
        if found is None:
            msg = f"a proof of consistency begins with the old size, as `old 1204`, not {shown(head[0])}"
            raise InvalidNote(msg)
        path = tuple([bytes_of(each, "a hash of the proof") for each in head[1:]])
        return cls(from_size=int(found[1]), path=path, checkpoint=checkpoint)


@overload
def prove(store: EventReader, position: int, *, checkpoint: Checkpoint | None = None) -> InclusionProof: ...


@overload
def prove(store: EventReader, *, from_size: int, checkpoint: Checkpoint | None = None) -> ConsistencyProof: ...


def prove(
    store: EventReader,
    position: int | None = None,
    *,
    from_size: int | None = None,
    checkpoint: Checkpoint | None = None,
) -> InclusionProof | ConsistencyProof:
    """Prove that a record is in a log or, with `from_size`, that the log only grew since it had so many records.

    The proof is for a signed checkpoint or, without one, for the log as it is now, which is signed by nobody. Raises
    InvalidEvent for a position or size past it or a checkpoint that is not this log's, CorruptJournal where what is
    stored gives no proof.
    """
    if (position is None) == (from_size is None):
        msg = "give prove a position, or from_size"
        raise InvalidEvent(msg)
    if position is not None:
        store, position, _ = in_one_log(store, position_of("position", position))
    elif isinstance(store, EventStore):
        store = store.alone()
    head = checkpoint or unsigned(store)
    tree = tree_of(store, head)
    if position is not None:
        return _inclusion(store, tree, position, head)
    size = size_of(from_size, head.size)
    path = paths.consistency_path(size, head.size, tree.subtree)
    return ConsistencyProof(from_size=size, path=tuple(path), checkpoint=head)


class ProvedIn(NamedTuple):
    """The log that has a record, by itself, the record's position there, and what lies beside that log."""

    store: EventReader
    position: int
    side: LogSide | None


def in_one_log(store: EventReader, position: int) -> ProvedIn:
    """Return which log has a position of a store's: a proof is of one log's tree, and of a checkpoint of that log."""
    if not isinstance(store, EventStore):
        return ProvedIn(store, position, None)
    chain = store.chain
    if chain is None or position > store.head():
        return ProvedIn(store.alone(), position, store.side)
    journal, own = chain.located(position)
    return ProvedIn(EventStore(journal, clock=store.clock), own, chain.beside_at(position) or store.side)


def inclusions(store: EventReader, positions: Iterable[int], *, checkpoint: Checkpoint) -> Iterator[InclusionProof]:
    """Prove that each of some records is in the log that a checkpoint is of, as `prove` does, with one look at it."""
    tree = tree_of(store, checkpoint)
    return (_inclusion(store, tree, position, checkpoint) for position in positions)


def _inclusion(store: EventReader, tree: StoredTree, position: int, head: Checkpoint) -> InclusionProof:
    if not 1 <= position <= head.size:
        msg = f"position {position} is not among the {head.size:,} records of the checkpoint: sign a newer one"
        raise InvalidEvent(msg)
    record = record_at(store, position)
    path = paths.inclusion_path(position - 1, head.size, tree.subtree)
    proof = InclusionProof(
        log_id=store.log_id,
        position=position,
        line=line_of(record),
        digest=record.digest,
        path=tuple(path),
        checkpoint=head,
    )
    # What is stored may have been changed: a proof that does not hold is not given away.
    if not Digester(store.log_id).is_sound(record):
        raise CorruptJournal(position, "the record does not have its digest: it was changed after it was written")
    if not proof.holds:
        raise CorruptJournal(position, "the stored digests and the stored tree differ: run eventstore verify")
    return proof


def record_at(store: EventReader, position: int) -> Record:
    """Return the record of a position; raise CorruptJournal where it is missing."""
    found = next(store.read(after=position - 1, until=position, limit=1), None)
    if found is None or found.position != position:
        raise CorruptJournal(position, "the record is missing")
    return found


def tree_of(store: EventReader, checkpoint: Checkpoint) -> StoredTree:
    """Return the tree of a log at a checkpoint; raise InvalidEvent if it had another one then."""
    head = store.head()
    if checkpoint.size > head:
        msg = f"the checkpoint is of {checkpoint.size:,} records, and the log ends at {head:,}: its tail is lost here"
        raise InvalidEvent(msg)
    if isinstance(store, EventStore):
        tree = StoredTree(store._journal, checkpoint.size)  # noqa: SLF001 - stores have no public name for it
    else:
        tree = PassedTree(store._source, checkpoint.size)  # noqa: SLF001 - the same
    if tree.root() != checkpoint.root:
        msg = (
            f"log {store.log} did not have the checkpoint's root at size {checkpoint.size:,}: the checkpoint is of "
            "another log, or this one was changed since; eventstore verify names the position"
        )
        raise InvalidEvent(msg)
    return tree


def unsigned(store: EventReader) -> Checkpoint:
    """Return size and root of a log as it is now, as a checkpoint that nobody has signed."""
    size, root = store.root()
    return Checkpoint(origin_of(store.log, store.log_id), size, root)


def checkpoint_text(checkpoint: Checkpoint) -> str:
    """Return a checkpoint's note, or what would be signed of it where nobody has."""
    return checkpoint.text if checkpoint.signatures else checkpoint.body


def _parts(text: str) -> tuple[list[str], Checkpoint]:
    """Return the lines before the empty one, and the checkpoint after it."""
    if len(text) > TEXT_MAX:
        msg = f"a proof has at most {TEXT_MAX:,} characters, and this has {len(text):,}"
        raise InvalidNote(msg)
    head, blank, rest = text.partition("\n\n")
    lines = head.split("\n")
    if not blank or len(lines) > HASHES_MAX + 3 or not rest.endswith("\n"):
        msg = "a proof is some lines, an empty one, and a checkpoint: this was cut off, or is another file"
        raise InvalidNote(msg)
    if "\n\n" in rest:
        return lines, Checkpoint.parse(rest)
    return lines, Checkpoint.of_note(SignedNote(rest, ()))


def _log_id(text: bytes) -> bytes:
    if not re.fullmatch(rb"[0-9a-f]{32}", text):
        msg = "the proof names no log id of 32 hexadecimal digits before its record"
        raise InvalidNote(msg)
    return bytes.fromhex(text.decode())
