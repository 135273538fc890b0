"""`StateManager`: the calls of older state managers, on a store."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import eventstore
from eventstore import EventStore, InfluxSettings, InvalidEvent, StoreError
from eventstore.errors import shown
from gateways.legacy import history, snapshots, summaries, takeover
from gateways.legacy.contents import Current, SavedContents
from gateways.legacy.state_log import Origin, StateLog, Wanted
from gateways.legacy.values import Codec

if TYPE_CHECKING:
    import contextlib
    from types import TracebackType

    from eventstore import Clock
    from gateways.legacy.values import Plain, Serializer

ACCOUNT = "default"
"""The account of a state, unless another is named."""
POSITIONS, PAIR_STATES = "active_positions", "pair_states"
_DATA, _DATA_DEFAULT = "EVENTSTORE_DATA", "data"

State = dict[str, Any]


class StateManager:
    """A program's state: its positions, its pairs' states and its portfolio, saved whole and loaded as it was saved.

    `place` is an open store, a directory, or the path of an older program's JSON file: its state is then kept in a
    directory beside it, and the file's content is taken over if nothing is saved there. Without a place it is
    EVENTSTORE_DATA, else `data`. A call returns True once what it saved is on disk, and raises a StoreError otherwise.
    Any number of threads and processes may use one state; each save replaces the whole of it. `lock`, if given, is held
    during each call.
    """

    def __init__(
        self,
        place: EventStore | str | os.PathLike[str] | None = None,
        lock: contextlib.AbstractContextManager[object] | None = None,
        *,
        account: str = ACCOUNT,
        log: str = "main",
        influx: InfluxSettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._given, self.file = _place_of(place)
        self._lock = threading.RLock() if lock is None else lock
        self._account, self._log_name, self._influx, self._clock = account, log, influx, clock
        self._log: StateLog | None = None
        self.codec = Codec()
        self.initialized = False

    def __enter__(self) -> Self:
        self.initialize()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()

    @property
    def store(self) -> EventStore:
        """The store with the newest state: after `restore_snapshot` that of another log."""
        with self._lock:
            return self.log.store

    @property
    def log(self) -> StateLog:
        """The saves, in the log that is in use now."""
        self.initialize()
        assert self._log is not None
        self._log.current()
        return self._log

    def initialize(self) -> bool:
        """Open the store; every other call does so as well."""
        with self._lock:
            if not self.initialized:
                self._open()
                self.initialized = True
                try:
                    self._begin()
                except BaseException:
                    # Without what could not be taken over, the state would look empty.
                    self.shutdown()
                    raise
        return True

    def shutdown(self) -> None:
        """Close what was opened here; the next call opens it again."""
        with self._lock:
            if self._log is not None:
                self._log.close()
            self._log, self.initialized = None, False

    def save_trading_state(
        self,
        active_positions: Mapping[Any, Any],
        pair_states: Mapping[Any, Any],
        portfolio_data: Mapping[str, Any] | None = None,
        user_id: str | None = None,
    ) -> bool:
        """Save the whole state: positions and pairs that are left out are closed.

        Without `portfolio_data` the portfolio stands as it was saved before; an empty one empties it.
        """
        positions, pairs = self._named(POSITIONS, active_positions), self._named(PAIR_STATES, pair_states)
        portfolio = None if portfolio_data is None else self._portfolio(portfolio_data)
        wanted = Wanted(positions, pairs, portfolio)
        return self._save(lambda _: wanted, Origin(actor=user_id or None))

    def load_trading_state(self) -> State | None:
        """Return `active_positions`, `pair_states` and, beside them, the portfolio's members; None without a state."""
        with self._lock:
            log = self.log
            return self._loaded(log, log.current().state)

    def get_latest_trading_state(self) -> State | None:
        """Return the same as `load_trading_state`."""
        return self.load_trading_state()

    def save_state(self, state: Mapping[str, Any], add_timestamp: bool = True) -> bool:  # noqa: FBT001, FBT002 - as old programs call it
        """Save a state of any members, as `load_state` returns it, by default with `last_save_time`."""
        members = dict(state)
        if add_timestamp:
            members["last_save_time"] = summaries.iso(self.store.clock.now_ns())
        absent = tuple(name for name in (POSITIONS, PAIR_STATES) if name not in members)
        positions = self._named(POSITIONS, members.pop(POSITIONS, {}))
        pairs = self._named(PAIR_STATES, members.pop(PAIR_STATES, {}))
        wanted = Wanted(positions, pairs, self._portfolio(members), absent)
        return self._save(lambda _: wanted, Origin())

    def load_state(self) -> State | None:
        """Return what `save_state` saved; None if nothing is saved."""
        return self.load_trading_state()

    def state_exists(self) -> bool:
        """Return whether a state is saved."""
        with self._lock:
            return self.log.current().state is not None

    def delete_state(self) -> bool:
        """Record that there is no state any more. What was saved stays in the log, and in `get_state_history`."""
        return self._save(lambda _: Wanted((), (), None, exists=False), Origin())

    def save_position(
        self,
        pair: Any,  # noqa: ANN401 - any value
        position_data: Any,  # noqa: ANN401 - the same
        user_id: str | None = None,
        description: str | None = None,
    ) -> bool:
        """Save the position of one pair; all else stands as it was saved before."""
        name, value = self.codec.encode(pair), self.codec.encode(position_data)

        def change(current: Current) -> Wanted:
            log, state = self.log, current.state or SavedContents()
            positions = [(item.name, log.value(item.position)) for item in state.positions]
            places = [number for number, (known, _) in enumerate(positions) if known == name]
            number = places[0] if places else len(positions)
            positions[number : number + 1] = [(name, value)]
            pairs = [(item.name, log.value(item.position)) for item in state.pair_states]
            return Wanted(positions, pairs, None, tuple(each for each in state.absent if each != POSITIONS))

        return self._save(change, Origin(actor=user_id or None, note=description or ""))

    def load_position(self, pair: Any) -> Any:  # noqa: ANN401 - any value
        """Return the position of a pair, None if it has none."""
        state = self.load_trading_state()
        return None if state is None else state.get(POSITIONS, {}).get(pair)

    def get_all_positions(self) -> list[Any]:
        """Return the positions, without their pairs' names."""
        state = self.load_trading_state()
        return [] if state is None else list(state.get(POSITIONS, {}).values())

    def get_portfolio_summary(self) -> State:
        """Return counts, times and the portfolio's members."""
        with self._lock:
            log = self.log
            return summaries.summary(self._loaded(log, log.current().state), log.current())

    def get_state_info(self) -> State:
        """Return whether a state exists, its size as JSON, and when it was saved first and last."""
        with self._lock:
            return summaries.info(self.log)

    def get_state_history(self, state_type: str | None = None, limit: int = 100) -> list[State]:
        """Return what was saved, newest first, at most `limit`: ids, times and who, without the data."""
        with self._lock:
            return history.versions(self.log, state_type, limit)

    def create_snapshot(self, description: str | None = None) -> bool:
        """Mark the state as it is now, named by the clock: `get_state_history` has the name as `version_id`."""
        with self._lock:
            snapshots.create(self.log, description or "")
        return True

    def restore_snapshot(self, snapshot_id: str) -> bool:
        """Begin a new log with the state as it was at a snapshot or another mark of the log.

        The old log stays as it is, but for a last save that names the new one: every manager of this state, in any
        process, works with the new one from then on.
        """
        with self._lock:
            snapshots.restore(self.log, snapshot_id)
        return True

    def health_check(self) -> bool:
        """Return whether this manager is initialized and the store answers."""
        if not self.initialized:
            return False
        try:
            self.get_portfolio_summary()
            return not self.store.doctor()
        except StoreError:
            return False

    def get_system_status(self) -> State:
        """Return what is set up, and how much is saved."""
        with self._lock:
            return summaries.status(self.initialized, self.get_portfolio_summary(), self.store)

    def register_serializer(self, name: str, func: Serializer) -> None:
        """Save objects of the class of this name as the plain values that the function makes of them."""
        self.codec.register(name, serialize=func)

    def register_deserializer(self, name: str, func: Serializer) -> None:
        """Load objects of the class of this name by this function from what the other one made."""
        self.codec.register(name, deserialize=func)

    def _begin(self) -> None:
        """Take over the older program's file, once the store is open."""
        if self.file is not None and self.file.is_file() and self._current() is None:
            takeover.take_over(self.log, self.codec, self.file)

    def _current(self) -> SavedContents | None:
        return self.log.current().contents

    def _open(self) -> None:
        if isinstance(self._given, EventStore):
            self._log = StateLog(self._given, self._account, owned=False, influx=self._influx)
            return
        store = eventstore.open(self._given, log=self._log_name, influx=self._influx, clock=self._clock)
        self._log = StateLog(store, self._account, owned=True, influx=self._influx)

    def _save(self, change: Callable[[Current], Wanted], origin: Origin) -> bool:
        with self._lock:
            self.log.save(change, origin)
        return True

    def _loaded(self, log: StateLog, state: SavedContents | None) -> State | None:
        if state is None:
            return None
        decode = self.codec.decode
        loaded = {
            name: {decode(item.name): decode(log.value(item.position)) for item in items}
            for name, items in ((POSITIONS, state.positions), (PAIR_STATES, state.pair_states))
            if name not in state.absent
        }
        return loaded | (decode(log.value(state.portfolio)) if state.portfolio else {})

    def _named(self, what: str, given: object) -> list[tuple[Plain, Plain]]:
        if not isinstance(given, Mapping):
            msg = f"{what} is a dict by pair, not {shown(given)}: give {{}} where there are none"
            raise InvalidEvent(msg)
        encode = self.codec.encode
        return [(encode(name, what, "a name"), encode(value, what, name)) for name, value in given.items()]

    def _portfolio(self, given: object) -> Plain:
        if not isinstance(given, Mapping):
            msg = f"portfolio_data is a dict, not {shown(given)}"
            raise InvalidEvent(msg)
        if taken := sorted({POSITIONS, PAIR_STATES} & set(given)):
            msg = f"portfolio_data has a member {taken[0]}, which the loaded state has beside it: give it by itself"
            raise InvalidEvent(msg)
        return self.codec.encode(dict(given), "portfolio_data")


def _place_of(place: EventStore | str | os.PathLike[str] | None) -> tuple[EventStore | Path, Path | None]:
    """Return where a state is kept, and the older program's file if that is what was given."""
    if place is None:
        return Path(os.environ.get(_DATA) or _DATA_DEFAULT), None
    if isinstance(place, EventStore):
        return place, None
    path = Path(place)
    if path.suffix.lower() == ".json" or path.is_file():
        return path.with_suffix(".eventstore"), path
    return path, None
