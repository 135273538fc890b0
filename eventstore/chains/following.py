"""From the name of a log that has ended to the one that continues it, also where a rotation was interrupted."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING

import msgspec

from eventstore import files
from eventstore.errors import StorageWarning, StoreError, Unavailable
from eventstore.ids import keyed_id
from eventstore.journal import Query
from eventstore.journals.sqlite import ReadOnlyJournal
from eventstore.locations import next_name
from eventstore.trading.logs import LOG_STREAM, LogContinued, LogEnded, ended_key

if TYPE_CHECKING:
    import uuid
    from pathlib import Path

    from eventstore.journal import StoredSource

JOURNAL = "journal.db"
ENDED = "ended"
"""The file in an ended log's folder that names the next one: who opens it need not open its journal."""
LOGS_MAX = 1_000
"""How many logs may continue one another."""


class _EndedNote(msgspec.Struct, frozen=True):
    next: str


def followed(directory: Path, log: str) -> str:
    """Return the last of the logs that continue one, as the ended ones' files say, that is there."""
    for name in reversed(_continuing(directory, log)):
        # An ended log that was copied to a place of its own is read there as it is.
        if (directory / name / JOURNAL).exists():
            return name
    return log


def _continuing(directory: Path, log: str) -> list[str]:
    """Return the logs that continue one, in order; those that were moved away have left their files."""
    names: list[str] = []
    while (following := _next_of(directory / (names[-1] if names else log))) is not None:
        names.append(following)
        if len(names) > LOGS_MAX:
            msg = f"log {log} in {directory} is continued by more than {LOGS_MAX:,} others: its files were changed"
            raise Unavailable(msg)
    return names


def _next_of(folder: Path) -> str | None:
    try:
        return msgspec.json.decode((folder / ENDED).read_bytes(), type=_EndedNote).next
    except (OSError, msgspec.MsgspecError):
        # Usually there is none. Where it cannot be read, the log itself says it too, or why it cannot be read either.
        return None


def ended_of(source: StoredSource) -> LogEnded | None:
    """Return how a log has ended, None for one that has not."""
    id_ = keyed_id(LOG_STREAM, ended_key(source.log_id))
    found = source.find([id_])
    event = found[id_].event if found else None
    return event if isinstance(event, LogEnded) else None


def staged_folder(directory: Path, log: str, previous: bytes, log_id: uuid.UUID) -> Path:
    """Return where the next log is made, until the one before has ended."""
    return directory / f".{log}.{previous.hex()}.{log_id.hex}"


def complete(folder: Path, log_id: bytes, ended: LogEnded) -> None:
    """Give the log that continues an ended one its place; done before, it changes nothing. Raise Unavailable."""
    directory = folder.parent
    target = directory / ended.next
    staged = staged_folder(directory, ended.next, log_id, ended.next_id)
    try:
        # Another process may do the same at this moment.
        with contextlib.suppress(FileNotFoundError):
            if not (target / JOURNAL).exists():
                files.publish_directory(staged, target)
        _check_in_place(target, folder.name, ended)
        files.replace(folder / ENDED, msgspec.json.encode(_EndedNote(ended.next)))
    except OSError as e:
        msg = (
            f"log {folder.name} has ended, and log {ended.next}, which continues it, could not be put in its place in "
            f"{directory} ({e.strerror}): make room there, or get the right to write, and open it, which tries again"
        )
        raise Unavailable(msg) from e


def _check_in_place(target: Path, log: str, ended: LogEnded) -> None:
    """Raise Unavailable where the log that continues an ended one is not there."""
    if not (target / JOURNAL).exists():
        msg = f"log {log} in {target.parent} has ended, and log {ended.next}, which continues it, is not there"
        raise Unavailable(msg)
    with contextlib.closing(ReadOnlyJournal(target / JOURNAL, log=ended.next)) as found:
        if found.log_id != ended.next_id.bytes:
            msg = f"{target} is not the log {ended.next_id} that continues log {log}: move it away"
            raise Unavailable(msg)


def check_not_forked(folder: Path, journal: StoredSource) -> LogEnded | None:
    """Raise Unavailable where a log that has not ended is continued already: it was copied back from before its end.

    Returns how it has ended, where it has meanwhile.
    """
    log, following = journal.log, next_name(journal.log)
    continued = _continued_by(folder.parent / following / JOURNAL)
    if continued is None or continued.previous.bytes != journal.log_id:
        return None
    if (ended := ended_of(journal)) is not None:
        return ended
    msg = (
        f"log {log} in {folder.parent} is an older copy: it has ended, and log {following} continues it. Put its "
        "last copy back, or read this one with read_only"
    )
    raise Unavailable(msg)


def _continued_by(place: Path) -> LogContinued | None:
    """Return how a log continues another one after a rotation; None for whatever else is there."""
    if not place.exists():
        return None
    with (
        # What is wrong beside it is said to those who open it.
        warnings.catch_warnings(action="ignore", category=StorageWarning),
        contextlib.suppress(StoreError),
        contextlib.closing(ReadOnlyJournal(place, log=place.parent.name)) as found,
    ):
        for record in found.read(Query(limit=1)):
            if isinstance(event := record.event, LogContinued) and event.carried is not None:
                return event
    return None


def check_not_lost(folder: Path) -> None:
    """Raise Unavailable where a new log would begin under the name of one that another continues."""
    if (folder / JOURNAL).exists():
        return
    if continuing := _continuing(folder.parent, folder.name):
        msg = f"log {folder.name} has ended, and log {continuing[-1]}, which continues it, is not in {folder.parent}"
        raise Unavailable(msg)
    numbered = sorted(folder.parent.glob(f"{folder.name}.*/{JOURNAL}"))
    if numbered and numbered[0].parent.name.removeprefix(f"{folder.name}.").isdecimal():
        names = ", ".join(each.parent.name for each in numbered)
        msg = f"there is no log {folder.name} in {folder.parent}, but {names}: open that one, or put it back"
        raise Unavailable(msg)
    for place in sorted(folder.parent.glob(f"*/{JOURNAL}")):
        # Whichever name it was given. Only a new log costs this look.
        continued = _continued_by(place)
        if continued is not None and continued.name == folder.name:
            msg = (
                f"there is no log {folder.name} in {folder.parent}, but {place.parent.name}, which continues it: open "
                "that one, or put it back"
            )
            raise Unavailable(msg)
