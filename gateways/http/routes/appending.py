"""Appending: to one stream, to several in one atomic batch, and as many groups, each with its own outcome."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Response, post

from eventstore import StoreError
from eventstore.remote.identity import MSGPACK
from eventstore.remote.packing import PackedOutcome, packed, packed_outcome
from eventstore.remote.wire import SentAppend, SentGroup, SentGroups, SentRecord, sent_record
from gateways.http.access import NotAllowed, Scope
from gateways.http.answering import RequestRefused, document_of, request_id_of
from gateways.http.appends import Appended, append_to_stream
from gateways.http.bodies import BodyRequest
from gateways.http.rates import TooManyRequests
from gateways.http.routes.documented import responses
from gateways.http.routes.parameters import Calling, FromPath, JSONBody, Serving

if TYPE_CHECKING:
    from eventstore import Record
    from gateways.http.access import Caller
    from gateways.http.service import Service


_OUTCOMES = (StoreError, RequestRefused, NotAllowed, TooManyRequests)
"""What keeps out one group of several; the others do not notice."""


class GroupOutcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a group: its records, or the problem that kept all of it out."""

    records: list[SentRecord] | None = None
    problem: dict[str, Any] | None = None


class GroupOutcomes(msgspec.Struct, frozen=True):
    """What became of each group, in order."""

    outcomes: list[GroupOutcome]


@post(
    "/v1/streams/{category:str}/{account:str}/{entity:str}",
    opt={"scope": Scope.APPEND},
    status_code=200,
    responses=responses(409, 507),
    tags=["append"],
)
async def append(
    service: Serving,
    caller: Calling,
    category: FromPath[str],
    account: FromPath[str],
    entity: FromPath[str],
    data: JSONBody[SentAppend],
) -> Appended:
    """Append events to one stream, all or nothing; answered once they are on disk."""
    return await append_to_stream(service, caller, f"{category}/{account}/{entity}", data)


@post("/v1/batches", opt={"scope": Scope.APPEND}, status_code=200, responses=responses(409, 507), tags=["append"])
async def append_many(service: Serving, caller: Calling, data: JSONBody[SentGroup]) -> Appended:
    """Append batches to any streams, all or nothing; answered once they are on disk."""
    return Appended([sent_record(record) for record in await service.append(data, caller)])


@post("/v1/groups", opt={"scope": Scope.APPEND}, status_code=200, responses=responses(507), tags=["append"])
async def append_groups(
    request: BodyRequest, service: Serving, caller: Calling, data: JSONBody[SentGroups]
) -> Response[GroupOutcomes]:
    """Append several groups in order, each all or nothing with an outcome of its own: what client libraries send.

    Who accepts `application/x-msgpack` is answered so, with each record as a row of its members.
    """
    # Each call begins before the next one, and what begins first is written first; they share a sync.
    found = await asyncio.gather(*[_outcome(service, caller, group) for group in data.groups])
    id_ = request_id_of(request.scope)
    if request.headers.get("accept") == MSGPACK:
        outcomes = [
            PackedOutcome(problem=msgspec.json.encode(document_of(each, id_)))
            if isinstance(each, Exception)
            else packed_outcome(each)
            for each in found
        ]
        body: Any = packed(outcomes)
        return Response(body, media_type=MSGPACK)
    answered = [
        GroupOutcome(problem=document_of(each, id_))
        if isinstance(each, Exception)
        else GroupOutcome([sent_record(record) for record in each])
        for each in found
    ]
    return Response(GroupOutcomes(answered))


async def _outcome(service: Service, caller: Caller, group: SentGroup) -> list[Record] | Exception:
    """Append a group; return its records, or what keeps it out. Groups come from several threads of a client."""
    try:
        return await service.append(group, caller, by_book=False)
    except _OUTCOMES as e:
        return e


ROUTES = (append, append_many, append_groups)
