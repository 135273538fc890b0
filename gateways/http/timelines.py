"""Pages of a timeline, for routes: which records they have, and what is said of each."""

from __future__ import annotations

import itertools
import uuid
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore.remote.wire import malformed
from eventstore.streams import stream_of
from gateways.http.visibility import reader_for, sees_stream
from gateways.presenting.documents import plain
from gateways.presenting.entries import entry_document
from gateways.presenting.presenter import Presenter
from projections import auditing
from projections.auditing import TimelineSelection, WantedRecords, find_records
from projections.auditing.selection import OCCURRED
from projections.auditing.timeline import entries_of, page
from projections.view import SHARED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from eventstore import EventStore, Record
    from gateways.http.access import Caller
    from gateways.http.service import Service
    from projections.auditing import Entry
    from projections.book import Book

FOLDED_MAX = 1_000
"""How many entries a page has at most that say what each record changed: each is folded."""
TAGGED_MAX = 10_000
"""How many records with a tag are looked at."""


class TimelineAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A page of entries, oldest first, and where the pages before and after it begin.

    `next_after` and `next_before` are None at the log's ends. `searched_until`: the search ended at this position,
    before the page was full, since it had looked at as many records as it may; the page beyond continues it. `head` is
    the log's last position.
    """

    entries: list[dict[str, Any]]
    by: str
    next_after: int | None
    next_before: int | None
    searched_until: int | None
    head: int


class TimelineQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What a page of a timeline is asked for with, beside its selection."""

    selection: TimelineSelection
    after: int | None = None
    before: int | None = None
    limit: int
    symbol: str | None = None
    order: str | None = None
    text: str | None = None
    tag: str | None = None
    is_folded: bool = False
    shown: Presenter

    @property
    def zone(self) -> Any:  # noqa: ANN401 - a zone, or None
        """The zone of the times in sentences: the one that was asked for, else the account's."""
        return self.shown.stated


def timeline_page(book: Book, service: Service, caller: Caller, asked: TimelineQuestion) -> TimelineAnswer:
    """Return a page of what a caller may see; call this in a thread, with a book that is up to date."""
    if asked.is_folded and asked.limit > FOLDED_MAX:
        raise malformed("/limit", f"with changes a page has at most {FOLDED_MAX:,} entries")
    if asked.selection.by == OCCURRED:
        return _by_occurrence(service, caller, asked)
    store = service.store.sync_store
    found = find_records(
        store, _wanted(book, store, caller, asked), after=asked.after, before=asked.before, limit=asked.limit
    )
    head = store.head()
    cut_off = len(found.records) < asked.limit
    backwards = asked.before is not None
    searched = found.after + 1 if backwards else found.until
    is_at_end = found.is_first if backwards else found.is_last
    return TimelineAnswer(
        entries=_documents(_entries(book, service, caller, asked, found.records), asked.shown),
        by=asked.selection.by,
        next_after=None if found.is_last else found.until,
        next_before=None if found.is_first else found.after + 1,
        searched_until=searched if cut_off and not is_at_end else None,
        head=head,
    )


def _by_occurrence(service: Service, caller: Caller, asked: TimelineQuestion) -> TimelineAnswer:
    """Return a page in the order of occurrence: every record of the selection is looked at, whatever its position."""
    narrowed = (asked.before, asked.symbol, asked.order, asked.text, asked.tag)
    if any(each is not None for each in narrowed):
        raise malformed(
            "/by",
            "in the order of occurrence pages go forwards, and are of an account, types and an actor: leave out "
            "before, symbol, order, text and tag",
        )
    reader = reader_for(caller, service.store.sync_store)
    found = page(reader, asked.selection, after=asked.after or 0, limit=min(asked.limit, FOLDED_MAX), zone=asked.zone)
    return TimelineAnswer(
        entries=_documents(found, asked.shown),
        by=found.by,
        next_after=found.next_after,
        next_before=None,
        searched_until=None,
        head=reader.head(),
    )


def _entries(
    book: Book, service: Service, caller: Caller, asked: TimelineQuestion, records: Sequence[Record]
) -> Iterable[Entry]:
    if not asked.is_folded:
        return auditing.glances(book, records, service.amendments(), zone=asked.zone)
    return folded_entries(service, caller, records, account=asked.selection.account, zone=asked.zone)


def folded_entries(
    service: Service,
    caller: Caller,
    records: Sequence[Record],
    *,
    account: str | None,
    zone: Any,  # noqa: ANN401
) -> Iterable[Entry]:
    """Return entries with what each record changed, of the accounts that a caller may see alone."""
    reader = reader_for(caller, service.store.sync_store)
    selection = TimelineSelection.of(account=account, types=None, actor=None, start=None, stop=None, by="recorded")
    folded = selection.folded
    if caller.accounts is not None:
        folded = (caller.accounts if folded is None else folded & caller.accounts) | {SHARED}
    return entries_of(reader, records, account=account, folded=folded, zone=zone)


def _documents(entries: Iterable[Entry], shown: Presenter) -> list[dict[str, Any]]:
    return [entry_document(entry, shown.document_zone) for entry in entries]


def _wanted(book: Book, store: EventStore, caller: Caller, asked: TimelineQuestion) -> WantedRecords:
    """Return what is looked for, and of what: an order's stream, a contract's names, the records with a tag."""
    account, stream = asked.selection.account, None
    # Of what belongs to an account all may be seen by who sees the account.
    is_partly_seen = caller.accounts is not None and account == SHARED
    if asked.order is not None:
        if account in {None, SHARED}:
            raise malformed("/account", "an order is of an account: name both")
        stream = stream_of("order", account or "", asked.order)
    return WantedRecords(
        asked.selection,
        stream=stream,
        symbols=frozenset() if asked.symbol is None else _names_of(book, asked.symbol),
        text=asked.text,
        positions=None if asked.tag is None else _tagged(book, store, caller, account, asked.tag),
        sees=(lambda stream: sees_stream(caller, stream)) if is_partly_seen else None,
    )


def _names_of(book: Book, symbol: str) -> frozenset[str]:
    """Return all names of the contract that a symbol is one of."""
    contract = book.contracts.find(symbol)
    if contract is None:
        return frozenset({symbol})
    return frozenset({symbol, contract.symbol, *contract.broker_ids})


def _tagged(book: Book, store: EventStore, caller: Caller, account: str | None, tag: str) -> list[int]:
    """Return the positions of the records, and of those in the streams, that have a tag and may be seen."""
    accounts = [*book.accounts.known(), SHARED] if account is None else [account]
    targets = {note.target for each in accounts for note in book.notes.of(each, tag=tag)}
    return sorted(set(itertools.islice(_positions(store, caller, targets), TAGGED_MAX)))


def _positions(store: EventStore, caller: Caller, targets: set[str]) -> Iterator[int]:
    for target in sorted(targets):
        if "/" not in target:
            record = store.find(uuid.UUID(target))
            if record is not None and sees_stream(caller, record.stream):
                yield record.position
        elif sees_stream(caller, target):
            yield from (position for rows in store.rows((), stream=target) for (position,) in rows)


def record_document(service: Service, caller: Caller, record: Record, shown: Presenter) -> dict[str, Any]:
    """Return a record as an entry, with its causes and effects and the path of its proof; call this in a thread."""
    zone = shown.stated
    (entry,) = folded_entries(service, caller, [record], account=record.account, zone=zone)
    reader = reader_for(caller, service.store.sync_store)
    found = auditing.why(reader, record, zone=shown.zone)
    links = plain(found, shown.document_zone)
    document = entry_document(entry, shown.document_zone)
    # What is not known of its effects is said beside what is not known of its changes.
    document["unknown"] += links["unknown"]
    members = ("figures", "causes", "effects", "effects_until", "head")
    return document | {name: links[name] for name in members} | {"proof": f"/v1/proofs/record/{record.position}"}
