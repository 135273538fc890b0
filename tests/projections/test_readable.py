"""What a notebook shows of books, orders, records and results: readable, escaped, and never an exception."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from typing_extensions import override

import eventstore
import projections
from eventstore import Event, EventStore, ManualClock, Record, UnknownContract, Verification
from eventstore.journals.memory import MemoryJournal
from eventstore.readable import PARTS_MAX, TEXT_MAX, Readable, annotations_of
from eventstore.trading import (
    AccountOpened,
    ContractDefined,
    EnforcementAction,
    EnforcementRequested,
    LockoutCleared,
    LockoutSet,
    NoteAdded,
    OrderFilled,
    OrderSubmitted,
    Protection,
    ProtectionMode,
    Side,
)
from projections import Book, View, risk
from projections.book_html import ACCOUNTS_MAX, ROWS_MAX
from projections.risk.checking import Answer
from projections.views.lockouts.lockout import Lockout
from projections.views.orders.order import Order

START = 1_763_560_800 * 10**9
HOSTILE = "<script>alert(1)</script>\u202e\x1b[2J&\"'"


def book_of(store: EventStore | None = None, views: list[View[Any]] | None = None) -> Book:
    own = store or EventStore(MemoryJournal(clock=ManualClock(START)), clock=ManualClock(START))
    return projections.open(own, snapshots=False, views=views)


def traded() -> Book:
    """Return a book with one of each: an open position, a working order, a lockout and a request."""
    book = book_of()
    book.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
    book.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD"))
    order = OrderSubmitted(symbol="ESZ5", side=Side.BUY, quantity=Decimal(3), limit_price=Decimal("6650.25"))
    fill = OrderFilled(trade_id="T-1", symbol="ESZ5", side=Side.BUY, quantity=Decimal(2), price=Decimal("6650.25"))
    book.append("order/A/O-1", [order, fill])
    book.append("lockout/A/loss", LockoutSet(rule_id="loss", reason=HOSTILE, until=START + 10**12))
    asked = EnforcementRequested(rule_id="loss", action=EnforcementAction.FLATTEN, symbol="ESZ5", reason=HOSTILE)
    book.append("enforcement/A/1", asked)
    return book


def shown(value: Any) -> str:  # noqa: ANN401 - whatever a notebook may be given
    made: str = value._repr_html_()
    # Nothing that a text says takes effect: no tag, no control, no bidirectional sign.
    assert set(re.findall(r"</?(\w+)", made)) <= {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert not {"\u202e", "\x1b", "\n"} & set(made)
    return made


def cells(value: Any) -> list[list[str]]:  # noqa: ANN401 - the same
    rows = re.findall(r"<tr>(.*?)</tr>", shown(value))
    return [[html.unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows]


def subclasses(cls: type) -> Iterator[type]:
    each: type
    for each in cls.__subclasses__():
        yield each
        yield from subclasses(each)


def test_a_hostile_text_is_shown_and_does_nothing() -> None:
    for value in (traded(), traded().lockouts.active("A", START)[0], Verification(ok=False, checked=1, reason=HOSTILE)):
        made = shown(value)
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in made
        assert "\\u202e\\u001b[2J&amp;&quot;&#x27;" in made


def test_an_empty_book_says_that_it_has_no_accounts() -> None:
    assert cells(book_of()) == [["", "account", ""], ["accounts", "", "none yet"]]


def test_a_book_shows_what_is_open_working_locked_and_asked_for() -> None:
    book = traded()
    assert "<caption" in shown(book)
    assert "Book of main at position 6, lockouts at 2025-11-19T14:00:00Z" in shown(book)
    escaped = HOSTILE.replace("\u202e", "\\u202e").replace("\x1b", "\\u001b")
    assert cells(book)[1:] == [
        ["accounts", "", "A"],
        ["position", "A", "ESZ5 2 at 6650.25"],
        ["working order", "A", "O-1: BUY 3 ESZ5 6650.25, PARTIALLY_FILLED, 1 left"],
        ["lockout", "A", f"loss (account) until 2025-11-19T14:16:40Z, allows NOTHING: {escaped}"],
        ["pending request", "A", f"FLATTEN ESZ5 since 2025-11-19T14:00:00Z by loss: {escaped}"],
    ]


def test_a_closed_book_and_one_whose_store_is_closed_are_shown() -> None:
    book = traded()
    book.close()
    assert "(closed)" in shown(book)
    assert len(cells(book)) == 6
    book.reader.close()
    assert len(cells(book)) == 6
    open_one = traded()
    open_one.reader.close()
    shown(open_one)


def test_a_book_shows_which_accounts_are_in_shadow_mode_or_wait_for_it() -> None:
    book = book_of()
    shadow = ProtectionMode(mode=Protection.SHADOW)
    book.append("account/A/-", shadow, actor="ann")
    book.append("order/B/O-1", OrderSubmitted(symbol="ES", side=Side.BUY, quantity=Decimal(1)))
    for mode in (ProtectionMode(mode=Protection.ARMED), shadow):
        book.append("account/B/-", mode, actor="ann")
    assert [row for row in cells(book) if row[0] == "protection"] == [
        ["protection", "A", "in SHADOW mode, set by ann: its limits only record what they would do"],
        ["protection", "B", "SHADOW mode waits for its next trading day, set by ann"],
    ]


def test_a_past_book_shows_the_lockouts_of_its_time() -> None:
    store = EventStore(MemoryJournal(clock=(clock := ManualClock(START))), clock=clock)
    store.append("lockout/A/loss", LockoutSet(rule_id="loss", until=START + 10**12))
    clock.advance(10**13)
    assert [row[0] for row in cells(projections.as_of(store, position=1))[1:]] == ["accounts", "lockout"]
    assert [row[0] for row in cells(book_of(store))[1:]] == ["accounts"]
    assert cells(projections.as_of(store, position=0))[1:] == [["accounts", "", "none yet"]]


class Failing(View[dict[str, int]]):
    """It fails on every note."""

    name: ClassVar[str] = "failing"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (NoteAdded,)

    @override
    def initial(self) -> dict[str, int]:
        return {}

    @override
    def apply(self, state: dict[str, int], event: Event, record: Record) -> None:
        raise ValueError(HOSTILE)


def test_a_parked_partition_is_named_with_its_error() -> None:
    book = book_of(views=[Failing()])
    book.append("note/A/1", NoteAdded(target="day/A/2025-11-19", text="x"))
    [*_, last] = cells(book)
    assert last[0] == "stopped"
    assert "view failing stopped for A at position 1 (ValueError: <script>" in last[2]


def test_what_a_parked_view_cannot_answer_says_so_beside_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    book = traded()

    def fail(*_: object) -> None:
        raise ValueError(HOSTILE)

    monkeypatch.setattr("projections.views.lockouts.view._change", fail)
    book.append("lockout/A/loss", LockoutCleared(by="desk"))
    rows = cells(book)
    assert ["position", "A", "ESZ5 2 at 6650.25"] in rows
    assert [row[2].partition(" at position")[0] for row in rows if row[0] in {"lockout", "stopped"}] == [
        "not known: view lockouts stopped for A",
        "view lockouts stopped for A",
    ]


def test_a_book_of_many_shows_a_few_and_says_so() -> None:
    book = book_of()
    for number in range(ACCOUNTS_MAX + 1):
        order = OrderSubmitted(symbol="ESZ5", side=Side.BUY, quantity=Decimal(1))
        book.append(f"order/A{number:03}/O", order)
    rows = cells(book)
    assert [row[0] for row in rows[1:]] == ["accounts", *["working order"] * (ROWS_MAX + 1)]
    assert rows[1][2].endswith("A009 and 91 more")
    assert rows[-1][2] == "and more"
    assert "the first 100 of 101 accounts" in shown(book)


def test_an_order_a_position_and_a_record_are_tables_of_their_members() -> None:
    book = traded()
    order = dict(cells(book.orders.get("A", "O-1")))
    assert order[""] == "Order"
    assert (order["status"], order["leaves"], order["limit_price"]) == ("PARTIALLY_FILLED", "1", "6650.25")
    assert order["average_price"] == "6650.25"
    assert "broker_order_id" not in order
    position = dict(cells(book.positions.get("A", "ESZ5")))
    assert (position["side"], position["quantity"], position["realized"]) == ("NET", "2", "0")
    [record] = book.reader.read(limit=1)
    members = dict(cells(record))
    assert (members["id"], members["occurred_at"]) == (str(record.uuid), "2025-11-19T14:00:00.000000000Z")
    assert members["data"] == '{"starting_balance":"50000","currency":"USD"}'
    assert members["digest"] == record.digest.hex()


def test_a_figure_that_cannot_be_computed_says_why() -> None:
    book = book_of()
    fill = OrderFilled(trade_id="T", symbol="NQZ5", side=Side.BUY, quantity=Decimal(2), price=Decimal(1))
    close = OrderFilled(trade_id="U", symbol="NQZ5", side=Side.SELL, quantity=Decimal(2), price=Decimal(2))
    book.append("order/A/O", [fill, close])
    position = book.positions.get("A", "NQZ5")
    with pytest.raises(UnknownContract) as unknown:
        _ = position.realized
    assert dict(cells(position))["realized"] == str(unknown.value)


def test_results_show_their_findings_and_reasons() -> None:
    book = traded()
    order = risk.Proposal(account="A", symbol="ESZ5", side=Side.BUY, quantity=Decimal(1))
    answer = risk.check(book, order, START)
    assert isinstance(answer, Answer)
    rows = cells(answer)
    assert rows[1] == ["verdict", "REJECT"]
    assert [row for row in rows if row[0] == "findings"]
    assert dict(cells(book.reader.verify()))["ok"] == "True"


def test_what_differs_is_shown_before_and_after() -> None:
    book = traded()
    changes = projections.diff(book.reader, START, book.now_ns() + 10**12)
    rows = cells(changes)
    assert rows[0] == ["account", "in", "what", "", "before", "after", "by log positions"]
    assert ["A", "orders", "O-1"] in [row[:3] for row in rows]
    assert ["status", "", "PARTIALLY_FILLED"] in [row[3:6] for row in rows]
    for change in changes:
        assert cells(change)[0] == ["", "before", "after"]
    assert isinstance(changes, tuple)
    assert cells(projections.diff(book.reader, START, START)) == [rows[0]]


def test_long_texts_and_many_parts_are_cut() -> None:
    class Long(Readable, msgspec.Struct):
        text: str
        parts: tuple[Lockout, ...]

    [lockout] = traded().lockouts.active("A", START)
    rows = cells(Long("x" * 2 * TEXT_MAX, (lockout,) * (PARTS_MAX + 2)))
    assert rows[1] == ["text", "x" * TEXT_MAX + "…"]
    assert len(rows) == 2 + PARTS_MAX + 1
    assert rows[-1] == ["", "and 2 more"]


def test_every_readable_class_has_annotations_that_can_be_read() -> None:
    found = [cls for cls in subclasses(Readable) if "<locals>" not in cls.__qualname__]
    assert {Order, Lockout, Record, Verification, Answer} <= {*found}
    for cls in found:
        annotations_of(cls)
        assert cls.__dictoffset__ == 0, cls


def test_a_record_as_it_was_stored_survives_being_readable(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store:
        store.append("note/A/1", NoteAdded(target="day/A/2025-11-19", text=HOSTILE))
    with eventstore.open(tmp_path) as store:
        [record] = store.read()
    assert msgspec.json.decode(record.data)["text"] == HOSTILE
    assert "&lt;script&gt;" in shown(record)
