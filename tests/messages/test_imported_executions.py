"""An execution that an imported file has under its own id counts once, whatever the broker reports of it live."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from typing_extensions import override

import projections
from eventstore import Batch, EventStore, ManualClock
from eventstore.clock import parse_time
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import AccountOpened, ContractDefined, FeeCharged, NoteAdded, Side, TradeExecuted
from gateways.messages import MappedEvent, Recorder
from gateways.messages.projectx import ProjectX
from projections import Book
from tests.messages.projectx_messages import ACCOUNT, CONTRACT_ID, answer, at, order, trade, user
from tests.proving import rounds

D = Decimal


def imported(book: Book, id_: str, second: int, side: Side = Side.BUY, **members: Any) -> None:  # noqa: ANN401
    """Append an execution as an import does: its file's id, whole seconds, and a note that names the file."""
    given: dict[str, Any] = {"symbol": "MNQZ6", "quantity": D(1), "price": D("21000.25")} | members
    event = TradeExecuted(trade_id=id_, side=side, **given)
    when = parse_time(at(second)) // 1_000_000_000 * 1_000_000_000
    book.append(f"trade/{ACCOUNT}/{id_}", event, key=id_, occurred_at=when, note="import topstepx-trades trades.csv")


def live(id_: int, second: int, **members: object) -> dict[str, Any]:
    return user("Trade", trade(id_, creationTimestamp=at(second), **members))


def trades(book: Book) -> list[tuple[str, str | None, bool]]:
    return [(each.trade_id, each.order_id, each.busted) for each in book.trades.of(ACCOUNT)]


@pytest.fixture
def with_file(book: Book) -> Book:
    imported(book, "7-entry", 0)
    imported(book, "7-exit", 60, Side.SELL, fee=D("0.74"), fee_currency="USD")
    return book


def test_what_a_file_has_and_the_broker_reports_counts_once(with_file: Book) -> None:
    book, recorder = with_file, Recorder(with_file, ProjectX())
    given = [
        live(1, 0), live(2, 60, side=1), user("Order", order(9056, customTag="mine", size=2, fillVolume=2, status=2)),
    ]  # fmt: skip
    for each in given * 2:
        recorder.record(each)
    held = book.positions.get(ACCOUNT, "MNQZ6")
    # What the trades cost is in the file.
    assert (held.quantity, held.fees, held.anomalies) == (D(0), D("0.74"), ())
    assert trades(book) == [("7-entry", "mine", False), ("7-exit", "mine", False)]
    found = book.orders.get(ACCOUNT, "mine")
    assert found is not None
    assert (found.cumulative, found.unexplained) == (D(2), D(0))
    assert recorder.counts.repeated > 0
    notes = [each.event for each in book.read(types=(NoteAdded,))]
    assert [each.tags for each in notes] == [  # type: ignore[attr-defined]
        ("imported-execution", "trade 7-entry", "costs-known"), ("imported-execution", "trade 7-exit", "costs-known"),
    ]  # fmt: skip


def test_what_comes_later_of_it_is_of_the_same_trade(with_file: Book) -> None:
    Recorder(with_file, ProjectX()).record(live(1, 0))
    # Also after a restart.
    Recorder(with_file, ProjectX()).record(live(1, 0, voided=True))
    assert trades(with_file) == [("7-entry", None, True), ("7-exit", None, False)]
    assert with_file.positions.get(ACCOUNT, "MNQZ6").quantity == D(-1)


def test_another_one_of_the_same_second_counts(with_file: Book) -> None:
    recorder = Recorder(with_file, ProjectX())
    for id_ in (1, 2, 3):
        recorder.record(live(id_, 0))
    assert with_file.positions.get(ACCOUNT, "MNQZ6").quantity == D(2)
    assert [each for each, _, _ in trades(with_file)] == ["7-entry", "7-exit", "2", "3"]


def test_two_of_one_answer_are_not_both_the_file_s(with_file: Book) -> None:
    answered = [trade(id_, creationTimestamp=at(0)) for id_ in (1, 2)]
    Recorder(with_file, ProjectX()).record(answer("Trade/search", trades=answered))
    assert [each for each, _, _ in trades(with_file)] == ["7-entry", "7-exit", "2"]


def test_what_was_live_before_a_file_stays_what_it_was(recorder: Recorder, book: Book) -> None:
    recorder.record(live(1, 0))
    imported(book, "7-entry", 0)
    for members in ({}, {"fees": 0.5}, {"price": 21000.25}):
        recorder.record(live(1, 0, **members))
    assert [each for each, _, _ in trades(book)] == ["1", "7-entry"]
    assert not list(book.read(types=(NoteAdded,)))


@pytest.mark.parametrize("members", [
    {"price": 21000.5}, {"size": 2}, {"side": 1}, {"contractId": "MESZ6"}, {"creationTimestamp": at(1)},
    {"accountId": 5},
])  # fmt: skip
def test_what_differs_is_another_execution(with_file: Book, members: dict[str, object]) -> None:
    Recorder(with_file, ProjectX()).record(user("Trade", trade(1, creationTimestamp=at(0)) | members))
    notes = [each.event for each in with_file.read(types=(NoteAdded,))]
    assert not [each for each in notes if "imported-execution" in each.tags]  # type: ignore[attr-defined]


def test_what_was_recorded_live_is_not_taken_for_imported(recorder: Recorder, book: Book) -> None:
    for id_ in (1, 2):
        recorder.record(live(id_, 0))
    assert book.positions.get(ACCOUNT, "MNQZ6").quantity == D(2)


def test_without_costs_in_the_file_the_broker_s_count(book: Book) -> None:
    imported(book, "7-entry", 0)
    Recorder(book, ProjectX()).record(live(1, 0))
    held = book.positions.get(ACCOUNT, "MNQZ6")
    assert (held.quantity, held.fees) == (D(1), D("0.37"))


@pytest.mark.parametrize(("fee", "charged"), [(D(1), D(1)), (D(0), D(2))])
def test_a_fee_that_comes_by_itself_counts_if_the_file_has_none(book: Book, fee: Decimal, charged: Decimal) -> None:
    class Charging(ProjectX, frozen=True):
        @override
        def events(self, message: Any) -> Any:
            if "fee" not in message:
                return super().events(message)
            event = FeeCharged(trade_id="1", amount=D(2), currency="USD")
            return (MappedEvent(f"trade/{ACCOUNT}/1", event, "fee", None),)

    imported(book, "7-entry", 0, fee=fee, fee_currency="USD" if fee else None)
    recorder = Recorder(book, Charging())
    for each in (live(1, 0, fees=0), {"fee": 2}, {"fee": 2}):
        recorder.record(each)
    assert book.positions.get(ACCOUNT, "MNQZ6").fees == charged


def test_two_processes_do_not_take_one_trade_of_a_file(with_file: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    append, other = with_file.append_many, [live(2, 0)]

    def append_many(batches: list[Batch], **options: Any) -> Any:  # noqa: ANN401
        if other:
            Recorder(with_file, ProjectX()).record(other.pop())
        return append(batches, **options)

    monkeypatch.setattr(with_file, "append_many", append_many)
    Recorder(with_file, ProjectX()).record(live(1, 0))
    assert with_file.positions.get(ACCOUNT, "MNQZ6").quantity == D(1)
    assert [each for each, _, _ in trades(with_file)] == ["7-entry", "7-exit", "1"]


def opened() -> Iterator[Book]:
    clock = ManualClock("2026-12-01T00:00:00Z")
    with EventStore(MemoryJournal(clock=clock), clock=clock) as store, projections.open(store, snapshots=False) as book:
        book.append(f"account/{ACCOUNT}/-", AccountOpened(starting_balance=D(50_000), currency="USD"))
        definition = ContractDefined(symbol="MNQZ6", multiplier=D(2), currency="USD", broker_ids=(CONTRACT_ID,))
        book.append("contract/-/MNQZ6", definition)
        yield book


def ends_in(seed: int) -> tuple[object, ...]:
    """Import some of a day's executions, deliver all of them live, and return what the book has too much of."""
    chance = random.Random(seed)
    # Few seconds and one price, so that several are alike.
    day = [(number, chance.randint(0, 4), chance.randint(0, 1)) for number in range(1, chance.randint(2, 12))]
    messages = [
        live(number, second, side=side, orderId=chance.choice([None, 9056, 9057])) for number, second, side in day
    ]
    messages += chance.sample(messages, len(messages) // 2)
    messages += [user("Order", order(id_, customTag=f"t{id_}")) for id_ in (9056, 9057)]
    chance.shuffle(messages)
    for book in opened():
        for number, second, side in chance.sample(day, chance.randint(0, len(day))):
            imported(book, f"file-{number}", second, (Side.BUY, Side.SELL)[side])
        recorder = Recorder(book, ProjectX())
        for each in messages:
            if not chance.randint(0, 5):
                recorder = Recorder(book, ProjectX())
            recorder.record(each)
        bought = sum(1 - 2 * side for _, _, side in day)
        return book.positions.get(ACCOUNT, "MNQZ6").quantity - bought, len(trades(book)) - len(day)
    raise AssertionError


@pytest.mark.untraced
def test_a_day_that_is_imported_in_part_counts_once() -> None:
    for seed in rounds("executions of a file, and live", test=100, prove=5_000):
        assert ends_in(seed) == (0, 0), seed
