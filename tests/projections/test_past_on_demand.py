"""A book of the past folds what it is asked for: the same states as a fold of everything from the first record."""

from __future__ import annotations

import itertools
import random
import shutil
import threading
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import apsw
import pytest

import eventstore
import projections
from eventstore import EventStore, ManualClock, Unavailable
from eventstore.errors import Closed
from eventstore.trading import ContractDefined, LimitsSet
from projections import PartitionParked, SnapshotWarning, past_book, past_records, reading
from projections.book import Book
from projections.builtin import builtin_views
from projections.cuts import rows, writing
from projections.fold import Fold
from projections.view import SHARED, is_volatile
from projections.views.orders.view import OrdersView
from tests.projections.examples import bought, filled, snapshots_file, submitted
from tests.projections.histories import append, history, states
from tests.projections.random_facts import START
from tests.proving import rounds

VIEWS = [view for view in builtin_views() if not is_volatile(view)]
OF_ALL = "groups"
"""Folds other accounts' days as well: what a book of one account has of these depends on the cut it begins from."""


@pytest.fixture(autouse=True)
def _nothing_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past_book, "AT_ONCE_MAX", -1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    """Return two accounts with an order and a trade each, and a cut before the last records of both."""
    with eventstore.open(tmp_path / "data") as opened:
        opened.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", multiplier=Decimal(50)))
        book = projections.open(opened)
        for account in "AB":
            opened.append(f"order/{account}/O1", [submitted(3), filled("T1", 1)])
        book.refresh()
        assert book.snapshot()
        for account in "AB":
            opened.append(f"order/{account}/O1", filled("T2", 2))
            opened.append(f"trade/{account}/T3", bought("T3", 5))
        book.freeze()
        yield opened


def held(book: Book, account: str) -> int:
    return int(book.positions.get(account, "ESZ5").quantity)


# Against a fold of everything


def written(directory: Path, chance: random.Random, *, everywhere: bool) -> None:
    """Write a log of everything that views fold, with cuts here and there.

    `everywhere`: contracts are defined in accounts' streams too, for all accounts.
    """
    clock = ManualClock(START)
    with eventstore.open(directory, clock=clock) as store, projections.open(store) as book:
        for number, fact in enumerate(history(chance, 50)):
            append(store, fact)
            if everywhere and chance.random() < 0.1:
                terms = ContractDefined(symbol="ESZ5", multiplier=Decimal(chance.choice((5, 50))))
                append(store, (f"contract/{chance.choice('ABC')}/ESZ5", terms))
            if not number or chance.random() < 0.1:
                book.refresh()
                book.snapshot(accounts=chance.choice((None, ["A"], ["A", "B"], ["C"])))
        book.refresh()
        book.freeze()


def unharmed(file: Path, other: Path, chance: random.Random) -> None:
    """Leave the cuts as they are."""


def altered(file: Path, other: Path, chance: random.Random) -> None:
    _changed(file, "UPDATE state SET data = x'28b52ffd00' WHERE rowid % 3 = ?", chance.randrange(3))


def missing(file: Path, other: Path, chance: random.Random) -> None:
    _changed(file, "DELETE FROM state WHERE rowid % 5 = ?", chance.randrange(5))


def swapped(file: Path, other: Path, chance: random.Random) -> None:
    """Give the newest states of a partition to an older cut, digest and all."""
    _changed(
        file,
        "UPDATE state AS s SET (digest, size, data) = (SELECT digest, size, data FROM state o WHERE o.view = s.view "
        "AND o.partition = s.partition ORDER BY position DESC LIMIT 1) WHERE rowid % 2 = ?",
        chance.randrange(2),
    )


def foreign(file: Path, other: Path, chance: random.Random) -> None:
    shutil.copyfile(other, file)


def none_at_all(file: Path, other: Path, chance: random.Random) -> None:
    file.unlink()


def _changed(file: Path, sql: str, *values: int) -> None:
    connection = apsw.Connection(str(file))
    connection.execute(sql, values)
    connection.close()


HARMS: tuple[Callable[[Path, Path, random.Random], None], ...] = (
    unharmed, altered, missing, swapped, foreign, none_at_all,
)  # fmt: skip


def from_the_first(store: EventStore, until: int, account: str | None, occurred_at: int | None) -> dict[Any, Any]:
    accounts = None if account is None else frozenset({account})
    book = Book(store, Fold(accounts=accounts), accounts=accounts, occurred_until=occurred_at)
    book.load(builtin_views(), until)
    return {pair: state for pair, state in states(book._fold).items() if account is None or pair[0] != OF_ALL}


def test_whatever_is_asked_in_whatever_order_is_the_fold_of_everything(
    memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in rounds("pasts on demand", test=6, prove=300):
        chance, directory, other = random.Random(seed), memory_path / f"{seed}", memory_path / f"{seed}-other"
        everywhere = bool((seed + seed // len(HARMS)) % 2)
        # Cuts are thinned out in some rounds.
        monkeypatch.setattr(rows, "BYTES_FOR_EACH_EVENT", chance.choice((1, 500, 1 << 20)))
        monkeypatch.setattr(writing, "CUTS_KEPT", chance.choice((2, 16)))
        for place in (directory, other):
            written(place, chance, everywhere=everywhere)
        harm = HARMS[seed % len(HARMS)]
        harm(snapshots_file(directory), snapshots_file(other), chance)
        with eventstore.open(directory) as store, warnings.catch_warnings():
            # What is not harmed is never passed over.
            warnings.simplefilter("error" if harm is unharmed else "ignore", SnapshotWarning)
            records = list(store.read())
            for _ in range(5):
                _set_limits(monkeypatch, chance)
                until, account = chance.randrange(len(records) + 1), chance.choice((None, "A", "B"))
                # Of what other accounts' streams define, a book of one account has what precedes its cut.
                account = None if everywhere else account
                occurred_at = chance.choice((None, chance.choice(records).occurred_at))
                past = projections.as_of(store, position=until, account=account, occurred_at=occurred_at)
                expected = from_the_first(store, until, account, occurred_at)
                views = [view.name for view in VIEWS if account is None or view.name != OF_ALL]
                _ask(past, views, expected, chance, (seed, harm.__name__, until, account, occurred_at))


def _set_limits(monkeypatch: pytest.MonkeyPatch, chance: random.Random) -> None:
    """Draw how much of the log is read at once, held and kept: all of it may be, or hardly anything."""
    monkeypatch.setattr(past_book, "AT_ONCE_MAX", chance.choice((-1, 30_000)))
    monkeypatch.setattr(past_records, "READS_MAX", chance.choice((0, 5, 1_000)))
    monkeypatch.setattr(past_records, "HELD_MAX", chance.choice((20, 1_000, 1_000)))
    monkeypatch.setattr(past_records, "HELD_BYTES_MAX", chance.choice((2_000, 1 << 20, 1 << 20)))
    page = chance.choice((3, 20, 8_000))
    monkeypatch.setattr(past_records, "PAGE", page)
    monkeypatch.setattr(reading, "PAGE", page)


def _ask(past: Book, views: list[str], expected: dict[Any, Any], chance: random.Random, where: object) -> None:
    """Ask a past for states and partitions in a random order, and for all of them at last."""
    asked = [(view, partition) for view in views for partition in ("A", "B", SHARED, "")] + list(expected)
    chance.shuffle(asked)
    for view, partition in asked:
        if partition:
            assert past.state(view, partition) == expected.get((view, partition)), (view, partition, where)
        else:
            there = sorted(partition for name, partition in expected if name == view)
            assert sorted(past.partitions(view)) == there, (view, where)
    assert {pair: state for pair, state in states(past._fold).items() if pair[0] in views} == expected, where
    assert not past.parked


# One at a time


def test_what_is_not_asked_for_is_not_folded(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(OrdersView, "apply", fail)
    past = projections.as_of(store)
    assert repr(past) == "<Book of main at 9, of the past>"
    assert [held(past, account) for account in "AB"] == [8, 8]
    # One that fails is parked when it is asked for, or when somebody asks what is.
    with pytest.raises(PartitionParked):
        past.state("orders", "A")
    assert sorted(past.parked) == [("orders", "A"), ("orders", "B")]
    monkeypatch.undo()
    assert past.retry("orders", "A")
    assert past.orders.get("A", "O1") == projections.open(store, snapshots=False).orders.get("A", "O1")


def test_threads_that_ask_at_once_get_one_state(store: EventStore) -> None:
    for _ in range(10):
        past, begin = projections.as_of(store), threading.Barrier(4)
        found: list[Any] = []

        def ask(past: Book = past, begin: threading.Barrier = begin, found: list[Any] = found) -> None:
            begin.wait(10)
            found.append(past.state("executions", "A"))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len({id(state) for state in found}) == 1
        assert held(past, "A") == 8


def test_a_log_that_could_not_be_read_is_read_when_it_is_asked_again(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> Iterator[Any]:
        msg = "the disk is gone"
        raise Unavailable(msg)

    past = projections.as_of(store)
    with monkeypatch.context() as broken:
        broken.setattr(EventStore, "read", fail)
        with pytest.raises(Unavailable, match="disk is gone"):
            held(past, "A")
    assert held(past, "A") == 8
    assert not past.parked


def test_a_store_that_was_closed_is_named(tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "data") as store:
        store.append("trade/A/T1", bought("T1"))
        past = projections.as_of(store)
    with pytest.raises(Closed):
        held(past, "A")


def test_what_is_held_is_not_read_again(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    past = projections.as_of(store)
    assert past._fold.hold()  # type: ignore[attr-defined]
    monkeypatch.setattr(EventStore, "read", None)
    assert [held(past, account) for account in "AB"] == [8, 8]
    assert sorted(past.partitions("orders")) == ["A", "B"]
    assert not past.parked


def test_one_account_s_past_has_the_limits_of_groups(store: EventStore) -> None:
    limit = LimitsSet(rule_id="maximum-position", parameters={"limit": "5"})
    store.append("limits/@desk/maximum-position", limit, actor="desk")
    for is_held in (False, True):
        past = projections.as_of(store, account="A")
        assert not is_held or past._fold.hold()  # type: ignore[attr-defined]
        assert past.partitions("limits") == ["@desk"]
    # From a cut as well, of all accounts or of this one.
    for trade_id, accounts in (("T4", None), ("T5", ["A"])):
        with projections.open(store) as book:
            book.append("trade/A/T", bought(trade_id))
            assert book.snapshot(accounts=accounts)
            book.freeze()
        assert projections.as_of(store, account="A").partitions("limits") == ["@desk"]
        with projections.open(store, accounts=["A"]) as book:
            assert book.recovery.cut == store.head()
            assert book.partitions("limits") == ["@desk"]


def test_all_is_read_in_one_pass_once_many_are_asked_for(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past_records, "READS_MAX", 1)
    past = projections.as_of(store)
    assert held(past, "A") == 8
    assert held(past, "B") == 8
    monkeypatch.setattr(EventStore, "read", None)
    assert [past.orders.get(account, "O1").cumulative for account in "AB"] == [3, 3]  # type: ignore[union-attr]


def test_a_short_log_of_large_events_is_folded_before_its_store_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past_book, "AT_ONCE_MAX", 30_000)
    monkeypatch.setattr(past_records, "HELD_BYTES_MAX", 1)
    with eventstore.open(tmp_path / "data") as store:
        store.append("trade/A/T1", bought("T1"))
        past = projections.as_of(store)
    assert not past._fold.hold()  # type: ignore[attr-defined]
    assert held(past, "A") == 1


@pytest.mark.parametrize("name", ["", "no account", "a/b", "ü"])
def test_what_names_no_account_has_no_state(store: EventStore, name: str) -> None:
    assert projections.as_of(store).state("orders", name) is None


# Which cuts there are


def test_as_many_cuts_stay_as_their_bytes_allow_as_evenly_as_possible(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "BYTES_FOR_EACH_EVENT", 1 << 20)
    monkeypatch.setattr(rows, "CUTS_MAX", 24)
    with projections.open(store) as book:
        for number in range(60):
            book.append("trade/A/N", bought(f"N{number}"))
            assert book.snapshot()
        cuts = book._snapshots.cuts()  # type: ignore[union-attr]
    gaps = [later - earlier for earlier, later in itertools.pairwise(cuts)]
    assert len(cuts) == 24
    assert cuts[-1] == store.head()
    assert max(gaps) <= 5, gaps
    # Where they take too much, few are left.
    monkeypatch.setattr(rows, "BYTES_FOR_EACH_EVENT", 1)
    with projections.open(store) as book:
        book.append("trade/A/N", bought("N60"))
        assert book.snapshot()
        assert len(book._snapshots.cuts()) == 16  # type: ignore[union-attr]
    assert snapshots_file(tmp_path / "data").exists()
