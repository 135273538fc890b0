"""Which requests a lockout makes, and how each is named: the only place that makes them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from eventstore.streams import ENTITY_BYTES_MAX, ESCAPED_SLASH, stream_of
from eventstore.trading import EnforcementAction, EnforcementRequested
from eventstore.trading.lockouts import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from decimal import Decimal

    from eventstore import Event
    from projections.views.enforcement import Enforcement

AGAIN = "; asked again: "
"""What comes before it in the reason of an attempt is the reason of the first one."""
FLATTENING = frozenset({EnforcementAction.FLATTEN, EnforcementAction.FLATTEN_SYMBOL})
_CANCEL, _NONE = EnforcementAction.CANCEL_ORDERS, EnforcementAction.NONE
_DIGITS = 16


def requests_of(
    account: str,
    rule_id: str,
    action: EnforcementAction,
    *,
    name: str,
    reason: str,
    details: dict[str, Any],
    scope: str = ACCOUNT,
    symbol: str | None = None,
    quantity: Decimal | None = None,
    trading_day: date | None = None,
) -> Iterator[tuple[str, Event]]:
    """Yield what the lockout of an account in a scope asks for, each with its stream; append the lockout before them.

    Flattening asks for working orders to be cancelled first: one of them could open a position again. `name` is the
    decision's own, and becomes a part of each request's id. `symbol` is what the request is about where that is less
    than the lockout's scope.
    """
    about = symbol or (None if scope == ACCOUNT else scope.partition(":")[2])
    for each in _actions(action):
        request_id = bounded(f"{name}-cancel" if each is _CANCEL and action is not _CANCEL else name)
        request = EnforcementRequested(
            rule_id=rule_id,
            action=each,
            reason=reason,
            details=details,
            request_id=request_id,
            symbol=about,
            quantity=None if each is _CANCEL else quantity,
            trading_day=trading_day,
        )
        yield stream_of("enforcement", account, request_id), request


def _actions(action: EnforcementAction) -> tuple[EnforcementAction, ...]:
    if action in FLATTENING:
        return (_CANCEL, action)
    return () if action is _NONE else (action,)


def next_attempt(newest: Enforcement, why: str) -> tuple[str, Event]:
    """Return the request that asks again for the goal of one, with its stream; its id is the same in any process."""
    attempt = newest.attempt + 1
    # Named by the goal's first record: two goals of one rule may be asked for again for as often.
    request_id = bounded(f"{newest.rule_id}-{newest.first_id.hex()[-12:]}-{attempt}")
    request = EnforcementRequested(
        rule_id=newest.rule_id,
        action=newest.action,
        reason=newest.reason.partition(AGAIN)[0] + AGAIN + why,
        request_id=request_id,
        symbol=newest.symbol,
        quantity=newest.quantity,
        trading_day=newest.trading_day,
        attempt=attempt,
    )
    return stream_of("enforcement", newest.account, request_id), request


def bounded(request_id: str) -> str:
    """Return an id that fits into the name of a stream: what does not ends with a digest of all of it."""
    if _size(request_id) <= ENTITY_BYTES_MAX and request_id.isprintable():
        return request_id
    digest = hashlib.sha256(request_id.encode()).hexdigest()[:_DIGITS]
    # A symbol of a fill is recorded as it came, with a line break at its end too.
    request_id = "".join(letter for letter in request_id if letter.isprintable())
    while _size(request_id) > ENTITY_BYTES_MAX - _DIGITS - 1:
        request_id = request_id[:-1]
    return f"{request_id}-{digest}"


def _size(request_id: str) -> int:
    return len(request_id.replace("/", ESCAPED_SLASH).encode())
