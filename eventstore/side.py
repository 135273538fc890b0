"""What is kept beside a log: marks, locks of processes, small documents. In files, or where the log itself is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import msgspec
from typing_extensions import override

from eventstore import files
from eventstore.errors import TargetExists, Unavailable
from eventstore.watermarks import Watermarks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from eventstore.record import Fence
    from eventstore.watermarks import Watermark

DOCUMENT_BYTES_MAX = 4_000_000
API_KEYS, API_KEYS_LOCK = "api-keys.json", "api-keys.lock"
"""The document with the keys of a log's service, and the lock of those who change it: a rotation carries it on."""
JOURNAL = "journal.db"
"""What the names of a journal's own files begin with: no document's does."""
HOME = "home.json"
"""The document that identifies this copy of a log."""


GROUPS = "group/"
"""What the names of the locks of all groups begin with."""


def group_lock(group: str, kind: str = "", name: str = "") -> str:
    """Return the name of a lock of a group: of a `member` by its id, or of a `share` by its number; or its beginning.

    No group's name has a slash, so none begins as another's locks do.
    """
    return GROUPS + "/".join([group, *([kind, name] if kind else [""])])


class ProcessLock(Protocol):
    """A lock that one process at a time holds; it is released when that process ends, or is cut off."""

    @property
    def is_held(self) -> bool:
        """Whether this process still holds it."""

    def take(self) -> bool:
        """Take it unless another process holds it; return whether this one does. Raises OSError or Unavailable."""

    @property
    def fence(self) -> Fence | None:
        """What a change can be made to rest on, in one transaction; None where no lock can be lost while it is held."""

    def release(self) -> None:
        """Let another process take it."""


class Marks(Protocol):
    """Positions of a log that are noted under names."""

    def write(self, name: str, mark: Watermark, *, synced: bool = True) -> None:
        """Note a position in one step; unsynced, it may be lost with the power."""

    def read(self, name: str) -> Watermark | None:
        """Return a mark, None if it is missing; raise CorruptJournal for an invalid one."""

    def stamp(self, name: str) -> object:
        """Return what differs once a mark has been written again, at less cost than reading it."""

    def examine(self) -> tuple[dict[str, Watermark], dict[str, str]]:
        """Return the valid marks by name, and why each other one is invalid."""

    def close(self) -> None:
        """Release what they hold; the next use opens it again."""


@runtime_checkable
class FencedMarks(Marks, Protocol):
    """Those of a log in PostgreSQL, of which many are noted in one transaction."""

    def write_all(self, marks: Sequence[tuple[str, Watermark]], fences: Sequence[Fence]) -> None:
        """Note positions under names while nobody takes some locks; raise Fenced where one was taken."""

    def write_new(self, marks: Sequence[tuple[str, Watermark]]) -> None:
        """Note positions under those names that have none yet."""


@runtime_checkable
class LogSide(Protocol):
    """What processes keep beside one log, and see of each other. As text, it says where that is, without a password."""

    mark_seconds: float
    """How often it is worth looking whether another process has written a mark."""
    lock_seconds: float
    """How often it is worth asking for a lock that another process holds."""

    @property
    def address(self) -> str:
        """What another process opens the log by. It may hold a password: never to be shown, nor among arguments."""

    def marks(self, held: ProcessLock | None = None) -> Marks:
        """Return the log's marks, of this moment's place: a log that is moved keeps them.

        With `held`, a lock of this side, they are written only while this process holds it; else Unavailable is raised.
        """

    def lock(self, name: str) -> ProcessLock:
        """Return a lock by its name, not taken yet."""

    def is_locked(self, name: str) -> bool:
        """Return whether some process, this one included, holds a lock; raise Unavailable where that is unknown."""

    def locks(self, prefix: str) -> list[str]:
        """Return the names of the locks that are or were held, or registered, of those that begin with a prefix."""

    def held_locks(self, prefix: str) -> list[str]:
        """Return the names of those that some process, this one included, holds now; raise as `is_locked` does."""

    def register(self, name: str) -> None:
        """Let `locks` name a lock that nobody has taken yet."""

    def keep(self, name: str, content: bytes, *, synced: bool = True) -> None:
        """Replace a document in one step; unsynced, it may be lost with the power."""

    def add(self, name: str, content: bytes) -> None:
        """Append to a document, durably, or begin it. Of a file a kill may tear what is appended, and nothing else."""

    def end(self, name: str, length: int) -> tuple[bytes, bool]:
        """Return a document's end, at most so many bytes, and whether that is all of it; nothing for a missing one.

        Raises OSError for a file that cannot be read, Unavailable where the server cannot be reached.
        """

    def described(self, name: str) -> str:
        """Return what a message calls a document, so that it is found."""

    def documents(self, prefix: str) -> dict[str, bytes]:
        """Return the documents whose names begin with a prefix, up to DOCUMENT_BYTES_MAX of each."""

    def home(self) -> str:
        """Return the identity of this copy of the log, drawn at the first call; '' if it is a copy of another one."""

    def new_home(self) -> str:
        """Draw a new identity for this copy of the log, and return it."""


class Home(msgspec.Struct, frozen=True):
    """The file that identifies a copy of a log. A copied folder has the same content, but in another inode."""

    home: str
    inode: int


class Transactions(Protocol):
    """What changes several things beside a log in one step."""

    def transaction(self, *fences: Fence, alone: str = "") -> AbstractContextManager[Any]:
        """Change several things in one step that rests on fences, by the psycopg connection that it yields.

        `alone`: of the transactions that name the same, one at a time.
        """


@runtime_checkable
class TableSide(Transactions, Protocol):
    """A side in the log's own database."""

    def apart(self, name: str, *, patience: float) -> Transactions:
        """Return transactions by another connection under a name: those that may take long. `patience`: in seconds."""


class SeenMember(NamedTuple):
    """One worker of a group, as the server sees it. `silent_seconds`: since its last beat, by the server's clock."""

    id: str
    who: str
    url: str
    """Where its service is reached; empty where it has none."""
    position: int
    """How far it had folded the log at its last beat."""
    silent_seconds: float
    joined_at: int
    is_alive: bool
    """Whether its session lives: that of one that is paused or cut off is ended after three seconds."""
    is_evicted: bool
    locks: tuple[str, ...]
    """Those that it holds, of the group's."""


@runtime_checkable
class GroupSide(LogSide, Protocol):
    """The side of a log that several hosts share, on which the workers of groups divide the accounts among them."""

    def take_all(self, locks: Sequence[Any]) -> list[Any]:
        """Take those of some locks that nobody holds, in this process or any other; return those that are held now."""

    def release_all(self, locks: Sequence[Any]) -> None:
        """Let another process take those of some locks that are held."""

    def join(self, group: str, id: str, who: str, url: str) -> None:
        """Add a member to a group; those that ended more than an hour ago are forgotten."""

    def beat(self, group: str, id: str, position: int) -> bool:
        """Note that a member lives, and how far it is; return whether it is one, and not evicted."""

    def members(self, group: str) -> list[SeenMember]:
        """Return a group's members, by id."""

    def groups(self) -> list[str]:
        """Return the names of the groups that have members."""

    def leave(self, group: str, id: str) -> None:
        """Remove a member."""

    def evict(self, group: str, id: str) -> bool:
        """Have a member end: its session is ended at once, and it does not join again. Return whether there is one."""


class FileSide:
    """What lies beside a journal in a directory."""

    mark_seconds, lock_seconds = 0.001, 0.1

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def address(self) -> str:
        return str(self._directory.absolute())

    def marks(self, held: ProcessLock | None = None) -> Marks:
        # The system takes a file's lock from no process that lives.
        return Watermarks(self._directory / "watermarks").hold()

    def lock(self, name: str) -> ProcessLock:
        return files.FileLock(self._directory / name)

    def is_locked(self, name: str) -> bool:
        try:
            return files.is_locked(self._directory / name)
        except OSError as e:
            msg = f"the lock {name} in {self._directory} cannot be looked at ({e.strerror})"
            raise Unavailable(msg) from e

    def locks(self, prefix: str) -> list[str]:
        return [path.name for path in self._directory.glob(f"{prefix}*.lock")]

    def held_locks(self, prefix: str) -> list[str]:
        return [name for name in self.locks(prefix) if self.is_locked(name)]

    def register(self, name: str) -> None:
        files.create(self._directory / name)

    def keep(self, name: str, content: bytes, *, synced: bool = True) -> None:
        files.replace(self._directory / name, content, synced=synced)

    def add(self, name: str, content: bytes) -> None:
        files.append(self._directory / name, content)

    def end(self, name: str, length: int) -> tuple[bytes, bool]:
        try:
            return files.read_end(self._directory / name, length)
        except FileNotFoundError:
            return b"", True

    def described(self, name: str) -> str:
        return str(self._directory / name)

    def documents(self, prefix: str) -> dict[str, bytes]:
        found = {}
        for path in self._directory.glob(f"{prefix}*"):
            if path.name.startswith(JOURNAL):
                # To close a file that SQLite has open drops this process's locks on it.
                continue
            try:
                with path.open("rb") as file:
                    found[path.name] = file.read(DOCUMENT_BYTES_MAX)
            except OSError:
                # As if it were not there: what is not known of it proves nothing.
                continue
        return found

    def home(self) -> str:
        path = self._directory / HOME
        try:
            content, inode = path.read_bytes(), path.stat().st_ino
        except FileNotFoundError:
            return self._draw_home(replacing=False)
        try:
            found = msgspec.json.decode(content, type=Home)
        except msgspec.MsgspecError:
            return ""
        return found.home if found.inode == inode else ""

    def new_home(self) -> str:
        return self._draw_home(replacing=True)

    def _draw_home(self, *, replacing: bool) -> str:
        path = self._directory / HOME
        with files.temporary(path) as temporary:
            # The file keeps its inode when it is renamed, and no copy of it has the same.
            found = Home(os.urandom(16).hex(), temporary.stat().st_ino)
            temporary.write_bytes(msgspec.json.encode(found) + b"\n")
            try:
                files.publish(temporary, path, replacing=replacing)
            except TargetExists:  # another process drew one at the same time
                return self.home()
        return found.home

    @override
    def __str__(self) -> str:
        return str(self._directory)
