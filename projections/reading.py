"""Reading part of a log for a fold: pages in order of log position, of all accounts or of some."""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING

from projections.view import SHARED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore import EventReader, Record

PAGE = 500


def tail(reader: EventReader, after: int, until: int, accounts: frozenset[str] | None) -> Iterator[list[Record]]:
    """Yield pages of the records after a log position and up to another; some accounts are read by their index."""
    if accounts is None:
        records = reader.read(after=after, until=until)
    else:
        parts = [reader.read(after=after, until=until, account=account) for account in sorted(accounts | {SHARED})]
        records = heapq.merge(*parts, key=lambda record: record.position)
    while page := list(itertools.islice(records, PAGE)):
        yield page
