"""What a rule wants done about an account, and what was done: stream `enforcement/ACCOUNT/REQUEST_ID`."""

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from eventstore.events import QUEUED, Event, Instant, event
from eventstore.trading.enums import EnforcementAction


def _problem_of(claim: "EnforcementClaimed") -> str | None:
    """Return what is wrong with a claim."""
    return None if claim.claimant.strip() else "a claim without a claimant protects nobody: name the process"


@event(categories=("enforcement",), durability=QUEUED, measures=("quantity",))
class EnforcementRequested(Event, frozen=True, kw_only=True):
    """A rule asks the trading process to act; it stays pending until the account is in the wanted state.

    `symbol` goes with FLATTEN_SYMBOL, and `quantity` with REDUCE_TO: what may be left, above zero on either side.
    Without a `request_id` the stream's entity is it. `attempt` counts how often the same is asked, from 1 on: each
    attempt is a request with an id of its own.
    """

    rule_id: str
    action: EnforcementAction
    reason: str = ""
    details: dict[str, Any] | str = msgspec.field(default_factory=dict)
    request_id: str | None = None
    symbol: str | None = None
    quantity: Decimal | None = None
    trading_day: date | None = None
    attempt: int = 1


@event(categories=("enforcement",), problem_of=_problem_of)
class EnforcementClaimed(Event, frozen=True, kw_only=True):
    """A process carries out a request: until `lease_until` no other one may.

    The `claimant` names the process. One that needs longer claims again before its lease ends; once it has ended,
    anybody may claim the request.
    """

    request_id: str
    claimant: str
    lease_until: Instant


@event(categories=("enforcement",))
class EnforcementEscalated(Event, frozen=True, kw_only=True):
    """A request has been asked for `attempts` times, or for too long, and the account is not in the wanted state.

    A person has to act. It is still asked again.
    """

    request_id: str
    attempts: int
    why: str = ""


@event(categories=("enforcement",), durability=QUEUED)
class QuotesWanted(Event, frozen=True, kw_only=True):
    """Positions in these symbols have no usable price: the trading process should get quotes of them."""

    symbols: tuple[str, ...]
    reason: str = ""


@event(categories=("enforcement",), durability=QUEUED)
class EnforcementTaken(Event, frozen=True, kw_only=True):
    """The trading process answered a request; without `success` it tried, and is asked again while a lockout wants it.

    With `success` as well, as long as the account is not in the wanted state.
    """

    request_id: str
    success: bool
    details: dict[str, Any] | str = msgspec.field(default_factory=dict)
