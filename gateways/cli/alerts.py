"""`alerts`: alerts the receivers of eventstore.toml about what a log's records say; tries them."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Annotated

import typer

from eventstore import EventStore, InvalidEvent, SystemClock
from eventstore.clock import wall_ns
from eventstore.ids import new_ids
from gateways.alerting import Alert, Alerts, AlertSettings, Receiver
from gateways.alerting.conditions import TEST, Subject
from gateways.alerting.sending import NotDelivered, send
from gateways.cli import names, options, service, stores
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.presenting.output import note, put, put_json
from projections import SHARED
from projections import open as open_book

Test = Annotated[bool, typer.Option("--test", help="Send each receiver a test alert, print each result, and exit.")]
Once = Annotated[bool, typer.Option("--once", help="Send what is due until all is sent or given up, then exit.")]

ONCE_SECONDS = 600.0
WATCH_SECONDS = 0.5


@options.command(postgres=True)
def alerts(common: CommonOptions, *, test: Test = False, once: Once = False) -> None:
    """Alert the receivers that eventstore.toml names, and call the heartbeat's URL, until stopped.

    The file is in the store directory or in the working directory. Exit code 1 if --test or --once could not deliver
    an alert.
    """
    settings = AlertSettings.load(*common.directories, Path())
    if settings.is_empty:
        places = " or ".join([*(str(each / "eventstore.toml") for each in common.directories), "./eventstore.toml"])
        msg = f"there are no [[alerts]] and no heartbeat in {places}"
        raise InvalidEvent(msg)
    if test and once:
        msg = "give one of --test and --once"
        raise InvalidEvent(msg)
    if test:
        _test(common, settings)
        return
    with stores.open_existing(common) as store:
        _note_unknown_accounts(store, settings)
        with open_book(store) as book:
            if once:
                _once(Alerts(book, settings, follow=True, report=note), as_json=common.as_json)
            else:
                _until_stopped(Alerts(book, settings, follow=True, report=note), settings)


def _test(common: CommonOptions, settings: AlertSettings) -> None:
    results = {receiver.name: _tried(common, receiver) for receiver in settings.receivers}
    if not results:
        note("there are no [[alerts]], so there is nobody to try")
    if common.as_json:
        put_json([{"receiver": name, "delivered": not why, "why": why or None} for name, why in results.items()])
    else:
        for name, why in results.items():
            put(f"{name}: not delivered: {why}" if why else f"{name}: delivered")
    if any(results.values()):
        end_with_problem()


def _tried(common: CommonOptions, receiver: Receiver) -> str:
    """Send a test alert once; return why it was not delivered, '' if it was."""
    clock = SystemClock()
    now = wall_ns(clock)
    [id_] = new_ids(1, now)
    alert = Alert(
        id=str(uuid.UUID(bytes=id_)),
        subject=Subject(TEST, SHARED),
        sentence="this is a test of the alerts of eventstore: nothing happened",
        at=now,
        log=common.log,
    )
    try:
        send(receiver, alert, clock)
    except NotDelivered as e:
        return str(e)
    return ""


def _note_unknown_accounts(store: EventStore, settings: AlertSettings) -> None:
    named = {account for receiver in settings.receivers for account in receiver.accounts or ()}
    for account in sorted(named - {SHARED}):
        if not account.startswith("@"):
            names.note_account(store, account)


def _once(running: Alerts, *, as_json: bool) -> None:
    running.run_once(ONCE_SECONDS)
    troubles = running.troubles
    if as_json:
        put_json({"waiting": running.waiting, "troubles": troubles})
    else:
        put("all is sent" if not troubles else "; ".join(f"{name}: {why}" for name, why in troubles.items()))
    if troubles:
        end_with_problem()


def _until_stopped(running: Alerts, settings: AlertSettings) -> None:
    with service.terminated_by_signal() as termination, running:
        who = ", ".join(each.name for each in settings.receivers) or "nobody"
        note(f"alerting {who}{' and calling the heartbeat' if settings.heartbeat else ''}")
        while running.error is None and not termination.is_requested:
            time.sleep(WATCH_SECONDS)
    if running.error is not None:
        raise running.error
    put("stopped")
