"""The files of an archive: their names, what is said of each, and the table of contents that makes a range sealed."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import re
import uuid
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import CorruptJournal, InvalidEvent, ReadOnly, StorageFull, StoreError, Unavailable, UnsupportedFormat
from eventstore.errors import shown
from eventstore.files import make_directory, replace
from eventstore.locations import local_path
from eventstore.proofs.merkle import Frontier
from projections.analysis.columns import Kind
from projections.analysis.libraries import library

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CATALOG = "archive.json"
FORMAT = 1
_FOOTER_END = 8
"""Bytes of the footer's length and of the letters that end each file."""
SUFFIX = ".parquet"
METADATA = b"eventstore"
"""The key in a file's own metadata under which its JSON stands."""
_PLAIN = re.compile(r"[^a-z0-9_-]")
_FILE = re.compile(r"(?P<day>\d{4}-\d\d-\d\d)\.(?P<first>\d{12,})\.parquet", re.ASCII)
_LEFT_OVER = re.compile(r"\..+\.(?:parquet|json)\.\d+\.\d+", re.ASCII)
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}


class FileColumn(msgspec.Struct, frozen=True, array_like=True):
    """A typed column of a file: its name there, the member's column and kind; `as_text`: decimals as written."""

    name: str
    member: str
    kind: Kind
    as_text: bool = False


class TypeInFile(msgspec.Struct, frozen=True, array_like=True):
    """How many events of a type a file has, and the class that its typed columns were made with, '' without one.

    Unless `is_whole`, some of them are null where their events have values: of another schema than the class's, or
    not to be read by it.
    """

    count: int
    made_with: str
    is_whole: bool


class ArchivedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file: the records of one category within one range, sorted by log position."""

    path: str
    category: str
    first: int
    last: int
    count: int
    size: int
    data_size: int
    """Bytes of the events' data, as they are in memory."""
    sha256: str
    footer: str
    """The SHA-256 of its footer alone: libraries that read a damaged one may end the process."""
    layout: str
    types: dict[str, TypeInFile]
    groups: tuple[int, ...]
    """The last position of each row group."""
    filled: str
    """A sign for each typed column of the layout: 1 where some row has a value, 0 where none has."""


class SealedRange(msgspec.Struct, frozen=True, kw_only=True):
    """Consecutive log positions of one UTC day, and the log's root when it had `last` records; times are UNIX ns."""

    day: str
    first: int
    last: int
    recorded_first: int
    recorded_last: int
    root: str
    files: tuple[ArchivedFile, ...]

    @property
    def weight(self) -> int:
        """Bytes of data that a record has on average, at least 1."""
        return sum(file.data_size for file in self.files) // (self.last - self.first + 1) + 1


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """The table of contents: what is in it is sealed. `layouts` has the typed columns of the files, each list once."""

    format: int
    log: str
    log_id: str
    tree: str = ""
    ranges: tuple[SealedRange, ...] = ()
    layouts: dict[str, tuple[FileColumn, ...]] = {}

    @property
    def head(self) -> int:
        """The last position, 0 for an archive without records."""
        return self.ranges[-1].last if self.ranges else 0

    @property
    def frontier(self) -> Frontier:
        """The log's tree as of the head; raise CorruptJournal where it does not give the last range's root."""
        try:
            tree = Frontier.from_bytes(self.head, bytes.fromhex(self.tree))
        except ValueError as e:
            raise CorruptJournal(self.head, f"{CATALOG} has no tree of {self.head} records") from e
        if self.ranges and tree.root().hex() != self.ranges[-1].root:
            raise CorruptJournal(self.head, f"the tree in {CATALOG} does not give the root of its last range")
        return tree


class FileMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """What each file says of itself, so that it can be read, and proved, without the table of contents.

    `range_first` to `range_last` are the positions of the files of its range together, `categories` how many records
    each of them has. `root` is the log's with `tree_size` records.
    """

    format: int
    log: str
    log_id: str
    day: str
    category: str
    first: int
    last: int
    count: int
    range_first: int
    range_last: int
    tree_size: int
    root: str
    categories: dict[str, int]
    types: dict[str, TypeInFile]
    columns: tuple[FileColumn, ...]


def file_path(category: str, day: str, first: int) -> str:
    """Return a file's path within an archive. Names of files sort by log position; none depends on letters' case."""
    folder = _PLAIN.sub(lambda sign: f"%{ord(sign[0]):02X}", category)
    return f"{folder}/{day}.{first:012d}{SUFFIX}"


def is_archive(path: object) -> bool:
    """Return whether a path is that of an archive."""
    with contextlib.suppress(InvalidEvent, OSError):
        return (local_path(path, "an archive") / CATALOG).is_file()  # type: ignore[arg-type] # refused if it is none
    return False


def folder_of(given: str | os.PathLike[str]) -> Path:
    """Return the folder of an archive, absolute; raise InvalidEvent for what is not a path."""
    return local_path(given, "the archive's folder").absolute()


def load(folder: Path) -> Catalog:
    """Return an archive's table of contents; raise Unavailable without one, CorruptJournal for a damaged one."""
    path = folder / CATALOG
    try:
        content = path.read_bytes()
    except FileNotFoundError as e:
        msg = f"{folder} is not an archive: it has no {CATALOG}; eventstore archive writes one, or completes it"
        raise Unavailable(msg) from e
    except OSError as e:
        raise from_os(e, path) from e
    try:
        if msgspec.json.decode(content, type=_Version).format > FORMAT:
            msg = f"{path} is of a newer format than this version reads: update, then try again"
            raise UnsupportedFormat(msg)
        catalog = msgspec.json.decode(content, type=Catalog)
        uuid.UUID(bytes=bytes.fromhex(catalog.log_id))
    except (msgspec.MsgspecError, ValueError, TypeError, AttributeError) as e:
        raise CorruptJournal(0, f"{path} is damaged ({e}): run eventstore archive again without it") from e
    _check_contents(catalog, path)
    return catalog


class _Version(msgspec.Struct):
    format: int


def _check_contents(catalog: Catalog, path: Path) -> None:
    """Raise CorruptJournal for ranges that do not follow one another, or files that are not within the archive."""
    after = 0
    for sealed in catalog.ranges:
        if sealed.first != after + 1 or sealed.last < sealed.first:
            what = "overlaps the one before it" if sealed.first <= after else "leaves a gap before it"
            raise CorruptJournal(after + 1, f"in {path} the range from position {sealed.first} {what}")
        if sealed.last - sealed.first + 1 != sum(file.count for file in sealed.files):
            where = f"positions {sealed.first} to {sealed.last}"
            raise CorruptJournal(sealed.first, f"in {path} the files of {where} have another number of records")
        for file in sealed.files:
            if file.path != file_path(file.category, sealed.day, sealed.first) or file.layout not in catalog.layouts:
                raise CorruptJournal(sealed.first, f"{path} names a file that no archive has: {shown(file.path)}")
        after = sealed.last


def save(folder: Path, catalog: Catalog) -> None:
    """Replace the table of contents in one step, synced: from then on its ranges are sealed."""
    with translated(folder / CATALOG):
        replace(folder / CATALOG, msgspec.json.format(msgspec.json.encode(catalog), indent=1) + b"\n")


def prepare(folder: Path) -> None:
    """Make the folder, unless it is there; raise ReadOnly or Unavailable where it cannot be written to."""
    with translated(folder):
        make_directory(folder)


def left_over(folder: Path) -> Iterator[Path]:
    """Yield the files that a killed process was writing."""
    for path in sorted((*folder.glob(".*"), *folder.glob("*/.*"))):
        if _LEFT_OVER.fullmatch(path.name) and path.is_file():
            yield path


def strangers(folder: Path, catalog: Catalog) -> list[str]:
    """Return the paths within a folder that the table of contents does not name, sorted."""
    known = {CATALOG, LOCK} | {file.path for sealed in catalog.ranges for file in sealed.files}
    found = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()]
    return sorted(set(found) - known)


def is_begun(path: str, catalog: Catalog) -> bool:
    """Return whether a path is that of a file past the archive's end, as an interrupted run leaves it."""
    found = _FILE.fullmatch(path.rpartition("/")[2])
    return _LEFT_OVER.fullmatch(path.rpartition("/")[2]) is not None or (
        found is not None and int(found["first"]) == catalog.head + 1
    )


LOCK = ".lock"


def unsealed_end(folder: Path, log_id: bytes, day: str, first: int) -> int | None:
    """Return where a range ends whose files were begun, but which is not in the table of contents."""
    for path in sorted(folder.glob(f"*/{day}.{first:012d}{SUFFIX}")):
        with contextlib.suppress(CorruptJournal):
            found = metadata_of(path, first)
            if bytes.fromhex(found.log_id) == log_id and found.range_first == first:
                return found.range_last
    return None


def metadata_of(path: Path, position: int) -> FileMetadata:
    """Return what a file says of itself; raise CorruptJournal, of a position, for one that is not an archive's."""
    parquet = library("pyarrow.parquet")
    with readable(path, position), parquet.ParquetFile(path) as file:
        written: dict[bytes, Any] = file.schema_arrow.metadata or {}
    try:
        return msgspec.json.decode(written.get(METADATA, b""), type=FileMetadata)
    except (msgspec.MsgspecError, ValueError) as e:
        raise CorruptJournal(position, f"{path} was not written by eventstore archive") from e


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def footer_of(path: Path) -> str:
    """Return the SHA-256 of a file's footer, in hex: where its columns are, and all that is said of them."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - _FOOTER_END, 0))
        length = int.from_bytes(file.read(_FOOTER_END)[:4], "little") + _FOOTER_END
        file.seek(max(size - length, 0))
        return hashlib.sha256(file.read()).hexdigest()


@functools.lru_cache(maxsize=100_000)
def check_footer(path: Path, footer: str, position: int) -> None:
    """Raise CorruptJournal, of a position, for a file that has another footer than it was written with."""
    with readable(path, position):
        if footer_of(path) != footer:
            raise CorruptJournal(
                position, f"the archive's file {path} is damaged: its footer was changed, or is not there"
            )


@contextlib.contextmanager
def readable(path: Path, position: int) -> Iterator[None]:
    """Translate what goes wrong in reading a file: it is damaged from a position on, or not there."""
    try:
        yield
    except (StoreError, ImportError, MemoryError):
        raise
    except FileNotFoundError as e:
        raise CorruptJournal(position, f"the archive's file {path} is missing") from e
    except PermissionError as e:
        msg = f"{path} cannot be read ({e.strerror}): change its permissions"
        raise Unavailable(msg) from e
    except BaseException as e:
        # pyarrow and polars have many, not all of one class; a panic of polars is not even an Exception.
        if not isinstance(e, Exception) and type(e).__name__ != "PanicException":
            raise
        raise CorruptJournal(position, f"the archive's file {path} is damaged ({_line(e)})") from e


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


@contextlib.contextmanager
def translated(target: Path) -> Iterator[None]:
    """Translate what goes wrong in writing."""
    try:
        yield
    except OSError as e:
        raise from_os(e, target) from e


def from_os(error: OSError, target: Path) -> StoreError:
    """Return an error of the operating system as one of this project's."""
    if error.errno in _FULL:
        return StorageFull(f"no room for {target} ({error.strerror}): make room and try again")
    if error.errno in _FORBIDDEN:
        return ReadOnly(f"{target} is not writable ({error.strerror}): name another folder, or change its permissions")
    return Unavailable(f"{target}: {error.strerror or error}: name another folder")
