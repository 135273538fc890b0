"""All names of one instrument, and its root, for whatever applies to a symbol or to a root."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from eventstore.trading import Asset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from projections.views.contracts.view import ContractsState


class InstrumentNames(NamedTuple):
    """What the definitions of contracts say of a name; `known` is False if no contract has it.

    A root is what a definition states, never a part of the name: CN50 is not a contract of corn. `has_roots` is False
    for what has none by its kind, or by a definition that leaves its kind open.
    """

    names: frozenset[str]
    root: str | None
    known: bool
    has_roots: bool

    def may_be_of(self, root: str) -> bool:
        """Return whether it has a root, or may have it: nothing is known, or a future's definition states no root."""
        return not self.known or self.root == root or (self.root is None and self.has_roots)


def instrument_names(contracts: ContractsState | None, symbol: str) -> InstrumentNames:
    """Return what is known of an instrument, given its symbol or a broker's name for it."""
    contract = None if contracts is None else contracts.find(symbol)
    if contract is None:
        return InstrumentNames(frozenset({symbol}), None, known=False, has_roots=True)
    names = frozenset({contract.symbol, symbol, *contract.broker_ids})
    return InstrumentNames(names, contract.root, known=True, has_roots=contract.asset in {Asset.FUTURE, Asset.OPTION})


def same_contract(contracts: ContractsState | None, symbol: str) -> Callable[[str | None], bool]:
    """Return a test of whether a name means the contract that a symbol means now, or is that very name."""

    def meant(name: str) -> str:
        contract = None if contracts is None else contracts.find(name)
        return name if contract is None else contract.symbol

    wanted = meant(symbol)
    return lambda name: name == symbol or (name is not None and meant(name) == wanted)


def named_in(contracts: ContractsState | None, symbol: str, names: Iterable[str]) -> list[str]:
    """Return those of some names, each of a symbol or a root, that an instrument has or may have."""
    instrument = instrument_names(contracts, symbol)
    known = {*instrument.names, instrument.root}

    def is_other(name: str) -> bool:
        # A future without a stated root is none of the contracts that have a name of their own.
        return instrument.known and instrument_names(contracts, name).known

    return [name for name in names if name in known or (instrument.may_be_of(name) and not is_other(name))]


def all_names(contracts: ContractsState | None, symbol: str) -> tuple[str, ...]:
    """Return all names of an instrument, the given one first, and its root last if its definition states one."""
    instrument = instrument_names(contracts, symbol)
    root = instrument.root
    return (symbol, *sorted(instrument.names - {symbol}), *(() if root is None else (root,)))
