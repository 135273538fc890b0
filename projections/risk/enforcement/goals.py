"""What is pending: requests that nobody has answered, and goals of lockouts in force that are not reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore import StoreError
from eventstore.clock import derived_from
from eventstore.trading.lockouts import ACCOUNT
from projections.risk.enforcement.wanted import has_changed, is_of_before, is_reached
from projections.risk.queried import book_of
from projections.view import SHARED
from projections.views.contracts.names import named_in
from projections.views.contracts.view import ContractsView
from projections.views.enforcement import EnforcementView
from projections.views.enforcement.goals import provide
from projections.views.lockouts.view import LockoutsView

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from projections.book import Book
    from projections.view import BookReader
    from projections.views.contracts.view import ContractsState
    from projections.views.enforcement import Enforcement, EnforcementState
    from projections.views.lockouts.lockout import Lockout
    from projections.views.lockouts.state import LockoutsState


def newest_attempts(book: Book, account: str) -> list[Enforcement]:
    """Return the newest attempt of each goal of an account, answered or not."""
    state: EnforcementState | None = book.state(EnforcementView.name, account)
    return [] if state is None else list(state.goals.values())


def goals_in_force(book: Book, account: str, at: int) -> list[Enforcement]:
    """Return the newest attempt of each goal whose lockout holds at an instant."""
    goals = newest_attempts(book, account)
    # Nearly always there is none; of earlier days there may be many.
    if not goals:
        return goals
    rules = {held.rule_id for held in _active(book, account, at)}
    return [each for each in goals if each.rule_id in rules and is_in_force(book, each, at)]


def _active(book: Book, account: str, at: int) -> Sequence[Lockout]:
    """Return the lockouts in force; where their view has stopped, of those that it had folded until then."""
    try:
        return book.lockouts.active(account, at)
    except StoreError:
        state: LockoutsState | None = book.state(LockoutsView.name, account, even_parked=True)
        return [] if state is None else [each for each in list(state.active.values()) if each.is_active(at)]


def is_in_force(book: Book, request: Enforcement, at: int) -> bool:
    """Return whether the lockout that a request is part of holds at an instant.

    It is of the request's rule and of its scope, or of a larger one, and was set before the request; or it replaced
    such a one while that was in force. A lockout that is set later, after the first has ended, makes requests of its
    own, or wants none.
    """
    for held in _active(book, request.account, at):
        if held.rule_id == request.rule_id and _covers(book, held, request):
            return held.positions[0] <= request.position or _replaced(book, held, request.position)
    return False


def _covers(book: Book, held: Lockout, request: Enforcement) -> bool:
    if held.scope == ACCOUNT:
        return True
    name = held.scope.partition(":")[2]
    if request.symbol is None or request.symbol == name:
        return request.symbol is not None
    contracts: ContractsState | None = book.state(ContractsView.name, SHARED)
    return bool(named_in(contracts, request.symbol, (name,)))


def _replaced(book: Book, held: Lockout, position: int) -> bool:
    """Return whether a lockout follows, without a gap, one that was set before a log position."""
    state: LockoutsState | None = book.state(LockoutsView.name, held.account, even_parked=True)
    for earlier in () if state is None else reversed(state.ended):
        is_same = (earlier.rule_id, earlier.scope) == (held.rule_id, held.scope)
        if is_same and earlier.ended_by == "replaced" and earlier.ended_at == held.set_at:
            held = earlier
            if held.positions[0] <= position:
                return True
    return False


def _ended(book: Book, request: Enforcement) -> Lockout | None:
    """Return the last lockout before a request of its rule and scope, which has ended; None if none is in memory."""
    state: LockoutsState | None = book.state(LockoutsView.name, request.account)
    if state is None:
        return None
    # One whose time has passed is among those in force until its expiry is recorded.
    known = (*state.ended, *state.expired, *list(state.active.values()))
    found = [
        held
        for held in known
        if held.rule_id == request.rule_id and held.positions[0] <= request.position and _covers(book, held, request)
    ]
    return max(found, key=lambda held: held.positions[0], default=None)


def _is_before(held: Lockout, request: Enforcement) -> bool:
    """Return whether a lockout had ended when a request was made."""
    ended_at = held.ends_at if held.ended_at is None else held.ended_at
    return ended_at is not None and ended_at < request.requested_at


def is_pending(book: Book, request: Enforcement, at: int) -> bool:
    """Return whether a goal's newest attempt, or a request without an answer, is asked for at an instant.

    One that is answered: as long as its lockout holds and the wanted state is not reached, whatever the answer. One
    that is not answered: until it is, or until something recorded since has led to the wanted state.
    """
    try:
        if request.taken:
            return is_in_force(book, request, at) and not is_reached(book, request, at)
        if is_in_force(book, request, at):
            return not (is_reached(book, request, at) and has_changed(book, request, at))
        return _outlives_lockout(book, request, at)
    except StoreError:
        # What cannot be read is not reached.
        return True


def _outlives_lockout(book: Book, request: Enforcement, at: int) -> bool:
    """Return whether a request without an answer is pending though no lockout in force asks for it.

    One that never was part of a lockout is, as ever, until it is done. Somebody who ends a lockout before its time ends
    its requests. One that expired leaves what was open or working then to be closed: it should have been by then. What
    is opened or sent after that is nobody's to close.
    """
    held = _ended(book, request)
    if held is None or (request.attempt == 1 and _is_before(held, request)):
        return not (is_reached(book, request, at) and has_changed(book, request, at))
    if _is_before(held, request):
        # It was asked again just when the lockout ended.
        return False
    return held.ended_by in {None, "expired"} and is_of_before(book, request, at)


def is_withdrawn(book: Book, request: Enforcement, at: int) -> bool:
    """Return whether somebody has ended the lockout of a request before its time: nobody may carry it out any more.

    Where that cannot be read it is not.
    """
    try:
        if is_in_force(book, request, at):
            return False
        held = _ended(book, request)
    except StoreError:
        return False
    if held is None:
        return False
    if _is_before(held, request):
        return request.attempt > 1
    return held.ended_by not in {None, "expired"}


def _pending_of(reader: BookReader, requests: Iterable[Enforcement], at: int) -> list[Enforcement]:
    """Return those of some requests that are pending, in the book whose queries ask."""
    book = book_of(reader)
    with derived_from(at):
        return [each for each in requests if is_pending(book, each, at)]


provide(_pending_of)
