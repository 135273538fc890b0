"""A log folded in several processes gives the same states as in one."""

from __future__ import annotations

import os
import random
import subprocess
import warnings
from pathlib import Path
from typing import Any

import pytest

import eventstore
import projections
from eventstore import InvalidEvent
from projections import parallel
from projections.view import SHARED, View
from projections.views.executions import state as executions_state
from projections.views.executions.view import ExecutionsView
from projections.views.orders.view import OrdersView
from tests.projections.dividing import InThisProcess, folded, log_of, written
from tests.projections.histories import Fact, append, history, states, store_of
from tests.projections.naming import CountedByName


@pytest.mark.parametrize("seed", range(25))
def test_any_number_of_processes_gives_the_same_states(seed: int, tmp_path: Path, started: list[InThisProcess]) -> None:
    with log_of(tmp_path, seed) as store:
        usual = folded(store, 1)
        assert not started
        for count in (2, 3, 4):
            assert folded(store, count) == usual
            assert len(started) == count - 1
            started.clear()


@pytest.mark.parametrize("seed", range(2))
def test_real_processes_give_the_same_states(
    seed: int, tmp_path: Path, processes: list[subprocess.Popen[bytes]]
) -> None:
    with log_of(tmp_path, seed) as store, warnings.catch_warnings():
        warnings.simplefilter("error")
        usual = folded(store, 1)
        assert folded(store, 3) == usual
        assert [process.returncode for process in processes] == [0, 0]


def test_a_store_that_only_reads_is_folded_the_same_way(
    tmp_path: Path, processes: list[subprocess.Popen[bytes]]
) -> None:
    with log_of(tmp_path, 7) as store:
        usual = folded(store, 1)
    with eventstore.open(tmp_path, read_only=True) as store:
        assert folded(store, 2) == usual
        assert [process.returncode for process in processes] == [0]


def test_the_states_count_as_changed_so_that_a_cut_has_them_all(tmp_path: Path, started: list[InThisProcess]) -> None:
    with log_of(tmp_path, 3) as store:
        book = projections.open(store, processes=2)
        usual = states(book._fold)
        for view_state in book._fold.slots.values():
            assert view_state.changed == view_state.states.keys()
        assert book.snapshot()
        assert len(started) == 1
        again = projections.open(store, processes=2)
        assert (again.recovery.cut, len(started)) == (store.head(), 1)
        assert states(again._fold) == usual


def test_what_is_appended_meanwhile_is_folded_afterwards(tmp_path: Path, started: list[InThisProcess]) -> None:
    late: list[Fact] = history(random.Random(99), 20)
    with log_of(tmp_path, 4) as store:
        head = store.head()

        def progress(done: int, total: int) -> None:
            while late:
                append(store, late.pop())

        book = projections.open(store, snapshots=False, processes=2, progress=progress, views=[CountedByName()])
        assert book.position == head < store.head()
        book.refresh()
        assert states(book._fold) == folded(store, 1)


@pytest.mark.parametrize("seed", range(5))
def test_partitions_that_fail_anywhere_are_parked_as_in_one_process(
    seed: int, tmp_path: Path, started: list[InThisProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executions_state, "SYMBOLS_MAX", 1)
    bad = CountedByName()
    bad.bad = {5, *range(20, 40)}
    with log_of(tmp_path, seed) as store:
        usual = projections.open(store, snapshots=False, processes=1, views=[bad])
        several = projections.open(store, snapshots=False, processes=3, views=[bad])
        assert {name for name, _ in usual.parked} == {ExecutionsView.name, CountedByName.name}
        assert len({partition for name, partition in usual.parked if name == ExecutionsView.name}) > 1
        described = [{key: (why.position, str(why)) for key, why in book.parked.items()} for book in (usual, several)]
        assert described[0] == described[1]
        assert states(several._fold) == states(usual._fold)
        assert len(started) == 2


def test_a_rebuild_folds_in_processes_too(tmp_path: Path, started: list[InThisProcess]) -> None:
    with log_of(tmp_path, 5) as store:
        book = projections.open(store, snapshots=False, processes=2)
        usual = states(book._fold)
        book.rebuild(ExecutionsView())
        assert (states(book._fold), len(started)) == (usual, 2)
        # Another process would not know the bound.
        book.rebuild(OrdersView(closed_max=2))
        assert len(started) == 2
        assert max(len(book.state("orders", account).closed) for account in "ABC") <= 2


class MyOrders(OrdersView):
    """A built-in view with something of one's own."""


def test_views_of_one_s_own_and_other_settings_are_folded_here() -> None:
    usual: list[View[Any]] = [OrdersView(), ExecutionsView()]
    others: list[View[Any]] = [MyOrders(), OrdersView(closed_max=2), ExecutionsView(bounded=False), CountedByName()]
    assert [parallel._is_divisible(view) for view in usual] == [True, True]
    assert not any(parallel._is_divisible(view) for view in others)


def test_where_it_cannot_be_divided_it_is_folded_in_one_process(tmp_path: Path, started: list[InThisProcess]) -> None:
    facts = history(random.Random(1), 50)
    projections.open(store_of(facts), processes=2)
    with log_of(tmp_path / "several", 1) as store:
        projections.open(store, snapshots=False, processes=2, accounts=["A", "B"])
        projections.open(store, snapshots=False)
        projections.as_of(store, position=100)
        projections.as_of(store, account="A")
    alone = [(stream, event) for stream, event in facts if stream.split("/")[1] in {"A", SHARED}]
    with written(tmp_path / "one", alone) as store:
        projections.open(store, snapshots=False, processes=2)
    with eventstore.open(tmp_path / "empty") as store:
        projections.open(store, snapshots=False, processes=2)
    assert not started


@pytest.mark.parametrize(
    ("cores", "bounds", "expected"),
    [
        (2, {}, 1),
        (64, {}, 3),
        (1, {}, 0),
        (2, {"RECORDS_MIN": 1_000_000}, 0),
        (2, {"ALONE_SHARE_MAX": 0.2}, 0),
    ],
)
def test_processes_are_started_where_it_pays(
    cores: int,
    bounds: dict[str, float],
    expected: int,
    tmp_path: Path,
    started: list[InThisProcess],
) -> None:
    with log_of(tmp_path, 2) as store, pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
        for name, bound in ({"RECORDS_MIN": 10} | bounds).items():
            patched.setattr(parallel, name, bound)
        assert folded(store, None) == folded(store, 1)
    assert len(started) == expected


@pytest.mark.parametrize("given", [0, -1, 5, True, 2.0, "2"])
def test_other_numbers_of_processes_are_refused(given: object) -> None:
    with pytest.raises(InvalidEvent, match="processes is a number from 1 to 4, or None"):
        projections.open(store_of(), processes=given)  # type: ignore[arg-type]


def test_accounts_are_divided_by_their_records(tmp_path: Path) -> None:
    def facts(account: str, count: int) -> list[Fact]:
        return [fact for fact in history(random.Random(1), 600) if f"/{account}/" in fact[0]][:count]

    with written(tmp_path, [*facts("A", 100), *facts("B", 50), *facts("C", 40)]) as store:
        assert parallel._shares(store, store.head(), 2, is_asked=True) == [frozenset("BC")]
        assert parallel._shares(store, store.head(), 3, is_asked=True) == [frozenset("B"), frozenset("C")]
