"""The contract of a row: by the tables of contracts, or by the default that the mapping states."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from eventstore.errors import InvalidEvent, UnknownContract
from eventstore.events import encode
from eventstore.trading import Asset, ContractDefined
from gateways.importers.base import BadRow
from gateways.importers.texts import CellError, to_decimal

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateways.importers.base import TableRow
    from gateways.importers.contract_names import ContractNames
    from gateways.importers.field_texts import FieldTexts
    from gateways.importers.mapping import ContractDefault, ContractSettings

_SEPARATORS = ("/", "-", "_", ":")
BASE, QUOTE = "@base", "@quote"
_OF_PAIRS = {Asset.CRYPTO, Asset.FX}


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

    def of_row(self, texts: FieldTexts, row: TableRow, at: int | None) -> ContractDefined:
        """Return the contract of a row's symbol; raise BadRow if it is not known, or of another currency."""
        if self._only is not None and texts.optional(row, "symbol") is None:
            return self._add(self._only)
        text = texts.text(row, "symbol")
        try:
            contract = self.find(text, at, texts, row)
        except (CellError, InvalidEvent, UnknownContract) as e:
            raise BadRow(row.file, row.line, texts.label("symbol"), text, str(e)) from e
        self._check_currency(contract, texts, row)
        return self._add(contract)

    def find(self, text: str, at: int | None, texts: FieldTexts, row: TableRow) -> ContractDefined:
        """Return the contract of a symbol, by the tables or the mapping's default."""
        try:
            return self._names.find(text, at, self._mapping.spelling)
        except UnknownContract:
            default = self._mapping.default
            if default is None or (is_derivative(text) and not default.derivatives):
                raise
        contract = self._default(default, text, texts, row)
        known = self.defaults.setdefault(contract.symbol, contract)
        if (known.point_value, known.currency) != (contract.point_value, contract.currency):
            msg = (
                f"is worth {contract.point_value} {contract.currency} by this row, but {known.point_value} "
                f"{known.currency} by one above"
            )
            raise CellError(msg)
        return known

    def _default(self, default: ContractDefault, text: str, texts: FieldTexts, row: TableRow) -> ContractDefined:
        pair = pair_of(text, self._mapping.quotes)
        is_pair = pair is not None and default.asset is not None and default.asset.upper() in _OF_PAIRS
        base = self._part(default.base_currency or (BASE if is_pair else None), pair, texts, row)
        currency = self._part(default.currency or (QUOTE if is_pair else None), pair, texts, row)
        multiplier = to_decimal(texts.referred(row, str(default.multiplier)) or "")
        contract = ContractDefined(
            symbol=text,
            multiplier=multiplier,
            currency=currency,
            base_currency=base,
            asset=None if default.asset is None else _asset(default.asset),
        )
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

    def _check_currency(self, contract: ContractDefined, texts: FieldTexts, row: TableRow) -> None:
        stated = self._mapping.currency
        if stated is None:
            return
        currency = texts.referred(row, stated)
        if currency is not None and currency != contract.currency:
            why = f"is the row's currency, but {contract.symbol} is in {contract.currency}"
            raise BadRow(row.file, row.line, stated.removeprefix("@"), currency, why)


def is_derivative(text: str) -> bool:
    """Return whether a name is that of a swap or dated future of a pair, as ccxt writes it: ABC/USDT:USDT."""
    return "/" in text and ":" in text


def pair_of(text: str, quotes: tuple[str, ...]) -> tuple[str, str] | None:
    """Return base and quote currency of a pair's name; None if it is none."""
    # ABC/USDT:USDT is a swap of the pair, settled in what follows the colon.
    plain = text.split(":", 1)[0] if "/" in text else text
    for separator in _SEPARATORS:
        base, found, quote = plain.partition(separator)
        if found and base and quote:
            return base.upper(), quote.upper()
    name = plain.upper()
    for each in quotes:
        before, _, quote = each.upper().rpartition("|")
        base = name.removesuffix(quote)
        if base not in {"", name} and (not before or fnmatch.fnmatchcase(base, before)):
            return base, quote
    return None


def _asset(name: str) -> Asset:
    try:
        return Asset(name.upper())
    except ValueError as e:
        msg = f"contract.default.asset {name!r} is unknown: expected one of {', '.join(Asset)}"
        raise InvalidEvent(msg) from e
