"""Maintenance of the book: writing a cut, and folding again what a view has failed on."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import post
from litestar.openapi.spec import Example
from litestar.params import PathParameter

from gateways.http.access import Scope
from gateways.http.answering import NotFound
from gateways.http.routes.documented import responses
from gateways.http.routes.parameters import Calling, Serving
from projections.view import GROUP, SHARED

FailedView = Annotated[str, PathParameter(description="The view.", examples=[Example(value="orders")])]
FailedPartition = Annotated[
    str,
    PathParameter(description="The account, or `-` for what belongs to none.", examples=[Example(value="ACC1")]),
]


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
    service: Serving, caller: Calling, view: FailedView, partition: FailedPartition
) -> RetryAnswer:
    """Fold again what a view has failed on, once its cause is gone; what has not failed is current, and stays so."""
    if partition == SHARED or partition.startswith(GROUP):
        caller.require_all_accounts(Scope.ADMIN)
    else:
        caller.require(Scope.ADMIN, partition)
    book = service.book.sync_book
    parked = book.parked
    if (view, partition) in parked:
        is_current = await service.store.long(lambda: book.retry(view, partition))
    elif partition in book.partitions(view):
        is_current = True
    else:
        known = [f"{name} of {each}" for name, each in sorted(parked) if caller.sees(each)]
        has = f"these have failed: {', '.join(known)}" if known else "none has failed"
        msg = f"there is no view {view!r} with a state of {partition!r}; {has}"
        raise NotFound(msg)
    error = service.book.parked.get((view, partition))
    return RetryAnswer(
        view=view,
        partition=partition,
        is_current=is_current,
        log_position=service.book.position,
        error=None if error is None else str(error),
    )


ROUTES = (write_cut, retry_partition)
