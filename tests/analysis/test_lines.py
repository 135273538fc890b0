"""A journal that joins the values of a page gives the frame that single values give, whatever stands in them."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from msgspec.structs import replace

from eventstore import CorruptJournal, EventReader
from eventstore import reader as reading
from eventstore.journal import LINE_MEMBERS, Query
from eventstore.journals.sqlite import rows
from eventstore.record import Draft, Record
from projections import analysis
from projections.analysis.columns import OF_RECORDS
from tests.analysis.recorded import draft, log_of

DATA = {
    "FrameSample": (
        '{"symbol":"A","price":"1.5","colour":"blue"}',
        '{"symbol":"B","price":2}',
        '{"symbol":"é","price":"3"}',
    ),
    "FrameNamed": ('{"position":"7","account":"other","count":"many","symbol":"A"}', '{"position":"0"}'),
    "FrameNested": ('{"parts":[{"name":"a","size":"1"}],"by_name":{"x":1}}', "{}"),
    "Nobody": ('{"price":"1"}', '{"text":"\\n"}'),
}
STREAMS = ("test/ACC1/one", "test/ACC2/a%2Fb", "note/-/é ü", "test/ACC1/two words")
TEXTS = ("", "bought\nsold", "\n", "\n\n", "\r\n", "é\u2028ü", "plain", "a,b;\t\x0b", "nul\x00 inside")
CHOSEN: dict[str, dict[str, Any]] = {
    "all": {},
    "every column": {"columns": [*OF_RECORDS, "symbol", "price"]},
    "records alone": {"columns": ("note", "position", "actor")},
    "an account": {"account": "ACC1"},
    "a stream": {"stream": "test/ACC1/one"},
    "a prefix": {"stream": "test/ACC2/"},
    "types": {"types": ("FrameSample", "Nobody")},
    "a symbol": {"symbol": "A"},
    "text": {"exact": "text"},
}


def drafts(chance: random.Random, count: int) -> Iterator[Draft]:
    for number in range(count):
        name = chance.choice(list(DATA))
        made = draft(
            name,
            chance.choice(DATA[name]),
            number=number,
            schema=2 if name == "FrameSample" else 1,
            stream=chance.choice(STREAMS),
        )
        yield replace(made, note=chance.choice(TEXTS) if chance.random() < 0.2 else "", actor=chance.choice(TEXTS[6:]))


def frame(reader: EventReader, **given: Any) -> Any:  # noqa: ANN401 - any argument of a frame
    return analysis.events(reader, progress=False, **given).to_arrow()


@pytest.mark.parametrize("name", CHOSEN)
@pytest.mark.parametrize("page", [1, 2, 7, 20_000])
def test_a_frame_is_the_same_from_joined_and_from_single_values(
    name: str, page: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = list(drafts(random.Random(page), 60))
    monkeypatch.setattr(reading, "COLUMNS_PAGE", page)
    joined, single = log_of(*made, path=tmp_path / "journal.db"), log_of(*made)
    assert joined.lines(("position",), until=60) is not None
    assert single.lines(("position",), until=60) is None
    found, expected = frame(joined, **CHOSEN[name]), frame(single, **CHOSEN[name])
    assert found.num_rows > 3
    names = [column for column in found.column_names if column != "digest"]
    assert found.select(names).equals(expected.select(names))
    joined.close()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_short_log(count: int, tmp_path: Path) -> None:
    made = [draft("FrameSample", DATA["FrameSample"][0], number=number, schema=2) for number in range(count)]
    with log_of(*made, path=tmp_path / "journal.db") as reader:
        assert frame(reader, columns=["position"]).column("position").to_pylist() == list(range(1, count + 1))


def test_only_pages_with_line_breaks_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [draft("FrameSample", DATA["FrameSample"][0], number=number, schema=2) for number in range(9)]
    made[4] = replace(made[4], note="one\ntwo")
    monkeypatch.setattr(reading, "COLUMNS_PAGE", 3)
    again: list[tuple[int, int | None]] = []
    columns = EventReader.columns

    def noted(self: EventReader, *members: Any, after: int, until: int, **given: Any) -> Iterator[list[list[Any]]]:  # noqa: ANN401
        again.append((after, until))
        return columns(self, *members, after=after, until=until, **given)

    monkeypatch.setattr(EventReader, "columns", noted)
    with log_of(*made, path=tmp_path / "journal.db") as reader:
        assert frame(reader).column("note").to_pylist() == ["", "", "", "", "one\ntwo", "", "", "", ""]
    assert again == [(3, 6)]


def test_values_too_large_to_be_joined_are_given_in_smaller_pages(tmp_path: Path) -> None:
    made = [draft("FrameSample", '{"symbol":"%s","price":"1"}' % ("A" * 900), number=n, schema=2) for n in range(50)]
    log_of(*made, path=tmp_path / "journal.db").close()
    connection = apsw.Connection(str(tmp_path / "journal.db"))
    connection.limit(apsw.SQLITE_LIMIT_LENGTH, 8_000)
    after, pages = 0, []
    while after < 50:
        page = rows.lines(connection, Query(after=after, until=50, limit=50), ("position", "data"))
        pages.append(page)
        assert page.after == after < page.until
        after = page.until
    assert b"\n".join(page.members["position"] for page in pages).split() == [b"%d" % n for n in range(1, 51)]
    assert len(pages) > 5
    connection.close()


@pytest.mark.parametrize("member", ["actor", "note", "stream", "type"])
def test_bytes_that_are_not_text_are_refused_with_their_position(member: str, tmp_path: Path) -> None:
    made = [draft("FrameSample", DATA["FrameSample"][0], number=number, schema=2) for number in range(9)]
    with (
        log_of(*made, path=tmp_path / "journal.db") as reader,
        contextlib.closing(apsw.Connection(str(tmp_path / "journal.db"))) as other,
    ):
        other.execute(f"UPDATE event SET {member} = CAST(x'ff' AS TEXT) WHERE position = 6")  # noqa: S608 - constants
        with pytest.raises(CorruptJournal) as raised:
            frame(reader, columns=[member, "position"])
    assert raised.value.position == 6


def test_line_members_are_those_that_are_never_null_or_bytes() -> None:
    nullable = {"correlation_id", "causation_id"}
    others = {"log", "id", "digest"}
    assert set(Record.__struct_fields__) - nullable - others == LINE_MEMBERS
