"""What every journal promises to those who append: one short test for each promise."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec
import pytest

from eventstore.clock import ManualClock
from eventstore.errors import Closed, VersionConflict
from eventstore.journal import append
from eventstore.record import PreparedBatch
from eventstore.record_errors import DuplicateEvent
from eventstore.testing.committed import everything, failed, leaves, recorded
from eventstore.testing.drafts import HISTORY, LATER, OCCURRED_AT, batch, draft, drafts
from eventstore.testing.naive import naive_digest, naive_root
from eventstore.testing.repetition_contract import RepetitionContract
from eventstore.testing.source_contract import SourceContract
from eventstore.testing.threads import in_time
from eventstore.testing.unchanged_contract import UnchangedContract

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.journal import Journal, Source
    from eventstore.record import Record

ORDER = "order/ACC1/O-1"
POSITION = "position/ACC1/ESZ5"


class JournalContract(RepetitionContract, UnchangedContract, SourceContract):
    """Subclass it with a fixture `journal`: empty, of log 'main', and made with the fixture `clock`."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock(OCCURRED_AT)

    @pytest.fixture
    def records(self, journal: Journal, clock: ManualClock) -> Sequence[Record]:
        found: list[Record] = []
        for group in HISTORY:
            clock.advance(1_000)
            found += append(journal, group)
        return found

    @pytest.fixture
    def source(self, journal: Journal, records: Sequence[Record]) -> Source:
        return journal

    # All or nothing

    def test_a_new_journal_is_empty(self, journal: Journal) -> None:
        assert (journal.head(), everything(journal), journal.log, len(journal.log_id)) == (0, [], "main", 16)

    def test_what_was_given_is_what_is_recorded(self, journal: Journal) -> None:
        given = draft(ORDER, "a", type="T", schema=3, actor="me", note="n", correlation_id=b"c" * 16)
        (record,) = append(journal, [PreparedBatch(ORDER, [given])])
        for name in given.__struct_fields__:
            assert getattr(record, name) == getattr(given, name), name

    def test_batches_to_several_streams_follow_one_another(self, journal: Journal) -> None:
        records = append(journal, [batch(ORDER, "a", "b"), batch(POSITION, "c"), batch(ORDER, "d")])
        assert [(r.position, r.stream, r.version) for r in records] == [
            (1, ORDER, 1), (2, ORDER, 2), (3, POSITION, 1), (4, ORDER, 3)
        ]  # fmt: skip
        assert everything(journal) == list(records)

    def test_a_conflict_in_the_last_stream_keeps_the_first_out(self, journal: Journal) -> None:
        with pytest.raises(VersionConflict):
            append(journal, [batch(ORDER, "a", expected=0), batch(POSITION, "b", expected=1)])
        assert everything(journal) == []
        assert (journal.version(ORDER), journal.head()) == (0, 0)

    def test_a_failed_append_leaves_no_gap(self, journal: Journal) -> None:
        append(journal, [batch(ORDER, "a")])
        with pytest.raises(VersionConflict):
            append(journal, [batch(ORDER, "b"), batch(POSITION, "c", expected=7)])
        (record,) = append(journal, [batch(ORDER, "d")])
        assert (record.position, record.version) == (2, 2)

    # Expected versions

    def test_a_stale_writer_changes_nothing(self, journal: Journal) -> None:
        append(journal, [batch(ORDER, "a", "b")])
        with pytest.raises(VersionConflict) as conflict:
            append(journal, [batch(ORDER, "c", expected=1)])
        assert (conflict.value.stream, conflict.value.expected, conflict.value.found) == (ORDER, 1, 2)
        assert journal.head() == 2

    def test_a_writer_from_the_future_changes_nothing(self, journal: Journal) -> None:
        with pytest.raises(VersionConflict) as conflict:
            append(journal, [batch(ORDER, "a", expected=1)])
        assert (conflict.value.expected, conflict.value.found) == (1, 0)

    def test_a_writer_that_is_up_to_date_appends(self, journal: Journal) -> None:
        append(journal, [batch(ORDER, "a", expected=0)])
        (record,) = append(journal, [batch(ORDER, "b", expected=1)])
        assert record.version == 2

    def test_other_streams_do_not_make_a_writer_stale(self, journal: Journal) -> None:
        append(journal, [batch(POSITION, "a", "b")])
        assert append(journal, [batch(ORDER, "c", expected=0)])[0].position == 3

    def test_a_second_batch_for_a_stream_expects_the_first(self, journal: Journal) -> None:
        records = append(journal, [batch(ORDER, "a", "b", expected=0), batch(ORDER, "c", expected=2)])
        assert [record.version for record in records] == [1, 2, 3]

    # Ids

    def test_a_repeated_batch_returns_the_first_records(self, journal: Journal, clock: ManualClock) -> None:
        first = append(journal, [batch(ORDER, "a", "b"), batch(POSITION, "c")])
        clock.advance(LATER)
        assert list(append(journal, [batch(ORDER, "a", "b"), batch(POSITION, "c")])) == list(first)
        assert journal.head() == 3

    def test_who_repeats_it_and_when_makes_no_other_fact(self, journal: Journal) -> None:
        first = append(journal, [batch(ORDER, "a")])
        again = draft(ORDER, "a", actor="another", note="again", occurred_at=1, causation_id=b"x" * 16)
        assert list(append(journal, [PreparedBatch(ORDER, [again])])) == list(first)

    def test_ids_come_before_expected(self, journal: Journal) -> None:
        first = append(journal, [batch(ORDER, "a", expected=0)])
        append(journal, [batch(ORDER, "b")])
        assert list(append(journal, [batch(ORDER, "a", expected=0)])) == list(first)
        assert journal.head() == 2

    def test_a_known_id_with_other_content_is_refused(self, journal: Journal) -> None:
        (first,) = append(journal, [batch(ORDER, "a")])
        for other in (
            draft(ORDER, "other", key="a"),
            draft(ORDER, "a", type="Other"),
            draft(ORDER, "a", schema=2),
        ):
            with pytest.raises(DuplicateEvent) as duplicate:
                append(journal, [PreparedBatch(ORDER, [other])])
            assert (duplicate.value.id, duplicate.value.record) == (first.id, first)
        assert journal.head() == 1

    def test_a_contradiction_keeps_the_rest_of_its_batch_out(self, journal: Journal) -> None:
        append(journal, [batch(ORDER, "a")])
        with pytest.raises(DuplicateEvent):
            append(journal, [batch(POSITION, "b"), PreparedBatch(ORDER, [draft(ORDER, "other", key="a")])])
        assert (journal.head(), journal.version(POSITION)) == (1, 0)

    def test_a_known_id_in_another_stream_is_refused(self, journal: Journal) -> None:
        (first,) = append(journal, [batch(ORDER, "a")])
        moved = msgspec.structs.replace(draft(ORDER, "a"), stream=POSITION)
        with pytest.raises(DuplicateEvent) as duplicate:
            append(journal, [PreparedBatch(POSITION, [moved])])
        assert duplicate.value.record == first

    def test_a_batch_of_which_a_part_is_known_is_refused(self, journal: Journal) -> None:
        (first,) = append(journal, [batch(ORDER, "a")])
        for texts in (("a", "b"), ("b", "a")):
            with pytest.raises(DuplicateEvent) as duplicate:
                append(journal, [batch(ORDER, *texts)])
            assert duplicate.value.record == first
        assert journal.head() == 1

    def test_of_several_known_ids_of_a_batch_the_first_one_is_named(self, journal: Journal) -> None:
        append(journal, [batch(POSITION, "old")])
        group = [batch(ORDER, "b", "a"), batch(POSITION, "old")]
        _, refused = journal.commit([[batch(ORDER, "a")], group])
        assert isinstance(refused, DuplicateEvent)
        assert refused.id == draft(ORDER, "a").id

    def test_a_partly_known_batch_is_refused_even_when_stale(self, journal: Journal) -> None:
        append(journal, [batch(ORDER, "a")])
        with pytest.raises(DuplicateEvent):
            append(journal, [batch(ORDER, "a", "b", expected=0)])

    @pytest.mark.parametrize("expected", [None, 0, 5])
    def test_an_id_twice_in_one_append_is_refused(self, journal: Journal, expected: int | None) -> None:
        with pytest.raises(DuplicateEvent) as duplicate:
            append(journal, [batch(POSITION, "z"), batch(ORDER, "a", "b", "a", expected=expected)])
        assert (duplicate.value.id, duplicate.value.record) == (draft(ORDER, "a").id, None)
        assert journal.head() == 0

    def test_records_are_found_by_their_ids(self, journal: Journal) -> None:
        a, b = append(journal, [batch(ORDER, "a", "b")])
        assert journal.find([b.id, bytes(16), a.id]) == {a.id: a, b.id: b}

    # Several groups in one commit

    def test_a_failing_group_is_not_noticed_by_the_others(self, journal: Journal) -> None:
        append(journal, [batch(ORDER, "a")])
        first, stale, known, other, last = journal.commit(
            [
                [batch(ORDER, "b", expected=1)],
                [batch(POSITION, "x"), batch(ORDER, "y", expected=1)],
                [batch(ORDER, "a")],
                [PreparedBatch(ORDER, [draft(ORDER, "else", key="a")])],
                [batch(POSITION, "c", expected=0)],
            ]
        )
        assert isinstance(failed(stale), VersionConflict)
        assert isinstance(failed(other), DuplicateEvent)
        assert isinstance(first, list)
        assert isinstance(last, list)
        assert (first[0].position, last[0].position, last[0].version) == (2, 3, 1)
        assert list(recorded(known)) == everything(journal)[:1]
        assert journal.head() == 3

    def test_a_group_sees_the_groups_before_it(self, journal: Journal) -> None:
        outcomes = journal.commit([[batch(ORDER, "a", expected=0)], [batch(ORDER, "b", expected=0)]])
        conflict = failed(outcomes[1])
        assert isinstance(conflict, VersionConflict)
        assert conflict.found == 1
        assert journal.head() == 1

    @pytest.mark.parametrize("expected", [None, 0])
    def test_a_group_that_repeats_one_before_it_gets_its_records(self, journal: Journal, expected: int | None) -> None:
        first, again = journal.commit([[batch(ORDER, "a", expected=expected)], [batch(ORDER, "a", expected=expected)]])
        assert again == first
        assert journal.head() == 1

    def test_a_group_that_failed_leaves_its_ids_free(self, journal: Journal) -> None:
        stale, fresh = journal.commit([[batch(ORDER, "a", expected=9)], [batch(ORDER, "a", expected=0)]])
        assert isinstance(failed(stale), VersionConflict)
        assert list(recorded(fresh)) == everything(journal)

    def test_an_empty_commit_writes_nothing(self, journal: Journal) -> None:
        assert journal.commit([]) == []
        assert journal.head() == 0

    # Times

    def test_recorded_at_is_the_clocks(self, journal: Journal, clock: ManualClock) -> None:
        clock.advance(5)
        assert append(journal, [batch(ORDER, "a")])[0].recorded_at == OCCURRED_AT + 5

    def test_recorded_at_increases_while_the_clock_stands_still(self, journal: Journal) -> None:
        append(journal, [batch(ORDER, "a", "b")])
        append(journal, [batch(ORDER, "c")])
        times = [record.recorded_at for record in everything(journal)]
        assert times == [OCCURRED_AT, OCCURRED_AT + 1, OCCURRED_AT + 2]

    def test_recorded_at_increases_when_the_clock_is_set_back(self, journal: Journal, clock: ManualClock) -> None:
        append(journal, [batch(ORDER, "a")])
        clock.set(OCCURRED_AT - LATER)
        (record,) = append(journal, [batch(ORDER, "b")])
        assert record.recorded_at == OCCURRED_AT + 1
        clock.set(OCCURRED_AT + LATER)
        assert append(journal, [batch(ORDER, "c")])[0].recorded_at == OCCURRED_AT + LATER

    # The tree

    def test_a_digest_is_that_of_the_written_format(self, journal: Journal, records: Sequence[Record]) -> None:
        assert [naive_digest(journal.log_id, record) for record in records] == leaves(journal)

    def test_each_writer_of_one_batch_is_in_its_own_digest(self, journal: Journal) -> None:
        facts = [
            draft(ORDER, "a", actor="me"),
            draft(ORDER, "b", actor="you"),
            draft(ORDER, "c", actor="you", note="a note"),
            draft(ORDER, "d", actor="you", note="a note", correlation_id=b"c" * 16),
            draft(ORDER, "e", actor="you", note="a note", correlation_id=b"c" * 16, causation_id=b"d" * 16),
        ]
        records = append(journal, [PreparedBatch(ORDER, facts)])
        assert [naive_digest(journal.log_id, record) for record in records] == leaves(journal)

    def test_the_tree_of_an_empty_journal_is_empty(self, journal: Journal) -> None:
        assert (journal.frontier().size, journal.frontier().root()) == (0, naive_root([]))

    def test_the_tree_is_that_of_rfc_6962_after_each_commit(self, journal: Journal) -> None:
        for number, count in enumerate([1, 1, 2, 5, 3, 1, 8, 13]):
            append(journal, [batch(ORDER, *(f"{number}/{text}" for text in range(count)))])
            tree = journal.frontier()
            assert (tree.size, tree.root()) == (journal.head(), naive_root(leaves(journal)))

    # Threads

    def test_what_threads_append_at_once_is_there_once(self, journal: Journal) -> None:
        def write(number: int) -> None:
            for turn in range(10):
                append(journal, [batch(ORDER, f"{number}/{turn}"), batch(f"order/ACC1/{number}", f"{turn}")])

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = everything(journal)
        assert [record.position for record in found] == list(range(1, 81))
        assert [record.version for record in found if record.stream == ORDER] == list(range(1, 41))
        assert len({record.id for record in found}) == 80

    def test_of_writers_that_expect_the_same_one_wins(self, journal: Journal) -> None:
        outcomes: list[object] = []

        def write(number: int) -> None:
            outcomes.extend(journal.commit([[batch(ORDER, f"{number}", expected=0)]]))

        threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(isinstance(outcome, VersionConflict) for outcome in outcomes) == 5
        assert journal.head() == 1

    def test_who_waits_wakes_on_an_append_of_another_thread(self, journal: Journal) -> None:
        later = threading.Timer(0.05, lambda: append(journal, [batch(ORDER, "a")]))
        later.start()
        assert in_time(lambda: journal.wait(0, 60.0)) is True
        later.join()

    def test_closing_the_journal_wakes_a_waiting_thread(self, journal: Journal) -> None:
        later = threading.Timer(0.05, journal.close)
        later.start()
        with pytest.raises(Closed):
            in_time(lambda: journal.wait(0, 60.0))
        later.join()

    # Closing

    def test_a_closed_journal_takes_nothing(self, journal: Journal) -> None:
        journal.close()
        for call in (
            lambda: journal.commit([]),
            lambda: append(journal, [PreparedBatch(ORDER, drafts(ORDER, ["a"]))]),
            lambda: journal.find([bytes(16)]),
            journal.frontier,
        ):
            with pytest.raises(Closed, match="closed"):
                call()
