"""Checkpoints: size and root of a log's tree as a signed note that other tools read (c2sp.org/tlog-checkpoint)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
from typing_extensions import override

from eventstore.errors import InvalidNote, shown
from eventstore.proofs.keys import ED25519
from eventstore.proofs.merkle import HASH_BYTES, TreeHead
from eventstore.proofs.signed_notes import NoteSignature, SignedNote, base64_of, bytes_of, parse_note

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eventstore.proofs.keys import PublicKey

SIZE_MAX = (1 << 63) - 1
_SIZE = re.compile("0|[1-9][0-9]{0,18}", re.ASCII)
_LINES_MIN = 3
RESTORED_LINE = "restored-after"
"""The extension line of each checkpoint since its log was put back to an earlier state on purpose."""


class Checkpoint(msgspec.Struct, frozen=True):
    """At `size` the log `origin` had a tree with this root. `extensions` are further lines, signed with the rest.

    Nothing follows from it before `verify` or `signers` has checked its signatures against a key from elsewhere.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()
    signatures: tuple[NoteSignature, ...] = ()

    @classmethod
    def parse(cls, content: bytes | str) -> Checkpoint:
        """Return the checkpoint that a signed note holds; raise InvalidNote for anything else."""
        return cls.of_note(parse_note(content))

    @classmethod
    def of_note(cls, note: SignedNote) -> Checkpoint:
        """Return the checkpoint that a note holds; raise InvalidNote."""
        lines = note.text[:-1].split("\n")
        if len(lines) < _LINES_MIN or not all(lines):
            msg = "a checkpoint has an origin, a size and a root, each on a line of its own, and no empty line"
            raise InvalidNote(msg)
        origin, size, root = lines[:_LINES_MIN]
        if not _SIZE.fullmatch(size) or int(size) > SIZE_MAX:
            msg = f"a checkpoint's second line is the number of records, not {shown(size)}"
            raise InvalidNote(msg)
        hash_ = bytes_of(root, "a checkpoint's root")
        if len(hash_) != HASH_BYTES:
            msg = f"a checkpoint's root has {HASH_BYTES} bytes, and this has {len(hash_)}"
            raise InvalidNote(msg)
        return cls(origin, int(size), hash_, tuple(lines[_LINES_MIN:]), note.signatures)

    @property
    def body(self) -> str:
        """What is signed: the lines before the signatures, with the last one's end."""
        return "".join(f"{line}\n" for line in (self.origin, str(self.size), base64_of(self.root), *self.extensions))

    @property
    def text(self) -> str:
        """The whole note."""
        return SignedNote(self.body, self.signatures).encoded().decode()

    @property
    def head(self) -> TreeHead:
        """The size and the root, as a tree has them."""
        return TreeHead(self.size, self.root)

    def extension(self, name: str) -> str | None:
        """Return what the first extension line `NAME VALUE` says, None without one."""
        found = (line.partition(" ") for line in self.extensions)
        return next((value for first, _, value in found if first == name), None)

    def signers(self, keys: Sequence[PublicKey]) -> tuple[PublicKey, ...]:
        """Return those of the keys that signed; raise InvalidNote if a signature that names one of them is false.

        Signatures by other keys are passed over, as the format asks for: they prove nothing.
        """
        found = []
        for key in keys:
            own = [signature for signature in self.signatures if key.made(signature)]
            if not all(key.verifies(self.body, signature) for signature in own):
                msg = (
                    f"the signature by {key.name}+{key.id.hex()} does not fit the checkpoint of size {self.size}: "
                    "its text or the signature was altered"
                )
                raise InvalidNote(msg)
            if own:
                found.append(key)
        return tuple(found)

    def verify(self, *keys: PublicKey) -> Checkpoint:
        """Return this checkpoint if one of the keys signed it as the log of that name; raise InvalidNote otherwise.

        A key of another origin, or a witness's, does not speak for this log.
        """
        own = [key for key in keys if key.kind == ED25519 and key.name == self.origin]
        if not self.signers(own):
            names = ", ".join(f"{key.name}+{key.id.hex()}" for key in keys) or "none"
            msg = (
                f"the checkpoint of {shown(self.origin)} at size {self.size} is not signed by a key given for it "
                f"(given: {names}): get the log's public key from its owner"
            )
            raise InvalidNote(msg)
        return self

    def with_signatures(self, signatures: Sequence[NoteSignature]) -> Checkpoint:
        """Return the same checkpoint with further signature lines, none of them twice."""
        more = [found for found in signatures if found not in self.signatures]
        return Checkpoint(self.origin, self.size, self.root, self.extensions, (*self.signatures, *more))

    @override
    def __repr__(self) -> str:
        return f"<Checkpoint of {self.origin} at size {self.size}, root {self.root.hex()[:16]}>"


def since_restored(
    found: Sequence[Checkpoint], is_counted: Callable[[Checkpoint], bool] = lambda _: True
) -> Sequence[Checkpoint]:
    """Return the checkpoints, in the order in which they were signed, since the log was last restored on purpose.

    Those before are of a state that the log does not continue. `is_counted` says which may state a restoration.
    """
    begins, stated = 0, None
    for at, checkpoint in enumerate(found):
        line = checkpoint.extension(RESTORED_LINE)
        if line not in {None, stated} and is_counted(checkpoint):
            begins = at
        stated = line
    return found[begins:]
