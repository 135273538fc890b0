"""A journal rebuilt from its records verifies, whatever types its source has."""

from contextlib import closing
from pathlib import Path

import pytest

from eventstore import EventStore, Overloaded
from eventstore.journal import TypeRow, declared
from eventstore.journals.sqlite import SqliteJournal, schema
from eventstore.journals.sqlite.restore import Restoration
from tests.store.facts import ORDER, OTHER, filled, rejected

FILLED, REJECTED = declared("OrderFilled", 1), declared("OrderRejected", 1)
MORE = TypeRow("OrderExpired", 1, "SYNCED", ())

KEPT = {
    "all": [FILLED, REJECTED],
    "none": [],
    "fewer": [REJECTED],
    "more": [FILLED, REJECTED, MORE],
    "another schema": [FILLED, REJECTED, TypeRow("OrderFilled", 2, "SYNCED", ("price",))],
}


@pytest.mark.parametrize("kept", KEPT.values(), ids=KEPT)
def test_a_restored_journal_has_just_the_types_of_its_records(
    store: EventStore, tmp_path: Path, kept: list[TypeRow]
) -> None:
    store.append(ORDER, [filled(number) for number in range(1, 300)])
    store.append(OTHER, rejected())
    target = tmp_path / "restored" / "main" / "journal.db"
    restoration = Restoration(target, "main", store.log_id, created_at=1, types=kept)
    restoration.add(list(store.read()))
    restoration.finish()
    restoration.abandon()
    with closing(SqliteJournal(target)) as journal:
        assert journal.types() == [FILLED, REJECTED]
        assert EventStore(journal).verify().ok


def test_no_log_begins_where_one_is_being_restored(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "WAIT_SECONDS", 0.1)
    target = tmp_path / "restored" / "main" / "journal.db"
    restoration = Restoration(target, "main", store.log_id, created_at=1)
    with pytest.raises(Overloaded):
        SqliteJournal(target)
    restoration.finish()
    with closing(SqliteJournal(target)) as journal:
        assert journal.log_id == store.log_id
