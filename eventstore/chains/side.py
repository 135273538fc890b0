"""What lies beside a log that continues others: marks by the positions of all of them, and what lies beside those."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace
from typing_extensions import override

from eventstore.chains.source import MissingLog
from eventstore.side import FileSide

if TYPE_CHECKING:
    from eventstore.chains.chain import Chain
    from eventstore.side import LogSide, Marks, ProcessLock
    from eventstore.watermarks import Watermark

OF_ITS_FILE = frozenset({"head", "mirror"})
"""Marks of a journal's file itself, or of its mirror, which counts in the one log that it ships."""


class ChainSide:
    """Beside the newest log: what is kept from now on. Marks and documents of the logs before count until then."""

    def __init__(self, own: LogSide, chain: Chain) -> None:
        self._own, self._chain = own, chain
        before = chain.before
        self._before: LogSide | None = None
        if not isinstance(before, MissingLog):
            beside = FileSide(before.path.parent)
            self._before = beside if chain.earlier is None else ChainSide(beside, chain.earlier)

        self.mark_seconds, self.lock_seconds = own.mark_seconds, own.lock_seconds

    @property
    def address(self) -> str:
        return self._own.address

    def marks(self, held: ProcessLock | None = None) -> Marks:
        before = None if self._before is None else self._before.marks()
        return _ChainMarks(self._own.marks(held), before, self._chain)

    def lock(self, name: str) -> ProcessLock:
        return self._own.lock(name)

    def is_locked(self, name: str) -> bool:
        return self._own.is_locked(name)

    def locks(self, prefix: str) -> list[str]:
        return self._own.locks(prefix)

    def held_locks(self, prefix: str) -> list[str]:
        return self._own.held_locks(prefix)

    def register(self, name: str) -> None:
        self._own.register(name)

    def keep(self, name: str, content: bytes, *, synced: bool = True) -> None:
        self._own.keep(name, content, synced=synced)

    def add(self, name: str, content: bytes) -> None:
        self._own.add(name, content)

    def end(self, name: str, length: int) -> tuple[bytes, bool]:
        return self._own.end(name, length)

    def described(self, name: str) -> str:
        return self._own.described(name)

    def home(self) -> str:
        return self._own.home()

    def new_home(self) -> str:
        return self._own.new_home()

    @override
    def __str__(self) -> str:
        return str(self._own)

    def documents(self, prefix: str) -> dict[str, bytes]:
        before = {} if self._before is None else self._before.documents(prefix)
        return before | self._own.documents(prefix)


class _ChainMarks:
    """Marks of a log and of those before it, as if all were of the last one."""

    def __init__(self, own: Marks, before: Marks | None, chain: Chain) -> None:
        self._own, self._before, self._chain = own, before, chain

    def write(self, name: str, mark: Watermark, *, synced: bool = True) -> None:
        offset = self._chain.offset
        # A mark before this log stays where it is, or at what it was there: one that is behind is safe.
        if mark.position > offset:
            self._own.write(name, replace(mark, position=mark.position - offset), synced=synced)
        elif mark.position == offset:
            self._own.write(name, replace(mark, position=0, digest=""), synced=synced)

    def read(self, name: str) -> Watermark | None:
        found = self._own.read(name)
        if found is not None:
            return self._numbered(found)
        return None if self._before is None else self._as_own(self._before.read(name))

    def stamp(self, name: str) -> object:
        return self._own.stamp(name), None if self._before is None else self._before.stamp(name)

    def examine(self) -> tuple[dict[str, Watermark], dict[str, str]]:
        own, unsound = self._own.examine()
        found: dict[str, Watermark] = {}
        if self._before is not None:
            marks, _ = self._before.examine()
            for name, mark in marks.items():
                if name not in OF_ITS_FILE and name not in unsound and (shown := self._as_own(mark)) is not None:
                    found[name] = shown
        return found | {name: self._numbered(mark) for name, mark in own.items()}, unsound

    def _numbered(self, mark: Watermark) -> Watermark:
        chain = self._chain
        is_own = mark.log_id == chain.own.log_id.hex()
        return replace(mark, position=mark.position + chain.offset) if is_own else mark

    def _as_own(self, mark: Watermark | None) -> Watermark | None:
        """Return a mark of the log before as one of the last log; None for one of any other log."""
        chain = self._chain
        if mark is None or mark.log_id != chain.continued.previous.bytes.hex():
            return None
        return replace(mark, log_id=chain.own.log_id.hex())

    def close(self) -> None:
        self._own.close()
        if self._before is not None:
            self._before.close()
