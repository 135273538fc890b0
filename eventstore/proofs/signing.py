"""Signing a log's checkpoints: only what was read back, and only what continues all that was signed before."""

from __future__ import annotations

import contextlib
import errno
import time
from typing import TYPE_CHECKING

import msgspec

from eventstore.clock import format_time
from eventstore.errors import CorruptJournal, InvalidEvent, InvalidNote, Overloaded, ReadOnly, StorageFull, Unavailable
from eventstore.proofs import verify
from eventstore.proofs.checkpoint_file import CheckpointFile
from eventstore.proofs.checkpoints import RESTORED_LINE, Checkpoint
from eventstore.proofs.key_files import key_folder
from eventstore.proofs.merkle import EMPTY_ROOT, TreeHead
from eventstore.proofs.signed_notes import SIGNATURES_MAX, base64_of
from eventstore.proofs.signers import Signers
from eventstore.proofs.witness_file import FAILED, HANDED, WITNESSED, WitnessFile, WitnessLine, unwitnessed
from eventstore.proofs.witnesses import ask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from eventstore.clock import Clock
    from eventstore.journal import Maintenance
    from eventstore.proofs.merkle import Frontier
    from eventstore.proofs.settings import CheckpointSettings
    from eventstore.proofs.signed_notes import NoteSignature
    from eventstore.side import LogSide, ProcessLock

    Progress = Callable[[int, int], None]

LOCK_FILE = "checkpoints.lock"
LOCK_SECONDS, LOCK_PAUSE_SECONDS = 10.0, 0.01
LEAF = (
    "SHA-256 of 0x00 log_id stream type schema actor note correlation_id causation_id position version recorded_at "
    "occurred_at id data"
)
"""What a leaf of the tree covers of a record, in this order, each after its length (docs/FORMAT.md)."""
FIRST = 1
"""The first position that the log has: none was ever removed from its beginning."""
FIRST_LINE, LEAF_LINE, SIGNED_LINE = "first", "leaf", "signed-at"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class CheckpointResult(msgspec.Struct, frozen=True):
    """What signing a checkpoint gave. `new`: False where the log has not grown, and its last one is returned.

    `outcomes` has a line for each witness that was asked; `notes` say what was amiss and is in order now.
    """

    checkpoint: Checkpoint
    new: bool
    outcomes: tuple[WitnessLine, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_witnessed(self) -> bool:
        """Whether every witness that was asked has taken it."""
        return all(line.state == WITNESSED for line in self.outcomes)


class Signing:
    """Signs the checkpoints of one log, and keeps them beside it."""

    def __init__(self, journal: Maintenance, side: LogSide, clock: Clock, settings: CheckpointSettings) -> None:
        self._journal, self._side, self._clock, self._settings = journal, side, clock, settings
        self._file, self._witnesses = CheckpointFile(side), WitnessFile(side)

    def sign(self, *, restored: bool = False, progress: Progress | None = None) -> CheckpointResult:
        """Sign a checkpoint of the log as it is now, keep it, and hand it to the witnesses.

        What was stored since the last one is read back and hashed again first. Nothing is signed that does not continue
        every checkpoint signed before; only for a log that was `restored` to an earlier state does a key that has
        signed nothing begin again, and each of its checkpoints says so. Raises CorruptJournal, InvalidNote,
        Unavailable, InvalidEvent, Overloaded, StorageFull and ReadOnly. A witness that fails raises nothing: it is
        among the outcomes, and `doctor` reports it.
        """
        with _translated(self._side):
            with _locked(self._side) as lock:
                result = self._signed(lock, restored=restored, progress=progress)
            # Without the lock: a witness that hangs keeps nobody else from signing.
            return self._witnessed(result)

    def _signed(self, lock: ProcessLock, *, restored: bool, progress: Progress | None) -> CheckpointResult:
        signers = Signers(key_folder(self._settings.keys), self._journal.log, self._journal.log_id)
        was_torn = self._file.complete(signers.last_signed)
        notes = [f"the end of {self._file.place} was torn, and is complete again"] * was_torn
        note = self._file.last()
        earlier = signers.earlier(note)
        if restored:
            earlier = earlier or [each for each in (note,) if each is not None]
            self._check_restored(signers, earlier)
        newest = max(earlier, key=lambda each: each.size, default=None)
        tree = self._read_back(newest, progress, restored=restored)
        if not lock.is_held:
            msg = f"the lock of those who sign was lost meanwhile ({self._side}): nothing was signed; try again"
            raise Unavailable(msg)
        if not restored:
            self._check_continued([each for each in earlier if each is not newest], tree.size)
            self._check_unknown(earlier, note)
        notes += self._add_missing(signers)
        if newest is not None and not restored and newest.head == tree.head() and signers.have_signed(newest):
            return CheckpointResult(self._with_cosignatures(newest), new=False, notes=tuple(notes))
        checkpoint = signers.signed(self._made(signers.origin, tree, newest, restored=restored))
        self._witnesses.append(self._lines(checkpoint, HANDED))
        self._file.append(checkpoint)
        return CheckpointResult(checkpoint, new=True, notes=tuple(notes))

    def _check_restored(self, signers: Signers, earlier: Sequence[Checkpoint]) -> None:
        """Raise InvalidEvent unless a new key is to begin again after checkpoints that the log does not continue."""
        signers.check_unsigned()
        if all(self._continues(each) for each in earlier):
            msg = "the log continues what was signed before: sign it without saying that it was restored"
            raise InvalidEvent(msg)

    def _read_back(self, newest: Checkpoint | None, progress: Progress | None, *, restored: bool) -> Frontier:
        since = TreeHead(0, EMPTY_ROOT) if newest is None or restored else newest.head
        try:
            return verify.read_back(self._journal, since, progress=progress)
        except CorruptJournal as e:
            if newest is not None and not restored:
                e.add_note(_disagreement(newest))
            raise

    def _check_continued(self, earlier: Sequence[Checkpoint], size: int) -> None:
        for each in earlier:
            if not self._continues(each):
                e = CorruptJournal(min(each.size, size + 1), "the log does not continue a checkpoint that was signed")
                e.add_note(_disagreement(each))
                raise e

    def _check_unknown(self, earlier: Sequence[Checkpoint], note: Checkpoint | None) -> None:
        """Raise InvalidNote for a last note by a key that is not known here, unless the log gives its root."""
        if note is not None and not earlier and not self._continues(note):
            msg = (
                f"{self._file.place} ends with a checkpoint of size {note.size}, which no key known here has signed "
                "and the log does not continue: the log or the file is another one. Find out which; then move the file "
                "away"
            )
            raise InvalidNote(msg)

    def _continues(self, earlier: Checkpoint) -> bool:
        if earlier.size > self._journal.head():
            return False
        return verify.tree_at(self._journal, earlier.size).root() == earlier.root

    def _add_missing(self, signers: Signers) -> list[str]:
        """Append what the active keys signed and the file lacks: it was replaced, or a kill came in between."""
        signed = [each for each in signers.last_signed if (last := self._file.last()) is None or last.body != each.body]
        present = {each.body for each in self._file.newest()} if signed else set()
        notes = []
        for each in sorted(signed, key=lambda each: each.size):
            if each.body not in present:
                self._file.append(each)
                notes.append(f"{self._file.place} lacked the checkpoint of size {each.size}, and has it again")
        return notes

    def _made(self, origin: str, tree: Frontier, newest: Checkpoint | None, *, restored: bool) -> Checkpoint:
        lines = [f"{FIRST_LINE} {FIRST}", f"{LEAF_LINE} {LEAF}", f"{SIGNED_LINE} {format_time(self._clock.now_ns())}"]
        if newest is not None:
            before = newest.extension(RESTORED_LINE)
            if restored:
                before = f"{newest.size} {base64_of(newest.root)}"
            if before is not None:
                lines.append(f"{RESTORED_LINE} {before}")
        return Checkpoint(origin, tree.size, tree.root(), tuple(lines))

    def _with_cosignatures(self, checkpoint: Checkpoint) -> Checkpoint:
        same = (each for each in self._file.newest() if each.body == checkpoint.body)
        return next(same, checkpoint)

    def _witnessed(self, result: CheckpointResult) -> CheckpointResult:
        """Hand a checkpoint to each witness that has not taken it yet; keep what they answer."""
        checkpoint, keys = result.checkpoint, self._settings.public_keys()
        names = list(self._settings.witnesses)
        if not result.new:
            taken = self._taken(checkpoint)
            names = [name for name in names if name not in taken]
        outcomes: list[WitnessLine] = []
        found: list[NoteSignature] = []
        for name in names:
            answer = ask(
                self._settings.witnesses[name],
                checkpoint,
                seconds=self._settings.witness_seconds,
                key=keys.get(name),
                known=keys,
            )
            state = FAILED if answer.reason else WITNESSED
            if state == WITNESSED:
                found += answer.cosignatures
            outcomes.append(WitnessLine.of(checkpoint, self._clock.now_ns(), name, state, answer.reason))
        self._witnesses.append(outcomes)
        cosigned = checkpoint.with_signatures(found[: max(SIGNATURES_MAX - len(checkpoint.signatures), 0)])
        if cosigned != checkpoint:
            with _locked(self._side):
                self._file.append(cosigned)
        return msgspec.structs.replace(result, checkpoint=cosigned, outcomes=tuple(outcomes))

    def _taken(self, checkpoint: Checkpoint) -> set[str]:
        lines = [line for line in self._witnesses.read().lines if line.is_on(checkpoint)]
        return {line.witness for line in lines} - set(unwitnessed(lines, checkpoint))

    def _lines(self, checkpoint: Checkpoint, state: str) -> list[WitnessLine]:
        now = self._clock.now_ns()
        return [WitnessLine.of(checkpoint, now, name, state) for name in self._settings.witnesses]


def _disagreement(signed: Checkpoint) -> str:
    at = signed.extension(SIGNED_LINE) or "an unknown time"
    return (
        f"The checkpoint of size {signed.size} was signed at {at}, and is not continued: an older copy of the log "
        "was put in its place, or it was rewritten. If it was restored on purpose: eventstore keys retire, keys new, "
        "then checkpoint --restored, which says so to those who verify"
    )


@contextlib.contextmanager
def _locked(side: LogSide) -> Iterator[ProcessLock]:
    """Hold the lock of those who sign; raise Overloaded if another one holds it for too long."""
    lock = side.lock(LOCK_FILE)
    deadline = time.monotonic() + LOCK_SECONDS
    while not lock.take():
        if time.monotonic() > deadline:
            msg = f"another process has been signing for {LOCK_SECONDS:g} s ({side}): nothing was signed; try again"
            raise Overloaded(msg)
        time.sleep(max(LOCK_PAUSE_SECONDS, side.mark_seconds))
    try:
        yield lock
    finally:
        lock.release()


@contextlib.contextmanager
def _translated(side: LogSide) -> Iterator[None]:
    """Raise what the system says of files as one of this project's errors."""
    try:
        yield
    except OSError as e:
        what = f"a checkpoint of {side} cannot be kept: {e.filename or ''} {e.strerror}"
        if e.errno in _FULL:
            msg = f"{what}: make room, then sign again"
            raise StorageFull(msg) from e
        if e.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
            msg = f"{what}: give this user the right to write there"
            raise ReadOnly(msg) from e
        raise Unavailable(what) from e
