"""One file as the containers open it: its bytes or text, and what messages call it."""

from __future__ import annotations

import contextlib
import copy
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self, TextIO

from gateways.importers.archives import DAMAGED, damaged, is_packed, member_of, open_bytes
from gateways.importers.texts import open_text

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


class FileContent:
    """The content of a file, or of the one file in a zip, unpacked within a bound. It can be opened repeatedly."""

    def __init__(self, path: Path, *, member: str | None, encoding: str | None, bytes_max: int) -> None:
        self.path, self.encoding, self.bytes_max = path, encoding, bytes_max
        self.member = member_of(path, member)
        self.file = path.name if self.member is None else f"{path.name}/{self.member}"

    def in_encoding(self, encoding: str) -> Self:
        """Return the same content in the encoding that it names itself."""
        named = copy.copy(self)
        named.encoding = encoding
        return named

    @property
    def is_itself(self) -> bool:
        """Whether the content is the file's own bytes, not unpacked from them."""
        return self.member is None and not is_packed(self.path)

    @contextlib.contextmanager
    def as_file(self) -> Iterator[Path]:
        """Give the content as a file of its own, unpacked into one that is removed afterwards if need be."""
        if self.is_itself:
            yield self.path
            return
        with tempfile.TemporaryDirectory(prefix="eventstore-") as folder:
            path = Path(folder) / "content"
            try:
                with self.open_bytes() as packed, path.open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
            except DAMAGED as e:
                raise damaged(self.file, e) from e
            yield path

    def head(self, count: int) -> bytes:
        """Return the first bytes of the content."""
        try:
            with self.open_bytes() as raw:
                return raw.read(count)
        except DAMAGED as e:
            raise damaged(self.file, e) from e

    def open_text(self) -> AbstractContextManager[TextIO]:
        return open_text(self.path, self.member, bytes_max=self.bytes_max, encoding=self.encoding)

    def open_bytes(self) -> AbstractContextManager[io.BufferedReader]:
        return open_bytes(self.path, self.member, bytes_max=self.bytes_max)
