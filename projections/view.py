"""What a view is: a pure fold of records into a state for each partition; and what its questions may use."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from eventstore import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventstore import Event, Record

S = TypeVar("S")

# Every fold and every figure is computed in this context, whatever the thread's own: IEEE 754 decimal128's
# precision and rounding, and an error where a result would be no number.
FIXED = decimal.Context(
    prec=34,
    rounding=decimal.ROUND_HALF_EVEN,
    traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow],
)
SHARED = "-"
"""The partition of what belongs to no account: contracts, marks, quotes."""


class View(Protocol[S]):
    """A pure fold: no clock, no I/O, no chance; the same records give the same state, on any machine, in any year.

    The state is a msgspec Struct, bounded in size. What it hands out is published by replacement: `apply` puts
    a new frozen value where the old one was, so that a reader in another thread never sees half a change.
    """

    name: ClassVar[str]
    revision: ClassVar[int]
    """Raised when `apply` or the state's meaning changes: older snapshots are then passed over."""
    types: ClassVar[tuple[type[Event], ...] | None] = None
    """The event classes that `apply` wants; None wants all."""

    def initial(self) -> S:
        """Return the state of a partition before its first record."""

    def apply(self, state: S, event: Event, record: Record) -> None:
        """Change the state by one record's event."""

    def partition(self, record: Record) -> str:
        """Return which partition a record belongs to: the account of its stream, unless a view knows better."""
        return record.stream.split("/", 2)[1]


class Lens(Protocol):
    """What a view's questions may use of a book: its states, and the part of the log that it has folded."""

    def state(self, view: str, partition: str) -> Any:  # noqa: ANN401 - each view has a state of its own
        """Return the live state of a partition, or None where it has no record; raise PartitionParked."""

    def partitions(self, view: str) -> Sequence[str]:
        """Return the partitions that have a state."""

    def read(
        self,
        *,
        stream: str | None = None,
        account: str | None = None,
        types: tuple[type[Event], ...] | None = None,
    ) -> Iterator[Record]:
        """Return the records that the book has folded, oldest first."""


class PartitionParked(StoreError):
    """A view failed on a record of this partition and folds it no further: its answers would be stale."""

    def __init__(self, view: str, partition: str, position: int, error: BaseException) -> None:
        self.view, self.partition, self.position, self.error = view, partition, position, error
        super().__init__(
            f"view {view} stopped for {partition} at position {position} ({type(error).__name__}: {error}): "
            "mend the view or the cause, then call retry()"
        )
