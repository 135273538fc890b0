"""Snapshots of a state are marks of its log; restoring one begins a new log that continues the old one from there."""

from __future__ import annotations

import re
import uuid
import warnings
from typing import TYPE_CHECKING

from msgspec.structs import replace

from eventstore import Batch, DuplicateEvent, InvalidEvent, Overloaded, Unavailable
from eventstore.clock import format_time
from eventstore.errors import shown
from eventstore.streams import check_name, stream_of
from eventstore.trading import LogContinued, Marked
from gateways.legacy import contents
from gateways.legacy.contents import SavedContents
from gateways.legacy.notices import StateNotice
from gateways.legacy.state_log import CONTINUED, LOGS_MAX, Origin, StateLog, Wanted

if TYPE_CHECKING:
    from eventstore import EventStore, Record
    from gateways.legacy.contents import Current

_NUMBERED = re.compile(r"\.\d+$")
_OWN = frozenset({"PairStateSaved", "PortfolioSaved", "Marked", "LogContinued"})
_SAME_SECOND_MAX = 1_000


def create(log: StateLog, description: str, id_: str | None = None, actor: str | None = None) -> str:
    """Mark the newest state, and return the snapshot's id; by default the time, and no two have the same."""
    if log.current().state is None:
        msg = "nothing is saved yet, so there is nothing to snapshot: save a state first"
        raise InvalidEvent(msg)
    name = _named_by_clock(log) if id_ is None else id_
    if id_ is not None and log.store.version(stream_of("mark", "-", id_)):
        msg = f"there is a snapshot or mark {shown(id_)} already: give another id"
        raise InvalidEvent(msg)

    def marked(current: Current) -> SavedContents:
        return replace(current.contents or SavedContents(exists=False), snapshot=name, restored=None)

    mark = Batch(stream_of("mark", "-", name), Marked(name=name), note=description, actor=actor)
    log.amend(marked, Origin(actor=actor, note=description, also=(mark,)))
    return name


def _named_by_clock(log: StateLog) -> str:
    at = format_time(log.store.clock.now_ns())
    name = f"trading_snapshot_{at[:10].replace('-', '')}_{at[11:19].replace(':', '')}"
    id_ = next(
        (
            each
            for each in (name, *(f"{name}_{number}" for number in range(2, _SAME_SECOND_MAX)))
            if not log.store.version(stream_of("mark", "-", each))
        ),
        None,
    )
    if id_ is None:
        msg = f"there are {_SAME_SECOND_MAX:,} snapshots of this second already"
        raise InvalidEvent(msg)
    return id_


def restore_here(log: StateLog, id_: str, actor: str | None = None) -> None:
    """Save the state as it was at a mark again, in the same log: what was saved since stays in its history."""
    log.current()
    with log.logs() as stores:
        source, mark = _find(stores, id_)
        wanted = _wanted(source, _state_at(source, log.account, mark))
    log.save(lambda _: wanted, Origin(actor=actor, note=f"restored {id_}", restored=id_))


def restore(log: StateLog, id_: str) -> None:
    """Begin a new log with the state as of a mark, name it in the old one, and work with it from then on."""
    log.current()
    with log.logs() as stores:
        source, mark = _find(stores, id_)
        if source.chain is not None:
            msg = f"log {source.log} was rotated, and only one that was not is restored: save the state of {id_} again"
            raise InvalidEvent(msg)
        old = _state_at(source, log.account, mark)
        wanted = _wanted(source, old)
        size, root = source.root(mark.position)
        continued = LogContinued(previous=uuid.UUID(bytes=source.log_id), size=size, root=root.hex(), name=source.log)
    _note_others(log.store)
    begun = _begin(log, continued, wanted, id_)

    def pointing(current: Current) -> SavedContents:
        known = current.contents or SavedContents(exists=False)
        return replace(known, continued_in=begun, snapshot=None, restored=None)

    log.amend(pointing, Origin(note=f"restored {id_}"))
    log.current()


def _find(stores: list[EventStore], id_: str) -> tuple[EventStore, Record]:
    """Return the log and the record of a mark, the newest of its name in the newest log that has one."""
    stream = stream_of("mark", "-", id_) if id_ else ""
    for store in stores:
        *_, found = [None, *store.read(stream=stream)] if stream else [None]
        if found is not None:
            return store, found
    msg = f"there is no snapshot or mark {shown(id_)}: get_state_history() lists the snapshots as version_id"
    raise InvalidEvent(msg)


def _state_at(source: EventStore, account: str, mark: Record) -> SavedContents:
    # A snapshot's own save is appended with its mark, right after it.
    after = next(source.read(after=mark.position, limit=1), None)
    if after is not None and after.stream == contents.stream(account):
        saved = contents.read(source, after).state
        if saved is not None and saved.snapshot == mark.entity:
            return saved
    state = contents.newest(source, account, until=mark.position).state
    if state is None:
        msg = f"nothing of {account} was saved yet at the mark {mark.entity}: name a later one"
        raise InvalidEvent(msg)
    return state


def _wanted(source: EventStore, state: SavedContents) -> Wanted:
    log = StateLog(source, "-", owned=False)
    positions, pairs = (
        [(item.name, log.value(item.position)) for item in items] for items in (state.positions, state.pair_states)
    )
    return Wanted(positions, pairs, log.value(state.portfolio) if state.portfolio else {}, state.absent)


def _note_others(store: EventStore) -> None:
    """Say that a new log begins without what the old one has beside the state."""
    if others := sorted({*store.types()} - _OWN):
        warnings.warn(
            f"log {store.log} also has {', '.join(others[:5])}{', …' if len(others) > 5 else ''}: the new log has only "  # noqa: PLR2004 - as many as fit on a line
            "this state. Lockouts and limits remain in the old one, where they are in force",
            StateNotice,
            stacklevel=4,
        )


def _begin(log: StateLog, continued: LogContinued, wanted: Wanted, id_: str) -> str:
    """Return the name of a log that begins with the state; one that was begun by a process that was killed is used."""
    base = _NUMBERED.sub("", log.store.log)
    for number in range(2, LOGS_MAX):
        name = check_name("log", f"{base}.{number}")
        if name == log.store.log:
            continue
        store = log.open_beside(name)
        try:
            first = next(store.read(limit=1), None)
            if first is not None:
                if first.event == continued and _is_unused(store, log.account, id_):
                    return name
                continue
            new = StateLog(store, log.account, owned=False)
            batch = Batch(CONTINUED, continued, key=f"restore {id_}")
            new.save(lambda _: wanted, Origin(also=(batch,), restored=id_))
        except (DuplicateEvent, Overloaded) as e:
            msg = f"another process restores {id_} at the same time: nothing has changed, restore it again"
            raise Unavailable(msg) from e
        finally:
            store.close()
        return name
    msg = f"log {base} was continued {LOGS_MAX:,} times: begin a new directory"
    raise InvalidEvent(msg)


def _is_unused(store: EventStore, account: str, id_: str) -> bool:
    """Return whether a log has the state restored from this mark and nothing since, and nobody was sent to it."""
    newest = contents.newest(store, account)
    return newest.version == 1 and newest.state is not None and newest.state.restored == id_
