"""What every journal promises to those who look after it and prove it: one short test for each promise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from eventstore.errors import Closed
from eventstore.journal import Journal, Maintenance, Query, append
from eventstore.proofs.merkle import STORED_LEVEL, TILE
from eventstore.testing.committed import everything, leaves
from eventstore.testing.drafts import batch
from eventstore.testing.journal_contract import ORDER, JournalContract
from eventstore.testing.naive import naive_root

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.record import Record


class MaintainedJournal(Journal, Maintenance, Protocol):
    """What the store of a trading process is made of."""


class MaintenanceContract(JournalContract):
    """Subclass it as a JournalContract, with a fixture `journal` that has a maintenance side."""

    def test_the_stored_nodes_are_the_trees(self, journal: MaintainedJournal) -> None:
        for number in range(3):
            append(journal, [batch(ORDER, *(f"{number}/{text}" for text in range(200)))])
        found = leaves(journal)
        nodes = list(journal.nodes(0, 10))
        assert [(node.level, node.number) for node in nodes] == [(STORED_LEVEL, 0), (STORED_LEVEL, 1)]
        assert [node.hash for node in nodes] == [naive_root(found[:TILE]), naive_root(found[TILE : 2 * TILE])]
        assert list(journal.nodes(1, 1)) == nodes[1:]
        (upper,) = journal.nodes(0, 10, level=STORED_LEVEL + 1)
        assert (upper.level, upper.number, upper.hash) == (STORED_LEVEL + 1, 0, naive_root(found[: 2 * TILE]))

    def test_a_sound_journal_finds_nothing_wrong_with_itself(
        self, journal: MaintainedJournal, records: Sequence[Record]
    ) -> None:
        assert journal.integrity() == []
        assert (journal.trouble, journal.missing_tail()) == ("", None)
        with journal.uncached() as uncached:
            assert uncached.integrity(is_canceled=lambda: False) == []
            assert list(uncached.read(Query(limit=100))) == everything(journal)

    def test_each_type_and_schema_is_kept_once(self, journal: MaintainedJournal, records: Sequence[Record]) -> None:
        kept = [(kind.name, kind.schema) for kind in journal.types()]
        assert kept == sorted({(record.type, record.schema) for record in records})

    def test_a_closed_journal_says_so_to_those_who_look_after_it(self, journal: MaintainedJournal) -> None:
        journal.check_open()
        journal.close()
        for call in (journal.check_open, lambda: journal.nodes(0, 1), journal.types, journal.integrity):
            with pytest.raises(Closed, match="closed"):
                call()
