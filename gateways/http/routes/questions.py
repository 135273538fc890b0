"""Questions of an audit: what differs, why something is so, what became of an order, which days were signed."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, get
from litestar.openapi.spec import Example
from litestar.params import PathParameter, QueryParameter

from eventstore import EventReader, InvalidEvent
from gateways.http.access import Caller, Scope
from gateways.http.answering import NotFound
from gateways.http.routes.answers import answer, encoded, member, reader_of, recorded_time, shown_in
from gateways.http.routes.documented import responses
from gateways.http.routes.parameters import Account, Calling, LogInstantText, Serving, ZoneName
from gateways.http.visibility import check_sees, reader_for
from gateways.presenting.comparisons import ComparedSide, comparison_document, differences_between, views_named
from gateways.presenting.documents import plain
from gateways.presenting.instants import clock_of, instant_of, time_of
from gateways.presenting.lifelines import lifeline_document
from gateways.presenting.presenter import Presenter
from projections import auditing

OPTIONS = {"scope": Scope.AUDIT}
LOCKOUT = "lockout"
First = Annotated[
    str, QueryParameter(description="An instant: a time, a log position, or a mark.", examples=[Example(value="1")])
]
Second = Annotated[str, QueryParameter(description="Another instant.", examples=[Example(value="1204")])]
Happened = Annotated[
    bool, QueryParameter(description="Compare what had happened by both instants, not what was known.")
]
KnownBy = Annotated[
    list[str] | None,
    QueryParameter(
        max_items=2, description="With `occurred_at`: as known at these two instants; by default now. Give it twice."
    ),
]
Views = Annotated[
    list[str] | None,
    QueryParameter(description="Compare these views; `all` for each.", examples=[Example(value=["orders", "limits"])]),
]
What = Annotated[
    str,
    PathParameter(
        max_length=400,
        description="A log position, a record's id, a stream's name (an escaped `%2F` in it as `%252F`), or, with "
        "`account`: `lockout` for its newest one, `realized`, `balance`, `position/SYMBOL`, or a limit's rule id.",
        examples=[Example(value="1204"), Example(value="order/ACC1/O-17"), Example(value="lockout")],
    ),
]
OrderName = Annotated[
    str, PathParameter(max_length=128, description="The order's id.", examples=[Example(value="O-17")])
]
Named = Annotated[str, PathParameter(description="The account.", examples=[Example(value="ACC1")])]
Everything = Annotated[bool, QueryParameter(description="Search all of the log for effects, however long it is.")]


@get("/v1/diff", opt={**OPTIONS, "question": "diff"}, responses=responses(), tags=["audit"])
async def diff(
    service: Serving,
    caller: Calling,
    first: First,
    second: Second,
    account: Account = None,
    occurred_at: Happened = False,
    known_by: KnownBy = None,
    view: Views = None,
    zone: ZoneName = None,
) -> Response[dict[str, Any]]:
    """Return what differs between two instants, with the records that changed it; the earlier one is `before`."""
    shown = shown_in(zone)
    reader = reader_of(service, caller, account)
    if known_by is not None and not (occurred_at and len(known_by) == 2):  # noqa: PLR2004 - one for each instant
        with member("/known_by"):
            msg = "known_by goes with occurred_at=true, and is given twice: for the first instant, and for the second"
            raise InvalidEvent(msg)

    def ask() -> bytes:
        with member("/view"):
            views = views_named(view)
        texts = (("first", first), ("second", second))
        if occurred_at:
            sides = [
                _happened(reader, text, by, shown) for text, by in zip(texts, known_by or (None, None), strict=True)
            ]
        else:
            sides = [_recorded(reader, *text, shown) for text in texts]
        earlier, later = sorted(sides)
        found = differences_between(reader, (earlier, later), views, account)
        return encoded(comparison_document(reader.log, (earlier, later), found, shown.document_zone))

    return answer(await service.audit(ask))


def _recorded(reader: EventReader, name: str, text: str, shown: Presenter) -> ComparedSide:
    with member(f"/{name}"):
        instant = instant_of(reader, text, shown.zone)
    return ComparedSide(None, instant.position, instant.recorded_at)


def _happened(reader: EventReader, text: tuple[str, str], known_by: str | None, shown: Presenter) -> ComparedSide:
    with member(f"/{text[0]}"):
        at = time_of(reader, text[1], shown.zone)
    if known_by is None:
        return ComparedSide(at, reader.head(), clock_of(reader).now_ns())
    known = _recorded(reader, "known_by", known_by, shown)
    return ComparedSide(at, known.log_position, known.recorded_at)


@get(
    "/v1/why/{about:path}",
    opt={**OPTIONS, "shared": True, "question": "why"},
    responses=responses(404),
    tags=["audit"],
)
async def why(
    service: Serving,
    caller: Calling,
    about: What,
    account: Account = None,
    at: LogInstantText = None,
    all: Everything = False,
    zone: ZoneName = None,
) -> Response[dict[str, Any]]:
    """Return the records that something rests on, up to its first causes, and those that followed from it.

    A key for some accounts is answered from the records that it may see alone.
    """
    shown = shown_in(zone)
    reader = reader_for(caller, service.store.sync_store)
    about = about.removeprefix("/")

    def ask() -> bytes:
        _check_place(service.store.sync_store, caller, about)
        as_of = recorded_time(reader, "at", at, shown)
        with member("/about"):
            found = auditing.why(reader, about, account=account, at=as_of, everything=all, zone=shown.zone)
        return encoded(plain(found, shown.document_zone))

    return answer(await service.audit(ask))


def _check_place(reader: EventReader, caller: Caller, about: str) -> None:
    """Raise NotAllowed for a position that a caller may not see, NotFound for one that the log does not have."""
    if about.isdecimal() and about.isascii():
        position = int(about)
        record = next(reader.read(after=max(position - 1, 0), until=position, limit=1), None)
        if record is None or record.position != position:
            msg = f"position {about} is not in the log, which ends at {reader.head()}"
            raise NotFound(msg)
        check_sees(caller, record)


@get(
    "/v1/orders/{account:str}/{order_id:str}/lifeline",
    opt={**OPTIONS, "question": "lifeline"},
    responses=responses(404),
    tags=["audit"],
)
async def lifeline(
    service: Serving,
    caller: Calling,
    account: Named,
    order_id: OrderName,
    occurred_at: LogInstantText = None,
    known_by: LogInstantText = None,
    zone: ZoneName = None,
) -> Response[dict[str, Any]]:
    """Return an order from submission to end: each step by both times, how long answers took, what is missing."""
    shown = shown_in(zone)
    reader = reader_for(caller, service.store.sync_store)

    def ask() -> bytes:
        happened = None
        if occurred_at is not None:
            with member("/occurred_at"):
                happened = time_of(reader, occurred_at, shown.zone)
        known = recorded_time(reader, "known_by", known_by, shown)
        found = auditing.lifeline(reader, account, order_id, occurred_at=happened, recorded_at=known)
        if not found.steps:
            raise NotFound(found.sentence)
        return encoded(lifeline_document(found, shown.document_zone))

    return answer(await service.audit(ask))


@get("/v1/statement", opt={**OPTIONS, "question": "statement"}, responses=responses(), tags=["audit"])
async def signed_days(
    service: Serving, caller: Calling, account: Account = None, zone: ZoneName = None
) -> Response[dict[str, Any]]:
    """Return the trading days that somebody signed, by whom and with which breaks, and what has changed of them since.

    A broker's statement itself is compared where its file is: `eventstore statement FILE`, which signs too.
    """
    shown = shown_in(zone)
    reader = reader_of(service, caller, account)

    def ask() -> bytes:
        found = auditing.signed_days(reader, account=account)
        document = {"log": reader.log, "log_position": reader.head(), "days": plain(found, shown.document_zone)}
        return encoded(document)

    return answer(await service.audit(ask))


ROUTES = (diff, why, lifeline, signed_days)
