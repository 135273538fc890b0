"""The health of a log's checkpoints: whether the log still gives them, and whether every witness has them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol

import msgspec

from eventstore.errors import CorruptJournal, InvalidNote, StoreError
from eventstore.proofs.checkpoint_file import CheckpointFile
from eventstore.proofs.checkpoints import since_restored
from eventstore.proofs.witness_file import GIVEN_UP, WITNESSED, WitnessFile, unwitnessed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.proofs.checkpoints import Checkpoint
    from eventstore.proofs.key_files import KeyFolder, StoredKey
    from eventstore.side import LogSide

SIGNED_LINE = "signed-at"


class ProvableLog(Protocol):
    """What is asked of a store: its log's id, and the root that it had at a size.

    Its head is not: of a rotated log it counts the records of the logs before, which no checkpoint of this one does.
    """

    @property
    def log_id(self) -> bytes:
        """The log's identity."""

    def root(self, size: int | None = None) -> tuple[int, bytes]:
        """Return a size, and the root of the tree of that many records."""


class CheckpointHealth(msgspec.Struct, frozen=True):
    """What is wrong with a log's checkpoints, what needs attention, and otherwise how far they go."""

    summary: str
    wrong: tuple[str, ...] = ()
    attention: tuple[str, ...] = ()


class _Examination:
    def __init__(self, log: ProvableLog, side: LogSide, folder: KeyFolder) -> None:
        self.wrong: list[str] = []
        self.attention: list[str] = []
        self._log, self._folder = log, folder
        self._file, self._witnesses = CheckpointFile(side), WitnessFile(side)
        self._head, _ = log.root()

    def examine(self) -> str:
        """Look at keys, checkpoints and witnesses; return the summary."""
        keys = self._keys()
        try:
            found = self._file.newest()
        except InvalidNote as e:
            self.wrong.append(str(e))
            return ""
        signed = self._check_last_signed(keys, found)
        since = since_restored(found, lambda each: self._is_signed(each, keys))
        newest = max([*since, *signed], key=lambda each: each.size, default=None)
        if newest is None:
            return self._without(keys)
        self._check_signature(newest, keys)
        self._check_continued(newest)
        return self._summary(newest, self._check_witnesses(newest))

    def _keys(self) -> list[StoredKey]:
        try:
            keys = self._folder.of_log(self._log.log_id)
            for stored in keys:
                if stored.retired_at is None:
                    self._folder.private(stored)
        except StoreError as e:
            self.wrong.append(str(e))
            return []
        return keys

    def _check_last_signed(self, keys: Sequence[StoredKey], found: Sequence[Checkpoint]) -> list[Checkpoint]:
        """Return what the keys signed last; report those that are not in the log's file.

        As where it is signed, what retired keys signed counts until an active one has signed.
        """
        bodies = {each.body for each in found}
        last = [(stored, signed) for stored in keys if (signed := self._last_signed(stored)) is not None]
        last = [each for each in last if each[0].retired_at is None] or last
        for stored, signed in last:
            if signed.body not in bodies:
                self.wrong.append(
                    f"{self._file.place} lacks the checkpoint of size {signed.size:,}, which the key "
                    f"{stored.public.id.hex()} signed: the file was replaced or cut off; find out by whom"
                )
        return [signed for _, signed in last]

    def _last_signed(self, stored: StoredKey) -> Checkpoint | None:
        try:
            return self._folder.last_signed(stored)
        except StoreError as e:
            self.wrong.append(str(e))
            return None

    def _without(self, keys: Sequence[StoredKey]) -> str:
        if self._witnesses.exists():
            self.wrong.append(
                f"{self._file.place} is missing, and witnesses were asked: it was deleted; restore a copy"
            )
        elif keys:
            self.attention.append("there is a key, and nothing is signed yet: run eventstore checkpoint")
        return "none: eventstore keys new makes a key, eventstore checkpoint signs the log"

    @staticmethod
    def _is_signed(checkpoint: Checkpoint, keys: Sequence[StoredKey]) -> bool:
        """Return whether a key of this folder signed it: anybody else could say that the log was restored."""
        with contextlib.suppress(InvalidNote):
            return bool(checkpoint.signers([stored.public for stored in keys]))
        return False

    def _check_signature(self, newest: Checkpoint, keys: Sequence[StoredKey]) -> None:
        try:
            signers = newest.signers([stored.public for stored in keys])
        except InvalidNote as e:
            self.wrong.append(str(e))
            return
        if not signers:
            self.attention.append(
                f"the newest checkpoint, of size {newest.size:,}, is not signed by a key in {self._folder.path}: it "
                "proves nothing here; eventstore verify --checkpoint takes the key"
            )

    def _check_continued(self, newest: Checkpoint) -> None:
        if newest.size > self._head:
            self.wrong.append(
                f"a checkpoint of size {newest.size:,} was signed, and the log ends at {self._head:,}: its tail is "
                "lost, or an older copy was put in its place"
            )
            return
        try:
            root = self._log.root(newest.size)[1]
        except CorruptJournal as e:
            self.wrong.append(str(e))
            return
        if root != newest.root:
            self.wrong.append(
                f"the log does not give the root of the checkpoint of size {newest.size:,}: the log was rewritten "
                "with its tree, or the checkpoint is another log's; eventstore verify finds the position"
            )

    def _check_witnesses(self, newest: Checkpoint) -> list[str]:
        """Report the witnesses that have not taken the newest checkpoint; return the names of those that have."""
        try:
            lines, unreadable = self._witnesses.read()
        except InvalidNote as e:
            self.wrong.append(str(e))
            return []
        if unreadable:
            self.attention.append(f"{unreadable:,} lines of {self._witnesses.place} cannot be read")
        for name, why in sorted(unwitnessed(lines, newest).items()):
            self.wrong.append(f"the checkpoint of size {newest.size:,} is unwitnessed: {name}: {why}; sign again")
        own = {line.witness for line in lines if line.is_on(newest)}
        if lines and not own and lines[-1].state != GIVEN_UP:
            taken = max((line.size for line in lines if line.state == WITNESSED), default=0)
            self.wrong.append(
                f"the checkpoint of size {newest.size:,} was handed to no witness, the newest that was taken has size "
                f"{taken:,}: run eventstore checkpoint with the witness, or --no-witness if it is given up"
            )
        return sorted({line.witness for line in lines if line.is_on(newest) and line.state == WITNESSED})

    def _summary(self, newest: Checkpoint, taken: Sequence[str]) -> str:
        at = newest.extension(SIGNED_LINE)
        since = f", {self._head - newest.size:,} records since" if self._head > newest.size else ""
        when = f", signed at {at}" if at else ""
        witnesses = f"witnessed by {', '.join(taken)}" if taken else "no witness is configured"
        return f"the newest has size {newest.size:,}{since}{when}; {witnesses}"


def checkpoint_health(log: ProvableLog, side: LogSide, folder: KeyFolder) -> CheckpointHealth:
    """Return what is wrong with a log's checkpoints: from their file, the keys here, and what witnesses answered.

    Only the newest is compared with the log: each continues all before it. Raises ImportError without the library that
    verifies signatures, where there is something to verify.
    """
    found = _Examination(log, side, folder)
    summary = found.examine()
    return CheckpointHealth(summary, tuple(found.wrong), tuple(found.attention))
