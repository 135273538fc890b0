"""`mirror`, `adopt` and `restore`: a log on its way to InfluxDB, and back after the loss of a disk."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import eventstore
from eventstore import InfluxSettings, InvalidEvent, Refused
from eventstore.journals.sqlite import SqliteJournal
from eventstore.store import journal_path
from gateways.cli import options, outcome
from gateways.presenting.documents import plain
from gateways.presenting.output import note, progress, put, put_json
from gateways.presenting.presenter import Presenter

if TYPE_CHECKING:
    from eventstore.influx.repair.check import Comparison, Difference
    from eventstore.influx.repair.restore import Restored
    from eventstore.influx.ship.shipper import Shipper

Once = Annotated[bool, typer.Option("--once", help="Ship until caught up, then end.")]
Check = Annotated[bool, typer.Option("--check", help="Ship nothing: compare the journal with what InfluxDB holds.")]
Repair = Annotated[bool, typer.Option("--repair", help="With --check: ship again what is missing there.")]
FromInflux = Annotated[bool, typer.Option("--from-influx", help="From what InfluxDB holds of the log.")]
UpTo = Annotated[int | None, typer.Option(min=0, metavar="POSITION", help="Only up to this position.")]
Known = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Watermarks to prove it against; by default those left in the place.")
]
Unproved = Annotated[
    bool, typer.Option("--unproved", help="Go on where neither roots nor watermarks show that this is all of the log.")
]
NoAdopt = Annotated[
    bool, typer.Option("--no-adopt", help="Leave the right to ship the log where it is; eventstore adopt takes it.")
]

WATCH_SECONDS = 0.5
DRAIN_SECONDS = 5.0
JUST_NOW_SECONDS = 60.0


def mirror(  # noqa: PLR0917 - typer names them all
    once: Once = False,
    check: Check = False,
    repair: Repair = False,
    data: options.LocalData = options.DATA,
    log: options.Log = options.LOG,
    as_json: options.Json = False,
    zone: options.Zone = None,
    exact: options.Exact = False,
) -> None:
    """Ship the log to InfluxDB for as long as this runs; with --once until caught up; with --check compare only.

    InfluxDB is named by EVENTSTORE_INFLUX_URL, _ORG, _BUCKET, _TOKEN or _TOKEN_FILE, or by ./eventstore.toml.
    Exit code 1 when --check finds a difference.
    """
    if repair and not check:
        msg = "--repair goes with --check: what is missing has to be found first"
        raise InvalidEvent(msg)
    stated = options.zone_of(zone)
    shown = Presenter(zone=stated or UTC, stated=stated, exact=exact)
    settings = InfluxSettings.load()
    with _journal(data, log) as journal:
        if check:
            _compare(journal, settings, shown, repair=repair, as_json=as_json)
        elif once:
            _ship_once(journal, settings, as_json=as_json)
        else:
            _ship_on(journal, settings)


def adopt(
    data: options.LocalData = options.DATA,
    log: options.Log = options.LOG,
    as_json: options.Json = False,
) -> None:
    """Make this copy of a journal the one that ships: after it was moved, copied or restored.

    The copy that shipped so far is refused from then on. Use it only when that one is not appended to any more.
    """
    from eventstore.influx.repair import restore as restoring

    settings = InfluxSettings.load()
    with _journal(data, log) as journal:
        before = restoring.adopt(settings, journal.path.parent, log, journal.log_id)
    if as_json:
        put_json({"log": log, "adopted": True, "before": before.host})
        return
    put(f"log {log} is shipped from here from now on; until now it was shipped from {before.host}")


def restore(  # noqa: PLR0917 - typer names them all
    from_influx: FromInflux = False,
    up_to: UpTo = None,
    watermarks: Known = None,
    unproved: Unproved = False,
    no_adopt: NoAdopt = False,
    data: options.LocalData = options.DATA,
    log: options.Log = options.LOG,
    as_json: options.Json = False,
) -> None:
    """Write a new journal, under the same log id, from what InfluxDB holds; it is proved while it is written.

    Says which acknowledged positions are not there, as far as a watermark or the mirror knows: exit code 1 then. Where
    neither knows anything, nothing is restored, exit code 1 too, unless --unproved is given. From a backup there is
    nothing to do: it opens as it is.
    """
    if not from_influx:
        msg = "say --from-influx; a backup is a store already: open it, or copy it to its place"
        raise InvalidEvent(msg)
    from eventstore.influx.repair import restore as restoring

    settings = InfluxSettings.load()
    place = journal_path(data, log)
    with progress("restoring") as step:
        found = restoring.restore(
            settings, place.parent, log, up_to=up_to, watermarks=watermarks, unproved=unproved, progress=step
        )
    with eventstore.open(data, log=log) as store:
        log_id = store.log_id
    adopted = not no_adopt and _take_over(settings, place.parent, log, log_id)
    if as_json:
        put_json({"log": log, "log_id": log_id.hex(), "adopted": adopted, **plain(found)})
    else:
        _put_restored(found, data, adopted=adopted)
    if found.acknowledged > found.position:
        outcome.wrong()


def _take_over(settings: InfluxSettings, directory: Path, log: str, log_id: bytes) -> bool:
    from eventstore.influx.repair import restore as restoring

    try:
        before = restoring.adopt(settings, directory, log, log_id)
        seconds = restoring.seconds_since_beat(settings, log)
    except Refused as e:
        note(f"the journal is restored, but does not ship yet: {e}; then run eventstore adopt")
        return False
    if seconds is not None and seconds < JUST_NOW_SECONDS:
        note(
            f"the copy on {before.host} shipped {seconds:.0f} s ago. If it is alive, two journals of one log are "
            "appended to: end that one, or give the log back to it with eventstore adopt, there"
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
        put(f"{lost} were acknowledged, as {found.witness} knows, and are not in InfluxDB: they are lost with the disk")
    elif found.proved or not found.position:
        put("nothing is missing that the mirror or a watermark knew of")
    if adopted:
        put("this copy ships the log from now on")


def _ship_once(journal: SqliteJournal, settings: InfluxSettings, *, as_json: bool) -> None:
    from eventstore.influx.ship.shipper import Shipper

    shipper = Shipper(journal, journal.path.parent, settings)
    position = shipper.run(once=True, patience_seconds=settings.patience_seconds)
    if as_json:
        put_json({"log": journal.log, "position": position, "head": journal.head()})
    else:
        put(f"caught up: InfluxDB has log {journal.log} up to position {position:,}")


def _ship_on(journal: SqliteJournal, settings: InfluxSettings) -> None:
    from eventstore.influx.ship.shipper import Shipper

    shipper = Shipper(journal, journal.path.parent, settings)
    ended = threading.Event()
    # What a service manager sends: the rest is shipped first, for a few seconds at the most.
    signal.signal(signal.SIGTERM, lambda _number, _frame: shipper.stop(drain_seconds=DRAIN_SECONDS))
    watcher = threading.Thread(target=_watch, args=(journal, shipper, ended), name="watcher", daemon=True)
    watcher.start()
    try:
        position = shipper.run()
    except KeyboardInterrupt:
        note(f"interrupted: {_saying(journal, shipper)}; the rest ships at the next start")
        raise
    finally:
        ended.set()
        watcher.join()
    put(f"ended: InfluxDB has log {journal.log} up to position {position:,}")


def _watch(journal: SqliteJournal, shipper: Shipper, ended: threading.Event) -> None:
    """Say each change of state on stderr."""
    from eventstore.influx import status

    said = None
    while not ended.wait(WATCH_SECONDS):
        told = status.told(journal.path.parent)
        found = (told.state, told.last_error) if told is not None else None
        if found is not None and found != said:
            note(f"shipping {_saying(journal, shipper)}" if found[1] is None else f"{found[0]}: {found[1]}")
            said = found


def _saying(journal: SqliteJournal, shipper: Shipper) -> str:
    return f"log {journal.log}: InfluxDB has position {shipper.position:,} of {journal.head():,}"


def _compare(
    journal: SqliteJournal, settings: InfluxSettings, shown: Presenter, *, repair: bool, as_json: bool
) -> None:
    from eventstore.influx import claims, status
    from eventstore.influx.client import Client
    from eventstore.influx.repair import check

    client = Client(settings)
    try:
        claim = claims.current(client, journal.log)
        if claim is None or claim.log_id != journal.log_id.hex():
            msg = f"bucket {settings.bucket!r} does not hold this log {journal.log!r}: nothing was shipped there"
            raise Refused(msg)
        mark = status.read_cursor(journal.path.parent)
        shipped = 0 if mark is None else mark.position
        with progress("comparing") as step:
            comparing = check.Comparing(journal, client, shipped=shipped, symbols=bool(claim.symbols), repair=repair)
            found = comparing.run(step)
    finally:
        client.close()
    if as_json:
        put_json({"log": journal.log, **plain(found, shown.document_zone)})
    else:
        _put_comparison(found, journal.head(), shipped, shown)
    if not found.ok and found.repaired < found.missing + found.altered + found.foreign:
        outcome.wrong()


def _put_comparison(found: Comparison, head: int, shipped: int, shown: Presenter) -> None:
    behind = f"; {head - shipped:,} more are on their way" if head > shipped else ""
    if found.ok:
        put(f"ok: {found.checked:,} records are in InfluxDB as the journal has them, and nothing else{behind}")
        return
    put(
        f"{found.missing:,} missing, {found.altered:,} altered, {found.foreign:,} foreign, of {found.checked:,}{behind}"
    )
    for difference in found.differences:
        put(_described(difference, shown))
    if found.missing + found.altered + found.foreign > len(found.differences):
        put("… and more")
    if found.repaired:
        put(f"{found.repaired:,} shipped again: run --check once more to see them there")
    elif found.missing:
        put("--check --repair ships again what is missing; what is altered or foreign stays, as evidence")


def _described(difference: Difference, shown: Presenter) -> str:
    place = f"position {difference.position}" if difference.position else f"time {shown.time(difference.recorded_at)}"
    return f"{difference.kind:<8} {place}: {difference.detail}"


@contextlib.contextmanager
def _journal(data: Path, log: str) -> Iterator[SqliteJournal]:
    """Open a journal that must be there."""
    with options.opened(data, log):
        pass
    journal = SqliteJournal(journal_path(data, log), log=log)
    try:
        yield journal
    finally:
        journal.close()
