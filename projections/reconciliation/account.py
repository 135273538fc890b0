"""All differences of an account: its positions, then its orders."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING

from projections.decimals import FIXED
from projections.reconciliation.orders import order_differences
from projections.reconciliation.positions import position_difference, reported_positions

if TYPE_CHECKING:
    from decimal import Decimal

    from projections.book import Book
    from projections.reconciliation.difference import Difference


def reconcile(
    book: Book, account: str, *, since: int = 0, tolerance: Decimal | None = None
) -> tuple[Difference, ...]:  # fmt: skip
    """Return where an account's newest reports differ from its other records, positions first.

    The newest report is the one that was made last; one that is recorded late, or delivered again, is not compared. A
    report is compared with what was known at its place in the log, without fills that happened after it; fills recorded
    later do not count. Those that occurred before the report do if that explains the difference; if not, they make it
    stale, as do fills of after it that lead to the position that it reports. Once it is booked, fills from before it
    are taken out of the adjustment that stood for them. A report under any name of a contract is one of the contract's
    position, also if the name became known later. An order's difference disappears when its own events agree with the
    report; a position's, when it is adjusted or reported again. What no report names is not compared: a broker's empty
    answer means nothing until it is reported as zero.

    `since`: a log position; older reports are ignored. `tolerance`: how much average prices may differ, in points; by
    default one tick of the contract, or a ten thousandth of the price without one. Every record of the account's
    positions is read.
    """
    with decimal.localcontext(FIXED):
        found = [each for each in reported_positions(book, account) if each.record.position > since]
        differences = [position_difference(book, each, tolerance) for each in found]
        return (*[each for each in differences if each is not None], *order_differences(book, account, since))
