"""A timeline as a page: everything that it says, escaped, in one file that fetches and runs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from typing_extensions import override

import eventstore
from eventstore import EventStore
from eventstore.trading import LockoutSet, NoteAdded, OrderFilled, Side, TradeBusted
from gateways.presenting.presenter import Presenter
from gateways.presenting.timeline_page import timeline_page
from projections import auditing

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e&quot;"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data") as opened:
        fill = OrderFilled(trade_id="T1", symbol="ESZ5", side=Side.BUY, quantity=Decimal(2), price=Decimal("5310.75"))
        [record] = opened.append("order/ACC1/O-1", fill, actor=HOSTILE)
        opened.append("trade/ACC1/T1", TradeBusted(trade_id="T1"))
        opened.append("lockout/ACC1/manual", LockoutSet(rule_id="manual", reason=HOSTILE))
        opened.append("note/ACC1/1", NoteAdded(target=str(record.uuid), text=HOSTILE, tags=("size",)))
        yield opened


class Elements(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_each_record_is_a_row_with_all_that_the_timeline_says(store: EventStore) -> None:
    shown = Presenter(zone=ZoneInfo("America/Chicago"))
    page = timeline_page(auditing.timeline(store), shown, title="ACC1", about=["All of it."])
    assert "All of it." in page
    rows = [attributes["id"] for tag, attributes in Elements(page).found if tag == "tr" and "id" in attributes]
    assert rows == ["p1", "p2", "p3", "p4"]
    assert "Bought 2 ESZ5 at 5,310.75, long 2" in page
    assert "BUSTED by 2" in page
    assert "trades T1: busted False → True" in page
    assert "tags: size" in page
    assert "-06:00" in page or "-05:00" in page


def test_text_from_others_neither_runs_nor_steers(store: EventStore) -> None:
    page = timeline_page(auditing.timeline(store), Presenter(), title=HOSTILE)
    assert "script" not in {tag for tag, _ in Elements(page).found}
    assert "&lt;script&gt;" in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert not any({"src", "href", "onload"} & attributes.keys() for _, attributes in Elements(page).found)


def test_no_records_are_said_to_be_none(store: EventStore) -> None:
    assert "There are no records." in timeline_page(auditing.timeline(store, account="NOBODY"), Presenter(), title="x")
