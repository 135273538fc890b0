"""What `verify` reads row by row: only rows that are sound and in order are taken, whatever their digests say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import astuple, replace

from eventstore.record import Digester, Record, Row

LOG_ID = bytes(range(16))


def record(number: int, **members: object) -> Record:
    """Return a record whose digest is that of its members."""
    made = Record(
        id=number.to_bytes(16, "big"),
        stream="order/ACC1/O-1",
        type="OrderSubmitted",
        schema=1,
        occurred_at=5,
        data=b"{}",
        actor="desk",
        note="",
        correlation_id=None,
        causation_id=None,
        position=number,
        version=number,
        recorded_at=100 + number,
        digest=b"",
        log="main",
    )
    made = replace(made, **members)
    return replace(made, digest=Digester(LOG_ID).digest(made))


def row(of: Record, **members: object) -> Row:
    return astuple(replace(of, **members))[:-1]


def test_sound_rows_give_their_digests_and_the_times_of_the_first_and_the_last() -> None:
    records = [record(4), record(5, correlation_id=bytes(16)), record(6, causation_id=bytes(16))]
    run = Digester(LOG_ID).run(map(row, records), after=3, since=103)
    assert run is not None
    assert run.leaves == [each.digest for each in records]
    assert (run.first_recorded_at, run.last_recorded_at) == (104, 106)


@pytest.mark.parametrize(
    "second",
    [
        row(record(6)),
        row(record(5, recorded_at=104)),
        row(record(5, id=bytes(17))),
        row(record(5, correlation_id=b"short")),
        row(record(5, causation_id=b"short")),
        row(record(5), schema=1.0),
        row(record(5), data=b"[]"),
        row(record(5), stream=None),
        row(record(5), version=-1),
    ],
    ids=["gap", "time", "id", "correlation", "causation", "schema", "data", "stream", "version"],
)
def test_a_row_that_is_not_sound_or_does_not_follow_is_not_taken(second: Row) -> None:
    assert Digester(LOG_ID).run([row(record(4)), second], after=3, since=103) is None


def test_text_that_is_not_utf_8_ends_a_run() -> None:
    def rows() -> Iterator[Row]:
        yield row(record(4))
        b"\xff".decode()

    assert Digester(LOG_ID).run(rows(), after=3, since=103) is None
