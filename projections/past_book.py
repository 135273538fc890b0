"""A book of the past: each of its views' partitions is folded when somebody asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from projections.book import Book
from projections.fold_reader import FoldReader
from projections.past_fold import PastFold
from projections.starts import starts_of
from projections.view import is_volatile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from eventstore import EventReader
    from projections.snapshots import Snapshots
    from projections.view import PartitionParked, View


AT_ONCE_MAX = 30_000
"""Up to so many records after its cuts a book of the past reads them at once, and needs its store no longer."""


class PastReader(FoldReader):
    """A fold of the past, folded as far as it is asked for."""

    _fold: PastFold

    @override
    def state(self, view: str, partition: str, *, even_parked: bool = False) -> Any:
        self._fold.complete(view, partition)
        return super().state(view, partition, even_parked=even_parked)

    @override
    def partitions(self, view: str) -> list[str]:
        self._fold.complete(view)
        return super().partitions(view)


class PastBook(PastReader, Book):
    """A book as of a log position. With a long log behind its cuts it reads that when asked: keep the store open."""

    query_reader: ClassVar[type[FoldReader]] = PastReader

    @classmethod
    def at(
        cls,
        reader: EventReader,
        views: Sequence[View[Any]],
        until: int,
        *,
        accounts: frozenset[str] | None,
        snapshots: Snapshots | None,
        occurred_until: int | None,
    ) -> Self:
        """Return the book at a log position: each view from its newest cut."""
        fold = PastFold(reader, until, accounts=accounts, occurred_until=occurred_until)
        book = cls(reader, fold, accounts=accounts, snapshots=snapshots, occurred_until=occurred_until)
        cuts: set[int] = set()
        oldest = until
        for view, found in starts_of(
            views, reader, snapshots, until=until, accounts=accounts, occurred_until=occurred_until
        ):  # fmt: skip
            fold.start(view, found)
            oldest = min(oldest, found.log_position)
            if not is_volatile(view):
                cuts.add(found.log_position)
        book._last_cut = max(cuts) if len(cuts) == 1 else 0
        book.freeze()
        book.detach()
        if until - oldest > AT_ONCE_MAX:
            if snapshots is not None and accounts is None:
                fold.use_own_cuts(snapshots)
        elif not fold.hold():
            fold.complete_all()
        return book

    @property
    @override
    def parked(self) -> dict[tuple[str, str], PartitionParked]:
        self._fold.complete_all()
        return super().parked

    @override
    def retry(self, view: str, partition: str) -> bool:
        self._fold.complete(view, partition)
        return super().retry(view, partition)

    @override
    def __repr__(self) -> str:
        # Folds nothing: it is shown by logs, tests and debuggers.
        return f"<Book of {self._reader.log} at {self.position}, of the past>"
