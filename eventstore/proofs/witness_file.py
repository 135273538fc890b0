"""`witnesses.jsonl` beside a journal: which witness was handed which checkpoint, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from eventstore.errors import InvalidNote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from eventstore.proofs.checkpoints import Checkpoint
    from eventstore.side import LogSide

NAME = "witnesses.jsonl"
TAIL_BYTES = 1_048_576
"""How much of the file's end is looked at: thousands of lines."""
HANDED, WITNESSED, FAILED, GIVEN_UP = "handed", "witnessed", "failed", "given up"


class WitnessLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """At `at` a checkpoint was handed to a witness, it took it, or it failed; or no witness is used any longer.

    The line `handed` is on disk before the checkpoint is: one that a kill keeps from its witness counts as unwitnessed.
    """

    at: int
    size: int
    root: str
    witness: str
    state: Literal["handed", "witnessed", "failed", "given up"]
    reason: str = ""
    cosignatures: int = 0

    @classmethod
    def of(cls, checkpoint: Checkpoint, at: int, witness: str, state: str, reason: str = "") -> WitnessLine:
        """Return a line on a checkpoint."""
        return cls(at, checkpoint.size, checkpoint.root.hex(), witness, state, reason)  # type: ignore[arg-type]

    def is_on(self, checkpoint: Checkpoint) -> bool:
        """Return whether the line is on a checkpoint of this size and root."""
        return (self.size, self.root) == (checkpoint.size, checkpoint.root.hex())


class WitnessLines(NamedTuple):
    """The lines at the file's end, oldest first, and how many of them cannot be read."""

    lines: Sequence[WitnessLine]
    unreadable: int


class WitnessFile:
    """What is kept of the witnesses of a log."""

    def __init__(self, side: LogSide) -> None:
        self._side, self.place = side, side.described(NAME)

    def append(self, lines: Sequence[WitnessLine]) -> None:
        """Append lines with one sync, with the file's name where it is new."""
        if not lines:
            return
        end, _ = self._side.end(NAME, 1)
        # A line that a power cut tore is left as it is, and ends here.
        torn = b"\n" if end not in {b"", b"\n"} else b""
        self._side.add(NAME, torn + b"".join([msgspec.json.encode(line) + b"\n" for line in lines]))

    def exists(self) -> bool:
        """Return whether any witness was ever asked."""
        return bool(self._side.end(NAME, 1)[0])

    def read(self) -> WitnessLines:
        """Return the lines at the file's end; none where there is no file. Raises InvalidNote if it cannot be read."""
        try:
            content, is_whole = self._side.end(NAME, TAIL_BYTES)
        except OSError as e:
            msg = f"{self.place} cannot be read ({e.strerror}): move it away"
            raise InvalidNote(msg) from e
        lines = content.split(b"\n")
        return _decoded(lines if is_whole else lines[1:])


def _decoded(content: Iterable[bytes]) -> WitnessLines:
    lines, unreadable = [], 0
    for line in content:
        if line:
            try:
                lines.append(msgspec.json.decode(line, type=WitnessLine))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                unreadable += 1
    return WitnessLines(lines, unreadable)


def unwitnessed(lines: Sequence[WitnessLine], checkpoint: Checkpoint) -> dict[str, str]:
    """Return why each witness has not taken a checkpoint, by its name; empty where all that were handed it have."""
    states: dict[str, WitnessLine] = {}
    for line in [line for line in lines if line.is_on(checkpoint)]:
        known = states.get(line.witness)
        if line.state == GIVEN_UP:
            states.clear()
        # Once it has taken it, a later failure does not undo that.
        elif known is None or known.state != WITNESSED:
            states[line.witness] = line
    return {
        name: line.reason or "it was handed over, and no answer was recorded"
        for name, line in states.items()
        if line.state in {HANDED, FAILED}
    }
