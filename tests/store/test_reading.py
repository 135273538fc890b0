"""Reading a store: by stream, account, type and time; and following it live."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import pytest

import eventstore
from eventstore import EventStore, InvalidEvent, ManualClock, Record, SystemClock, trading
from eventstore.clock import GIVEN_MIN
from eventstore.testing import in_time
from tests.places import PLACES, POSTGRES, Place
from tests.postgres.schemas import own_schema
from tests.store.facts import (
    AT,
    CONTRACT,
    ORDER,
    OTHER,
    POSITION,
    SECOND,
    adjusted,
    contract,
    filled,
    rejected,
    text_of,
    texts,
)

pytestmark = pytest.mark.in_each_place

COUNT = 12
# DESIGN asks for 10 ms; a loaded machine is given five times as much before a test calls it a failure.
WAKE_MS_MAX = 50


@pytest.fixture(scope="module", params=PLACES)
def log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventStore]:
    """Twelve facts, one a second, in four streams; the fifth and sixth in one commit."""
    clock = ManualClock(AT)
    with contextlib.ExitStack() as stack:
        place: Place = tmp_path_factory.mktemp("log")
        if request.param == POSTGRES:
            place = stack.enter_context(own_schema(request.getfixturevalue("postgres")))
        opened = stack.enter_context(eventstore.open(place, clock=clock))
        for number in range(1, COUNT + 1):
            clock.set(AT + (number if number != 6 else 5) * SECOND)
            stream = (ORDER, OTHER, POSITION, CONTRACT)[number % 4]
            fact = {CONTRACT: contract, POSITION: adjusted}.get(stream, rejected)
            opened.append(stream, fact(number))
        yield opened


def positions(records: Iterator[Record]) -> list[int]:
    return [record.position for record in records]


@pytest.mark.parametrize(
    ("narrowed", "wanted"),
    [
        ({}, range(1, 13)),
        ({"after": 9}, [10, 11, 12]),
        ({"until": 3}, [1, 2, 3]),
        ({"until": 99}, range(1, 13)),
        ({"after": 12}, []),
        ({"after": 99}, []),
        ({"limit": 2}, [1, 2]),
        ({"limit": 0}, []),
        ({"after": 4, "limit": 3}, [5, 6, 7]),
        ({"stream": ORDER}, [4, 8, 12]),
        ({"stream": "order/"}, [1, 4, 5, 8, 9, 12]),
        ({"stream": "order/ACC1/"}, [4, 8, 12]),
        ({"stream": "order/ACC/"}, []),
        ({"stream": ORDER, "limit": 2}, [4, 8]),
        ({"account": "ACC1"}, [2, 4, 6, 8, 10, 12]),
        ({"account": "-"}, [3, 7, 11]),
        ({"types": trading.ContractDefined}, [3, 7, 11]),
        ({"types": "OrderRejected", "account": "ACC2"}, [1, 5, 9]),
        ({"types": (trading.ContractDefined, "OrderRejected", "PositionAdjusted")}, range(1, 13)),
        ({"types": [trading.OrderFilled]}, []),
        ({"start": AT + 3 * SECOND}, range(3, 13)),
        ({"start": AT + 3 * SECOND + 1}, range(4, 13)),
        ({"stop": AT + 3 * SECOND}, [1, 2]),
        ({"stop": AT + 3 * SECOND + 1}, [1, 2, 3]),
        ({"start": AT + 3 * SECOND, "stop": AT + 5 * SECOND}, [3, 4]),
        ({"start": AT + 5 * SECOND, "stop": AT + 6 * SECOND}, [5, 6]),
        ({"start": AT + 5 * SECOND + 1, "stop": AT + 6 * SECOND}, [6]),
        ({"start": AT + 5 * SECOND, "stop": AT + 5 * SECOND}, []),
        ({"start": AT + 9 * SECOND, "stop": AT + 5 * SECOND}, []),
        ({"start": "1970-01-01T00:00:00Z", "stop": AT}, []),
        ({"start": AT + 99 * SECOND}, []),
        ({"stop": GIVEN_MIN}, []),
        ({"start": AT + 3 * SECOND, "after": 6, "until": 8}, [7, 8]),
        ({"start": AT + 8 * SECOND, "after": 2, "account": "ACC1"}, [8, 10, 12]),
    ],
    ids=str,
)
def test_a_read_gives_what_it_is_narrowed_to(log: EventStore, narrowed: dict[str, Any], wanted: list[int]) -> None:
    assert positions(log.read(**narrowed)) == list(wanted)


def test_bounds_of_time_may_be_datetimes(log: EventStore) -> None:
    start = datetime.fromtimestamp(AT // SECOND, UTC)
    found = log.read(start=start + timedelta(seconds=3), stop=start + timedelta(seconds=5))
    assert positions(found) == [3, 4]


def test_an_instant_has_a_position(log: EventStore) -> None:
    assert log.position_at(AT) == 0
    assert log.position_at(AT + SECOND) == 1
    assert log.position_at(datetime.fromtimestamp(AT // SECOND + 7, UTC)) == 7
    assert log.position_at(AT + 99 * SECOND) == COUNT


@pytest.mark.parametrize("size", [1, 2, 5, 12, 13])
@pytest.mark.parametrize("narrowed", [{}, {"stream": ORDER}, {"stream": "order/"}, {"account": "ACC1"}], ids=str)
def test_the_size_of_the_pages_is_not_seen(
    log: EventStore, narrowed: dict[str, Any], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = list(log.read(**narrowed))
    monkeypatch.setattr(log._journal, "page", size)
    assert list(log.read(**narrowed)) == whole
    assert list(log.read(limit=3, **narrowed)) == whole[:3]


def test_a_read_ends_at_the_head_that_it_began_with(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with eventstore.open(place) as opened:
        monkeypatch.setattr(opened._journal, "page", 1)
        opened.append(ORDER, [rejected("a"), rejected("b")])
        seen = []
        for record in opened.read():
            seen.append(text_of(record))
            opened.append(ORDER, rejected("later"))
        assert seen == ["a", "b"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"after": -1},
        {"after": 1.0},
        {"after": True},
        {"limit": -1},
        {"until": -1},
        {"stream": "order"},
        {"stream": ""},
        {"stream": "/"},
        {"stream": "order//"},
        {"stream": "order/ACC1/O-1/"},
        {"stream": "ord%/"},
        {"stream": 5},
        {"account": ""},
        {"account": "A/B"},
        {"types": (Record,)},
        {"start": -1},
        {"stop": datetime(2025, 1, 1)},  # noqa: DTZ001 - refused
        {"start": 1.5},
    ],
    ids=str,
)
def test_a_read_that_means_nothing_is_refused_at_once(log: EventStore, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        log.read(**wrong)


# Following


def test_following_gives_the_history_then_what_comes(place: Place) -> None:
    with eventstore.open(place) as opened:
        opened.append(ORDER, [rejected("a"), rejected("b")])
        records = opened.follow(after=1)
        assert text_of(next(records)) == "b"
        later = threading.Timer(0.02, lambda: opened.append(ORDER, rejected("c")))
        later.start()
        assert text_of(in_time(lambda: next(records))) == "c"
        later.join()


def test_following_is_narrowed_as_reading_is(place: Place) -> None:
    with eventstore.open(place) as opened:
        opened.append(OTHER, rejected("elsewhere"))
        records = opened.follow(stream="order/", account="ACC1", types=trading.OrderRejected)
        later = threading.Timer(
            0.02,
            lambda: [opened.append(s, e) for s, e in ((ORDER, filled()), (OTHER, rejected()), (ORDER, rejected(1)))],
        )
        later.start()
        assert text_of(in_time(lambda: next(records))) == "1"
        later.join()


def test_following_from_beyond_the_head_waits_for_what_lies_beyond(store: EventStore) -> None:
    store.append(ORDER, [rejected(number) for number in (1, 2)])
    records = store.follow(after=4)
    later = threading.Timer(0.05, lambda: [store.append(ORDER, rejected(number)) for number in (3, 4, 5)])
    later.start()
    assert text_of(in_time(lambda: next(records))) == "5"
    later.join()


def test_a_commit_of_this_process_wakes_without_a_look_at_the_log(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store._journal, "poll_seconds", 60.0)
    later = threading.Timer(0.05, lambda: store.append(ORDER, rejected()))
    later.start()
    assert in_time(lambda: store.wait(0, 30.0))
    later.join()


@pytest.mark.parametrize("clock", [SystemClock(), ManualClock(AT)], ids=["system", "manual"])
def test_following_ends_when_it_is_cancelled(place: Place, clock: eventstore.Clock) -> None:
    cancel = threading.Event()
    with eventstore.open(place, clock=clock) as opened:
        opened.append(ORDER, rejected("a"))
        later = threading.Timer(0.05, cancel.set)
        later.start()
        assert [text_of(record) for record in in_time(lambda: list(opened.follow(cancel=cancel)))] == ["a"]
        later.join()


def test_a_cancelled_follower_gives_nothing(store: EventStore) -> None:
    cancel = threading.Event()
    cancel.set()
    store.append(ORDER, rejected("a"))
    assert list(store.follow(cancel=cancel)) == []


def test_cancelling_between_two_records_ends_after_the_first(store: EventStore) -> None:
    cancel = threading.Event()
    store.append(ORDER, [rejected("a"), rejected("b")])
    seen = []
    for record in store.follow(cancel=cancel):
        seen.append(text_of(record))
        cancel.set()
    assert seen == ["a"]


def test_a_follower_misses_nothing_of_what_threads_append(store: EventStore) -> None:
    count = 60
    followed = store.follow()

    def append(name: str) -> None:
        for number in range(count // 3):
            store.append(f"order/{name}/1", rejected(number))

    threads = [threading.Thread(target=append, args=(name,)) for name in "ABC"]
    for thread in threads:
        thread.start()
    seen = in_time(lambda: [next(followed) for _ in range(count)], 20.0)
    for thread in threads:
        thread.join()
    assert [record.position for record in seen] == list(range(1, count + 1))


def test_a_follower_wakes_soon_after_a_commit_of_this_process(store: EventStore) -> None:
    clock = SystemClock()
    delays: list[float] = []
    committed = threading.Event()

    def follow() -> None:
        for _, record in zip(range(20), store.follow(), strict=False):
            delays.append((clock.now_ns() - record.recorded_at) / 1e6)
            committed.set()

    follower = threading.Thread(target=follow)
    follower.start()
    for number in range(20):
        committed.clear()
        store.append(ORDER, rejected(number))
        assert committed.wait(5)
    follower.join()
    print(f"median of {median(delays):.1f} ms from the clock's reading before the sync to the follower")  # noqa: T201 - a figure
    assert median(delays) < WAKE_MS_MAX


APPENDING = """
import sys, eventstore
from eventstore import trading
with eventstore.open(sys.argv[1]) as store:
    for line in sys.stdin:
        store.append("order/ACC1/elsewhere", trading.OrderRejected(reason=line.strip()))
"""


def test_a_follower_wakes_soon_after_a_commit_of_another_process(store: EventStore, place: Place) -> None:
    clock = SystemClock()
    delays = []
    command = [sys.executable, "-c", APPENDING, str(place)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        followed = store.follow()
        for number in range(20):
            print(number, file=other.stdin, flush=True)
            record = in_time(lambda: next(followed), 30.0)
            # Both processes read one clock of one host.
            delays.append((clock.now_ns() - record.recorded_at) / 1e6)
        other.stdin.close()
    assert other.returncode == 0
    assert texts(store) == [str(number) for number in range(20)]
    print(f"median of {median(delays):.1f} ms from another process's clock before its sync to the follower")  # noqa: T201 - a figure
    assert median(delays) < WAKE_MS_MAX
