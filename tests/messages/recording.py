"""Records messages of several sources in one book, and opens the account that they are of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal

import projections
from eventstore import EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import AccountOpened
from gateways.messages import MessageMapping, Recorder
from projections import Book

NOW = 1_800_000_000_000_000_000
"""When messages are recorded: later than any of them says that it happened."""
_MILLISECOND = 1_000_000


@contextmanager
def recorded(
    mappings: Mapping[str, MessageMapping], messages: Iterable[tuple[str, Mapping[str, object]]]
) -> Iterator[tuple[Book, dict[str, Recorder]]]:
    """Yield a book that has recorded messages, each of which comes with the name of its mapping, and the recorders."""
    clock = ManualClock(NOW)
    with (
        EventStore(MemoryJournal(clock=clock), clock=clock) as store,
        projections.open(store, snapshots=False) as book,
    ):
        book.append("account/A/-", AccountOpened(starting_balance=Decimal(0), currency="USDT"))
        recorders = {name: Recorder(book, mapping) for name, mapping in mappings.items()}
        for name, message in messages:
            clock.advance(_MILLISECOND)
            recorders[name].record(message)
        yield book, recorders
