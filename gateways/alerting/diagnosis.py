"""The health of the alerts themselves, as `doctor` shows it: settings, secrets, who was not reached, the heartbeat."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from eventstore import StoreError
from gateways.alerting.feeds import WantedQuotes
from gateways.alerting.sent import SentAlerts
from gateways.alerting.settings import AlertSettings
from gateways.alerting.verifying import TailCheck
from gateways.alerting.wellness import problems

if TYPE_CHECKING:
    from eventstore import EventStore
    from projections import Book

_SHOWN = 3


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """What is found of alerts: a summary of the settings, '' without any; what is wrong, and what needs attention."""

    summary: str = ""
    wrong: tuple[str, ...] = ()
    attention: tuple[str, ...] = ()


def diagnosis(book: Book, store: EventStore) -> Diagnosis:
    """Return what is wrong with the alerts of a log on this machine, and why there would be no heartbeat."""
    directories = () if store.directory is None else (store.directory.parent,)
    try:
        settings = AlertSettings.load(*directories, Path())
    except StoreError as e:
        return Diagnosis(wrong=(str(e),))
    if settings.is_empty:
        return Diagnosis()
    wrong, attention = [], []
    for receiver in settings.receivers:
        try:
            receiver.key()
        except StoreError as e:
            wrong.append(f"{receiver.name}: {e}")
        if not store.read_only:
            attention += _not_reached(store, receiver.name)
    if settings.heartbeat and not store.read_only:
        found = problems(book, store, _wanted(store), TailCheck(store), has_prices=False)
        attention += [f"no heartbeat: {each.sentence}" for each in found]
    names = ", ".join(each.name for each in settings.receivers) or "nobody"
    summary = f"{names}; the heartbeat is {'set' if settings.heartbeat else 'not set'}"
    return Diagnosis(summary=summary, wrong=tuple(wrong), attention=tuple(attention))


def _not_reached(store: EventStore, receiver: str) -> list[str]:
    sent = SentAlerts(store, receiver)
    sent.load(store.head())
    failed = sent.given_up()
    if not failed:
        return []
    what = ", ".join(f"{each.what} of {each.account}" for each in failed[:_SHOWN])
    more = f" and {len(failed) - _SHOWN:,} more" if len(failed) > _SHOWN else ""
    return [f"{receiver} was not reached in the last 7 days about {what}{more}: try eventstore alerts --test"]


def _wanted(store: EventStore) -> WantedQuotes:
    wanted = WantedQuotes(store)
    wanted.update()
    return wanted
