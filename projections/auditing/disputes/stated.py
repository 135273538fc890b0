"""A broker's statement over a disputed day: what of the day differs from the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from eventstore import InvalidEvent
from projections.auditing.statements import Statement, statement
from projections.auditing.statements.days import DayBounds
from projections.auditing.statements.period import spans_of

if TYPE_CHECKING:
    from eventstore import EventReader
    from projections.auditing.disputes.days import DisputedDay
    from projections.auditing.statements import Break, Stated
    from projections.book import Book


def statement_of_day(
    store: EventReader, stated: Stated, book: Book, account: str, day: DisputedDay
) -> tuple[Statement | None, list[str]]:
    """Return the comparison over the day, and what is not known of it; None where the statement is of other days.

    Raises InvalidEvent for a statement of other accounts: it would look as if all of the day were missing in it.
    """
    if stated.accounts and account not in stated.accounts:
        msg = (
            f"{stated.source} has rows of {', '.join(stated.accounts)}, and none of {account}: "
            "give the statement of this account"
        )
        raise InvalidEvent(msg)
    spans = spans_of(stated.of(account), DayBounds(book, account))
    if not spans or min(each.since for each in spans) >= day.until or max(each.until for each in spans) <= day.since:
        return None, [f"what the broker states of the day: {stated.source} is of other days, so nothing was compared"]
    found = statement(store, stated, account=account, start=day.since, stop=day.until)
    own = tuple(each for each in found.breaks if _is_of(each, day))
    return msgspec.structs.replace(found, breaks=own), [
        f"what {found.source} says of {each}" if ":" not in each else f"not compared with {found.source}: {each}"
        for each in found.not_compared
    ]


def _is_of(each: Break, day: DisputedDay) -> bool:
    """Return whether a break belongs to the day: positions are compared wherever the statement has them."""
    if each.at is not None:
        return day.since <= each.at < day.until
    return each.trading_day in {None, day.trading_day}
