"""`checkpoints.txt` beside a journal: whole signed notes, oldest first, a blank line between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.errors import InvalidNote
from eventstore.proofs.checkpoints import Checkpoint
from eventstore.proofs.signed_notes import NOTE_BYTES_MAX, parse_note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.side import LogSide

NAME = "checkpoints.txt"
TAIL_BYTES = 1_048_576
"""How much of the file's end is looked at: thousands of checkpoints. `verify --checkpoint` reads all of a file."""
LAST_BYTES = 2 * NOTE_BYTES_MAX + 2
"""The end that has the last note whole, also if another one was torn after it."""
USUAL_BYTES = 8_192
"""The end that usually has some notes whole."""
_SIGNED = "\N{EM DASH} "
_CONTINUED = bytes(range(0x80, 0xC0))


class CheckpointFile:
    """A log's checkpoints. A note that stands twice, the second time with a witness's signatures, is one checkpoint."""

    def __init__(self, side: LogSide) -> None:
        self._side, self.place = side, side.described(NAME)

    def newest(self) -> list[Checkpoint]:
        """Return the checkpoints at the file's end, oldest first, none of them verified; raise InvalidNote."""
        tail, is_whole = self._tail(TAIL_BYTES)
        found: dict[str, Checkpoint] = {}
        for checkpoint in notes_of(tail, self.place, is_whole=is_whole):
            known = found.pop(checkpoint.body, None)
            found[checkpoint.body] = checkpoint if known is None else known.with_signatures(checkpoint.signatures)
        return list(found.values())

    def covering(self, position: int) -> Checkpoint | None:
        """Return the newest checkpoint, not verified; None without one, or where it does not cover a position."""
        found = next(reversed(self.newest()), None)
        return None if found is None or found.size < position else found

    def last(self) -> Checkpoint | None:
        """Return the note that was appended last, None where there is none; raise InvalidNote for a damaged end."""
        for length in (USUAL_BYTES, LAST_BYTES):
            tail, is_whole = self._tail(length)
            if is_whole or length == LAST_BYTES or b"\n\n" in tail.partition(b"\n\n")[2].partition(b"\n\n")[2]:
                return next(reversed(notes_of(tail, self.place, is_whole=is_whole, count=1)), None)
        return None

    def append(self, checkpoint: Checkpoint) -> None:
        """Append a note and sync it, with the file's name where it is new; raise InvalidNote past a damaged end."""
        content = checkpoint.text.encode()
        self._side.add(NAME, content if self.last() is None else b"\n" + content)

    def complete(self, unfinished: Sequence[Checkpoint]) -> bool:
        """Add what is missing of a note that a power cut tore, and return whether that was so.

        It has to be the beginning of one of the `unfinished`, which were kept elsewhere first. Nothing is cut off, and
        any other damage is left to those who read.
        """
        tail, is_whole = self._tail(LAST_BYTES)
        if not tail or _is_complete(tail, is_whole=is_whole):
            return False
        rest = _torn_rest(tail, unfinished, is_whole=is_whole)
        if rest is not None:
            self._side.add(NAME, rest)
        return rest is not None

    def _tail(self, length: int) -> tuple[bytes, bool]:
        """Return the file's end, and whether that is all of it; nothing for a file that is not there."""
        try:
            return self._side.end(NAME, length)
        except OSError as e:
            msg = f"{self.place} cannot be read ({e.strerror}): move it away"
            raise InvalidNote(msg) from e


def notes_of(
    content: bytes, place: object = "the file", *, is_whole: bool = True, count: int | None = None
) -> list[Checkpoint]:
    """Return the checkpoints of a file, or of its end, in the order in which they stand; raise InvalidNote.

    In a part of a file the first note may be cut off, and is passed over. With `count` only so many are looked at, the
    last ones.
    """
    try:
        text = (content if is_whole else content.lstrip(_CONTINUED)).decode()
    except UnicodeDecodeError as e:
        msg = f"{place} is damaged: it is not UTF-8 text ({e})"
        raise InvalidNote(msg) from e
    chunks = text.split("\n\n") if text else []
    if not is_whole:
        chunks = chunks[_first_whole(chunks) :]
    if count is not None:
        # An odd number ends with a note that is not whole.
        chunks = chunks[-(2 * count - len(chunks) % 2) :]
    found = []
    for number, at in enumerate(range(0, len(chunks), 2), 1):
        try:
            found.append(_checkpoint_of(chunks[at : at + 2], is_last=at + 2 >= len(chunks)))
        except InvalidNote as e:
            what = f"checkpoint {number}" if is_whole else "a checkpoint at its end"
            msg = f"{place} is damaged at {what}: {e}. Keep the file as evidence: move it away and sign again"
            raise InvalidNote(msg) from e
    if content and not found:
        msg = f"{place} does not end with a checkpoint. Keep the file as evidence: move it away and sign again"
        raise InvalidNote(msg)
    return found


def _first_whole(chunks: Sequence[str]) -> int:
    """Return where the first text begins that is not cut off: the first chunk is a part of something."""
    signed = next((at for at, chunk in enumerate(chunks) if at and chunk.startswith(_SIGNED)), len(chunks))
    return signed - 1 if signed > 1 else signed + 1


def _checkpoint_of(chunks: Sequence[str], *, is_last: bool) -> Checkpoint:
    if len(chunks) == 1:
        msg = "it has no signature: it was cut off while it was written, or altered"
        raise InvalidNote(msg)
    text, signatures = chunks
    return Checkpoint.of_note(parse_note(f"{text}\n\n{signatures}" + ("" if is_last else "\n")))


def _torn_rest(tail: bytes, unfinished: Sequence[Checkpoint], *, is_whole: bool) -> bytes | None:
    """Return what is missing of a note that the file ends in the middle of, None if it is not one of the given."""
    for checkpoint in unfinished:
        written = b"\n" + checkpoint.text.encode()
        for length in range(len(written) - 1, 0, -1):
            if is_whole and tail == written[1 : 1 + length]:
                return written[1 + length :]
            if tail.endswith(written[:length]) and _is_complete(tail[:-length], is_whole=is_whole):
                return written[length:]
    return None


def _is_complete(content: bytes, *, is_whole: bool) -> bool:
    try:
        return bool(notes_of(content, is_whole=is_whole, count=1))
    except InvalidNote:
        return False
