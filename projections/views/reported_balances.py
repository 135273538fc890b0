"""A broker's newest figures in one currency, and since when it has stated the balance."""

from decimal import Decimal

import msgspec

from eventstore import Instant, Record
from projections.views.confirming import is_second


class BrokerBalance(msgspec.Struct, frozen=True):
    """The broker's figures in one currency, None if never reported; `position` is the newest record's log position."""

    balance: Decimal | None = None
    available: Decimal | None = None
    frozen: Decimal | None = None
    margin: Decimal | None = None
    position: int = 0


class BalanceReport(msgspec.Struct, frozen=True):
    """The broker's newest balance in one currency: when it was made and recorded, and its log position.

    `first_at` and `first_position` are those of the first of the reports that have stated this balance without another
    in between, each made later than the one before.
    """

    balance: Decimal
    made_at: Instant
    at: Instant
    position: int
    first_at: Instant
    first_position: int


def reported_balance(known: BalanceReport | None, balance: Decimal, record: Record) -> BalanceReport:
    """Return the newest report of a balance: one that was made before it, or is repeated, changes nothing."""
    made_at, at, position = record.occurred_at, record.recorded_at, record.position
    # A time that the log has not reached yet is from a clock that runs ahead: it must not outlast all later reports.
    if (
        known is not None
        and known.made_at <= at
        and made_at <= known.made_at
        and not is_second(made_at, at, known.made_at)
    ):
        return known
    if known is None or balance != known.balance:
        return BalanceReport(balance, made_at, at, position, at, position)
    return BalanceReport(balance, made_at, at, position, known.first_at, known.first_position)


def merged(one: BrokerBalance | None, other: BrokerBalance) -> BrokerBalance:
    """Return the newer figures, completed by the older ones."""
    if one is None:
        return other
    older, newer = sorted((one, other), key=lambda each: each.position)
    return BrokerBalance(
        older.balance if newer.balance is None else newer.balance,
        older.available if newer.available is None else newer.available,
        older.frozen if newer.frozen is None else newer.frozen,
        older.margin if newer.margin is None else newer.margin,
        newer.position,
    )
