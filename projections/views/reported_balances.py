"""A broker's newest figures in one currency, and since when it has stated the balance."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from eventstore import Instant, Record
from projections.views.confirming import is_second

if TYPE_CHECKING:
    from eventstore.trading import AccountUpdated

_BEFORE_ALL = (-(2**63), 0)
AVAILABLE = 1
"""Where the place of `available` is among those of a balance."""


class BrokerBalance(msgspec.Struct, frozen=True):
    """The broker's figures in one currency, None if never reported; `position` is the newest record's log position.

    `places` has when each of the four was reported (UNIX ns) and in which record: the one that was made later counts.
    """

    balance: Decimal | None = None
    available: Decimal | None = None
    frozen: Decimal | None = None
    margin: Decimal | None = None
    position: int = 0
    places: tuple[tuple[Instant, int], ...] = (_BEFORE_ALL,) * 4


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


def stated_balance(update: AccountUpdated, record: Record) -> BrokerBalance | None:
    """Return the figures that an update states; None without any."""
    figures = (update.balance, update.available, update.frozen, update.margin)
    if all(figure is None for figure in figures):
        return None
    # A time that the log has not reached yet is from a clock that runs ahead: it must not outlast all later reports.
    place = (min(record.occurred_at, record.recorded_at), record.position)
    return BrokerBalance(
        update.balance,
        update.available,
        update.frozen,
        update.margin,
        record.position,
        tuple([_BEFORE_ALL if figure is None else place for figure in figures]),
    )


def merged(one: BrokerBalance | None, other: BrokerBalance) -> BrokerBalance:
    """Return the newest of each figure, by when it was reported."""
    if one is None:
        return other
    newest = [one if here >= there else other for here, there in zip(one.places, other.places, strict=True)]
    return BrokerBalance(
        newest[0].balance,
        newest[1].available,
        newest[2].frozen,
        newest[3].margin,
        max(one.position, other.position),
        tuple([max(pair) for pair in zip(one.places, other.places, strict=True)]),
    )
