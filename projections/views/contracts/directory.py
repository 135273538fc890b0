"""What each name of a contract meant, and what its points were worth, by log position: for folds of executions."""

from decimal import Decimal

import msgspec
from msgspec.structs import replace

from eventstore.trading import ContractDefined, Payoff
from projections.views.contracts.view import SYMBOLS_MAX, TooManySymbols, renamed

VIEW = "executions"
"""The view whose state holds the directory."""

VERSIONS_MAX = 10_000
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
    """What a contract's points are worth from a log position on; None is what its definition does not state.

    `payoff` is how points follow from prices.
    """

    since: int
    multiplier: Decimal | None
    currency: str | None
    payoff: Payoff = Payoff.LINEAR


class Coin(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The coin that a purchase brings from a log position on, which fees in it are taken from; empty without one."""

    since: int
    name: str


class Directory(msgspec.Struct):
    """All contracts' names and terms at each log position: it may be ahead of the record that is looked up for.

    `names` has only names that have meant something else than themselves, and `terms` is by symbol: both oldest first.
    `symbols` has the broker ids of each symbol's newest definition. `dropped` has the names that mean only themselves
    again, and since when, the first one first; `merged` how many terms of a symbol were merged into its oldest. `coins`
    is by symbol, only of contracts that have had one.
    """

    names: dict[str, tuple[Meaning, ...]] = {}
    terms: dict[str, tuple[Terms, ...]] = {}
    symbols: dict[str, tuple[str, ...]] = {}
    dropped: dict[str, int] = {}
    merged: dict[str, int] = {}
    coins: dict[str, tuple[Coin, ...]] = {}

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
        self._define_terms(symbol, Terms(log_position, event.point_value, event.result_currency, event.payoff))
        coins, coin = self.coins.get(symbol, ()), event.bought_coin or ""
        if (coins[-1].name if coins else "") != coin:
            self.coins[symbol] = (*coins, Coin(log_position, coin))[-VERSIONS_MAX:]

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

    def is_inverse_at(self, symbol: str, log_position: int) -> bool:
        """Return whether a contract's payoff at a log position is INVERSE; it is LINEAR before any definition."""
        known = self.terms.get(symbol, ())
        payoff = next((each.payoff for each in reversed(known) if each.since <= log_position), Payoff.LINEAR)
        return payoff is Payoff.INVERSE

    def coin_at(self, symbol: str, log_position: int) -> str:
        """Return the coin that a purchase brings at a log position, which fees in it are taken from; empty if none."""
        known = self.coins.get(symbol, ())
        return next((each.name for each in reversed(known) if each.since <= log_position), "")

    def is_first_at(self, symbol: str, log_position: int) -> bool:
        """Return whether a contract was defined for the first time at a log position."""
        known = self.terms.get(symbol, ())
        return any(each.since == log_position for each in known[: 1 + _has_no_payoff(known)])

    def first_terms(self, symbol: str, log_position: int) -> tuple[int, bool, str]:
        """Return what counts for what precedes a contract's definition: index of terms, whether inverse, and the coin.

        The coin is the one in force at a log position.
        """
        index = int(_has_no_payoff(self.terms.get(symbol, ())))
        return index, bool(index), self.coin_at(symbol, log_position)

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
            first = (Terms(0, None, terms.currency),) if terms.payoff is Payoff.INVERSE else ()
            self.terms[symbol] = (*first, terms)
            return
        last = known[-1]
        if (last.multiplier, last.currency, last.payoff) == (terms.multiplier, terms.currency, terms.payoff):
            return
        is_compatible = last.multiplier in {None, terms.multiplier} and last.currency in {None, terms.currency}
        if is_compatible and last.payoff is terms.payoff:
            # It states only what they lacked: they are completed, for what was folded under them as well.
            self.terms[symbol] = (*known[:-1], replace(terms, since=last.since))
            return
        self.terms[symbol] = (*known, terms)[-VERSIONS_MAX:]
        if len(known) == VERSIONS_MAX:
            self.merged[symbol] = self.merged.get(symbol, 0) + 1


def _has_no_payoff(known: tuple[Terms, ...]) -> bool:
    """Return whether the first terms are those of an inverse contract before it was defined.

    Points that were folded then followed from another payoff: without a multiplier, they are never taken for money.
    """
    return bool(known) and not known[0].since
