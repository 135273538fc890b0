"""`approve`: a second person agrees to what unlocks an account or loosens its limits; without a record, what waits."""

from __future__ import annotations

import uuid
from typing import Annotated

import typer

from eventstore import EventStore, InvalidEvent, Record
from eventstore.clock import derived_times
from eventstore.streams import unescaped
from eventstore.trading import GroupDefined
from gateways.cli import instants, options, stores, zones
from gateways.cli.options import CommonOptions
from gateways.cli.queries import open_account_query
from gateways.presenting.approvals import APPROVABLE, awaited_approvals, awaited_sentence, with_groups
from gateways.presenting.documents import plain, record_json
from gateways.presenting.output import note as put_note
from gateways.presenting.output import put, put_json
from gateways.presenting.presenter import Presenter
from projections import open as open_book
from projections.risk.approving import approve as approve_record
from projections.view import GROUP

Target = Annotated[
    str | None,
    typer.Argument(metavar="[RECORD]", help="Log position or id of a record to approve; by default, show what waits."),
]


@options.command(service=True, zone=True, exact=True)
def approve(
    common: CommonOptions,
    target: Target = None,
    *,
    account: options.Account = None,
    note: options.Note = "",
    actor: options.Actor = None,
) -> None:
    """Approve, as a second person, what unlocks an account or loosens its limits; without a record, show what waits.

    Who asked for it cannot approve it. An account says by `second_approver` in its settings who may.
    """
    if target is None:
        _put_waiting(common, account)
        return
    with stores.open_existing(common) as store, derived_times():
        record = _record(store, target)
        name = _account_of(record)
        if account not in {None, name}:
            msg = f"the record at position {record.position:,} is of {name}, not of {account}: nothing was approved"
            raise InvalidEvent(msg)
        with open_book(store, accounts=None if name.startswith(GROUP) else [name]) as book:
            records = approve_record(book, name, record, actor=actor or store.actor, note=note)
        shown = zones.presenter(common, store, None if name.startswith(GROUP) else name)
        if common.as_json:
            put_json([record_json(each, shown.document_zone) for each in records])
            return
        put(f"{name}: position {record.position} is approved: position {records[0].position}  {records[0].stream}")


def note_waiting(store: EventStore, record: Record, shown: Presenter) -> None:
    """Print a note if a record that was appended has no effect before a second person approves it."""
    if not isinstance(record.event, APPROVABLE):
        return
    name = _account_of(record)
    with open_book(store, accounts=None if name.startswith(GROUP) else [name]) as book:
        found = [each for each in awaited_approvals(book, [name]) if each.position == record.position]
    for each in found:
        put_note(awaited_sentence(each, shown))


def _put_waiting(common: CommonOptions, account: str | None) -> None:
    with open_account_query(common, account) as query:
        with query.open_book(with_groups=True) as book:
            accounts = [account] if account is not None else book.accounts.known()
            found = awaited_approvals(book, with_groups(book, accounts))
        if common.as_json:
            zone = query.shown.document_zone
            put_json({"waiting": [plain(each, zone) for each in found], **query.missing_tail})
            return
        for each in found:
            put(awaited_sentence(each, query.shown))
        if not found:
            put("nothing waits for approval")


def _record(store: EventStore, text: str) -> Record:
    if text.isdecimal() and text.isascii():
        return instants.record_at(store, int(text))
    try:
        id_ = uuid.UUID(text)
    except ValueError:
        msg = f"{text!r:.80} is not a record: give its log position or its id, which `approve` alone shows"
        raise InvalidEvent(msg) from None
    record = store.find(id_)
    if record is None:
        msg = f"log {store.log} has no record with id {id_}: `approve` without a record shows what waits"
        raise InvalidEvent(msg)
    return record


def _account_of(record: Record) -> str:
    """Return the account of what a record asks for, `@NAME` for a group's members."""
    return f"{GROUP}{unescaped(record.entity)}" if record.type == GroupDefined.__name__ else record.account
