"""What the kinds share whose lockouts last as long as the breach."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

from msgspec.structs import replace
from typing_extensions import override

from eventstore.streams import stream_of
from eventstore.trading import LockoutCleared
from eventstore.trading.lockouts import ACCOUNT, is_instrument
from projections.risk.limits.breaches import breach_decision, now_of
from projections.risk.limits.kind import LimitKind
from projections.risk.policies import Decision
from projections.views.limits.parameters import Parameters, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from projections.book import Book
    from projections.risk.policies import Trigger
    from projections.views.lockouts.lockout import Lockout

P = TypeVar("P", bound=Parameters)


class WhileInBreach(LimitKind[P]):
    """A kind whose lockouts last as long as the breach: it clears its own revocable lockouts when that is over.

    A lockout that somebody else set under its rule id is left alone.
    """

    timed: ClassVar[bool] = True

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterator[Decision]:
        required: dict[tuple[str, str], int | None] = {}
        for limit, parameters in self.limits(book, trigger):
            for breach in self.breaches(book, trigger, limit, parameters):
                required[limit.rule_id, breach.scope] = breach.until
                decision = breach_decision(book, trigger, limit, parameters, breach)
                if decision is not None:
                    # A breach may begin and end several times a day: by the trigger alone all would have the same key.
                    key = f"{trigger.account}/{limit.rule_id}/{breach.scope}/{book.position}"
                    yield replace(decision, key=key)
        for held in book.shadow.locks_in_force(trigger.account, now_of(trigger)):
            if self._is_own(held) and _is_over(held, required):
                yield cleared(held)

    def _is_own(self, held: Lockout) -> bool:
        # The details of a lockout that a limit led to name that limit (see `breach_details`).
        own = isinstance(held.details, dict) and "limit_position" in held.details
        return own and held.revocable and kind_of(held.rule_id) == self.name


def _is_over(held: Lockout, required: Mapping[tuple[str, str], int | None]) -> bool:
    """Return whether no breach requires a lockout any more, or not for as long: then a shorter one replaces it."""
    if (held.rule_id, held.scope) not in required:
        return True
    until = required[held.rule_id, held.scope]
    return until is not None and (held.until is None or held.until > until)


def cleared(held: Lockout) -> Decision:
    """Return the decision that ends a lockout whose breach is over; the kind of its rule id is who cleared it."""
    account = held.account

    def is_cleared(book: Book) -> bool:
        active = book.lockouts.active(account, book.now_ns())
        return not book.shadow.would_hold(held) and all(other.cause != held.cause for other in active)

    event = LockoutCleared(
        by=kind_of(held.rule_id), reason="the breach is over", rule_id=held.rule_id, scope=held.scope
    )
    stream = stream_of("lockout", account, held.rule_id)
    return Decision(((stream, event),), obsolete_if=is_cleared, key=f"{held.cause.hex()}/{held.positions[-1]}")


def scope_of(symbol: str) -> str:
    """Return the lockout scope of a symbol that is traded; the whole account for one whose name can be no scope's."""
    return f"symbol:{symbol}" if is_instrument(symbol) else ACCOUNT


def scopes_of(book: Book, name: str) -> list[str]:
    """Return the lockout scopes of a symbol or root; both if the name may be either, none if it can be neither."""
    if not is_instrument(name):
        return []
    is_symbol = book.contracts.find(name) is not None
    if is_symbol and all(each.root != name for each in book.contracts.all()):
        return [f"symbol:{name}"]
    return [f"symbol:{name}", f"root:{name}"]
