"""Finding a timeline's records, compared with looking at each of them: both ways, by pages, within its bound."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import NamedTuple

import pytest

from eventstore import EventStore, InvalidEvent, ManualClock, Record
from eventstore.clock import NANOSECONDS
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import OrderAccepted, OrderRejected, OrderSubmitted, Side
from projections.auditing import TimelineSelection, WantedRecords, find_records, finding
from tests.proving import rounds

AT = 1_763_560_800 * NANOSECONDS
ACCOUNTS, SYMBOLS = ("ACC1", "ACC2", "-"), ("ESZ5", "NQZ5")
ACTORS, NOTES = ("ann@desk/cli", "bot"), ("", "By Hand")
REASONS = ("too late", "Zu spät", 'a "quoted" \\ reason')
TEXTS = ("LATE", "spät", 'a "quoted" \\', "by hand", "ann@", "orderacc", "no such text")
RECORDS = 150


class Asked(NamedTuple):
    """What is looked for, and the records that fit by another way of looking."""

    wanted: WantedRecords
    expected: list[int]


def selection(**given: object) -> TimelineSelection:
    unset = dict.fromkeys(("account", "types", "actor", "start", "stop"))
    return TimelineSelection.of(**{**unset, "by": "recorded", **given})  # type: ignore[arg-type]


def some_log(rng: random.Random) -> EventStore:
    """Return a log of orders, each of one symbol that its first record alone names."""
    clock = ManualClock(AT)
    store = EventStore(MemoryJournal(clock=clock), clock=clock)
    begun: set[str] = set()
    while store.head() < RECORDS:
        clock.advance(NANOSECONDS)
        stream = f"order/{rng.choice(ACCOUNTS)}/O-{rng.randrange(12)}"
        submitted = OrderSubmitted(symbol=rng.choice(SYMBOLS), side=Side.BUY, quantity=Decimal(1))
        later = rng.choice([OrderAccepted(broker_order_id="B1"), OrderRejected(reason=rng.choice(REASONS))])
        store.append(stream, later if stream in begun else submitted, actor=rng.choice(ACTORS), note=rng.choice(NOTES))
        begun.add(stream)
    return store


def some_question(rng: random.Random, records: list[Record]) -> Asked:
    """Return a question by chance; what fits is found by looking at the events themselves."""
    account = rng.choice([None, None, *ACCOUNTS])
    types = rng.choice([None, None, ("OrderAccepted",), ("OrderRejected", "OrderSubmitted")])
    actor = rng.choice([None, None, "ann", "bot"])
    symbol = rng.choice([None, None, *SYMBOLS])
    text = rng.choice([None, None, *TEXTS])
    start, stop = (rng.choice([None, None, AT + rng.randrange(RECORDS + 5) * NANOSECONDS]) for _ in range(2))
    stream = rng.choice([None, None, f"order/{account or 'ACC1'}/O-3"])
    seen = rng.choice([None, None, lambda name: not name.startswith("order/-/")])
    first = {
        record.stream: record.event.symbol for record in reversed(records) if isinstance(record.event, OrderSubmitted)
    }
    expected = [
        record.position
        for record in records
        if (account is None or record.account == account)
        and (types is None or record.type in types)
        and (actor is None or record.actor.partition("@")[0] == actor)
        and (symbol is None or first[record.stream] == symbol)
        and (text is None or says(record, text))
        and (start is None or record.recorded_at >= start)
        and (stop is None or record.recorded_at < stop)
        and (stream is None or record.stream == stream)
        and (seen is None or seen(record.stream))
    ]
    chosen = selection(account=account, types=types, actor=actor, start=start, stop=stop)
    symbols = frozenset([] if symbol is None else [symbol])
    return Asked(WantedRecords(chosen, stream=stream, symbols=symbols, text=text, sees=seen), expected)


def says(record: Record, text: str) -> bool:
    event = record.event
    data = (
        f'"{event.reason}"' if isinstance(event, OrderRejected) and event.reason is not None else record.data.decode()
    )
    return any(text.lower() in each.lower() for each in (record.stream, record.type, record.actor, record.note, data))


def test_pages_both_ways_have_what_fits_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in rounds("finding", test=25, prove=1_000):
        rng = random.Random(seed)
        store = some_log(rng)
        records = list(store.read())
        monkeypatch.setattr(finding, "SEARCHED_MAX", rng.choice([1, 7, 30_000]))
        for _ in range(12):
            asked, limit = some_question(rng, records), rng.randrange(1, 40)
            assert forwards(store, asked.wanted, limit) == asked.expected, (seed, asked.wanted)
            assert backwards(store, asked.wanted, limit) == asked.expected, (seed, asked.wanted)


def forwards(store: EventStore, wanted: WantedRecords, limit: int) -> list[int]:
    found: list[int] = []
    after = 0
    for _ in range(2 * RECORDS):
        page = find_records(store, wanted, after=after, limit=limit)
        assert len(page.records) <= limit
        found += [record.position for record in page.records]
        if page.is_last:
            return found
        assert page.until > after, "a page that is not the last leads on"
        after = page.until
    pytest.fail("the pages have no end")


def backwards(store: EventStore, wanted: WantedRecords, limit: int) -> list[int]:
    found: list[int] = []
    before = RECORDS + 1_000
    for _ in range(2 * RECORDS):
        page = find_records(store, wanted, before=before, limit=limit)
        found = [record.position for record in page.records] + found
        if page.is_first:
            return found
        assert page.after + 1 < before, "a page that is not the first leads back"
        before = page.after + 1
    pytest.fail("the pages have no end")


def test_a_search_looks_at_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "SEARCHED_MAX", 10)
    store = some_log(random.Random(0))
    page = find_records(store, WantedRecords(selection(), text="no such text"), limit=5)
    assert (page.records, page.is_last, page.until) == ([], False, 10)
    page = find_records(store, WantedRecords(selection(), text="no such text"), before=100, limit=5)
    assert (page.records, page.is_first, page.after) == ([], False, 89)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"after": 1, "before": 2}, "one of after and before"),
        ({"text": ""}, "1 to 200"),
        ({"text": "x" * 201}, "1 to 200"),
    ],
)
def test_what_means_nothing_is_refused(given: dict[str, object], words: str) -> None:
    text = given.pop("text", None)
    with pytest.raises(InvalidEvent, match=words):
        find_records(some_log(random.Random(0)), WantedRecords(selection(), text=text), limit=5, **given)  # type: ignore[arg-type]


def test_an_empty_log_has_one_empty_page() -> None:
    store = EventStore(MemoryJournal())
    for given in ({"after": 0}, {"before": 1}, {"after": 9}, {"before": 9}, {}):
        page = find_records(store, WantedRecords(selection()), limit=5, **given)
        assert (page.records, page.is_first, page.is_last) == ([], True, True)
