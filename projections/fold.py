"""The partitioned fold: records in order into the states of several views, one state for each partition."""

from __future__ import annotations

import contextlib
import decimal
import functools
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from typing_extensions import override

from eventstore.events.registry import by_name
from eventstore.trading.logs import LOG_ENDED
from projections.cuts.own import OwnEvents
from projections.cuts.states import Undecoded
from projections.decimals import FIXED
from projections.unread import UnreadTypes
from projections.view import SHARED, View, is_by_account, is_of_group, is_volatile, overrides
from projections.view_states import (
    UNDECODED,
    Unusual,
    ViewState,
    broadcast,
    event_of,
    fold_all_postponed,
    fold_observed,
    fold_partition,
    is_parked,
    of_other_schema,
    own_partition,
    postpone_partition,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from eventstore import Event, Record
    from eventstore.events.registry import EventType
    from projections.shares import AccountFilter
    from projections.view_states import Pair

RECORDS_MAX = 8_000
"""How many records are decoded before they are folded: more are folded in several pages."""


class Route(NamedTuple):
    """Where records of one type go, and how they are decoded: looked up once, not for each record.

    `by_account` has `waiting` of each view that wants the type and whose partition is the account; `elsewhere` that of
    the others, with what gives a record's partition. `view_states` has all views that want it; `names` has their names.
    `can_wait` is whether all of them can wait for its events, each in the record's account.
    """

    by_account: tuple[dict[str, list[Pair]], ...]
    elsewhere: tuple[tuple[dict[str, list[Pair]], Callable[[Pair], str | None]], ...]
    decode: Any
    schema: int
    view_states: tuple[tuple[ViewState, Callable[[Pair], str | None] | None], ...]
    names: frozenset[str]
    can_wait: bool


class Fold:
    """Folds records into views up to a log position; a record at or before it was folded already and is skipped.

    `accounts` restricts the fold to these accounts and to what belongs to none.
    """

    def __init__(self, views: Iterable[View[Any]] = (), *, accounts: AccountFilter = None) -> None:
        self._folded = 0
        # The position up to which records are queued or folded, and whether more are being collected: in one value, so
        # that an interruption never finds one without the other.
        self._collected = (0, False)
        self.slots: dict[str, ViewState] = {}
        self.accounts = accounts
        self._accounts = None if accounts is None else accounts | frozenset({SHARED})
        self._routes: dict[str, Route] = {}
        self._has_volatile, self._has_postponed = True, False
        self.unread = UnreadTypes()
        self.own_events = OwnEvents()
        self.ended: Record | None = None
        """The record that ended a log, where it is the last one that was folded."""
        for view in views:
            self.add(view)

    @property
    def log_position(self) -> int:
        """The log position up to which every view has folded; set it where the states already hold what precedes it."""
        return self._folded

    @log_position.setter
    def log_position(self, log_position: int) -> None:
        if not self._folded:
            self.unread.begin(log_position)
        self._folded, self._collected = log_position, (log_position, False)

    def add(
        self, view: View[Any], states: Mapping[str, Any] | None = None, saved: Mapping[str, bytes] | None = None
    ) -> ViewState:
        """Add a view, or replace it: with its states at this fold's position and their digests in a cut, or empty."""
        before = self.slots.get(view.name)
        # Every partition counts as changed once more, also one that only the old or only the new view has: what was
        # derived from the replaced view's states is void.
        known = () if before is None else {*before.change_counts, *before.states, *(states or ())}
        counts = (
            {} if before is None else {partition: before.change_counts.get(partition, 0) + 1 for partition in known}
        )
        added = ViewState(
            view,
            dict(states or {}),
            set(),
            {},
            defaultdict(list),
            counts,
            dict(saved or {}),
            bool(view.broadcast),
            view.finish if overrides(view, "finish") else None,
            view.apply_page if overrides(view, "apply_page") else None,
        )
        self.slots[view.name] = added
        self._routes.clear()
        return added

    def end_volatile(self) -> None:
        """Fold nothing more into volatile views, as in a book of the past: what was observed then is not known."""
        self._has_volatile = False
        self._routes.clear()

    def change_counts(self, wanted: Iterable[tuple[str, str]]) -> tuple[int, ...]:
        """Return how often records changed each of some (view, partition) pairs."""
        slots = self.slots
        return tuple([slots[view].change_counts.get(partition, 0) for view, partition in wanted])

    @property
    def changed_partitions(self) -> int:
        """How many partitions have changed since the last cut, in the view that has most of them."""
        return max((len(view_state.changed) for view_state in self.slots.values()), default=0)

    def unchanged_since(self, log_position: int) -> bool:
        """Return whether no record after a position has changed any state, or is about to."""
        return self._collected[0] == log_position

    def apply(self, records: Sequence[Record], *, postponed: bool = False) -> int:
        """Fold records, oldest first, and return how many were new.

        `postponed`: those of views that can wait are folded when their partition is asked for.
        """
        if len(records) > RECORDS_MAX:
            pages = range(0, len(records), RECORDS_MAX)
            return sum([self.apply(records[start : start + RECORDS_MAX], postponed=postponed) for start in pages])
        self.fold_waiting()
        self._collected = (self._collected[0], True)
        last, new = self._collect(records, postponed=postponed)
        if new:
            self.ended = records[-1] if records[-1].type == LOG_ENDED else None
        # Interrupted before this line, nothing was folded: the caller's next try brings all of these records again.
        # Interrupted after it, the rest is in `waiting`, and the next call folds that first.
        self._collected = (last, False)
        if postponed:
            self._postpone_waiting()
        self.fold_waiting()
        return new

    def _postpone_waiting(self) -> None:
        """Postpone what views want that can wait, unless SHARED, beside which they are folded, changes in this page.

        SHARED may be ahead of what is folded beside it by a page, not more: it remembers only so much.
        """
        self._has_postponed = True
        for view_state in self.slots.values():
            if not view_state.view.can_wait:
                continue
            if view_state.is_beside and SHARED in view_state.waiting:
                fold_all_postponed(view_state)
                for pairs in view_state.waiting.values():
                    pairs[:] = [(event_of(record) if event is UNDECODED else event, record) for event, record in pairs]
                continue
            while view_state.waiting:
                postpone_partition(view_state)

    def fold_postponed(self) -> None:
        """Fold all that is postponed."""
        if self._has_postponed:
            for view_state in self.slots.values():
                fold_all_postponed(view_state)
            self._has_postponed = False

    def postponed(self) -> list[tuple[ViewState, str]]:
        """Return the partitions of each view for which something is postponed."""
        if not self._has_postponed:
            return []
        return [
            (view_state, partition)
            for view_state in self.slots.values()
            for partition, state in list(view_state.states.items())
            if state.__class__ is Undecoded and state.postponed
        ]

    def _collect(self, records: Sequence[Record], *, postponed: bool = False) -> tuple[int, int]:  # noqa: C901 - calls cost, and this runs for every record
        """Decode records and queue them in `waiting`; return the last one's position and how many were new."""
        last, new = self._collected[0], 0
        routes, accounts = self._routes, self._accounts
        counts, most = self.own_events.counts, self.own_events.most
        for record in records:
            if record.position <= last:
                continue
            last = record.position
            new += 1
            route = routes.get(record.type) or self._route(record.type)
            if route.decode is None:
                self.unread.note(record)
            account = record.stream.split("/", 2)[1]
            counts[account] = count = counts[account] + 1
            if count > most and account != SHARED:
                most = count
            if not route.view_states or not (accounts is None or account in accounts or is_of_group(record)):
                continue
            if postponed and route.can_wait:
                event = UNDECODED
            else:
                try:
                    # The usual case of codec.decode, without its calls.
                    event = route.decode(record.data) if record.schema == route.schema else of_other_schema(record)
                except Exception as error:  # noqa: BLE001 - an upcaster is its user's code: it stops what needs its event
                    event = Unusual(error)
            pair = (event, record)
            for waiting in route.by_account:
                waiting[account].append(pair)
            if route.elsewhere:
                _queue_elsewhere(route, pair)
        self.own_events.most = most
        return last, new

    def fold_waiting(self) -> None:
        """Fold what is queued: the page just collected, or what an interruption left of the last one."""
        self._discard_incomplete()
        with decimal.localcontext(FIXED):
            for view_state in self.slots.values():
                # Not a loop over items: a partition leaves the queue only once it is folded.
                while view_state.waiting:
                    fold_partition(view_state)
        # The new position becomes visible only after every view has reached it.
        self._folded = self._collected[0]

    def _discard_incomplete(self) -> None:
        """Empty the queue if an interruption came while it was filled: the same records come again."""
        last, is_collecting = self._collected
        if is_collecting:
            for view_state in self.slots.values():
                view_state.waiting.clear()
            self._collected = (last, False)

    def observe(self, record: Record, event: Event) -> frozenset[str]:
        """Fold a record that is in no log, with its event as decoding would give it; return the views it may change."""
        if self._collected[1]:
            self._discard_incomplete()
        route = self._routes.get(record.type) or self._route(record.type)
        account = record.stream.split("/", 2)[1]
        if not route.view_states or (self._accounts is not None and account not in self._accounts):
            return route.names
        with decimal.localcontext(FIXED):
            for view_state, partition_of in route.view_states:
                # Stored records that an interruption left come first: they are older than what is observed.
                while view_state.waiting:
                    fold_partition(view_state)
                partition = account if partition_of is None else partition_of((event, record))
                if partition is not None and not is_parked(view_state, partition):
                    fold_observed(view_state, partition, event, record)
                # Where it is broadcast, it waits for the other partitions that it concerns.
                while view_state.waiting:
                    fold_partition(view_state)
        return route.names

    def _route(self, name: str) -> Route:
        kind = by_name(name)
        views = [each for each in self.slots.values() if self._has_volatile or not is_volatile(each.view)]
        wanting = tuple((each, _placing(each, name)) for each in views if _wants(each.view, name))
        by_account = tuple(each.waiting for each, partition_of in wanting if partition_of is None)
        elsewhere = tuple((each.waiting, partition_of) for each, partition_of in wanting if partition_of is not None)
        decode, schema = (kind.decoder.decode, kind.schema) if kind is not None else (None, 0)
        names = frozenset(each.view.name for each, _ in wanting)
        # A list: an interruption that reaches a generator as it is dropped is lost.
        can_wait = not elsewhere and False not in [each.view.can_wait for each, _ in wanting]
        route = self._routes[name] = Route(by_account, elsewhere, decode, schema, wanting, names, can_wait)
        return route

    def take_over(self, other: Fold) -> None:
        """Have another fold's views, with all their states, in place of this one's of the same names."""
        self.slots.update(other.slots)
        self._routes.clear()

    def merge(self, other: Fold) -> None:
        """Take over the states of another fold, which is of the same views and position, and of other accounts."""
        for name, found in other.slots.items():
            own = self.slots[name]
            own.states.update(found.states)
            own.saved.update(found.saved)
            own.changed.update(found.changed)
            own.parked.update(found.parked)
            for partition, count in found.change_counts.items():
                own.change_counts[partition] = own.change_counts.get(partition, 0) + count

    def replace_state(self, view_state: ViewState, partition: str, state: Any) -> None:  # noqa: ANN401 - each view has its own
        """Replace a parked partition's state by one that was folded again."""
        view_state.states[partition] = state
        view_state.changed.add(partition)
        view_state.parked.pop(partition, None)
        view_state.change_counts[partition] = view_state.change_counts.get(partition, 0) + 1

    @contextlib.contextmanager
    def supposing(self, states: Mapping[tuple[str, str], Any]) -> Iterator[None]:
        """Have other states of some (view, partition) pairs meanwhile; nothing may be folded."""
        before = {pair: self.slots[pair[0]].states.get(pair[1]) for pair in states}
        self._exchange(states)
        try:
            yield
        finally:
            self._exchange(before)

    def _exchange(self, states: Mapping[tuple[str, str], Any]) -> None:
        for (view, partition), state in states.items():
            view_state = self.slots[view]
            if state is None:
                view_state.states.pop(partition, None)
            else:
                view_state.states[partition] = state
            view_state.change_counts[partition] = view_state.change_counts.get(partition, 0) + 1

    @override
    def __repr__(self) -> str:
        parked = sum(len(view_state.parked) for view_state in self.slots.values())
        return f"<Fold of {', '.join(self.slots)} at {self.log_position}{f', {parked} parked' if parked else ''}>"


def _queue_elsewhere(route: Route, pair: Pair) -> None:
    """Queue a record in the views whose partition of it is not its account."""
    for waiting, partition_of in route.elsewhere:
        partition = partition_of(pair)
        if partition is not None:
            waiting[partition].append(pair)


def as_decoded(kind: EventType, event: Event, data: bytes) -> Event:
    """Return an event as decoding its data gives it: the event itself where that would change no member.

    Whether it would is found out once for each combination of the members' classes, if all of them are immutable and
    survive JSON exactly; events with members of other classes are decoded each time.
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


def _placing(view_state: ViewState, name: str) -> Callable[[Pair], str | None] | None:
    """Return what gives the partition of records of a type in a view; None where it is the account."""
    kind = by_name(name)
    if kind is not None and kind.cls in view_state.view.broadcast:
        return functools.partial(broadcast, view_state)
    if view_state.view.shared:
        return _shared
    return None if is_by_account(view_state.view) else functools.partial(own_partition, view_state)


def _shared(_pair: Pair) -> str:
    return SHARED
