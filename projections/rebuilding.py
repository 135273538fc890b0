"""Folding a view, or one partition of it, again from the log, apart from the book that needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventstore.events.registry import by_class
from eventstore.streams import check_name
from projections.fold import Fold
from projections.parallel import fold_in_processes
from projections.reading import Progress, tail
from projections.view import SHARED, View, is_by_account, is_volatile

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from eventstore import EventReader, Record
    from projections.shares import AccountFilter
    from projections.view_states import ViewState


def retry(fold: Fold, view: str, partition: str, reader: EventReader, occurred_until: int | None) -> bool:
    """Fold a parked partition again up to a fold's position; return whether it is now as current as the others.

    One of a volatile view starts empty again.
    """
    view_state = fold.slots[view]
    initial = view_state.view.initial
    if is_volatile(view_state.view):
        fold.replace_state(view_state, partition, initial())
        return True
    single = refolded(
        view_state.view,
        partition,
        reader,
        fold.log_position,
        accounts=fold.accounts,
        occurred_until=occurred_until,
    )
    if (failed := single.parked.get(partition)) is not None:
        view_state.parked[partition] = failed
        return False
    # A view that broadcasts has folded SHARED as well: it is repaired along if it had failed.
    for folded in {partition, *(view_state.parked.keys() & single.states.keys())} - single.parked.keys():
        fold.replace_state(view_state, folded, single.states.get(folded, initial()))
    return True


def rebuild(
    fold: Fold,
    view: View[Any],
    reader: EventReader,
    lock: AbstractContextManager[object],
    *,
    progress: Progress | None,
    processes: int | None,
) -> None:
    """Fold a view from the first record while a fold's current one stays in use, then replace that one.

    A volatile view starts empty again.
    """
    if is_volatile(view):
        with lock:
            fold.add(view)
        return
    accounts = fold.accounts
    rebuilt = Fold([view], accounts=accounts)
    catch_up(rebuilt, reader, fold.log_position, accounts, progress, processes=processes)
    # Only what was appended meanwhile is folded under the lock.
    with lock:
        catch_up(rebuilt, reader, fold.log_position, accounts)
        new = rebuilt.slots[view.name]
        view_state = fold.add(new.view, new.states)
        view_state.changed.update(new.states)
        view_state.parked.update(new.parked)


def refolded(
    view: View[Any],
    partition: str,
    reader: EventReader,
    until: int,
    *,
    accounts: AccountFilter,
    occurred_until: int | None,
) -> ViewState:
    """Return a view with only one partition, folded from the log's first record up to a log position.

    A view that broadcasts has SHARED as well: the partition cannot be folded without it.
    """
    by_account = is_by_account(view)
    broadcast = {by_class(cls).name for cls in view.broadcast}
    wanted = {partition, SHARED} if broadcast else {partition}

    def belongs(record: Record) -> bool:
        if occurred_until is not None and record.occurred_at > occurred_until:
            return False
        if record.type in broadcast:
            return accounts is None or record.account == SHARED or record.account in accounts
        return by_account or view.partition(record) in wanted

    fold = Fold([view])
    # A partition that is an account can be read by the accounts' index; any other needs every record.
    chosen = frozenset({check_name("partition", partition)}) if by_account else accounts
    for page in tail(reader, 0, until, chosen, view.broadcast):
        fold.apply([record for record in page if belongs(record)])
    return fold.slots[view.name]


def catch_up(
    fold: Fold,
    reader: EventReader,
    until: int,
    accounts: AccountFilter,
    progress: Progress | None = None,
    *,
    processes: int | None = 1,
) -> None:
    """Fold what the log has after a fold's position, up to another; an empty fold also in several processes."""
    fold_in_processes(fold, reader, until, processes, progress)
    for page in tail(reader, fold.log_position, until, accounts):
        fold.apply(page)
        if progress is not None:
            progress(fold.log_position, until)
