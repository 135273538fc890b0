"""The keys that sign a log's checkpoints now, and what its keys have signed before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from eventstore.errors import InvalidEvent, InvalidNote, Unavailable

if TYPE_CHECKING:
    from eventstore.proofs.checkpoints import Checkpoint
    from eventstore.proofs.key_files import KeyFolder


def origin_of(log: str, log_id: bytes) -> str:
    """Return a log's origin, which is its keys' name too, unless the user gives it another one."""
    return f"eventstore/{log}/{log_id.hex()}"


class Signers:
    """The active keys of a log, several while one takes over from another. Raises Unavailable if there are none."""

    def __init__(self, folder: KeyFolder, log: str, log_id: bytes) -> None:
        self._folder = folder
        self._stored = folder.of_log(log_id)
        self._active = [stored for stored in self._stored if stored.retired_at is None]
        if not self._active:
            msg = f"no key in {folder.path} signs log {log} (id {log_id.hex()}): run eventstore keys new"
            raise Unavailable(msg)
        self._private = [folder.private(stored) for stored in self._active]
        names = {private.public.name for private in self._private}
        if len(names) > 1:
            msg = f"the keys of log {log} have several names ({', '.join(sorted(names))}): retire all but those of one"
            raise InvalidNote(msg)
        self.origin = self._private[0].public.name
        self._last = {stored.key: folder.last_signed(stored) for stored in self._stored}

    @property
    def last_signed(self) -> list[Checkpoint]:
        """What the active keys signed last, each checkpoint once."""
        found = (self._last[stored.key] for stored in self._active)
        return list({each.body: each for each in found if each is not None}.values())

    def earlier(self, last_note: Checkpoint | None) -> list[Checkpoint]:
        """Return the checkpoints that the next one has to continue; `last_note` is the newest in the log's file.

        What retired keys signed counts until an active one has signed. A file that was replaced by an older one, and a
        directory that was, hide nothing: what a key signed last is kept with the key.
        """
        counting = self.last_signed
        own = [stored.public for stored in (self._active if counting else self._stored)]
        counting = counting or [each for each in self._last.values() if each is not None]
        if last_note is not None and last_note.signers(own):
            counting = [*counting, last_note]
        found = list({each.body: each for each in counting}.values())
        for each in found:
            if each.origin != self.origin:
                msg = (
                    f"earlier checkpoints are of {each.origin}, and the key's name is {self.origin}: retire the key, "
                    f"and make one with --name {each.origin}"
                )
                raise InvalidNote(msg)
        return found

    def check_unsigned(self) -> None:
        """Raise InvalidEvent if an active key has signed already: it never signs another history."""
        if signed := [stored for stored in self._active if self._last[stored.key] is not None]:
            msg = (
                f"the key {signed[0].public.id.hex()} has signed a checkpoint of this log, and never signs another "
                "history: retire it, then make a new one"
            )
            raise InvalidEvent(msg)

    def have_signed(self, checkpoint: Checkpoint) -> bool:
        """Return whether each active key has signed a checkpoint."""
        return len(checkpoint.signers([stored.public for stored in self._active])) == len(self._active)

    def signed(self, checkpoint: Checkpoint) -> Checkpoint:
        """Return a checkpoint with the signature of each active key, noted down with the key before anything else."""
        made = checkpoint.with_signatures([private.sign(checkpoint.body) for private in self._private])
        for stored in self._active:
            self._folder.keep_last(stored, made)
        return made

    @override
    def __repr__(self) -> str:
        return f"<Signers of {self.origin}: {len(self._active)} keys>"
