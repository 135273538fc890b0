"""Whether it is safe to trade an account: what stands in the way, and waiting until nothing does."""

from __future__ import annotations

import decimal
import time
from typing import TYPE_CHECKING

from eventstore import StoreError
from eventstore.clock import derived_from, timeout_of
from projections.decimals import FIXED
from projections.reconciliation import reconcile
from projections.risk.contexts import AccountContext
from projections.risk.contradictions import contradictions
from projections.risk.policies.liveness import PolicyRun, run_of, why_unjudged
from projections.view import SHARED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from projections.book import Book

WAIT_SECONDS = 0.1
TIMEOUT_SECONDS = 60.0
_SHOWN = 5


class NotSafe(StoreError):
    """An account may not be traded yet: `reasons` says why, each with what to do."""

    def __init__(self, account: str, reasons: Sequence[str]) -> None:
        self.account, self.reasons = account, tuple(reasons)
        more = f"; and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
        super().__init__(f"{account} is not safe to trade: {'; '.join(reasons[:_SHOWN])}{more}")


def wait_until_safe(book: Book, account: str, *, timeout: float = TIMEOUT_SECONDS) -> None:
    """Return once nothing stands in the way of trading an account; raise NotSafe after `timeout` seconds.

    Nothing does when the book has folded all of its log, the account is opened, policies run for it and have decided on
    every record, each limit in force is judged, open positions are priced, the broker's reports agree with the records,
    and no enforcement is pending. A lockout does not count: orders are rejected by it anyway.
    """
    # Real time: a clock that is set by hand, as in a test, would wait forever.
    ends = time.monotonic() + timeout_of(timeout)
    while True:
        book.refresh()
        reasons = why_not_safe(book, account)
        if not reasons:
            return
        left = ends - time.monotonic()
        if left <= 0:
            raise NotSafe(account, reasons)
        book.reader.wait(book.position, min(left, WAIT_SECONDS))


def why_not_safe(book: Book, account: str) -> tuple[str, ...]:
    """Return what stands in the way of trading an account now, a sentence each; nothing if it is safe."""
    at = book.now_ns()
    try:
        with derived_from(at), decimal.localcontext(FIXED):
            return tuple(dict.fromkeys(_reasons(book, account, at)))
    except (StoreError, ArithmeticError) as error:
        # What cannot be read is not safe.
        return (str(error),)


def _reasons(book: Book, account: str, at: int) -> Iterator[str]:
    parked = [error for (_, partition), error in book.parked.items() if partition in {account, SHARED}]
    yield from map(str, parked)
    if not book.is_caught_up:
        yield f"the book is at position {book.position:,}, behind its log or closed: refresh it or reopen it"
    if parked:
        return
    yield from _of_account(book, account)
    yield from _of_policies(book, account)
    context = AccountContext(book, account, at)
    yield from contradictions(context)
    yield from (f"{each.sentence}: reconcile it" for each in reconcile(book, account))
    standings = context.figures.positions.standings.values()
    yield from (f"an open position cannot be valued: {standing.why}" for standing in standings)
    yield from (f"limit {each.rule_id} is not judged: {each.why}" for each in book.limits.unjudged(account, at))
    for request in book.enforcement.pending(account):
        yield f"{request.action} by {request.rule_id} is pending since position {request.position:,}: carry it out"


def _of_account(book: Book, account: str) -> Iterator[str]:
    known = book.accounts.get(account)
    if known is None or known.starting_balance is None:
        yield f"account {account} was never opened: adopt it, or append AccountOpened"
    why = book.accounts.why_not_reopened(account)
    if why is not None:
        yield why


def _of_policies(book: Book, account: str) -> Iterator[str]:
    if book.listener is not None and not book.listener.is_caught_up_for(account):
        yield f"the policies have not decided on every record yet, or have failed: {book.listener!r}"
    why = why_unjudged(book, account)
    if why is not None:
        yield why
    elif book.limits.judging(account) and run_of(book, account) is PolicyRun.NEVER:
        yield f"no policies ever ran on this log, so the limits of {account} lock nothing: start Policies"
