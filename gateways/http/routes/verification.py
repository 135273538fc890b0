"""Verifying the log on demand, and what the last time found: which records it covered, and when."""

from __future__ import annotations

import msgspec
from litestar import get, post

from eventstore.clock import format_time
from gateways.http.access import Scope
from gateways.http.answering import RequestRefused
from gateways.http.routes.documented import responses
from gateways.http.routes.parameters import Calling, Serving
from gateways.http.service import VerificationRun


class LastVerification(msgspec.Struct, frozen=True):
    """What the newest verification found: `checked` records up to position `until`. `first_bad` does not verify."""

    ok: bool
    checked: int
    until: int
    first_bad: int | None
    reason: str | None
    unproved: list[str]
    started_at: str
    finished_at: str


class VerificationAnswer(msgspec.Struct, frozen=True):
    """The newest verification by this process, None if there was none; `running` while another one is under way."""

    last: LastVerification | None
    running: bool


@get("/v1/verification", opt={"scope": Scope.READ}, responses=responses(), tags=["verification"])
async def last_verification(service: Serving, caller: Calling) -> VerificationAnswer:
    """Return when the log was last verified by this process, what that covered, and what it found."""
    caller.require_all_accounts(Scope.READ)
    return _answer(service.last_verification, running=service.is_verifying)


@post("/v1/verification", opt={"scope": Scope.AUDIT}, status_code=200, responses=responses(409), tags=["verification"])
async def verify(service: Serving, caller: Calling) -> VerificationAnswer:
    """Recompute every digest, column and index and the tree: some 400,000 records a second. One at a time."""
    caller.require_all_accounts(Scope.AUDIT)
    if service.is_verifying:
        detail = "the log is being verified already"
        raise RequestRefused(409, "AlreadyVerifying", detail, "Ask with GET until `running` is false.")
    await service.verify()
    return _answer(service.last_verification, running=False)


def _answer(run: VerificationRun | None, *, running: bool) -> VerificationAnswer:
    found = None
    if run is not None:
        result = run.result
        found = LastVerification(
            ok=result.ok,
            checked=result.checked,
            until=run.until,
            first_bad=result.first_bad,
            reason=result.reason,
            unproved=list(result.unproved),
            started_at=format_time(run.started_at),
            finished_at=format_time(run.finished_at),
        )
    return VerificationAnswer(found, running)


ROUTES = (last_verification, verify)
