"""Cash that moves: which way, whether it is a result or comes from outside, and what it moves besides the balance."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from eventstore.trading import CashKind
from projections.decimals import ZERO
from projections.views.configuration import FLOOR_TO, KEEPS_FLOOR

if TYPE_CHECKING:
    from eventstore.trading import CashMoved

_OUTFLOWS = {CashKind.WITHDRAWAL, CashKind.PAYOUT}
_RESULTS = {CashKind.FUNDING, CashKind.FEE, CashKind.INTEREST, CashKind.DIVIDEND}


def received(event: CashMoved) -> Decimal:
    """Return what the account received, below zero what it paid.

    The kind says which way a DEPOSIT, a WITHDRAWAL and a PAYOUT go, whatever the sign; a FEE's amount is what was paid.
    """
    if event.kind is CashKind.DEPOSIT:
        return abs(event.amount)
    if event.kind in _OUTFLOWS:
        return -abs(event.amount)
    return -event.amount if event.kind is CashKind.FEE else event.amount


def is_result(event: CashMoved) -> bool:
    """Return whether it counts in the trading day's result: funding, interest, a dividend, a fee that no trade had.

    A deposit, withdrawal, transfer or payout is not performance: it moves the balance, and what is measured from it.
    """
    return event.kind in _RESULTS


def moves_high(event: CashMoved, payout: str) -> Decimal:
    """Return by how much a movement of cash moves a high-water mark, by the account's rule for payouts."""
    if is_result(event) or (event.kind is CashKind.PAYOUT and payout == KEEPS_FLOOR):
        return ZERO
    return received(event)


def set_floor(event: CashMoved, payout: str) -> Decimal | None:
    """Return what a payout sets the floor to at once; None if the floor moves like the high-water mark."""
    if event.kind is not CashKind.PAYOUT or not payout.startswith(FLOOR_TO):
        return None
    return Decimal(payout.removeprefix(FLOOR_TO))
