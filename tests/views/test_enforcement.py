"""Enforcement: requests stay pending until they are answered, through restarts, and none is lost."""

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import eventstore
import projections
from eventstore import EventStore, ManualClock
from eventstore.clock import to_ns
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import EnforcementAction, EnforcementRequested, EnforcementTaken
from projections import Book
from projections.fold_reader import FoldReader
from projections.view import PartitionParked
from projections.views.enforcement import EnforcementAnomalyKind, EnforcementState, EnforcementView, transitions, view
from projections.views.enforcement import state as bounds
from tests.views.position_folding import Folding, round_tripped

NOON = datetime(2025, 7, 21, 12, tzinfo=UTC)
BEGAN = to_ns(NOON)
UNKNOWN, TWICE = EnforcementAnomalyKind.UNKNOWN_REQUEST, EnforcementAnomalyKind.TAKEN_TWICE
SAME_ID = EnforcementAnomalyKind.SAME_ID


@pytest.fixture
def book() -> Iterator[Book]:
    clock = ManualClock(NOON)
    store = EventStore(MemoryJournal(clock=clock), clock=clock)
    with store, projections.open(store) as opened:
        yield opened


def asked(rule_id: str = "daily-loss", **more: Any) -> EnforcementRequested:  # noqa: ANN401 - any member
    return EnforcementRequested(rule_id=rule_id, action=EnforcementAction.FLATTEN, **more)


def ask(book: Book, entity: str, event: EnforcementRequested | None = None, account: str = "A", **more: Any) -> str:  # noqa: ANN401 - any circumstance
    """Append a request and return the text of its record's id."""
    (record,) = book.append(f"enforcement/{account}/{entity}", event or asked(), **more)
    return str(record.uuid)


def answer(book: Book, request_id: str, *, success: bool = True, **more: Any) -> None:  # noqa: ANN401 - any circumstance
    book.append("enforcement/A/answers", EnforcementTaken(request_id=request_id, success=success), **more)


def pending(book: Book) -> list[str]:
    return [request.request_id for request in book.enforcement.pending("A")]


def anomalies_of(book: Book) -> list[tuple[EnforcementAnomalyKind, str, int]]:
    return [(each.kind, each.request_id, each.position) for each in book.enforcement.anomalies("A")]


def test_a_request_is_pending_until_it_is_answered(book: Book) -> None:
    details = {"figure": "-1020.50"}
    ask(book, "R1", asked(reason="loss of 1,000 reached", details=details, symbol="ESZ5", quantity=Decimal(2)))
    (request,) = book.enforcement.pending("A")
    assert (request.request_id, request.account, request.rule_id, request.position) == ("R1", "A", "daily-loss", 1)
    assert (request.action, request.reason) == (EnforcementAction.FLATTEN, "loss of 1,000 reached")
    assert (request.details, request.symbol, request.quantity) == (details, "ESZ5", Decimal(2))
    assert (request.taken, request.success, request.taken_at) == (False, None, None)
    book.append(
        "enforcement/A/R1",
        EnforcementTaken(request_id="R1", success=True, details="flat"),
        occurred_at=NOON,
        actor="trader@host",
    )
    assert book.enforcement.pending("A") == ()
    (done,) = book.enforcement.of("A")
    assert (done.taken, done.success, done.taken_details, done.taken_by) == (True, True, "flat", "trader@host")
    assert (done.taken_at, done.taken_position) == (BEGAN, 2)
    assert book.enforcement.get("A", "R1") == done


def test_an_answer_without_success_is_an_answer(book: Book) -> None:
    ask(book, "R1")
    answer(book, "R1", success=False)
    assert pending(book) == []
    assert [each.success for each in book.enforcement.of("A")] == [False]


def test_pending_of_all_accounts_is_in_the_order_it_was_asked(book: Book) -> None:
    ask(book, "R1", account="B", occurred_at=BEGAN + 20)
    ask(book, "R2", account="A", occurred_at=BEGAN + 10)
    ask(book, "R3", account="-", occurred_at=BEGAN + 30)
    assert [each.request_id for each in book.enforcement.pending()] == ["R2", "R1", "R3"]
    assert [each.request_id for each in book.enforcement.pending("B")] == ["R1"]
    assert book.enforcement.pending("C") == book.enforcement.of("C") == ()
    assert (book.enforcement.get("C", "R1"), book.enforcement.counts("C")) == (None, {})


def test_the_id_is_the_event_s_or_the_stream_s_with_its_slashes(book: Book) -> None:
    ask(book, "a%2Fb")
    ask(book, "loss", asked(request_id="mine"))
    assert pending(book) == ["a/b", "mine"]


def test_a_request_behind_another_one_s_id_is_known_by_its_record(book: Book) -> None:
    first, second = ask(book, "R1"), ask(book, "R1")
    third = ask(book, "R2", asked(request_id="R1"))
    assert pending(book) == ["R1", second, third]
    answer(book, "R1")
    fourth = ask(book, "R1")
    assert pending(book) == [second, third, fourth]
    answer(book, "R1")
    assert pending(book) == [second, third, fourth]
    for each in (second, third, fourth):
        answer(book, each)
    assert pending(book) == []
    assert [str(each.uuid) for each in book.enforcement.of("A")] == [first, second, third, fourth]
    assert anomalies_of(book) == [(SAME_ID, "R1", 2), (SAME_ID, "R1", 3), (SAME_ID, "R1", 5), (TWICE, "R1", 6)]


def test_an_id_that_is_a_record_s_hides_nothing(book: Book) -> None:
    with EventStore(MemoryJournal()) as other:
        foreseen = str(other.append("enforcement/A/R1", asked(), key="breach")[0].uuid)
    ask(book, "R1")
    ask(book, "R2", asked(request_id=foreseen))
    assert ask(book, "R1", key="breach") == foreseen
    assert pending(book) == ["R1", foreseen, f"{foreseen}@3"]
    answer(book, foreseen)
    assert pending(book) == ["R1", f"{foreseen}@3"]


def test_an_answer_may_name_the_record_of_the_request(book: Book) -> None:
    text = ask(book, "R1")
    assert book.enforcement.get("A", text) == book.enforcement.get("A", "R1")
    answer(book, uuid.UUID(text).hex)
    assert pending(book) == []
    answer(book, text)
    assert anomalies_of(book) == [(TWICE, text, 3)]


def test_answers_to_nothing_and_second_answers_change_nothing(book: Book) -> None:
    ask(book, "R1")
    answer(book, "R2")
    answer(book, "R1", success=False)
    answer(book, "R1", success=True)
    assert anomalies_of(book) == [(UNKNOWN, "R2", 2), (TWICE, "R1", 4)]
    assert [each.success for each in book.enforcement.of("A")] == [False]


def test_another_account_s_answer_is_none(book: Book) -> None:
    ask(book, "R1")
    book.append("enforcement/B/R1", EnforcementTaken(request_id="R1", success=True))
    assert pending(book) == ["R1"]


def test_requests_are_found_by_rule_and_time_with_the_start_and_without_the_stop(book: Book) -> None:
    for at, rule_id in ((10, "loss"), (20, "news"), (30, "loss"), (40, "loss")):
        ask(book, f"R{at}", asked(rule_id), occurred_at=BEGAN + at)
    answer(book, "R30")

    def found(*asked_for: Any) -> list[int]:  # noqa: ANN401 - a rule, then times
        return [each.requested_at - BEGAN for each in book.enforcement.of("A", *asked_for)]

    assert found() == [10, 20, 30, 40]
    assert found("loss") == [10, 30, 40]
    assert found("loss", BEGAN + 30) == [30, 40]
    assert found(None, BEGAN + 20, BEGAN + 40) == [20, 30]
    assert found(None, None, datetime.fromtimestamp(0, UTC)) == []


def test_requests_are_counted_by_rule_and_trading_day(book: Book) -> None:
    ask(book, "R1", asked("loss", trading_day=date(2025, 7, 22)), occurred_at=NOON)
    ask(book, "R2", asked("loss"), occurred_at=NOON)
    ask(book, "R3", asked("loss"), occurred_at=NOON.replace(hour=23, minute=59))
    ask(book, "R4", asked("news"), occurred_at=NOON)
    answer(book, "R3")
    counts = {("loss", date(2025, 7, 22)): 1, ("loss", date(2025, 7, 21)): 2, ("news", date(2025, 7, 21)): 1}
    assert book.enforcement.counts("A") == counts


def test_the_counts_of_the_oldest_days_are_forgotten(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transitions, "COUNTS_MAX", 10)
    for day in range(12, 0, -1):
        ask(book, f"R{day}", asked(trading_day=date(2025, 1, day)))
    days = sorted(day for _, day in book.enforcement.counts("A"))
    assert days == [date(2025, 1, day) for day in range(3, 13)]


def test_what_the_state_forgets_is_read_from_the_log(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "ANSWERED_MAX", 2)
    monkeypatch.setattr(bounds, "ANOMALIES_MAX", 2)
    ask(book, "stays", occurred_at=BEGAN + 1)
    for number in range(10, 15):
        ask(book, f"R{number}", occurred_at=BEGAN + number)
        answer(book, f"R{number}")
    for _ in range(3):
        answer(book, "R14")
    state: EnforcementState = book.state("enforcement", "A")
    assert list(state.answered) == ["R13", "R14"]
    assert (len(state.anomalies), state.anomaly_count) == (2, 3)
    requested = [BEGAN + number for number in (1, 10, 11, 12, 13, 14)]
    assert [each.requested_at for each in book.enforcement.of("A")] == requested
    assert [each.requested_at for each in book.enforcement.of("A", start=BEGAN + 12)] == requested[-3:]
    forgotten = book.enforcement.get("A", "R10")
    assert forgotten is not None
    assert (forgotten.taken, forgotten.requested_at) == (True, BEGAN + 10)
    assert book.enforcement.get("A", "R9") is None


def test_what_the_state_holds_is_answered_without_the_log(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "ANSWERED_MAX", 1)
    for number in (10, 11):
        ask(book, f"R{number}", occurred_at=BEGAN + number)
        answer(book, f"R{number}")
    monkeypatch.delattr(FoldReader, "read")
    assert [each.requested_at for each in book.enforcement.of("A", start=BEGAN + 11)] == [BEGAN + 11]
    assert len(book.enforcement.of("B")) == 0


def test_too_many_pending_requests_are_an_error_that_loses_none(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transitions, "PENDING_MAX", 2)
    for name in ("R1", "R2", "R3"):
        ask(book, name)
    with pytest.raises(PartitionParked, match="2 unanswered enforcement requests, and the record at position 3"):
        book.enforcement.pending("A")
    monkeypatch.setattr(transitions, "PENDING_MAX", 3)
    assert book.retry("enforcement", "A")
    assert pending(book) == ["R1", "R2", "R3"]


def test_pending_requests_survive_a_restart(tmp_path: Path) -> None:
    clock = ManualClock(NOON)
    with eventstore.open(tmp_path / "data", clock=clock) as store, projections.open(store) as book:
        ask(book, "R1")
        ask(book, "R2", account="B")
        assert book.snapshot()
        ask(book, "R3")
        answer(book, "R1")
        before = book.enforcement.pending()
    with eventstore.open(tmp_path / "data", clock=clock) as store:
        again = projections.open(store)
        assert again.recovery.cut == 2
        assert again.enforcement.pending() == again.recovery.pending == before
        assert [each.request_id for each in before] == ["R2", "R3"]
        answer(again, "R3")
        assert pending(again) == []
        assert again.recovery.pending == before


def test_a_parked_account_does_not_keep_a_book_from_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transitions, "PENDING_MAX", 1)
    with eventstore.open(tmp_path / "data") as store:
        store.append("enforcement/A/R1", [asked(), asked()])
        store.append("enforcement/B/R1", asked())
        assert [each.account for each in projections.open(store).recovery.pending] == ["B"]


ids = st.sampled_from(["R1", "R2", "R3"])
steps = st.one_of(
    st.tuples(st.just("ask"), ids, st.one_of(st.none(), ids)),
    st.tuples(st.just("answer"), ids, st.integers(0, 30)),
)


@given(st.lists(steps, max_size=30), st.integers(0, 30))
def test_every_request_is_pending_or_answered_once_and_a_cut_changes_nothing(steps: list[Any], cut: int) -> None:
    view, log = EnforcementView(), Folding()
    whole, resumed = view.initial(), view.initial()
    requests: list[bytes] = []
    for number, (verb, name, more) in enumerate(steps):
        event = asked(request_id=more) if verb == "ask" else EnforcementTaken(request_id=name, success=True)
        record = log.record(f"enforcement/A/{name}", event)
        requests += [record.id] if verb == "ask" else []
        resumed = round_tripped(resumed, EnforcementState) if number == cut else resumed
        for state in (whole, resumed):
            view.apply(state, record.event, record)
        known = [*whole.pending.values(), *whole.answered.values()]
        assert sorted(each.id for each in known) == requests
        assert len({each.request_id for each in known}) == len(known)
        assert all(each.taken or each.superseded for each in whole.answered.values())
    assert resumed == whole
