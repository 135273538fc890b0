"""One symbol for each futures contract, however a file spells it, and whatever the log calls it already."""

from __future__ import annotations

import calendar
import re
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from msgspec.structs import replace

from eventstore.clock import NANOSECONDS, TIME_MAX, TIME_MIN, utc_date
from eventstore.errors import InvalidEvent, UnknownContract
from gateways.importers.contracts import ContractTable, Tables, table_of
from gateways.importers.spellings import MONTH_LETTERS, SpelledFuture, spelled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore.trading import ContractDefined


# A root alone, and as vendors write a series of contracts: MNQ, /MNQ, MNQ1!, MNQ=F, MNQ JUN.
_BARE = re.compile(r"[/@$]?(?P<root>[A-Za-z0-9]{1,5}?)(?:\d!|[^A-Za-z0-9].*)?", re.ASCII)
AFTER_EXPIRY_MONTHS = 12
"""How long after a contract's month a row may still name it: a report, or a correction."""
AHEAD_MONTHS = 107
"""How long before its month a contract with one digit for its year may be named: with the above, ten years."""
AHEAD_MONTHS_MAX = 180
"""The same for a contract with its full year."""


class UnlistedContract(UnknownContract):
    """No table lists the root or symbol of a contract, and the log does not define it."""

    def __init__(self, symbol: str, *, root: str | None = None, is_listed: bool = False) -> None:
        super().__init__(symbol)
        if is_listed:
            why = (
                f"{symbol!r} is not the name of a contract: the tables list its root {root}, and a contract also has "
                f"a month and a year, as in {root}H6. If it is something else, pass --contracts with"
            )
            root = None
        else:
            why = f"no table of contracts lists {symbol!r}: pass --contracts FILE.toml with"
        entry = f'[contracts."{symbol}"]' if root is None else f"[contracts.{root}]"
        states = "its multiplier, which is money per point, and its currency, as the exchange or the broker states them"
        self.args = (f"{why} a table {entry} that states {states}",)


class FutureContract(NamedTuple):
    """A futures contract, whatever it is called."""

    root: str
    month: int
    year: int

    @property
    def symbol(self) -> str:
        """Its symbol: root, month letter and the last digit of the year."""
        return f"{self.root}{MONTH_LETTERS[self.month - 1]}{self.year % 10}"

    @property
    def full_symbol(self) -> str:
        """Its symbol in a log where a contract of another decade has the usual one: with all digits of the year."""
        return f"{self.root}{MONTH_LETTERS[self.month - 1]}{self.year}"

    @property
    def months(self) -> int:
        """The number of its month since the year 0."""
        return self.year * 12 + self.month - 1


class KnownContract(NamedTuple):
    """A definition that the log has, and the time of its record."""

    definition: ContractDefined
    defined_at: int


class _Meaning(NamedTuple):
    """A contract found by a name, and the times of rows, both ends included, in which the name means it."""

    contract: ContractDefined
    first: int = TIME_MIN
    last: int = TIME_MAX


class ContractNames:
    """Finds contracts by any of their names.

    `table` lists the roots; `known` are the definitions of the log. A name that the log has, as a symbol or among the
    broker_ids, means what it means there. Any other spelling of a contract that the log defines gets the log's symbol,
    and all spellings of one that it does not define get one symbol: root, month letter and last digit of the year. If a
    contract of another decade has that symbol, it is the one with all digits of the year.
    """

    def __init__(self, table: ContractTable, known: Iterable[KnownContract] = ()) -> None:
        self.table = table
        self._known = {each.definition.symbol: each for each in known}
        self._symbol_of = {name: symbol for symbol, each in self._known.items() for name in each.definition.broker_ids}
        self._symbol_of |= {symbol: symbol for symbol in self._known}
        self._roots = {each.definition.root for each in self._known.values()}
        self._futures = {symbol: self._future_of(each) for symbol, each in self._known.items()}
        self._symbols: dict[FutureContract, str] = {}
        for symbol, future in self._futures.items():
            # Of several symbols that an older log has for one contract: the usual one, else the first.
            if future is not None and (symbol == future.symbol or future not in self._symbols):
                self._symbols[future] = symbol
        self._found: dict[tuple[str, str | None, bool], list[_Meaning]] = {}

    def find(self, name: str, at: int | None = None, spelling: str | None = None) -> ContractDefined:
        """Return the definition of a contract, with `name` among its broker_ids unless it is the symbol.

        `at` is the time of the row in UNIX ns, which decides the decade of a year with one digit; `spelling` is a
        program of `SPELLINGS`, whose spellings alone are known then. Raises UnlistedContract for a name that neither
        the tables nor the log have, InvalidEvent for a contract that was not traded at the time.
        """
        found_before = self._found.setdefault((name, spelling, at is None), [])
        moment = TIME_MIN if at is None else at
        for found in found_before:
            if found.first <= moment <= found.last:
                return found.contract
        found = self._find(name, at, spelling)
        found_before.append(found)
        return found.contract

    def instrument(self, symbol: str) -> FutureContract | str:
        """Return what a symbol of the log or of `find` stands for, which is the same for all names of a contract."""
        named = self._symbol_of.get(symbol, symbol)
        return self._futures.get(named) or named

    def _find(self, name: str, at: int | None, spelling: str | None) -> _Meaning:
        own = self.table.own(name)
        if own is not None:
            return _Meaning(own)
        parsed = spelled(name, spelling)
        root = None if parsed is None else self._root(parsed)
        if parsed is None or root is None:
            logged = self._logged(self._symbol_of.get(name))
            return _Meaning(logged or self._refuse(name, None if parsed is None else parsed.root))
        if at is None and parsed.full_year is None:
            symbol = self._symbol_of.get(name) or parsed.code(root)
            return _Meaning(self._defined(name, root, symbol, self._futures.get(symbol)))
        year = parsed.full_year or _year_near(parsed, _months_of(at or 0))
        future = FutureContract(root, parsed.month, year)
        ahead = AHEAD_MONTHS if parsed.full_year is None else AHEAD_MONTHS_MAX
        first, last = _month_begins(future.months - ahead), _month_begins(future.months + AFTER_EXPIRY_MONTHS + 1) - 1
        if at is not None and not first <= at <= last:
            msg = f"is a contract of {calendar.month_name[future.month]} {year}, but the row is of {utc_date(at)}"
            raise InvalidEvent(msg)
        contract = self._defined(name, root, self._symbol(name, future), future)
        return _Meaning(contract) if at is None else _Meaning(contract, first, last)

    def _symbol(self, name: str, future: FutureContract) -> str:
        """Return the symbol of a contract: what the log means by the name, what it calls the contract, or a new one."""
        named = self._symbol_of.get(name)
        if named is not None:
            other = self._futures.get(named)
            if other is None or other == future or other.symbol != future.symbol:
                return named
        symbol = self._symbols.get(future)
        if symbol is None:
            symbol = future.full_symbol if future.symbol in self._symbol_of else future.symbol
            self._symbols[future] = self._symbol_of[symbol] = symbol
            self._futures[symbol] = future
        return symbol

    def _defined(self, name: str, root: str, symbol: str, future: FutureContract | None) -> ContractDefined:
        entry, names = self.table.entry(root), self._new_names(name, symbol, future)
        if entry is None or (symbol in self._known and self._futures.get(symbol) != future):
            return self._logged(symbol, names) or self._refuse(name, root)
        return entry.defined(symbol, root, names)

    def _new_names(self, name: str, symbol: str, future: FutureContract | None) -> tuple[str, ...]:
        """Return the name as a new one of a contract, unless it is, or could be, that of another one."""
        if name == symbol or self._symbol_of.get(name, symbol) != symbol:
            return ()
        parsed = spelled(name)
        if future is not None and symbol == future.full_symbol and (parsed is None or parsed.full_year is None):
            # One digit for the year is how the contract of the other decade is written.
            return ()
        if future is not None:
            self._symbol_of[name] = symbol
        return (name,)

    def _logged(self, symbol: str | None, names: tuple[str, ...] = ()) -> ContractDefined | None:
        """Return the log's definition of a symbol with its new names; None if there is none with a point value."""
        known = None if symbol is None else self._known.get(symbol)
        if known is None or known.definition.point_value is None:
            return None
        definition = known.definition
        return replace(definition, broker_ids=(*definition.broker_ids, *names)) if names else definition

    def _refuse(self, name: str, root: str | None) -> NoReturn:
        if root is not None:
            raise UnlistedContract(name, root=root)
        found = _BARE.fullmatch(name)
        root = found["root"].upper() if found else ""
        is_listed = self.table.entry(root) is not None
        raise UnlistedContract(name, root=root if is_listed else None, is_listed=is_listed)

    def _root(self, parsed: SpelledFuture) -> str | None:
        """Return the exchange's root of a spelled name, if the tables list it or the log has contracts of it."""
        root = self.table.root(parsed.root) if parsed.is_projectx else parsed.root
        is_known = self.table.entry(root) is not None or root in self._roots
        return root if is_known else None

    def _future_of(self, known: KnownContract) -> FutureContract | None:
        """Return the contract that a definition in the log is of; None if it is not that of a future."""
        definition = known.definition
        names = [parsed for name in (definition.symbol, *definition.broker_ids) if (parsed := spelled(name))]
        for parsed in names:
            root = self._root(parsed)
            if root is None:
                continue
            stated = {each.full_year for each in names if each.year[-1] == parsed.year[-1]} - {None}
            year = parsed.full_year
            if year is None and definition.expiry is not None:
                year = _year_near(parsed, definition.expiry.year * 12 + definition.expiry.month - 1)
            elif year is None and len(stated) == 1:
                year = stated.pop()
            return FutureContract(root, parsed.month, year or _year_near(parsed, _months_of(known.defined_at)))
        return None


def contract_for(symbol: str, extra: Tables | None = None, *, at: int | None = None) -> ContractDefined:
    """Return the definition of a contract by any of its names, such as MNQZ5, MNQZ25, MNQ 12-25 or CON.F.US.MNQ.Z25.

    Its symbol is root, month letter and the last digit of the year, MNQZ5; another name is among its broker_ids.
    `extra` is used before the built-in table; a file has the format of `load_contracts`. `at`, in UNIX ns, is when the
    contract was traded. Raises UnlistedContract (an eventstore.UnknownContract) if neither table lists it.
    """
    return ContractNames(table_of(extra)).find(symbol, at)


def _year_near(parsed: SpelledFuture, months: int) -> int:
    """Return the year of a contract with one digit for it that was named in a month since the year 0."""
    first = -(-(months - AFTER_EXPIRY_MONTHS - parsed.month + 1) // 12)
    return first + (int(parsed.year) - first) % 10


def _months_of(at: int) -> int:
    day = utc_date(at)
    return day.year * 12 + day.month - 1


def _month_begins(months: int) -> int:
    """Return the beginning of a month since the year 0, in UTC, as UNIX ns; the first or last time there is beyond."""
    year, month = divmod(months, 12)
    instant = calendar.timegm((year, month + 1, 1, 0, 0, 0)) * NANOSECONDS
    return min(max(instant, TIME_MIN), TIME_MAX)
