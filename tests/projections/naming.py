"""A view that broadcasts: it counts trades by the symbol that their names mean; and random logs for it."""

import random
from decimal import Decimal
from typing import ClassVar

import msgspec
from typing_extensions import override

from eventstore import Event, Record
from eventstore.trading import ContractDefined, TradeExecuted
from projections import View
from projections.views.contracts.directory import Directory
from tests.projections.examples import bought
from tests.projections.random_facts import Fact

NAMES = ("ES", "NQ", "CL", "1", "2", "3")
ACCOUNTS = ("A", "B", "C", "-")


class Counted(msgspec.Struct):
    """How many trades there were by symbol and terms, what still waits to be added, and the sum of all."""

    directory: Directory = msgspec.field(default_factory=Directory)
    counts: dict[str, int] = {}
    terms: dict[str, int] = {}
    merges: list[int] = []
    postponed: int = 0
    total: int = 0


class CountedByName(View[Counted]):
    """Counts trades by symbol; fails at the log positions in `bad`."""

    name: ClassVar[str] = "counted"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (TradeExecuted, ContractDefined)
    broadcast: ClassVar[tuple[type[Event], ...]] = (ContractDefined,)

    def __init__(self) -> None:
        self.bad: set[int] = set()
        self.applied: list[int] = []

    @override
    def initial(self) -> Counted:
        return Counted()

    @override
    def apply(self, state: Counted, event: Event, record: Record) -> None:
        self.apply_beside(state, state, event, record)

    @override
    def apply_beside(self, shared_state: Counted, state: Counted, event: Event, record: Record) -> None:
        if record.position in self.bad:
            msg = f"{record.position} is bad"
            raise ValueError(msg)
        self.applied.append(record.position)
        if isinstance(event, ContractDefined):
            if state is shared_state:
                state.directory.define(event, record.position)
            _merge(shared_state.directory, state, record.position)
        elif isinstance(event, TradeExecuted):
            symbol = shared_state.directory.symbol_at(event.symbol, record.position)
            state.counts[symbol] = state.counts.get(symbol, 0) + 1
            terms = f"{symbol} {shared_state.directory.terms_at(symbol, record.position)}"
            state.terms[terms] = state.terms.get(terms, 0) + 1
            state.postponed += 1

    @override
    def concerns(self, state: Counted, event: Event) -> bool:
        return isinstance(event, ContractDefined) and not state.counts.keys().isdisjoint(event.broker_ids)

    @override
    def finish(self, state: Counted) -> None:
        state.total += state.postponed
        state.postponed = 0


def _merge(directory: Directory, state: Counted, log_position: int) -> None:
    for name in list(state.counts):
        symbol = directory.symbol_at(name, log_position)
        if symbol != name:
            state.counts[symbol] = state.counts.get(symbol, 0) + state.counts.pop(name)
            state.merges.append(log_position)


def defined(symbol: str, *ids: str, multiplier: int | None = None) -> ContractDefined:
    return ContractDefined(
        symbol=symbol, multiplier=None if multiplier is None else Decimal(multiplier), broker_ids=ids
    )  # fmt: skip


def naming_history(chance: random.Random, length: int, definers: tuple[str, ...] = ("-", "-", "A")) -> list[Fact]:
    """Return trades under several names, and definitions that give, move and drop names, in streams of `definers`."""
    facts: list[Fact] = []
    for number in range(length):
        if chance.randint(0, 2):
            symbol = chance.choice(NAMES)
            facts.append((f"trade/{chance.choice(ACCOUNTS)}/{number}", bought(str(number), symbol=symbol)))
        else:
            symbol = chance.choice(NAMES[:4])
            event = defined(symbol, *chance.choices(NAMES, k=chance.randint(0, 2)), multiplier=chance.randint(1, 2))
            facts.append((f"contract/{chance.choice(definers)}/{symbol}", event))
    return facts
