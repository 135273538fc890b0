"""What is said about a state without loading it elsewhere: summary, status, and file information as older ones gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventstore.clock import format_time

if TYPE_CHECKING:
    from eventstore import EventStore
    from gateways.legacy.contents import Current
    from gateways.legacy.state_log import StateLog

DATABASE_TYPE = "eventstore"
_POSITIONS, _PAIR_STATES = "active_positions", "pair_states"


def iso(instant: int) -> str:
    """Return UNIX ns as ISO 8601 text in UTC."""
    return format_time(instant)


def summary(state: dict[str, Any] | None, current: Current) -> dict[str, Any]:
    """Return counts, times and the portfolio's members; a member that is called like one of the others gives way."""
    members = {} if state is None else {k: v for k, v in state.items() if k not in {_POSITIONS, _PAIR_STATES}}
    positions = {} if state is None else state.get(_POSITIONS, {})
    pairs = {} if state is None else state.get(_PAIR_STATES, {})
    saved_at = None if state is None else iso(current.saved_at)
    return (
        {"last_save_time": saved_at}
        | members
        | {
            "exists": state is not None,
            "active_positions_count": len(positions),
            "pair_states_count": len(pairs),
            "positions_summary": {name: _of_position(position) for name, position in positions.items()},
            "database_type": DATABASE_TYPE,
            "last_update": saved_at,
        }
    )


def _of_position(position: object) -> dict[str, Any]:
    if not isinstance(position, dict):
        return {}
    return {name: position[name] for name in ("direction", "symbol1", "symbol2", "entry_time") if name in position}


def status(initialized: bool, found: dict[str, Any], store: EventStore) -> dict[str, Any]:  # noqa: FBT001 - one of the figures
    """Return what is set up, and how much is saved."""
    return {
        "initialized": initialized,
        "database_type": DATABASE_TYPE,
        "api_enabled": False,
        "api_running": False,
        "cache_enabled": False,
        "file_fallback_enabled": False,
        "timestamp": iso(store.clock.now_ns()),
        "active_positions": found["active_positions_count"],
        "pair_states": found["pair_states_count"],
        "last_update": found["last_update"],
        "log": store.log,
        "directory": None if store.directory is None else str(store.directory.parent),
    }


def info(log: StateLog) -> dict[str, Any]:
    """Return what older managers said of the state's file: whether it exists, its size, and its times."""
    current = log.current()
    if current.state is None:
        return {"exists": False, "size": 0, "modified_time": None, "created_time": None}
    from gateways.legacy import contents

    places = {item.position for item in current.state.items().values()} | {current.state.portfolio} - {0}
    first = next(log.store.read(stream=contents.stream(log.account), limit=1))
    return {
        "exists": True,
        "size": sum(len(log.text(place)) for place in places),
        "modified_time": iso(current.saved_at),
        "created_time": iso(first.occurred_at),
    }
