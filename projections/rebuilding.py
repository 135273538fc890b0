"""Folding a view, or one partition of it, again from the log, apart from the book that needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventstore.streams import check_name
from projections.fold import Fold, ViewState
from projections.reading import tail
from projections.view import View, is_by_account

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventstore import EventReader, Record

    Progress = Callable[[int, int], None]


def refolded(
    view: View[Any],
    partition: str,
    reader: EventReader,
    until: int,
    *,
    accounts: frozenset[str] | None,
    occurred_until: int | None,
) -> ViewState:
    """Return a view with only one partition, folded from the log's first record up to a log position."""
    by_account = is_by_account(view)

    def belongs(record: Record) -> bool:
        in_time = occurred_until is None or record.occurred_at <= occurred_until
        return in_time and (by_account or view.partition(record) == partition)

    fold = Fold([view])
    # A partition that is an account can be read by the accounts' index; any other needs every record.
    chosen = frozenset({check_name("partition", partition)}) if by_account else accounts
    for page in tail(reader, 0, until, chosen):
        fold.apply([record for record in page if belongs(record)])
    return fold.slots[view.name]


def catch_up(
    fold: Fold, reader: EventReader, until: int, accounts: frozenset[str] | None, progress: Progress | None = None
) -> None:
    """Fold what the log has after a fold's position, up to another."""
    for page in tail(reader, fold.log_position, until, accounts):
        fold.apply(page)
        if progress is not None:
            progress(fold.log_position, until)
