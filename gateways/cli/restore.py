"""`restore`: restores a lost journal from InfluxDB."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eventstore import CorruptJournal, InfluxSettings, InvalidEvent, Refused, StorageWarning, Unavailable
from eventstore.chains.following import JOURNAL
from eventstore.journals.sqlite import SqliteJournal
from eventstore.locations import journal_path
from eventstore.side import FileSide
from gateways.cli import options
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.presenting.documents import plain
from gateways.presenting.output import note, progress, put, put_json

if TYPE_CHECKING:
    from eventstore.influx.repair.restore import Restored

FromInflux = Annotated[bool, typer.Option("--from-influx", help="Restore from the points in InfluxDB.")]
UpTo = Annotated[int | None, typer.Option(min=0, metavar="POSITION", help="Restore only up to this position.")]
Watermarks = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Watermarks to verify against; by default those left in the log's directory."),
]
Unproved = Annotated[
    bool, typer.Option("--unproved", help="Restore even if no root and no watermark proves that the log is complete.")
]
NoAdopt = Annotated[
    bool,
    typer.Option("--no-adopt", help="Do not take over shipping; run `eventstore adopt` for that later."),
]

RECENT_SECONDS = 60.0


@options.command()
def restore(
    common: CommonOptions,
    *,
    from_influx: FromInflux = False,
    up_to: UpTo = None,
    watermarks: Watermarks = None,
    unproved: Unproved = False,
    no_adopt: NoAdopt = False,
) -> None:
    """Restore a lost journal from InfluxDB, with the same log id, and verify it.

    Prints the acknowledged positions that InfluxDB does not have, as far as a watermark or the mirror recorded them:
    exit code 1. If there are no watermarks or roots to verify against, restores nothing, exit code 1, unless
    --unproved is given. A backup needs no restore: open it, or copy it into place.
    """
    if not from_influx:
        msg = "give --from-influx; a backup needs no restore: open it, or copy it into place"
        raise InvalidEvent(msg)
    from eventstore.influx.repair.restore import restore as restore_log

    settings = InfluxSettings.load()
    directory = journal_path(common.data, common.log).parent
    with progress("restoring") as step:
        found = restore_log(
            settings, directory, common.log, up_to=up_to, watermarks=watermarks, unproved=unproved, progress=step
        )
    # The journal alone: of a rotated log, those before it and after it may have to be restored yet.
    with contextlib.closing(SqliteJournal(directory / JOURNAL, log=common.log)) as journal:
        log_id = journal.log_id
    adopted = not no_adopt and _adopt(settings, directory, common.log, log_id)
    if common.as_json:
        put_json({"log": common.log, "log_id": log_id.hex(), "adopted": adopted, **plain(found)})
    else:
        _put_restored(found, common.data, adopted=adopted)
    _note_what_it_needs(common)
    if found.acknowledged > found.position:
        end_with_problem()


def _note_what_it_needs(common: CommonOptions) -> None:
    """Say why the store does not open with the restored log: a rotation ended it, and not all of its logs are here."""
    try:
        with warnings.catch_warnings(action="ignore", category=StorageWarning):
            common.opened().close()
    except (Unavailable, CorruptJournal) as e:
        note(f"log {common.log} is restored, but does not open to append yet: {e}")


def _adopt(settings: InfluxSettings, directory: Path, log: str, log_id: bytes) -> bool:
    from eventstore.influx.repair import restore as restoring

    try:
        before = restoring.adopt(settings, FileSide(directory), log, log_id)
        seconds = restoring.seconds_since_heartbeat(settings, log)
    except Refused as e:
        note(f"the journal is restored, but cannot ship yet: {e}. Then run `eventstore adopt`")
        return False
    if seconds is not None and seconds < RECENT_SECONDS:
        note(
            f"the copy on {before.host} shipped {seconds:.0f} s ago. If it still runs, two journals of one log are "
            "being appended to: stop it, or run `eventstore adopt` there to let it ship again"
        )
    return True


def _put_restored(found: Restored, data: Path, *, adopted: bool) -> None:
    put(f"restored into {data}: {found.position:,} records, {found.proved:,} earlier roots and watermarks agree")
    put(f"root {found.root}")
    if found.proved_to < found.position:
        put(
            f"positions {found.proved_to + 1:,} to {found.position:,} are unproved: they are in order, but no root or "
            "watermark proves that they are unaltered"
        )
    if found.acknowledged > found.position:
        lost = f"positions {found.position + 1:,} to {found.acknowledged:,}"
        put(f"{lost} were acknowledged, according to {found.witness}, but are not in InfluxDB: they are lost")
    elif found.proved or not found.position:
        put("no position recorded by the mirror or a watermark is missing")
    if adopted:
        put("this copy now ships the log")
