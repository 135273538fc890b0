"""What every source promises to those who read: one short test for each promise."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from eventstore.errors import Closed
from eventstore.journal import Query, drafts_of
from eventstore.reader import EventReader
from eventstore.record import Record
from eventstore.testing.drafts import HISTORY, STREAMS, TYPES
from eventstore.testing.naive import naive_digest
from eventstore.testing.threads import in_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.journal import Source

COUNT = len([draft for group in HISTORY for draft in drafts_of(group)])

FILTERS: dict[str, dict[str, Any]] = {
    "one stream": {"stream": STREAMS[0]},
    "one stream with signs": {"stream": STREAMS[9]},
    "a category": {"stream": "order/"},
    "a category and account": {"stream": "order/ACC1/"},
    "no account": {"stream": "position/-/"},
    "an account": {"account": "ACC1"},
    "the account that does not apply": {"account": "-"},
    "a type": {"types": ("Noted",)},
    "two types": {"types": ("Changed", "Ended")},
    "a stream and a type": {"stream": STREAMS[0], "types": ("Changed",)},
    "a category and an account": {"stream": "order/", "account": "ACC1"},
    "a prefix and a type": {"stream": "order/ACC1/", "types": TYPES[1:]},
    "an account and a type": {"account": "ACC1", "types": ("Ended",)},
    "another account's prefix": {"stream": "order/ACC1/", "account": "ACC2"},
    "another account's stream": {"stream": STREAMS[0], "account": "ACC2"},
    "an unknown stream": {"stream": "order/ACC1/O-1000"},
    "an unknown category": {"stream": "ord/"},
    "an unknown account": {"account": "ACC"},
    "an unknown type": {"types": ("Note",)},
    "no type": {"types": ()},
}


def fits(record: Record, *, stream: str | None = None, account: str | None = None, types: Any = None) -> bool:  # noqa: ANN401 - as the filters have it
    """Return whether a record is what a filter asks for, part by part of its stream's name."""
    wanted = stream.rstrip("/").split("/") if stream is not None else []
    parts = record.stream.split("/")
    return (
        parts[: len(wanted)] == wanted
        and (account is None or parts[1] == account)
        and (types is None or record.type in types)
    )


class SourceContract:
    """Subclass it with two fixtures.

    `records`: the HISTORY as some journal of log 'main' recorded it; `source`: what is tested, holding just these.
    """

    def test_a_record_reads_back_as_it_was_recorded(self, source: Source, records: Sequence[Record]) -> None:
        assert list(source.read(Query(limit=1000))) == list(records)
        assert len(records) == COUNT

    @pytest.mark.parametrize("wanted", [{}, *FILTERS.values()], ids=["everything", *FILTERS])
    def test_rows_have_the_members_of_the_records(
        self, source: Source, records: Sequence[Record], wanted: dict[str, Any]
    ) -> None:
        reader, names = EventReader(source), Record.__struct_fields__
        expected = [record for record in records if fits(record, **wanted) and 3 < record.position <= COUNT - 2]
        for members in (names, [name for name in names if name != "log"], ["data"], []):
            found = [row for page in reader.rows(members, after=3, until=COUNT - 2, **wanted) for row in page]
            assert found == [(r.position, *[getattr(r, name) for name in members]) for r in expected], members

    def test_columns_are_the_rows_the_other_way_round(self, source: Source, records: Sequence[Record]) -> None:
        reader = EventReader(source)
        pages = list(reader.columns(["stream", "version"]))
        assert [row for page in pages for row in zip(*page, strict=True)] == [
            (record.position, record.stream, record.version) for record in records
        ]

    def test_type_names_are_those_of_the_records(self, source: Source, records: Sequence[Record]) -> None:
        assert list(source.type_names()) == sorted({record.type for record in records})

    def test_positions_have_no_gap(self, source: Source, records: Sequence[Record]) -> None:
        assert [record.position for record in source.read(Query(limit=1000))] == list(range(1, COUNT + 1))

    def test_a_record_names_its_log(self, source: Source, records: Sequence[Record]) -> None:
        assert {record.log for record in source.read(Query(limit=1000))} == {source.log} == {"main"}

    def test_a_digest_is_recomputed_from_what_is_read(self, source: Source, records: Sequence[Record]) -> None:
        for record in source.read(Query(limit=1000)):
            assert naive_digest(source.log_id, record) == record.digest, record

    @pytest.mark.parametrize("wanted", FILTERS.values(), ids=FILTERS)
    def test_a_filter_gives_all_that_fits_and_nothing_else(
        self, source: Source, records: Sequence[Record], wanted: dict[str, Any]
    ) -> None:
        found = list(source.read(Query(limit=1000, **wanted)))
        assert found == [record for record in records if fits(record, **wanted)]

    @pytest.mark.parametrize("prefix", ["ACC", "ACC2", "A", "-", "B", "ACC22"])
    @pytest.mark.parametrize(("after", "until"), [(0, COUNT), (7, COUNT + 9), (7, 30), (30, 7)])
    def test_the_records_of_accounts_that_begin_alike_are_all_found(
        self, source: Source, records: Sequence[Record], prefix: str, after: int, until: int
    ) -> None:
        for category in {record.category for record in records}:
            found = EventReader(source).read_accounts(prefix, category=category, after=after, until=until)
            between = [record for record in records if after < record.position <= until]
            alike = [record for record in between if record.account.startswith(prefix)]
            assert list(found) == [record for record in alike if record.category == category]

    @pytest.mark.parametrize("size", [1, 2, 3, 7, COUNT - 1, COUNT, COUNT + 1])
    @pytest.mark.parametrize("wanted", [{}, *FILTERS.values()], ids=["everything", *FILTERS])
    def test_pages_of_any_size_give_the_whole(
        self, source: Source, records: Sequence[Record], wanted: dict[str, Any], size: int
    ) -> None:
        found: list[Record] = []
        after = 0
        for _ in range(COUNT + 1):
            page = source.read(Query(after=after, limit=size, **wanted))
            found += page
            if len(page) < size:
                break
            after = page[-1].position
        assert found == [record for record in records if fits(record, **wanted)]

    @pytest.mark.parametrize("wanted", [{}, *FILTERS.values()], ids=["everything", *FILTERS])
    def test_after_is_excluded_and_until_included(
        self, source: Source, records: Sequence[Record], wanted: dict[str, Any]
    ) -> None:
        for after, until in [(0, 5), (5, 5), (7, 30), (20, 21), (30, 7), (COUNT - 3, COUNT + 9), (COUNT, COUNT + 9)]:
            found = source.read(Query(after=after, until=until, limit=1000, **wanted))
            between = [record for record in records if after < record.position <= until]
            assert list(found) == [record for record in between if fits(record, **wanted)], (after, until)

    def test_a_limit_is_kept(self, source: Source, records: Sequence[Record]) -> None:
        assert list(source.read(Query(limit=3))) == list(records[:3])
        assert list(source.read(Query(limit=2, account="ACC2"))) == [r for r in records if fits(r, account="ACC2")][:2]

    def test_past_the_head_there_is_nothing(self, source: Source, records: Sequence[Record]) -> None:
        assert list(source.read(Query(after=COUNT, limit=10))) == []
        assert list(source.read(Query(after=COUNT + 10_000, limit=10, stream=STREAMS[0]))) == []

    def test_the_head_is_the_last_position(self, source: Source, records: Sequence[Record]) -> None:
        assert source.head() == records[-1].position == COUNT

    @pytest.mark.parametrize("stream", STREAMS)
    def test_a_streams_version_is_its_number_of_records(
        self, source: Source, records: Sequence[Record], stream: str
    ) -> None:
        found = [record.version for record in records if record.stream == stream]
        assert found == list(range(1, source.version(stream) + 1))

    def test_an_unknown_streams_version_is_zero(self, source: Source, records: Sequence[Record]) -> None:
        assert source.version("order/ACC1/O-1000") == 0

    def test_an_instant_finds_the_record_of_that_instant(self, source: Source, records: Sequence[Record]) -> None:
        for record in records:
            assert source.position_at(record.recorded_at) == record.position

    def test_an_instant_between_two_records_finds_the_earlier(self, source: Source, records: Sequence[Record]) -> None:
        for record, following in itertools.pairwise(records):
            assert source.position_at(following.recorded_at - 1) == record.position

    def test_an_instant_before_all_records_finds_none(self, source: Source, records: Sequence[Record]) -> None:
        assert source.position_at(records[0].recorded_at - 1) == 0
        assert source.position_at(0) == 0

    def test_an_instant_after_all_records_finds_the_last(self, source: Source, records: Sequence[Record]) -> None:
        assert source.position_at(records[-1].recorded_at + 1) == COUNT

    def test_waiting_for_what_is_there_returns_at_once(self, source: Source, records: Sequence[Record]) -> None:
        assert in_time(lambda: source.wait(COUNT - 1, 60.0)) is True

    def test_waiting_for_what_does_not_come_ends(self, source: Source, records: Sequence[Record]) -> None:
        assert in_time(lambda: source.wait(COUNT, 0.05)) is False

    def test_a_closed_source_answers_nothing(self, source: Source, records: Sequence[Record]) -> None:
        source.close()
        for call in (
            lambda: source.read(Query(limit=1)),
            source.head,
            source.type_names,
            lambda: source.version(STREAMS[0]),
            lambda: source.position_at(records[0].recorded_at),
            lambda: in_time(lambda: source.wait(0, 0.01)),
        ):
            with pytest.raises(Closed, match="closed"):
                call()

    def test_closing_twice_does_nothing(self, source: Source, records: Sequence[Record]) -> None:
        source.close()
        source.close()
