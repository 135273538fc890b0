"""What a contract's symbol stands for: the shipped table of futures, tables of the caller's own, names of brokers."""

from __future__ import annotations

import functools
import importlib.resources
import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import msgspec

from eventstore.errors import InvalidEvent, UnknownContract
from eventstore.events import Positive, encode
from eventstore.trading import ContractDefined

# F for January to Z for December (CME Group, "Futures month codes").
_MONTH = "[FGHJKMNQUVXZ]"
_SYMBOL = re.compile(rf"(?P<root>[A-Z0-9]{{1,5}}){_MONTH}(?:\d{{1,2}}|\d{{4}})", re.ASCII)
# ProjectX, which TopstepX and others run on: CON.F.US.MNQ.U25, the root in CQG's words, the year with two digits.
_PROJECTX = re.compile(rf"CON\.F\.[A-Z]{{2}}\.(?P<root>[A-Z0-9]+)\.(?P<month>{_MONTH})\d(?P<year>\d)", re.ASCII)


class UnlistedContract(UnknownContract):
    """No table has the contract's root or symbol."""

    def __init__(self, symbol: str) -> None:
        super().__init__(symbol)
        example = f'contracts."{symbol}" = {{ multiplier = 1, currency = "USD" }}'
        self.args = (f"{symbol!r} is in no table of contracts: pass --contracts FILE.toml with a line like {example}",)


class Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table's entry, under a root or a whole symbol: money per point and unit, and what else is known.

    Give `multiplier`, or `tick_size` and `tick_value`, or all three where they agree. `projectx` are CQG's roots
    where they differ from the exchange's.
    """

    multiplier: Positive | None = None
    tick_size: Positive | None = None
    tick_value: Positive | None = None
    currency: str = "USD"
    name: str | None = None
    exchange: str | None = None
    product: str | None = None
    projectx: tuple[str, ...] = ()


class ContractTable:
    """Contracts by root or symbol; what is not in it is looked for in the table below it."""

    def __init__(self, entries: Mapping[str, Listed], below: ContractTable | None = None) -> None:
        self._entries = dict(entries)
        self._below = below
        self._roots = {alias: root for root, entry in entries.items() for alias in entry.projectx}
        self._found: dict[str, ContractDefined] = {}

    @property
    def entries(self) -> Mapping[str, Listed]:
        """This table's own entries, by root or symbol."""
        return self._entries

    def find(self, symbol: str) -> ContractDefined:
        """Return the definition of a symbol or a broker's name for it; raise UnlistedContract."""
        contract = self._found.get(symbol)
        if contract is None:
            contract = self._found[symbol] = self._define(symbol)
        return contract

    def _define(self, symbol: str) -> ContractDefined:
        # A bare root is a symbol in the caller's own table only: MET and ETH are also a share and a coin.
        if self._below is not None and (entry := self._entries.get(symbol)):
            return _defined(symbol, symbol, entry)
        if (plain := _SYMBOL.fullmatch(symbol)) and (entry := self.entry(plain["root"])):
            return _defined(symbol, plain["root"], entry)
        if named := _PROJECTX.fullmatch(symbol):
            root = self.root(named["root"])
            if entry := self.entry(root):
                return _defined(f"{root}{named['month']}{named['year']}", root, entry, (symbol,))
        raise UnlistedContract(symbol)

    def entry(self, root: str) -> Listed | None:
        """Return the entry of a root or symbol from the uppermost table that has one."""
        return self._entries.get(root) or (self._below.entry(root) if self._below is not None else None)

    def root(self, alias: str) -> str:
        """Return the exchange's root for ProjectX's, which is most often the same."""
        return self._roots.get(alias) or (self._below.root(alias) if self._below is not None else alias)


Tables = ContractTable | Mapping[str, Listed] | str | Path
"""What names contracts of the caller's own: a table, its entries, or the path of a TOML file of them."""


def contract_for(symbol: str, extra: Tables | None = None) -> ContractDefined:
    """Return the definition of a contract, named like MNQZ5, MNQZ25, MNQZ2025 or CON.F.US.MNQ.Z25.

    `extra` is asked before the shipped table; a file is as `load_contracts` takes it. A plain symbol stays as it is
    written; a ProjectX name becomes the symbol MNQZ5, with that name among its broker_ids.
    Raises UnlistedContract (an eventstore.UnknownContract) where neither table lists it.
    """
    return table_of(extra).find(symbol)


def table_of(extra: Tables | None) -> ContractTable:
    """Return the shipped table, with a table of the caller's own above it where one is given."""
    if extra is None:
        return shipped()
    if isinstance(extra, str | Path):
        return ContractTable(load_contracts(Path(extra)), shipped())
    return ContractTable(extra.entries if isinstance(extra, ContractTable) else extra, shipped())


@functools.cache
def shipped() -> ContractTable:
    """Return the table of CME Group's futures that comes with this package."""
    resource = importlib.resources.files(__package__) / "contracts.toml"
    return ContractTable(_parse("contracts.toml", resource.read_text(encoding="utf-8")))


def load_contracts(path: Path) -> dict[str, Listed]:
    """Return the entries of a TOML file with one table `[contracts.ROOT_OR_SYMBOL]` for each, members as in Listed.

    Raises InvalidEvent, naming the entry, where the file is no TOML, a member is unknown, or an entry does not say
    what a point is worth or says two different things.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as e:
        msg = f"{path.name} is no UTF-8: {e}"
        raise InvalidEvent(msg) from e
    return _parse(path.name, text)


def _parse(file: str, text: str) -> dict[str, Listed]:
    try:
        raw = tomllib.loads(text, parse_float=Decimal).get("contracts", {})
        entries = msgspec.convert(raw, dict[str, Listed])
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as e:
        msg = f"{file} is no table of contracts: {e}. Write one [contracts.SYMBOL] with its members for each"
        raise InvalidEvent(msg) from e
    for root, entry in entries.items():
        _check(file, root, entry)
    return entries


def _check(file: str, root: str, entry: Listed) -> None:
    try:
        encode(_defined(root, root, entry))
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


def _defined(symbol: str, root: str, entry: Listed, broker_ids: tuple[str, ...] = ()) -> ContractDefined:
    return ContractDefined(
        symbol=symbol,
        root=root,
        multiplier=entry.multiplier,
        tick_size=entry.tick_size,
        tick_value=entry.tick_value,
        currency=entry.currency,
        name=entry.name,
        exchange=entry.exchange,
        product=entry.product,
        broker_ids=broker_ids,
    )
