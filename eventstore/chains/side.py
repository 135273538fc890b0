"""What lies beside a log that continues others: marks by the positions of all of them, and what lies beside those."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from msgspec.structs import replace
from typing_extensions import override

from eventstore.side import FencedMarks, GroupSide, TableSide

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from eventstore.chains.chain import Chain
    from eventstore.record import Fence
    from eventstore.side import LogSide, Marks, ProcessLock, SeenMember, Transactions
    from eventstore.watermarks import Watermark

OF_ITS_FILE = frozenset({"head", "mirror"})
"""Marks of a journal's file itself, or of its mirror, which counts in the one log that it ships."""


@runtime_checkable
class SharedSide(GroupSide, TableSide, Protocol):
    """A side in PostgreSQL, which several hosts share."""


class ChainSide:
    """Beside the newest log: what is kept from now on. Marks and documents of the logs before count until then."""

    def __init__(self, own: LogSide, chain: Chain) -> None:
        self._own, self._chain = own, chain
        beside = chain.beside
        self._before = beside if beside is None or chain.earlier is None else side_of(beside, chain.earlier)
        self.mark_seconds, self.lock_seconds = own.mark_seconds, own.lock_seconds

    @property
    def address(self) -> str:
        return self._own.address

    def marks(self, held: ProcessLock | None = None) -> Marks:
        return _ChainMarks(self._own.marks(held), self._marks_before(), self._chain)

    def _marks_before(self) -> Marks | None:
        return None if self._before is None else self._before.marks()

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


class ChainTableSide(ChainSide):
    """The same in PostgreSQL, where what hosts share is kept beside the newest log alone."""

    def __init__(self, own: SharedSide, chain: Chain) -> None:
        super().__init__(own, chain)
        self._shared = own

    @override
    def marks(self, held: ProcessLock | None = None) -> Marks:
        own, before = self._shared.marks(held), self._marks_before()
        assert isinstance(own, FencedMarks)
        return _FencedChainMarks(own, before, self._chain)

    def transaction(self, *fences: Fence, alone: str = "") -> AbstractContextManager[Any]:
        return self._shared.transaction(*fences, alone=alone)

    def apart(self, name: str, *, patience: float) -> Transactions:
        return self._shared.apart(name, patience=patience)

    def release_all(self, locks: Sequence[Any]) -> None:
        self._shared.release_all(locks)

    def take_all(self, locks: Sequence[Any]) -> list[Any]:
        return self._shared.take_all(locks)

    def join(self, group: str, id: str, who: str, url: str) -> None:
        self._shared.join(group, id, who, url)

    def beat(self, group: str, id: str, position: int) -> bool:
        return self._shared.beat(group, id, position)

    def members(self, group: str) -> list[SeenMember]:
        return self._shared.members(group)

    def groups(self) -> list[str]:
        return self._shared.groups()

    def leave(self, group: str, id: str) -> None:
        self._shared.leave(group, id)

    def evict(self, group: str, id: str) -> bool:
        return self._shared.evict(group, id)


def side_of(own: LogSide, chain: Chain) -> ChainSide:
    """Return what lies beside a log that continues others, of the kind that its own side is."""
    return ChainTableSide(own, chain) if isinstance(own, SharedSide) else ChainSide(own, chain)


class _ChainMarks:
    """Marks of a log and of those before it, as if all were of the last one."""

    def __init__(self, own: Marks, before: Marks | None, chain: Chain) -> None:
        self._own, self._before, self._chain = own, before, chain

    def write(self, name: str, mark: Watermark, *, synced: bool = True) -> None:
        own = self._in_own(mark)
        if own is not None:
            self._own.write(name, own, synced=synced)

    def _in_own(self, mark: Watermark) -> Watermark | None:
        """Return a mark as the log itself counts, None for one before it.

        That one stays where it is, or at what it was there: one that is behind is safe.
        """
        offset = self._chain.offset
        if mark.position > offset:
            return replace(mark, position=mark.position - offset)
        return replace(mark, position=0, digest="") if mark.position == offset else None

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


class _FencedChainMarks(_ChainMarks):
    """Those of a log in PostgreSQL."""

    def __init__(self, own: FencedMarks, before: Marks | None, chain: Chain) -> None:
        super().__init__(own, before, chain)
        self._fenced = own

    def write_all(self, marks: Sequence[tuple[str, Watermark]], fences: Sequence[Fence]) -> None:
        # Also where none of them is of the log itself: that no lock was taken the same transaction shows.
        self._fenced.write_all(self._all_in_own(marks), fences)

    def write_new(self, marks: Sequence[tuple[str, Watermark]]) -> None:
        known, _ = self.examine()
        self._fenced.write_new(self._all_in_own([(name, mark) for name, mark in marks if name not in known]))

    def _all_in_own(self, marks: Sequence[tuple[str, Watermark]]) -> list[tuple[str, Watermark]]:
        return [(name, own) for name, mark in marks if (own := self._in_own(mark)) is not None]
