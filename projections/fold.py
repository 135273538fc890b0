"""The partitioned fold: records in order into the states of several views, one state for each partition."""

from __future__ import annotations

import contextlib
import decimal
import gc
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from typing_extensions import override

from eventstore.events.registry import by_name
from projections.decimals import FIXED
from projections.view import SHARED, PartitionParked, View, is_by_account

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from eventstore import Event, Record
    from eventstore.events.registry import EventType


class Slot(NamedTuple):
    """One view's part of a fold: its states by partition, those changed since the last cut, those it failed on.

    `waiting` holds, while records are folded, each partition's events: a view folds one partition after the other.
    `turns` counts how often records changed a partition: what was made of its state holds for as long as it stays.
    `saved` has the digest of each partition's state that is in the snapshots' file.
    """

    view: View[Any]
    states: dict[str, Any]
    changed: set[str]
    parked: dict[str, PartitionParked]
    waiting: dict[str, list[tuple[Any, Record]]]
    turns: dict[str, int]
    saved: dict[str, bytes]


class Route(NamedTuple):
    """Where records of one type go: what waits for each view, with the view where its partitions are no accounts.

    `slots` and `names` are those of the same views, each slot with whether its partitions are accounts.
    """

    entries: tuple[tuple[dict[str, list[tuple[Any, Record]]], View[Any] | None], ...]
    decode: Any
    schema: int
    slots: tuple[tuple[Slot, bool], ...]
    names: frozenset[str]


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Fold many records without cyclic garbage collection, which would search all states again and again.

    States refer to nothing that refers to them: with 10,000 accounts it found nothing in a fifth of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Unreadable(NamedTuple):
    """What stands for an event that could not be decoded."""

    error: Exception


class Fold:
    """Folds records into views up to a position; a record at or before it is a repeated delivery and is passed over.

    `accounts` restricts the fold to these accounts and to what belongs to none.
    """

    def __init__(self, views: Iterable[View[Any]] = (), *, accounts: frozenset[str] | None = None) -> None:
        self._told = 0
        # What was taken in, and whether more is being collected: in one value, so that an interruption finds them true.
        self._taken = (0, False)
        self.slots: dict[str, Slot] = {}
        self._accounts = None if accounts is None else accounts | {SHARED}
        self._routes: dict[str, Route] = {}
        for view in views:
            self.add(view)

    @property
    def position(self) -> int:
        """The position up to which every view has folded; set it where what lies before is in their states."""
        return self._told

    @position.setter
    def position(self, position: int) -> None:
        self._told, self._taken = position, (position, False)

    def add(
        self, view: View[Any], states: Mapping[str, Any] | None = None, saved: Mapping[str, bytes] | None = None
    ) -> Slot:
        """Take a view in, with its states as of this fold's position and their digests in a cut, or anew."""
        before = self.slots.get(view.name)
        # A state that came from a cut has no turn of its own yet, and is another one now all the same.
        known = () if before is None else {*before.turns, *before.states, *(states or ())}
        turns = {} if before is None else {partition: before.turns.get(partition, 0) + 1 for partition in known}
        slot = self.slots[view.name] = Slot(
            view, dict(states or {}), set(), {}, defaultdict(list), turns, dict(saved or {})
        )
        self._routes.clear()
        return slot

    def turns(self, wanted: Iterable[tuple[str, str]]) -> tuple[int, ...]:
        """Return how often records changed each of some (view, partition) pairs."""
        slots = self.slots
        return tuple([slots[view].turns.get(partition, 0) for view, partition in wanted])

    def stood_at(self, position: int) -> bool:
        """Tell whether all that was taken in is what lies up to a position: no later record has changed any state."""
        return self._taken[0] == position

    def apply(self, records: Sequence[Record]) -> int:
        """Fold records, oldest first, and return how many were new."""
        self.settle()
        self._taken = (self._taken[0], True)
        at, folded = self._collect(records)
        # From here on all of it is taken, and what an interruption leaves is folded later; before, all comes again.
        self._taken = (at, False)
        self.settle()
        return folded

    def _collect(self, records: Sequence[Record]) -> tuple[int, int]:
        at, folded = self._taken[0], 0
        routes_of, accounts = self._routes, self._accounts
        for record in records:
            if record.position <= at:
                continue
            at = record.position
            folded += 1
            route = routes_of.get(record.type) or self._route(record.type)
            account = record.stream.split("/", 2)[1]
            if not route.entries or (accounts is not None and account not in accounts):
                continue
            try:
                # The usual case of codec.decode, without its calls.
                event = route.decode(record.data) if record.schema == route.schema else record.event
            except Exception as error:  # noqa: BLE001 - an upcaster is its user's code: it stops what needs its event
                event = Unreadable(error)
            pair = (event, record)
            for waiting, view in route.entries:
                partition = account if view is None else self._partition(view, record)
                if partition is not None:
                    waiting[partition].append(pair)
        return at, folded

    def _partition(self, view: View[Any], record: Record) -> str | None:
        try:
            return view.partition(record)
        except Exception as error:  # noqa: BLE001 - as for any failure of a view: it stops no other
            parked = PartitionParked(view.name, record.account, record.position, error)
            self.slots[view.name].parked.setdefault(record.account, parked)
            return None

    def settle(self) -> None:
        """Fold what an interruption has left waiting, if anything."""
        self._forget_collected()
        with decimal.localcontext(FIXED):
            for slot in self.slots.values():
                while slot.waiting:
                    _settle(slot)
        self._told = self._taken[0]

    def _forget_collected(self) -> None:
        """Forget what was being collected when an interruption came: it comes again."""
        taken, is_collecting = self._taken
        if is_collecting:
            for slot in self.slots.values():
                slot.waiting.clear()
            self._taken = (taken, False)

    def observe(self, record: Record, event: Event) -> frozenset[str]:
        """Fold a record that is in no log, and its event as it reads; return which views it may have changed."""
        if self._taken[1]:
            self._forget_collected()
        route = self._routes.get(record.type) or self._route(record.type)
        account = record.stream.split("/", 2)[1]
        if not route.slots or (self._accounts is not None and account not in self._accounts):
            return route.names
        with decimal.localcontext(FIXED):
            for slot, by_account in route.slots:
                partition = account if by_account else self._partition(slot.view, record)
                while slot.waiting:
                    # An interruption has left it.
                    _settle(slot)
                if partition is not None and partition not in slot.parked:
                    _fold_one(slot, partition, event, record)
        return route.names

    def _route(self, name: str) -> Route:
        kind = by_name(name)
        wanting = [slot for slot in self.slots.values() if _wants(slot.view, name)]
        entries = [(slot.waiting, None if is_by_account(slot.view) else slot.view) for slot in wanting]
        decode, schema = (kind.decoder.decode, kind.schema) if kind is not None else (None, 0)
        slots = tuple((slot, is_by_account(slot.view)) for slot in wanting)
        names = frozenset(slot.view.name for slot in wanting)
        route = self._routes[name] = Route(tuple(entries), decode, schema, slots, names)
        return route

    def restored(self, slot: Slot, partition: str, state: Any) -> None:  # noqa: ANN401 - each view has its own
        """Put a partition's refolded state in the place of the one that a failure left."""
        slot.states[partition] = state
        slot.changed.add(partition)
        slot.parked.pop(partition, None)
        slot.turns[partition] = slot.turns.get(partition, 0) + 1

    @override
    def __repr__(self) -> str:
        parked = sum(len(slot.parked) for slot in self.slots.values())
        return f"<Fold of {', '.join(self.slots)} at {self.position}{f', {parked} parked' if parked else ''}>"


def as_read(kind: EventType, event: Event, data: bytes) -> Event:
    """Return an event as its data reads: the event itself where no member would come back as anything else.

    That is tried once for each combination of the members' classes, of those whose values cannot be changed and
    are told exactly by JSON; what has others is decoded each time.
    """
    classes = (kind.cls, *map(type, msgspec.structs.astuple(event)))
    exact = _exact.get(classes)
    if exact:
        return event
    read: Event = kind.decoder.decode(data)
    if exact is None:
        if len(_exact) >= _EXACT_MAX:
            _exact.clear()
        members = tuple(map(type, msgspec.structs.astuple(read)))
        _exact[classes] = members == classes[1:] and _UNCHANGING.issuperset(members)
    return read


_UNCHANGING = frozenset({Decimal, str, int, bool, type(None)})
_EXACT_MAX = 10_000
_exact: dict[tuple[type, ...], bool] = {}


def _wants(view: View[Any], name: str) -> bool:
    kind = by_name(name)
    return view.types is None or (kind is not None and kind.cls in view.types)


def _fold_one(slot: Slot, partition: str, event: Event, record: Record) -> None:
    """Fold one event at once; a failure stops that partition and no other."""
    state = slot.states.get(partition)
    if state is None:
        state = slot.states[partition] = slot.view.initial()
    slot.changed.add(partition)
    try:
        slot.view.apply(state, event, record)
    except BaseException as error:
        slot.parked[partition] = PartitionParked(slot.view.name, partition, record.position, error)
        if not isinstance(error, Exception):
            raise


def _settle(slot: Slot) -> None:
    """Fold what waits for one partition of a view; a failure stops that partition and no other."""
    partition, pairs = next(iter(slot.waiting.items()))
    if partition not in slot.parked:
        state = slot.states.get(partition)
        if state is None:
            state = slot.states[partition] = slot.view.initial()
        slot.changed.add(partition)
        apply, record = slot.view.apply, pairs[0][1]
        try:
            for event, record in pairs:
                if event.__class__ is Unreadable:
                    raise event.error  # noqa: TRY301 - as if the view had met it
                apply(state, event, record)
            # Last: whoever counted before saw an older state, or a part of this one, and finds that it moved on.
            slot.turns[partition] = slot.turns.get(partition, 0) + 1
            # Still guarded: what was folded and waits would be folded twice.
            del slot.waiting[partition]
        except BaseException as error:
            slot.parked[partition] = PartitionParked(slot.view.name, partition, record.position, error)
            slot.turns[partition] = slot.turns.get(partition, 0) + 1
            slot.waiting.pop(partition, None)
            if not isinstance(error, Exception):
                raise
    else:
        del slot.waiting[partition]
