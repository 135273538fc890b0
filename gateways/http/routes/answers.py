"""Answers that a thread has encoded, and what the questions of an audit have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import msgspec
from litestar import Response

from eventstore import EventReader, InvalidEvent
from gateways.http.access import Caller, Scope
from gateways.http.service import Service
from gateways.http.visibility import reader_for
from gateways.presenting.instants import instant_of, time_of
from gateways.presenting.presenter import Presenter
from gateways.presenting.times import zone_named

JSON = "application/json"


def answer(document: bytes) -> Response[Any]:
    """Return the answer with a document that is JSON already."""
    return Response(document, media_type=JSON)


def encoded(document: object) -> bytes:
    """Return a document as JSON, to be called in a thread: a large one would keep the loop busy."""
    return msgspec.json.encode(document)


@contextlib.contextmanager
def member(path: str) -> Iterator[None]:
    """Give the errors of a parameter its path."""
    try:
        yield
    except InvalidEvent as e:
        e.path = e.path or path
        raise


def reader_of(service: Service, caller: Caller, account: str | None) -> EventReader:
    """Return what a question of an audit reads; raise NotAllowed for one about all accounts that a caller may not see.

    A key for some accounts reads what it may see alone, whatever is asked.
    """
    if account is None:
        caller.require_all_accounts(Scope.AUDIT)
    return reader_for(caller, service.store.sync_store)


def shown_in(zone: str | None) -> Presenter:
    """Return how times are read and written: in a zone by name, or in UTC."""
    with member("/zone"):
        named = None if zone is None else zone_named(zone)
    return Presenter(stated=named) if named is None else Presenter(zone=named, stated=named)


def recorded_time(reader: EventReader, name: str, text: str | None, shown: Presenter) -> int | None:
    """Return when what an instant stands for was recorded; None without one."""
    if text is None:
        return None
    with member(f"/{name}"):
        return instant_of(reader, text, shown.zone).recorded_at


def occurred_time(reader: EventReader, name: str, text: str | None, shown: Presenter) -> int | None:
    """Return the time that an instant stands for: of a position or a mark, when its record occurred."""
    if text is None:
        return None
    with member(f"/{name}"):
        return time_of(reader, text, shown.zone)
