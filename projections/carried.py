"""The states that a log begins with after a rotation: each view's, as JSON in events, exact to the last digit."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import CorruptJournal, EventStore, Unavailable
from eventstore.streams import stream_of
from eventstore.trading import LogContinued, StateCarried, VersionsCarried
from projections.cuts.search import Loaded
from projections.cuts.states import encoded, lineage_of
from projections.occurrences import settled
from projections.view import SHARED, View, is_by_account, is_for_all
from projections.view_states import state_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eventstore import EventReader
    from eventstore.chains.source import EarlierLogs
    from projections.view_states import ViewState

PART_CHARACTERS = 12_000
"""How much JSON one event has of a state: as text of an event it is at most four times as long in bytes."""
VERSIONS_AT_ONCE = 200
"""How many streams one event names: at most 150 bytes each."""
_LOG_ID_BYTES = 16


class CannotBeCarriedError(ValueError):
    """A state cannot be carried on, and why."""


def carried_events(view_state: ViewState, log_id: bytes, position: int) -> Iterator[tuple[str, StateCarried]]:
    """Yield what carries a view's states as of a log position, each event with its stream; raise ValueError.

    A view without states has one event that says so.
    """
    view, previous = view_state.view, uuid.UUID(bytes=log_id)
    schema = _schema_of(view)
    states = {partition: _json(view, state_of(view_state, partition)) for partition in sorted(view_state.states)}
    for partition, text in (states or {SHARED: ""}).items():
        stream = stream_of("carried", partition, view.name)
        starts = range(0, max(len(text), 1), PART_CHARACTERS)
        for part, start in enumerate(starts, 1):
            yield (
                stream,
                StateCarried(
                    previous=previous,
                    position=position,
                    view=view.name,
                    revision=view.revision,
                    schema=schema,
                    part=part,
                    parts=len(starts),
                    state=text[start : start + PART_CHARACTERS],
                ),
            )


def carried_versions(book_states: ViewState, source: EarlierLogs) -> Iterator[tuple[str, VersionsCarried]]:
    """Yield what carries on the versions of the orders' streams that a view's states hold."""
    previous = uuid.UUID(bytes=source.log_id)
    streams = [
        stream_of("order", account, name)
        for account in sorted(book_states.states)
        for state in [state_of(book_states, account)]
        for name in dict.fromkeys((*state.open, *state.closed, *state.unknown, *state.doubtful, *state.late))
    ]
    for start in range(0, len(streams), VERSIONS_AT_ONCE):
        # Asked for together: others who append to a log in PostgreSQL may be waiting for it.
        versions = source.versions(streams[start : start + VERSIONS_AT_ONCE])
        yield stream_of("carried", SHARED, "versions"), VersionsCarried(previous=previous, versions=versions)


def _json(view: View[Any], state: Any) -> str:  # noqa: ANN401 - each view has a state of its own
    """Return a state as JSON that gives the same state back; raise ValueError where none does."""
    kind = type(view.initial())
    stored = encoded(state)
    # Decoded as a whole first: what is decoded on demand is not JSON.
    try:
        text = msgspec.json.encode(msgspec.msgpack.decode(stored, type=kind))
        is_same = encoded(msgspec.json.decode(text, type=kind)) == stored
    except (msgspec.MsgspecError, TypeError, ValueError) as e:
        msg = f"it is not JSON: {e}"
        raise CannotBeCarriedError(msg) from e
    if not is_same:
        msg = "its JSON does not give it back"
        raise CannotBeCarriedError(msg)
    return text.decode()


def _schema_of(view: View[Any]) -> str:
    return lineage_of(view, bytes(_LOG_ID_BYTES))[_LOG_ID_BYTES:].hex()


def carried_states(
    views: Iterable[View[Any]],
    reader: EventReader,
    *,
    until: int,
    accounts: frozenset[str] | None,
    occurred_until: int | None = None,
) -> dict[str, Loaded]:
    """Return the states that a log begins with, by view, of those that this program reads; none of any other log.

    A view that is not among them is folded from the first record of the logs before.
    """
    chain = reader.chain if isinstance(reader, EventStore) else None
    if chain is None:
        _check_begins_by_itself(reader)
        return {}
    if until < chain.offset:
        return {}
    if occurred_until is not None and settled(reader, occurred_until, chain.offset) < chain.offset:
        return {}
    # A partition of several accounts has more than a book of some accounts would fold.
    wanted = {view.name: view for view in views if accounts is None or is_by_account(view) or view.shared}
    found: dict[str, Loaded] = {}
    for carried in chain.carried():
        event, partition = carried.event, carried.partition
        view = wanted.get(event.view)
        if view is None or (event.revision, event.schema) != (view.revision, _schema_of(view)):
            continue
        loaded = found.setdefault(view.name, Loaded(chain.offset, {}))
        if carried.state and (accounts is None or partition in accounts or is_for_all(partition)):
            loaded.states[partition] = _decoded(view, carried.state, partition)
    return found


def _decoded(view: View[Any], state: bytes, partition: str) -> Any:  # noqa: ANN401 - each view has a state of its own
    try:
        return msgspec.json.decode(state, type=type(view.initial()))
    except msgspec.MsgspecError as e:
        # Its digest is right, and its program wrote it so that it is read: what is wrong is not to be guessed.
        raise CorruptJournal(0, f"the state of {view.name} for {partition}, which the log begins with: {e}") from e


def _check_begins_by_itself(reader: EventReader) -> None:
    """Raise Unavailable for a source of one log alone that continues another: it would seem to begin with nothing."""
    if isinstance(reader, EventStore) and reader.directory is not None:
        return
    first = next(reader.read(limit=1, until=1), None)
    event = first.event if first is not None and first.type == LogContinued.__name__ else None
    if isinstance(event, LogContinued) and event.carried is not None:
        msg = f"log {reader.log} continues log {event.name}, and is read here without it: open it in its directory"
        raise Unavailable(msg)
