"""`dispute`: one account and trading day as a pack that a third party can read, print and verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from eventstore import EventReader, InvalidEvent, TargetExists
from eventstore.proofs import Bundle
from eventstore.proofs.key_files import key_folder
from gateways.cli import files, names, options
from gateways.cli.dispute_pack import write_pack
from gateways.cli.evidence import CheckpointPath
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.keys import Keys
from gateways.cli.lockouts import AccountName
from gateways.cli.options import CommonOptions
from gateways.cli.queries import LogQuery, open_query
from gateways.importers import MissingChoices, read_plan, stated_of
from gateways.importers.definitions import known_contracts
from gateways.presenting.documents import plain
from gateways.presenting.output import note, progress, put, put_json
from projections import auditing
from projections.auditing import Dispute, Stated

Day = Annotated[str, typer.Argument(metavar="DAY", help="Trading day, as 2026-11-18.")]
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="New zip file for the pack.")]
StatementFile = Annotated[
    Path | None,
    typer.Option("--statement", metavar="FILE", help="Broker's statement to compare with; any file import reads."),
]
StatementAccount = Annotated[
    str | None,
    typer.Option("--statement-account", metavar="NAME", help="Account of its rows, or its column; by default ACCOUNT."),
]
SHOWN_UNKNOWN = 10


@options.command(url=True, read_only=True, zone=True, exact=True)
@files.file_options("file", "account", "date", "alongside")
def dispute(
    common: CommonOptions,
    account: AccountName,
    day: Day,
    *,
    chosen: files.FileChoices,
    out: Out,
    statement: StatementFile = None,
    statement_account: StatementAccount = None,
    checkpoint: CheckpointPath = None,
    folder: Keys = None,
) -> None:
    """Pack all that the log has about an account's trading day, for a dispute: pages to read and print, and proof.

    The pack is a bundle: index.html says who was locked, when, by which limit and figure, and the executions behind it;
    below are the limits and who set them, the headroom, the quotes that were kept, the firm's own figures, the breaks
    of a statement, and what is not known. verify_bundle.py in it checks the records by the log's signed checkpoint.

    Exit code 1 if there is nothing about the day.
    """
    _check(out, chosen, statement)
    with open_query(common, account) as query:
        if not names.note_account(query.store, account):
            end_with_problem()
        stated = (
            None if statement is None else _stated(query.store, common, chosen, (statement, statement_account, account))
        )
        with progress("reading the day") as _:
            found = auditing.dispute(query.store, account, day, stated=stated, zone=query.shown.zone)
        if not found.has_records:
            note(f"{account} has no records on {found.trading_day}, and no lockout held: nothing was written")
            end_with_problem()
        with progress("packing") as step:
            written = write_pack(
                query.store,
                found,
                out,
                checkpoint=checkpoint,
                folder=key_folder(folder),
                shown=query.shown,
                progress=step,
            )
        _put(query, found, out, written, as_json=common.as_json)


def _check(out: Path, chosen: files.FileChoices, statement: Path | None) -> None:
    if out.exists() or out.is_symlink():
        msg = f"{out} exists already: name a new place for the pack"
        raise TargetExists(msg)
    if statement is None and chosen != files.FileChoices():
        msg = "options about a file's rows belong to --statement FILE: give that too"
        raise InvalidEvent(msg)


def _stated(
    store: EventReader, common: CommonOptions, chosen: files.FileChoices, given: tuple[Path, str | None, str]
) -> Stated:
    """Return what the statement says; rows that name no account are of the one that is asked about."""
    path, named, account = given
    contracts = known_contracts(store)

    def read(choices: files.FileChoices) -> Stated:
        with files.bars() as step:
            return stated_of(
                read_plan(choices.path("compare"), choices.name, contracts, **choices.options(common, step))
            )

    def read_of_account(choices: files.FileChoices) -> Stated:
        try:
            return read(choices)
        except MissingChoices as e:
            if named is not None or all(question.key != "account" for question in e.questions):
                raise
            return read(msgspec.structs.replace(choices, account=account))

    return files.with_answers(common, msgspec.structs.replace(chosen, file=path, account=named), read_of_account)


def _put(query: LogQuery, found: Dispute, out: Path, written: Bundle, *, as_json: bool) -> None:
    zone = query.shown.document_zone
    if as_json:
        lockouts = [plain(each.lockout, zone) | {"position": each.position} for each in found.lockouts]
        summary = {
            "log": found.log,
            "account": found.account,
            "trading_day": str(found.trading_day),
            "sentence": found.said(query.shown.time),
            "records": len(found.timeline),
            "lockouts": lockouts,
            "breaks": None if found.statement is None else len(found.statement.breaks),
            "unknown": list(found.unknown),
            "target": str(out),
            "bundle": plain(written),
        }
        put_json(summary | query.missing_tail)
        return
    put(found.said(query.shown.time))
    put(f"{len(found.timeline):,} records, {len(found.lockouts):,} lockouts, {len(found.limits):,} settings of limits")
    if found.statement is not None:
        put(f"{found.statement.source}: {len(found.statement.breaks):,} breaks")
    for each in found.unknown[:SHOWN_UNKNOWN]:
        put(f"not known: {each}")
    if len(found.unknown) > SHOWN_UNKNOWN:
        put(f"not known: {len(found.unknown) - SHOWN_UNKNOWN:,} more, all in {out}")
    for text in written.proved:
        put(f"proved: {text}")
    for text in written.not_proved:
        put(f"not proved: {text}")
    put(f"{out}: open index.html in it; to check it: python verify_bundle.py FILE --key VKEY")
