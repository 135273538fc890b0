"""Ids of corrections: a venue may name a trade by the id of its latest correction instead of by its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from projections.views.executions.unknown_trades import taken_back

if TYPE_CHECKING:
    from eventstore import Record
    from projections.views.executions.state import Amendment, ExecutionsState

CORRECTIONS_MAX = 1_000
"""How many ids of corrections are kept of an account, the newest."""
CHAIN_MAX = 100
"""Through how many corrections of corrections a trade is looked for."""


def corrected_trade_id(state: ExecutionsState, trade_id: str) -> str:
    """Return the id of the trade that an id names: its own, or that of one of its corrections."""
    for _ in range(CHAIN_MAX):
        earlier = state.corrections.get(trade_id)
        if earlier is None:
            break
        trade_id = earlier
    return trade_id


def name_by_correction(state: ExecutionsState, correction_id: str, trade_id: str, record: Record) -> list[Amendment]:
    """Let a correction's id name its trade; return what was recorded before by that id, as of this record."""
    # A trade of this very id, and a circle of ids, name what they did before.
    if state.recent.find(correction_id) or corrected_trade_id(state, trade_id) == correction_id:
        return []
    state.corrections[correction_id] = trade_id
    if len(state.corrections) > CORRECTIONS_MAX:
        del state.corrections[next(iter(state.corrections))]
    found: list[Amendment] = []
    kept: list[Amendment] = []
    for each in sorted(state.waiting.pop(correction_id, ()), key=when_made):
        if taken_back(state, each, record.recorded_at):
            again = replace(by_trade_id(each, trade_id), key="", parts=0, recorded_at=record.recorded_at)
            found.append(replace(again, log_position=record.position))
        else:
            kept.append(each)
    if kept:
        state.waiting[correction_id] = tuple(kept)
    return found


def by_trade_id(amendment: Amendment, trade_id: str) -> Amendment:
    """Return an amendment by its trade's own id, which its stream does not have: it says nothing to an order."""
    return replace(amendment, trade_id=trade_id, stream="")


def when_made(amendment: Amendment) -> tuple[int, int]:
    """Return a key by which amendments are in the order in which they were made, whichever was recorded first."""
    return amendment.at, amendment.log_position
