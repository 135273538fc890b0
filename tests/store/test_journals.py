"""The contracts of journals and sources, for the included ones."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from eventstore.clock import ManualClock
from eventstore.journal import Query, append
from eventstore.journals.memory import MemoryJournal
from eventstore.journals.sqlite import ReadOnlyJournal, SqliteJournal
from eventstore.record import Record
from eventstore.testing import MaintenanceContract, SourceContract
from eventstore.testing.drafts import HISTORY, OCCURRED_AT
from tests.tracing import without_coverage

_OF_MANY_REPORTS = ("behind_all_other", "newest_thousand", "among_them")
"""What tests of thousands of reports have in their names: measured, they would take ten times as long here."""


class TestMemoryJournal(MaintenanceContract):
    @pytest.fixture(autouse=True)
    def _without_coverage(self, request: pytest.FixtureRequest) -> Iterator[None]:
        if any(part in request.node.name for part in _OF_MANY_REPORTS):
            with without_coverage():
                yield
        else:
            yield

    @pytest.fixture
    def journal(self, clock: ManualClock) -> MemoryJournal:
        return MemoryJournal(clock=clock)


class TestSqliteJournal(MaintenanceContract):
    @pytest.fixture
    def journal(self, tmp_path: Path, clock: ManualClock) -> Iterator[SqliteJournal]:
        journal = SqliteJournal(tmp_path / "journal.db", clock=clock)
        yield journal
        journal.close()


@pytest.fixture(scope="module", params=["beside a writer", "without one"])
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Sequence[Record]]]:
    """Return the history's file and records: open in this process, or closed."""
    clock = ManualClock(OCCURRED_AT)
    journal = SqliteJournal(tmp_path_factory.mktemp("log") / "journal.db", clock=clock)
    for group in HISTORY:
        clock.advance(1_000)
        append(journal, group)
    records = journal.read(Query(limit=1_000))
    if request.param == "without one":
        journal.close()
    yield journal.path, records
    journal.close()


class TestReadOnlyJournal(SourceContract):
    """With SQLite's locks beside the journal that writes, and without any where none does."""

    @pytest.fixture
    def records(self, written: tuple[Path, Sequence[Record]]) -> Sequence[Record]:
        return written[1]

    @pytest.fixture
    def source(self, written: tuple[Path, Sequence[Record]]) -> Iterator[ReadOnlyJournal]:
        source = ReadOnlyJournal(written[0])
        yield source
        source.close()
