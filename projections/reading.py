"""Reading part of a log for a fold: pages in order of log position, of all accounts or of some."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

from eventstore.events.registry import by_class
from projections.shares import AccountShares
from projections.view import GROUP, LIMITS, SHARED, is_of_group

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore import Event, EventReader, Record
    from projections.shares import AccountFilter

PAGE = 8_000
"""As many as a fold takes at once: the larger a page, the more records of one partition are folded together."""
PAGE_BYTES = 8 << 20
"""A page ends once the data of its records is as large: an event may be a hundred times as large as usual."""
_READ_AT_ONCE = 500

Progress = Callable[[int, int], None]
"""Called after each page with the number of records that are done, and of all."""


def tail(
    reader: EventReader,
    after: int,
    until: int,
    accounts: AccountFilter,
    also: tuple[type[Event], ...] = (),
    *,
    types: tuple[type[Event] | str, ...] | None = None,
) -> Iterator[list[Record]]:
    """Yield pages of the records after a log position and up to another; some accounts are read by their index.

    With some, the limits of all groups are read too. Accounts of shares are found by reading all. `also` names types to
    read of all other accounts: records may then come twice, and a fold skips the second. With `types`, no others are
    read.
    """
    if accounts is None:
        records = reader.read(after=after, until=until, types=types)
    elif isinstance(accounts, AccountShares):
        records = _of_shares(reader.read(after=after, until=until, types=types), accounts, also)
    else:
        parts = [
            reader.read(after=after, until=until, account=account, types=types)
            for account in sorted(accounts | {SHARED})
        ]
        # Those of groups, whatever they are called; of the other ones there are few.
        limits = reader.read_accounts(GROUP, category=LIMITS[:-1], after=after, until=until, types=types)
        parts.append(record for record in limits if record.account not in accounts)
        if also:
            parts.append(reader.read(after=after, until=until, types=also))
        records = heapq.merge(*parts, key=lambda record: record.position)
    page: list[Record] = []
    size = 0
    while some := list(itertools.islice(records, min(_READ_AT_ONCE, PAGE))):
        page += some
        size += sum([len(record.data) for record in some])
        if len(page) >= PAGE or size >= PAGE_BYTES:
            yield page
            page, size = [], 0
    if page:
        yield page


def _of_shares(records: Iterator[Record], shares: AccountShares, also: tuple[type[Event], ...]) -> Iterator[Record]:
    chosen, names = shares | frozenset({SHARED}), {by_class(cls).name for cls in also}
    for record in records:
        if record.account in chosen or record.type in names or is_of_group(record):
            yield record
