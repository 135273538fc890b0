"""The Recorder: nothing is lost in silence, what is repeated adds nothing, and it goes where it belongs."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

import eventstore
import projections
from eventstore import Closed, EventStore, InvalidEvent, ManualClock, Overloaded, ReadOnly, StorageFull, StoreError
from eventstore.trading import (
    AccountUpdated,
    NoteAdded,
    OrderStatus,
    PositionReported,
)
from gateways.messages import Recorder
from gateways.messages.ib import InteractiveBrokers
from gateways.messages.mapped import MappedEvent
from gateways.messages.projectx import ProjectX, message
from projections import Book
from tests.messages.projectx_messages import (
    ACCOUNT,
    CONTRACT_ID,
    account,
    answer,
    order,
    position,
    quote,
    trade,
    user,
)

D = Decimal


def notes(book: Book, account: str = "-") -> list[NoteAdded]:
    return [each.event for each in book.read(account=account, types=(NoteAdded,))]  # type: ignore[misc]


def types(book: Book) -> Counter[str]:
    return Counter(each.type for each in book.read())


class Failing:
    """Lets a book's appends fail, each with an error of its own."""

    def __init__(self, book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
        self.errors: list[StoreError] = []
        self._append = book.append_many
        monkeypatch.setattr(book, "append_many", self.append_many)

    def append_many(self, batches: Any, **options: Any) -> Any:  # noqa: ANN401 - as the book has it
        if self.errors:
            raise self.errors.pop(0)
        return self._append(batches, **options)


# --- what cannot be mapped ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [
    None, [], "text", b"\xff", {}, {"target": "GatewayLogout", "arguments": ["\ud800 bye"]}, user("Trade", None),
    user("Trade", trade(price=float("nan"))), user("Trade", trade(0, note="x" * 10_000)), {1: object()},
    user("Trade", trade("\ud800")), user("Trade", trade(price=1e200)), user("Trade", trade("n/a")),
    user("Order", order(customTag="/" * 200)), user("Trade", trade(size=1e-200)),
])  # fmt: skip
def test_a_message_that_cannot_be_recorded_is_kept_as_a_note(recorder: Recorder, book: Book, given: Any) -> None:  # noqa: ANN401
    before = types(book)
    recorder.record(given)
    recorder.record(given)
    assert types(book) - before == {"NoteAdded": 1}
    (note,) = notes(book)
    assert note.tags[:2] == ("unmapped", "projectx")
    assert note.target == "message/-/projectx"
    assert len(note.text) <= 2_000
    assert (recorder.counts.unmapped, recorder.counts.lost) == (2, 0)


def test_a_message_in_a_circle_is_kept(recorder: Recorder, book: Book) -> None:
    endless: dict[str, object] = {}
    endless["target"] = endless
    recorder.record(endless)
    assert len(notes(book)) == 1


def test_a_fault_of_a_mapping_loses_nothing(book: Book) -> None:
    class Broken(ProjectX, frozen=True):
        @override
        def events(self, message: Any) -> Any:
            return 1 / 0

    recorder = Recorder(book, Broken())
    recorder.record(user("Trade", trade()))
    assert "ZeroDivisionError" in notes(book)[0].text
    assert "101112" in notes(book)[0].text


def test_a_note_of_a_mapping_that_the_store_refuses_keeps_no_later_message_back(book: Book) -> None:
    class Noting(ProjectX, frozen=True):
        @override
        def events(self, message: Any) -> Any:
            note = NoteAdded(target=f"account/{ACCOUNT}/-", text="x" * 100_000)
            return MappedEvent(f"note/{ACCOUNT}/1", note, "1", None), *super().events(message)

    recorder = Recorder(book, Noting())
    recorder.record(user("Trade", trade()))
    assert "100,000" in notes(book)[0].text
    assert [each.trade_id for each in book.trades.of(ACCOUNT)] == ["101112"]
    assert (recorder.counts.unmapped, recorder.counts.held) == (1, 0)


def test_of_market_data_that_cannot_be_mapped_a_few_examples_are_kept(recorder: Recorder, book: Book) -> None:
    for number in range(50):
        recorder.record(message("GatewayQuote", CONTRACT_ID, quote(bestBid=f"none {number}")))
    assert len(notes(book)) == 10
    assert recorder.counts.unmapped == 50
    for number in range(1, 51):
        recorder.record(user("Trade", trade(number, price=None)))
    assert len(notes(book)) == 60


def test_one_event_that_the_store_refuses_keeps_no_other_back(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = Failing(book, monkeypatch)
    failing.errors = [InvalidEvent("too much"), InvalidEvent("this one")]
    recorder = Recorder(book, ProjectX())
    recorder.record(answer("Trade/search", trades=[trade(1), trade(2)]))
    assert [each.trade_id for each in book.trades.of(ACCOUNT)] == ["2"]
    assert "this one" in notes(book)[0].text


# --- what the store cannot take -----------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [Overloaded("busy"), StorageFull("full"), Closed("poisoned")])
def test_what_the_store_cannot_take_is_raised_held_and_recorded_next(
    book: Book, monkeypatch: pytest.MonkeyPatch, error: StoreError
) -> None:
    failing = Failing(book, monkeypatch)
    recorder = Recorder(book, ProjectX())
    failing.errors = [error, type(error)("again")]
    with pytest.raises(type(error)) as raised:
        recorder.record(user("Trade", trade(1)))
    assert "1 message(s) are held" in raised.value.__notes__[0]
    with pytest.raises(type(error)):
        recorder.record(user("Trade", trade(2)))
    assert (recorder.counts.held, types(book)["TradeExecuted"]) == (2, 0)
    assert "2 held" in repr(recorder)
    recorder.record(user("Trade", trade(3)))
    assert [each.trade_id for each in book.trades.of(ACCOUNT)] == ["1", "2", "3"]
    assert (recorder.counts.held, recorder.counts.lost) == (0, 0)


def test_close_records_what_is_held_and_says_what_it_cannot(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = Failing(book, monkeypatch)
    recorder = Recorder(book, ProjectX())
    failing.errors = [StorageFull("full")] * 2
    with pytest.raises(StorageFull):
        recorder.record(user("Trade", trade(1)))
    with pytest.raises(StorageFull):
        recorder.close()
    recorder.close()
    assert [each.trade_id for each in book.trades.of(ACCOUNT)] == ["1"]


def test_beyond_what_can_be_held_a_message_is_lost_and_that_is_said(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateways.messages.recorder.HELD_MAX", 2)
    failing = Failing(book, monkeypatch)
    recorder = Recorder(book, ProjectX())
    failing.errors = [StorageFull("full")] * 3
    for number in (1, 2):
        with pytest.raises(StorageFull):
            recorder.record(user("Trade", trade(number)))
    with pytest.raises(Overloaded, match="this one is lost"):
        recorder.record(user("Trade", trade(3)))
    assert (recorder.counts.held, recorder.counts.lost) == (2, 1)


def test_a_closed_store_is_an_error_of_every_message(store: EventStore, book: Book) -> None:
    recorder = Recorder(book, ProjectX())
    store.close()
    for held in (1, 2):
        with pytest.raises(Closed):
            recorder.record(user("Trade", trade(held)))
        assert recorder.counts.held == held
    with pytest.raises(Closed):
        recorder.close()


def test_a_recorder_needs_a_store_that_appends(tmp_path: Path) -> None:
    eventstore.open(tmp_path).close()
    with (
        eventstore.open(tmp_path, read_only=True) as store,
        projections.open(store, snapshots=False) as book,
        pytest.raises(ReadOnly),
    ):
        Recorder(book, ProjectX())


def test_quotes_are_not_held(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = Closed("closed")

    def fail(*_: object, **__: object) -> None:
        raise closed

    monkeypatch.setattr(book, "observe", fail)
    recorder = Recorder(book, ProjectX())
    with pytest.raises(Closed):
        recorder.record(message("GatewayQuote", CONTRACT_ID, quote()))
    assert recorder.counts.held == 0


def test_quotes_are_observed_while_messages_are_held(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = Failing(book, monkeypatch)
    recorder = Recorder(book, ProjectX())
    failing.errors = [StorageFull("full")] * 3
    with pytest.raises(StorageFull):
        recorder.record(user("Trade", trade(1)))
    recorder.record(message("GatewayQuote", CONTRACT_ID, quote(lastPrice=21_002)))
    known = book.quotes.get("MNQZ6")
    assert known is not None
    assert known.last == D(21_002)
    assert len(failing.errors) == 2


def test_a_state_that_was_held_is_as_of_when_it_came(
    book: Book, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = Failing(book, monkeypatch)
    recorder = Recorder(book, ProjectX())
    failing.errors = [StorageFull("full")]
    with pytest.raises(StorageFull):
        recorder.record(user("Position", position(size=3)))
    came = store.clock.now_ns()
    assert isinstance(store.clock, ManualClock)
    store.clock.advance(3_600 * 1_000_000_000)
    recorder.retry()
    assert book.positions.get(ACCOUNT, "MNQZ6").reported_at == came


def test_an_account_is_flagged_also_if_its_first_message_was_held(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = Failing(book, monkeypatch)
    recorder = Recorder(book, ProjectX())
    failing.errors = [StorageFull("full")]
    with pytest.raises(StorageFull):
        recorder.record(user("Account", account(id=5)))
    assert notes(book, "5") == []
    recorder.retry()
    assert [each.tags[0] for each in notes(book, "5")] == ["unopened-account"]


def test_kinds_of_messages_that_are_unknown_take_no_memory(recorder: Recorder) -> None:
    for number in range(50):
        recorder.record(message(f"Gateway{number}", number))
    assert len(recorder._market_notes) == 0


@pytest.mark.parametrize("call", [lambda each: each.record(user("Trade", trade())), Recorder.retry, Recorder.close])
def test_a_fork_s_child_waits_for_no_lock(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, call: Callable[[Recorder], object]
) -> None:
    monkeypatch.setattr("os.getpid", lambda: -1)
    with recorder._lock, recorder._retrying, pytest.raises(Closed):
        call(recorder)


# --- repeated -----------------------------------------------------------------------------------------------------


def test_a_repeated_message_adds_nothing(recorder: Recorder, book: Book) -> None:
    given = [user("Order", order(), 1), user("Trade", trade(), 0), user("Trade", trade(2, voided=True), 1)]
    for each in given:
        assert recorder.record(each)
    position_before = book.position
    for each in given * 2:
        assert recorder.record(each) == []
    assert book.position == position_before
    assert recorder.counts.repeated == 2 * 5


def test_a_report_with_other_content_completes_the_first(recorder: Recorder, book: Book) -> None:
    recorder.record(user("Order", order()))
    for _ in range(2):
        recorder.record(user("Trade", trade(fees=None)))
        recorder.record(user("Trade", trade(fees=0.37)))
    (only,) = book.trades.of(ACCOUNT)
    assert (only.quantity, only.fee) == (D(1), D("0.37"))
    assert types(book)["OrderFilled"] == 2


def test_an_answer_with_known_and_new_objects_adds_the_new_ones_in_one_commit(recorder: Recorder, book: Book) -> None:
    recorder.record(user("Trade", trade(1, orderId=None)))
    records = recorder.record(answer("Trade/search", trades=[trade(each, orderId=None) for each in (1, 2, 2, 3)]))
    assert [each.event.trade_id for each in records] == ["2", "3"]  # type: ignore[attr-defined]
    assert len({each.recorded_at for each in records}) == 2
    assert book.positions.get(ACCOUNT, "MNQZ6").quantity == D(3)


def test_a_state_without_a_time_is_recorded_each_time_it_comes(recorder: Recorder, book: Book) -> None:
    for balance in (1, 2, 1):
        recorder.record(user("Account", account(balance=balance)))
    assert [each.event.balance for each in book.read(types=(AccountUpdated,))] == [1, 2, 1]  # type: ignore[attr-defined]
    for size in (1, 2, 1):
        recorder.record(user("Position", position(size=size)))
    assert len(list(book.read(types=(PositionReported,)))) == 3
    assert book.positions.get(ACCOUNT, "MNQZ6").reported == D(1)


@pytest.mark.parametrize("word", ["PendingCancel", "Inactive"])
def test_an_order_s_state_without_a_time_counts_each_time_it_comes(book: Book, word: str) -> None:
    recorder, found = Recorder(book, InteractiveBrokers(account=ACCOUNT)), []
    for each in ("Submitted", word, "Submitted"):
        recorder.record({"orderId": 17, "clientId": 3, "permId": 99, "status": each, "filled": 0.0, "remaining": 5.0})
        found.append(getattr(book.orders.get(ACCOUNT, "3-17"), "status", None))
    assert found[0] == found[2] == OrderStatus.NEW != found[1]


def test_messages_from_many_threads_are_recorded_once(recorder: Recorder, book: Book) -> None:
    messages = [user("Trade", trade(number, orderId=9000 + number % 5)) for number in range(1, 21)]
    messages += [user("Order", order(9000 + number, size=4, fillVolume=4, status=2)) for number in range(5)]
    start, errors = threading.Barrier(4), list[BaseException]()

    def run(turn: int) -> None:
        start.wait()
        try:
            for each in itertools.islice(itertools.cycle(messages), turn * 6, turn * 6 + len(messages)):
                recorder.record(each)
        except BaseException as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert recorder.counts.messages == 100
    assert book.positions.get(ACCOUNT, "MNQZ6").quantity == D(20)
    for number in range(5):
        found = book.orders.get(ACCOUNT, str(9000 + number))
        assert found is not None
        assert (found.status, found.cumulative, found.unexplained) == (OrderStatus.FILLED, D(4), D(0))
