"""A frame of events read from InfluxDB is the frame of the journal that was mirrored to it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

import eventstore
from eventstore import EventReader, InfluxSettings
from eventstore.journals.memory import MemoryJournal
from projections import analysis
from tests.analysis.recorded import draft, log_of
from tests.influx import filling
from tests.influx.servers import Server

ASKED: dict[str, dict[str, Any]] = {
    "everything": {},
    "exact": {"exact": True},
    "one type": {"types": "FrameSample"},
    "one account": {"account": "ACC1"},
    "a symbol": {"symbol": "S3"},
    "some columns": {"columns": ["price", "entity", "position", "data"]},
    "what is not stored there otherwise": {"columns": ["id", "schema", "stream", "correlation_id"]},
}


def _log() -> EventReader:
    drafts = []
    for number in range(300):
        stream = f"test/ACC{number % 3}/E%2F{number % 7}"
        kinds: Sequence[tuple[str, str, int]] = (
            ("FrameSample", f'{{"symbol":"S{number % 5}","price":"{Decimal(number) / 8}","side":"BUY"}}', 2),
            ("FrameSample", f'{{"instrument":"S{number % 5}","price":"{number}"}}', 1),
            ("FrameNested", '{"parts":[{"name":"ü","size":"1"}]}', 1),
            ("Nobody", '{"symbol":"S3"}', 1),
        )
        name, data, schema = kinds[number % 4]
        drafts.append(draft(name, data, number=number, schema=schema, stream=stream))
    return log_of(*drafts)


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_a_frame_is_the_same_from_both(server: Server, settings: InfluxSettings, asked: dict[str, Any]) -> None:
    with _log() as journal:
        source = journal._source
        assert isinstance(source, MemoryJournal)
        filling.fill(server, settings.bucket, list(journal.read()), log_id=source.log_id)
        with eventstore.connect(settings=settings) as mirrored:
            assert mirrored.types() == journal.types() == ("FrameNested", "FrameSample", "Nobody")
            found = analysis.events(mirrored, progress=False, **asked).to_arrow()
            assert found.equals(analysis.events(journal, progress=False, **asked).to_arrow())
            assert found.num_rows
