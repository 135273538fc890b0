"""Reference: a saved state as dicts alone, copied on the way in and out, and its snapshots."""

from __future__ import annotations

import copy
from typing import Any

State = dict[str, Any]


class SavedStates:
    """What a state manager must answer after any history of calls."""

    def __init__(self) -> None:
        self.state: State | None = None
        self.snapshots: list[State] = []

    def save(self, positions: State, pairs: State, portfolio: State | None) -> None:
        kept = {} if self.state is None else self.members()
        members = kept if portfolio is None else portfolio
        self.state = copy.deepcopy({"active_positions": positions, "pair_states": pairs} | members)

    def save_position(self, pair: str, position: object) -> None:
        state = self.state or {"active_positions": {}, "pair_states": {}}
        state = copy.deepcopy(state)
        state["active_positions"][pair] = copy.deepcopy(position)
        self.state = state

    def delete(self) -> None:
        self.state = None

    def snapshot(self) -> None:
        if self.state is not None:
            self.snapshots.append(copy.deepcopy(self.state))

    def restore(self, number: int) -> None:
        self.state = copy.deepcopy(self.snapshots[number])

    def members(self) -> State:
        assert self.state is not None
        return {name: value for name, value in self.state.items() if name not in {"active_positions", "pair_states"}}
