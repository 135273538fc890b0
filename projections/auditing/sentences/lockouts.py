"""Sentences about lockouts, what would lock in shadow mode, and clocks that were moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.trading import (
    Allows,
    ClockJumped,
    LockoutCleared,
    LockoutExpired,
    LockoutExtended,
    LockoutSet,
    WouldAsk,
    WouldClear,
    WouldLock,
)
from eventstore.trading.lockouts import ACCOUNT
from projections.auditing.sentences.enforcement import asked_for
from projections.auditing.sentences.wording import Said, because
from projections.views.lockouts.lockout import Lockout

if TYPE_CHECKING:
    from projections.auditing.sentences.wording import Sentences


def _set(event: LockoutSet, said: Said) -> str:
    return f"Locked {_terms(event, said)}{because(event.reason)}"


def _would_lock(event: WouldLock, said: Said) -> str:
    return f"Shadow mode: would have locked {_terms(event, said)}{because(event.reason)}"


def _terms(event: LockoutSet | WouldLock, said: Said) -> str:
    scope = f"account {said.record.account}" if event.scope == ACCOUNT else event.scope.replace(":", " ", 1)
    until = "without end date" if event.until is None else f"until {said.instant(event.until)}"
    allows = "" if event.allows is Allows.NOTHING else ", reductions allowed"
    fixed = "" if event.revocable else ", irrevocably"
    return f"{scope} {until} by {event.rule_id}{allows}{fixed}"


def _extended(event: LockoutExtended, said: Said) -> str:
    until = "has no end date any more" if event.until is None else f"now lasts until {said.instant(event.until)}"
    return f"{_named(event, said)} {until}{because(event.reason)}"


def _cleared(event: LockoutCleared, said: Said) -> str:
    return f"{_named(event, said)} was cleared{_by(event, said)}{_without_effect(said)}{because(event.reason)}"


def _would_clear(event: WouldClear, said: Said) -> str:
    what = _named(event, said)
    cleared = f"{what[0].lower()}{what[1:]} would have been cleared{_by(event, said)}"
    return f"Shadow mode: {cleared}{because(event.reason)}"


def _expired(event: LockoutExpired, said: Said) -> str:
    return f"{_named(event, said)} expired{_without_effect(said)}"


def _would_ask(event: WouldAsk, _said: Said) -> str:
    return f"Shadow mode: would have asked to {asked_for(event)}{because(event.reason)}"


def _jumped(event: ClockJumped, said: Said) -> str:
    way = "ahead" if event.after > event.before else "back"
    span = f"from {said.instant(event.before)} to {said.instant(event.after)}"
    lockouts = [after for _, after in said.of("lockouts", tuple)]
    moved = "; the lockouts in force last as much longer by it" if lockouts and event.after > event.before else ""
    return f"The wall clock was set {way} {span}, while no time passed{moved}"


def _named(event: LockoutExtended | LockoutCleared | LockoutExpired | WouldClear, said: Said) -> str:
    scope = "" if event.scope in {None, ACCOUNT} else f" ({event.scope})"
    return f"The lockout by {event.rule_id or said.entity}{scope}"


def _by(event: LockoutCleared | WouldClear, said: Said) -> str:
    by = event.by or said.record.actor
    return f" by {by}" if by else ""


def _without_effect(said: Said) -> str:
    """Return that nothing ended, where the fold knows lockouts of the account and none of them changed."""
    before = [each for was, _ in said.of("lockouts", tuple) if was is not None for each in was]
    ended = any(isinstance(each, Lockout) for each in before)
    return "" if ended or not said.knows("lockouts") else ", without effect"


SENTENCES: Sentences = {
    LockoutSet: _set,
    LockoutExtended: _extended,
    LockoutCleared: _cleared,
    LockoutExpired: _expired,
    ClockJumped: _jumped,
    WouldLock: _would_lock,
    WouldClear: _would_clear,
    WouldAsk: _would_ask,
}
