"""The partitioned fold: records in order into the states of several views, one state for each partition."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from typing_extensions import override

from eventstore.events.registry import by_name
from projections.view import FIXED, SHARED, PartitionParked, View

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from eventstore import Event, Record


class Slot(NamedTuple):
    """One view's part of a fold: its states by partition, those changed since the last cut, those it failed on."""

    view: View[Any]
    states: dict[str, Any]
    changed: set[str]
    parked: dict[str, PartitionParked]


class Route(NamedTuple):
    """Where records of one type go: each slot with its view's `apply`, and whether its partitions are accounts."""

    entries: tuple[tuple[Slot, Callable[..., None], bool], ...]
    decode: Any
    schema: int


class Fold:
    """Folds records into views up to a position; a record at or before it is a repeated delivery and is passed over.

    `accounts` restricts the fold to these accounts and to what belongs to none.
    """

    def __init__(self, views: Iterable[View[Any]] = (), *, accounts: frozenset[str] | None = None) -> None:
        self.position = 0
        self.slots: dict[str, Slot] = {}
        self._accounts = None if accounts is None else accounts | {SHARED}
        self._routes: dict[str, Route] = {}
        for view in views:
            self.add(view)

    def add(self, view: View[Any], states: Mapping[str, Any] | None = None) -> Slot:
        """Take a view in, with its states as of this fold's position, or anew."""
        slot = self.slots[view.name] = Slot(view, dict(states or {}), set(), {})
        self._routes.clear()
        return slot

    def apply(self, records: Sequence[Record]) -> int:
        """Fold records, oldest first, and return how many were new."""
        at, folded = self.position, 0
        routes_of, accounts = self._routes, self._accounts
        with decimal.localcontext(FIXED):
            for record in records:
                if record.position <= at:
                    continue
                at = record.position
                folded += 1
                route = routes_of.get(record.type)
                if route is None:
                    route = self._route(record.type)
                if not route.entries:
                    continue
                account = record.stream.split("/", 2)[1]
                if accounts is None or account in accounts:
                    self._deliver(record, account, route)
        self.position = at
        return folded

    def observe(self, record: Record) -> list[tuple[str, str]]:
        """Fold a record that is in no log; return the views and partitions that it has changed."""
        route = self._route(record.type)
        with decimal.localcontext(FIXED):
            self._deliver(record, record.account, route)
        return [(slot.view.name, slot.view.partition(record)) for slot, _, _ in route.entries]

    def _deliver(self, record: Record, account: str, route: Route) -> None:
        event: Event | None = None
        for slot, apply, by_account in route.entries:
            partition = account if by_account else slot.view.partition(record)
            state = slot.states.get(partition)
            if state is None:
                state = slot.states[partition] = slot.view.initial()
            elif partition in slot.parked:
                continue
            slot.changed.add(partition)
            try:
                if event is None:
                    # The usual case of codec.decode, without its calls: it is half a million times a second's.
                    event = route.decode(record.data) if record.schema == route.schema else record.event
                apply(state, event, record)
            except Exception as error:  # noqa: BLE001 - whatever a view fails with stops one partition and no other
                slot.parked[partition] = PartitionParked(slot.view.name, partition, record.position, error)

    def _route(self, name: str) -> Route:
        kind = by_name(name)
        entries = []
        for slot in self.slots.values():
            types = slot.view.types
            if types is None or (kind is not None and kind.cls in types):
                by_account = type(slot.view).partition is View.partition
                entries.append((slot, slot.view.apply, by_account))
        decode, schema = (kind.decoder.decode, kind.schema) if kind is not None else (None, 0)
        route = self._routes[name] = Route(tuple(entries), decode, schema)
        return route

    def restored(self, slot: Slot, partition: str, state: Any) -> None:  # noqa: ANN401 - each view has its own
        """Put a partition's refolded state in the place of the one that a failure left."""
        slot.states[partition] = state
        slot.changed.add(partition)
        slot.parked.pop(partition, None)

    @override
    def __repr__(self) -> str:
        parked = sum(len(slot.parked) for slot in self.slots.values())
        return f"<Fold of {', '.join(self.slots)} at {self.position}{f', {parked} parked' if parked else ''}>"
