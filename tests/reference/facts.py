"""Reference: the facts of one account as plain data, which the models take in the order of the log."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

ZERO = Decimal(0)
SECOND = 10**9
AHEAD_MAX = 60 * SECOND
DAY = 24 * 3_600 * SECOND


@dataclass(frozen=True)
class Fact:
    """One record, as plain data: what it says (`kind`), its place in the log, and when it happened (ns).

    `kind` is FILL or TRADE (reports of an execution), FEE, BUST, CORRECT, ADJUST, DEFINE (a contract's terms and
    names), DAY (a trading day from `at` until `until`), RESTART, or a word of an order's life (see orders.py). `side`
    is 1 for bought, -1 for sold. What a report does not state is None, and `timed` is False where `at` is only when it
    was recorded. `recorded` is when the log took it, 0 if it took it when it happened; `ahead` is whether it stated a
    time that the log had not reached. Of a contract, `inverse` is its payoff, and `coin` what a purchase brings if fees
    are taken from it.
    """

    kind: str
    log: int
    at: int
    timed: bool = True
    stream: str = ""
    id: str = ""
    symbol: str | None = None
    side: int | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    before: tuple[Decimal, Decimal] | None = None
    fee: Decimal = ZERO
    currency: str = ""
    held: str = "NET"
    trading_day: str | None = None
    reason: str = ""
    names: tuple[str, ...] = ()
    multiplier: Decimal | None = None
    inverse: bool = False
    coin: str = ""
    until: int = 0
    recorded: int = 0
    ahead: bool = False


def counted(fact: Fact) -> Fact:
    """Return a fact as it counts: what has not happened yet when it is recorded happened then."""
    recorded = fact.recorded or fact.at
    if fact.at - recorded > AHEAD_MAX:
        return replace(fact, at=recorded, timed=False, ahead=True)
    if fact.reason == "RECONCILED":
        # It stands for what happened before it, and nothing else.
        return replace(fact, at=min(fact.at, recorded))
    # What is recorded within a second may have been stated without a time.
    return replace(fact, timed=fact.timed and not (fact.recorded and 0 <= recorded - fact.at < SECOND))


def day_of(at: int, stated: list[Fact]) -> str:
    """Return the stated trading day that an instant lies in, or `~` and its date in UTC."""
    for fact in stated:
        if fact.at <= at < fact.until:
            return str(fact.trading_day)
    return "~" + datetime.fromtimestamp(at // SECOND, UTC).date().isoformat()
