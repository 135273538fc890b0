"""One view's part of a fold: its states by partition, what waits for them, and how a partition is folded."""

from __future__ import annotations

import contextlib
import decimal
import functools
import operator
from typing import TYPE_CHECKING, Any, NamedTuple

from eventstore import InvalidEvent, UnknownEvent
from eventstore.events.registry import by_name
from projections.cuts.states import Undecoded
from projections.cuts.troubles import DamagedError
from projections.decimals import FIXED
from projections.garbage import gc_disabled
from projections.view import SHARED, PartitionParked, View

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventstore import Event, Record

    Pair = tuple[Any, Record]


class ViewState(NamedTuple):
    """One view's part of a fold: its states by partition, those changed since the last cut, those it failed on.

    A state from a cut is Undecoded in `states` until it is needed: `state_of` decodes it.
    `waiting` holds each partition's events while a page is folded: a view folds one partition after the other.
    `change_counts` has how often records changed each partition: a figure derived from its state is valid as long as
    its count stays. `saved` has the digest of each partition's state that is in the snapshots' file. `is_beside` says
    whether the view broadcasts, so that its partitions are folded beside SHARED; `finish` and `apply_page` are None
    where the view has none.
    """

    view: View[Any]
    states: dict[str, Any]
    changed: set[str]
    parked: dict[str, PartitionParked]
    waiting: dict[str, list[Pair]]
    change_counts: dict[str, int]
    saved: dict[str, bytes]
    is_beside: bool
    finish: Callable[[Any], None] | None
    apply_page: Callable[[Any, Iterator[Pair], Callable[[Any, Record], None]], None] | None


class Unusual(NamedTuple):
    """Stands for an event that is not simply applied.

    It could not be decoded, and parks the views that want it; or it belongs to SHARED and is applied to another
    partition as well, if it still concerns that one when its turn comes. A view that takes every type gets `broadcast`
    in place of an event of a schema that is not read here.
    """

    error: Exception | None
    broadcast: Any = None


def state_of(view_state: ViewState, partition: str) -> Any:  # noqa: ANN401 - each view has a state of its own
    """Return a partition's state, decoded; None where there is none. Raise PartitionParked where it cannot be.

    What is postponed is folded into it first: the caller keeps others from folding then.
    """
    found = view_state.states.get(partition)
    if found.__class__ is not Undecoded:
        return found
    if found.postponed:
        return _fold_postponed(view_state, partition, found)
    return found.put(view_state.states, view_state.parked, view_state.view.name, partition)


def of_other_schema(record: Record) -> Any:  # noqa: ANN401 - an event, or what stands for one
    """Return a record's event; where its class here reads no such schema, what parks the views that want it."""
    event, kind = record.event, by_name(record.type)
    if kind is None or type(event) is not UnknownEvent:
        return event
    who = "a newer version of eventstore wrote it: update" if record.schema > kind.schema else "give it an upcaster"
    why = f"{record.type} of schema {record.schema} is not read here, where its schema is {kind.schema}: {who}"
    return Unusual(InvalidEvent(why), event)


UNDECODED = object()
"""Stands for the event of a record that is postponed: `event_of` decodes it."""


def event_of(record: Record) -> Any:  # noqa: ANN401 - an event, or what stands for one
    """Return a record's event, as the fold takes it."""
    kind = by_name(record.type)
    try:
        is_usual = kind is not None and record.schema == kind.schema
        return kind.decoder.decode(record.data) if is_usual and kind is not None else of_other_schema(record)
    except Exception as error:  # noqa: BLE001 - an upcaster is its user's code: it stops what needs its event
        return Unusual(error)


def is_undecodable(parked: PartitionParked) -> bool:
    """Return whether a partition is parked because a state of a cut, or a part of it, cannot be decoded."""
    error = parked.error
    return isinstance(error, DamagedError) or (isinstance(error, PartitionParked) and is_undecodable(error))


def fold_partition(view_state: ViewState) -> None:
    """Fold what waits for one partition of a view, SHARED first; a failure parks that partition and no other."""
    # Unpacked at once: with many accounts in a page, a look-up for each of them was a tenth of a call.
    view, states, changed, parked, waiting, change_counts, _, is_beside, finish, apply_page = view_state
    partition = SHARED if is_beside and SHARED in waiting else next(iter(waiting))
    if partition in parked or (is_beside and is_parked(view_state, partition)):
        change_counts[partition] = change_counts.get(partition, 0) + 1
        del waiting[partition]
        return
    pairs = waiting[partition]
    changed.add(partition)
    left = iter(pairs)
    try:
        state = states.get(partition)
        if state is None:
            state = states[partition] = view.initial()
        elif state.__class__ is Undecoded:
            state = state_of(view_state, partition)
        apply = _beside(view_state, partition, state) if is_beside else view.apply
        if apply_page is not None:
            apply_page(state, left, functools.partial(_apply_any, view_state, state, apply))
        else:
            _apply_each(view_state, state, left, apply)
        if finish is not None:
            finish(state)
        # After the fold, never before it: a reader that took the count earlier derived from the old state, or from
        # a part of the new one, and must find that the count has changed since.
        change_counts[partition] = change_counts.get(partition, 0) + 1
        # Within `try`: interrupted before this line, the partition parks instead of folding these records twice.
        del waiting[partition]
    except BaseException as error:
        # An interruption (Ctrl-C) parks too: how much of this record the state already has is unknown.
        record = pairs[max(len(pairs) - operator.length_hint(left) - 1, 0)][1]
        # What could not be decoded has parked it already.
        parked.setdefault(partition, PartitionParked(view.name, partition, record.position, error))
        change_counts[partition] = change_counts.get(partition, 0) + 1
        waiting.pop(partition, None)
        if not isinstance(error, Exception):
            raise


def postpone_partition(view_state: ViewState) -> None:
    """Note what waits for one partition of a view, to be folded when the partition is asked for."""
    partition = next(iter(view_state.waiting))
    if partition not in view_state.parked:
        state = view_state.states.get(partition)
        if state.__class__ is not Undecoded:
            state = Undecoded.holding(view_state.view.initial() if state is None else state)
            view_state.states[partition] = state
        view_state.changed.add(partition)
        # Records alone: with each its event, the collector would go through several hundred thousand objects more.
        state.postponed.extend([record for _, record in view_state.waiting[partition]])
    view_state.change_counts[partition] = view_state.change_counts.get(partition, 0) + 1
    del view_state.waiting[partition]


def fold_all_postponed(view_state: ViewState) -> None:
    """Fold all that is postponed; what fails parks its partition."""
    for partition, state in list(view_state.states.items()):
        if state.__class__ is Undecoded and state.postponed:
            with contextlib.suppress(PartitionParked):
                state_of(view_state, partition)


@gc_disabled()
def _fold_postponed(view_state: ViewState, partition: str, waiting: Undecoded) -> Any:  # noqa: ANN401 - each view has a state of its own
    """Fold what is postponed into a state and only then publish it: readers hold no lock. Raise PartitionParked."""
    view, parked, records = view_state.view, view_state.parked, waiting.postponed
    state = waiting.decoded(parked, view.name, partition)
    left = iter(pairs := [(event_of(record), record) for record in records])
    try:
        if not is_parked(view_state, partition):
            apply = _beside(view_state, partition, state) if view_state.is_beside else view.apply
            with decimal.localcontext(FIXED):
                if view_state.apply_page is not None:
                    view_state.apply_page(state, left, functools.partial(_apply_any, view_state, state, apply))
                else:
                    _apply_each(view_state, state, left, apply)
                if view_state.finish is not None:
                    view_state.finish(state)
    except BaseException as error:
        record = pairs[max(len(pairs) - operator.length_hint(left) - 1, 0)][1]
        parked.setdefault(partition, PartitionParked(view.name, partition, record.position, error))
        if not isinstance(error, Exception):
            raise
    finally:
        view_state.states[partition] = state
    if partition in parked:
        raise parked[partition]
    return state


def fold_observed(view_state: ViewState, partition: str, event: Event, record: Record) -> None:
    """Fold one event at once; a failure parks that partition and no other."""
    # Not counted as a change: the counts are of stored records, and no figure of quotes or timers is cached by them.
    view_state.changed.add(partition)
    try:
        state = state_of(view_state, partition)
        if state is None:
            state = view_state.states[partition] = view_state.view.initial()
        apply = _beside(view_state, partition, state) if view_state.is_beside else view_state.view.apply
        apply(state, event, record)
        if view_state.finish is not None:
            view_state.finish(state)
    except BaseException as error:
        parked = PartitionParked(view_state.view.name, partition, record.position, error)
        view_state.parked.setdefault(partition, parked)
        if not isinstance(error, Exception):
            raise


def broadcast(view_state: ViewState, pair: Pair) -> str:
    """Queue a record of SHARED for all other partitions that it may concern; return SHARED."""
    event, record = pair
    waiting, parked = view_state.waiting, view_state.parked
    unusual = (event if event.__class__ is Unusual else Unusual(None, event), record)
    # What precedes it in the page is not folded yet, so whether it concerns these is asked when its turn comes.
    for partition, pairs in waiting.items():
        if partition != SHARED:
            pairs.append(unusual)
    # Not `waiting` itself: it grows meanwhile.
    idle = view_state.states.keys() - waiting.keys() - parked.keys() - {SHARED}
    for partition in idle:
        if _may_concern(view_state, partition, event):
            waiting[partition].append(unusual)
    return SHARED


def own_partition(view_state: ViewState, pair: Pair) -> str | None:
    """Return the partition of a record in a view of its own partitions; None, and parked, where that fails."""
    _, record = pair
    try:
        return view_state.view.partition(record)
    except Exception as error:  # noqa: BLE001 - as for any failure of a view: it stops no other
        parked = PartitionParked(view_state.view.name, record.account, record.position, error)
        view_state.parked.setdefault(record.account, parked)
        return None


def is_parked(view_state: ViewState, partition: str) -> bool:
    """Return whether a partition is parked; it is parked too where it is folded beside SHARED, and SHARED is parked."""
    parked = view_state.parked
    if partition in parked:
        return True
    if not view_state.is_beside or SHARED not in parked:
        return False
    # Without what SHARED lacks it would be folded wrongly, and nothing would tell.
    shared = parked[SHARED]
    parked[partition] = PartitionParked(view_state.view.name, partition, shared.position, shared.error)
    return True


def _beside(view_state: ViewState, partition: str, state: Any) -> Callable[[Any, Any, Record], None]:  # noqa: ANN401 - each view has a state of its own
    """Return what applies an event to a partition's state, beside that of SHARED."""
    shared_state = state if partition == SHARED else state_of(view_state, SHARED)
    if shared_state is None:
        shared_state = view_state.view.initial()
    return functools.partial(view_state.view.apply_beside, shared_state)


def _apply_each(view_state: ViewState, state: Any, pairs: Iterator[Pair], apply: Any) -> None:  # noqa: ANN401 - each view has a state of its own
    for event, record in pairs:
        if event.__class__ is Unusual:
            _apply_unusual(view_state, state, event, record, apply)
        else:
            apply(state, event, record)


def _apply_any(view_state: ViewState, state: Any, apply: Any, event: Any, record: Record) -> None:  # noqa: ANN401 - each view has a state of its own
    if event.__class__ is Unusual:
        _apply_unusual(view_state, state, event, record, apply)
    else:
        apply(state, event, record)


def _apply_unusual(view_state: ViewState, state: Any, unusual: Unusual, record: Record, apply: Any) -> None:  # noqa: ANN401 - each view has a state of its own
    """Apply what is broadcast, if it concerns the state; raise the error of what could not be decoded."""
    if unusual.error is not None:
        view, kind = view_state.view, by_name(record.type)
        if view.volatile or (kind is not None and kind.cls in view.of_accounts):
            # The views that are a fold of it park; what belongs to all accounts must not be lost with them.
            return
        if view_state.view.types is not None or unusual.broadcast is None:
            raise unusual.error
        apply(state, unusual.broadcast, record)
    elif view_state.view.concerns(state, unusual.broadcast):
        apply(state, unusual.broadcast, record)


def _may_concern(view_state: ViewState, partition: str, event: Any) -> bool:  # noqa: ANN401 - an event, or what stands for one
    if event.__class__ is Unusual:
        return True
    try:
        return view_state.view.concerns(state_of(view_state, partition), event)
    except Exception:  # noqa: BLE001 - it is asked again where the partition is folded, which parks it
        return True
