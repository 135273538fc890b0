"""The log itself: its identity and limits, its head and growth, and its tree. Client libraries build on these."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated, Any

from litestar import Response, get
from litestar.params import QueryParameter
from msgspec.structs import replace

from eventstore.arguments import filter_of
from eventstore.clock import format_time
from eventstore.errors import InvalidEvent, Unavailable, shown
from eventstore.events import MIRRORED
from eventstore.extras import version
from eventstore.ids import as_id
from eventstore.journal import ColumnSource
from eventstore.proofs.merkle import STORED_LEVEL
from eventstore.reader import COLUMNS_PAGE
from eventstore.record import Record
from eventstore.remote.identity import MSGPACK
from eventstore.remote.packing import CHUNK, IDS_MAX, NODES_MAX, packed_page, packed_pages
from eventstore.remote.served import (
    ServedHead,
    ServedIntegrity,
    ServedLog,
    ServedNodes,
    ServedNumber,
    ServedTree,
    ServedTypes,
    served_integrity,
    served_nodes,
    served_tree,
)
from eventstore.remote.wire import SentRecords, sent_record
from eventstore.streams import account_of
from gateways.http.access import NotAllowed, Scope
from gateways.http.answering import NotFound, RequestRefused
from gateways.http.routes.documented import responses
from gateways.http.routes.parameters import After, Calling, FromQuery, Serving
from gateways.http.visibility import reader_for, sees_stream, source_for

if TYPE_CHECKING:
    import msgspec

    from eventstore.journal import Query, Source
    from gateways.http.access import Caller
    from gateways.http.service import Service

Seconds = Annotated[float, QueryParameter(ge=0, le=30, description="Wait for so many seconds at most.")]
Until = Annotated[int | None, QueryParameter(ge=0, description="Only records up to this log position.")]
ColumnLimit = Annotated[int, QueryParameter(ge=1, le=COLUMNS_PAGE, description="At most so many records.")]
Level = Annotated[int, QueryParameter(ge=STORED_LEVEL, le=63, description="The level of the nodes.")]
NUMBER_MAX = (1 << 63) - 1
Number = Annotated[int, QueryParameter(ge=0, le=NUMBER_MAX, description="A log position, or the number of a node.")]
Nanoseconds = Annotated[int, QueryParameter(ge=0, le=NUMBER_MAX, description="An instant, in UNIX ns.")]
Members = Annotated[str, QueryParameter(description="Names of members of records, with commas between them.")]


@get("/v1/log", opt={"scope": None}, responses=responses(), tags=["log"])
async def log(service: Serving, caller: Calling) -> ServedLog:
    """Say which log this is, what is taken at once, and by which name the key is known; for every valid key."""
    store = service.store
    journal = store.sync_store.journal
    if store.sync_store.chain is not None:
        msg = (
            f"log {store.log} continues another one, and eventstore.connect reads one log by its own positions: use "
            "the other routes, or open the log in its directory"
        )
        raise InvalidEvent(msg)
    head = await store.head()
    times: list[str] = []
    if head and caller.may(Scope.READ) and caller.accounts is None:
        for after in (0, head - 1):
            times += [format_time(record.recorded_at) async for record in store.read(after=after, limit=1)]
    missing_tail, trouble = await store.long(lambda: (journal.missing_tail(), journal.trouble))
    return ServedLog(
        log=store.log,
        log_id=store.log_id.hex(),
        head=head,
        actor=caller.name,
        version=version(),
        body_bytes_max=service.settings.body_bytes_max,
        page_max=service.settings.page_max,
        is_mirrored=_is_mirrored(service),
        is_replicated=store.sync_store.is_replicated,
        unproved=journal.unproved,
        trouble=trouble,
        missing_tail=missing_tail,
        first_recorded_at=times[0] if times else None,
        last_recorded_at=times[-1] if times else None,
    )


@get("/v1/head", opt={"scope": Scope.READ}, responses=responses(), tags=["log"])
async def head(
    service: Serving,
    past: Annotated[int | None, QueryParameter(ge=0, description="Wait until the head is past it.")] = None,
    timeout: Seconds = 0.0,  # noqa: ASYNC109 - the client's
) -> ServedHead:
    """Return the last position; with `past` and `timeout`, as soon as it is past that one, or time is over."""
    if past is not None:
        await service.store.wait(past, timeout)
    return ServedHead(await service.store.head())


@get("/v1/version", opt={"scope": Scope.READ}, responses=responses(), tags=["log"])
async def stream_version(service: Serving, caller: Calling, stream: FromQuery[str]) -> ServedNumber:
    """Return how many records a stream has: what `expected` is compared with."""
    account_of(stream)
    if not sees_stream(caller, stream):
        msg = f"key {caller.name!r} may not see this stream"
        raise NotAllowed(msg)
    reader = reader_for(caller, service.store.sync_store)
    return ServedNumber(await service.store.threads.page(lambda: reader.version(stream)))


@get("/v1/position", opt={"scope": Scope.READ}, responses=responses(), tags=["log"])
async def position_at(service: Serving, recorded_at: Nanoseconds) -> ServedNumber:
    """Return the last position that was recorded at or before an instant, given as int UNIX ns."""
    source = service.store.sync_store.source
    return ServedNumber(await service.store.threads.page(lambda: source.position_at(recorded_at)))


@get("/v1/types", opt={"scope": Scope.READ}, responses=responses(), tags=["log"])
async def types(service: Serving, caller: Calling) -> ServedTypes:
    """Return each type and schema that the log has events of, with its durability and measures."""
    caller.require_all_accounts(Scope.READ)
    return ServedTypes(list(await service.store.threads.page(service.store.sync_store.journal.types)))


@get("/v1/find", opt={"scope": Scope.READ}, responses=responses(), tags=["log"])
async def find(
    service: Serving,
    caller: Calling,
    id: Annotated[list[str], QueryParameter(max_items=IDS_MAX, description="Ids of events: UUIDs, or in hex.")],
) -> SentRecords:
    """Return the records that have these ids, of the accounts that the key is for."""
    ids = [_id_of(text) for text in id]
    found = await service.store.threads.page(lambda: service.store.sync_store.source.find(ids))
    records = sorted(found.values(), key=lambda record: record.position)
    return SentRecords(
        records=[sent_record(record) for record in records if sees_stream(caller, record.stream)],
        head=await service.store.head(),
    )


@get("/v1/columns", opt={"scope": Scope.READ, "shared": True}, responses=responses(), media_type=MSGPACK, tags=["log"])
async def columns(
    service: Serving,
    caller: Calling,
    members: Members,
    after: After = 0,
    until: Until = None,
    limit: ColumnLimit = CHUNK,
    stream: FromQuery[str | None] = None,
    account: FromQuery[str | None] = None,
    types: FromQuery[str | None] = None,
) -> Response[bytes]:
    """Return members of records as columns, in pages, as MessagePack: for client libraries, and for reading much.

    `members` and `types` are names with commas between them. No `types` at all: of every type.
    """
    if account is None:
        caller.require_all_accounts(Scope.READ)
    names = tuple(name for name in members.split(",") if name)
    if unknown := [name for name in names if name not in Record.__struct_fields__ or name == "log"]:
        msg = f"records have no members {shown(unknown)}"
        raise InvalidEvent(msg)
    asked = filter_of(stream, account, None if types is None else [name for name in types.split(",") if name])
    query = replace(asked, after=after, until=until, limit=limit)
    return Response(packed_pages(await _pages(service, caller, query, names)), media_type=MSGPACK)


async def _pages(service: Service, caller: Caller, query: Query, names: tuple[str, ...]) -> list[msgspec.Raw]:
    """Read in chunks that keep the loop waiting for a fraction of a millisecond each."""
    source, pages, left = source_for(caller, service.store.sync_store), [], query.limit
    members = ("position", *names)
    while left > 0:
        chunk = replace(query, limit=min(left, CHUNK))
        found = await service.store.threads.page(functools.partial(_columns, source, chunk, members))
        positions = found[0]
        if positions:
            pages.append(packed_page(found[1:]))
            query = replace(query, after=positions[-1])
        if len(positions) < chunk.limit:
            break
        left -= chunk.limit
    return pages


def _columns(source: Source, query: Query, members: tuple[str, ...]) -> list[list[Any]]:
    if isinstance(source, ColumnSource):
        return source.columns(query, members)
    records = source.read(query)
    return [[getattr(record, name) for record in records] for name in members]


@get("/v1/tree", opt={"scope": Scope.AUDIT}, responses=responses(), tags=["log"])
async def tree(service: Serving) -> ServedTree:
    """Return the log's Merkle tree as of the head: its size and the roots of its complete subtrees."""
    return served_tree(await service.store.threads.page(service.store.sync_store.journal.frontier))


@get("/v1/tree/nodes", opt={"scope": Scope.AUDIT}, responses=responses(), tags=["log"])
async def nodes(service: Serving, first: Number, last: Number, level: Level = STORED_LEVEL) -> ServedNodes:
    """Return the stored nodes of a level whose number is from `first` to `last`."""
    if last - first >= NODES_MAX:
        msg = f"first and last are at most {NODES_MAX:,} nodes apart: ask for fewer at once"
        raise InvalidEvent(msg)
    journal = service.store.sync_store.journal
    return served_nodes(await service.store.threads.page(lambda: journal.nodes(first, last, level=level)))


@get("/v1/integrity", opt={"scope": Scope.AUDIT}, responses=responses(), tags=["log"])
async def integrity(service: Serving, caller: Calling, timeout: Seconds = 0.0) -> ServedIntegrity:  # noqa: ASYNC109 - the client's
    """Check the storage; `is_done` is false while that still runs. One check runs at a time, for all who ask."""
    caller.require_all_accounts(Scope.AUDIT)
    return served_integrity(await service.integrity.found(timeout))


@get("/v1/mirrored", opt={"scope": Scope.APPEND}, responses=responses(404, 409, 504), tags=["log"])
async def mirrored(service: Serving, position: Number) -> ServedNumber:
    """Answer once InfluxDB has the records up to a position."""
    if not _is_mirrored(service):
        msg = "the service ships its log to no InfluxDB"
        # Asking again does not help, as it would after 503; clients raise Unavailable all the same.
        raise RequestRefused(409, Unavailable.__name__, msg, "Append with another durability.")
    records = [record async for record in service.store.read(after=position - 1, limit=1)] if position else []
    if not records:
        msg = f"the log has no position {position}"
        raise NotFound(msg)
    await service.store.confirmed(records, MIRRORED)
    return ServedNumber(position)


def _is_mirrored(service: Service) -> bool:
    store = service.store.sync_store
    return store.side is not None and store.mirror.exists


def _id_of(text: str) -> bytes:
    try:
        found = as_id(bytes.fromhex(text.replace("-", "")))
    except ValueError as e:
        msg = f"{shown(text)} is not a UUID"
        raise InvalidEvent(msg) from e
    assert found is not None
    return found


ROUTES = (log, head, stream_version, position_at, types, find, columns, tree, nodes, integrity, mirrored)
