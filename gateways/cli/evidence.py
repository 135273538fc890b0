"""Checkpoints and keys that a command is given, or finds beside the log and in the folder of keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from eventstore import EventReader, EventStore, InvalidEvent, InvalidNote, Unavailable
from eventstore.proofs.checkpoint_file import CheckpointFile, notes_of
from eventstore.proofs.checkpoints import RESTORED_LINE, Checkpoint, since_restored
from eventstore.proofs.key_files import key_folder
from eventstore.proofs.keys import PublicKey
from eventstore.side import LogSide
from gateways.presenting.output import note

FILE_MAX = 256 << 20
TEXT_MAX = 64_000

CheckpointPath = Annotated[
    Path | None,
    typer.Option("--checkpoint", metavar="FILE", help="Checkpoints kept elsewhere: one, or a whole checkpoints.txt."),
]
PublicKeys = Annotated[
    list[str] | None,
    typer.Option(
        "--key", metavar="VKEY", help="The log's public key, or a file with it; repeatable; by default from --keys."
    ),
]


def checkpoints_in(path: Path) -> list[Checkpoint]:
    """Return all checkpoints of a file, none of them verified; raise Unavailable or InvalidNote."""
    try:
        if path.stat().st_size > FILE_MAX:
            msg = f"{path} is larger than any file of checkpoints: name the right file"
            raise InvalidNote(msg)
        content = path.read_bytes()
    except OSError as e:
        msg = f"the checkpoints {path} cannot be read: {e.strerror}"
        raise Unavailable(msg) from e
    if not content:
        msg = f"{path} is empty: it holds no checkpoint"
        raise InvalidNote(msg)
    return notes_of(content, path)


def of_this_history(found: Sequence[Checkpoint]) -> list[Checkpoint]:
    """Return the checkpoints of a log since it was last restored on purpose; note how many are of the state before.

    They are in the order in which they were signed. That a log was restored is signed in each checkpoint since.
    """
    since = list(since_restored(found))
    before = len(found) - len(since)
    if since:
        note_restored(since[0], f": {before:,} checkpoints of the state before are not compared" if before else "")
    return since


def note_restored(checkpoint: Checkpoint, more: str = "") -> None:
    """Note that a checkpoint states that its log was put back to an earlier state."""
    line = checkpoint.extension(RESTORED_LINE)
    if line is not None:
        size = line.partition(" ")[0]
        note(f"the log was restored on purpose, and does not continue its checkpoint of {size} records{more}")


def not_shown(head: int, kept: int | None, after: int = 0) -> list[str]:
    """Return what verifying a log's records past `after` leaves open, with a checkpoint of `kept` records or none."""
    found = [f"whether positions 1 to {min(after, head)} are as they were written: they were not read"] if after else []
    if kept is None:
        what = "whether records were rewritten together with their tree, or this is an older copy"
        return [*found, f"{what}: only a checkpoint kept elsewhere shows that"]
    if kept < head:
        what = f"whether positions {kept + 1} to {head} were rewritten together with their tree"
        found.append(f"{what}: only a newer checkpoint shows that")
    return [
        *found,
        "whether this is an older copy, and once had more: only a newer checkpoint, or a witness, shows that",
    ]


def public_keys(given: Sequence[str]) -> list[PublicKey]:
    """Return the keys that were given as lines or as files; raise InvalidNote or Unavailable."""
    return [key for text in given for key in _keys_of(text)]


def _keys_of(text: str) -> list[PublicKey]:
    # A file could have the name of a key, and hold another one.
    if text.count("+") > 1:
        return [PublicKey.parse(text)]
    try:
        content = Path(text).read_text("utf-8")[:TEXT_MAX]
    except (OSError, UnicodeDecodeError) as e:
        msg = f"{text!r:.200} is neither a public key, NAME+HASH+BASE64, nor a file with one"
        raise Unavailable(msg) from e
    return [PublicKey.parse(line) for line in content.splitlines() if line.strip()]


def known_keys(given: Sequence[str] | None, folder: Path | None, store: EventReader) -> list[PublicKey]:
    """Return the keys given or, without any, those in the folder of keys, retired ones too.

    They are those of the log and of each one that it continues: what was kept of that is still true.
    """
    if given:
        return public_keys(given)
    chain = store.chain if isinstance(store, EventStore) else None
    ids = [store.log_id, *(() if chain is None else chain.ends())]
    return [stored.public for log_id in ids for stored in key_folder(folder).of_log(log_id)]


def check_signed(checkpoints: Sequence[Checkpoint], keys: Sequence[PublicKey]) -> bool:
    """Raise InvalidNote for a checkpoint that no key signed; note that none was checked where there are no keys."""
    if not keys:
        note("who signed the checkpoints was not checked: give the log's public key with --key")
        return False
    for checkpoint in checkpoints:
        checkpoint.verify(*keys)
    return True


def newest_checkpoint(side: LogSide | None, given: Path | None, at_least: int) -> Checkpoint | None:
    """Return the newest checkpoint of a file, or of what lies beside a log; None where it does not cover a position."""
    if given is not None:
        found = checkpoints_in(given)[-1]
        if found.size < at_least:
            msg = (
                f"{given} ends with a checkpoint of {found.size:,} records, which does not cover position {at_least:,}"
            )
            raise InvalidEvent(msg)
        return found
    return None if side is None else CheckpointFile(side).covering(at_least)
