"""What was saved of a state, newest first: `get_state_history`."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

from eventstore import InvalidEvent, Record
from eventstore.errors import shown
from eventstore.streams import unescaped
from eventstore.trading import PairStateSaved, PortfolioSaved
from gateways.legacy import contents, documents
from gateways.legacy.summaries import iso

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore import EventStore
    from gateways.legacy.state_log import StateLog

_WINDOW, _WINDOW_MAX = 1_000, 1_000_000


class StateType(enum.StrEnum):
    """What a version is of, as older managers name it; only the first three are saved here."""

    POSITION = "position"
    PAIR_STATE = "pair_state"
    PORTFOLIO = "portfolio"
    STRATEGY = "strategy"
    CONFIGURATION = "configuration"
    MARKET_DATA = "market_data"


class StateOperationType(enum.StrEnum):
    """What a version did, as older managers name it."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    SNAPSHOT = "snapshot"
    RESTORE = "restore"


def versions(log: StateLog, state_type: str | None, limit: int) -> list[dict[str, Any]]:
    """Return the newest versions, of one type or of all, without their data."""
    if state_type is not None and state_type not in {each.value for each in StateType}:
        msg = f"unknown state_type {shown(state_type)}: the types are {', '.join(StateType)}"
        raise InvalidEvent(msg)
    if type(limit) is not int or limit < 0:
        msg = f"limit is how many versions to return, 0 or more, not {shown(limit)}"
        raise InvalidEvent(msg)
    found: list[dict[str, Any]] = []
    log.current()
    with log.logs() as stores:
        for store, record in newest_first(stores, log.account):
            if len(found) >= limit:
                break
            version = version_of(store, record)
            if version is not None and state_type in {None, version["state_type"]}:
                found.append(version)
    return found


def newest_first(
    stores: list[EventStore], account: str, stream: str | None = None
) -> Iterator[tuple[EventStore, Record]]:
    """Yield the records of saves backwards, by windows that grow: a long log is not read through for its end."""
    types = (PairStateSaved, PortfolioSaved)
    for store in stores:
        until, size = store.head(), _WINDOW
        while until > 0:
            after = max(until - size, 0)
            page = list(store.read(after=after, until=until, account=account, types=types, stream=stream))
            yield from ((store, record) for record in reversed(page))
            until, size = after, min(size * 2, _WINDOW_MAX)


def version_of(store: EventStore, record: Record) -> dict[str, Any] | None:
    """Return what a record says of a version; None for a part of a value, for a save itself, and for others' states."""
    id_, state = unescaped(record.entity), documents.state_of(record)
    kind = documents.kind_of(state)
    if kind == documents.PART or _is_part(id_):
        return None
    if record.stream == contents.stream(record.account):
        saved = contents.read(store, record).contents
        if saved is None or (saved.snapshot is None and saved.restored is None):
            return None
        name = saved.snapshot or saved.restored
        operation = StateOperationType.SNAPSHOT if saved.snapshot else StateOperationType.RESTORE
        return _members(record, "SNAPSHOT", StateType.PORTFOLIO, operation) | {"version_id": name}
    type_ = _type_of(record, id_)
    if type_ is None:
        return None
    if record.category == "portfolio" and type_ is not StateType.PORTFOLIO:
        id_ = id_.partition(contents.KIND_END)[2]
    if kind == documents.DELETED:
        return _members(record, id_, type_, StateOperationType.DELETE)
    operation = StateOperationType.CREATE if record.version == 1 else StateOperationType.UPDATE
    return _members(record, id_, type_, operation)


def _is_part(id_: str) -> bool:
    head, mark, number = id_.rpartition("~")
    return bool(mark) and number.isdigit() and bool(head) and len(number) < len("0" * 32)


def _type_of(record: Record, id_: str) -> StateType | None:
    if record.category == "portfolio":
        if id_ == contents.PORTFOLIO_ID:
            return StateType.PORTFOLIO
        kind, end, _ = id_.partition(contents.KIND_END)
        return StateType(kind) if end and kind in contents.OTHER_KINDS else None
    if id_.startswith(f"{contents.POSITION}_"):
        return StateType.POSITION
    return StateType.PAIR_STATE if id_.startswith(f"{contents.PAIR_STATE}_") else None


def _members(record: Record, id_: str, type_: StateType, operation: StateOperationType) -> dict[str, Any]:
    at = iso(record.occurred_at)
    return {
        "version_id": f"{id_}_{operation}_{at}",
        "state_id": id_,
        "state_type": str(type_),
        "operation": str(operation),
        "timestamp": at,
        "user_id": record.actor,
        "description": record.note,
        "data_size": len(record.data),
    }
