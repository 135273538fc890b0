"""A store that only reads, beside one of its own process that appends, while another process has the log open first."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import eventstore
from eventstore import Unavailable
from eventstore.journals.sqlite import ReadOnlyJournal, schema
from tests.evidence import Writer
from tests.store.facts import ORDER, rejected, texts


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Writer]:
    writer = Writer(tmp_path)
    writer.append(3)
    yield writer
    writer.kill()


def test_a_store_that_is_opened_later_appends(tmp_path: Path, other: Writer) -> None:
    with eventstore.open(tmp_path, read_only=True) as reader:
        assert texts(reader) == ["1", "2", "3"]
        with eventstore.open(tmp_path) as store:
            assert store.append(ORDER, rejected(4))[0].position == 4
            assert other.append(1) == 5
            assert texts(reader) == texts(store) == ["1", "2", "3", "4", "5"]
            assert reader.verify().ok
        assert reader.head() == 5


def test_it_waits_for_what_is_being_read(tmp_path: Path, other: Writer) -> None:
    with closing(ReadOnlyJournal(tmp_path / "main" / "journal.db")) as journal, journal.uncached() as apart:
        for source in (journal, apart):
            reading = source._reader()
            connection = reading.__enter__()
            rows = connection.execute("SELECT position FROM event")
            assert rows.fetchone() == (1,)
            read_on = threading.Timer(0.1, reading.__exit__, [None, None, None])
            began = time.monotonic()
            read_on.start()
            with eventstore.open(tmp_path) as store:
                assert time.monotonic() - began >= 0.1
                assert store.append(ORDER, rejected(0))[0].position == store.head()
            read_on.join()
            assert source.head() == store_head(tmp_path)


def store_head(directory: Path) -> int:
    with eventstore.open(directory) as store:
        return store.head()


def test_one_that_reads_for_too_long_is_named(tmp_path: Path, other: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(ReadOnlyJournal(tmp_path / "main" / "journal.db")) as journal:
        with journal._reader() as connection:
            rows = connection.execute("SELECT position FROM event")
            monkeypatch.setattr(schema, "WAIT_SECONDS", 0.1)
            with pytest.raises(Unavailable, match="is being read by a read-only store of this process: try again"):
                eventstore.open(tmp_path)
            # It reads to its end.
            assert rows.fetchall() == [(1,), (2,), (3,)]
        with eventstore.open(tmp_path) as store:
            assert store.append(ORDER, rejected(4))[0].position == 4
