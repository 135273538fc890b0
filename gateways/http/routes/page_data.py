"""What the page asks for beyond the other routes: who is asking, which times the log spans, and every account then."""

from __future__ import annotations

import contextlib
from datetime import UTC
from typing import Any

import msgspec
from litestar import get
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from eventstore import EventReader, Instant, StoreError
from eventstore.clock import to_ns
from gateways.http.access import NotAuthenticated, Scope
from gateways.http.routes.documented import responses
from gateways.http.routes.parameters import Calling, FromQuery, Serving
from gateways.presenting.book_summary import summarize
from gateways.presenting.documents import plain
from projections.book import Book
from projections.replay import as_of


class PageContext(msgspec.Struct, frozen=True):
    """Who asks, what they may do and see, and what the log spans. `accounts` is None for all of them.

    `zones`: the zone of each account's trading days, where one is recorded.
    """

    log: str
    head: int
    now: Instant
    first_at: Instant | None
    last_at: Instant | None
    name: str
    scopes: tuple[str, ...]
    accounts: tuple[str, ...] | None
    known_accounts: tuple[str, ...]
    zones: dict[str, str]
    needs_key: bool


async def any_caller(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Raise NotAuthenticated without a valid key; which scopes it has is what the answer says."""
    state = connection.scope["state"]
    if state.get("caller") is None:
        msg = "no key was sent"
        raise state.get("not_authenticated") or NotAuthenticated(msg)


@get("/v1/page", opt={"scope": None}, guards=[any_caller], responses=responses(), tags=["page"])
async def context(service: Serving, caller: Calling) -> dict[str, Any]:
    """Return who asks, what they may do, the accounts that they may see, and what the log spans."""
    now = service.store.clock.now_ns()
    head, first_at, last_at = await service.store.long(lambda: _span(service.store.sync_store))

    def ask(book: Book) -> tuple[tuple[str, ...], dict[str, str]]:
        known = tuple(name for name in book.accounts.known() if caller.sees(name))
        return known, {name: zone for name in known if (zone := _zone(book, name)) is not None}

    known, zones = await service.ask(ask)
    found = PageContext(
        log=service.store.log,
        head=head,
        now=now,
        first_at=first_at,
        last_at=last_at,
        name=caller.name,
        scopes=tuple(scope.value for scope in Scope if caller.may(scope)),
        accounts=None if caller.accounts is None else tuple(sorted(caller.accounts)),
        known_accounts=known,
        zones=zones,
        needs_key=service.authenticator.needs_key,
    )
    answer: dict[str, Any] = plain(found)
    return answer


def _span(store: EventReader) -> tuple[int, int | None, int | None]:
    """Return the head, and when the first and the last record were recorded."""
    head = store.head()
    first = next(iter(store.read(limit=1)), None)
    last = next(iter(store.read(after=head - 1, limit=1)), None) if head else None
    return head, None if first is None else first.recorded_at, None if last is None else last.recorded_at


def _zone(book: Book, account: str) -> str | None:
    with contextlib.suppress(StoreError):
        days = book.sessions.history(account)
        return next((day.zone for day in reversed(days) if day.zone is not None), None)
    return None


@get("/v1/summaries", opt={"scope": Scope.READ}, responses=responses(), tags=["page"])
async def summaries(
    service: Serving,
    caller: Calling,
    account: FromQuery[str | None] = None,
    at: FromQuery[str | None] = None,
    known_by: FromQuery[str | None] = None,
) -> dict[str, Any]:
    """Return what holds for one account, or for each that the caller sees: now, or as of a time.

    `at`: what had happened by then; `known_by`: what was known then. For each account the working orders, positions,
    results, equity, headroom, lockouts and pending enforcement, all at one log position.
    """
    occurred, recorded = (None if text is None else to_ns(text) for text in (at, known_by))
    store, log = service.store.sync_store, service.store.log
    asked_at = occurred if occurred is not None else recorded

    def accounts_of(book: Book) -> list[dict[str, Any]]:
        names = book.accounts.known() if account is None else (account,)
        then = service.store.clock.now_ns() if asked_at is None else asked_at
        return [{"name": name, **summarize(book, log, then, name).as_json(UTC)} for name in names if caller.sees(name)]

    if asked_at is None:
        found, position = await service.ask(lambda book: (accounts_of(book), book.position))
    else:
        found, position = await service.store.long(
            lambda: (
                accounts_of(book := as_of(store, occurred_at=occurred, recorded_at=recorded, account=account)),
                book.position,
            )
        )
    return {"log": log, "log_position": position, "at": at, "known_by": known_by, "accounts": found}


ROUTES = (context, summaries)
"""What the page asks for itself."""
