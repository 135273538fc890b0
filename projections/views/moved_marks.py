"""Marks that move with cash: highs and floors stay as far from an account's balance as they were, whatever moves."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from eventstore import Instant
from projections.decimals import FIXED, ZERO
from projections.views.executions.fees import Fees, with_fee

if TYPE_CHECKING:
    from projections.views.rates import ExchangeRates

MARKS_MAX = 20
CLOSES_MAX = 20


class MovedMark(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A figure as marked, with the cash of its own currency that moved since; `others` is cash of other currencies.

    `record` is the id of the record that stated it.
    """

    amount: Decimal
    others: Fees = ()
    record: bytes = b""


Marks = tuple[MovedMark, ...]
"""Marks of which the highest counts: which one that is depends on rates, if cash of other currencies has moved."""


class AtClose(msgspec.Struct, frozen=True):
    """What the marks of a currency were before a trading day's close, recorded at `at`, raised them."""

    at: Instant
    currency: str
    marks: Marks


def remembered(closes: tuple[AtClose, ...], close: AtClose) -> tuple[AtClose, ...]:
    """Return the newest closes that raised marks, with one more."""
    return (*closes[1 - CLOSES_MAX :], close)


def before(closes: tuple[AtClose, ...], now: int) -> dict[str, Marks]:
    """Return by currency what the marks were before any close that is later than a clock that was set back."""
    return {each.currency: each.marks for each in reversed(closes) if each.at > now}


def raised(marks: Marks, amount: Decimal, record: bytes = b"") -> Marks:
    """Return the marks with a further one; of two that are equal the older one stays."""
    return _highest_of_each((*marks, MovedMark(amount, (), record)))


def lowered(marks: Marks, amount: Decimal, record: bytes) -> Marks:
    """Return the marks after a correction: those above an amount are at it, and the correction is their record."""
    kept = tuple(each for each in marks if each.amount <= amount)
    return marks if len(kept) == len(marks) else raised(kept, amount, record)


def moved(marks: Marks, currency: str, amount: Decimal, own: str | None) -> Marks:
    """Return the marks after cash of a currency has moved; an account whose currency is not known has only one."""
    if not amount or not marks:
        return marks
    if own is None or currency == own:
        return tuple(MovedMark(FIXED.add(each.amount, amount), each.others, each.record) for each in marks)
    return _highest_of_each(
        tuple(MovedMark(each.amount, with_fee(each.others, currency, amount), each.record) for each in marks)
    )


def highest(marks: Marks, rates: ExchangeRates, own: str | None, at: int) -> Decimal | None:
    """Return the highest mark, with cash of other currencies at the rates as of an instant; None without a mark.

    Cash without a rate is left out: as part of the balance, too, which is then not known.
    """
    if len(marks) == 1:
        return _converted(marks[0], rates, own, at)
    return max((_converted(each, rates, own, at) for each in marks), default=None)


def depends_on_rates(marks: Marks) -> bool:
    """Return whether which mark is the highest may change with a rate."""
    return any(each.others for each in marks)


def record_of(marks: Marks, amount: Decimal, rates: ExchangeRates, own: str | None, at: int) -> bytes | None:
    """Return the id of the record behind a mark of at least an amount, None without one."""
    best = max(marks, key=lambda each: _converted(each, rates, own, at), default=None)
    if best is None or not best.record or _converted(best, rates, own, at) < amount:
        return None
    return best.record


def _highest_of_each(marks: Marks) -> Marks:
    """Return the highest mark of each sum of other currencies; at the limit, the highest ones."""
    if len(marks) == 1:
        return marks
    found: dict[Fees, MovedMark] = {}
    for each in marks:
        known = found.get(each.others)
        if known is None or known.amount < each.amount:
            found[each.others] = each
    if len(found) <= MARKS_MAX:
        return tuple(found.values())
    return tuple(sorted(found.values(), key=lambda each: each.amount)[-MARKS_MAX:])


def _converted(mark: MovedMark, rates: ExchangeRates, own: str | None, at: int) -> Decimal:
    total = mark.amount
    for currency, amount in mark.others:
        total = FIXED.add(total, rates.convert(amount, currency, own, at).amount or ZERO)
    return total
