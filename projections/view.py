"""What a view is: a pure fold of records into a state for each partition; and what its questions may use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

from typing_extensions import override

from eventstore import InvalidEvent, StoreError
from eventstore.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventstore import Event, Record

S = TypeVar("S")

SHARED = "-"
"""The partition of what belongs to no account: contracts, marks, quotes."""

_REQUIRED = ("name", "revision", "initial", "apply")


@runtime_checkable
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

    shared: ClassVar[bool] = False
    """Whether `partition` puts every record into SHARED, whatever account its stream names."""

    def initial(self) -> S:
        """Return the state of a partition before its first record."""

    def apply(self, state: S, event: Event, record: Record) -> None:
        """Change the state by one record's event."""

    def partition(self, record: Record) -> str:
        """Return which partition a record belongs to: the account of its stream, unless a view knows better."""
        return record.stream.split("/", 2)[1]


class _Completed(View[Any]):
    """A view that says no more than it must, with the rest filled in."""

    def __init__(self, view: Any) -> None:  # noqa: ANN401 - whatever has the few members that a view must have
        self.name, self.revision = view.name, view.revision
        self.types = getattr(view, "types", None)  # type: ignore[misc]
        self.shared = getattr(view, "shared", False)  # type: ignore[misc]
        self._view = view

    @override
    def initial(self) -> Any:
        return self._view.initial()

    @override
    def apply(self, state: Any, event: Event, record: Record) -> None:
        self._view.apply(state, event, record)


class _Partitioned(_Completed):
    """The same for a view that has partitions of its own."""

    @override
    def partition(self, record: Record) -> str:
        return str(self._view.partition(record))


def completed(view: Any) -> View[Any]:  # noqa: ANN401 - a View, or what has the few members that one must have
    """Return a view with everything that a fold asks for: name, revision, initial and apply are enough."""
    if isinstance(view, View):
        return view
    return _Partitioned(view) if hasattr(view, "partition") else _Completed(view)


def views_of(given: object) -> list[View[Any]]:
    """Return the views of one's own that a book is to have; raise InvalidEvent for what is no view."""
    if given is None:
        return []
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        msg = f"views is a sequence of views, as views=[MyView()], not {shown(given)}"
        raise InvalidEvent(msg)
    views = list(given)
    for view in views:
        if isinstance(view, type) or not all(hasattr(view, member) for member in _REQUIRED):
            msg = f"{shown(view)} is no view: give an object that has {', '.join(_REQUIRED)}"
            raise InvalidEvent(msg)
    return views


def is_by_account(view: View[Any]) -> bool:
    """Tell whether a view's partitions are the accounts of the streams."""
    return type(view).partition is View.partition


class Lens(Protocol):
    """What a view's questions may use of a book: its states, the part of the log that it has folded, its verbs."""

    @property
    def position(self) -> int:
        """The position that every view is folded up to; while records are folded, states are ahead of it."""

    def state(self, view: str, partition: str) -> Any:  # noqa: ANN401 - each view has a state of its own
        """Return the live state of a partition, or None where it has no record; raise PartitionParked."""

    def covers(self, account: str) -> bool:
        """Tell whether the book folds an account's records; one that was opened for some accounts leaves others out."""

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

    def now_ns(self) -> int:
        """Return the store's clock: for questions that name no instant."""

    def append(self, stream: str, events: Event | Sequence[Event], **circumstances: Any) -> list[Record]:  # noqa: ANN401 - as the store's
        """Append and fold; raises ReadOnly where the book is of the past."""

    def observe(self, stream: str, event: Event, *, occurred_at: int | None = None) -> Record:
        """Fold an event that is never stored; raises ReadOnly where the book is of the past."""


class PartitionParked(StoreError):
    """A view failed on a record of this partition and folds it no further: its answers would be stale."""

    def __init__(self, view: str, partition: str, position: int, error: BaseException) -> None:
        self.view, self.partition, self.position, self.error = view, partition, position, error
        super().__init__(
            f"view {view} stopped for {partition} at position {position} ({type(error).__name__}: {error}): "
            "mend the view or the cause, then call retry()"
        )
