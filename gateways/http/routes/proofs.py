"""Proofs: checkpoints, that a record is in the log, and that the log only grew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from litestar import Request, Response, get
from litestar.openapi.spec import Example
from litestar.params import QueryParameter

from eventstore import EventStore, InvalidEvent
from eventstore.proofs import Checkpoint, InclusionProof, prove
from eventstore.proofs.checkpoint_file import CheckpointFile
from eventstore.proofs.proving import checkpoint_text, in_one_log, record_at, unsigned
from eventstore.proofs.signers import origin_of
from gateways.http.access import Caller, Scope
from gateways.http.answering import NotFound
from gateways.http.routes.answers import answer, encoded, member
from gateways.http.routes.documented import responses
from gateways.http.routes.parameters import POSITION_MAX, Calling, LogPosition, Serving
from gateways.http.visibility import check_sees
from gateways.presenting.evidence import checkpoint_document, proof_members

if TYPE_CHECKING:
    from eventstore import EventReader
    from eventstore.side import LogSide

OPTIONS = {"scope": Scope.AUDIT}
TEXT = "text/plain; charset=utf-8"
NOTE = {"text/plain": "The signed note itself (c2sp.org/tlog-checkpoint)."}
"""What else a checkpoint is answered as."""
Position = Annotated[
    int,
    QueryParameter(ge=1, le=POSITION_MAX, description="The record's log position.", examples=[Example(value=1)]),
]
Size = Annotated[
    int | None,
    QueryParameter(
        ge=1,
        le=POSITION_MAX,
        description="In the tree of so many records; by default that of the newest signed checkpoint, or all of them.",
    ),
]
FirstSize = Annotated[
    int,
    QueryParameter(ge=0, le=POSITION_MAX, description="The log's size before.", examples=[Example(value=1)]),
]


class CheckpointAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A log's tree: the newest signed checkpoint, None where nobody has signed one, and size and root as they are now.

    A checkpoint is as it lies beside the log: who signed it is for its reader to verify, with a key from elsewhere.
    """

    checkpoint: dict[str, Any] | None
    origin: str
    size: int
    root: str


@get("/v1/checkpoint", opt={**OPTIONS, "also": NOTE}, responses=responses(404), tags=["proofs"])
async def checkpoint(request: Request[Any, Any, Any], service: Serving) -> Response[CheckpointAnswer]:
    """Return the newest signed checkpoint with the log's size and root now; as `Accept: text/plain` the signed note."""
    store = service.store.sync_store
    as_text = request.accept.best_match(["application/json", "text/plain"]) == "text/plain"

    def ask() -> bytes:
        signed = _newest(store.side, 0)
        if as_text:
            if signed is None:
                msg = "nobody has signed a checkpoint of this log: eventstore checkpoint signs one"
                raise NotFound(msg)
            return signed.text.encode()
        size, root = store.root()
        found = None if signed is None else checkpoint_document(signed)
        origin = origin_of(store.log, store.log_id)
        return encoded(CheckpointAnswer(checkpoint=found, origin=origin, size=size, root=root.hex()))

    document = await service.store.long(ask)
    return Response[Any](document, media_type=TEXT) if as_text else answer(document)


@get("/v1/proofs/inclusion", opt=OPTIONS, responses=responses(404), tags=["proofs"])
async def inclusion(
    service: Serving, caller: Calling, position: Position, size: Size = None
) -> Response[dict[str, Any]]:
    """Prove that a record is among the first `size` of the log: its digest, and the hashes that lead to the root."""
    store = service.store.sync_store

    def ask() -> bytes:
        one, found = _proof(store, caller, position, size)
        return encoded({"log": one.log, **proof_members(found)})

    return answer(await service.store.long(ask))


@get("/v1/proofs/consistency", opt=OPTIONS, responses=responses(), tags=["proofs"])
async def consistency(service: Serving, first: FirstSize, second: Size = None) -> Response[dict[str, Any]]:
    """Prove that the log of `second` records begins with all that it had when it had `first`: nothing was rewritten."""
    store = service.store.sync_store

    def ask() -> bytes:
        head = _head(store.alone(), store.side, second, first)
        with member("/first"):
            found = prove(store, from_size=first, checkpoint=head)
        return encoded({"log": store.log, "proof": found.text, **proof_members(found)})

    return answer(await service.store.long(ask))


@get("/v1/proofs/record/{position:int}", opt=OPTIONS, responses=responses(404), tags=["proofs"])
async def record_proof(
    service: Serving, caller: Calling, position: LogPosition, size: Size = None
) -> Response[dict[str, Any]]:
    """Return a record with its proof up to the newest signed checkpoint: what `eventstore prove` gives.

    `proof` is the text (c2sp.org/tlog-proof) that `eventstore prove --check` verifies; `signed` says whether its
    checkpoint is signed.
    """
    store = service.store.sync_store

    def ask() -> bytes:
        return encoded(_document(*_proof(store, caller, position, size)))

    return answer(await service.store.long(ask))


def _document(store: EventReader, found: InclusionProof) -> dict[str, Any]:
    return {
        "log": store.log,
        "proof": found.text,
        **proof_members(found),
        "record": msgspec.Raw(found.line.removesuffix(b"\n")),
        "origin": found.checkpoint.origin,
        "signed": bool(found.checkpoint.signatures),
        "checkpoint": checkpoint_text(found.checkpoint),
    }


def _proof(store: EventStore, caller: Caller, position: int, size: int | None) -> tuple[EventReader, InclusionProof]:
    """Return the log that has a record, and the proof; `size` counts that log's records.

    Raises NotFound for a position past the log, NotAllowed for one that a caller may not see.
    """
    head = store.head()
    if position > head:
        msg = f"position {position} is not in the log, which ends at {head}"
        raise NotFound(msg)
    one, own, side = in_one_log(store, position)
    if size is not None and own > size:
        with member("/size"):
            msg = f"position {own} is not among the first {size} records"
            raise InvalidEvent(msg)
    check_sees(caller, record_at(store, position))
    return one, prove(one, own, checkpoint=_head(one, side, size, own))


def _newest(side: LogSide | None, at_least: int) -> Checkpoint | None:
    """Return the newest signed checkpoint that covers a position, None without one."""
    return None if side is None else CheckpointFile(side).covering(at_least)


def _head(store: EventReader, side: LogSide | None, size: int | None, at_least: int) -> Checkpoint:
    """Return what a proof leads to: the newest checkpoint, signed if there is one, or the tree of a size."""
    if size is None:
        return _newest(side, at_least) or unsigned(store)
    with member("/size"):
        found, root = store.root(size)
    return Checkpoint(origin_of(store.log, store.log_id), found, root)


ROUTES = (checkpoint, inclusion, consistency, record_proof)
