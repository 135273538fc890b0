"""Reference: what an amount of one currency is in another, found by going through all rates and quotes of the pair."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal

DIGITS = Context(prec=34)
RATE_STALE, QUOTE_STALE, CONFIRM = 120 * 10**9, 10 * 10**9, 10**9


@dataclass
class Observed:
    """A rate that was recorded, or a quote since the last start: what one unit of `base` is worth in the other."""

    is_quote: bool
    base: str
    value: Decimal
    at: int
    recorded_at: int

    def worth(self, base: str) -> Decimal:
        return self.value if base == self.base else DIGITS.divide(Decimal(1), self.value)

    def is_ahead(self) -> bool:
        """Whether its clock was wrong."""
        return self.at > self.recorded_at + RATE_STALE


def near(one: Observed, other: Observed) -> bool:
    return abs(DIGITS.subtract(other.worth(one.base), one.value)) <= DIGITS.multiply(one.value, Decimal("0.2"))


def recorded(observed: list[Observed]) -> tuple[Observed | None, Observed | None]:
    """Return the recorded rate in use, and one that jumped from it and waits for a second one."""
    used: Observed | None = None
    waiting: Observed | None = None
    rates = [each for each in observed if not each.is_quote]
    # Once a clock was right, the rates of one that runs ahead do not count.
    right = [each for each in rates if not each.is_ahead()]
    for each in right or rates:
        if used is None:
            used = each
        elif each.at >= used.at:
            used, waiting = after(used, waiting, each)
    return used, waiting


def after(used: Observed, waiting: Observed | None, fresh: Observed) -> tuple[Observed, Observed | None]:
    """Return the same after a rate that is not older than the one in use."""
    if near(used, fresh):
        return fresh, waiting if waiting is not None and waiting.at > fresh.at else None
    if waiting is not None and near(waiting, fresh):
        if abs(fresh.at - waiting.at) < CONFIRM:
            return used, waiting
        return (fresh if fresh.at >= waiting.at else waiting), None
    return used, fresh if waiting is None or fresh.at >= waiting.at else waiting


def convert(
    observed: list[Observed], amount: Decimal, source: str, target: str, now: int
) -> tuple[Decimal | None, str]:
    """Return the amount and how far it may be believed."""
    if source == target:
        return amount, "KNOWN"
    if not amount:
        return Decimal(0), "KNOWN"
    used, waiting = recorded(observed)
    quotes: dict[str, Observed] = {}
    for each in observed:
        if each.is_quote:
            quotes[each.base] = each
    found = [each for each in (*quotes.values(), used) if each is not None]
    if not found:
        return None, "UNKNOWN"
    newest = max(found, key=lambda each: (each.at <= now + RATE_STALE, each.at))
    limit = QUOTE_STALE if newest.is_quote else RATE_STALE
    fresh = abs(now - newest.at) <= limit and (waiting is None or waiting.at < newest.at)
    return DIGITS.multiply(amount, newest.worth(source)), "KNOWN" if fresh else "STALE"
