"""What every journal promises of execution reports that come again without a key: one short test for each promise."""

from __future__ import annotations

import itertools
import json
import threading
from typing import TYPE_CHECKING

import msgspec
import pytest

from eventstore.errors import VersionConflict
from eventstore.ids import keyed_id, new_ids
from eventstore.journal import append
from eventstore.record import Draft, PreparedBatch
from eventstore.record_errors import DuplicateEvent
from eventstore.testing.committed import everything, failed, recorded
from eventstore.testing.drafts import LATER, OCCURRED_AT, batch, draft

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.journal import Journal
    from eventstore.record import Record

STREAM = "order/ACC1/O-1"
OTHER = "order/ACC1/O-2"
COMPARED_MAX = 1_000

_drawn = itertools.count()


def report(
    trade_id: str = "T-1",
    *,
    stream: str = STREAM,
    key: str | None = None,
    type: str = "OrderFilled",
    schema: int = 1,
    occurred_at: int = OCCURRED_AT,
    price: object = "100.25",
    **members: object,
) -> Draft:
    """Return an execution report, each with an id of its own unless it has a key."""
    facts = {"trade_id": trade_id, "symbol": "ESZ5", "side": "BUY", "quantity": "1", "price": price, **members}
    data = json.dumps(facts, separators=(",", ":")).encode()
    if key is None:
        (id_,) = new_ids(1, OCCURRED_AT, lambda size: next(_drawn).to_bytes(size, "big"))
    else:
        id_ = keyed_id(stream, key)
    return Draft(id_, stream, type, schema, occurred_at, data, "contract", "", None, None)


def reports(*drafts: Draft, expected: int | None = None, timed: bool = False) -> PreparedBatch:
    """Return reports to one stream as a journal takes them; `timed`: their `occurred_at` was stated."""
    return PreparedBatch(drafts[0].stream, drafts, expected, timed)


def places(records: Sequence[Record]) -> list[tuple[int, int]]:
    return [(record.position, record.version) for record in records]


class RepetitionContract:
    """What a JournalContract asks of execution reports without a key."""

    @pytest.mark.parametrize("type", ["OrderFilled", "TradeExecuted"])
    def test_a_report_that_comes_again_is_its_first_record(self, journal: Journal, type: str) -> None:
        (first,) = append(journal, [reports(report(type=type))])
        root = journal.frontier().root()
        again = report(type=type, occurred_at=OCCURRED_AT + LATER)
        assert list(append(journal, [reports(again)])) == [first]
        assert (everything(journal), journal.frontier().root()) == ([first], root)

    @pytest.mark.parametrize(
        "other",
        [
            report("T-2"),
            report(price="100.5"),
            report(fee="1.24"),
            report(type="TradeExecuted"),
            report(schema=2),
            report(stream=OTHER),
            report(key="T-1"),
            msgspec.structs.replace(report(), id=bytes(16)),
        ],
        ids=["trade", "price", "fee", "type", "schema", "stream", "key", "an id that was not drawn"],
    )
    def test_a_report_that_differs_is_another_record(self, journal: Journal, other: Draft) -> None:
        append(journal, [reports(report())])
        (second,) = append(journal, [reports(other)])
        assert second.position == 2

    def test_a_report_without_the_key_that_its_record_has_is_another_record(self, journal: Journal) -> None:
        append(journal, [reports(report(key="T-1"))])
        (second,) = append(journal, [reports(report())])
        assert second.position == 2
        assert list(append(journal, [reports(report())])) == [second]

    def test_an_event_of_another_type_is_recorded_as_often_as_it_comes(self, journal: Journal) -> None:
        for number in range(1, 4):
            (record,) = append(journal, [reports(report(type="OrderAccepted"))])
            assert record.version == number

    @pytest.mark.parametrize("price", [5, 5.0, "5", "5.0", "5.00", "5E+0"])
    def test_other_bytes_of_the_same_value_are_the_same_report(self, journal: Journal, price: object) -> None:
        (first,) = append(journal, [reports(report(price="5", fee="0.00"))])
        assert list(append(journal, [reports(report(price=price))])) == [first]

    @pytest.mark.parametrize("data", [b'{"trade_id":"T"}', b"{}", b'{"trade_id":7}', b'{"text":"T"}'])
    def test_a_report_that_its_class_cannot_read_is_the_same_by_its_bytes(self, journal: Journal, data: bytes) -> None:
        (first,) = append(journal, [reports(msgspec.structs.replace(report(), data=data))])
        append(journal, [reports(msgspec.structs.replace(report(), data=b'{"trade_id":"T" }'))])
        assert list(append(journal, [reports(msgspec.structs.replace(report(), data=data))])) == [first]
        assert journal.head() == 2

    def test_a_later_schema_than_this_process_knows_is_compared_as_well(self, journal: Journal) -> None:
        (first,) = append(journal, [reports(report(schema=9, added={"a": [1]}))])
        assert list(append(journal, [reports(report(schema=9, added={"a": [1.0]}))])) == [first]
        append(journal, [reports(report(schema=9, added={"a": [2]}))])
        assert journal.head() == 2

    # When it happened

    def test_a_stated_time_has_to_be_the_records(self, journal: Journal) -> None:
        (first,) = append(journal, [reports(report(), timed=True)])
        assert list(append(journal, [reports(report(), timed=True)])) == [first]
        (second,) = append(journal, [reports(report(occurred_at=OCCURRED_AT + 1), timed=True)])
        assert second.position == 2

    def test_without_a_stated_time_the_oldest_of_several_is_returned(self, journal: Journal) -> None:
        (first,) = append(journal, [reports(report(), timed=True)])
        append(journal, [reports(report(occurred_at=OCCURRED_AT - LATER), timed=True)])
        assert list(append(journal, [reports(report(occurred_at=OCCURRED_AT + LATER))])) == [first]

    def test_a_batch_states_its_times_unless_it_says_otherwise(self, journal: Journal) -> None:
        append(journal, [PreparedBatch(STREAM, [report()])])
        append(journal, [PreparedBatch(STREAM, [report(occurred_at=OCCURRED_AT + 1)])])
        assert journal.head() == 2

    # Within a batch

    @pytest.mark.parametrize("already", [0, 1])
    def test_a_report_twice_in_a_batch_is_recorded_once(self, journal: Journal, already: int) -> None:
        append(journal, [batch(STREAM, *"a"[:already])]) if already else None
        first, between, again = append(journal, [reports(report(), report("T-2"), report())])
        assert again == first
        assert places([first, between]) == [(already + 1, already + 1), (already + 2, already + 2)]
        assert journal.head() == already + 2

    def test_a_report_twice_in_batches_for_one_stream_is_recorded_once(self, journal: Journal) -> None:
        records = append(journal, [reports(report()), batch(OTHER, "a"), reports(report()), reports(report("T-2"))])
        assert places(records) == [(1, 1), (2, 1), (1, 1), (3, 2)]

    def test_the_rest_of_a_batch_is_appended_without_a_gap(self, journal: Journal) -> None:
        (known,) = append(journal, [reports(report("T-2"))])
        records = append(journal, [reports(report("T-1"), report("T-2"), draft(STREAM, "a"), report("T-3"))])
        assert records[1] == known
        assert places(records) == [(2, 2), (1, 1), (3, 3), (4, 4)]
        assert [record.position for record in everything(journal)] == [1, 2, 3, 4]

    def test_the_rest_of_several_streams_is_appended_without_a_gap(self, journal: Journal) -> None:
        append(journal, [reports(report())])
        records = append(journal, [batch(OTHER, "a"), reports(report()), reports(report("T-2")), batch(OTHER, "b")])
        assert places(records) == [(2, 1), (1, 1), (3, 2), (4, 2)]

    # With ids and expected versions

    def test_a_repeated_report_makes_no_known_key_an_error(self, journal: Journal) -> None:
        first = append(journal, [reports(report()), batch(OTHER, "a")])
        assert list(append(journal, [reports(report()), batch(OTHER, "a")])) == list(first)
        assert journal.head() == 2

    def test_a_new_report_beside_a_known_key_is_a_partly_known_batch(self, journal: Journal) -> None:
        append(journal, [reports(report()), batch(OTHER, "a")])
        with pytest.raises(DuplicateEvent):
            append(journal, [reports(report(), report("T-2")), batch(OTHER, "a")])
        assert journal.head() == 2

    def test_a_new_key_beside_a_repeated_report_is_appended(self, journal: Journal) -> None:
        append(journal, [reports(report())])
        records = append(journal, [reports(report(), report("T-2", key="T-2"))])
        assert places(records) == [(1, 1), (2, 2)]

    def test_a_drawn_id_with_other_content_is_still_refused(self, journal: Journal) -> None:
        given = report()
        (first,) = append(journal, [reports(given)])
        with pytest.raises(DuplicateEvent) as duplicate:
            append(journal, [reports(msgspec.structs.replace(report("T-2"), id=given.id))])
        assert duplicate.value.record == first

    def test_of_a_batch_that_is_known_the_expected_version_is_not_asked(self, journal: Journal) -> None:
        first = append(journal, [reports(report(), report("T-2"), expected=0)])
        append(journal, [batch(STREAM, "a")])
        assert list(append(journal, [reports(report(), report("T-2"), expected=0)])) == list(first)
        assert journal.head() == 3

    def test_what_remains_of_a_batch_has_to_meet_the_expected_version(self, journal: Journal) -> None:
        append(journal, [reports(report())])
        with pytest.raises(VersionConflict) as conflict:
            append(journal, [reports(report(), report("T-2"), expected=0)])
        assert (conflict.value.expected, conflict.value.found) == (0, 1)
        assert journal.head() == 1
        assert places(append(journal, [reports(report(), report("T-2"), expected=1)])) == [(1, 1), (2, 2)]

    def test_a_repeated_batch_has_to_meet_it_too_if_another_one_is_appended(self, journal: Journal) -> None:
        append(journal, [reports(report())])
        with pytest.raises(VersionConflict):
            append(journal, [reports(report(), expected=0), batch(OTHER, "a")])
        assert journal.head() == 1

    def test_a_second_batch_for_a_stream_expects_what_remains_of_the_first(self, journal: Journal) -> None:
        append(journal, [reports(report())])
        with pytest.raises(VersionConflict):
            append(journal, [reports(report(), report("T-2"), expected=1), reports(report("T-3"), expected=3)])
        append(journal, [reports(report(), report("T-2"), expected=1), reports(report("T-3"), expected=2)])
        assert journal.head() == 3

    def test_a_refused_batch_leaves_no_report_to_be_repeated(self, journal: Journal) -> None:
        append(journal, [reports(report())])
        with pytest.raises(VersionConflict):
            append(journal, [reports(report("T-2"), report("T-3", key="T-3")), batch(OTHER, "a", expected=7)])
        assert places(append(journal, [reports(report(), report("T-2"))])) == [(1, 1), (2, 2)]

    # Several groups in one commit

    def test_a_group_finds_the_reports_of_the_groups_before_it(self, journal: Journal) -> None:
        first, again, rest = journal.commit(
            [[reports(report())], [reports(report())], [reports(report("T-2"), report())]]
        )
        assert recorded(again) == recorded(first)
        assert places(recorded(rest)) == [(2, 2), (1, 1)]
        assert journal.head() == 2

    def test_a_group_finds_no_report_of_a_refused_group(self, journal: Journal) -> None:
        append(journal, [batch(STREAM, "a")])
        stale, fresh, again = journal.commit(
            [[reports(report(), expected=7)], [reports(report())], [reports(report(), expected=0)]]
        )
        assert isinstance(failed(stale), VersionConflict)
        assert places(recorded(fresh)) == [(2, 2)]
        assert recorded(again) == recorded(fresh)

    def test_a_known_key_in_the_same_commit_changes_nothing_of_it(self, journal: Journal) -> None:
        (known,) = append(journal, [batch(OTHER, "a")])
        outcomes = journal.commit([[reports(report())], [batch(OTHER, "a")], [reports(report())], [reports(report())]])
        first, by_key, *again = [recorded(outcome) for outcome in outcomes]
        assert list(by_key) == [known]
        assert again == [first, first]
        assert journal.head() == 2

    # How far back

    def test_a_report_is_found_behind_all_other_records(self, journal: Journal) -> None:
        (first,) = append(journal, [reports(report())])
        append(journal, [batch(STREAM, *map(str, range(2 * COMPARED_MAX)))])
        append(journal, [reports(*(report(f"U-{number}", stream=OTHER) for number in range(2 * COMPARED_MAX)))])
        assert list(append(journal, [reports(report())])) == [first]

    @pytest.mark.parametrize("key", [None, "K-{}"])
    @pytest.mark.parametrize("commits", [1, 4])
    def test_the_newest_thousand_reports_are_compared(self, journal: Journal, commits: int, key: str | None) -> None:
        many = [report(f"U-{n}", key=key and key.format(n)) for n in range(COMPARED_MAX - 1)]
        (first,) = append(journal, [reports(report())])
        if commits == 1:
            again, last, other = append(journal, [reports(*many, report(), report("V"), report())])[-3:]
        else:
            append(journal, [reports(*many)])
            (again,) = append(journal, [reports(report())])
            (last,) = append(journal, [reports(report("V"))])
            (other,) = append(journal, [reports(report())])
        assert again == first
        assert places([last, other]) == [(COMPARED_MAX + 1,) * 2, (COMPARED_MAX + 2,) * 2]

    def test_each_report_of_one_commit_counts_once_among_them(self, journal: Journal) -> None:
        (first,) = append(journal, [reports(report())])
        many = [report(f"U-{n}") for n in range(COMPARED_MAX - 2)]
        *_, again = journal.commit([[reports(*many)], [reports(report("K", key="K"))], [reports(report())]])
        assert list(recorded(again)) == [first]

    def test_a_key_that_comes_again_counts_once_among_them(self, journal: Journal) -> None:
        first, keyed = append(journal, [reports(report(), report("K", key="K"))])
        for _ in range(3):
            assert list(append(journal, [reports(report(), report("K", key="K"))])) == [first, keyed]
        append(journal, [reports(*(report(f"U-{n}") for n in range(COMPARED_MAX - 2)))])
        assert list(append(journal, [reports(report())])) == [first]

    # Threads

    def test_what_threads_report_at_once_is_recorded_once(self, journal: Journal) -> None:
        found: list[tuple[str, int]] = []

        def write(order: int) -> None:
            for number in range(20)[::order]:
                (record,) = append(journal, [reports(report(f"T-{number}"))])
                found.append((json.loads(record.data)["trade_id"], record.position))

        threads = [threading.Thread(target=write, args=(order,)) for order in (1, -1, 1, -1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert journal.head() == len(set(found)) == 20
