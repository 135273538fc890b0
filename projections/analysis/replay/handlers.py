"""Handlers: what is called with each event of a class, and what is added to an error of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from eventstore import Event, InvalidEvent, UnknownEvent
from eventstore.clock import format_time
from eventstore.errors import shown
from eventstore.events.registry import by_class, by_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventstore import Record
    from projections.book import Book
    from projections.views.timers import Timer

    Handler: TypeAlias = Callable[[Event, Record, Book], object]
    TimerHandler: TypeAlias = Callable[[Timer, Book], object]


class Handlers:
    """Handlers by the name of a type, in the order in which they were added."""

    def __init__(self) -> None:
        self.timers: list[TimerHandler] = []
        self._every: list[Handler] = []
        self._by_name: dict[str, list[Handler]] = {}
        self._merged: dict[str, tuple[Handler, ...]] = {}
        self._numbers: dict[int, int] = {}

    def add(self, kind: Any, handler: Any) -> None:  # noqa: ANN401 - what callers give, checked here
        """Call a handler with each event of a class; of `Event` itself, with every event."""
        if not isinstance(kind, type) or not issubclass(kind, Event):
            msg = f"a handler is for a class of events, as OrderFilled, not {shown(kind)}"
            raise InvalidEvent(msg)
        if not callable(handler):
            msg = f"a handler is called as f(event, record, book), and {shown(handler)} cannot be called"
            raise InvalidEvent(msg)
        (self._every if kind is Event else self._by_name.setdefault(by_class(kind).name, [])).append(handler)
        self._numbers[id(handler)] = len(self._numbers)
        self._merged.clear()

    def of(self, name: str) -> tuple[Handler, ...]:
        """Return the handlers of a type."""
        found = self._merged.get(name)
        if found is None:
            # In the order in which they were added, whether for this class or for all.
            either = [*self._every, *self._by_name.get(name, ())]
            found = self._merged[name] = tuple(sorted(either, key=lambda handler: self._numbers[id(handler)]))
        return found

    def call(self, handlers: tuple[Handler, ...], event: Event | None, record: Record, book: Book) -> None:
        """Call handlers with a record; an error of one says at which record it came."""
        for handler in handlers:
            try:
                # One that cannot be decoded fails here, and a handler that wants none of it is not called.
                event = record.event if event is None else event
                if type(event) is UnknownEvent:
                    self._check_readable(handler, record)
                handler(event, record, book)
            except BaseException as error:
                error.add_note(f"in {named(handler)} at {place_of(record)}")
                raise

    def _check_readable(self, handler: Handler, record: Record) -> None:
        """Raise InvalidEvent for a handler of a class, which is given events of that class alone."""
        if handler not in self._every:
            msg = f"{record.type} of schema {record.schema} is newer than its class here: update the program"
            raise InvalidEvent(msg)

    def call_timers(self, timer: Timer, book: Book) -> None:
        """Call the handlers of timers with one whose time is over."""
        for handler in self.timers:
            try:
                handler(timer, book)
            except BaseException as error:
                error.add_note(f"in {named(handler)} at the end of timer {timer.name} of {timer.account}")
                raise


def named(handler: object) -> str:
    """Return a handler's name."""
    return str(getattr(handler, "__qualname__", None) or type(handler).__name__)


def place_of(record: Record) -> str:
    """Return where a record is: its log position, type, stream and time."""
    place = f"log position {record.position}"
    if record.version == 0:
        place = f"an event observed after log position {record.position}"
    kind = record.type if by_name(record.type) is not None else f"{record.type}, which has no class here"
    return f"{place}: {kind} in {record.stream}, {format_time(record.occurred_at)}"
