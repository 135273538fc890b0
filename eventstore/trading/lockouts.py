"""What an account may no longer do, and until when: stream `lockout/ACCOUNT/RULE_ID`.

A scope is `account`, `symbol:X` or `root:X`. Where the later events leave `rule_id` or `scope` out, they mean the
stream's rule and every scope of it.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Protocol

import msgspec

from eventstore.events import DerivedInstant, Event, Instant, event
from eventstore.trading.enums import Allows

ACCOUNT = "account"
Scope = Annotated[str, msgspec.Meta(extra={"scope": True})]
"""What a lockout is about: `account`, `symbol:X` or `root:X`."""
# A name may contain blanks, but not begin or end with one: nobody would see why it locks nothing.
_NAME = r"\S(.*\S)?"
_INSTRUMENT = re.compile(_NAME)
_NAMED_SCOPE = re.compile(rf"(symbol|root):{_NAME}")


class _Scoped(Protocol):
    @property
    def scope(self) -> str | None: ...


def is_scope(scope: str) -> bool:
    """Return whether a text is the scope of a lockout."""
    return scope == ACCOUNT or (_NAMED_SCOPE.fullmatch(scope) is not None and scope.isprintable())


def is_instrument(name: str) -> bool:
    """Return whether a text can be the name of a symbol or root: printable, without a blank at either end."""
    return _INSTRUMENT.fullmatch(name) is not None and name.isprintable()


def problem_of_names(what: str, names: Iterable[str]) -> str | None:
    """Return which of some names can be that of no symbol and no root."""
    wrong = next((name for name in names if not is_instrument(name)), None)
    if wrong is None:
        return None
    return f"{what} = {wrong!r:.80}: expected the name of a symbol or root: printable, without a blank at either end"


def problem_of_scope(event: _Scoped) -> str | None:
    """Return what is wrong with a scope."""
    if event.scope is None or is_scope(event.scope):
        return None
    return f"scope {event.scope!r:.80} is unknown: expected account, symbol:NAME or root:NAME, for example root:ES"


@event(categories=("lockout",), problem_of=problem_of_scope)
class LockoutSet(Event, frozen=True, kw_only=True):
    """A lockout came into force; without `until` it has no end. An irrevocable one cannot be weakened.

    An unknown scope is rejected; in a log that has one it means the whole account.

    `details` are what it was decided on: figures, the limit, quotes with their times.
    """

    rule_id: str
    scope: Scope = ACCOUNT
    allows: Allows = Allows.NOTHING
    reason: str = ""
    until: Instant | None = None
    revocable: bool = True
    details: dict[str, Any] | str = msgspec.field(default_factory=dict)


@event(categories=("lockout",), problem_of=problem_of_scope)
class LockoutExtended(Event, frozen=True, kw_only=True):
    """A lockout holds longer; without `until` it has no end any more."""

    until: Instant | None = None
    rule_id: str | None = None
    scope: Scope | None = None
    reason: str = ""


@event(categories=("lockout",), problem_of=problem_of_scope)
class LockoutCleared(Event, frozen=True, kw_only=True):
    """A lockout was ended."""

    by: str = ""
    reason: str = ""
    rule_id: str | None = None
    scope: Scope | None = None


@event(categories=("lockout",), problem_of=problem_of_scope)
class LockoutExpired(Event, frozen=True, kw_only=True):
    """A lockout's `until` came."""

    rule_id: str | None = None
    scope: Scope | None = None


@event(categories=("lockout",))
class ClockJumped(Event, frozen=True, kw_only=True):
    """The wall clock was moved from `before` to `after`, and no time passed: stream `lockout/ACCOUNT/clock`.

    What was in force lasts as much longer by that clock, and no longer again when it is moved back.
    """

    before: DerivedInstant
    after: DerivedInstant
