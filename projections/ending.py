"""Whether a rotation has ended the log of a book that still follows it: nothing more will come of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from eventstore import LogHasEnded

if TYPE_CHECKING:
    from eventstore.trading import LogEnded
    from projections.book import Book


def log_ended(book: Book) -> LogHasEnded | None:
    """Return what an append to a book's log raises, once the book has folded that log's last record; None before."""
    reader, fold, _, _ = book.parts
    last = fold.ended
    # A log that is continued by the book's own has such a record too.
    if last is None or last.log != reader.log:
        return None
    return LogHasEnded(last.log, cast("LogEnded", last.event).next)


def check_not_ended(book: Book) -> None:
    """Raise LogHasEnded once a book has folded its log's last record: who waits for more waits in vain."""
    if (ended := log_ended(book)) is not None:
        raise ended
