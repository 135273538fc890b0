"""What a view is: a pure fold of records into a state per partition; and what its queries may use of a book."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

from typing_extensions import override

from eventstore import VOLATILE, InvalidEvent, StoreError
from eventstore.errors import shown
from eventstore.events.registry import by_class

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Unpack

    from eventstore import Event, Record
    from eventstore.batch import AppendOptions

S = TypeVar("S")

SHARED = "-"
"""The partition of what belongs to no account: contracts, marks, quotes."""
LIMITS = "limits/"
"""Begins the names of the streams in which limits are set."""
GROUP = "@"
"""Begins the name under which the limits of a group of accounts are set, as if it were an account's."""

# These fold what is in the streams of limits and breaches, a group's too.
_VIEWS_OF_LIMITS = frozenset({"limits", "executions"})
_REQUIRED = ("name", "revision", "initial", "apply")


def is_of_group(record: Record) -> bool:
    """Return whether a record sets a limit of a group of accounts: it concerns every book, of whatever accounts."""
    return record.stream.startswith(f"{LIMITS}{GROUP}")


def is_for_all(partition: str) -> bool:
    """Return whether a partition belongs to every book, of whatever accounts: SHARED, and those of groups' limits."""
    return partition == SHARED or partition.startswith(GROUP)


@runtime_checkable
class View(Protocol[S]):
    """A pure fold, without clock, I/O or randomness: the same records give the same state, always and everywhere.

    The state is a msgspec Struct, bounded in size. Values that queries return are published by replacement: `apply`
    puts a new frozen value in place of the old one, so that a reader in another thread never sees half a change.
    """

    name: ClassVar[str]
    revision: ClassVar[int]
    """Raise it when `apply` or the state's meaning changes: snapshots of other revisions are ignored."""
    types: ClassVar[tuple[type[Event], ...] | None] = None
    """The event classes that `apply` handles; None for all."""

    shared: ClassVar[bool] = False
    """Whether `partition` returns SHARED for every record, whatever account its stream names."""
    of_accounts: ClassVar[tuple[type[Event], ...]] = ()
    """Those of a shared view's `types` that accounts' views fold too: only they park for one that cannot be decoded."""
    broadcast: ClassVar[tuple[type[Event], ...]] = ()
    """Those of `types` that belong to SHARED, whatever account their stream names, and to every partition concerned.

    A view that has any is folded by `apply_beside`. SHARED is folded first in each page, so what it keeps of these
    events must be asked by log position: it may be ahead of the record that is folded.
    """

    can_wait: ClassVar[bool] = False
    """Whether a long tail is folded into a partition only when it is asked for, if a book is opened far behind the log.

    A partition that waits is folded in whatever thread asks, under the book's lock, and with SHARED as it is then.
    """

    volatile: ClassVar[bool] = False
    """Whether its states are never stored, since they rest on observed events: a book is opened without them.

    Such a view may fold stored records as well, from the book's opening on. It is empty in books of the past.
    """

    def initial(self) -> S:
        """Return the state of a partition before its first record."""

    def apply(self, state: S, event: Event, record: Record) -> None:
        """Change the state by one record's event."""

    def partition(self, record: Record) -> str:
        """Return the partition of a record: by default its stream's account."""
        return record.stream.split("/", 2)[1]

    def apply_beside(self, shared_state: S, state: S, event: Event, record: Record) -> None:
        """Change the state by one record's event, given SHARED's, which is the same object while SHARED is folded.

        Only `state` may be changed. SHARED's is the initial one where it has no record.
        """
        self.apply(state, event, record)

    def concerns(self, state: S, event: Event) -> bool:
        """Return whether a broadcast event may change a partition's state: asked of each, so it must be fast.

        It is also asked between `apply` and `finish`, and changes nothing.
        """
        return True

    def attach(self, book: BookReader | None) -> None:
        """Take the book whose states a volatile view may ask while it folds: called before its first event.

        None once a book of the past is folded: the view folds nothing any more.
        """
        return

    def apply_page(self, state: S, pairs: Iterator[tuple[Any, Record]], apply: Callable[[Any, Record], None]) -> None:
        """Change the state by a page's records of a partition: each event with its record, in order.

        `apply` does so by any one of them, whatever stands for its event. The state must not show where pages end.
        """
        for event, record in pairs:
            apply(event, record)

    def finish(self, state: S) -> None:
        """Complete what `apply` postponed, after the last record of a partition in a page.

        Afterwards the state must not show where pages ended. An observed event is a page of its own.
        """
        return


class _Completed(View[Any]):
    """A view that has only the required members, with defaults for the others."""

    def __init__(self, view: Any) -> None:  # noqa: ANN401 - anything with the required members
        self.name, self.revision = view.name, view.revision
        self.types = getattr(view, "types", None)  # type: ignore[misc]
        self.shared = getattr(view, "shared", False)  # type: ignore[misc]
        self.of_accounts = tuple(getattr(view, "of_accounts", ()))  # type: ignore[misc]
        self.broadcast = tuple(getattr(view, "broadcast", ()))  # type: ignore[misc]
        self.can_wait = getattr(view, "can_wait", False)  # type: ignore[misc]
        self.volatile = getattr(view, "volatile", False)  # type: ignore[misc]
        self.given = view

    @override
    def initial(self) -> Any:
        return self.given.initial()

    @override
    def apply(self, state: Any, event: Event, record: Record) -> None:
        self.given.apply(state, event, record)

    @override
    def partition(self, record: Record) -> str:
        return str(self.given.partition(record)) if overrides(self, "partition") else super().partition(record)

    @override
    def apply_beside(self, shared_state: Any, state: Any, event: Event, record: Record) -> None:
        if overrides(self, "apply_beside"):
            self.given.apply_beside(shared_state, state, event, record)
        else:
            self.given.apply(state, event, record)

    @override
    def concerns(self, state: Any, event: Event) -> bool:
        return bool(self.given.concerns(state, event)) if overrides(self, "concerns") else True

    @override
    def attach(self, book: BookReader | None) -> None:
        if overrides(self, "attach"):
            self.given.attach(book)

    @override
    def apply_page(self, state: Any, pairs: Iterator[tuple[Any, Record]], apply: Callable[[Any, Record], None]) -> None:
        if overrides(self, "apply_page"):
            self.given.apply_page(state, pairs, apply)
        else:
            super().apply_page(state, pairs, apply)

    @override
    def finish(self, state: Any) -> None:
        if overrides(self, "finish"):
            self.given.finish(state)


def completed(view: Any) -> View[Any]:  # noqa: ANN401 - a View, or anything with the required members
    """Return a view with all members: name, revision, initial and apply are required, the others have defaults."""
    # The base class is looked for first: to check a protocol looks up each of its members, for each view of each book.
    return view if View in type(view).__mro__ or isinstance(view, View) else _Completed(view)


def overrides(view: View[Any], member: str) -> bool:
    """Return whether a view has a method of its own in place of the default."""
    if isinstance(view, _Completed):
        return hasattr(view.given, member)
    return getattr(type(view), member) is not getattr(View, member)


def views_of(given: object) -> list[View[Any]]:
    """Return the additional views of a book; raise InvalidEvent for an object that is not a view."""
    if given is None:
        return []
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        msg = f"views must be a sequence of views, as in views=[MyView()], not {shown(given)}"
        raise InvalidEvent(msg)
    views = list(given)
    for view in views:
        if isinstance(view, type) or not all(hasattr(view, member) for member in _REQUIRED):
            msg = f"{shown(view)} is not a view: give an object that has {', '.join(_REQUIRED)}"
            raise InvalidEvent(msg)
        types, broadcast = getattr(view, "types", None), getattr(view, "broadcast", ())
        if types is not None and (unfolded := [cls.__name__ for cls in broadcast if cls not in types]):
            msg = f"view {view.name} broadcasts {', '.join(unfolded)}, but does not fold it: add it to its types"
            raise InvalidEvent(msg)
    return views


def is_by_account(view: View[Any]) -> bool:
    """Return whether a view's partitions are the accounts of the streams."""
    return not overrides(view, "partition")


def is_volatile(view: View[Any]) -> bool:
    """Return whether a view's states are never stored: it says so, or it folds observed events only."""
    return view.volatile or (view.types is not None and all(by_class(cls).durability is VOLATILE for cls in view.types))


class BookReader(Protocol):
    """What a view's queries may use of a book: its states, the records that it has folded, append and observe."""

    @property
    def position(self) -> int:
        """The log position that every view is folded up to; while records are folded, states are ahead of it."""

    def state(self, view: str, partition: str) -> Any:  # noqa: ANN401 - each view has a state of its own
        """Return the live state of a partition, or None where it has no record; raise PartitionParked."""

    def keep_up(self) -> None:
        """Fold what other processes have committed, unless this thread pauses the book or it has no journal."""

    def covers(self, account: str) -> bool:
        """Return whether the book folds an account's records: one that was opened for some accounts omits others."""

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
        """Return the store's time, for queries without an instant."""

    def append(self, stream: str, events: Event | Sequence[Event], **options: Unpack[AppendOptions]) -> list[Record]:
        """Append and fold; raise ReadOnly where the book is closed or of the past."""

    def observe(self, stream: str, event: Event, *, occurred_at: int | None = None) -> Record:
        """Fold an event that is never stored; raise ReadOnly where the book is closed or of the past."""


def check_covered(book: BookReader, account: str) -> None:
    """Raise InvalidEvent for an account that a book was not opened for: it would look unlocked, flat and unlimited.

    To be asked where a view has no state of it: one that is folded needs no look.
    """
    if account != SHARED and not book.covers(account):
        msg = f"this book knows nothing of account {shown(account)}: open one with accounts= that include it"
        raise InvalidEvent(msg)


def accounts_in(book: BookReader, view: str) -> tuple[str, ...]:
    """Return the accounts that a view has a state of, sorted: without those under whose name a group's limits are."""
    names = {*book.partitions(view)} - {SHARED}
    return tuple(sorted(name for name in names if view not in _VIEWS_OF_LIMITS or not name.startswith(GROUP)))


class PartitionParked(StoreError):
    """A view failed on a record of this partition, and has not folded it since: its answers would be out of date."""

    def __init__(self, view: str, partition: str, position: int, error: BaseException) -> None:
        self.view, self.partition, self.position, self.error = view, partition, position, error
        super().__init__(
            f"view {view} stopped for {partition} at position {position} ({type(error).__name__}: {error}): "
            "fix the view or the cause, then call retry()"
        )
