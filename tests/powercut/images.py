"""Possible disk contents after a power cut: everything synced, and any part of the rest, torn by sectors.

POSIX promises no more: a write that no sync covers may be there, be missing or be there in part, in any order and
whatever was written after it; a file's size and its sectors, a name and the file it stands for, each for itself.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path

from tests.powercut.recording import (
    Create,
    Link,
    MakeDirectory,
    Operation,
    Rename,
    Sync,
    SyncDirectory,
    Truncate,
    Unlink,
    Write,
)

SECTOR = 512
Keep = Callable[[], bool]


class File:
    """A file's synced content, and what was done to it since, oldest first."""

    def __init__(self) -> None:
        self.synced = bytearray()
        self.unsynced: list[tuple[int, Write | Truncate]] = []

    def sync(self, begun: int) -> None:
        covered = [change for at, change in self.unsynced if at <= begun]
        self.unsynced = self.unsynced[len(covered) :]
        for change in covered:
            _apply(self.synced, change)

    def image(self, keep: Keep, torn: Keep) -> bytes:
        """Return the content as of a power cut: of each unsynced change all, nothing, or some sectors."""
        content = bytearray(self.synced)
        for _, change in self.unsynced:
            if torn() and isinstance(change, Write):
                _tear(content, change, keep)
            elif keep():
                _apply(content, change)
        return bytes(content)


class Directory:
    """A directory's synced entries, and how they changed since, oldest first. No entry: the name was taken away."""

    def __init__(self) -> None:
        self.current: dict[str, Node] = {}
        self.synced: dict[str, Node] = {}
        self.unsynced: list[tuple[int, dict[str, Node | None]]] = []

    def change(self, at: int, entries: dict[str, Node | None]) -> None:
        self.unsynced.append((at, entries))
        _enter(self.current, entries)

    def sync(self, begun: int) -> None:
        covered = [entries for at, entries in self.unsynced if at <= begun]
        self.unsynced = self.unsynced[len(covered) :]
        for entries in covered:
            _enter(self.synced, entries)

    def image(self, keep: Keep) -> dict[str, Node]:
        found = dict(self.synced)
        for _, entries in self.unsynced:
            if keep():
                _enter(found, entries)
        return found


Node = File | Directory


class Disk:
    """What a recording has done to a disk so far."""

    def __init__(self) -> None:
        self.root = Directory()
        self._files: dict[int, File] = {}

    def apply(self, at: int, operation: Operation) -> None:
        match operation:
            case Create(name, file):
                self._files[file] = File()
                self._enter(at, {name: self._files[file]})
            case Write(file) | Truncate(file):
                self._files[file].unsynced.append((at, operation))
            case Sync(file, begun):
                self._files[file].sync(begun)
            case SyncDirectory(name, begun):
                self._directory(name).sync(begun)
            case _:
                self._enter(at, self._renamed(operation))

    def _renamed(self, operation: Operation) -> dict[str, Node | None]:
        match operation:
            case MakeDirectory(name):
                return {name: Directory()}
            case Rename(source, target):
                return {source: None, target: self._node(source)}
            case Link(source, target):
                return {target: self._node(source)}
            case Unlink(name):
                return {name: None}
            case _:
                return {}  # an acknowledgement, which changes nothing

    def _enter(self, at: int, entries: dict[str, Node | None]) -> None:
        # The two names of a rename within one directory change together.
        by_directory: dict[str, dict[str, Node | None]] = {}
        for name, node in entries.items():
            path = Path(name)
            by_directory.setdefault(str(path.parent), {})[path.name] = node
        for parent, changes in by_directory.items():
            self._directory(parent).change(at, changes)

    def _directory(self, name: str) -> Directory:
        node = self._node(name)
        assert isinstance(node, Directory)
        return node

    def _node(self, name: str) -> Node:
        node: Node = self.root
        for part in Path(name).parts:
            assert isinstance(node, Directory)
            node = node.current[part]
        return node

    def write(self, target: Path, keep: Keep, torn: Keep) -> None:
        """Write an image of the disk to a new directory."""
        _write(self.root, target, keep, torn)


def _write(directory: Directory, target: Path, keep: Keep, torn: Keep) -> None:
    target.mkdir()
    for name, node in directory.image(keep).items():
        if isinstance(node, Directory):
            _write(node, target / name, keep, torn)
        else:
            (target / name).write_bytes(node.image(keep, torn))


def _enter(entries: dict[str, Node], changes: dict[str, Node | None]) -> None:
    for name, node in changes.items():
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node


def _apply(content: bytearray, change: Write | Truncate) -> None:
    if isinstance(change, Truncate):
        del content[change.size :]
        content.extend(bytes(change.size - len(content)))
        return
    content.extend(bytes(max(0, change.offset - len(content))))
    content[change.offset : change.offset + len(change.data)] = change.data


def _tear(content: bytearray, change: Write, keep: Keep) -> None:
    """Keep some sectors of a write. Its size may be there though its data is not: then there are zeros."""
    end = change.offset + len(change.data)
    if keep():
        content.extend(bytes(max(0, end - len(content))))
    for first in range(change.offset - change.offset % SECTOR, end, SECTOR):
        if keep():
            begin, stop = max(first, change.offset), min(first + SECTOR, end)
            _apply(content, Write(change.file, begin, change.data[begin - change.offset : stop - change.offset]))


def choices(chance: random.Random) -> tuple[str, Keep, Keep]:
    """Draw how much of what is unsynced an image keeps and how much of it is torn; return a name for it too."""
    name, kept, torn = chance.choice(
        [
            ("all dropped", 0.0, 0.0),
            ("all kept", 1.0, 0.0),
            ("one dropped", 1.0, 0.0),
            ("one kept", 0.0, 0.0),
            ("one in ten dropped", 0.9, 0.0),
            ("one in ten kept", 0.1, 0.0),
            ("half kept", 0.5, 0.0),
            ("half of the sectors", 0.5, 1.0),
            ("most of the sectors", 0.95, 1.0),
            ("some torn", 0.7, 0.3),
        ]
    )
    other = chance.randint(1, 8) if name.startswith("one ") and "ten" not in name else 0
    asked = itertools.count(1)
    return name, lambda: (next(asked) == other) != (chance.random() < kept), lambda: chance.random() < torn
