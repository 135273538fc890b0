"""Reference: which contract a name means, and the newest definition of each contract."""

from __future__ import annotations

from tests.reference.facts import Fact


class Contracts:
    """What is defined so far. It is for what is reported from now on: nothing that has merged is taken apart."""

    def __init__(self) -> None:
        self.defined: dict[str, Fact] = {}
        self._names: dict[str, str] = {}

    def of(self, name: str) -> str:
        """Return the contract that a name means; a symbol that is defined, or that nobody lists, means itself."""
        return name if name in self.defined else self._names.get(name, name)

    def define(self, fact: Fact) -> None:
        """Replace a contract's definition and its names; a name is of the contract that listed it last."""
        symbol = str(fact.symbol)
        self.defined[symbol] = fact
        self._names = {name: contract for name, contract in self._names.items() if contract != symbol}
        self._names.update(dict.fromkeys(fact.names, symbol))
