"""What each name of a contract meant, and what its points were worth, by log position: for folds of executions."""

from decimal import Decimal

import msgspec
from msgspec.structs import replace

from eventstore.trading import ContractDefined
from projections.views.contracts.view import SYMBOLS_MAX, TooManySymbols, renamed

VIEW = "executions"
"""The view whose state holds the directory."""

VERSIONS_MAX = 5_000
"""How many versions of one name, and of one contract's terms, are kept; the oldest are merged away.

A page's definitions are folded before its other records, each of which must find the version in force where it stands:
so there are more than a page has records.
"""

DROPPED_MAX = SYMBOLS_MAX
"""How many names are remembered that no contract lists any longer; those in use are as many as definitions list."""


class Meaning(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What a name means from a log position on: a contract's symbol, or only itself."""

    since: int
    symbol: str


class Terms(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What a contract's points are worth from a log position on; None is what its definition does not state."""

    since: int
    multiplier: Decimal | None
    currency: str | None


class Directory(msgspec.Struct):
    """All contracts' names and terms at each log position: it may be ahead of the record that is looked up for.

    `names` has only names that have meant something else than themselves, and `terms` is by symbol: both oldest first.
    `symbols` has the broker ids of each symbol's newest definition. `dropped` has the names that mean only themselves
    again, and since when, the first one first; `merged` how many terms of a symbol were merged into its oldest.
    """

    names: dict[str, tuple[Meaning, ...]] = {}
    terms: dict[str, tuple[Terms, ...]] = {}
    symbols: dict[str, tuple[str, ...]] = {}
    dropped: dict[str, int] = {}
    merged: dict[str, int] = {}

    def define(self, event: ContractDefined, log_position: int) -> None:
        """Take a definition, later than all before; one that repeats the newest adds nothing. Raises TooManySymbols."""
        symbol, listed = event.symbol, self.symbols.get(event.symbol, ())
        if symbol not in self.symbols and len(self.symbols) >= SYMBOLS_MAX:
            raise TooManySymbols(VIEW, symbol)
        self.symbols[symbol] = event.broker_ids
        # From its first definition on it means itself, whichever contract lists it.
        self._name(symbol, symbol, log_position)
        newest = {name: self.names[name][-1].symbol for name in (*event.broker_ids, *listed) if name in self.names}
        aliases = {name: meant for name, meant in newest.items() if meant != name}
        for name, meant in renamed(event, listed, aliases):
            if name not in self.symbols:
                self._name(name, name if meant is None else meant, log_position)
        self._define_terms(symbol, Terms(log_position, event.point_value, event.currency))

    def symbol_at(self, name: str, log_position: int) -> str:
        """Return the symbol of the contract that a name means at a log position, or the name where it means none."""
        known = self.names.get(name)
        if known is not None:
            for meaning in reversed(known):
                if meaning.since <= log_position:
                    return meaning.symbol
        return name

    def terms_at(self, symbol: str, log_position: int) -> int:
        """Return the index of a contract's terms in force at a log position: the first also count for what precedes."""
        known = self.terms.get(symbol)
        if known is None:
            return 0
        index = len(known) - 1
        while index > 0 and known[index].since > log_position:
            index -= 1
        return index + self.merged.get(symbol, 0)

    def terms_of(self, symbol: str, index: int) -> Terms | None:
        """Return a contract's terms by their index; None where no definition has any.

        Only for queries: a later definition may complete them, so while records are folded they may be ahead of these.
        """
        known = self.terms.get(symbol, ())
        index = max(index - self.merged.get(symbol, 0), 0)
        return known[index] if index < len(known) else None

    def _name(self, name: str, symbol: str, log_position: int) -> None:
        """Let a name mean a symbol, or only itself, from a log position on."""
        known = self.names.get(name, ())
        if (known[-1].symbol if known else name) == symbol:
            return
        self.names[name] = (*known, Meaning(log_position, symbol))[-VERSIONS_MAX:]
        if symbol != name or name in self.symbols:
            self.dropped.pop(name, None)
            return
        self.dropped[name] = log_position
        if len(self.dropped) > DROPPED_MAX:
            forgotten = next(iter(self.dropped))
            del self.dropped[forgotten], self.names[forgotten]

    def _define_terms(self, symbol: str, terms: Terms) -> None:
        known = self.terms.get(symbol)
        if known is None:
            self.terms[symbol] = (terms,)
            return
        last = known[-1]
        if (last.multiplier, last.currency) == (terms.multiplier, terms.currency):
            return
        if last.multiplier in {None, terms.multiplier} and last.currency in {None, terms.currency}:
            # It states only what they lacked: they are completed, for what was folded under them as well.
            self.terms[symbol] = (*known[:-1], replace(terms, since=last.since))
            return
        self.terms[symbol] = (*known, terms)[-VERSIONS_MAX:]
        if len(known) == VERSIONS_MAX:
            self.merged[symbol] = self.merged.get(symbol, 0) + 1
