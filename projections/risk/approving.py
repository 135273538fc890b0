"""Approving, as a second person, what waits: refused where it would count for nothing."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from eventstore import InvalidEvent
from eventstore.ids import new_ids
from eventstore.streams import stream_of
from eventstore.trading import Approved, LockoutCleared
from projections.risk.enforcement import stopping
from projections.view import GROUP, SHARED

if TYPE_CHECKING:
    from eventstore import Record
    from projections.book import Book


def approve(book: Book, account: str, request: Record, *, actor: str, note: str = "") -> list[Record]:
    """Approve a record of an account, or of a group `@NAME`, that waits for a second person; return what was appended.

    Raises InvalidEvent, with nothing appended, if the approval would count for nothing. If it resumes an account that
    was stopped, what the stop asked for is withdrawn.
    """
    why = book.approvals.why_ineffective(account, request.id, actor)
    if why is not None:
        msg = f"the record at position {request.position:,} was not approved: {why}"
        raise InvalidEvent(msg)
    stopped = _stopped(book, account)
    # What belongs to a group belongs to no account.
    name = SHARED if account.startswith(GROUP) else account
    id_ = uuid.UUID(bytes=new_ids(1, book.now_ns())[0])
    event = Approved(record=uuid.UUID(bytes=request.id))
    records = book.append(stream_of("approval", name, str(id_)), event, actor=actor, note=note)
    if stopped and isinstance(request.event, LockoutCleared) and not _stopped(book, account):
        batches = stopping.withdrawals(book, account, actor, "approved")
        records += book.append_many(batches) if batches else []
    return records


def _stopped(book: Book, account: str) -> bool:
    return not account.startswith(GROUP) and any(map(stopping.is_stop, book.lockouts.active(account, book.now_ns())))
