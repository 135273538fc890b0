"""The service of a member of a group: answers about one account, its own, its owner's, or from the newest cut."""

from __future__ import annotations

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from litestar import Response
from typing_extensions import override

from eventstore import aio as stores
from eventstore.remote.wire import malformed
from gateways.http.account_names import named
from gateways.http.answering import RequestRefused, request_id_of, response_of
from gateways.http.owners import ANSWERED_BY, ANSWERED_FROM, CUT, FORWARDED_BY, OWNER, OWNER_SECONDS, ask_owner
from gateways.http.reads import record_question
from gateways.http.served import AskedBook, LogService
from gateways.presenting.states import STATES
from projections.membership import NotOwner

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Callable
    from typing import TypeVar

    from litestar import Request
    from litestar.types import Message
    from litestar.types import Scope as AsgiScope

    from eventstore.aio import AsyncEventStore
    from eventstore.side import SeenMember
    from gateways.http.access import Authenticator
    from gateways.http.owners import OwnerAnswer
    from gateways.http.settings import ServiceSettings
    from projections.book import Book
    from projections.group_worker import GroupWorker

    T = TypeVar("T")

AVOIDED_SECONDS = 5.0
"""For so long an owner is not asked again that has not answered: each request would wait for it."""
FORWARDED_AT_ONCE = 16
_MISDIRECTED = 421
_PASSED_ON = ("authorization", "x-correlation-id")


class MemberService(LogService):
    """The log as a member of a group serves it: the live book has the accounts of its shares alone."""

    def __init__(
        self,
        store: AsyncEventStore,
        worker: GroupWorker,
        *,
        settings: ServiceSettings | None = None,
        authenticator: Authenticator | None = None,
    ) -> None:
        super().__init__(store, settings=settings, authenticator=authenticator)
        self.worker = worker
        self._threads = ThreadPoolExecutor(FORWARDED_AT_ONCE, "asking owners")
        self._avoided: dict[str, float] = {}

    async def ask_owner(self, owner: SeenMember, target: str, headers: dict[str, str]) -> OwnerAnswer | None:
        """Return what the owner of an account answers, None where it does not in time, or did not a moment ago."""
        now = time.monotonic()
        if not owner.url or self._avoided.get(owner.id, now) > now:
            return None
        answer = None
        # A name that cannot be looked up takes longer than a connection may.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OWNER_SECONDS):
                answer = await asyncio.get_running_loop().run_in_executor(
                    self._threads, ask_owner, owner, target, self.store.log_id.hex(), headers
                )
        if answer is None:
            self._avoided = {id: until for id, until in self._avoided.items() if until > now}
            self._avoided[owner.id] = time.monotonic() + AVOIDED_SECONDS
        else:
            self._avoided.pop(owner.id, None)
        return answer

    def close(self) -> None:
        """Ask no owner any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class AskedMember(AskedBook):
    """One request to a member, about one account."""

    def __init__(self, service: MemberService, request: Request[Any, Any, Any]) -> None:
        self._service, self._account = service, account_of(request)
        self._state, self._is_forwarded = request.scope["state"], FORWARDED_BY in request.headers

    @override
    async def ask(self, question: Callable[[Book], T]) -> T:
        service, worker, account = self._service, self._service.worker, self._account
        try:
            found = await service.store.long(lambda: worker.ask(account, question))
        except NotOwner as e:
            if self._is_forwarded:
                # The member that forwarded it answers from a cut itself: nothing is forwarded twice.
                raise RequestRefused(
                    _MISDIRECTED, "NotOwner", str(e), f"Ask without `{FORWARDED_BY}`: any member answers then."
                ) from e
            async with service.long_turns:
                found = await service.store.long(lambda: worker.ask_cut(account, question))
            self._state["answered_from"] = CUT
        else:
            self._state["answered_from"] = OWNER
        return found

    @override
    async def ask_long(self, question: Callable[[Book], T]) -> T:
        async with self._service.long_turns:
            return await self.ask(question)


async def forward_or_record(request: Request[Any, Any, Any]) -> Response[bytes] | None:
    """Return the owner's answer to a question about another member's account; None where this member answers itself.

    Called once the guard has let the caller in, as the owner's does once more. Who answers a question records it.
    """
    if request.route_handler.opt.get("scope") is None:
        return None
    service: MemberService = request.scope["state"]["service"]
    account = account_of(request)
    owner = None
    if FORWARDED_BY not in request.headers and not service.worker.owns(account):
        owner = service.worker.owner(account)
    if owner is not None:
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        headers |= {FORWARDED_BY: service.worker.member.id, "x-request-id": request_id_of(request.scope)}
        answer = await service.ask_owner(owner, _target(request.scope), headers)
        if answer is not None and answer.is_final:
            marks = {ANSWERED_BY: owner.id, ANSWERED_FROM: OWNER}
            return Response(answer.body, status_code=answer.status, media_type=answer.media_type, headers=marks)
    await record_question(request)
    return None


async def mark_answer(message: Message, scope: AsgiScope) -> None:
    """Say in each answer which member it is from, and what it rests on; the answer of an owner says so already."""
    if message["type"] != "http.response.start":
        return
    headers = list(message["headers"])
    if not any(name == ANSWERED_BY.encode() for name, _ in headers):
        service: MemberService = scope["state"]["service"]
        headers.append((ANSWERED_BY.encode(), service.worker.member.id.encode()))
        if (source := scope["state"].get("answered_from")) is not None:
            headers.append((ANSWERED_FROM.encode(), source.encode()))
    message["headers"] = headers


def account_of(request: Request[Any, Any, Any]) -> str:
    """Return the one account that a request is about; raise RequestRefused for what is about several, or none."""
    asked = [*request.query_params.getall("account", [])]
    if (in_path := request.path_params.get("account")) is not None:
        asked.append(in_path)
    view = STATES.get(request.path_params.get("view", ""))
    if not asked or (view is not None and view.is_shared):
        raise not_served()
    if len(asked) > 1:
        path, msg = "/account", "name one account, once"
        raise malformed(path, msg)
    return named(asked[0])


def not_served() -> RequestRefused:
    """Return the refusal of what only a service with all accounts answers: a part must not look like the whole."""
    return RequestRefused(
        _MISDIRECTED,
        "NotServedHere",
        "a member of a group answers about one account: GET /v1/state/{view}?account=, /v1/accounts?account=, "
        "/v1/limits/{account} and /v1/enforcement/{account}",
        "Ask a service that has all accounts: eventstore serve.",
    )


def refuse_route(request: Request[Any, Any, Any], _: Exception) -> Response[bytes]:
    """Answer what a member has no route for."""
    return response_of(request, not_served())


@contextlib.asynccontextmanager
async def open_member_service(
    path: str | os.PathLike[str],
    worker: GroupWorker,
    *,
    log: str = "main",
    settings: ServiceSettings | None = None,
    authenticator: Authenticator | None = None,
) -> AsyncIterator[MemberService]:
    """Open the log of a worker once more, to be served by it; it is closed at the end."""
    async with stores.open(path, log=log) as store:
        service = MemberService(store, worker, settings=settings, authenticator=authenticator)
        with contextlib.closing(service):
            yield service


def _target(scope: AsgiScope) -> str:
    """Return the path and query of a request, as they were sent."""
    path, query = scope["raw_path"].partition(b"?")[0], scope["query_string"]
    return (path + (b"?" + query if query else b"")).decode("latin-1")
