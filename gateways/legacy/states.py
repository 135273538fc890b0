"""Single states by id and type, as the HTTP interface of older state managers saves, reads and lists them.

Positions, pairs' states and `portfolio_main` are the parts of the trading state: a `StateManager` reads what is saved
here, and the reverse. A state of another type, such as a strategy's, has a stream of its own.
"""

from __future__ import annotations

import datetime
import heapq
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import Batch, InvalidEvent
from eventstore.errors import shown
from eventstore.streams import stream_of
from eventstore.trading import PortfolioSaved
from gateways.legacy import contents, documents, history, snapshots
from gateways.legacy.contents import PAIR_STATE, PORTFOLIO_ID, POSITION, SavedContents
from gateways.legacy.history import StateOperationType, StateType
from gateways.legacy.manager import PAIR_STATES, POSITIONS
from gateways.legacy.state_log import Origin, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore import EventStore, Record
    from gateways.legacy.contents import Current
    from gateways.legacy.state_log import StateLog
    from gateways.legacy.values import Codec, Plain

DELETED: Plain = {"deleted": True}
"""The data of a version that deleted a state, as older programs show it."""
SNAPSHOT_ID = "SNAPSHOT"
_KINDS = {StateType.POSITION: POSITION, StateType.PAIR_STATE: PAIR_STATE}


class StateVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a state, as older programs know it."""

    state_id: str
    state_type: str
    data: Any
    version_id: str
    timestamp: str
    user_id: str
    description: str
    operation: str


class States:
    """The states of one account's log. `EURUSD` and `position_EURUSD` name the same position."""

    def __init__(self, log: StateLog, codec: Codec) -> None:
        self._log, self._codec = log, codec

    def get(self, id_: str, type_: str, version_id: str | None = None) -> StateVersion | None:
        """Return a state as it is, or one of its versions; None where there is none, or it is deleted."""
        versions = self.versions(id_, type_)
        if version_id is not None:
            return next((each for each in versions if each.version_id == version_id), None)
        newest = next(versions, None)
        if newest is None or newest.operation == StateOperationType.DELETE:
            return None
        # A portfolio that was emptied is one that is not there.
        return None if id_ == PORTFOLIO_ID and newest.data == {} else newest

    def save(
        self, id_: str, type_: str, data: dict[str, Any], *, user: str | None = None, description: str = ""
    ) -> StateVersion:
        """Save a state, and return its newest version: the one before, where nothing has changed."""
        value = self._codec.encode(data, id_)
        self._put(id_, kind_of(type_), value, Origin(actor=user, note=description))
        saved = self.get(id_, type_)
        assert saved is not None, "what was saved is read"
        return saved

    def delete(self, id_: str, type_: str, *, user: str | None = None) -> bool:
        """Record that a state is no longer there; return whether it was."""
        if self.get(id_, type_) is None:
            return False
        self._put(id_, kind_of(type_), None, Origin(actor=user))
        return True

    def versions(self, id_: str, type_: str | None = None) -> Iterator[StateVersion]:
        """Yield the versions of a state, newest first; those of all types where none is named."""
        kinds = list(StateType) if type_ is None else [kind_of(type_)]
        streams = {stream for kind in kinds if (stream := self._stream(id_, kind)) is not None}
        if id_ == SNAPSHOT_ID:
            streams.add(contents.stream(self._log.account))
        self._log.current()
        with self._log.logs() as stores:
            for store in stores:
                pages = [history.newest_first([store], self._log.account, stream) for stream in sorted(streams)]
                for _, record in heapq.merge(*pages, key=lambda found: -found[1].position):
                    version = self.version(store, record)
                    if version is not None:
                        yield msgspec.structs.replace(version, state_id=id_)

    def snapshot(self, id_: str, *, user: str | None = None, description: str = "") -> None:
        """Mark the trading state as it is now."""
        snapshots.create(self._log, description, id_, user)

    def restore(self, id_: str, *, user: str | None = None) -> None:
        """Save the trading state as it was at a snapshot again."""
        snapshots.restore_here(self._log, id_, user)

    def version(self, store: EventStore, record: Record) -> StateVersion | None:
        """Return what a record says of a state; None for a part of one, and for a save of all."""
        members = history.version_of(store, record)
        if members is None:
            return None
        del members["data_size"]
        if members["state_id"] == SNAPSHOT_ID:
            data: Any = {"snapshot_id": members["version_id"], "description": members["description"]}
        elif members["operation"] == StateOperationType.DELETE:
            data = DELETED
        else:
            data = shown_value(self._codec.decode(msgspec.json.decode(documents.read_text(store, record.position))))
        return StateVersion(data=data, **members)

    def _stream(self, id_: str, kind: StateType) -> str | None:
        if kind in _KINDS:
            entity = contents.item_id(_KINDS[kind], id_.removeprefix(f"{_KINDS[kind]}_"))
            return stream_of("pair", self._log.account, entity)
        if kind is StateType.PORTFOLIO:
            return stream_of("portfolio", self._log.account, PORTFOLIO_ID) if id_ == PORTFOLIO_ID else None
        return stream_of("portfolio", self._log.account, f"{kind}{contents.KIND_END}{id_}") if _is_usable(id_) else None

    def _put(self, id_: str, kind: StateType, value: Plain | None, origin: Origin) -> None:
        """Save a value, None to delete it."""
        if kind in _KINDS:
            name = id_.removeprefix(f"{_KINDS[kind]}_")
            self._log.save(lambda current: self._with_item(current, kind, name, value), origin)
        elif kind is StateType.PORTFOLIO:
            if id_ != PORTFOLIO_ID:
                msg = f"the portfolio's state is {PORTFOLIO_ID}, not {shown(id_)}"
                raise InvalidEvent(msg)
            if value is not None and (taken := sorted({POSITIONS, PAIR_STATES} & value.keys())):
                msg = f"the portfolio has a member {taken[0]}, which is saved by itself: leave it out"
                raise InvalidEvent(msg)
            self._log.save(lambda current: self._with_item(current, kind, "", value), origin)
        else:
            self._put_other(id_, kind, documents.GONE if value is None else value, origin)

    def _with_item(self, current: Current, kind: StateType, name: str, value: Plain | None) -> Wanted:
        state, log = current.state or SavedContents(), self._log
        items = {POSITION: state.positions, PAIR_STATE: state.pair_states}
        named = {each: {item.name: log.value(item.position) for item in found} for each, found in items.items()}
        absent = set(state.absent)
        if kind is StateType.PORTFOLIO:
            return Wanted([*named[POSITION].items()], [*named[PAIR_STATE].items()], value or {}, tuple(sorted(absent)))
        changed = named[_KINDS[kind]]
        if value is None:
            changed.pop(name, None)
        else:
            changed[name] = value
            absent.discard(POSITIONS if kind is StateType.POSITION else PAIR_STATES)
        return Wanted([*named[POSITION].items()], [*named[PAIR_STATE].items()], None, tuple(sorted(absent)))

    def _put_other(self, id_: str, kind: StateType, value: Plain, origin: Origin) -> None:
        if not _is_usable(id_):
            msg = f"state_id {shown(id_)}: 1 to {contents.ID_BYTES_MAX} bytes of printable text without a ~"
            raise InvalidEvent(msg)
        name = f"{kind}{contents.KIND_END}{id_}"
        *parts, last = documents.states_of(documents.text_of(value), id_)
        named = [(contents.part_id(name, number), part) for number, part in enumerate(parts)]
        self._log.store.append_many(
            [
                Batch(
                    stream_of("portfolio", self._log.account, entity),
                    PortfolioSaved(state=state, portfolio=entity),
                    actor=origin.actor,
                    note=origin.note,
                )
                for entity, state in (*named, (name, last))
            ]
        )


def _is_usable(id_: str) -> bool:
    """Return whether an id can name a stream, beside those of a value's parts."""
    return bool(id_) and "~" not in id_ and id_.isprintable() and len(id_.encode()) <= contents.ID_BYTES_MAX


def kind_of(type_: str) -> StateType:
    """Return a type of states by its name; raise InvalidEvent for none."""
    try:
        return StateType(type_)
    except ValueError as e:
        msg = f"unknown state_type {shown(type_)}: the types are {', '.join(StateType)}"
        raise InvalidEvent(msg) from e


def shown_value(value: Any) -> Any:  # noqa: ANN401 - whatever a program saved
    """Return a value as JSON shows it: times as ISO 8601, sets as lists, frames as their columns, others as text."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {str(name): shown_value(item) for name, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [shown_value(item) for item in value]
        case datetime.date() | datetime.time():
            return value.isoformat()
        case _ if hasattr(value, "to_dict"):
            return shown_value(value.to_dict())
        case _:
            return str(value)
