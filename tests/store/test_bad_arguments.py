"""Invalid arguments to a store are refused by name at the call, and nothing is written."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from typing_extensions import override

import eventstore
from eventstore import Batch, Event, EventStore, EventTooLarge, InvalidEvent, ManualClock, Overloaded
from eventstore.clock import NANOSECONDS, TIMEOUT_SECONDS_MAX, parse_time, timeout_of, to_ns
from eventstore.commits import Committer, Pending
from eventstore.journals.memory import MemoryJournal
from tests.store.facts import CONTRACT, ORDER, contract, rejected

HUGE = 10**5000
NAN = float("nan")


def nested() -> list[Any]:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


class NoZone(tzinfo):
    """A zone whose offset is whatever it was given, or an error that it raises."""

    def __init__(self, offset: object) -> None:
        self.offset = offset

    @override
    def utcoffset(self, dt: datetime | None, /) -> Any:
        if isinstance(self.offset, Exception):
            raise self.offset
        return self.offset

    @override
    def dst(self, dt: datetime | None, /) -> None:
        return None

    @override
    def tzname(self, dt: datetime | None, /) -> None:
        return None


Call = Callable[[EventStore], object]


def appending(**given: Any) -> Call:  # noqa: ANN401 - anything wrong
    return lambda store: store.append(ORDER, rejected(), **given)


def together(batches: Any) -> Call:  # noqa: ANN401 - anything wrong
    return lambda store: store.append_many(batches)


def zoned(offset: object) -> Call:
    return appending(occurred_at=datetime(2025, 1, 1, tzinfo=NoZone(offset)))


NOTHING: dict[str, Any] = {
    "0": 0,
    "bytes": b"",
    "a list": [],
    "a dictionary": {},
    "False": False,
    "None": None,
    "a huge number": HUGE,
}
NO_DURABILITY: dict[str, Any] = {"text": "x", "a NaN": NAN, "a Decimal NaN": Decimal("NaN"), "1.5": 1.5, "a number": 99}
NO_BATCHES: dict[str, Any] = {
    "None": None,
    "a number": 5,
    "a list of None": [None],
    "text": "x",
    "a list of a number": [5],
    "empty text": "",
    "bytes": b"",
    "a dictionary": {},
    "one batch": Batch(ORDER, rejected()),
    "a batch and None": [Batch(ORDER, rejected()), None],
    "a huge number": HUGE,
    "a nested list": nested(),
}
REFUSED: dict[str, tuple[Call, str]] = {
    **{
        f"durability {name}": (appending(durability=given), "durability is one of VOLATILE, QUEUED, SYNCED")
        for name, given in {**NOTHING, **NO_DURABILITY}.items()
        # The number of a level is that level.
        if name != "0"
    },
    "append_many's durability": (lambda store: store.append_many([], durability=None), "durability is one of"),  # type: ignore[arg-type]
    **{f"batches of {name}": (together(given), "expected a sequence of Batch") for name, given in NO_BATCHES.items()},
    **{f"a note of {name}": (appending(note=given), "note is Unicode text") for name, given in NOTHING.items()},
    "events of a dictionary": (lambda store: store.append(ORDER, {}), "expected an event or a sequence of events"),  # type: ignore[arg-type]
    "a zone that raises": (zoned(RuntimeError("no table")), r"cannot be expressed in UTC \(no table\)"),
    "a zone that is not finished": (zoned(NotImplementedError()), "cannot be expressed in UTC"),
    "a zone whose offset is a number": (zoned(5), "cannot be expressed in UTC"),
    "a zone whose offset is text": (zoned("+01:00"), "cannot be expressed in UTC"),
    "a zone of days": (zoned(timedelta(days=2)), "cannot be expressed in UTC"),
    "a zone without offset": (zoned(None), "has no time zone"),
    "a backup to a lone surrogate": (lambda store: store.backup("\ud800"), "is not UTF-8"),
    "a backup to bytes that are not text": (lambda store: store.backup("\udcff"), "is not UTF-8"),
    "a backup to a number": (lambda store: store.backup(HUGE), "is a path, not <int>"),  # type: ignore[arg-type]
    "a root of a huge size": (lambda store: store.root(HUGE), "the log has 0 records"),
    "a type that is a list": (lambda store: store.read(types=[[]]), "types are event classes or their names"),  # type: ignore[list-item]
    "a type that is a dictionary": (lambda store: store.read(types=[{}]), "types are event classes or"),  # type: ignore[list-item]
    "types of bytes": (lambda store: store.read(types=b"x"), "types are event classes or their names"),  # type: ignore[arg-type]
    "a type that is any class": (lambda store: store.read(types=[int]), "is not registered"),  # type: ignore[list-item]
    "a cancel that is a number": (lambda store: store.follow(cancel=5), "cancel is a threading.Event"),  # type: ignore[arg-type]
    "a wait for text": (lambda store: store.wait("x", 1), "position is an int"),  # type: ignore[arg-type]
    "a wait below 0": (lambda store: store.wait(-1, 1), "position is an int"),
    "a wait of None": (lambda store: store.wait(1, None), "a timeout is a number of seconds"),  # type: ignore[arg-type]
    "a wait of NaN": (lambda store: store.wait(1, NAN), "a timeout is a number of seconds"),
    "a wait of text": (lambda store: store.wait(1, "1"), "a timeout is a number of seconds"),  # type: ignore[arg-type]
}  # fmt: skip


@pytest.mark.parametrize(("call", "advice"), REFUSED.values(), ids=REFUSED)
def test_what_a_store_does_not_take_is_refused(store: EventStore, call: Call, advice: str) -> None:
    with pytest.raises(InvalidEvent, match=advice) as raised:
        call(store)
    assert raised.type is InvalidEvent
    assert store.head() == 0


def endless(item: Callable[[int], object]) -> Iterator[Any]:
    return map(item, itertools.count())


ENDLESS: dict[str, Call] = {
    "events": lambda store: store.append(ORDER, endless(rejected)),  # type: ignore[arg-type]
    "enqueued events": lambda store: store.enqueue(CONTRACT, endless(lambda _: contract())),  # type: ignore[arg-type]
    "events of a batch": lambda store: store.append_many([Batch(ORDER, endless(rejected))]),  # type: ignore[arg-type]
    "keys": lambda store: store.append(ORDER, rejected(), key=endless(str)),  # type: ignore[arg-type]
    "batches": lambda store: store.append_many(endless(lambda _: Batch(ORDER, []))),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("call", ENDLESS.values(), ids=ENDLESS)
def test_what_never_ends_is_too_large(store: EventStore, call: Call) -> None:
    with pytest.raises(EventTooLarge):
        call(store)
    assert store.head() == 0


def test_any_sequence_of_events_batches_and_keys_is_taken(store: EventStore) -> None:
    events: list[Event] = [rejected(number) for number in range(3)]
    store.append(ORDER, iter(events), key=(str(number) for number in range(3)))  # type: ignore[arg-type]
    store.append_many(Batch(ORDER, tuple(events)) for _ in range(2))  # type: ignore[arg-type]
    assert store.append_many([]) == []
    assert store.head() == 9


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ({"clock": 5}, "clock is an object with now_ns"),
        ({"clock": 0}, "clock is an object with now_ns"),
        ({"clock": "now"}, "clock is an object with now_ns"),
        ({"clock": ManualClock}, "clock is an object with now_ns"),
        ({"clock": datetime(2025, 1, 1, tzinfo=UTC)}, "clock is an object with now_ns"),
        ({"log": HUGE}, "1 to 64 of"),
        ({"influx": HUGE}, "influx is an InfluxSettings"),
    ],
    ids=range(7),
)
def test_a_store_that_is_refused_creates_nothing(tmp_path: Path, given: dict[str, Any], advice: str) -> None:
    with pytest.raises(InvalidEvent, match=advice):
        eventstore.open(tmp_path / "data", **given)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", [HUGE, nested(), None, b"data", "", "\udcff", "a\0b"], ids=range(7))
def test_a_place_that_is_not_a_path_is_refused(path: Any) -> None:  # noqa: ANN401 - anything wrong
    with pytest.raises(InvalidEvent, match=r"is a path, not|is not UTF-8"):
        eventstore.open(path)


@pytest.mark.parametrize("url", [5, HUGE, b"http://x", ["http://x"], "", "data"], ids=range(6))
def test_a_malformed_url_is_refused(url: Any) -> None:  # noqa: ANN401 - anything wrong
    with pytest.raises(InvalidEvent, match="begins with http"):
        eventstore.connect(url)


# Waiting

WRONG_TIMEOUTS: list[Any] = [NAN, "x", "1", -1, -0.5, -HUGE, float("-inf"), True, [], b"", Decimal(1), None]


@pytest.mark.parametrize("timeout", [*WRONG_TIMEOUTS[:-1], Decimal("NaN")], ids=range(len(WRONG_TIMEOUTS)))
def test_an_invalid_timeout_is_refused_whether_the_events_are_written_or_not(
    store: EventStore,
    timeout: Any,  # noqa: ANN401 - anything wrong
) -> None:
    pending = store.enqueue(CONTRACT, contract())
    for _ in range(2):
        with pytest.raises(InvalidEvent, match="a timeout is a number of seconds, 0 or more"):
            pending.result(timeout)
        store.flush()
    assert len(pending.result(0)) == 1


@pytest.mark.parametrize("timeout", [float("inf"), 1e10, 2**63, HUGE, 5, 5.0, None], ids=range(7))
def test_a_long_timeout_waits_for_the_events(store: EventStore, timeout: float | None) -> None:
    assert len(store.enqueue(CONTRACT, contract()).result(timeout)) == 1
    if timeout is not None:
        assert store.wait(0, timeout)


def test_a_wait_is_bounded() -> None:
    assert [timeout_of(given) for given in (0, 0.5, 7, float("inf"), HUGE)] == [
        0, 0.5, 7, TIMEOUT_SECONDS_MAX, TIMEOUT_SECONDS_MAX,
    ]  # fmt: skip
    assert TIMEOUT_SECONDS_MAX < threading.TIMEOUT_MAX


def test_what_still_waits_says_for_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventstore.commits.COMMIT_SECONDS_MAX", 0.01)
    pending = Pending(Committer(MemoryJournal()), [], 1, queued=True)
    with pytest.raises(Overloaded, match=r"still waiting after 0\.01 s: ask again"):
        pending.result()
    with pytest.raises(Overloaded, match=r"still waiting after 0 s: ask again"):
        pending.result(0)


# Times

NINE = "123456789"
AT = 1_577_836_800 * NANOSECONDS  # 2020-01-01T00:00:00Z
NO_TIMES = [
    "2020-01-01T00:00:00.5.5Z", "2020-01-01T00:00:00.5+05:30:15.5", "2020-01-01T00:00:00+05:30:15.5",
    "2020-01-01T00:00:00.1234567890Z", "2020-01-01T00:00:00.0000000000Z", "20200101T000000.1234567890Z",
    "2020-01-01T00:00:00Z\n", "2020-01-01T00:00:00.5Z\n", "\n2020-01-01T00:00:00Z", "2020-01-01T00:00:00.5\nZ",
    "2020-01-01T00:00:00.\u0665Z", "2020-01-01T00:00:00.\uff15Z", "2020-01-01T00:00:0\u0665Z",
    "\u0662020-01-01T00:00:00Z", "2020-01-01T00:00:00.Z", "2020-01-01T00:00:00,Z", "2020-01-01T00:00.5Z",
    "2020-01-01T00.5Z", "2020-01-01.5Z", "2020-01-01T00:00:00.5,5Z", "2020-01-01T00:00:00.-5Z",
    "2020-01-01T00:00:00. 5Z", "2020-01-01T00:00:00.5 Z", "2020-01-01T00:00:00.1_0Z", "2020-01-01T00:00:00.5ZZ",
    "2020-01-01T00:00:00.5+25:00", "2020-01-01T00:00:00.5+", "2020-01-01T00:00:00.5+5", "2020-13-01T00:00:00Z",
    "2020-01-01T00:00:60Z", "2020-01-01\n00:00:00Z", "2020-01-01x00:00:00Z", "2020-01-01\u00b700:00:00Z",
    "2020-01-01T00:00:00.\ud800Z", "2020-01-01T00:00:00.5\0Z", " 2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z ",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_TIMES, ids=ascii)
def test_text_that_is_almost_a_time_is_refused(text: str) -> None:
    for parse in (parse_time, to_ns):
        with pytest.raises(InvalidEvent, match="is not an ISO 8601 time: write it like"):
            parse(text)


@pytest.mark.parametrize("given", [None, 5, b"2020-01-01T00:00:00Z", HUGE], ids=range(4))
def test_a_time_that_is_not_text_is_not_parsed(given: Any) -> None:  # noqa: ANN401 - anything wrong
    with pytest.raises(InvalidEvent, match="is not an ISO 8601 time"):
        parse_time(given)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("2020-01-01T00:00:00Z", 0),
        ("2020-01-01t00:00:00Z", 0),
        ("2020-01-01 00:00:00Z", 0),
        ("2020-01-01T00:00Z", 0),
        ("2020-01-01T00Z", 0),
        ("20200101T000000Z", 0),
        ("20200101T0000Z", 0),
        ("2020-W01-3T00:00:00Z", 0),
        ("2020W013T000000Z", 0),
        *((f"2020-01-01T00:00:00.{NINE[:digits]}Z", int(NINE[:digits].ljust(9, "0"))) for digits in range(1, 10)),
        ("2020-01-01T00:00:00,5Z", 500_000_000),
        ("20200101T000000.000000001Z", 1),
        ("2020-01-01T05:30:00.000000001+05:30", 1),
        ("2020-01-01T05:30:15,25+05:30:15", 250_000_000),
        ("2020-01-01T05:30:15+053015", 0),
        ("2019-12-31T18:00:00-06", 0),
        ("2019-12-31T18:00:00-0600", 0),
        ("2019-12-31T18:00:00.999999999-06:00", 999_999_999),
    ],
)  # fmt: skip
def test_every_form_of_a_time_is_read_to_the_nanosecond(text: str, nanoseconds: int) -> None:
    assert parse_time(text) == AT + nanoseconds


# Classes of events

NO_NAMES: list[Any] = [5, 0, "", "a b", b"Name", HUGE, ["Name"], "x" * 65, "\ud800", "Name\n"]
NO_SCHEMAS: list[Any] = [2**40, 10_001, 0, -1, "1", None, 1.5, True, HUGE, NAN]
NO_MEASURES: list[Any] = [None, 5, "rain", b"rain", [["rain"]], [{}], [5], {"rain": 1}, ("snow",), HUGE]
NO_UPCASTERS: list[Any] = [
    5, 0, "", [], "x", {1: None}, {1: 5}, {"1": dict}, {0: dict}, {2: dict}, {True: dict}, {1.0: dict}, {HUGE: dict},
]  # fmt: skip
NO_DURABILITIES: list[Any] = [None, 99, 2, "SYNCED", 1.5, [], HUGE]
NO_CATEGORIES: list[Any] = [None, 5, "rain", [[]], {}, HUGE]
NO_FLAGS: list[Any] = [None, 0, 1, "no", []]
NO_FUNCTIONS: list[Any] = [5, 0, "SYNCED", eventstore.SYNCED]
SETTINGS: list[tuple[str, Any, str]] = [
    *[("name", given, "an event's name is 1 to 64 of") for given in NO_NAMES],
    *[("schema", given, "Rain: schema is an int of 1 or more, at most 10,000") for given in NO_SCHEMAS],
    *[("durability", given, "Rain: durability is one of VOLATILE") for given in NO_DURABILITIES],
    *[("measures", given, "Rain: measures") for given in NO_MEASURES],
    *[("upcasters", given, "Rain: upcasters") for given in NO_UPCASTERS],
    *[("categories", given, "Rain: categories are a tuple of names") for given in NO_CATEGORIES],
    *[("requires_actor", given, "Rain: requires_actor is True or False") for given in NO_FLAGS],
    *[("durability_of", given, "Rain: durability_of is a function") for given in NO_FUNCTIONS],
    *[("problem_of", given, "Rain: problem_of is a function") for given in NO_FUNCTIONS],
]


@pytest.mark.parametrize(("setting", "given", "advice"), SETTINGS, ids=range(len(SETTINGS)))
def test_a_setting_of_a_class_that_means_nothing_is_refused(setting: str, given: Any, advice: str) -> None:  # noqa: ANN401 - anything wrong
    class Rain(Event, frozen=True, kw_only=True):
        rain: int

    given_settings: dict[str, Any] = {"schema": 2, setting: given}
    with pytest.raises(InvalidEvent, match=advice):
        eventstore.event(**given_settings)(Rain)
    with pytest.raises(InvalidEvent, match="is not registered"):
        EventStore(MemoryJournal()).append("rain/A/1", Rain(rain=1))


@pytest.mark.parametrize("cls", [5, 0, "Rain", None, int, dict, HUGE, [Event], Event.__init__], ids=range(9))
def test_a_class_that_is_not_an_event_is_refused(cls: Any) -> None:  # noqa: ANN401 - anything wrong
    with pytest.raises(InvalidEvent, match="is not a subclass of eventstore"):
        eventstore.event(schema=1)(cls)
    if cls is not None:
        with pytest.raises(InvalidEvent, match="is not a subclass of eventstore"):
            eventstore.event(cls)


def test_the_last_schema_that_there_is_and_any_mapping_of_upcasters() -> None:
    class Rain(Event, frozen=True, kw_only=True):
        rain: int

    upcasters = MappingProxyType({1: dict, 9_999: dict})
    assert eventstore.event(schema=10_000, measures=("rain",), upcasters=upcasters)(Rain) is Rain
