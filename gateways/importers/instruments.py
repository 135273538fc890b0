"""The contract of a row: by the tables of contracts, or by the default that the mapping states."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.errors import InvalidEvent, UnknownContract
from eventstore.events import encode
from eventstore.trading import Asset, ContractDefined
from gateways.importers.base import BadRow
from gateways.importers.field_texts import REFERENCE, UNIT_REFERENCE, letters_of, plain_word
from gateways.importers.option_columns import OptionColumns
from gateways.importers.spellings import spelled
from gateways.importers.symbol_forms import is_derivative, is_option, pair_of
from gateways.importers.texts import CellError, to_decimal

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from gateways.importers.base import TableRow
    from gateways.importers.contract_names import ContractNames
    from gateways.importers.field_texts import FieldTexts
    from gateways.importers.mapping import ContractDefault, ContractSettings

BASE, QUOTE = "@base", "@quote"
_OF_PAIRS = {Asset.CRYPTO, Asset.FX}
_NO_FUTURES = {Asset.STOCK, Asset.FX}
_CLASS_COLUMNS = frozenset({
    "assetclass", "assetcategory", "assettype", "sectype", "securitytype", "instrumenttype", "producttype",
})  # fmt: skip
"""Columns that say what a row's instrument is, as letters in lower case."""
_CLASSES = frozenset({
    "fut", "future", "futures", "opt", "option", "options", "call", "put", "fop", "fsfop", "fsopt", "war", "warrants",
    "equity and index options", "options on futures",
})  # fmt: skip
"""Their words for what is rarely worth its price a unit."""
_MULTIPLIER_COLUMNS = frozenset({"multiplier", "contractmultiplier", "pointvalue", "contractsize"})


class Instruments:
    """Finds contracts, and keeps those that were found in no table, whose terms are the mapping's default."""

    def __init__(
        self,
        names: ContractNames,
        mapping: ContractSettings,
        only: ContractDefined | None,
        add: Callable[[ContractDefined], ContractDefined],
    ) -> None:
        self._names, self._mapping, self._only, self._add = names, mapping, only, add
        self.defaults: dict[str, ContractDefined] = {}
        self._columns: tuple[str | None, str | None] | None = None
        self._options: OptionColumns | None = None
        self._settled: dict[str, ContractDefined] = {}
        default = mapping.default
        given = () if default is None else (str(default.multiplier), default.currency, default.base_currency)
        # Whether the name alone says what the contract is, and nothing else in its row.
        self._is_of_name = not any(text and text.startswith("@") and text not in {BASE, QUOTE} for text in given)
        # What was found last by a name, and the contract of the file that it was added to.
        self._added: dict[str, tuple[ContractDefined, ContractDefined]] = {}

    def of_row(self, texts: FieldTexts, row: TableRow, at: int | None) -> ContractDefined:
        """Return the contract of a row's symbol; raise BadRow if it is not known, or of another currency."""
        if self._only is not None and texts.optional(row, "symbol") is None:
            return self._add(self._only)
        text = texts.text(row, "symbol")
        try:
            self._options_of(texts).check(text, row)
            contract = self.find(text, at, texts, row)
        except BadRow:
            raise
        except (CellError, InvalidEvent, UnknownContract) as e:
            raise BadRow(row.file, row.line, texts.label("symbol"), text, str(e)) from e
        if self._mapping.currency is not None:
            self._check_currency(contract, texts, row)
        if (self._columns or self._found(texts))[1] is not None:
            self._check_multiplier(contract, texts, row)
        found, added = self._added.get(text, (None, contract))
        if found is not contract:
            added = self._add(contract)
            self._added[text] = contract, added
        return added

    def find(self, text: str, at: int | None, texts: FieldTexts, row: TableRow) -> ContractDefined:
        """Return the contract of a symbol, by the tables or the mapping's default."""
        known = self._settled.get(text)
        if known is not None:
            return known
        try:
            return self._names.find(text, at, self._mapping.spelling)
        except UnknownContract:
            default = self._mapping.default
            if default is None or _is_other(text, default):
                raise
        contract = self._default(default, text, texts, row)
        known = self.defaults.setdefault(contract.symbol, contract)
        if (known.point_value, known.currency) != (contract.point_value, contract.currency):
            msg = (
                f"is worth {contract.point_value} {contract.currency} by this row, but {known.point_value} "
                f"{known.currency} by one above"
            )
            raise CellError(msg)
        if self._is_of_name and spelled(text, self._mapping.spelling) is None:
            # It does not name a future, which would be another contract in another decade.
            self._settled[text] = known
        return known

    def _default(self, default: ContractDefault, text: str, texts: FieldTexts, row: TableRow) -> ContractDefined:
        asset = None if default.asset is None else _asset(default.asset)
        pair = pair_of(text, self._mapping.quotes, asset)
        is_pair = asset in _OF_PAIRS and (pair is not None or (asset is Asset.FX and default.currency is None))
        base = self._part(default.base_currency or (BASE if is_pair else None), pair, texts, row)
        currency = self._part(default.currency or (QUOTE if is_pair else None), pair, texts, row)
        multiplier = to_decimal(texts.referred(row, str(default.multiplier)) or "")
        self._check_default(default, text, multiplier, texts, row)
        if _are_units(default) and f"{base}{currency}".upper() != text.upper():
            msg = f"is not the pair of the units beside the row's numbers, {base} and {currency}"
            raise CellError(msg)
        contract = ContractDefined(
            symbol=text, multiplier=multiplier, currency=currency, base_currency=base, asset=asset
        )  # fmt: skip
        encode(contract)
        return contract

    def _part(self, given: str | None, pair: tuple[str, str] | None, texts: FieldTexts, row: TableRow) -> str | None:
        """Return a currency of a contract: a part of the pair's name, or what the mapping or the row states."""
        if given not in {BASE, QUOTE}:
            found = texts.referred(row, given)
        elif pair is None:
            msg = "is not a pair like ABC/USDT: say in contract.quotes which currencies such names end with"
            raise CellError(msg)
        else:
            found = pair[0] if given == BASE else pair[1]
        return found if found is None else self._mapping.coins.get(found, found)

    def _options_of(self, texts: FieldTexts) -> OptionColumns:
        if self._options is None:
            self._options = OptionColumns(texts)
        return self._options

    def _check_currency(self, contract: ContractDefined, texts: FieldTexts, row: TableRow) -> None:
        stated = self._mapping.currency
        if stated is None:
            return
        currency = texts.referred(row, stated)
        if currency is not None and currency != contract.currency:
            why = (
                f"is the row's currency, but {contract.symbol} is in {contract.currency}: if the column says something "
                "else, name it in rows.ignore"
            )
            raise BadRow(row.file, row.line, stated.removeprefix("@"), currency, why)

    def _check_default(
        self, default: ContractDefault, text: str, multiplier: Decimal, texts: FieldTexts, row: TableRow
    ) -> None:
        """Raise CellError for an option or a future that would be worth its price, because nothing says its size."""
        named = str(default.multiplier).removeprefix(REFERENCE).partition("|")[0]
        if multiplier != 1 or row.optional(named) is not None:
            return
        column, _ = self._found(texts)
        word = None if column is None else row.optional(column)
        is_right = self._options_of(texts).right(row) is not None
        if is_option(text) or is_right or (word is not None and plain_word(word) in _CLASSES):
            what = f"{column} {word}" if word is not None else "an option"
            msg = (
                f"is {what}, and nothing says its multiplier: pass --contracts FILE.toml with a table "
                f'[contracts."{text}"] that states it and its currency, or export the column with it'
            )
            raise CellError(msg)

    def _check_multiplier(self, contract: ContractDefined, texts: FieldTexts, row: TableRow) -> None:
        """Raise BadRow for a row that states another multiplier than the table of contracts."""
        _, column = self._found(texts)
        text = None if column is None or contract.symbol in self.defaults else row.optional(column)
        if column is None or text is None:
            return
        stated = row.parsed(column, texts.number)
        if stated not in {contract.point_value, contract.multiplier}:
            why = (
                f"is the row's multiplier, but a point of {contract.symbol} is worth {contract.point_value}: its "
                "prices may be in another unit. If the column says something else, name it in rows.ignore; for other "
                "terms, pass --contracts"
            )
            raise BadRow(row.file, row.line, column, text, why)

    def _found(self, texts: FieldTexts) -> tuple[str | None, str | None]:
        """Return the file's columns with the kind of instrument, and with its multiplier."""
        if self._columns is None:
            ignored = texts.mapping.rows.ignore
            letters = {letters_of(name): name for name in texts.columns}
            of_class = next((letters[name] for name in letters if name in _CLASS_COLUMNS), None)
            multipliers = [letters[name] for name in letters if name in _MULTIPLIER_COLUMNS]
            self._columns = of_class, next((name for name in multipliers if name not in ignored), None)
        return self._columns


def _is_other(text: str, default: ContractDefault) -> bool:
    """Return whether a name is not of what a default is for: a swap or future of a pair, or a future among shares."""
    if is_derivative(text) and not default.derivatives:
        return True
    asset = None if default.asset is None else _asset(default.asset)
    return asset in _NO_FUTURES and default.multiplier == 1 and spelled(text) is not None


def _are_units(default: ContractDefault) -> bool:
    return all((given or "").startswith(UNIT_REFERENCE) for given in (default.base_currency, default.currency))


def _asset(name: str) -> Asset:
    try:
        return Asset(name.upper())
    except ValueError as e:
        msg = f"contract.default.asset {name!r} is unknown: expected one of {', '.join(Asset)}"
        raise InvalidEvent(msg) from e
