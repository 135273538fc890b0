"""Tables of contracts by root or symbol: the built-in one of futures, and those of the caller."""

from __future__ import annotations

import functools
import importlib.resources
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import msgspec

from eventstore.errors import InvalidEvent
from eventstore.events import Positive, encode
from eventstore.trading import Asset, ContractDefined, Payoff


class ContractEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of a table, under a root or a whole symbol: what a point is worth, and what else is known.

    Give `multiplier`, or `tick_size` and `tick_value`, or all three if they agree. `projectx` are CQG's roots if they
    differ from the exchange's. `base_currency`, `payoff` and `asset` are as in ContractDefined: a contract that is
    settled in its coin is INVERSE.
    """

    multiplier: Positive | None = None
    tick_size: Positive | None = None
    tick_value: Positive | None = None
    currency: str = "USD"
    name: str | None = None
    exchange: str | None = None
    product: str | None = None
    projectx: tuple[str, ...] = ()
    base_currency: str | None = None
    payoff: Payoff = Payoff.LINEAR
    asset: Asset | None = None

    def defined(self, symbol: str, root: str, broker_ids: tuple[str, ...] = ()) -> ContractDefined:
        """Return the definition of a contract of this entry."""
        return ContractDefined(
            symbol=symbol,
            root=root,
            multiplier=self.multiplier,
            tick_size=self.tick_size,
            tick_value=self.tick_value,
            currency=self.currency,
            name=self.name,
            exchange=self.exchange,
            product=self.product,
            base_currency=self.base_currency,
            payoff=self.payoff,
            asset=self.asset,
            broker_ids=broker_ids,
        )


class ContractTable:
    """Contracts by root or symbol; what is not in this table is looked up in the table below it."""

    def __init__(self, entries: Mapping[str, ContractEntry], below: ContractTable | None = None) -> None:
        self._entries = dict(entries)
        self._below = below
        self._roots = {alias: root for root, entry in entries.items() for alias in entry.projectx}

    @property
    def entries(self) -> Mapping[str, ContractEntry]:
        """This table's own entries, by root or symbol."""
        return self._entries

    def own(self, symbol: str) -> ContractDefined | None:
        """Return the definition of a symbol that the caller's own table lists as a whole."""
        # A bare root is a symbol only there: MET and ETH are also a share and a coin.
        entry = self._entries.get(symbol) if self._below is not None else None
        return None if entry is None else entry.defined(symbol, symbol)

    def entry(self, root: str) -> ContractEntry | None:
        """Return the entry of a root or symbol from the topmost table that has one."""
        return self._entries.get(root) or (self._below.entry(root) if self._below is not None else None)

    def root(self, alias: str) -> str:
        """Return the exchange's root for ProjectX's, which is usually the same."""
        return self._roots.get(alias) or (self._below.root(alias) if self._below is not None else alias)


Tables = ContractTable | Mapping[str, ContractEntry] | str | Path
"""Contracts of the caller: a table, its entries, or the path of a TOML file with them."""


def table_of(extra: Tables | None) -> ContractTable:
    """Return the built-in table, with the caller's table above it if one is given."""
    if extra is None:
        return builtin_table()
    if isinstance(extra, str | Path):
        return ContractTable(load_contracts(Path(extra)), builtin_table())
    return ContractTable(extra.entries if isinstance(extra, ContractTable) else extra, builtin_table())


@functools.cache
def builtin_table() -> ContractTable:
    """Return the built-in table of CME Group's futures."""
    resource = importlib.resources.files(__package__) / "contracts.toml"
    return ContractTable(_parse("contracts.toml", resource.read_text(encoding="utf-8")))


def load_contracts(path: Path) -> dict[str, ContractEntry]:
    """Return the entries of a TOML file with a table `[contracts.ROOT_OR_SYMBOL]` for each, members of ContractEntry.

    Raises InvalidEvent if the file is not TOML, a member is unknown, or an entry does not say what a point is worth
    or says it twice with different results; the message names the entry.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as e:
        msg = f"{path.name} is not valid UTF-8: {e}"
        raise InvalidEvent(msg) from e
    return _parse(path.name, text)


def _parse(file: str, text: str) -> dict[str, ContractEntry]:
    try:
        raw = tomllib.loads(text, parse_float=Decimal).get("contracts", {})
        entries = msgspec.convert(raw, dict[str, ContractEntry])
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as e:
        msg = f"{file} is not a table of contracts: {e}. Write a [contracts.SYMBOL] with its members for each contract"
        raise InvalidEvent(msg) from e
    for root, entry in entries.items():
        _check(file, root, entry)
    return entries


def _check(file: str, root: str, entry: ContractEntry) -> None:
    try:
        encode(entry.defined(root, root))
    except InvalidEvent as e:
        msg = f"{file}, contract {root}: {e}"
        raise InvalidEvent(msg) from e
    ticks = (entry.tick_size, entry.tick_value)
    if None in ticks and entry.multiplier is None:
        msg = f"{file}, contract {root}: give multiplier, or tick_size and tick_value"
        raise InvalidEvent(msg)
    if entry.multiplier and entry.tick_size and entry.tick_value:
        worth = entry.tick_size * entry.multiplier
        if worth != entry.tick_value:
            msg = f"{file}, contract {root}: a tick is worth {entry.tick_value}, but tick_size × multiplier is {worth}"
            raise InvalidEvent(msg)
