"""Marks of equity that a backlog of records led to: they count for the records after those that caused them."""

from __future__ import annotations

import contextlib
import copy
import itertools
from typing import TYPE_CHECKING, Any

from eventstore import Record
from eventstore.events.registry import by_class
from eventstore.ids import keyed_id
from eventstore.streams import account_of
from eventstore.trading import EquityMarked
from projections.views.equity import EquityView
from projections.views.high_water_marks import HighWaterMarksView

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from eventstore import Event, EventStore
    from projections.book import Book
    from projections.risk.policies.protocol import PendingDecision

_VIEWS = (HighWaterMarksView(), EquityView())
MARK = by_class(EquityMarked).name
_TYPES = {by_class(cls).name for view in _VIEWS for cls in view.types or ()}


class UnfoldedMarks:
    """By account, what the views of marks hold where each mark is folded right after the record that caused it.

    A mark is appended at the log's end. Where many records were appended at once, as an import does, all of them are
    before it, and a floor that follows the marks would stand still for all of them. So policies are evaluated with
    these states in place of the book's, until the book has folded the marks themselves.
    """

    def __init__(self) -> None:
        self._states: dict[str, dict[tuple[str, str], Any]] = {}
        self._until = 0

    @contextlib.contextmanager
    def supposed(self, book: Book, record: Record) -> Iterator[None]:
        """Have the book hold the states as they are after a record that it has just folded."""
        states = self._states.get(record.account)
        if states is None:
            yield
            return
        if record.type in _TYPES:
            _apply(states, record.event, record)
        with book.supposing(states):
            yield

    def note(self, book: Book, record: Record, newest: Iterable[PendingDecision], store: EventStore) -> None:
        """Add the account's marks among the newest decisions, those on a record, if the log has records after it."""
        marks = [
            (each, event, stream, key)
            for each in itertools.takewhile(lambda one: one.trigger.record is record, newest)
            for (stream, event), key in zip(each.decision.events, each.keys, strict=True)
            if isinstance(event, EquityMarked) and account_of(stream) == record.account
        ]
        if not marks or record.position >= (head := store.head()):
            return
        self._until = max(self._until, head)
        states = self._states.get(record.account)
        if states is None:
            states = self._states[record.account] = {
                (view.name, record.account): _copied(book.state(view.name, record.account), view) for view in _VIEWS
            }
        for each, event, stream, key in marks:
            mark = Record(
                id=keyed_id(stream, key),
                stream=stream,
                type=MARK,
                schema=by_class(EquityMarked).schema,
                occurred_at=each.trigger.at,
                data=b"",
                actor="",
                note="",
                correlation_id=None,
                causation_id=record.id,
                position=record.position,
                version=0,
                recorded_at=record.recorded_at,
                digest=b"",
                log=record.log,
            )
            _apply(states, event, mark)

    def appended(self, head: int) -> None:
        """Say that the marks are in the log up to its head."""
        if self._states:
            self._until = max(self._until, head)

    def folded(self, position: int) -> None:
        """Forget the states once the book has folded the marks."""
        if self._states and position >= self._until:
            self._states.clear()


def _copied(state: Any, view: HighWaterMarksView | EquityView) -> Any:  # noqa: ANN401 - each view has its own
    return view.initial() if state is None else copy.deepcopy(state)


def _apply(states: Mapping[tuple[str, str], Any], event: Event, record: Record) -> None:
    for view in _VIEWS:
        if isinstance(event, view.types or ()):
            view.apply(states[view.name, record.account], event, record)
