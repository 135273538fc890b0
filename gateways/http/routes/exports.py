"""Exports that are sent while they are made: a bundle with its proof, and records as JSON lines or as CSV."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
from litestar import get
from litestar.di import NamedDependency, Provide
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import QueryParameter
from litestar.types import ASGIApp
from msgspec.structs import replace

from eventstore import CheckpointSettings, CorruptJournal, EventReader, EventStore, Record
from eventstore.proofs import Checkpoint, stream_bundle
from eventstore.proofs.checkpoint_file import CheckpointFile
from eventstore.proofs.continuity import last_covered
from eventstore.proofs.key_files import key_folder
from eventstore.proofs.lines import line_of
from eventstore.proofs.standalone import verify_bundle as program
from eventstore.record import Digester
from eventstore.remote.wire import sent_record
from eventstore.streams import check_pattern
from gateways.http.access import Caller, NotAllowed, Scope
from gateways.http.answering import RequestRefused
from gateways.http.routes.answers import member, reader_of, recorded_time, shown_in
from gateways.http.routes.documented import responses
from gateways.http.routes.parameters import Account, After, Calling, LogInstantText, Serving, Types, ZoneName
from gateways.http.service import Service
from gateways.http.streaming import Leaving, StreamedAnswer
from gateways.http.visibility import reader_for
from gateways.presenting.presenter import Presenter
from gateways.presenting.timeline_page import TIMELINE, bundle_page
from projections.view import SHARED

OPTIONS = {"scope": Scope.AUDIT, "question": "export"}
RECORDS_OPTIONS = {**OPTIONS, "shared": True}
LINES_AT_ONCE = 500
CheckpointChoice = Annotated[
    Literal["newest", "new"],
    QueryParameter(
        description="Prove by the newest signed checkpoint that there is, which may lack the newest records; or sign a "
        "new one first, which needs the service to have the log's key."
    ),
]
Stream = Annotated[
    str | None,
    QueryParameter(
        description="Only this stream, or those with this prefix.",
        examples=[Example(value="order/ACC1/")],
    ),
]


def _streamed(media_type: str, description: str) -> dict[int, ResponseSpec]:
    return {200: ResponseSpec(bytes, description=description, media_type=media_type, generate_examples=False)}


@get(
    "/v1/export",
    opt=OPTIONS,
    responses={**responses(409), **_streamed("application/zip", "A bundle: verify_bundle.py in it checks it.")},
    tags=["export"],
)
async def export_bundle(
    service: Serving,
    caller: Calling,
    account: Account = None,
    types: Types = None,
    start: LogInstantText = None,
    stop: LogInstantText = None,
    checkpoint: CheckpointChoice = "newest",
    zone: ZoneName = None,
) -> ASGIApp:
    """Return records with their proof, as `eventstore export --bundle` writes them.

    That is a zip with a program of the standard library that verifies it. It is sent while it is made: a connection
    that is cut has not given a bundle. A key for some accounts names one.
    """
    shown = shown_in(zone)
    reader_of(service, caller, account)
    if account == SHARED and caller.accounts is not None:
        msg = f"key {caller.name!r} may not see all that belongs to no account: export the records as JSON lines"
        raise NotAllowed(msg)
    store, reader = service.store.sync_store, reader_for(caller, service.store.sync_store)

    def made(leaving: Leaving) -> Iterator[bytes]:
        first, last = (recorded_time(reader, *each, shown) for each in (("start", start), ("stop", stop)))
        after = 0 if first is None else store.position_before(first)
        folder = key_folder()
        signed = _checkpoint(store, checkpoint)
        until = store.head() if last is None else store.position_before(last)
        if signed is not None:
            until = min(until, last_covered(store, signed.head))

        def page() -> bytes:
            return bundle_page(reader, shown, account=account, types=types, after=after, until=until).encode()

        return stream_bundle(
            store,
            _directory(store),
            checkpoint=signed,
            signers=folder.signers(store.log_id),
            keys=[stored.public for stored in folder.of_log(store.log_id)],
            account=account,
            types=types,
            after=after,
            until=until,
            pages={TIMELINE: page},
            progress=leaving.check,
        )

    return StreamedAnswer(service, made, "application/zip", f"{store.log}-bundle.zip")


def _checkpoint(store: EventStore, choice: str) -> Checkpoint | None:
    if choice == "newest":
        return None if store.side is None else CheckpointFile(store.side).covering(0)
    if not key_folder().signers(store.log_id):
        title, detail = "NoKey", "the service has no key that signs this log"
        next_ = "Ask for the newest checkpoint, or run eventstore keys new where the service runs."
        raise RequestRefused(409, title, detail, next_)
    return store.checkpoint(CheckpointSettings.load()).checkpoint


def _directory(store: EventStore) -> Path:
    """Return where what is not sent yet may lie: for a log on a server, this system's place for such files."""
    return Path(tempfile.gettempdir()) if store.directory is None else store.directory


class ExportedRecords(msgspec.Struct, frozen=True, kw_only=True):
    """Which records are exported, as the query names them."""

    account: str | None
    stream: str | None
    types: list[str] | None
    start: str | None
    stop: str | None
    after: int

    def reader(self, service: Service, caller: Caller) -> EventReader:
        """Return what they are read from; raise NotAllowed for an account that a caller may not see."""
        account = self.account
        if account is None and self.stream is not None and self.stream.count("/") > 1:
            with member("/stream"):
                check_pattern(self.stream)
            account = self.stream.split("/")[1]
            caller.require(Scope.AUDIT, None if account == SHARED else account)
        return reader_of(service, caller, account)

    def read(self, reader: EventReader, shown: Presenter) -> Iterator[Record]:
        """Yield the records, oldest first; arguments are checked at once."""
        first, last = (recorded_time(reader, *each, shown) for each in (("start", self.start), ("stop", self.stop)))
        return reader.read(
            after=self.after if first is None else max(self.after, reader.position_before(first)),
            until=None if last is None else reader.position_before(last),
            account=self.account,
            stream=self.stream,
            types=self.types,
        )


def chosen_records(
    account: Account = None,
    stream: Stream = None,
    types: Types = None,
    start: LogInstantText = None,
    stop: LogInstantText = None,
    after: After = 0,
) -> ExportedRecords:
    """Return which records a query names."""
    return ExportedRecords(account=account, stream=stream, types=types, start=start, stop=stop, after=after)


Chosen: TypeAlias = NamedDependency[ExportedRecords]
CHOSEN = {"chosen": Provide(chosen_records, sync_to_thread=False)}


@get(
    "/v1/export.jsonl",
    opt=RECORDS_OPTIONS,
    dependencies=CHOSEN,
    responses={**responses(), **_streamed("application/jsonl", "A record a line, as `/v1/records` has them.")},
    tags=["export"],
)
async def export_lines(service: Serving, caller: Calling, chosen: Chosen, zone: ZoneName = None) -> ASGIApp:
    """Return records as JSON lines, oldest first, sent while they are read."""
    reader, shown = chosen.reader(service, caller), shown_in(zone)

    def made(leaving: Leaving) -> Iterator[bytes]:
        return _joined((_line(record) for record in chosen.read(reader, shown)), leaving)

    return StreamedAnswer(service, made, "application/jsonl", f"{service.store.log}-records.jsonl")


@get(
    "/v1/export.csv",
    opt=RECORDS_OPTIONS,
    dependencies=CHOSEN,
    responses={**responses(), **_streamed("text/csv", "A record a row (RFC 4180), as in a bundle's records.csv.")},
    tags=["export"],
)
async def export_table(service: Serving, caller: Calling, chosen: Chosen, zone: ZoneName = None) -> ASGIApp:
    """Return records as CSV, oldest first, sent while they are read.

    A cell that a spreadsheet would take for a formula begins with an apostrophe.
    """
    reader, shown = chosen.reader(service, caller), shown_in(zone)

    def made(leaving: Leaving) -> Iterator[bytes]:
        return _joined(_rows(service.store.sync_store, chosen.read(reader, shown)), leaving, program.TABLE_HEAD)

    return StreamedAnswer(service, made, "text/csv; charset=utf-8", f"{service.store.log}-records.csv")


def _line(record: Record) -> bytes:
    return msgspec.json.encode(sent_record(record)) + b"\n"


def _rows(store: EventStore, records: Iterable[Record]) -> Iterator[bytes]:
    """Yield the rows of records as a bundle has them, which are checked against their digests on the way."""
    lines, number = program.Lines(store.log_id), 0
    earlier: dict[bytes, program.Lines] = {}
    digester = Digester(store.log_id)
    for number, record in enumerate(records, 1):
        shown = record
        try:
            if store.chain is not None:
                # Its digest is of the numbers that it has in its own log, and the row has those of all logs as one.
                log_id, own = store.chain.in_its_log(record)
                earlier.setdefault(log_id, program.Lines(log_id)).record(line_of(own)[:-1], number)
                shown = replace(record, digest=digester.digest(record))
            yield lines.record(line_of(shown)[:-1], number).csv.encode()
        except program.NotSo as e:
            raise CorruptJournal(record.position, e.reason) from e


def _joined(parts: Iterable[bytes], leaving: Leaving, head: bytes = b"") -> Iterator[bytes]:
    """Yield many small parts as fewer large ones; the first one at once, so that an answer begins."""
    waiting = [head]
    for number, part in enumerate(parts):
        waiting.append(part)
        if not number % LINES_AT_ONCE:
            leaving.check()
            yield b"".join(waiting)
            waiting = []
    yield b"".join(waiting)


ROUTES = (export_bundle, export_lines, export_table)
