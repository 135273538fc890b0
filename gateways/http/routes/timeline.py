"""The timeline: records as sentences, in pages both ways; one record whole; and what people changed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar import Response, get
from litestar.openapi.spec import Example
from litestar.params import QueryParameter

from gateways.http.access import Scope
from gateways.http.answering import NotFound
from gateways.http.routes.answers import answer, encoded, occurred_time, reader_of, recorded_time, shown_in
from gateways.http.routes.documented import responses
from gateways.http.routes.parameters import (
    POSITION_MAX,
    Account,
    Calling,
    LogInstantText,
    LogPosition,
    Serving,
    Types,
    ZoneName,
)
from gateways.http.timelines import (
    FOLDED_MAX,
    TimelineAnswer,
    TimelineQuestion,
    record_document,
    timeline_page,
)
from gateways.http.visibility import check_sees
from gateways.presenting.entries import entry_document
from projections.auditing import TimelineSelection, selection_of_changes
from projections.auditing.timeline import page
from projections.book import Book

OPTIONS = {"scope": Scope.AUDIT, "shared": True}
Past = Annotated[
    int | None,
    QueryParameter(
        ge=0, le=POSITION_MAX, description="The first entries past this log position.", examples=[Example(value=0)]
    ),
]
Before = Annotated[
    int | None,
    QueryParameter(
        ge=1,
        le=POSITION_MAX,
        description="The last ones before this log position.",
        examples=[Example(value=1_000_000)],
    ),
]
PageSize = Annotated[int, QueryParameter(ge=1, le=10_000, description="At most so many entries.")]
FoldedSize = Annotated[int, QueryParameter(ge=1, le=FOLDED_MAX, description="At most so many entries.")]
Actor = Annotated[
    str | None,
    QueryParameter(description="Only what this actor recorded, or this person.", examples=[Example(value="ann")]),
]
Symbol = Annotated[
    str | None,
    QueryParameter(
        min_length=1,
        description="Only what concerns this contract, by any of its names.",
        examples=[Example(value="ESZ5")],
    ),
]
OrderName = Annotated[
    str | None,
    QueryParameter(
        min_length=1, max_length=128, description="Only this order of the account.", examples=[Example(value="O-17")]
    ),
]
Text = Annotated[
    str | None,
    QueryParameter(
        min_length=1,
        max_length=200,
        description="Only records with this text, in any case, in stream, type, actor, note or data. So many records "
        "are searched for one page; `searched_until` says where it stopped.",
        examples=[Example(value="daily-loss")],
    ),
]
Tag = Annotated[
    str | None,
    QueryParameter(min_length=1, description="Only records that have this tag.", examples=[Example(value="breakout")]),
]
Order = Annotated[
    Literal["recorded", "occurred"],
    QueryParameter(description="The time that orders the entries, and that start and stop bound."),
]
WithChanges = Annotated[
    bool, QueryParameter(description="With what each record changed, which takes longer: at most 1,000 entries.")
]


@get("/v1/timeline", opt={**OPTIONS, "question": "timeline"}, responses=responses(), tags=["audit"])
async def timeline(
    service: Serving,
    caller: Calling,
    account: Account = None,
    types: Types = None,
    actor: Actor = None,
    start: LogInstantText = None,
    stop: LogInstantText = None,
    by: Order = "recorded",
    after: Past = None,
    before: Before = None,
    limit: PageSize = 200,
    symbol: Symbol = None,
    order: OrderName = None,
    text: Text = None,
    tag: Tag = None,
    changes: WithChanges = False,
    zone: ZoneName = None,
) -> Response[TimelineAnswer]:
    """Return a page of records, each as a sentence with its marks, notes and tags; with `changes` what it changed.

    Entries are in the order of the log, the oldest first, also those of a page that was asked for with `before`.
    """
    shown = shown_in(zone)
    reader = reader_of(service, caller, account)
    time_of = occurred_time if by == "occurred" else recorded_time

    def ask(book: Book) -> bytes:
        selection = TimelineSelection.of(
            account=account,
            types=types,
            actor=actor,
            start=time_of(reader, "start", start, shown),
            stop=time_of(reader, "stop", stop, shown),
            by=by,
        )
        asked = TimelineQuestion(
            selection=selection,
            after=after,
            before=before,
            limit=limit,
            symbol=symbol,
            order=order,
            text=text,
            tag=tag,
            is_folded=changes,
            shown=shown,
        )
        return encoded(timeline_page(book, service, caller, asked))

    if not changes and by == "recorded":
        return answer(await service.ask(ask))
    await service.book.refresh()
    return answer(await service.audit(lambda: ask(service.book.sync_book)))


@get("/v1/timeline/{position:int}", opt={**OPTIONS, "question": "timeline"}, responses=responses(404), tags=["audit"])
async def timeline_record(
    service: Serving, caller: Calling, position: LogPosition, zone: ZoneName = None
) -> Response[dict[str, Any]]:
    """Return one record whole: its members, what it changed, its causes and effects, and where its proof is."""
    shown = shown_in(zone)

    def ask() -> bytes:
        store = service.store.sync_store
        record = next(store.read(after=position - 1, until=position, limit=1), None)
        if record is None:
            msg = f"position {position} is not in the log, which ends at {store.head()}"
            raise NotFound(msg)
        check_sees(caller, record)
        return encoded(record_document(service, caller, record, shown))

    return answer(await service.audit(ask))


@get("/v1/changes", opt={**OPTIONS, "question": "changes"}, responses=responses(), tags=["audit"])
async def changes_by_people(
    service: Serving,
    caller: Calling,
    by: Actor = None,
    account: Account = None,
    start: LogInstantText = None,
    stop: LogInstantText = None,
    after: Past = None,
    limit: FoldedSize = 200,
    zone: ZoneName = None,
) -> Response[TimelineAnswer]:
    """Return a page of what people set, cleared, corrected or reopened: by whom, when, and with what effect."""
    shown = shown_in(zone)
    reader = reader_of(service, caller, account)

    def ask() -> bytes:
        first, last = (recorded_time(reader, *each, shown) for each in (("start", start), ("stop", stop)))
        selection = selection_of_changes(by=by, account=account, start=first, stop=last)
        found = page(reader, selection, after=after or 0, limit=limit, zone=shown.stated)
        return encoded(
            TimelineAnswer(
                entries=[entry_document(entry, shown.document_zone) for entry in found],
                by=found.by,
                next_after=found.next_after,
                next_before=None,
                searched_until=None,
                head=reader.head(),
            )
        )

    return answer(await service.audit(ask))


ROUTES = (timeline, timeline_record, changes_by_people)
