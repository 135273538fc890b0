"""Values at and beyond every limit are stored unchanged or refused by name: no other exception reaches a caller."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from typing_extensions import override

import eventstore
from eventstore import Duration, Event, EventStore, Instant, InvalidEvent
from eventstore.clock import GIVEN_MIN, TIME_MAX, parse_time, to_ns
from eventstore.errors import shown
from eventstore.events.validation import DEPTH_MAX

pytestmark = pytest.mark.in_each_place

STREAM = "extreme/A/1"
HUGE = 10**5_000  # more digits than Python writes


@eventstore.event(name="tested.Extreme")
class Extreme(Event, frozen=True, kw_only=True):
    """A member of each kind."""

    anything: Any = None
    text: str = ""
    texts: tuple[str, ...] = ()
    named: dict[str, Any] = {}  # noqa: RUF012 - msgspec copies it
    number: Decimal = Decimal(0)
    numbers: tuple[Decimal, ...] = ()
    perhaps: Decimal | None = None
    count: int = 0
    counts: tuple[int, ...] = ()
    at: Instant = GIVEN_MIN
    lasts: Duration = 0
    day: date | None = None


class BadZone(tzinfo):
    """A zone whose own code fails."""

    @override
    def utcoffset(self, _: datetime | None) -> timedelta:
        msg = "no offset"
        raise OverflowError(msg)

    @override
    def dst(self, _: datetime | None) -> timedelta | None:
        return None

    @override
    def tzname(self, _: datetime | None) -> str | None:
        return None


class BadText:
    """A value that cannot be shown."""

    @override
    def __repr__(self) -> str:
        msg = "no text"
        raise RuntimeError(msg)


def nested(depth: int, kind: type = list) -> object:
    value: Any = kind()
    for _ in range(depth):
        value = [value] if kind is list else {"a": value}
    return value


def endless() -> object:
    value: list[Any] = []
    value += [value, value]
    return value


def endless_map() -> object:
    value: dict[str, Any] = {}
    value["a"] = value
    return value


def repr_of(given: dict[str, Any]) -> str:
    return next(iter(given)) + " " + shown(next(iter(given.values()))).encode("ascii", "backslashreplace").decode()


REFUSED: list[dict[str, Any]] = [
    {"anything": nested(DEPTH_MAX)}, {"anything": nested(900)}, {"anything": nested(5_000)},
    {"anything": nested(100_000)}, {"named": nested(3_000, dict)}, {"anything": endless()}, {"named": endless_map()},
    {"anything": [0] * 70_000},
    {"count": 2**64}, {"count": -(2**63) - 1}, {"count": HUGE}, {"counts": (2**70,)}, {"anything": HUGE},
    {"anything": {"a": 2**64}}, {"anything": {2**80: 1}}, {"anything": {HUGE: 1}},
    {"number": HUGE}, {"numbers": (HUGE,)}, {"number": Decimal("1E+999999")}, {"numbers": (Decimal("1E+999999"),)},
    {"anything": Decimal("-1E+999999")}, {"anything": [Decimal("1E+100")]},
    {"number": Decimal("NaN")}, {"number": Decimal("sNaN")}, {"perhaps": Decimal("-Infinity")},
    {"anything": Decimal("sNaN")}, {"numbers": (Decimal("sNaN123"),)}, {"anything": float("inf")},
    {"text": "\ud800"}, {"texts": ("\udfff",)}, {"named": {"\ud800": 1}}, {"anything": ["\ud800"]},
    {"text": "a\0b"}, {"text": "\0"}, {"texts": ("", "\\\0")}, {"named": {"\0": 1}}, {"anything": [{"a": "\0"}]},
    {"text": "\\\\\0"}, {"text": "\\u0000\0"},
    {"at": HUGE}, {"at": -1}, {"at": TIME_MAX + 1}, {"lasts": HUGE}, {"lasts": timedelta.max}, {"lasts": timedelta.min},
    {"at": datetime.max.replace(tzinfo=timezone(-timedelta(hours=23, minutes=59)))},
    {"at": datetime.min.replace(tzinfo=timezone(timedelta(hours=23, minutes=59)))},
    {"at": datetime.max.replace(tzinfo=ZoneInfo("America/Chicago"))},
    {"at": datetime.min.replace(tzinfo=ZoneInfo("Pacific/Kiritimati"))},
    {"at": datetime(2025, 1, 1, tzinfo=BadZone())},
    {"anything": object()}, {"anything": BadText()}, {"anything": 1j}, {"text": BadText()}, {"text": 5},
]  # fmt: skip

STORED: list[dict[str, Any]] = [
    {"anything": nested(DEPTH_MAX - 2)}, {"named": nested(DEPTH_MAX - 2, dict)},
    {"count": 2**64 - 1}, {"count": -(2**63)}, {"number": Decimal("9.99E+99")}, {"number": Decimal("0." + "1" * 5_000)},
    {"text": "\\u0000"}, {"text": "\\\\u0000 \\"}, {"texts": ("\\u0000", "\\")}, {"text": "\x01\x7f\u2028"},
    {"at": TIME_MAX}, {"at": datetime(2199, 12, 31, 23, 59, 59, 999_999, UTC)}, {"day": date.max},
]  # fmt: skip


@pytest.mark.parametrize("members", REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_kept_is_refused_by_name(store: EventStore, members: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent) as refused:
        store.append(STREAM, Extreme(**members))
    assert len(str(refused.value)) < 500
    assert store.head() == 0


@pytest.mark.parametrize("members", STORED, ids=range(len(STORED)))
def test_what_is_stored_is_read_back(store: EventStore, members: dict[str, Any]) -> None:
    [record] = store.append(STREAM, Extreme(**members))
    found = record.event
    assert isinstance(found, Extreme)
    name, value = next(iter(members.items()))
    assert getattr(found, name) == (to_ns(value) if name == "at" else value)


def test_what_is_stored_can_be_read_where_the_stack_is_deep(store: EventStore) -> None:
    [record] = store.append(STREAM, Extreme(anything=nested(DEPTH_MAX - 2)))

    def deep(levels: int) -> Event:
        return record.event if not levels else deep(levels - 1)

    limit = sys.getrecursionlimit()
    frame, used = sys._getframe(), 0
    while frame.f_back is not None:
        frame, used = frame.f_back, used + 1
    assert deep(limit - used - 200).anything == nested(DEPTH_MAX - 2)  # type: ignore[attr-defined]
    with pytest.raises(InvalidEvent, match="nested too deeply"):
        deep(limit - used - 40)


@pytest.mark.parametrize(
    "given",
    [
        {"note": "a\0"}, {"note": "\ud800"}, {"actor": "a\0b"}, {"key": "k\0"}, {"key": "\ud800"}, {"key": HUGE},
        {"occurred_at": HUGE}, {"occurred_at": 10**19}, {"occurred_at": -1}, {"correlation_id": HUGE},
        {"occurred_at": datetime.max.replace(tzinfo=UTC)}, {"expected": -HUGE}, {"note": BadText()},
    ],
    ids=repr_of,
)  # fmt: skip
def test_arguments_that_cannot_be_kept_are_refused(store: EventStore, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        store.append(STREAM, Extreme(), **given)
    assert store.head() == 0


@pytest.mark.parametrize("stream", ["t/A/1\0", "t/\0/1", "\0/A/1", "t/A/\ud800", "t/A/" + "x" * 10**6], ids=range(5))
def test_a_malformed_stream_is_refused(store: EventStore, stream: str) -> None:
    for ask in (lambda: store.append(stream, Extreme()), lambda: store.version(stream)):
        with pytest.raises(InvalidEvent):
            ask()


@pytest.mark.parametrize(
    "given",
    [{"limit": -HUGE}, {"after": -1}, {"types": ("\ud800",)}, {"types": ("\0",)}, {"types": 5}, {"types": HUGE},
     {"account": "\ud800"}, {"stream": "a\0/"}, {"start": HUGE}, {"stop": -HUGE}],
    ids=repr_of,
)  # fmt: skip
def test_a_malformed_query_is_refused(store: EventStore, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        list(store.read(**given))


def test_numbers_beyond_every_log_are_beyond_every_log(store: EventStore) -> None:
    store.append(STREAM, Extreme())
    assert list(store.read(after=HUGE)) == []
    assert len(list(store.read(limit=HUGE, until=HUGE))) == 1
    assert not store.wait(HUGE, 0)


@pytest.mark.parametrize(
    "text", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "\0", "", "9" * 10**5], ids=range(5)
)
def test_texts_that_are_not_a_time(text: str) -> None:
    with pytest.raises(InvalidEvent):
        parse_time(text)


def test_whatever_it_is_can_be_shown() -> None:
    assert shown("a" * 100) == "'" + "a" * 79
    assert shown(HUGE) == "<int>"
    assert shown(BadText()) == "<BadText>"
    assert shown(nested(100_000)) == "<list>"
