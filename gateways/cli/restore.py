"""`restore`: a journal from what InfluxDB holds of a log, after the loss of a disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import eventstore
from eventstore import InfluxSettings, InvalidEvent, Refused
from eventstore.store import journal_path
from gateways.cli import options
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.presenting.documents import plain
from gateways.presenting.output import note, progress, put, put_json

if TYPE_CHECKING:
    from eventstore.influx.repair.restore import Restored

FromInflux = Annotated[bool, typer.Option("--from-influx", help="Restore from what InfluxDB holds of the log.")]
UpTo = Annotated[int | None, typer.Option(min=0, metavar="POSITION", help="Only up to this position.")]
Watermarks = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Watermarks to prove the log against; by default those left in its directory."),
]
Unproved = Annotated[
    bool, typer.Option("--unproved", help="Go on even if no root or watermark shows that this is all of the log.")
]
NoAdopt = Annotated[
    bool,
    typer.Option("--no-adopt", help="Leave the right to ship the log where it is; `eventstore adopt` takes it later."),
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
    """Write a new journal, with the same log id, from what InfluxDB holds, and prove it while it is written.

    Prints which acknowledged positions are missing, as far as a watermark or the mirror knows, and then ends with
    exit code 1. If neither knows anything, nothing is restored, also with exit code 1, unless --unproved is given. A
    backup needs no restoring: it opens as it is.
    """
    if not from_influx:
        msg = "give --from-influx; a backup is already a store: open it, or copy it to its place"
        raise InvalidEvent(msg)
    from eventstore.influx.repair.restore import restore as restore_log

    settings = InfluxSettings.load()
    directory = journal_path(common.data, common.log).parent
    with progress("restoring") as step:
        found = restore_log(
            settings, directory, common.log, up_to=up_to, watermarks=watermarks, unproved=unproved, progress=step
        )
    with eventstore.open(common.data, log=common.log) as store:
        log_id = store.log_id
    adopted = not no_adopt and _adopt(settings, directory, common.log, log_id)
    if common.as_json:
        put_json({"log": common.log, "log_id": log_id.hex(), "adopted": adopted, **plain(found)})
    else:
        _put_restored(found, common.data, adopted=adopted)
    if found.acknowledged > found.position:
        end_with_problem()


def _adopt(settings: InfluxSettings, directory: Path, log: str, log_id: bytes) -> bool:
    from eventstore.influx.repair import restore as restoring

    try:
        before = restoring.adopt(settings, directory, log, log_id)
        seconds = restoring.seconds_since_beat(settings, log)
    except Refused as e:
        note(f"the journal is restored, but does not ship yet: {e}; then run `eventstore adopt`")
        return False
    if seconds is not None and seconds < RECENT_SECONDS:
        note(
            f"the copy on {before.host} shipped {seconds:.0f} s ago. If it is still running, two journals of one log "
            "are appended to: stop that one, or return the log to it by running `eventstore adopt` there"
        )
    return True


def _put_restored(found: Restored, data: Path, *, adopted: bool) -> None:
    put(f"restored into {data}: {found.position:,} records, {found.proved:,} earlier roots and watermarks agree")
    put(f"root {found.root}")
    if found.proved_to < found.position:
        put(
            f"positions {found.proved_to + 1:,} to {found.position:,} are unproved: their order is right, but no root "
            "or watermark shows that they are as they were written"
        )
    if found.acknowledged > found.position:
        lost = f"positions {found.position + 1:,} to {found.acknowledged:,}"
        put(f"{lost} were acknowledged, as {found.witness} shows, but are not in InfluxDB: they are lost with the disk")
    elif found.proved or not found.position:
        put("nothing is missing that the mirror or a watermark knew of")
    if adopted:
        put("this copy ships the log from now on")
