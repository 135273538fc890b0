"""Contract definitions for the log: each symbol is defined once, and its point value never changes."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from msgspec.structs import replace

from eventstore.batch import Batch
from eventstore.errors import InvalidEvent, VersionConflict
from eventstore.record_errors import DuplicateEvent
from eventstore.streams import stream_of
from eventstore.trading import ContractDefined
from gateways.importers.contract_names import KnownContract

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventstore.events import Event
    from eventstore.reader import EventReader
    from eventstore.record import Record
    from eventstore.store import EventStore

ATTEMPTS_MAX = 10


def define(
    store: EventStore, contracts: Mapping[str, ContractDefined], occurred_at: int, note: str
) -> dict[str, Record]:
    """Append the definitions that the log lacks; return the record in force for each symbol.

    A definition that the log has stays in force, with the names that this file adds to it. Raises InvalidEvent, with
    nothing written, if the file gives it another point value or currency: figures in money would change with it. What
    others define meanwhile is looked at again, a few times; then VersionConflict or DuplicateEvent is raised.
    """
    left = ATTEMPTS_MAX
    while True:
        left -= 1
        try:
            return _defined(store, contracts, occurred_at, note)
        except (VersionConflict, DuplicateEvent):
            if left == 0:
                raise


def _defined(
    store: EventStore, contracts: Mapping[str, ContractDefined], occurred_at: int, note: str
) -> dict[str, Record]:
    missing: dict[str, Batch] = {}
    in_force: dict[str, Record] = {}
    for symbol, contract in contracts.items():
        stream = stream_of("contract", "-", symbol)
        # Before the definitions: one that comes between the two is a conflict, and not believed to be missing.
        version = store.version(stream)
        known = deque(store.read(stream=stream, types=ContractDefined), maxlen=1)
        in_force.update((symbol, record) for record in known)
        definition = _merged(known[0].event, contract) if known else contract
        if definition is not None:
            key = f"definition {version + 1}"
            missing[symbol] = Batch(stream, definition, version, key, occurred_at, note=note)
    in_force.update(zip(missing, store.append_many(list(missing.values())), strict=True))
    return in_force


def known_contracts(store: EventReader) -> list[KnownContract]:
    """Return the log's definitions, the newest of each symbol."""
    known: dict[str, KnownContract] = {}
    for record in store.read(stream="contract/", types=ContractDefined):
        event = record.event
        if isinstance(event, ContractDefined):
            known[event.symbol] = KnownContract(event, record.occurred_at)
    return list(known.values())


def _merged(known: Event, contract: ContractDefined) -> ContractDefined | None:
    """Return the log's definition with the names that are new; None if there are none."""
    if not isinstance(known, ContractDefined):
        return contract
    ours, theirs = (contract.point_value, contract.currency), (known.point_value, known.currency)
    if ours != theirs:
        msg = (
            f"{known.symbol} is worth {theirs[0]} {theirs[1]} a point in this log, but {ours[0]} {ours[1]} in this "
            "import: pass --contracts with the log's figures, or append a new ContractDefined first"
        )
        raise InvalidEvent(msg)
    names = {*known.broker_ids, *contract.broker_ids}
    return None if names == set(known.broker_ids) else replace(known, broker_ids=tuple(sorted(names)))
