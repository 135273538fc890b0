"""Random histories of saves, snapshots, restores, restarts and a second manager, compared with a plain model."""

from __future__ import annotations

import random
import warnings
from pathlib import Path

import pytest

from eventstore import ManualClock
from gateways.legacy import StateManager, StateNotice
from tests.legacy.states import named, value
from tests.memory import directory_in_memory
from tests.proving import rounds
from tests.reference.saved_states import SavedStates


@pytest.mark.slow
@pytest.mark.untraced
def test_any_history_of_calls_leaves_what_was_saved() -> None:
    for seed in rounds("saved states", test=200, prove=20_000):
        with directory_in_memory() as directory:
            play(random.Random(seed), Path(directory))


def play(chance: random.Random, directory: Path) -> None:
    clock = ManualClock("2026-01-02T00:00:00Z")
    managers = [StateManager(directory, clock=clock), StateManager(directory, clock=clock)]
    model = SavedStates()
    try:
        for _ in range(chance.randrange(2, 5)):
            clock.advance(chance.choice([0, 1_000_000_000]))
            step(chance, chance.choice(managers), model)
            if chance.random() < 0.2:
                # The next call opens it again.
                chance.choice(managers).shutdown()
            check(chance.choice(managers), model)
        assert len(snapshot_ids(managers[0])) == len(model.snapshots)
        assert managers[1].store.verify().ok
    finally:
        for manager in managers:
            manager.shutdown()


def step(chance: random.Random, manager: StateManager, model: SavedStates) -> None:
    match chance.randrange(8):
        case 0 | 1 | 2:
            positions, pairs = named(chance), named(chance)
            portfolio = chance.choice([None, {}, {"peak": value(chance), "suspended_pairs": {"A-B"}}])
            assert manager.save_trading_state(positions, pairs, portfolio) is True
            model.save(positions, pairs, portfolio)
        case 3 | 4:
            pair, position = chance.choice(["AAA-BBB", "new", "\0"]), value(chance)
            assert manager.save_position(pair, position, "a user", "why") is True
            model.save_position(pair, position)
        case 5:
            assert manager.delete_state() is True
            model.delete()
        case 6 if model.state is not None:
            assert manager.create_snapshot("a snapshot") is True
            model.snapshot()
        case _ if model.snapshots:
            number = chance.randrange(len(model.snapshots))
            assert manager.restore_snapshot(snapshot_ids(manager)[number]) is True
            model.restore(number)


def snapshot_ids(manager: StateManager) -> list[str]:
    history = manager.get_state_history(limit=10_000)
    return [each["version_id"] for each in reversed(history) if each["operation"] == "snapshot"]


def check(manager: StateManager, model: SavedStates) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", StateNotice)
        assert manager.load_trading_state() == model.state
    assert manager.state_exists() is (model.state is not None)
    positions = {} if model.state is None else model.state["active_positions"]
    assert manager.get_all_positions() == list(positions.values())
