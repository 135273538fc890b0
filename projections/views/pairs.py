"""The pairs view: the states of pairs and portfolios that strategies save; and its queries."""

from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec
from typing_extensions import override

from eventstore import Event, Instant, Record, StoreError
from eventstore.streams import unescaped
from eventstore.trading import PairStateSaved, PortfolioSaved
from projections.view import BookReader, View

RESIDENT_MAX = 100
NAMES_MAX = 10_000

Save = type[PairStateSaved] | type[PortfolioSaved]


class TooManyNames(StoreError):
    """An account's pairs and portfolios are bounded; a name is for one strategy's state, not for each change of it."""

    def __init__(self, account: str, name: str) -> None:
        self.account, self.name = account, name
        super().__init__(
            f"{account} has {NAMES_MAX:,} pairs or portfolios and {name!r} is one more: save a state under the same "
            "name again, or use an account of its own"
        )


class SavedState(msgspec.Struct, frozen=True, kw_only=True):
    """A saved state: its JSON decoded into new objects, which the caller may change.

    `version` is the strategy's own number of the state's format, `saved_at` when it was saved (UNIX ns), `position` its
    log position.
    """

    account: str
    name: str
    state: Any
    version: int
    saved_at: Instant
    position: int


class SavedBlob(msgspec.Struct, frozen=True, gc=False):
    """A resident state as JSON text, so that no caller who got the state can change it here."""

    data: bytes
    version: int
    saved_at: Instant
    log_position: int


class SavedStates(msgspec.Struct):
    """The states of one kind by name: the newest 100 resident; for the others, the stream that they were saved to."""

    resident: dict[str, SavedBlob] = {}
    evicted: dict[str, str] = {}
    streams: dict[str, str] = {}
    """The streams that the residents were saved to."""


class PairsState(msgspec.Struct):
    """One account."""

    pairs: SavedStates = msgspec.field(default_factory=SavedStates)
    portfolios: SavedStates = msgspec.field(default_factory=SavedStates)


class PairsView(View[PairsState]):
    """The newest state of each name: the one in the event, else the stream's entity.

    For each account and kind 100 states, of at most 60 KB each, are resident; one saved longer ago is read from its
    stream. There are at most 10,000 names.
    """

    name: ClassVar[str] = "pairs"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (PairStateSaved, PortfolioSaved)

    @override
    def initial(self) -> PairsState:
        return PairsState()

    @override
    def apply(self, state: PairsState, event: Event, record: Record) -> None:
        match event:
            case PairStateSaved():
                _keep(state.pairs, event, record)
            case PortfolioSaved():
                _keep(state.portfolios, event, record)
            case _:
                pass


class Pairs:
    """Queries about the states that strategies saved."""

    def __init__(self, book: BookReader) -> None:
        self._book = book

    def get(self, account: str, name: str) -> SavedState | None:
        """Return the newest state of a pair, or None if none was saved."""
        return self._get(PairStateSaved, account, name)

    def of(self, account: str) -> tuple[SavedState, ...]:
        """Return the newest state of every pair of an account, sorted by name."""
        return self._of(PairStateSaved, account)

    def history(self, account: str, name: str) -> Iterator[SavedState]:
        """Yield every state that was ever saved of a pair, oldest first, from the log."""
        return self._history(PairStateSaved, account, name)

    def portfolio(self, account: str, name: str) -> SavedState | None:
        """Return the newest state of a portfolio, or None if none was saved."""
        return self._get(PortfolioSaved, account, name)

    def portfolios(self, account: str) -> tuple[SavedState, ...]:
        """Return the newest state of every portfolio of an account, sorted by name."""
        return self._of(PortfolioSaved, account)

    def portfolio_history(self, account: str, name: str) -> Iterator[SavedState]:
        """Yield every state that was ever saved of a portfolio, oldest first, from the log."""
        return self._history(PortfolioSaved, account, name)

    def _states(self, kind: Save, account: str) -> SavedStates:
        state: PairsState | None = self._book.state(PairsView.name, account)
        if state is None:
            return SavedStates()
        return state.pairs if kind is PairStateSaved else state.portfolios

    def _get(self, kind: Save, account: str, name: str) -> SavedState | None:
        states = self._states(kind, account)
        # An evicted state enters `evicted` before it leaves `resident`, and one saved again leaves it after it has
        # become resident: between the two lookups it may move, but it is always in one of them.
        blob = states.resident.get(name)
        if blob is None:
            stream = states.evicted.get(name)
            blob = states.resident.get(name)
            if blob is None:
                return None if stream is None else self._newest(kind, account, name, stream)
        state = msgspec.json.decode(blob.data)
        return SavedState(
            account=account,
            name=name,
            state=state,
            version=blob.version,
            saved_at=blob.saved_at,
            position=blob.log_position,
        )

    def _newest(self, kind: Save, account: str, name: str, stream: str) -> SavedState | None:
        newest = None
        for record in self._book.read(stream=stream, types=(kind,)):
            saved = _saved(account, record)
            newest = saved if saved is not None and saved.name == name else newest
        return newest

    def _of(self, kind: Save, account: str) -> tuple[SavedState, ...]:
        states = self._states(kind, account)
        names = sorted({*list(states.resident), *list(states.evicted)})
        found = (self._get(kind, account, name) for name in names)
        return tuple(saved for saved in found if saved is not None)

    def _history(self, kind: Save, account: str, name: str) -> Iterator[SavedState]:
        for record in self._book.read(account=account, types=(kind,)):
            saved = _saved(account, record)
            if saved is not None and saved.name == name:
                yield saved


def _keep(states: SavedStates, event: PairStateSaved | PortfolioSaved, record: Record) -> None:
    name = _name(event, record)
    data = msgspec.json.encode(event.state)
    known = name in states.resident
    if not known and name not in states.evicted and len(states.resident) + len(states.evicted) >= NAMES_MAX:
        raise TooManyNames(record.account, name)
    blob = SavedBlob(data, event.version, record.occurred_at, record.position)
    resident = {other: value for other, value in states.resident.items() if other != name}
    resident[name] = blob
    states.streams[name] = record.stream
    if len(resident) > RESIDENT_MAX:
        oldest = next(iter(resident))
        states.evicted[oldest] = states.streams.pop(oldest)
        del resident[oldest]
    states.resident = resident
    states.evicted.pop(name, None)


def _name(event: PairStateSaved | PortfolioSaved, record: Record) -> str:
    named = event.pair if isinstance(event, PairStateSaved) else event.portfolio
    return unescaped(record.entity) if named is None else named


def _saved(account: str, record: Record) -> SavedState | None:
    event = record.event
    if not isinstance(event, PairStateSaved | PortfolioSaved):
        return None
    return SavedState(
        account=account,
        name=_name(event, record),
        state=event.state,
        version=event.version,
        saved_at=record.occurred_at,
        position=record.position,
    )
