"""What strategies keep of their own: pairs and portfolios."""

from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec
from typing_extensions import override

from eventstore import Event, Instant, Record, StoreError
from eventstore.trading import PairStateSaved, PortfolioSaved
from projections.view import Lens, View

RESIDENT_MAX = 100
NAMES_MAX = 10_000

Save = type[PairStateSaved] | type[PortfolioSaved]


class TooManyNames(StoreError):
    """An account's pairs and portfolios are bounded; a name is for a strategy's state, not for each change of it."""

    def __init__(self, account: str, name: str) -> None:
        self.account, self.name = account, name
        super().__init__(
            f"{account} has {NAMES_MAX:,} pairs or portfolios and {name!r} is one more: save a state under the same "
            "name again, or use an account of its own"
        )


class SavedState(msgspec.Struct, frozen=True, kw_only=True):
    """A saved state: JSON as it was given, in objects of the caller's own; nothing else holds them.

    `version` is the strategy's number for the state's form, `saved_at` when it was saved (UNIX ns), `position` the
    record's in the log.
    """

    account: str
    name: str
    state: Any
    version: int
    saved_at: Instant
    position: int


class SavedBlob(msgspec.Struct, frozen=True, gc=False):
    """A resident state, as JSON text: nobody who was handed the state can change it here."""

    data: bytes
    version: int
    saved_at: Instant
    position: int


class SavedStates(msgspec.Struct):
    """The states of one kind by name: the newest 100 resident; of the others, the stream that they were saved to."""

    resident: dict[str, SavedBlob] = {}
    elsewhere: dict[str, str] = {}
    streams: dict[str, str] = {}
    """Where the residents were saved to."""


class PairsState(msgspec.Struct):
    """One account."""

    pairs: SavedStates = msgspec.field(default_factory=SavedStates)
    portfolios: SavedStates = msgspec.field(default_factory=SavedStates)


class PairsView(View[PairsState]):
    """The newest state of each name: what the event says, else the stream's entity.

    For each account and kind 100 states, of at most 60 KB each, are resident; one that was saved longer ago is read
    from its stream. There are at most 10,000 names.
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
    """Questions about the states that strategies saved."""

    def __init__(self, lens: Lens) -> None:
        self._lens = lens

    def get(self, account: str, name: str) -> SavedState | None:
        """Return the newest state of a pair, or None where none was saved."""
        return self._get(PairStateSaved, account, name)

    def of(self, account: str) -> tuple[SavedState, ...]:
        """Return the newest state of every pair of an account, sorted by name."""
        return self._of(PairStateSaved, account)

    def history(self, account: str, name: str) -> Iterator[SavedState]:
        """Yield every state that was ever saved of a pair, oldest first, from the log."""
        return self._history(PairStateSaved, account, name)

    def portfolio(self, account: str, name: str) -> SavedState | None:
        """Return the newest state of a portfolio, or None where none was saved."""
        return self._get(PortfolioSaved, account, name)

    def portfolios(self, account: str) -> tuple[SavedState, ...]:
        """Return the newest state of every portfolio of an account, sorted by name."""
        return self._of(PortfolioSaved, account)

    def portfolio_history(self, account: str, name: str) -> Iterator[SavedState]:
        """Yield every state that was ever saved of a portfolio, oldest first, from the log."""
        return self._history(PortfolioSaved, account, name)

    def _shelf(self, kind: Save, account: str) -> SavedStates:
        state: PairsState | None = self._lens.state(PairsView.name, account)
        if state is None:
            return SavedStates()
        return state.pairs if kind is PairStateSaved else state.portfolios

    def _get(self, kind: Save, account: str, name: str) -> SavedState | None:
        shelf = self._shelf(kind, account)
        # What is evicted gets its other place first, and what is saved again keeps it until it is resident.
        kept = shelf.resident.get(name)
        if kept is None:
            stream = shelf.elsewhere.get(name)
            kept = shelf.resident.get(name)
            if kept is None:
                return None if stream is None else self._newest(kind, account, name, stream)
        state = msgspec.json.decode(kept.data)
        return SavedState(
            account=account,
            name=name,
            state=state,
            version=kept.version,
            saved_at=kept.saved_at,
            position=kept.position,
        )

    def _newest(self, kind: Save, account: str, name: str, stream: str) -> SavedState | None:
        newest = None
        for record in self._lens.read(stream=stream, types=(kind,)):
            saved = _saved(account, record)
            newest = saved if saved is not None and saved.name == name else newest
        return newest

    def _of(self, kind: Save, account: str) -> tuple[SavedState, ...]:
        shelf = self._shelf(kind, account)
        names = sorted({*list(shelf.resident), *list(shelf.elsewhere)})
        found = (self._get(kind, account, name) for name in names)
        return tuple(saved for saved in found if saved is not None)

    def _history(self, kind: Save, account: str, name: str) -> Iterator[SavedState]:
        for record in self._lens.read(account=account, types=(kind,)):
            saved = _saved(account, record)
            if saved is not None and saved.name == name:
                yield saved


def _keep(shelf: SavedStates, event: PairStateSaved | PortfolioSaved, record: Record) -> None:
    name = _name(event, record)
    data = msgspec.json.encode(event.state)
    known = name in shelf.resident
    if not known and name not in shelf.elsewhere and len(shelf.resident) + len(shelf.elsewhere) >= NAMES_MAX:
        raise TooManyNames(record.account, name)
    kept = SavedBlob(data, event.version, record.occurred_at, record.position)
    resident = {other: value for other, value in shelf.resident.items() if other != name}
    resident[name] = kept
    shelf.streams[name] = record.stream
    if len(resident) > RESIDENT_MAX:
        oldest = next(iter(resident))
        shelf.elsewhere[oldest] = shelf.streams.pop(oldest)
        del resident[oldest]
    shelf.resident = resident
    shelf.elsewhere.pop(name, None)


def _name(event: PairStateSaved | PortfolioSaved, record: Record) -> str:
    named = event.pair if isinstance(event, PairStateSaved) else event.portfolio
    return record.entity.replace("%2F", "/") if named is None else named


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
