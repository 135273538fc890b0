"""Watermarks: small files beside a journal that say how far it had come, so that a lost tail is noticed."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import msgspec

from eventstore.errors import CorruptJournal
from eventstore.streams import check_name

if TYPE_CHECKING:
    from pathlib import Path


class Watermark(msgspec.Struct, frozen=True, omit_defaults=True):
    """At `position` the log with this id had a record with this digest, and a tree with this root (all in hex)."""

    log_id: str
    position: int
    digest: str
    root: str = ""


class Watermarks:
    """The folder `watermarks` beside a journal: a file for each name."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, name: str, mark: Watermark, *, synced: bool = True) -> None:
        """Replace a watermark's file in one step. An unsynced one may be lost with the power, never torn by a kill."""
        check_name("watermark", name)
        self.directory.mkdir(exist_ok=True)
        passing = self.directory / f".{name}.{os.getpid()}.{threading.get_ident()}"
        try:
            with passing.open("wb") as file:
                file.write(msgspec.json.encode(mark) + b"\n")
                if synced:
                    file.flush()
                    os.fsync(file.fileno())
            passing.replace(self.directory / name)
        finally:
            passing.unlink(missing_ok=True)

    def read(self, name: str) -> Watermark | None:
        """Return a watermark, None where there is none; raise CorruptJournal for a damaged one."""
        path = self.directory / name
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return msgspec.json.decode(content, type=Watermark) if content else None
        except (msgspec.MsgspecError, UnicodeDecodeError) as e:
            raise CorruptJournal(0, f"the watermark {path} is damaged ({e})") from e

    def all(self) -> dict[str, Watermark]:
        """Return the watermarks by name. An empty file, which a power cut may leave of an unsynced one, is none."""
        paths = sorted(self.directory.glob("[!.]*")) if self.directory.is_dir() else []
        found = {path.name: self.read(path.name) for path in paths}
        return {name: mark for name, mark in found.items() if mark is not None}
