"""What is not known of an account and its day, whatever is asked of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore import EventStore
from projections.risk.policies.cursors import have_begun
from projections.risk.policies.protocol import ACTOR

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eventstore import EventReader
    from projections.auditing.disputes.days import DisputedDay
    from projections.auditing.timeline import Entry
    from projections.book import Book


def unknown_of_account(store: EventReader, book: Book, account: str, day: DisputedDay) -> Iterator[str]:
    """Yield what the log, or this process, does not know of the account and its day at all."""
    if not day.is_stated:
        yield (
            f"when the trading day {day.trading_day} of {account} began and ended: "
            "no session says so, and the date in UTC is taken"
        )
    known = book.accounts.get(account)
    if known is None or known.opened_position is None:
        yield f"with which balance and currency {account} began: no record opens it"
    if (why := book.unread.why(account, store)) is not None:
        yield why
    for (view, partition), error in sorted(book.parked.items()):
        yield f"what view {view} has of {partition} since position {error.position:,}, where it failed: {error.error}"
    if (missing := store.missing_tail) is not None:
        yield f"what log {store.log} had past position {store.head():,}: {missing}"


def unknown_of_policies(store: EventReader, account: str, timeline: Iterable[Entry]) -> Iterator[str]:
    """Yield that no policy is known to have judged the account, where neither its records nor this log show one."""
    if any(entry.actor.startswith(ACTOR) for entry in timeline):
        return
    # A copy of the log, or a source elsewhere, does not have what shows that they ran.
    if not isinstance(store, EventStore) or not have_begun(store):
        yield (
            f"whether policies judged {account}: no record of the day is a policy's, "
            f"and none is known to have run on log {store.log}"
        )


def unknown_of_entries(timeline: Iterable[Entry]) -> Iterator[str]:
    """Yield what is not known of single records."""
    for entry in timeline:
        yield from (f"position {entry.position:,}: {each}" for each in entry.unknown)
        if entry.error is not None:
            yield f"position {entry.position:,}: {entry.error}"
