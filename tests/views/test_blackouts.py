"""Blackouts: from start until before stop, for one account or all, for some symbols, roots or all."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import projections
from eventstore import EventStore, InvalidEvent
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import BlackoutCanceled, BlackoutScheduled, ContractDefined
from projections import Book
from projections.view import PartitionParked
from projections.views import blackouts
from projections.views.blackouts import BlackoutsState, BlackoutsView
from tests.clocks import EpochClock
from tests.views.position_folding import Folding, round_tripped


@pytest.fixture
def book() -> Book:
    clock = EpochClock(1_000)
    return projections.open(EventStore(MemoryJournal(clock=clock), clock=clock))


def schedule(book: Book, name: str, start: int, stop: int, account: str = "-", **more: Any) -> None:  # noqa: ANN401 - any member
    book.append(f"blackout/{account}/{name}", BlackoutScheduled(start=start, stop=stop, **more), occurred_at=1)


def cancel(book: Book, name: str, at: int, account: str = "-") -> None:
    book.append(f"blackout/{account}/{name}", BlackoutCanceled(), occurred_at=at)


def active(book: Book, at: int, symbol: str | None = None, account: str = "A") -> list[str]:
    return [blackout.name for blackout in book.blackouts.active(account, at, symbol)]


def test_a_blackout_holds_from_its_start_until_before_its_stop(book: Book) -> None:
    schedule(book, "fomc%2F1", 100, 200, source="calendar", reason="rates")
    assert [active(book, at) for at in (99, 100, 199, 200)] == [[], ["fomc/1"], ["fomc/1"], []]
    assert book.blackouts.active("A", datetime.fromtimestamp(1, UTC)) == ()
    (held,) = book.blackouts.active("A", 150)
    assert (held.account, held.start, held.stop, held.symbols) == ("-", 100, 200, ())
    assert (held.source, held.reason, held.position, held.canceled_at) == ("calendar", "rates", 1, None)


def test_a_time_without_a_zone_is_refused(book: Book) -> None:
    with pytest.raises(InvalidEvent, match="time zone"):
        book.blackouts.active("A", datetime(2025, 7, 21))  # noqa: DTZ001 - that is what is refused


@pytest.mark.parametrize(("start", "stop"), [(100, 100), (200, 100)])
def test_one_that_would_never_hold_is_refused(book: Book, start: int, stop: int) -> None:
    with pytest.raises(InvalidEvent, match="it would end before it begins"):
        schedule(book, "fomc", start, stop)


@pytest.mark.parametrize("name", ["", " ", "ES ", " ES", "ES\n", "E\u200bS"])
def test_one_of_what_can_be_no_symbol_is_refused(book: Book, name: str) -> None:
    with pytest.raises(InvalidEvent, match="expected the name of a symbol or root"):
        schedule(book, "fomc", 100, 200, symbols=("NQ", name))


def test_an_account_has_its_own_and_those_of_every_account(book: Book) -> None:
    schedule(book, "all", 100, 200)
    schedule(book, "mine", 90, 200, account="A")
    schedule(book, "all", 110, 200, account="B")
    assert active(book, 150) == ["mine", "all"]
    assert [(held.account, held.name) for held in book.blackouts.active("B", 150)] == [("-", "all"), ("B", "all")]
    assert active(book, 150, account="-") == ["all"]
    assert active(book, 150, account="C") == ["all"]


def test_a_symbol_is_touched_by_name_by_what_a_broker_calls_it_and_by_root(book: Book) -> None:
    book.append("contract/-/MES-X", ContractDefined(symbol="MES-X", root="MES", broker_ids=("CON.MES",)))
    for symbol, root in (("ESZ5", "ES"), ("ESH26", "ES"), ("NQZ5", "NQ"), ("GOOG", None)):
        book.append(f"contract/-/{symbol}", ContractDefined(symbol=symbol, root=root))
    schedule(book, "every", 100, 200)
    schedule(book, "december", 101, 200, symbols=("ESZ5", "NQZ5"))
    schedule(book, "es", 102, 200, symbols=("ES",))
    schedule(book, "micro", 103, 200, symbols=("CON.MES",))
    schedule(book, "micros", 104, 200, symbols=("MES",))
    assert {symbol: active(book, 150, symbol) for symbol in ("ESZ5", "ESH26", "NQZ5", "MES-X", "CON.MES", "GOOG")} == {
        "ESZ5": ["every", "december", "es"],
        "ESH26": ["every", "es"],
        "NQZ5": ["every", "december"],
        "MES-X": ["every", "micro", "micros"],
        "CON.MES": ["every", "micro", "micros"],
        "GOOG": ["every"],
    }
    # No contract says what it is.
    assert active(book, 150, "ESU6") == ["every", "december", "es", "micro", "micros"]
    assert len(active(book, 150)) == 5


def test_the_coming_ones_are_those_that_start_later(book: Book) -> None:
    schedule(book, "late", 300, 400)
    schedule(book, "soon", 100, 200, account="A")
    assert [[each.name for each in book.blackouts.scheduled("A", at)] for at in (99, 100, 300)] == [
        ["soon", "late"],
        ["late"],
        [],
    ]
    assert [each.name for each in book.blackouts.scheduled("B", 50)] == ["late"]


def test_scheduled_again_it_is_another_one(book: Book) -> None:
    for symbol, root in (("ESZ5", "ES"), ("GOOG", None)):
        book.append(f"contract/-/{symbol}", ContractDefined(symbol=symbol, root=root))
    schedule(book, "fomc", 100, 200)
    schedule(book, "fomc", 300, 400, symbols=("ES",))
    assert (active(book, 150), active(book, 350, "ESZ5"), active(book, 350, "GOOG")) == ([], ["fomc"], [])


@pytest.mark.parametrize(("at", "held"), [(50, []), (100, []), (150, [100, 149]), (200, [100, 149, 150, 199])])
def test_canceled_it_never_starts_or_stops_then(book: Book, at: int, held: list[int]) -> None:
    schedule(book, "fomc", 100, 200)
    cancel(book, "fomc", at)
    assert [instant for instant in (99, 100, 149, 150, 199, 200) if active(book, instant)] == held
    cancel(book, "fomc", 300)
    assert [instant for instant in (99, 100, 149, 150, 199, 200) if active(book, instant)] == held
    assert book.blackouts.scheduled("A", 1) == (() if at <= 100 else book.blackouts.scheduled("A", 99))


def test_a_cancellation_ends_the_blackout_of_its_stream_alone(book: Book) -> None:
    schedule(book, "fomc", 100, 200)
    schedule(book, "fomc", 100, 200, account="A")
    cancel(book, "fomc", 50, account="A")
    cancel(book, "other", 50)
    assert active(book, 150) == ["fomc"]
    cancel(book, "fomc", 50)
    assert active(book, 150) == []


def test_those_that_are_over_make_room_and_too_many_are_an_error(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blackouts, "BLACKOUTS_MAX", 2)
    schedule(book, "past", 100, 200)
    schedule(book, "coming", 5_000, 6_000)
    book.append("blackout/-/more", BlackoutScheduled(start=7_000, stop=8_000), occurred_at=200)
    assert (active(book, 150), active(book, 5_000), active(book, 7_000)) == ([], ["coming"], ["more"])
    schedule(book, "more", 9_000, 9_500)
    assert active(book, 9_000) == ["more"]
    schedule(book, "one too many", 1, 2)
    with pytest.raises(PartitionParked, match="2 blackouts that are not over, and the record at position 5"):
        book.blackouts.active("A", 150)


@pytest.mark.parametrize(("stop", "occurred_at"), [(2_000, 3_000), (200, 150)])
def test_one_wrong_time_forgets_nothing_that_is_not_over(
    book: Book, monkeypatch: pytest.MonkeyPatch, stop: int, occurred_at: int
) -> None:
    """The record is of the instant 1,000, or a little later; it is over when both of a later one's times say so."""
    monkeypatch.setattr(blackouts, "BLACKOUTS_MAX", 1)
    schedule(book, "held", 100, stop)
    book.append("blackout/-/more", BlackoutScheduled(start=1, stop=2), occurred_at=occurred_at)
    with pytest.raises(PartitionParked):
        book.blackouts.active("A", 150)


def _lasting(start: int, length: int, symbols: tuple[str, ...]) -> BlackoutScheduled:
    return BlackoutScheduled(start=start, stop=start + length, symbols=symbols)


times = st.integers(1, 40)
events = st.one_of(
    st.builds(_lasting, start=times, length=times, symbols=st.sampled_from([(), ("ES",)])),
    st.just(BlackoutCanceled()),
)


@given(st.lists(st.tuples(st.sampled_from("ab"), events, times), max_size=20), st.integers(0, 20))
def test_the_fold_continues_from_a_snapshot_at_any_cut(given_events: list[tuple[str, Any, int]], cut: int) -> None:
    view, log = BlackoutsView(), Folding()
    whole, resumed = view.initial(), view.initial()
    for number, (name, event, at) in enumerate(given_events):
        record = log.record(f"blackout/A/{name}", event, occurred_at=at)
        resumed = round_tripped(resumed, BlackoutsState) if number == cut else resumed
        for state in (whole, resumed):
            view.apply(state, record.event, record)
    assert resumed == whole
