"""Reference: the facts of one account as plain data, which the models take in the order of the log."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

ZERO = Decimal(0)
SECOND = 10**9


@dataclass(frozen=True)
class Fact:
    """One record, as plain data: what it says (`kind`), its place in the log, and when it happened (ns).

    `kind` is FILL or TRADE (reports of an execution), FEE, BUST, CORRECT, ADJUST, DEFINE (a contract's terms and
    names), DAY (a trading day from `at` until `until`), RESTART, or a word of an order's life (see orders.py). `side`
    is 1 for bought, -1 for sold. What a report does not state is None, and `timed` is False where `at` is only when it
    was recorded.
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
    until: int = 0
