"""The file of a log's API keys, beside a journal in a directory."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import msgspec
from typing_extensions import override

from eventstore import files
from gateways.http.keys.stored import LOCK, NAME, USED, StoredKeys, taken

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BYTES_MAX = 4_000_000


class KeyFile(StoredKeys):
    """Keys in files of a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory, self.path = directory, directory / NAME
        super().__init__(str(self.path))

    @override
    def exists(self) -> bool:
        return os.path.lexists(self.path)

    @override
    def stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    @override
    def content(self) -> bytes | None:
        return _content(self.path)

    @override
    def used(self) -> dict[str, str]:
        try:
            return msgspec.json.decode(_content(self._directory / USED), type=dict[str, str])
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return {}

    @override
    def _keep(self, name: str, content: bytes, *, synced: bool = True) -> None:
        files.replace(self._directory / name, content, synced=synced)

    @override
    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with taken(files.FileLock(self._directory / LOCK), self.place):
            yield


def _content(path: Path) -> bytes:
    with os.fdopen(files.open_regular(path), "rb") as file:
        return file.read(BYTES_MAX)
