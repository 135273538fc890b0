"""The history of any view: a row for each change of a partition's state."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import inspect

from eventstore import InvalidEvent
from eventstore.arguments import accounts_of
from eventstore.clock import to_ns
from eventstore.errors import shown
from projections.analysis.columns import Column, Kind, exact_of, kind_of
from projections.analysis.frame import Frame
from projections.analysis.progress import Progress
from projections.analysis.row_batches import batches_of
from projections.analysis.sources import AXES, OCCURRED, opened
from projections.builtin import builtin_views
from projections.fold import Fold
from projections.reading import tail
from projections.view import View, completed, is_by_account, is_volatile, views_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from eventstore.clock import Times
    from projections.analysis.columns import Exact
    from projections.analysis.sources import Source

CHANGES = (
    Column("position", Kind.INTEGER),
    Column("recorded_at", Kind.INSTANT),
    Column("occurred_at", Kind.INSTANT),
    Column("partition", Kind.TEXT),
)
_NAMES = frozenset(column.name for column in CHANGES)
_JSON = msgspec.json.Encoder(decimal_format="string")


def history(
    store: Source,
    view: View[Any] | str,
    *,
    members: Sequence[str] | None = None,
    account: str | None = None,
    start: Times | None = None,
    stop: Times | None = None,
    time: str = OCCURRED,
    exact: Exact = False,
    progress: bool | None = None,
) -> Frame:
    """Return how a view's states changed: a row for each record that changed a partition's state, as it was then.

    `view` is a view of your own, or the name of a built-in one. The columns are the record's log position and times,
    the partition, and the state's members: numbers, text, instants and enums as such, all others as JSON. `members`
    chooses some, and a row is a change of these; a large state is best asked for few of them. A member that is called
    like a column of the record is `state_` and its name.

    Rows are in the order of the log. `start` and `stop` leave out changes, not what they rest on: all is folded from
    the first record. `account`: only its records and those of no account. Raises InvalidEvent for a view that rests on
    observed events, and PartitionParked where the view fails.
    """
    chosen = _view_of(view)
    fields = _fields_of(chosen, members)
    if time not in AXES:
        msg = f"time is {' or '.join(map(repr, AXES))}, not {shown(time)}"
        raise InvalidEvent(msg)
    accounts = None if account is None else accounts_of((account,))
    asked = exact_of(exact)
    first, last = (None if bound is None else to_ns(bound) for bound in (start, stop))
    with opened(store) as reader:
        until = reader.head()
    member = "occurred_at" if time == OCCURRED else "recorded_at"
    columns = (*CHANGES, *(column for _, column in fields))

    def rows() -> Iterator[tuple[Any, ...]]:
        changes = _Changes(chosen, fields, accounts)
        with opened(store) as reader, Progress(until, progress) as shown_progress:
            for page in tail(reader, 0, until, accounts):
                for record in page:
                    found = changes.after(record)
                    at = getattr(record, member)
                    if (first is None or first <= at) and (last is None or at < last):
                        for partition, values in found:
                            yield (record.position, record.recorded_at, record.occurred_at, partition, *values)
                shown_progress.at(page[-1].position)

    return Frame(columns, lambda: batches_of(rows(), columns, asked), exact=asked, title=f"changes of {chosen.name}")


class _Changes:
    """Folds one record after the other, and says which partitions' states have changed."""

    def __init__(self, view: View[Any], fields: Sequence[tuple[str, Column]], accounts: frozenset[str] | None) -> None:
        self._fold = Fold(accounts=accounts)
        self._state = self._fold.add(view)
        self._only = accounts if is_by_account(view) else None
        self._getters: list[tuple[str, Callable[[Any], Any]]] = [
            (name, _as_json if column.kind is Kind.JSON else _as_is) for name, column in fields
        ]
        self._before: dict[str, tuple[Any, ...]] = {}
        self._initial = self._values(view.initial())

    def after(self, record: Any) -> list[tuple[str, tuple[Any, ...]]]:  # noqa: ANN401 - a record
        slot = self._state
        slot.changed.clear()
        self._fold.apply([record])
        found = []
        for partition in sorted(slot.changed):
            if partition in slot.parked:
                raise slot.parked[partition]
            if self._only is not None and partition not in self._only:
                continue
            values = self._values(slot.states[partition])
            if values != self._before.get(partition, self._initial):
                self._before[partition] = values
                found.append((partition, values))
        return found

    def _values(self, state: Any) -> tuple[Any, ...]:  # noqa: ANN401 - each view has a state of its own
        return tuple([take(getattr(state, name)) for name, take in self._getters])


def _as_is(value: Any) -> Any:  # noqa: ANN401 - any member of any state
    return value


def _as_json(value: Any) -> str | None:  # noqa: ANN401 - the same
    """Return a value as JSON text; null is None. What JSON has no key for, such as a pair, is written as text."""
    if value is None:
        return None
    try:
        return _JSON.encode(value).decode()
    except (TypeError, ValueError):
        return _JSON.encode(msgspec.to_builtins(value, str_keys=True)).decode()


def _view_of(given: object) -> View[Any]:
    """Return a view, a built-in one by its name; raise InvalidEvent for what is none, or is not folded from a log."""
    if isinstance(given, str):
        builtin = {view.name: view for view in builtin_views()}
        if given not in builtin:
            close = difflib.get_close_matches(given, builtin, n=1)
            hint = f"did you mean {close[0]}?" if close else f"the built-in ones are {', '.join(builtin)}"
            msg = f"{shown(given)} is not a view: {hint}"
            raise InvalidEvent(msg)
        view = builtin[given]
    else:
        view = completed(views_of((given,))[0])
    if is_volatile(view):
        msg = f"view {view.name} rests on observed events, which are not stored: it has no history"
        raise InvalidEvent(msg)
    return view


def _fields_of(view: View[Any], members: object) -> list[tuple[str, Column]]:
    """Return a state's members, each with its column; raise InvalidEvent for members that it does not have."""
    state = type(view.initial())
    if not issubclass(state, msgspec.Struct):
        msg = f"the state of view {view.name} is {state.__name__}: it must be a msgspec.Struct to have columns"
        raise InvalidEvent(msg)
    names = state.__struct_fields__
    if members is None:
        chosen = names
    else:
        given: list[str] = list(members) if isinstance(members, Iterable) and not isinstance(members, str) else []
        chosen = tuple(dict.fromkeys(given))
        if not chosen or (unknown := [name for name in chosen if name not in names]):
            msg = f"no members {shown(members if not chosen else unknown)}: view {view.name} has {', '.join(names)}"
            raise InvalidEvent(msg)
    kinds = _kinds_of(state)
    return [(name, Column(f"state_{name}" if name in _NAMES else name, *kinds[name])) for name in chosen]


def _kinds_of(state: type[msgspec.Struct]) -> dict[str, tuple[Kind, tuple[str, ...]]]:
    try:
        declared = {field.name: field.type for field in inspect.type_info(state).fields}  # type: ignore[attr-defined] # a struct's
    except (TypeError, NameError, AttributeError):
        # It has a member of a type that msgspec does not read.
        declared = {}
    return {name: kind_of(declared[name]) if name in declared else (Kind.JSON, ()) for name in state.__struct_fields__}
