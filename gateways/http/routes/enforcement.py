"""Limits with their headroom, and enforcement: what is asked for, claimed by one process, and answered."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
from litestar import get, post

from eventstore import EventStore, Overloaded
from eventstore.clock import NANOSECONDS, derived_times
from eventstore.remote.wire import id_of, malformed
from gateways.http.access import Caller, Scope
from gateways.http.account_names import named
from gateways.http.answering import NotFound, RequestRefused
from gateways.http.routes.asked import AccountPath, RequestPath, instant_text, known
from gateways.http.routes.documented import responses
from gateways.http.routes.parameters import Asking, Calling, JSONBody, Serving
from gateways.presenting.close_names import close_to
from gateways.presenting.documents import plain
from gateways.presenting.limits import accounts_with_groups, enforcement_of, limits_in_force
from gateways.presenting.protection import modes_of
from gateways.presenting.states import at_one_position
from projections.risk.enforcement.claims import LEASE_NS, claim, found_claim, lease_left
from projections.risk.limits.named import unknown_name_notes, unopened_notes
from projections.risk.policies.liveness import enforcement_notes
from projections.views.enforcement.transitions import LEASE_NS_MAX

if TYPE_CHECKING:
    from projections import Book
    from projections.risk.enforcement.claims import RequestClaim
    from projections.views.enforcement import Enforcement

CLAIMANT_MAX = 200
_LEASE_SECONDS_MAX = LEASE_NS_MAX // NANOSECONDS


class LimitsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of an account and of its groups, at a log position.

    Each of `limits` has its `headroom` with status and why, `unjudged` with why, and who enforces it: `enforced` by a
    process that runs policies, `not enforced` where none ever ran (a check before each order judges alone), `unjudged`
    where none runs now. `notes` says so in sentences.
    """

    account: str
    log_position: int
    at: str | None
    limits: Any
    protection: Any
    enforcement: str
    notes: list[str]


class PendingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What an account is asked for and has not done, oldest first, each with its claim."""

    account: str
    log_position: int
    at: str | None
    pending: Any


class ClaimBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A claim of a request. `claimant` names the process of the caller; `lease_seconds`: 1 to 60.

    `claim_id`: extend this claim of the caller's instead of making one.
    """

    claimant: str = ""
    lease_seconds: int = LEASE_NS // NANOSECONDS
    claim_id: str | None = None


class AnswerBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answer to a request: whether it was carried out. Without `claim_id` it is claimed and answered at once."""

    success: bool
    details: dict[str, Any] | str = ""
    claim_id: str | None = None


class RequestAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it is now. While a claim is in force `lease_left` says for how many seconds, at most."""

    account: str
    request_id: str
    claim_id: str | None
    claimant: str
    lease_until: str | None
    lease_left: str
    request: Any


@get(
    "/v1/limits/{account:str}",
    opt={"scope": Scope.READ, "question": "limits"},
    responses=responses(404),
    tags=["state"],
)
async def read_limits(service: Asking, caller: Calling, account: AccountPath) -> LimitsAnswer:
    """Return the limits in force of an account and of its groups, with the headroom of each."""
    named(account)

    def ask(book: Book) -> LimitsAnswer:
        known(book, account, caller)
        at = book.now_ns()
        with derived_times():
            found, position = at_one_position(book, lambda: limits_in_force(book, account, None, UTC))
            return LimitsAnswer(
                account=account,
                log_position=position,
                at=instant_text(at),
                limits=found,
                protection=plain([_mode(*each) for each in modes_of(book, (account,))]),
                enforcement=enforcement_of(book, account),
                notes=_notes(book, account, at) if found else [],
            )

    return await service.ask(ask)


def _notes(book: Book, account: str, at: int) -> list[str]:
    """Return what is to be said of an account's limits and of its groups': that none runs, or names nothing."""
    accounts = accounts_with_groups(book, account)
    limits = [limit for name in accounts for limit in book.limits.of(name, at)]
    return [*enforcement_notes(book, accounts), *unknown_name_notes(book, limits), *unopened_notes(book, limits)]


@get("/v1/enforcement/{account:str}", opt={"scope": Scope.READ}, responses=responses(404), tags=["enforcement"])
async def read_pending(service: Asking, caller: Calling, account: AccountPath) -> PendingAnswer:
    """Return what an account is asked for now: requests without an answer, and goals that are not reached."""
    named(account)

    def ask(book: Book) -> PendingAnswer:
        known(book, account, caller)
        at = book.now_ns()
        with derived_times():
            found, position = at_one_position(book, lambda: book.enforcement.pending(account, at))
        return PendingAnswer(account=account, log_position=position, at=instant_text(at), pending=plain(found))

    return await service.ask(ask)


@post(
    "/v1/enforcement/{account:str}/{request_id:str}/claim",
    opt={"scope": Scope.TRADE},
    status_code=200,
    responses=responses(404, 409, 507),
    tags=["enforcement"],
)
async def claim_request(
    service: Serving, caller: Calling, account: AccountPath, request_id: RequestPath, data: JSONBody[ClaimBody]
) -> RequestAnswer:
    """Claim a pending request, so that no other process carries it out until the lease ends; or extend the claim.

    One of several that claim it at once gets it; the others are answered with 409, with the `claimant` and
    `lease_until` of the claim in force. After a lost answer that may be the caller's own: it resumes with `claim_id`.
    """
    claimant, lease_ns = _claimant(caller, data.claimant), _lease(data.lease_seconds)
    claim_id = id_of(data.claim_id, "/claim_id")

    def ask(book: Book) -> RequestAnswer:
        request = _request(book, account, request_id)
        with derived_times():
            if claim_id is None:
                held = claim(book, request, claimant, lease_ns=lease_ns, actor=caller.name)
                if held is None:
                    _refuse(book, request)
            elif not _own(book, request, claim_id, caller, lease_ns).extend():
                _refuse(book, request)
            return _answered(book, request)

    return await service.ask(ask)


@post(
    "/v1/enforcement/{account:str}/{request_id:str}/answer",
    opt={"scope": Scope.TRADE},
    status_code=200,
    responses=responses(404, 409, 507),
    tags=["enforcement"],
)
async def answer_request(
    service: Serving, caller: Calling, account: AccountPath, request_id: RequestPath, data: JSONBody[AnswerBody]
) -> RequestAnswer:
    """Answer a request that the caller has claimed, or that nobody has; `success` is whether it was carried out.

    What is answered without success is asked for again while a lockout wants it, and with success as well as long as
    the account is not in the wanted state. The same answer sent again, after the first one was lost, is a no-op.
    """
    claim_id = id_of(data.claim_id, "/claim_id")

    def ask(book: Book) -> RequestAnswer:
        request = _request(book, account, request_id)
        with derived_times():
            if _is_answered(request, claim_id, caller, data):
                return _answered(book, request)
            if claim_id is None:
                held = claim(book, request, _claimant(caller, ""), actor=caller.name)
            else:
                held = _own(book, request, claim_id, caller, LEASE_NS)
            if held is None or not held.answer(success=data.success, details=data.details):
                _refuse(book, request)
            return _answered(book, request)

    return await service.ask(ask)


def _claimant(caller: Caller, label: str) -> str:
    """Return the name of a process of a caller: nobody can claim under another caller's."""
    if len(label) > CLAIMANT_MAX:
        raise malformed("/claimant", f"a claimant has at most {CLAIMANT_MAX} characters, not {len(label):,}")
    return f"{caller.name}/{label}" if label else caller.name


def _lease(seconds: int) -> int:
    if not 1 <= seconds <= _LEASE_SECONDS_MAX:
        raise malformed("/lease_seconds", f"a lease lasts 1 to {_LEASE_SECONDS_MAX} seconds, not {seconds:,}")
    return seconds * NANOSECONDS


def _request(book: Book, account: str, request_id: str) -> Enforcement:
    """Return a request as it is now; raise NotFound with the ids close to it."""
    found = book.enforcement.get(named(account), request_id)
    if found is None:
        pending = [each.request_id for each in book.enforcement.pending(account)]
        msg = f"account {account} has no request {request_id!r}: {close_to(request_id, pending)}"
        raise NotFound(msg)
    return found


def _own(book: Book, request: Enforcement, claim_id: bytes, caller: Caller, lease_ns: int) -> RequestClaim:
    """Return a claim of the caller's, by its id; raise RequestRefused where it is another's, or over."""
    store = book.reader
    record = store.find(claim_id) if isinstance(store, EventStore) else None
    if record is None or record.actor != caller.name:
        raise RequestRefused(
            409,
            "NotClaimed",
            f"request {request.request_id} of {request.account} is not claimed by {caller.name} under this id",
            "Claim the request first, and name the `claim_id` of that answer.",
        )
    found = found_claim(book, request, claim_id, lease_ns=lease_ns, actor=caller.name)
    if found is None:
        _refuse(book, request)
    return found


def _is_answered(request: Enforcement, claim_id: bytes | None, caller: Caller, data: AnswerBody) -> bool:
    """Return whether this very answer is recorded already: it was sent again."""
    given = (data.success, data.details or {}, caller.name)
    is_same = (request.success, request.taken_details or {}, request.taken_by) == given
    return request.taken and is_same and claim_id in {None, request.claim_id}


def _refuse(book: Book, request: Enforcement) -> NoReturn:
    """Raise why a request can be neither claimed nor answered."""
    now = book.enforcement.get(request.account, request.request_id) or request
    what = f"request {now.request_id} of {now.account}"
    if now.taken:
        raise RequestRefused(
            409,
            "AlreadyAnswered",
            f"{what} was answered by {now.taken_by} at {instant_text(now.taken_at)}, success {now.success}",
            "Do nothing for it; what is still missing is asked for again.",
            request=plain(now),
        )
    if now.superseded:
        raise RequestRefused(
            409,
            "Superseded",
            f"{what} was asked for again by another request, attempt {now.attempt + 1}",
            "Claim the newest request: GET /v1/enforcement/{account} has it.",
            request=plain(now),
        )
    if lease_left(book, now):
        raise RequestRefused(
            409,
            "AlreadyClaimed",
            f"{what} is claimed by {now.claimant} until {instant_text(now.lease_until)}",
            "Leave it to that process; claim it once its lease has ended.",
            claimant=now.claimant,
            lease_until=instant_text(now.lease_until),
            claim_id=plain(now.claim_id),
        )
    if now not in book.enforcement.pending(now.account):
        raise RequestRefused(
            409,
            "NotPending",
            f"{what} is not pending: its lockout was ended, or the account is in the wanted state",
            "Do nothing for it.",
            request=plain(now),
        )
    msg = f"others wrote to {what} at the same moment: nothing was written, try again"
    raise Overloaded(msg)


def _answered(book: Book, request: Enforcement) -> RequestAnswer:
    now = book.enforcement.get(request.account, request.request_id) or request
    left = lease_left(book, now)
    return RequestAnswer(
        account=now.account,
        request_id=now.request_id,
        claim_id=plain(now.claim_id) or None,
        claimant=now.claimant,
        lease_until=instant_text(now.lease_until),
        lease_left=f"{left / NANOSECONDS:.3f}",
        request=plain(now),
    )


def _mode(account: str, held: object, waiting: object) -> dict[str, object]:
    return {"account": account, "in_force": held, "waiting": waiting}


READ_ROUTES = (read_limits, read_pending)
ROUTES = (*READ_ROUTES, claim_request, answer_request)
