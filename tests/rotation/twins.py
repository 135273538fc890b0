"""Two logs of the same facts: one is rotated on the way, the other has records there that no view folds."""

from typing import Any

import msgspec

import eventstore
import projections
from eventstore import EventStore, ManualClock, Record, trading
from eventstore.batch import AppendOptions
from projections import Book
from projections.rotation import rotate
from tests.places import Place
from tests.projections.histories import states
from tests.projections.random_facts import SECOND, START, Fact


class Twin:
    """A log, and the facts that it was given."""

    def __init__(self, place: Place) -> None:
        self.place, self.clock = place, ManualClock(START)
        self.store: EventStore = eventstore.open(place, clock=self.clock)
        self.given: list[tuple[Fact, AppendOptions]] = []

    def append(self, fact: Fact) -> Record:
        """Append a fact under its number, a second after the last one; every fifth occurred earlier."""
        self.clock.advance(SECOND)
        number = len(self.given) + 1
        options: AppendOptions = {
            "key": str(number),
            "occurred_at": self.clock.now_ns() - (number % 5 == 0) * 7 * SECOND,
            "actor": "test",
        }
        if isinstance(fact[1], trading.Approved):
            options["actor"] = ("second", "third", "test")[number % 3]
        self.given.append((fact, options))
        return self.store.append(*fact, **options)[0]

    def append_again(self, number: int) -> Record:
        """Append a fact once more as it was, under its key."""
        fact, options = self.given[number]
        return self.store.append(*fact, **options)[0]

    def rotate(self) -> int:
        """Rotate the log, and return how many records that adds."""
        before = self.store.head()
        rotate(self.store)
        self.reopen()
        return self.store.head() - before

    def fill(self, count: int) -> None:
        """Append as many records as a rotation added, which no view folds."""
        alert = trading.AlertSent(what="nothing", to="nobody", attempts=1, delivered=True)
        for number in range(count):
            self.store.append("alert/-/filler", alert, key=f"filler {self.store.head()} {number}")

    def reopen(self) -> None:
        self.store.close()
        self.store = eventstore.open(self.place, clock=self.clock)

    def states(self) -> dict[tuple[str, str], Any]:
        """Return all states of a new book."""
        return self.stated(projections.open(self.store, snapshots=False))

    @staticmethod
    def stated(book: Book) -> dict[tuple[str, str], Any]:
        """Return all states of a book, and close it."""
        try:
            return {pair: _without_place(state) for pair, state in states(book._fold).items()}
        finally:
            book.close()

    def close(self) -> None:
        self.store.close()


def _without_place(state: Any) -> Any:  # noqa: ANN401 - any state
    """Return a state whose records lack what they have of their log alone: its name, and its id in their digests."""
    plain = _nameless(msgspec.json.decode(msgspec.json.encode(state)))
    return msgspec.json.decode(msgspec.json.encode(plain), type=type(state))


_OF_UNKNOWN = ("unknown", "fills", "anomaly_counts", "late")


def without_versions(states: dict[tuple[str, str], Any]) -> dict[tuple[str, str], Any]:
    """Return states as JSON whose records lack their version: of other streams than orders' it is not carried on.

    Nor is that of an order which had left no state at the rotation: what comes for it counts as of an unknown one.
    """
    found = {pair: _unversioned(msgspec.json.decode(msgspec.json.encode(state))) for pair, state in states.items()}
    for (view, _), state in found.items():
        if view == "orders":
            for name in _OF_UNKNOWN:
                state.pop(name)
    return found


def _unversioned(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        is_record = value.keys() >= {"digest", "log", "version"}
        return {key: _unversioned(each) for key, each in value.items() if not (is_record and key == "version")}
    return [_unversioned(each) for each in value] if isinstance(value, list) else value


def _nameless(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        known = {key: _nameless(each) for key, each in value.items()}
        return known | {"digest": "", "log": ""} if known.keys() >= {"digest", "log", "position"} else known
    return [_nameless(each) for each in value] if isinstance(value, list | tuple) else value
