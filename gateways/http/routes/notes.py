"""Notes: a text, tags or both on a record, an order, a lockout or a day of an account."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated

import msgspec
from litestar import post

from eventstore import InvalidEvent
from eventstore.ids import new_ids
from eventstore.remote.wire import SentRecord, id_of, malformed, sent_record
from eventstore.streams import stream_of
from eventstore.trading import NoteAdded
from gateways.http.access import Scope
from gateways.http.account_names import named
from gateways.http.routes.asked import known
from gateways.http.routes.documented import responses
from gateways.http.routes.parameters import Calling, JSONBody, Serving
from gateways.presenting.note_targets import target_of, trading_days

if TYPE_CHECKING:
    from projections import Book

TAGS_MAX = 100
_KEY = "note"


class NoteBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A note. `target`: a log position, a record's id, a stream such as `order/ACC1/O-17`, or a day: `2025-11-19`.

    `id`: a UUID that the client drew; the same note sent again under it, after an answer was lost, is recorded once.
    """

    account: str
    target: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    text: str = ""
    tags: Annotated[tuple[str, ...], msgspec.Meta(max_length=TAGS_MAX)] = ()
    id: str | None = None


class NoteAnswer(msgspec.Struct, frozen=True):
    """The note's record."""

    record: SentRecord


@post("/v1/notes", opt={"scope": Scope.AUDIT}, status_code=200, responses=responses(404, 409, 507), tags=["audit"])
async def add_note(service: Serving, caller: Calling, data: JSONBody[NoteBody]) -> NoteAnswer:
    """Add a note to something of an account that the log has; the caller is its actor. It changes no figure."""
    account = named(data.account)
    caller.require(Scope.AUDIT, account)
    store = service.store.sync_store
    drawn = id_of(data.id, "/id")
    id_ = drawn or new_ids(1, store.clock.now_ns())[0]

    def about(book: Book) -> str:
        known(book, account, caller)
        try:
            return target_of(store, account, data.target, lambda: trading_days(book, account))
        except InvalidEvent as e:
            # What is wrong may be that it is another account's, whose streams this caller must not learn of.
            why = str(e) if caller.accounts is None else f"the log has no {data.target!r:.80} of account {account}"
            raise malformed("/target", why) from e

    event = NoteAdded(target=await service.ask(about), text=data.text, tags=data.tags)
    stream = stream_of("note", account, str(uuid.UUID(bytes=id_)))
    [record] = await service.book.append(stream, event, actor=caller.name, key=_KEY)
    return NoteAnswer(sent_record(record))


ROUTES = (add_note,)
