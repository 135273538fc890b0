"""Opening a book: from the newest cut and the records after it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar

from eventstore import EventReader, EventStore, InvalidEvent, SystemClock
from eventstore.arguments import accounts_of
from eventstore.clock import wall_ns
from eventstore.errors import shown
from eventstore.side import TableSide
from projections.book import Book
from projections.builtin import builtin_views
from projections.fold import Fold
from projections.parallel import processes_of
from projections.recovery import Recovery
from projections.shares import AccountShares
from projections.snapshots import Snapshots
from projections.view import views_of
from projections.views.enforcement import oldest_first
from projections.views.orders.view import Orders, tiers_of
from projections.views.sessions import calendars_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from projections.reading import Progress
    from projections.sessions import Calendar
    from projections.tiers import TierSettings
    from projections.view import View

FIRST_CUT_EVENTS_MIN = 10_000
"""Opening a book writes a cut if at least so many events had to be folded."""


B = TypeVar("B", bound=Book)


class OpenOptions(TypedDict, total=False):
    """The keyword arguments of `open`, for what passes them on."""

    views: Sequence[View[Any]] | None
    accounts: Sequence[str] | AccountShares | None
    snapshots: Snapshots | str | Path | Literal[False] | None
    progress: Progress | None
    calendars: Calendar | Mapping[str, Calendar] | None
    tiers: TierSettings | None
    processes: int | None


def open(
    store: EventReader,
    *,
    views: Sequence[View[Any]] | None = None,
    accounts: Sequence[str] | AccountShares | None = None,
    snapshots: Snapshots | str | Path | Literal[False] | None = None,
    progress: Progress | None = None,
    calendars: Calendar | Mapping[str, Calendar] | None = None,
    tiers: TierSettings | None = None,
    processes: int | None = None,
) -> Book:
    """Return a book at the log's head: from the newest valid cut, and the records after it.

    `views`: in addition to the built-in ones. `accounts`: only these, or those of shares, and what belongs to none.
    `snapshots`: where cuts are stored, by default beside the log; False for none. `calendars`: one for all
    accounts, or by account, with `*` for all others. `tiers`: how many closed orders stay in memory, decoded and
    compressed, beside the last ones. `processes`: how many fold a log that has no cut yet, by default as many as pays,
    1 for this one alone. Raises InvalidEvent for other values.
    """
    options = OpenOptions(
        views=views, accounts=accounts, snapshots=snapshots, progress=progress, calendars=calendars, tiers=tiers,
        processes=processes,
    )  # fmt: skip
    return open_as(Book, store, options)


def open_as(kind: type[B], store: EventReader, options: OpenOptions) -> B:
    """Return a book of a kind at the log's head, as `open` does."""
    check_reader(store)
    accounts, snapshots, tiers = options.get("accounts"), options.get("snapshots"), options.get("tiers")
    chosen = accounts if isinstance(accounts, AccountShares) else accounts_of(accounts)
    own, held = views_of(options.get("views")), tiers_of(tiers)
    by_account, several = calendars_of(options.get("calendars")), processes_of(options.get("processes"))
    clock = store.clock if isinstance(store, EventStore) else SystemClock()
    began = clock.monotonic_ns()
    kept = snapshots_of(store, snapshots)
    fold = Fold(accounts=chosen)
    book = kind(store, fold, accounts=chosen, snapshots=kept)
    book.sessions.calendars.update(by_account)
    book.orders = Orders(book, held)
    book.processes = several if chosen is None else 1
    head = store.head()
    cut = book.load([*builtin_views(held), *own], head, options.get("progress"))
    tail_length = head - cut
    now = wall_ns(clock)
    in_force = tuple(lock for account in _not_parked(book, "lockouts") for lock in book.lockouts.active(account, now))
    pending = [request for account in _not_parked(book, "enforcement") for request in book.enforcement.pending(account)]
    seconds = (clock.monotonic_ns() - began) / 1e9
    book.recovery = Recovery(cut, tail_length, seconds, in_force, oldest_first(pending))
    if kept is not None and tail_length >= FIRST_CUT_EVENTS_MIN:
        book.first_cut.start(book.complete)
    return book


def check_reader(store: object) -> None:
    """Raise InvalidEvent for the place of a log, where what reads it is expected."""
    if isinstance(store, str | Path):
        msg = f"a book is folded from a store that is open: give what eventstore.open(...) returns, not {shown(store)}"
        raise InvalidEvent(msg)


def _not_parked(book: Book, view: str) -> list[str]:
    """Return the partitions that a view has not failed on."""
    stopped = book.stopped_in(view)
    return [partition for partition in book.partitions(view) if partition not in stopped]


def snapshots_of(store: EventReader, given: object) -> Snapshots | None:
    if isinstance(given, Snapshots):
        return given
    if given is False:
        return None
    if given is not None and not isinstance(given, str | Path):
        msg = f"snapshots must be a path, a Snapshots or False, not {shown(given)}"
        raise InvalidEvent(msg)
    directory = store.directory if isinstance(store, EventStore) else None
    side: object = store.side if isinstance(store, EventStore) else None
    is_evidence = isinstance(store, EventStore) and store.read_only
    if given is not None:
        if is_evidence and directory is not None and Path(given).resolve().is_relative_to(directory.resolve()):
            msg = (
                f"{given} is in the directory of a log that was opened read-only: put snapshots elsewhere, or give none"
            )
            raise InvalidEvent(msg)
        return Snapshots(given)
    # Nothing is written beside evidence, and what others wrote there is only a cache: the log is folded.
    if is_evidence:
        return None
    if isinstance(side, TableSide):
        return Snapshots(side)
    return None if directory is None else Snapshots(directory / "snapshots.sqlite")
