"""Cuts of single accounts: where an account's past begins, what they need, and which of them stay."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest

import projections
from eventstore import EventStore, InvalidEvent
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import ContractDefined
from projections import CutPolicy, Snapshots, SnapshotWarning, Worker, past_book
from projections.book import Book
from projections.cuts import own, rows, writing
from projections.view import SHARED
from projections.views.executions.view import ExecutionsView
from tests.projections.cut_files import beside, changed, found_in
from tests.projections.examples import RainByPlace, bought
from tests.projections.histories import states
from tests.waiting import until

VIEW = ExecutionsView()


@pytest.fixture
def store(any_store: EventStore) -> EventStore:
    any_store.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", multiplier=Decimal(50)))
    return any_store


@pytest.fixture
def snapshots(store: EventStore) -> Snapshots:
    return beside(store)


def trade(book: Book, account: str, count: int = 1) -> int:
    """Append and fold trades of one each; return the last one's log position."""
    start = book.position
    return book.append(f"trade/{account}/T", [bought(f"T{start + number}") for number in range(count)])[-1].position


def start_of(snapshots: Snapshots, store: EventStore, account: str, *, at: int | None = None) -> int:
    """Return where the past of an account begins."""
    log_position = store.head() if at is None else at
    return snapshots.load(VIEW, store, until=log_position, partitions={account, SHARED}).log_position


def with_own_cut(store: EventStore) -> tuple[int, int]:
    """Write a cut of all accounts and later one of A; return both."""
    with projections.open(store) as book:
        trade(book, "A")
        whole = trade(book, "B")
        assert book.snapshot()
        cut = trade(book, "A", 3)
        assert book.snapshot(accounts=["A"])
        trade(book, "B")
        trade(book, "A")
        book.freeze()
    return whole, cut


def test_accounts_are_named_in_a_sequence() -> None:
    refused = pytest.raises(InvalidEvent, match=r"give accounts=\['ACC1'\]")
    with EventStore(MemoryJournal()) as store, projections.open(store) as book, refused:
        book.snapshot(accounts="ACC1")


def test_only_its_own_past_begins_at_the_cut_of_an_account(store: EventStore, snapshots: Snapshots) -> None:
    whole, cut = with_own_cut(store)
    assert [start_of(snapshots, store, account) for account in "AB"] == [cut, whole]
    assert start_of(snapshots, store, "A", at=cut - 1) == whole
    assert snapshots.cuts() == [whole]
    with projections.open(store) as book:
        assert book.recovery.cut == whole
        expected = states(book._fold)
        book.freeze()
    past = projections.as_of(store, account="A")
    assert past.positions.get("A", "ESZ5").quantity == 5
    assert all(past.state(*pair) == state for pair, state in expected.items() if pair[1] == "A")


def test_a_cut_of_an_account_has_no_view_by_other_partitions(store: EventStore, snapshots: Snapshots) -> None:
    with projections.open(store, views=[RainByPlace()]) as book:
        trade(book, "A")
        assert book.snapshot()
        trade(book, "A")
        assert book.snapshot(accounts=["A"])
        book.freeze()
    named = {name for (name,) in found_in(store, "SELECT view FROM part")}
    assert {"rain-by-place", own.part_of("contracts", "A"), own.part_of("executions", "A")} <= named
    assert own.part_of("rain-by-place", "A") not in named


def test_a_past_of_all_accounts_takes_the_cut_of_the_one_that_is_asked_for(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, cut = with_own_cut(store)
    monkeypatch.setattr(past_book, "AT_ONCE_MAX", -1)
    folded: list[int] = []
    monkeypatch.setattr(
        ExecutionsView, "apply_page", lambda _self, _state, pairs, _: folded.extend(r.position for _, r in pairs)
    )
    past = projections.as_of(store)
    for account in "AB":
        past.state("executions", account)
    assert folded == [cut + 2, cut + 1]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE state SET data = :some WHERE partition = 'A' AND position = :cut",
        "DELETE FROM state WHERE partition = 'A' AND position = :cut",
        "UPDATE part SET signature = (SELECT signature FROM part p WHERE p.view = 'orders') WHERE position = :cut",
    ],
)
def test_a_damaged_cut_of_an_account_is_passed_over(store: EventStore, snapshots: Snapshots, sql: str) -> None:
    whole, cut = with_own_cut(store)
    changed(store, sql, cut=cut, some=b"\x28\xb5\x2f\xfd\0")
    with pytest.warns(SnapshotWarning, match=f"executions at {cut} is damaged"):
        assert start_of(snapshots, store, "A") == whole
    with pytest.warns(SnapshotWarning, match="is damaged"):
        assert projections.as_of(store, account="A").positions.get("A", "ESZ5").quantity == 5


def test_the_next_cut_of_all_accounts_rests_on_what_those_of_single_ones_wrote(
    store: EventStore, snapshots: Snapshots
) -> None:
    with projections.open(store) as book:
        trade(book, "A", 3)
        assert book.snapshot(accounts=["A"])
        whole = trade(book, "B")
        assert book.snapshot()
        book.freeze()
    found = found_in(store, "SELECT partition, position FROM state WHERE view = 'executions'")
    assert sorted(found) == [("-", whole - 1), ("A", whole - 1), ("B", whole)]
    with projections.open(store) as book:
        assert book.recovery.cut == whole
        assert book.positions.get("A", "ESZ5").quantity == 3


def test_the_cuts_of_accounts_stay_where_those_of_all_are_thinned_out(
    store: EventStore, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "CUTS_KEPT", 2)
    monkeypatch.setattr(rows, "BYTES_FOR_EACH_EVENT", 350)
    monkeypatch.setattr(own, "_KEPT", 4)
    with projections.open(store) as book:
        for number in range(40):
            trade(book, "AB"[number % 2])
            assert book.snapshot()
        book.freeze()
    starts = sorted({start_of(snapshots, store, "A", at=at) for at in range(1, store.head() + 1)})
    assert len(snapshots.cuts()) == 2
    # Every eighth record of the log is its fourth.
    assert max(later - earlier for earlier, later in itertools.pairwise(starts)) <= 8, starts


def test_what_is_shared_stays_as_long_as_a_cut_of_an_account_needs_it(
    store: EventStore, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "CUTS_KEPT", 2)
    monkeypatch.setattr(rows, "BYTES_FOR_EACH_EVENT", 350)
    with projections.open(store) as book:
        # The first cut always stays, and what it has.
        assert book.snapshot()
        book.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", multiplier=Decimal(20)))
        trade(book, "A")
        assert book.snapshot()
        cut = trade(book, "A")
        assert book.snapshot(accounts=["A"])
        for number in range(10):
            terms = ContractDefined(symbol="ESZ5", multiplier=Decimal(number + 1))
            book.append("contract/-/ESZ5", terms)
            trade(book, "B")
            assert book.snapshot()
        book.freeze()
    assert len(snapshots.cuts()) < 5
    assert start_of(snapshots, store, "A", at=cut) == cut


def test_the_cuts_of_accounts_go_once_they_take_too_much(
    store: EventStore, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    with projections.open(store) as book:
        monkeypatch.setattr(rows, "BYTES_FOR_EACH_EVENT", 1 << 20)
        for _ in range(20):
            trade(book, "A")
            assert book.snapshot(accounts=["A"])
        before = _own_cuts(snapshots, store)
        monkeypatch.setattr(rows, "BYTES_FOR_EACH_EVENT", 1)
        trade(book, "A")
        assert book.snapshot()
        book.freeze()
    left = _own_cuts(snapshots, store)
    assert len(before) == 20
    assert left == before[1::2]
    assert [start_of(snapshots, store, "A", at=at) for at in left] == left
    kept = found_in(store, "SELECT position FROM state WHERE view = 'executions' AND partition = 'A' ORDER BY position")
    assert [log_position for (log_position,) in kept] == [*left, store.head()]


def _own_cuts(snapshots: Snapshots, store: EventStore) -> list[int]:
    with snapshots._place.reading() as cuts:
        assert cuts is not None
        return rows.own_cuts(cuts, store.log_id, 0, store.head()).get("A", [])


def test_a_worker_cuts_a_busy_account_between_those_of_all(
    store: EventStore, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "BYTES_FOR_EACH_EVENT", 1 << 20)
    for name, value in (("OWN_EVENTS_MAX", 20), ("_DUE", 16), ("_KEPT", 12)):
        monkeypatch.setattr(own, name, value)
    for number in range(300):
        store.append(f"trade/{'A' if number % 3 else f'B{number % 50}'}/T", bought(f"T{number}"))
    policy = CutPolicy(events=100, seconds=1e9, account_events=1_000_000)
    with Worker(store, Book(store, projections.fold.Fold([VIEW]), snapshots=snapshots), policy=policy) as worker:
        assert worker.wait(store.head(), 20)
        until(lambda: snapshots.cuts() != [])
    positions = [record.position for record in store.read(account="A")]
    starts = [start_of(snapshots, store, "A", at=position) for position in positions]
    apart = [sum(start < position <= at for position in positions) for start, at in zip(starts, positions, strict=True)]
    assert max(apart) <= 20, apart
    assert len(snapshots.cuts()) <= 5
    assert len(_own_cuts(snapshots, store)) <= len(positions) / 12
