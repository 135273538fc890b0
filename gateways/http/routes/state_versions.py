"""The routes of older state managers' HTTP interface, with its answers and errors: states, versions, snapshots."""

from __future__ import annotations

import itertools
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import msgspec
from litestar import Request, Response, Router, delete, get, post, put
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter, QueryParameter

from eventstore.clock import format_time, parse_time
from eventstore.errors import shown
from eventstore.remote.wire import malformed
from gateways.http.access import Scope
from gateways.http.answering import NotFound, RequestRefused, document_of, request_id_of, retry_after
from gateways.http.routes.parameters import Calling, FromQuery, JSONBody, Serving
from gateways.legacy import StateManager
from gateways.legacy.history import StateType
from gateways.legacy.manager import ACCOUNT
from gateways.legacy.states import States, StateVersion

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateways.http.access import Caller
    from gateways.http.service import Service

T = TypeVar("T")
_OPERATION = "/operation"
_WRITTEN = {"create", "update"}


class StateResponse(msgspec.Struct, frozen=True):
    """A version of a state. `user_id`: who saved it; with keys, the key's name."""

    state_id: str
    state_type: str
    data: Any
    version_id: str
    timestamp: str
    user_id: str
    description: str


class StateCreate(msgspec.Struct, frozen=True):
    """A state to save."""

    state_id: str
    state_type: str
    data: dict[str, Any]
    operation: str = "update"
    user_id: str | None = None
    description: str | None = None


class StateUpdate(msgspec.Struct, frozen=True):
    """A state's new data."""

    data: dict[str, Any]
    user_id: str | None = None
    description: str | None = None


class StateHistory(msgspec.Struct, frozen=True):
    """Versions of a state, newest first."""

    total_count: int
    versions: list[StateResponse]


class SnapshotCreate(msgspec.Struct, frozen=True):
    """A snapshot to make."""

    snapshot_id: str
    description: str | None = None


class SnapshotAnswer(msgspec.Struct, frozen=True):
    """What became of a snapshot."""

    snapshot_id: str
    success: bool
    message: str
    timestamp: str


class StateMessage(msgspec.Struct, frozen=True):
    """What was done."""

    message: str


class Detail(msgspec.Struct, frozen=True):
    """An error, as older state managers answer it."""

    detail: str


class Health(msgspec.Struct, frozen=True):
    """That the service answers."""

    status: str
    timestamp: str


StateId: TypeAlias = Annotated[str, PathParameter(description="The id of a state, such as position_EURUSD.")]
SnapshotId: TypeAlias = Annotated[str, PathParameter(description="The id of a snapshot.")]
VersionId: TypeAlias = Annotated[str | None, QueryParameter(description="This version instead of the latest one.")]
UserId: TypeAlias = Annotated[
    str | None, QueryParameter(description="Who asks for it, kept in the note of the record.")
]
OfType: TypeAlias = Annotated[StateType | None, QueryParameter(description="Only states of this type.")]
Since: TypeAlias = Annotated[str | None, QueryParameter(description="Only versions from this time on: ISO 8601.")]
Until: TypeAlias = Annotated[str | None, QueryParameter(description="Only versions up to this time: ISO 8601.")]
Account: TypeAlias = Annotated[str, QueryParameter(description="The account of the state.")]
Versions: TypeAlias = Annotated[int, QueryParameter(ge=1, le=1_000, description="At most so many versions.")]
_ERRORS = {
    status: ResponseSpec(Detail, description=HTTPStatus(status).phrase, generate_examples=False)
    for status in (400, 401, 403, 404, 409, 413, 415, 422, 429, 503, 507)
}


@get("/health", opt={"scope": None}, tags=["health"])
async def health(service: Serving) -> Health:
    """Answer that the service is there, as older state managers do; `/health/ready` says how it is."""
    return Health("healthy", format_time(service.store.clock.now_ns()))


@post("/states", opt={"scope": Scope.APPEND}, status_code=200, responses=_ERRORS, tags=["older state API"])
async def save_state(
    service: Serving, caller: Calling, data: JSONBody[StateCreate], account: Account = ACCOUNT
) -> StateResponse:
    """Save a state."""
    if data.operation not in _WRITTEN:
        what = f"operation is create or update, not {shown(data.operation)}: others have routes of their own"
        raise malformed(_OPERATION, what)
    return await _save(service, caller, account, data.state_id, data.state_type, data)


@get("/states/{state_id:str}", opt={"scope": Scope.READ}, responses=_ERRORS, tags=["older state API"])
async def read_state(
    service: Serving,
    caller: Calling,
    state_id: StateId,
    state_type: FromQuery[StateType],
    version_id: VersionId = None,
    account: Account = ACCOUNT,
) -> StateResponse:
    """Return a state as it is, or one of its versions."""
    caller.require(Scope.READ, account)
    found = await _ask(service, account, lambda states: states.get(state_id, state_type, version_id))
    if found is None:
        raise _not_found(state_id, state_type)
    return _answer(found)


@put("/states/{state_id:str}", opt={"scope": Scope.APPEND}, responses=_ERRORS, tags=["older state API"])
async def update_state(
    service: Serving,
    caller: Calling,
    state_id: StateId,
    state_type: FromQuery[StateType],
    data: JSONBody[StateUpdate],
    account: Account = ACCOUNT,
) -> StateResponse:
    """Save a state that the URL names."""
    return await _save(service, caller, account, state_id, state_type, data)


@delete(
    "/states/{state_id:str}",
    opt={"scope": Scope.ADMIN},
    status_code=200,
    responses=_ERRORS,
    tags=["older state API"],
)
async def delete_state(
    service: Serving,
    caller: Calling,
    state_id: StateId,
    state_type: FromQuery[StateType],
    user_id: UserId = None,
    account: Account = ACCOUNT,
) -> StateMessage:
    """Record that a state is no longer there; its versions stay in its history."""
    caller.require(Scope.ADMIN, account)
    user = _actor(service, caller, user_id)
    if not await _change(service, account, lambda states: states.delete(state_id, state_type, user=user)):
        raise _not_found(state_id, state_type)
    return StateMessage(f"State {state_id} deleted successfully")


@get("/states/{state_id:str}/history", opt={"scope": Scope.READ}, responses=_ERRORS, tags=["older state API"])
async def state_history(
    service: Serving,
    caller: Calling,
    state_id: StateId,
    state_type: OfType = None,
    limit: Versions = 50,
    start_time: Since = None,
    end_time: Until = None,
    account: Account = ACCOUNT,
) -> StateHistory:
    """Return a state's versions, newest first."""
    caller.require(Scope.READ, account)
    start = None if start_time is None else parse_time(start_time)
    end = None if end_time is None else parse_time(end_time)

    def versions(states: States) -> list[StateVersion]:
        found = states.versions(state_id, state_type)
        within = (
            each
            for each in found
            if (start is None or parse_time(each.timestamp) >= start)
            and (end is None or parse_time(each.timestamp) <= end)
        )
        return list(itertools.islice(within, limit))

    found = [_answer(each) for each in await _ask(service, account, versions)]
    return StateHistory(len(found), found)


@post("/snapshots", opt={"scope": Scope.APPEND}, status_code=200, responses=_ERRORS, tags=["older state API"])
async def create_snapshot(
    service: Serving, caller: Calling, data: JSONBody[SnapshotCreate], account: Account = ACCOUNT
) -> SnapshotAnswer:
    """Mark the positions, pairs' states and portfolio as they are now."""
    caller.require(Scope.APPEND, account)
    note = data.description or ""
    await _change(
        service, account, lambda states: states.snapshot(data.snapshot_id, user=caller.name, description=note)
    )
    return _snapshot(service, data.snapshot_id, "Snapshot created successfully")


@post(
    "/snapshots/{snapshot_id:str}/restore",
    opt={"scope": Scope.ADMIN},
    status_code=200,
    responses=_ERRORS,
    tags=["older state API"],
)
async def restore_snapshot(
    service: Serving, caller: Calling, snapshot_id: SnapshotId, account: Account = ACCOUNT
) -> SnapshotAnswer:
    """Save the positions, pairs' states and portfolio as they were at a snapshot again."""
    caller.require(Scope.ADMIN, account)
    await _change(service, account, lambda states: states.restore(snapshot_id, user=caller.name))
    return _snapshot(service, snapshot_id, "Snapshot restored successfully")


def _error(request: Request[Any, Any, Any], error: Exception) -> Response[Detail]:
    """Answer an error in the older shape: its text alone."""
    document = document_of(error, request_id_of(request.scope))
    status = document["status"]
    headers = {"retry-after": str(retry_after(error))} if status in {429, 503} else {}
    return Response(Detail(document["detail"]), status_code=status, headers=headers)


async def _save(
    service: Service, caller: Caller, account: str, id_: str, type_: str, sent: StateCreate | StateUpdate
) -> StateResponse:
    caller.require(Scope.APPEND, account)
    user, note = _actor(service, caller, sent.user_id), sent.description or ""
    saved = await _change(
        service, account, lambda states: states.save(id_, type_, sent.data, user=user, description=note)
    )
    return _answer(saved)


async def _ask(service: Service, account: str, question: Callable[[States], T]) -> T:
    """Ask an account's states, in a thread: a manager of its own, which a Python program could be."""

    def asked() -> T:
        with StateManager(service.store.sync_store, account=account) as manager:
            return question(States(manager.log, manager.codec))

    return await service.store.long(asked)


async def _change(service: Service, account: str, change: Callable[[States], T]) -> T:
    def changed() -> T:
        with StateManager(service.store.sync_store, account=account) as manager:
            if manager.log.store.log_id != service.store.log_id:
                detail = f"the state of {account} is continued in the log {manager.log.store.log}, which is not served"
                raise RequestRefused(409, "OtherLog", detail, f"Serve the log {manager.log.store.log}.")
            return change(States(manager.log, manager.codec))

    return await service.store.long(changed)


def _actor(service: Service, caller: Caller, user_id: str | None) -> str:
    """Return who a version is of: with keys the key's name, never the client's word."""
    return caller.name if service.authenticator.needs_key or not user_id else user_id


def _answer(version: StateVersion) -> StateResponse:
    return StateResponse(**{name: getattr(version, name) for name in StateResponse.__struct_fields__})


def _snapshot(service: Service, id_: str, message: str) -> SnapshotAnswer:
    return SnapshotAnswer(id_, True, message, format_time(service.store.clock.now_ns()))  # noqa: FBT003 - a member


def _not_found(id_: str, type_: str) -> NotFound:
    return NotFound(f"State {id_} of type {type_} not found")


ROUTES = (
    health,
    Router(
        path="/",
        route_handlers=[
            save_state,
            read_state,
            update_state,
            delete_state,
            state_history,
            create_snapshot,
            restore_snapshot,
        ],
        exception_handlers={Exception: _error, HTTPException: _error},
    ),
)
