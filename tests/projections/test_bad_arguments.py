"""Invalid arguments to a book, a past or a comparison are refused before anything is read."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import eventstore
import projections
from eventstore import EventStore, InvalidEvent
from eventstore.trading import LockoutSet
from projections import Book
from projections.sessions import Calendar
from tests.projections.examples import RainByAccount

HUGE = 10**5000
NOW = 1_753_113_600_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data") as store:
        store.append("lockout/ACC1/loss", LockoutSet(rule_id="loss"), occurred_at=NOW)
        yield store


OPENED: dict[str, tuple[dict[str, Any], str]] = {
    "accounts as text": ({"accounts": "ACC1"}, r"give accounts=\['ACC1'\]"),
    "accounts as empty text": ({"accounts": ""}, "a sequence of account names"),
    "accounts as bytes": ({"accounts": b"ACC1"}, "a sequence of account names"),
    "accounts as a number": ({"accounts": 5}, "a sequence of account names"),
    "an account that is a number": ({"accounts": [5]}, "account 5: 1 to 64 of"),
    "an account that is none": ({"accounts": [None]}, "account None: 1 to 64 of"),
    "an account of two names": ({"accounts": ["ACC1 ACC2"]}, "1 to 64 of"),
    "an account that is a list": ({"accounts": [["ACC1"]]}, "1 to 64 of"),
    "views as a number": ({"views": 5}, "views must be a sequence of views"),
    "views as text": ({"views": "x"}, "views must be a sequence of views"),
    "one view": ({"views": RainByAccount()}, "views must be a sequence of views"),
    "a view that is a number": ({"views": [5]}, "5 is not a view"),
    "a view that is its class": ({"views": [RainByAccount]}, "is not a view"),
    "calendars as a number": ({"calendars": 5}, "calendars is one Calendar"),
    "calendars as zero": ({"calendars": 0}, "calendars is one Calendar"),
    "calendars as text": ({"calendars": "x"}, "calendars is one Calendar"),
    "calendars as a class": ({"calendars": Calendar}, "calendars is one Calendar"),
    "a calendar that is text": ({"calendars": {"ACC1": "x"}}, "calendars is one Calendar"),
    "a calendar of a number": ({"calendars": {5: None}}, "calendars is one Calendar"),
    "snapshots as a number": ({"snapshots": 5}, "snapshots must be a path"),
    "snapshots as True": ({"snapshots": True}, "snapshots must be a path"),
    "tiers as a number": ({"tiers": 5}, "tiers must be a TierSettings"),
}


@pytest.mark.parametrize(("given", "advice"), OPENED.values(), ids=OPENED)
def test_a_book_is_not_opened_by_what_it_does_not_take(store: EventStore, given: dict[str, Any], advice: str) -> None:
    with pytest.raises(InvalidEvent, match=advice):
        projections.open(store, **given)


@pytest.mark.parametrize(
    "accounts",
    [["ACC1"], ("ACC1",), {"ACC1"}, frozenset({"ACC1", "ACC2"}), iter(["ACC1"]), {"ACC1": 1}],
    ids=["a list", "a tuple", "a set", "a frozen set", "an iterator", "a mapping"],
)
def test_accounts_are_any_sequence_of_names(store: EventStore, accounts: Any) -> None:  # noqa: ANN401 - any collection
    with projections.open(store, accounts=accounts) as book:
        assert [lock.rule_id for lock in book.lockouts.active("ACC1", NOW)] == ["loss"]


def test_an_account_that_a_book_was_not_opened_for_does_not_look_free(store: EventStore) -> None:
    with projections.open(store, accounts=["ACC2"]) as book:
        assert book.lockouts.active("ACC2", NOW) == ()
        assert book.lockouts.active("-", NOW) == ()
        with pytest.raises(InvalidEvent, match="knows nothing of account 'ACC1': open one with accounts= that include"):
            book.lockouts.active("ACC1", NOW)
        # This one is folded from the log, whatever the book holds.
        assert [lock.rule_id for lock in book.lockouts.history("ACC1")] == ["loss"]
    past = projections.as_of(store, account="ACC2")
    with pytest.raises(InvalidEvent, match="knows nothing of account 'ACC1'"):
        past.lockouts.active("ACC1", NOW)


UNCOVERED: dict[str, Callable[[Book, str], object]] = {
    "positions.get": lambda book, account: book.positions.get(account, "ESZ5"),
    "orders.open": lambda book, account: book.orders.open(account),
    "orders.executable": lambda book, account: book.orders.executable(account),
    "trades.totals": lambda book, account: book.trades.totals(account),
    "trips.of": lambda book, account: book.trips.of(account),
    "equity.now": lambda book, account: book.equity.now(account),
    "equity.get": lambda book, account: book.equity.get(account),
    "accounts.get": lambda book, account: book.accounts.get(account),
    "accounts.balance": lambda book, account: book.accounts.balance(account),
    "accounts.balances": lambda book, account: book.accounts.balances(account),
    "pnl.day": lambda book, account: book.pnl.day(account, NOW),
    "pnl.days": lambda book, account: book.pnl.days(account),
    "pnl.unrealized": lambda book, account: book.pnl.unrealized(account, NOW),
    "limits.of": lambda book, account: book.limits.of(account, NOW),
    "limits.get": lambda book, account: book.limits.get(account, "loss", NOW),
    "limits.pending": lambda book, account: book.limits.pending(account, NOW),
    "limits.breaches": lambda book, account: book.limits.breaches(account),
    "enforcement.pending": lambda book, account: book.enforcement.pending(account, NOW),
    "sessions.current": lambda book, account: book.sessions.current(account, NOW),
    "sessions.day": lambda book, account: book.sessions.day(account, date(2025, 7, 21)),
    "shadow.mode": lambda book, account: book.shadow.mode(account, NOW),
    "shadow.locks": lambda book, account: book.shadow.locks(account, NOW),
    "shadow.asks": lambda book, account: book.shadow.asks(account),
    "shadow.reported": lambda book, account: book.shadow.reported(account),
    "blackouts.active": lambda book, account: book.blackouts.active(account, NOW),
    "blackouts.scheduled": lambda book, account: book.blackouts.scheduled(account, NOW),
    "counters.today": lambda book, account: book.counters.today(account, NOW),
    "counters.of": lambda book, account: book.counters.of(account, NOW),
    "counters.day": lambda book, account: book.counters.day(account, date(2025, 7, 21)),
    "timers.of": lambda book, account: book.timers.of(account, NOW),
    "notes.of": lambda book, account: book.notes.of(account),
    "notes.tags": lambda book, account: book.notes.tags(account),
    "orders.anomalies": lambda book, account: book.orders.anomalies(account),
    "trades.anomalies": lambda book, account: book.trades.anomalies(account),
    "positions.anomalies": lambda book, account: book.positions.anomalies(account),
    "lockouts.anomalies": lambda book, account: book.lockouts.anomalies(account),
    "accounts.anomalies": lambda book, account: book.accounts.anomalies(account),
    "enforcement.of": lambda book, account: book.enforcement.of(account),
}


@pytest.mark.parametrize("ask", UNCOVERED.values(), ids=UNCOVERED)
def test_nor_does_it_look_flat_or_without_limits(store: EventStore, ask: Callable[[Book, str], object]) -> None:
    with projections.open(store, accounts=["ACC2"]) as book:
        past = projections.as_of(store, account="ACC2")
        for each in (book, past):
            with pytest.raises(InvalidEvent, match="knows nothing of account 'ACC1': open one with accounts="):
                ask(each, "ACC1")
            ask(each, "ACC2")
    with projections.open(store) as book:
        ask(book, "ACC1")
        ask(book, "NEVER-SEEN")


@pytest.mark.parametrize("given", ["data", Path("data")], ids=["text", "a path"])
def test_a_book_is_opened_of_a_store_that_is_open(given: Any) -> None:  # noqa: ANN401 - what a hurried caller gives
    for ask in (projections.open, projections.as_of):
        with pytest.raises(InvalidEvent, match=r"give what eventstore\.open\(\.\.\.\) returns, not .*data"):
            ask(given)


ACCOUNTS: dict[str, Any] = {
    "a number": 5,
    "zero": 0,
    "empty text": "",
    "bytes": b"ACC1",
    "a list": ["ACC1"],
    "two parts": "ACC1/O-1",
    "a line break": "ACC1\n",
    "a huge number": HUGE,
}
QUESTIONS: dict[str, Callable[[EventStore, Any], object]] = {
    "as_of": lambda store, account: projections.as_of(store, account=account),
    "diff": lambda store, account: projections.diff(store, NOW, NOW + 1, account=account),
    "diff of one instant": lambda store, account: projections.diff(store, NOW, NOW, account=account),
    "steps": lambda store, account: projections.steps(store, account=account),
}


@pytest.mark.parametrize("account", ACCOUNTS.values(), ids=ACCOUNTS)
@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
def test_a_malformed_account_is_refused(
    store: EventStore,
    ask: Callable[[EventStore, Any], object],
    account: Any,  # noqa: ANN401 - anything wrong
) -> None:
    with pytest.raises(InvalidEvent, match=r"account .*1 to 64 of"):
        ask(store, account)


PASTS: dict[str, dict[str, Any]] = {
    "a position of text": {"position": "x"},
    "a position of bytes": {"position": b""},
    "a position that is a list": {"position": []},
    "a position that is NaN": {"position": Decimal("NaN")},
    "a position that is a float": {"position": 1.0},
    "a position that is True": {"position": True},
    "a position below 0": {"position": -1},
    "a position past the end": {"position": 2},
    "a huge position": {"position": HUGE},
    "an instant that is a list": {"recorded_at": []},
    "an instant that is a float": {"occurred_at": 1.5},
    "an instant that is a duration": {"recorded_at": timedelta(1)},
    "a mark that is a number": {"mark": 5},
    "a mark that is a huge number": {"mark": HUGE},
    "a view that is a number": {"views": [5]},
}


@pytest.mark.parametrize("given", PASTS.values(), ids=PASTS)
def test_a_past_that_never_was_is_refused(store: EventStore, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        projections.as_of(store, **given)


@pytest.mark.parametrize(
    "given", [{"after": "x"}, {"after": -1}, {"after": None}, {"until": "x"}, {"until": 1.5}, {"views": 5}], ids=repr
)
def test_steps_are_refused_when_they_are_asked_for(store: EventStore, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        projections.steps(store, **given)
