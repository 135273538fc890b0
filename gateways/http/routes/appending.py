"""Appending: to one stream, to several in one atomic batch, and as many groups, each with its own outcome."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import post

from eventstore import InvalidEvent, StoreError
from eventstore.remote.problems import problem_of
from eventstore.remote.wire import SentAppend, SentBatch, SentGroup, SentGroups, SentRecord, sent_record
from gateways.http.access import NotAllowed, Scope
from gateways.http.answering import document_of, request_id_of
from gateways.http.bodies import BodyRequest
from gateways.http.rates import TooManyRequests
from gateways.http.routes.documented import responses
from gateways.http.routes.parameters import Calling, FromPath, JSONBody, Serving


class Appended(msgspec.Struct, frozen=True):
    """The records that were appended, in order; of a repetition, those that were there."""

    records: list[SentRecord]


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a group: its records, or the problem that kept all of it out."""

    records: list[SentRecord] | None = None
    problem: dict[str, Any] | None = None


class Outcomes(msgspec.Struct, frozen=True):
    """What became of each group, in order."""

    outcomes: list[Outcome]


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
    members = {name: getattr(data, name) for name in SentBatch.__struct_fields__ if name != "stream"}
    batch = SentBatch(stream=f"{category}/{account}/{entity}", **members)
    group = SentGroup(batches=[batch], durability=data.durability, unchanged=data.unchanged)
    try:
        records = await service.append(group, caller)
    except InvalidEvent as e:
        # The body of this route is the batch itself.
        e.path = e.path.removeprefix("/batches/0")
        raise
    return Appended([sent_record(record) for record in records])


@post("/v1/batches", opt={"scope": Scope.APPEND}, status_code=200, responses=responses(409, 507), tags=["append"])
async def append_many(service: Serving, caller: Calling, data: JSONBody[SentGroup]) -> Appended:
    """Append batches to any streams, all or nothing; answered once they are on disk."""
    return Appended([sent_record(record) for record in await service.append(data, caller)])


@post("/v1/groups", opt={"scope": Scope.APPEND}, status_code=200, responses=responses(507), tags=["append"])
async def append_groups(
    request: BodyRequest, service: Serving, caller: Calling, data: JSONBody[SentGroups]
) -> Outcomes:
    """Append several groups in order, each all or nothing with an outcome of its own: what client libraries send."""
    outcomes = []
    for group in data.groups:
        try:
            records = await service.append(group, caller)
        except StoreError as e:
            outcomes.append(Outcome(problem=problem_of(e)))
        except (NotAllowed, TooManyRequests) as e:
            # Groups of several threads of a client come together: what one may not do holds no other one back.
            outcomes.append(Outcome(problem=document_of(e, request_id_of(request.scope))))
        else:
            outcomes.append(Outcome([sent_record(record) for record in records]))
    return Outcomes(outcomes)


ROUTES = (append, append_many, append_groups)
