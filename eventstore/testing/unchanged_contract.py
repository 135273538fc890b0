"""What every journal promises of groups that are written only if accounts are unchanged: one test for each promise."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec
import pytest

from eventstore.errors import AccountChanged, InvalidEvent, VersionConflict
from eventstore.journal import append
from eventstore.record import PreparedBatch, Unchanged
from eventstore.record_errors import DuplicateEvent
from eventstore.testing.committed import everything, failed, recorded
from eventstore.testing.drafts import batch
from eventstore.testing.repetition_contract import report, reports

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.journal import Journal

ORDER = "order/ACC1/O-1"
OTHER = "order/ACC2/O-1"
CONTRACT = "contract/-/ESZ5"
THREADS = 6


def unless_changed(given: PreparedBatch, *accounts: str, since: int) -> PreparedBatch:
    """Return a batch whose group is written only if the accounts have no record past a position."""
    return msgspec.structs.replace(given, unchanged=Unchanged(accounts=accounts, since=since))


class UnchangedContract:
    """What a JournalContract asks of groups with a condition on accounts."""

    def test_what_was_decided_at_the_head_is_written(self, journal: Journal) -> None:
        append(journal, [batch(ORDER, "a", "b"), batch(CONTRACT, "c")])
        for accounts in (("ACC1", "-"), ("ACC2",), ()):
            head = journal.head()
            (record,) = append(journal, [unless_changed(batch(ORDER, f"{head}"), *accounts, since=head)])
            assert record.position == head + 1

    def test_what_was_decided_before_an_accounts_newest_record_is_not_written(self, journal: Journal) -> None:
        append(journal, [batch(ORDER, "a", "b"), batch(OTHER, "c")])
        with pytest.raises(AccountChanged) as changed:
            append(journal, [unless_changed(batch(OTHER, "d"), "ACC3", "ACC1", since=1)])
        assert (changed.value.accounts, changed.value.since, changed.value.found) == (("ACC3", "ACC1"), 1, 2)
        assert journal.head() == 3

    def test_records_of_other_accounts_change_nothing(self, journal: Journal) -> None:
        append(journal, [batch(ORDER, "a")])
        append(journal, [batch(OTHER, "b"), batch("order/ACC10/O-1", "c"), batch("order/acc1/O-1", "d")])
        append(journal, [unless_changed(batch(ORDER, "e"), "ACC1", "-", since=1)])
        assert journal.head() == 5

    def test_what_belongs_to_no_account_counts_where_it_is_named(self, journal: Journal) -> None:
        append(journal, [batch(ORDER, "a")])
        append(journal, [batch(CONTRACT, "b")])
        with pytest.raises(AccountChanged) as changed:
            append(journal, [unless_changed(batch(ORDER, "c"), "ACC1", "-", since=1)])
        assert changed.value.found == 2
        append(journal, [unless_changed(batch(ORDER, "c"), "ACC1", since=1)])

    def test_without_accounts_any_record_counts(self, journal: Journal) -> None:
        append(journal, [batch(ORDER, "a"), batch(OTHER, "b")])
        with pytest.raises(AccountChanged) as changed:
            append(journal, [unless_changed(batch(ORDER, "c"), since=1)])
        assert (changed.value.accounts, changed.value.since, changed.value.found) == ((), 1, 2)
        append(journal, [unless_changed(batch(ORDER, "c"), since=2)])

    def test_an_account_without_a_record_is_unchanged(self, journal: Journal) -> None:
        append(journal, [unless_changed(batch(ORDER, "a"), "ACC1", since=0)])
        append(journal, [unless_changed(batch(OTHER, "b"), "ACC2", since=0)])
        assert journal.head() == 2

    def test_a_position_past_the_head_is_refused(self, journal: Journal) -> None:
        append(journal, [batch(ORDER, "a")])
        for accounts in (("ACC1",), ("ACC2",), ()):
            with pytest.raises(InvalidEvent, match="since position 2, and the log ends at 1"):
                append(journal, [unless_changed(batch(ORDER, "b"), *accounts, since=2)])
        assert journal.head() == 1

    # Beside ids and expected versions

    @pytest.mark.parametrize("since", [0, 2, 9])
    def test_a_retry_finds_its_own_records(self, journal: Journal, since: int) -> None:
        group = [unless_changed(batch(ORDER, "a", expected=0), "ACC1", since=0), batch(OTHER, "b")]
        first = append(journal, group)
        again = [unless_changed(batch(ORDER, "a", expected=0), "ACC1", since=since), batch(OTHER, "b")]
        assert list(append(journal, again)) == list(first)
        assert journal.head() == 2

    @pytest.mark.parametrize("since", [0, 1, 9])
    def test_a_known_id_with_other_content_is_refused_as_that(self, journal: Journal, since: int) -> None:
        append(journal, [batch(ORDER, "a")])
        with pytest.raises(DuplicateEvent):
            append(journal, [unless_changed(batch(ORDER, "a", "b"), "ACC1", since=since)])
        assert journal.head() == 1

    def test_a_repeated_report_is_its_first_record_whatever_has_changed(self, journal: Journal) -> None:
        first = append(journal, [reports(report(stream=ORDER))])
        append(journal, [batch(ORDER, "a")])
        again = unless_changed(reports(report(stream=ORDER)), "ACC1", since=0)
        assert list(append(journal, [again])) == list(first)
        with pytest.raises(AccountChanged):
            append(journal, [unless_changed(reports(report(stream=ORDER), report("T-2", stream=ORDER)), since=0)])
        assert journal.head() == 2

    @pytest.mark.parametrize(("expected", "since"), [(0, 1), (1, 0), (0, 0)])
    def test_the_expected_version_must_hold_too(self, journal: Journal, expected: int, since: int) -> None:
        append(journal, [batch(ORDER, "a")])
        with pytest.raises(VersionConflict) as conflict:
            append(journal, [unless_changed(batch(ORDER, "b", expected=expected), "ACC1", since=since)])
        assert isinstance(conflict.value, AccountChanged) is (since == 0)
        append(journal, [unless_changed(batch(ORDER, "b", expected=1), "ACC1", since=1)])
        assert journal.head() == 2

    def test_the_condition_is_of_the_whole_group_and_of_what_was_before_it(self, journal: Journal) -> None:
        append(journal, [batch(OTHER, "a")])
        with pytest.raises(AccountChanged):
            append(journal, [batch(ORDER, "b"), unless_changed(batch(ORDER, "c"), "ACC2", since=0)])
        assert journal.head() == 1
        append(journal, [batch(ORDER, "b"), unless_changed(batch(ORDER, "c"), "ACC1", since=1)])
        assert journal.head() == 3

    # Several groups in one commit

    @pytest.mark.parametrize("accounts", [("ACC1", "-"), ()])
    def test_of_two_decisions_at_one_position_the_first_is_written(
        self, journal: Journal, accounts: Sequence[str]
    ) -> None:
        append(journal, [batch(ORDER, "a")])
        first, second, other = journal.commit(
            [
                [unless_changed(batch(ORDER, "b"), *accounts, since=1)],
                [unless_changed(batch(ORDER, "c"), *accounts, since=1)],
                [unless_changed(batch(ORDER, "d"), "ACC2", since=1)],
            ]
        )
        changed = failed(second)
        assert isinstance(changed, AccountChanged)
        assert (changed.since, changed.found) == (1, 2)
        assert list(recorded(first)) + list(recorded(other)) == everything(journal)[1:]

    def test_a_group_that_failed_changes_no_account(self, journal: Journal) -> None:
        stale, fresh = journal.commit(
            [[batch(ORDER, "a", expected=9)], [unless_changed(batch(ORDER, "b"), "ACC1", since=0)]]
        )
        assert isinstance(failed(stale), VersionConflict)
        assert list(recorded(fresh)) == everything(journal)

    def test_a_group_that_repeats_others_changes_no_account(self, journal: Journal) -> None:
        first = append(journal, [batch(ORDER, "a")])
        known, fresh, again = journal.commit(
            [
                [batch(ORDER, "a")],
                [unless_changed(batch(ORDER, "b"), "ACC1", since=1)],
                [unless_changed(batch(ORDER, "b"), "ACC1", since=1)],
            ]
        )
        assert list(recorded(known)) == list(first)
        assert list(recorded(again)) == list(recorded(fresh)) == everything(journal)[1:]

    def test_no_other_group_notices_a_refused_one(self, journal: Journal) -> None:
        append(journal, [batch(ORDER, "a")])
        before, refused, absurd, after = journal.commit(
            [
                [batch(OTHER, "b")],
                [batch(OTHER, "x"), unless_changed(batch(ORDER, "y"), "ACC1", "ACC2", since=1)],
                [unless_changed(batch(ORDER, "z"), "ACC1", since=50)],
                [batch(OTHER, "c", expected=1)],
            ]
        )
        changed = failed(refused)
        assert isinstance(changed, AccountChanged)
        assert changed.found == 2
        assert isinstance(failed(absurd), InvalidEvent)
        assert [*recorded(before), *recorded(after)] == everything(journal)[1:]

    def test_of_threads_that_decided_at_one_position_one_wins(self, journal: Journal) -> None:
        append(journal, [batch(ORDER, "a")])
        outcomes: list[object] = []
        barrier = threading.Barrier(THREADS)

        def write(number: int) -> None:
            for _ in range(10):
                head = journal.head()
                barrier.wait(10.0)
                given = unless_changed(batch(f"order/ACC1/{number}", f"{head}"), "ACC1", "-", since=head)
                outcomes.extend(journal.commit([[given]]))
                barrier.wait(10.0)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(isinstance(outcome, AccountChanged) for outcome in outcomes) == 10 * (THREADS - 1)
        assert journal.head() == 11
