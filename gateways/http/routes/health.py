"""Whether the service lives, and whether it is ready to be asked: each part with ok, warning or wrong, and words."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import get

from eventstore import EventStore, StoreError
from eventstore.clock import derived_times
from gateways.alerting.checks import (
    OK,
    WARNING,
    WRONG,
    Check,
    alert_checks,
    directory_checks,
    enforcement_checks,
    group_checks,
    mirror_checks,
    policy_checks,
    problem_checks,
    unjudged_checks,
    watermark_checks,
)
from gateways.alerting.diagnosis import diagnosis
from gateways.http.access import Scope
from gateways.http.account_names import named
from gateways.http.answering import RequestRefused
from gateways.http.routes.asked import AccountQuery, known
from gateways.http.routes.documented import responses
from gateways.http.routes.parameters import Calling, Serving
from gateways.presenting.book_summary import pending_requests
from gateways.presenting.headroom import unjudged_of
from projections.ending import log_ended
from projections.readiness import why_not_safe
from projections.view import SHARED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeAlias

    from projections import Book

    Checks: TypeAlias = Iterable[Check]

NEEDED = frozenset({"journal", "disk space", "book", "shared views", "account"})
"""What nobody can be answered without, or nothing appended: the service is not ready while one of these is wrong."""


class ParkedPartition(msgspec.Struct, frozen=True, kw_only=True):
    """A view that failed for an account, or for `-`, at a log position; `/v1/retry/…` folds it again."""

    view: str
    partition: str
    log_position: int
    error: str


class ReadyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The health of each part. `status` is the worst of all; `ready` is whether the service can do its work.

    One account's failed view, a mirror that has halted, or policies that have stopped are wrong, and need a person, but
    do not keep the service from being asked about all else.
    """

    ready: bool
    status: str
    log: str
    log_position: int
    checks: list[Check]
    parked: list[ParkedPartition]


@get("/health/live", opt={"scope": None}, tags=["health"])
async def live() -> dict[str, str]:
    """Answer that the process runs."""
    return {"status": "live"}


@get("/health/ready", opt={"scope": Scope.READ}, responses=responses(404), tags=["health"])
async def ready(service: Serving, caller: Calling, account: AccountQuery = None) -> ReadyAnswer:
    """Answer whether the service is ready: 200 with every check, or 503 with the same as members of the problem.

    Checked are the journal, disk, book, mirror and workers; for a key of all accounts also parked partitions,
    policies, pending enforcement, limits that are not judged, and alerts. With `account`: also whether it is safe to
    trade that account now, which then is a part of being ready.
    """
    if account is not None:
        named(account)
    sees_all = caller.accounts is None

    def ask() -> ReadyAnswer:
        book, store = service.book.sync_book, service.store.sync_store
        if account is not None:
            known(book, account, caller)
        with derived_times():
            return readiness(book, store, account, sees_all=sees_all)

    found = await service.store.long(ask)
    if not found.ready:
        wrong = [f"{each.name}: {each.detail}" for each in found.checks if each.name in NEEDED and each.status == WRONG]
        members: dict[str, Any] = msgspec.to_builtins(found)
        # A problem's own status is a number.
        members["health"] = members.pop("status")
        raise RequestRefused(
            503, "NotReady", "; ".join(wrong), "Correct what `checks` names, then ask again.", **members
        )
    return found


def readiness(book: Book, store: EventStore, account: str | None, *, sees_all: bool) -> ReadyAnswer:
    """Return the health of each part; what cannot be asked is wrong, with the reason."""
    parts: dict[str, Callable[[], Checks]] = {
        "journal": lambda: _journal(store),
        "disk space": lambda: () if store.directory is None else directory_checks(store.directory),
        "book": lambda: _book(book),
        "mirror": lambda: () if store.side is None else mirror_checks(store),
        "watermarks": lambda: () if store.side is None else watermark_checks(store, store.side),
        "workers": lambda: group_checks(store),
        "shared views": lambda: _shared_views(book),
    }
    if account is not None:
        parts["account"] = lambda: problem_checks("account", why_not_safe(book, account), f"{account} is safe to trade")
    if sees_all:
        parts |= {
            "views": lambda: problem_checks("views", map(str, book.parked.values()), "every view folds to the head"),
            "policies": lambda: policy_checks(book, book.partitions("limits")),
            "enforcement": lambda: _enforcement(book),
            "limits": lambda: _unjudged(book),
            "alerts": lambda: () if store.side is None else alert_checks(diagnosis(book, store)),
        }
    checks = [check for name, find in parts.items() for check in _found(name, find)]
    worst = next(status for status in (WRONG, WARNING, OK) if any(each.status == status for each in checks))
    return ReadyAnswer(
        ready=not any(each.status == WRONG and each.name in NEEDED for each in checks),
        status=worst,
        log=store.log,
        log_position=book.position,
        checks=checks,
        parked=_parked(book) if sees_all else [],
    )


def _found(name: str, find: Callable[[], Checks]) -> list[Check]:
    try:
        return list(find())
    except (StoreError, OSError, ArithmeticError) as e:
        return [Check(name, WRONG, str(e))]


def _journal(store: EventStore) -> Iterator[Check]:
    """Check that the journal is open, whole and takes records."""
    head = store.head()
    if store.read_only or (store.directory is not None and not os.access(store.directory, os.W_OK)):
        yield Check("journal", WRONG, f"at position {head:,}, and nothing can be appended: it is open read-only")
    elif store.missing_tail is not None:
        yield Check("journal", WRONG, str(store.missing_tail))
    else:
        yield Check("journal", OK, f"at position {head:,}, {store.waiting:,} events waiting to be written")


def _book(book: Book) -> Iterator[Check]:
    """Fold what others have committed, and check that nothing is left, and that more may come."""
    book.refresh()
    if (ended := log_ended(book)) is not None:
        yield Check(
            "book", WRONG, f"log {ended.log} has ended, and log {ended.next} continues it: start the service again"
        )
    elif book.is_caught_up:
        yield Check("book", OK, f"at position {book.position:,}, all of the log")
    else:
        yield Check("book", WRONG, f"at position {book.position:,}, behind its log or closed")
    if book.snapshot_trouble is not None:
        yield Check("snapshots", WARNING, book.snapshot_trouble)


def _shared_views(book: Book) -> Checks:
    """Check the views of what belongs to no account, such as contracts: every account's figures rest on them."""
    found = [str(error) for (_, partition), error in book.parked.items() if partition == SHARED]
    return problem_checks("shared views", found, "contracts, quotes, rates and groups fold to the head")


def _enforcement(book: Book) -> Checks:
    now = book.now_ns()
    return enforcement_checks(pending_requests(book, book.partitions("enforcement"), now), now)


def _unjudged(book: Book) -> Iterator[Check]:
    found = list(unjudged_checks(unjudged_of(book, book.partitions("limits"), None)))
    yield from found or [Check("limits", OK, "every limit in force is judged, as far as it rests on no quotes")]


def _parked(book: Book) -> list[ParkedPartition]:
    return [
        ParkedPartition(view=view, partition=partition, log_position=error.position, error=str(error))
        for (view, partition), error in sorted(book.parked.items())
    ]


ROUTES = (live, ready)
