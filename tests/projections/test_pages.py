"""Pages of a log for a fold: bounded by their number of records, and by the bytes of their data."""

import pytest

from eventstore import EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import Marked
from projections import reading
from projections.fold import RECORDS_MAX
from projections.views.contracts.directory import VERSIONS_MAX


def pages_of(count: int, name: str = "close") -> list[list[int]]:
    """Return the log positions of each page of a log of so many records."""
    clock = ManualClock(1_750_000_000_000_000_000)
    store = EventStore(MemoryJournal(clock=clock), clock=clock)
    for number in range(count):
        store.append(f"mark/-/{number}", Marked(name=f"{name}{number}"), actor="desk")
    return [[record.position for record in page] for page in reading.tail(store, 0, count, None)]


def test_a_log_shorter_than_a_page_is_one_page() -> None:
    assert pages_of(1_200) == [list(range(1, 1_201))]
    assert pages_of(0) == []


def test_a_page_of_large_records_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAGE_BYTES", 100_000)
    assert [len(page) for page in pages_of(1_200, "x" * 300)] == [500, 500, 200]


def test_a_fold_takes_a_whole_page_at_once() -> None:
    assert reading.PAGE == RECORDS_MAX
    # The directory of contracts must not forget what an earlier record of the same page asks for.
    assert RECORDS_MAX < VERSIONS_MAX
