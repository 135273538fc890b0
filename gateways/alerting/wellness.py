"""Whether all that protects an account is in order: what the heartbeat depends on, and `doctor` shows."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, NamedTuple

from eventstore import StoreError
from eventstore.clock import NANOSECONDS, derived_from, wall_ns
from gateways.alerting.states import unpriced
from projections.risk.policies.liveness import PolicyRun, run_of, why_unjudged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventstore import EventStore
    from gateways.alerting.feeds import WantedQuotes
    from gateways.alerting.verifying import TailCheck
    from projections import Book

FREE_LEAST = 50_000_000
"""Free bytes below which a disk is full: what is appended may fail at any moment."""
PENDING_NS = 15 * NANOSECONDS
"""How long a goal may be pending, since it was first asked for, until its enforcement is not in order."""


class Problem(NamedTuple):
    """What is not in order: the part, and a sentence, whose figures may change while the problem stays the same."""

    part: str
    sentence: str


def problems(
    book: Book, store: EventStore, wanted: WantedQuotes, tail: TailCheck, *, has_prices: bool
) -> list[Problem]:
    """Return what is not in order of journal, policies, feed and enforcer; a part that cannot be asked is not."""
    parts: dict[str, Callable[[], Iterator[str]]] = {
        "journal": lambda: _journal(store, tail),
        "views": lambda: _views(book),
        "policies": lambda: _policies(book, has_prices=has_prices),
        "feed": lambda: _feed(book, wanted, has_prices=has_prices),
        "enforcer": lambda: _enforcer(book),
    }
    found = []
    for part, find in parts.items():
        try:
            with derived_from(wall_ns(store.clock)):
                found += [Problem(part, sentence) for sentence in find()]
        except (StoreError, OSError, ArithmeticError) as e:
            found.append(Problem(part, str(e)))
    return found


def _journal(store: EventStore, tail: TailCheck) -> Iterator[str]:
    store.head()
    if tail.fault is not None:
        yield str(tail.fault)
    if store.missing_tail is not None:
        yield str(store.missing_tail)
    directory = store.directory
    if store.read_only or (directory is not None and not os.access(directory, os.W_OK)):
        yield f"nothing can be appended in {directory or store.journal!r}"
    if directory is None:
        return
    free = shutil.disk_usage(directory).free
    if free < FREE_LEAST:
        yield f"{free / 1e6:,.0f} MB are free in {directory}: make room"


def _views(book: Book) -> Iterator[str]:
    for error in book.parked.values():
        yield str(error)


def _policies(book: Book, *, has_prices: bool) -> Iterator[str]:
    for account in book.accounts.active():
        if not book.limits.judging(account):
            continue
        why = why_unjudged(book, account)
        if why is not None:
            yield why
        elif run_of(book, account) is not PolicyRun.RUNNING:
            yield f"no process runs the policies of {account}: its limits are only checked before each order"
        # Without the prices, what rests on them is not known here, and recorded by the process that has them.
        unjudged = book.limits.unjudged(account) if has_prices else book.limits.recorded_unjudged(account)
        yield from (f"{each.rule_id} of {account} is not judged: {each.why}" for each in unjudged)


def _feed(book: Book, wanted: WantedQuotes, *, has_prices: bool) -> Iterator[str]:
    for account in book.accounts.active():
        found = tuple(unpriced(book, account, book.now_ns())) if has_prices else wanted.lasting(account, 0)
        if found:
            yield f"{account} holds {', '.join(found)} without a usable price"


def _enforcer(book: Book) -> Iterator[str]:
    now = book.now_ns()
    for request in book.enforcement.pending(at=now):
        # One of the future is of a clock that was set back: how long it has been pending is not known.
        if request.escalated_at is not None or not 0 <= now - request.asked_since < PENDING_NS:
            yield f"{request.action} of {request.account}, request {request.request_id}, is still pending"
