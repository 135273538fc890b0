"""`mirror`: ships a log to InfluxDB, or compares the two."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from eventstore import InfluxSettings, InvalidEvent, Refused
from gateways.cli import options, stores, zones
from gateways.cli.alerting import alerting
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.presenting.documents import plain
from gateways.presenting.output import note, progress, put, put_json
from gateways.presenting.presenter import Presenter

if TYPE_CHECKING:
    from eventstore.influx.repair.check import ComparisonResult, PointDifference
    from eventstore.influx.ship.shipper import Shipper

Once = Annotated[bool, typer.Option("--once", help="Ship until caught up, then exit.")]
Check = Annotated[bool, typer.Option("--check", help="Ship nothing; compare InfluxDB with the journal.")]
Repair = Annotated[bool, typer.Option("--repair", help="With --check: ship missing records again.")]

WATCH_SECONDS = 0.5
DRAIN_SECONDS = 5.0


@options.command(zone=True, exact=True)
def mirror(common: CommonOptions, *, once: Once = False, check: Check = False, repair: Repair = False) -> None:
    """Ship the log to InfluxDB until stopped; with --once until caught up; with --check only compare.

    InfluxDB is configured by EVENTSTORE_INFLUX_URL, _ORG, _BUCKET, _TOKEN or _TOKEN_FILE, or by ./eventstore.toml.
    Exit code 1 if --check finds a difference.
    """
    if repair and not check:
        msg = "--repair requires --check, which finds the missing records"
        raise InvalidEvent(msg)
    settings = InfluxSettings.load()
    with stores.open_journal(common) as journal:
        if check:
            _compare(journal, settings, zones.presenter(common), repair=repair, as_json=common.as_json)
        elif once:
            _ship_once(journal, settings, as_json=common.as_json)
        else:
            with alerting(common):
                _ship_continuously(journal, settings)


def _ship_once(journal: stores.AnyJournal, settings: InfluxSettings, *, as_json: bool) -> None:
    from eventstore.influx.ship.shipper import Shipper

    shipper = Shipper(journal, journal.path.parent, settings)
    position = shipper.run(once=True, patience_seconds=settings.patience_seconds)
    if as_json:
        put_json({"log": journal.log, "position": position, "head": journal.head()})
    else:
        put(f"caught up: InfluxDB has log {journal.log} up to position {position:,}")


def _ship_continuously(journal: stores.AnyJournal, settings: InfluxSettings) -> None:
    from eventstore.influx.ship.shipper import Shipper

    shipper = Shipper(journal, journal.path.parent, settings)
    ended = threading.Event()
    # A service manager sends SIGTERM: the rest is shipped first, for a few seconds at most.
    signal.signal(signal.SIGTERM, lambda _number, _frame: shipper.stop(drain_seconds=DRAIN_SECONDS))
    watcher = threading.Thread(target=_report_changes, args=(journal, shipper, ended), name="watcher", daemon=True)
    watcher.start()
    try:
        position = shipper.run()
    except KeyboardInterrupt:
        note(f"interrupted: {_progress(journal, shipper)}; the rest ships at the next start")
        raise
    finally:
        ended.set()
        watcher.join()
    put(f"stopped: InfluxDB has log {journal.log} up to position {position:,}")


def _report_changes(journal: stores.AnyJournal, shipper: Shipper, ended: threading.Event) -> None:
    """Print each change of state on stderr until shipping has ended."""
    from eventstore.influx import status

    reported = None
    while not ended.wait(WATCH_SECONDS):
        found = status.read_status(journal.path.parent)
        state = None if found is None else (found.state, found.last_error)
        if state is not None and state != reported:
            note(f"shipping {_progress(journal, shipper)}" if state[1] is None else f"{state[0]}: {state[1]}")
            reported = state


def _progress(journal: stores.AnyJournal, shipper: Shipper) -> str:
    return f"log {journal.log}: InfluxDB has position {shipper.position:,} of {journal.head():,}"


def _compare(
    journal: stores.AnyJournal, settings: InfluxSettings, shown: Presenter, *, repair: bool, as_json: bool
) -> None:
    from eventstore.influx import claims, status
    from eventstore.influx.client import Client
    from eventstore.influx.repair import check

    client = Client(settings)
    try:
        claim = claims.current(client, journal.log)
        if claim is None or claim.log_id != journal.log_id.hex():
            msg = f"bucket {settings.bucket!r} does not hold this log {journal.log!r}: it was never shipped there"
            raise Refused(msg)
        cursor = status.read_cursor(journal.path.parent)
        shipped = 0 if cursor is None else cursor.position
        with progress("comparing") as step:
            comparison = check.Comparison(journal, client, shipped=shipped, symbols=bool(claim.symbols), repair=repair)
            found = comparison.run(step)
    finally:
        client.close()
    if as_json:
        put_json({"log": journal.log, **plain(found, shown.document_zone)})
    else:
        _put_comparison(found, journal.head(), shipped, shown)
    if not found.ok and found.repaired < found.missing + found.altered + found.foreign:
        end_with_problem()


def _put_comparison(found: ComparisonResult, head: int, shipped: int, shown: Presenter) -> None:
    behind = f"; {head - shipped:,} more are not shipped yet" if head > shipped else ""
    if found.ok:
        put(f"ok: InfluxDB has the same {found.checked:,} records as the journal, and no others{behind}")
        return
    put(
        f"{found.missing:,} missing, {found.altered:,} altered, {found.foreign:,} foreign, of {found.checked:,}{behind}"
    )
    for difference in found.differences:
        put(_described(difference, shown))
    if found.missing + found.altered + found.foreign > len(found.differences):
        put("… and others")
    if found.repaired:
        put(f"{found.repaired:,} shipped again: run --check again to verify")
    elif found.missing:
        put("--check --repair ships missing records again; altered and foreign points stay, as evidence")


def _described(difference: PointDifference, shown: Presenter) -> str:
    place = f"position {difference.position}" if difference.position else f"time {shown.time(difference.recorded_at)}"
    return f"{difference.kind:<8} {place}: {difference.detail}"
