"""What the page asks first: who is asking, what they may do and see, and which times the log spans."""

from __future__ import annotations

import contextlib

import msgspec
from litestar import get

from eventstore import EventReader, StoreError
from eventstore.clock import format_time
from gateways.http.access import Scope
from gateways.http.routes.asked import instant_text
from gateways.http.routes.documented import responses
from gateways.http.routes.parameters import Calling, Serving
from projections.book import Book
from projections.views.sessions import SessionsState, SessionsView


class PageContext(msgspec.Struct, frozen=True):
    """Who asks, what they may do and see, and what the log spans. `accounts` is None for all of them.

    `zones`: the zone of each account's trading days, where one is recorded.
    """

    log: str
    head: int
    now: str
    first_at: str | None
    last_at: str | None
    name: str
    scopes: list[Scope]
    accounts: list[str] | None
    known_accounts: list[str]
    zones: dict[str, str]
    needs_key: bool


@get("/v1/page", opt={"scope": None}, responses=responses(), tags=["page"])
async def context(service: Serving, caller: Calling) -> PageContext:
    """Return who asks, what they may do, the accounts that they may see, and what the log spans."""
    now = service.store.clock.now_ns()
    head, first_at, last_at = await service.store.long(lambda: _span(service.store.sync_store))

    def ask(book: Book) -> tuple[list[str], dict[str, str]]:
        known = [name for name in book.accounts.known() if caller.sees(name)]
        return known, {name: zone for name in known if (zone := _zone(book, name)) is not None}

    known, zones = await service.ask(ask)
    return PageContext(
        log=service.store.log,
        head=head,
        now=format_time(now),
        first_at=instant_text(first_at),
        last_at=instant_text(last_at),
        name=caller.name,
        scopes=[scope for scope in Scope if caller.may(scope)],
        accounts=None if caller.accounts is None else sorted(caller.accounts),
        known_accounts=known,
        zones=zones,
        needs_key=service.authenticator.needs_key,
    )


def _span(store: EventReader) -> tuple[int, int | None, int | None]:
    """Return the head, and when the first and the last record were recorded."""
    head = store.head()
    first = next(iter(store.read(limit=1)), None)
    last = next(iter(store.read(after=head - 1, limit=1)), None) if head else None
    return head, None if first is None else first.recorded_at, None if last is None else last.recorded_at


def _zone(book: Book, account: str) -> str | None:
    with contextlib.suppress(StoreError):
        # Those in state are enough, and need no reading: the newest 400 days.
        state: SessionsState | None = book.state(SessionsView.name, account)
        days = () if state is None else state.days
        return next((day.zone for day in reversed(days) if day.zone is not None), None)
    return None


ROUTES = (context,)
