"""`export`: a log as typed tables for other programs and databases, or as a bundle that proves its records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eventstore import InvalidEvent
from eventstore.proofs.key_files import key_folder
from gateways.cli import bundles, options, records
from gateways.cli.evidence import CheckpointPath
from gateways.cli.keys import Keys
from gateways.cli.options import CommonOptions
from gateways.cli.queries import open_query
from gateways.cli.read import Start, Stop, last_before
from gateways.presenting.documents import plain
from gateways.presenting.output import note, put, put_json

Parquet = Annotated[
    Path | None, typer.Option("--parquet", metavar="DIR", help="New directory, a Parquet file per table.")
]
Csv = Annotated[Path | None, typer.Option("--csv", metavar="DIR", help="New directory, a CSV per table (RFC 4180).")]
BundleFile = Annotated[
    Path | None,
    typer.Option("--bundle", metavar="FILE", help="New zip of records with their proof, for a third party."),
]
Sql = Annotated[Path | None, typer.Option("--sql", metavar="FILE", help="New file that psql loads into PostgreSQL.")]


@options.command(url=True, read_only=True, zone=True)
def export(
    common: CommonOptions,
    *,
    parquet: Parquet = None,
    csv: Csv = None,
    sql: Sql = None,
    bundle: BundleFile = None,
    checkpoint: CheckpointPath = None,
    folder: Keys = None,
    account: options.Account = None,
    types: records.Types = None,
    start: Start = None,
    stop: Stop = None,
) -> None:
    """Export typed tables, one for each type of event (order_filled, lockout_set), or a bundle that proves its records.

    Figures are exact and instants keep nine digits: in SQL each has a column in nanoseconds beside its timestamptz. A
    bundle has the records as JSON lines and CSV, their proof up to a signed checkpoint (a new one, where a key is at
    hand), and a program that verifies it. The export is there whole or not at all, and nothing is overwritten.
    """
    forms = (("parquet", parquet), ("csv", csv), ("sql", sql), ("bundle", bundle))
    given = {form: target for form, target in forms if target is not None}
    if len(given) != 1:
        msg = "give one of --parquet DIR, --csv DIR, --sql FILE and --bundle FILE"
        raise InvalidEvent(msg)
    ((form, target),) = given.items()
    if form == "bundle":
        chosen = bundles.Chosen(account, types, start, stop)
        bundles.export_bundle(common, target, chosen, checkpoint, key_folder(folder))
        return
    if checkpoint is not None or folder is not None:
        msg = "--checkpoint and --keys belong to --bundle"
        raise InvalidEvent(msg)
    from projections import analysis

    with open_query(common, account) as query:
        found = analysis.export(
            query.store,
            target,
            form,
            account=account,
            types=types,
            after=0 if start is None else last_before(query, start),
            until=None if stop is None else last_before(query, stop),
        )
        if not found.rows:
            records.note_no_records(query, account, types)
    for name in found.text_decimals:
        note(f"the decimals of {name} are text: one of them has more digits than decimal128(38, 9)")
    if common.as_json:
        put_json({"log": common.log, "target": str(target), "form": form, **plain(found)})
        return
    put(f"exported {found.rows:,} rows in {len(found.tables):,} tables to {target}")
    for name, rows in found.tables.items():
        put(f"{name}  {rows:,}")
