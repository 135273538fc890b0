"""Maintenance of the book: writing a cut, and folding again what a view has failed on."""

from __future__ import annotations

import msgspec
from litestar import post

from gateways.http.access import Scope
from gateways.http.answering import NotFound
from gateways.http.routes.documented import responses
from gateways.http.routes.parameters import Calling, FromPath, Serving
from projections.view import GROUP, SHARED


class CutAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a cut was written, at which position the book is, and what keeps cuts from being written, if anything.

    None is written where nothing has changed since the newest one.
    """

    written: bool
    log_position: int
    trouble: str | None


class RetryAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a partition is as current as the book again; if not, what it has failed on now."""

    view: str
    partition: str
    is_current: bool
    log_position: int
    error: str | None


@post("/v1/snapshots", opt={"scope": Scope.ADMIN}, status_code=200, responses=responses(507), tags=["maintenance"])
async def write_cut(service: Serving, caller: Calling) -> CutAnswer:
    """Write a cut of the book, so that the next start reads only what came later."""
    caller.require_all_accounts(Scope.ADMIN)
    await service.book.refresh()
    written = await service.book.snapshot()
    book = service.book.sync_book
    return CutAnswer(written=written, log_position=book.position, trouble=book.snapshot_trouble)


@post(
    "/v1/retry/{view:str}/{partition:str}",
    opt={"scope": Scope.ADMIN},
    status_code=200,
    responses=responses(404),
    tags=["maintenance"],
)
async def retry_partition(
    service: Serving, caller: Calling, view: FromPath[str], partition: FromPath[str]
) -> RetryAnswer:
    """Fold again what a view has failed on, once its cause is gone; `partition` is an account, or `-`."""
    if partition == SHARED or partition.startswith(GROUP):
        caller.require_all_accounts(Scope.ADMIN)
    else:
        caller.require(Scope.ADMIN, partition)
    parked = service.book.parked
    if (view, partition) not in parked:
        known = [f"{name} of {each}" for name, each in sorted(parked) if caller.sees(each)]
        has = f"these have: {', '.join(known)}" if known else "none has"
        msg = f"view {view!r} has not failed for {partition!r}: {has}"
        raise NotFound(msg)
    is_current = await service.store.long(lambda: service.book.sync_book.retry(view, partition))
    error = service.book.parked.get((view, partition))
    return RetryAnswer(
        view=view,
        partition=partition,
        is_current=is_current,
        log_position=service.book.position,
        error=None if error is None else str(error),
    )


ROUTES = (write_cut, retry_partition)
