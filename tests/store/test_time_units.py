"""An int in another unit than nanoseconds is refused wherever a time is given, and the message names its unit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

import eventstore
from eventstore import Batch, EventStore, InvalidEvent, ManualClock, trading
from eventstore.clock import GIVEN_MIN, TIME_MAX, derived_from, derived_times, question_ns, to_ns
from eventstore.events import encode
from tests.store.facts import AT, CONTRACT, ORDER, SECOND, contract, rejected

SECONDS = 1_763_600_000
AS_TEXT = "2025-11-20T00:53:20.000000000Z"
UNITS = {"seconds": SECONDS, "milliseconds": SECONDS * 1_000, "microseconds": SECONDS * 1_000_000}
DAY = 86_400 * SECOND


@pytest.mark.parametrize("unit", UNITS)
def test_the_unit_is_named_with_the_time_it_is_and_the_int_to_give(unit: str) -> None:
    given = UNITS[unit]
    with pytest.raises(InvalidEvent) as caught:
        to_ns(given)
    assert str(caught.value) == (
        f"{given} as UNIX nanoseconds is before 1990, and it looks like {unit}, in which it is {AS_TEXT}: give "
        f"{SECONDS * SECOND}, an aware datetime or ISO 8601 text with a zone, which may be before 1990"
    )
    assert to_ns(SECONDS * SECOND) == to_ns(AS_TEXT)


@pytest.mark.parametrize(("name", "factor"), list(zip(UNITS, (SECOND, 1_000_000, 1_000), strict=True)))
def test_the_first_and_the_last_time_of_each_unit(name: str, factor: int) -> None:
    first, last = GIVEN_MIN // factor, TIME_MAX // factor
    for number in (first, last):
        with pytest.raises(InvalidEvent, match=f"it looks like {name}, "):
            to_ns(number)
    for number in (first - 1, last + 1):
        with pytest.raises(InvalidEvent, match="it looks like no unit that I know: give an int of UNIX nanoseconds"):
            to_ns(number)


@pytest.mark.parametrize("number", [0, 1, -1, 5_000, 10**10, -UNITS["seconds"], -(10**40), GIVEN_MIN - 1])
def test_a_number_that_is_a_time_in_no_unit(number: int) -> None:
    with pytest.raises(InvalidEvent, match="is before 1990, and it looks like no unit that I know"):
        to_ns(number)


def test_the_first_nanosecond_of_1990_is_a_time() -> None:
    assert to_ns(GIVEN_MIN) == GIVEN_MIN == to_ns("1990-01-01T00:00:00Z")
    with pytest.raises(InvalidEvent):
        to_ns(GIVEN_MIN - 1)
    assert to_ns(TIME_MAX) == TIME_MAX
    with pytest.raises(InvalidEvent, match="outside 1970 to 2199"):
        to_ns(TIME_MAX + 1)


@pytest.mark.parametrize("given", [True, False, float(SECONDS), SECONDS + 0.5, Decimal(SECONDS), None])
def test_what_is_not_an_int_is_refused_as_such(given: object) -> None:
    with pytest.raises(InvalidEvent, match="a time is an aware datetime, ISO 8601 text with a zone or an int of UNIX"):
        to_ns(given)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["1970-01-01T00:00:00Z", "1985-07-01T12:00:00.000000001Z", "1989-12-31T23:59:59Z"])
def test_a_datetime_or_text_before_1990_means_it(store: EventStore, text: str) -> None:
    moment = datetime.fromisoformat(text[:19] + "Z")
    [one] = store.append(ORDER, rejected(), occurred_at=text)
    [other] = store.append(ORDER, rejected(), occurred_at=moment)
    assert one.occurred_at == to_ns(text)
    assert other.occurred_at == to_ns(moment) == int(moment.timestamp()) * SECOND
    assert list(store.read(start=text)) == [one, other]
    assert list(store.read(stop=moment)) == []


METHODS: dict[str, Callable[[EventStore, int], object]] = {
    "append": lambda store, at: store.append(ORDER, rejected(), occurred_at=at),
    "append_many": lambda store, at: store.append_many(
        [Batch(CONTRACT, contract()), Batch(ORDER, rejected(), occurred_at=at)]
    ),
    "enqueue": lambda store, at: store.enqueue(CONTRACT, contract(), occurred_at=at),
    "read from": lambda store, at: list(store.read(start=at)),
    "read until": lambda store, at: list(store.read(stop=at)),
    "position_at": lambda store, at: store.position_at(at),
    "a clock": lambda _, at: ManualClock(at),
    "a clock set": lambda _, at: ManualClock(AT).set(at),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("number", [*UNITS.values(), 0, -1])
def test_every_method_that_takes_a_time_refuses_it(store: EventStore, method: str, number: int) -> None:
    store.append(ORDER, rejected())
    with pytest.raises(InvalidEvent, match="before 1990"):
        METHODS[method](store, number)
    assert store.head() == 1


MS = UNITS["milliseconds"]
MEMBERS = {
    "LockoutSet.until": trading.LockoutSet(rule_id="r", until=MS),
    "LockoutExtended.until": trading.LockoutExtended(rule_id="r", until=MS),
    "LimitsSet.effective_from": trading.LimitsSet(rule_id="r", effective_from=MS),
    "OrderSubmitted.expires_at": trading.OrderSubmitted(
        symbol="ES", side=trading.Side.BUY, quantity=Decimal(1), expires_at=MS
    ),
    "SessionOpened.began_at": trading.SessionOpened(trading_day=date(2026, 1, 5), began_at=MS),
    "SessionOpened.opens_at": trading.SessionOpened(trading_day=date(2026, 1, 5), began_at=AT, opens_at=MS),
    "SessionOpened.flat_by": trading.SessionOpened(trading_day=date(2026, 1, 5), flat_by=MS),
    "SessionOpened.resets_at": trading.SessionOpened(trading_day=date(2026, 1, 5), resets_at=MS),
    "SessionReset.scheduled_for": trading.SessionReset(trading_day=date(2026, 1, 5), scheduled_for=MS),
    "BlackoutScheduled.start": trading.BlackoutScheduled(start=MS, stop=AT),
    "BlackoutScheduled.stop": trading.BlackoutScheduled(start=AT, stop=MS),
}


@pytest.mark.parametrize("member", MEMBERS)
def test_a_member_that_is_a_time_is_named(member: str) -> None:
    with pytest.raises(InvalidEvent, match=rf"^{member}: {MS} as UNIX nanoseconds is before 1990.* milliseconds"):
        encode(MEMBERS[member])


class Placed(msgspec.Struct, frozen=True):
    """A part of an event, with a time."""

    at: eventstore.Instant


@eventstore.event(name="tested.Nested")
class Nested(eventstore.Event, frozen=True, kw_only=True):
    """An event with a part."""

    parts: tuple[Placed, ...]


def test_a_time_in_a_part_of_an_event_too(store: EventStore) -> None:
    store.append("nested/A/1", Nested(parts=(Placed(AT),)))
    with pytest.raises(InvalidEvent, match=r"Placed\.at: 1763600000 as UNIX nanoseconds"):
        store.append("nested/A/1", Nested(parts=(Placed(AT), Placed(SECONDS))))


def test_a_member_given_as_datetime_or_text_before_1990_means_it(store: EventStore) -> None:
    text = "1985-07-01T12:00:00.000000001Z"
    [one] = store.append("lockout/A/r", trading.LockoutSet(rule_id="r", until=text))  # type: ignore[arg-type]
    moment = datetime(1985, 7, 1, 12, tzinfo=UTC)
    [other] = store.append("lockout/A/r", trading.LockoutSet(rule_id="r", until=moment))  # type: ignore[arg-type]
    ends = [record.event.until for record in (one, other) if isinstance(record.event, trading.LockoutSet)]
    assert ends == [to_ns(text), to_ns(text) - 1]


def test_a_clock_and_a_quote_state_what_they_showed(store: EventStore) -> None:
    store.append("lockout/A/clock", trading.ClockJumped(before=5 * SECOND, after=AT))
    mark = trading.EquityMarked(
        balance=Decimal(1),
        equity=Decimal(1),
        high_water=Decimal(1),
        quotes={"ES": trading.QuoteUsed(Decimal(5_000), 0)},
    )
    store.append("equity/A/-", mark)
    assert store.head() == 2
    with pytest.raises(InvalidEvent, match=r"ClockJumped\.before: -1 ns lies outside 1970 to 2199"):
        store.append("lockout/A/clock", trading.ClockJumped(before=-1, after=AT))


def test_a_log_that_a_wrong_clock_began(tmp_path: Path) -> None:
    class Clock(ManualClock):
        """A machine's clock, which has no battery and is set by the network later."""

        def boot(self) -> None:
            self._now = 40 * SECOND

    clock = Clock(AT)
    clock.boot()
    with eventstore.open(tmp_path, clock=clock) as store:
        lockout = trading.LockoutSet(rule_id="r", until=clock.now_ns() + DAY)
        [first] = store.append("lockout/A/r", lockout, occurred_at=clock.now_ns() - SECOND)
        assert (first.recorded_at, first.occurred_at) == (40 * SECOND, 39 * SECOND)
        clock.set(AT)
        [second] = store.append("lockout/A/r", trading.LockoutCleared(rule_id="r"))
        with pytest.raises(InvalidEvent):
            store.append("lockout/A/r", lockout)
        # What is stored stays readable, and its times can be asked for as text.
        assert list(store.read()) == [first, second]
        assert first.event == lockout
        assert list(store.read(stop="1990-01-01T00:00:00Z")) == [first]
        assert store.verify().ok


def test_times_that_come_from_a_clock_or_a_record() -> None:
    with derived_times():
        assert to_ns(0) == 0
        with pytest.raises(InvalidEvent, match="-1 ns lies outside 1970 to 2199"):
            to_ns(-1)
    with pytest.raises(InvalidEvent):
        to_ns(0)
    with derived_from(GIVEN_MIN), derived_from(AT):
        assert to_ns(GIVEN_MIN - DAY) == GIVEN_MIN - DAY
    with derived_from(AT), pytest.raises(InvalidEvent):
        to_ns(GIVEN_MIN - DAY)


def test_a_question_at_a_wrong_clocks_time() -> None:
    assert question_ns(5, lambda: 6) == 5
    assert question_ns(-5, lambda: -6) == 0
    assert question_ns(TIME_MAX + 1, lambda: AT) == TIME_MAX
    for number in (5, -5):
        with pytest.raises(InvalidEvent):
            question_ns(number, lambda: AT)
        with pytest.raises(InvalidEvent):
            question_ns(number)
