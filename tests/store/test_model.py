"""The memory journal is the specification of the SQLite one."""

from pathlib import Path

import pytest
from hypothesis import settings
from typing_extensions import override

from eventstore.journals.sqlite import SqliteJournal
from tests.memory import directory_in_memory
from tests.proving import examples
from tests.store.same_answers import SameAnswers

# What it runs over and over is covered elsewhere, and would take twice as long.
pytestmark = pytest.mark.untraced


class TheSameAnswers(SameAnswers):
    """With a log in a file."""

    @override
    def begin(self) -> None:
        self.place = directory_in_memory()

    @override
    def opened(self) -> SqliteJournal:
        return SqliteJournal(Path(self.place.name) / "journal.db", clock=self.clock)

    @override
    def end(self) -> None:
        self.place.cleanup()


TheSameAnswers.TestCase.settings = settings(max_examples=examples(test=30, prove=2_000), stateful_step_count=25)
TestTheSameAnswers = TheSameAnswers.TestCase
