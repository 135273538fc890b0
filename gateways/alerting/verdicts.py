"""Alerts about what `verify` found: sent by that command itself, because no record says so."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import eventstore
from eventstore import Clock, CorruptJournal, EventStore, StoreError, SystemClock, Verification
from eventstore.clock import wall_ns
from gateways.alerting.conditions import Alert, Condition, Subject, cut, id_of_state
from gateways.alerting.sending import NotDelivered, send
from gateways.alerting.sent import SentAlerts
from gateways.alerting.settings import AlertSettings
from gateways.alerting.states import VERIFIED, verification_sentence
from projections.view import SHARED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gateways.alerting.sending import Send
    from gateways.alerting.settings import Receiver

ATTEMPTS, PAUSE_SECONDS = 3, 1.0
_SUBJECT = Subject(str(Condition.VERIFICATION_FAILED), SHARED, VERIFIED)


def announce(
    place: Path | str,
    log: str,
    found: Verification,
    *directories: Path,
    report: Callable[[str], None],
    sender: Send = send,
) -> None:
    """Alert the receivers of such alerts that a log is not as it was written; or, after that, that all of it is again.

    Raises nothing: the verdict is printed anyway, and `report` gets what could not be sent.
    """
    try:
        settings = AlertSettings.load(*directories)
        receivers = [each for each in settings.receivers if each.takes(_SUBJECT.what, SHARED)]
        if receivers:
            with _opened(place, log) as store:
                for receiver in receivers:
                    why = _announce(store, log if store is None else store.log, receiver, found, sender)
                    if why:
                        report(f"{receiver.name} was not alerted: {why}")
    except (StoreError, OSError) as e:
        report(f"nobody was alerted: {e}")


@contextlib.contextmanager
def _opened(place: Path | str, log: str) -> Iterator[EventStore | None]:
    """Yield the store, to record in it who was alerted; None where it cannot be appended to."""
    with contextlib.ExitStack() as stack:
        try:
            store = stack.enter_context(eventstore.open(place, log=log))
        except (StoreError, OSError):
            store = None
        yield store


def _announce(
    store: EventStore | None,
    log: str,
    receiver: Receiver,
    found: Verification,
    sender: Send,
) -> str:
    """Alert one receiver, unless it knows already; return why it was not reached, '' if it was."""
    clock = SystemClock() if store is None else store.clock
    sent = None if store is None else SentAlerts(store, receiver.name)
    if sent is not None and store is not None:
        sent.load(store.head())
    last = None if sent is None else sent.last(_SUBJECT)
    is_lasting = last is not None and not last.ended
    is_known = last is not None and is_lasting and last.delivered
    is_recent = last is not None and clock.monotonic_ns() - last.at < receiver.repeat_after
    if not is_lasting if found.ok else is_known and is_recent:
        return ""
    now = wall_ns(clock)
    # Without a log to look it up in, one alert in each period: the receiver knows the others by their id.
    before = f"{now // receiver.repeat_after}" if store is None else "" if last is None else last.id
    fault = CorruptJournal(found.first_bad or 0, found.reason or "")
    over = f"log {log} is as it was written"
    alert = Alert(
        id=id_of_state(receiver.name, _SUBJECT, before, ended=found.ok),
        subject=_SUBJECT,
        sentence=cut(over if found.ok else verification_sentence(log, fault)),
        at=now,
        log=log,
        ended=found.ok,
    )
    attempts, why = _send(receiver, alert, clock, sender)
    if sent is not None:
        with contextlib.suppress(StoreError):
            sent.record(alert, attempts, why, delivered=not why)
    return why


def _send(receiver: Receiver, alert: Alert, clock: Clock, sender: Send) -> tuple[int, str]:
    """Return after how many attempts an alert was delivered; or, with the last reason, given up."""
    why = ""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            sender(receiver, alert, clock)
        except NotDelivered as e:
            why = str(e)
            if attempt < ATTEMPTS:
                time.sleep(PAUSE_SECONDS)
        else:
            return attempt, ""
    return ATTEMPTS, why
