"""The contract of journals, kept by the two that are shipped."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from eventstore.clock import ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.journals.sqlite import SqliteJournal
from eventstore.testing import JournalContract


class TestMemoryJournal(JournalContract):
    @pytest.fixture
    def journal(self, clock: ManualClock) -> MemoryJournal:
        return MemoryJournal(clock=clock)


class TestSqliteJournal(JournalContract):
    @pytest.fixture
    def journal(self, tmp_path: Path, clock: ManualClock) -> Iterator[SqliteJournal]:
        journal = SqliteJournal(tmp_path / "journal.db", clock=clock)
        yield journal
        journal.close()
