"""What the cells of a row mean by a mapping that leaves nothing open."""

from __future__ import annotations

import functools
from decimal import Decimal
from typing import TYPE_CHECKING

from eventstore.streams import check_name
from eventstore.trading import Side
from gateways.importers.field_texts import NUMBERS_KEPT, REFERENCE, FieldTexts, plain_word
from gateways.importers.fields import names_of
from gateways.importers.mapping import FeeSign
from gateways.importers.texts import CellError
from gateways.importers.trading_days import to_trading_day
from gateways.importers.values import Numbers
from gateways.importers.values.number_survey import is_currency_sign

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

    from eventstore.trading import ContractDefined
    from gateways.importers.base import TableRow
    from gateways.importers.instruments import Instruments
    from gateways.importers.mapping import Mapping as FileMapping

ZERO = Decimal(0)
WORDS_KEPT = 1_000
_QUANTITIES = frozenset({"quantity", "filled_quantity"})


class Cells(FieldTexts):
    """Reads the fields of a row; a cell that cannot be read is a BadRow with line, column and value.

    `account` names the account of all rows, which stands above the file's own.
    """

    def __init__(
        self, mapping: FileMapping, columns: Mapping[str, int], account: str | None, instruments: Instruments
    ) -> None:
        super().__init__(mapping, columns)
        self._account = account
        self._instruments = instruments
        self._is_empty = (mapping.numbers or Numbers()).is_empty
        self._signs = [word for word in (mapping.numbers or Numbers()).words if is_currency_sign(word)]
        self._time = mapping.time.parser()
        self.fee_columns = fee_columns(mapping, columns)
        self._is_always_paid = mapping.fees.sign is FeeSign.ALWAYS_PAID
        sides = sides_of(mapping)
        # Words and names repeat from row to row.
        self._side_of = functools.lru_cache(WORDS_KEPT)(lambda text: side_of(text, mapping, sides))
        self._checked_account = functools.lru_cache(WORDS_KEPT)(functools.partial(check_name, "account"))
        named = (mapping.fees.currency or "").removeprefix(REFERENCE)
        self._fee_column = named if named != mapping.fees.currency and named in columns else None
        self._named: str | None = None
        self._stated_fee_currency = mapping.fees.currency
        self._has_zones = mapping.time.zone is not None and mapping.time.zone.startswith(REFERENCE)
        self._has_account, self._has_pnl = self.has("account"), self.has("pnl")
        self._has_trading_day, self._has_fee_currency = self.has("trading_day"), self.has("fee_currency")
        self._has_side = self.has("side")
        self._sales_are_below: bool | None = None
        is_of_row = self._has_fee_currency or (mapping.fees.currency or "").startswith(REFERENCE)
        # Where the cost's cell alone says what was paid and in which currency: its place, and what was read before.
        self._fee_index = columns[self.fee_columns[0]] if len(self.fee_columns) == 1 and not is_of_row else None
        self._fees: dict[str, tuple[Decimal, str | None]] = {}
        self._decimals: dict[str, Callable[[TableRow], Decimal]] = {}
        self._times: dict[str, Callable[[TableRow], int]] = {}

    # Figures

    def decimal(self, row: TableRow, field: str) -> Decimal:
        """Return a field's number."""
        read = self._decimals.get(field)
        if read is None:
            is_checked = self._signs and field in _QUANTITIES
            read = self._decimals[field] = self.reading(field, self._quantity if is_checked else self.number)
        return read(row)

    def _quantity(self, text: str) -> Decimal:
        if any(sign in text for sign in self._signs):
            msg = "is an amount of money, not a quantity"
            raise CellError(msg)
        return self.number(text)

    def optional_decimal(self, row: TableRow, field: str) -> Decimal | None:
        """Return a field's number; None if it is empty or has no column."""
        text = self.optional(row, field)
        return None if text is None or self._is_empty(text) else self.decimal(row, field)

    def positive(self, row: TableRow, field: str) -> Decimal:
        """Return a field's number above zero."""
        number = self.decimal(row, field)
        if number <= 0:
            self.refuse(row, field, "is not above zero")
        return number

    def price(self, row: TableRow, field: str) -> Decimal | None:
        """Return an optional price, for which some exports write 0 where there is none."""
        return self.optional_decimal(row, field) or None

    # Times

    def time(self, row: TableRow, field: str) -> int:
        """Return a field's time as UNIX ns."""
        zone = self.mapping.time.zone
        if zone is not None and self._has_zones:
            named = row.text(zone[1:])
            return self.parsed(row, field, lambda text: self._time(text, named))
        read = self._times.get(field)
        if read is None:
            read = self._times[field] = self.reading(field, self._time)
        return read(row)

    def optional_time(self, row: TableRow, field: str) -> int | None:
        """Return a field's time; None if it is empty or has no column."""
        return None if self.optional(row, field) is None else self.time(row, field)

    def trading_day(self, row: TableRow) -> date | None:
        """Return the trading day that the row states."""
        if not self._has_trading_day or self.optional(row, "trading_day") is None:
            return None
        return self.parsed(row, "trading_day", lambda text: to_trading_day(text, self._time))

    # Words

    def side(self, row: TableRow, field: str = "side") -> Side:
        """Return the meaning of a word for a side; raise BadRow with the known words."""
        text = self.text(row, field)
        found = self._side_of(text)
        if found is None:
            sides = self.mapping.sides
            known = ", ".join((*sides.buy, *sides.sell))
            self.refuse(row, field, f"is not one of {known}: give the file's own words as sides.buy and sides.sell")
        return found

    def side_and_quantity(self, row: TableRow) -> tuple[Side, Decimal]:
        """Return which way a quantity goes, by the column `side`, or by its own sign."""
        quantity = self.decimal(row, "quantity")
        if quantity == 0:
            column = self.label("quantity")
            why = f"is zero: if such a row is not an execution, set it aside with rows.aside.{column}"
            self.refuse(row, "quantity", why)
        if not self._has_side:
            return (Side.BUY if quantity > 0 else Side.SELL), abs(quantity)
        side = self.side(row)
        if quantity < 0 and side is Side.BUY:
            self.refuse(row, "quantity", "is below zero, but the side is buy")
        if side is Side.SELL:
            self._check_sale(row, is_below=quantity < 0)
        return side, abs(quantity)

    def _check_sale(self, row: TableRow, *, is_below: bool) -> None:
        """Raise BadRow for a sale whose sign is not that of the sales above: it may have been bought back."""
        if self._sales_are_below is None:
            self._sales_are_below = is_below
        if self._sales_are_below is not is_below:
            where = ("below", "above") if is_below else ("above", "below")
            why = (
                f"is {where[0]} zero, but a sale above it is {where[1]}: either the sign or the side says what was "
                f'sold. If the sign does, set columns.side= and rows.ignore="{self.label("side")}"'
            )
            self.refuse(row, "quantity", why)

    # Who and what

    def account(self, row: TableRow) -> str:
        """Return the account given for the file, else the row's.

        The option names a file's account otherwise. Two accounts it would make one of, so such a row is refused.
        """
        if self._account is None:
            return self.parsed(row, "account", self._checked_account)
        if not self._has_account:
            return self._account
        named = self.optional(row, "account")
        self._named = self._named or named
        if named not in {None, self._named}:
            self.refuse(
                row,
                "account",
                f"is another account than {self._named!r} above, and --account {self._account} would make one of both: "
                "leave the option out, or split the file",
            )
        return self._account

    def contract(self, row: TableRow, at: int | None) -> ContractDefined:
        """Return the contract of a row's symbol; raise BadRow if it is not known, or of another currency."""
        return self._instruments.of_row(self, row, at)

    # Money

    def fee(self, row: TableRow) -> tuple[Decimal, str | None]:
        """Return what was paid, and its currency where the row or the mapping says it."""
        cells = row.cells
        if self._fee_index is None or len(cells) != self._width:
            return self._paid(row)
        text = cells[self._fee_index]
        found = self._fees.get(text)
        if found is None:
            found = self._paid(row)
            if len(self._fees) < NUMBERS_KEPT:
                self._fees[text] = found
        return found

    def _paid(self, row: TableRow) -> tuple[Decimal, str | None]:
        total, units = ZERO, set[str]()
        for column in self.fee_columns:
            text = row.optional(column)
            if text is None or self._is_empty(text):
                continue
            amount, unit = row.parsed(column, self.measured)
            total += abs(amount) if self._is_always_paid else amount
            if unit:
                units.add(unit)
        if len(units) > 1:
            row.refuse(self.fee_columns[0], f"has costs in {' and '.join(sorted(units))}, which do not add up")
        paid = -total if self.mapping.fees.sign is FeeSign.PAID_IS_NEGATIVE and total else total
        currency = self._fee_currency(row, units)
        if paid and currency is None and (self._fee_column or self.mapping.fees.in_kind):
            why = f"says no currency of the row's cost of {paid:f}, which may be another than the contract's"
            row.refuse(self._fee_column or self.fee_columns[0], why)
        return paid, currency

    def _fee_currency(self, row: TableRow, units: set[str]) -> str | None:
        stated = self.referred(row, self._stated_fee_currency) if self._stated_fee_currency else None
        if not stated and self._has_fee_currency:
            stated = self.optional(row, "fee_currency")
        return stated or (next(iter(units)) if units else None)

    def pnl(self, row: TableRow) -> Decimal | None:
        """Return the file's own profit and loss of a row, as it is there."""
        return self.optional_decimal(row, "pnl") if self._has_pnl else None

    def identity(self, row: TableRow, field: str) -> str | None:
        """Return what identifies a row in its account: the mapping's columns, else the field; None without either."""
        columns = self.mapping.identity.columns
        if not columns:
            return self.optional(row, field)
        return "-".join(row.text(column) for column in columns)


def sides_of(mapping: FileMapping) -> dict[str, Side]:
    """Return the mapping's words for sides, the longest first: of two that a cell begins with, it says more."""
    words = [(word, Side.BUY) for word in mapping.sides.buy] + [(word, Side.SELL) for word in mapping.sides.sell]
    return {plain_word(word): side for word, side in sorted(words, key=lambda each: -len(each[0]))}


def side_of(text: str, mapping: FileMapping, sides: Mapping[str, Side]) -> Side | None:
    """Return the side that a text means; None if it is none of the mapping's words."""
    word = plain_word(text)
    if mapping.sides.match == "word":
        return sides.get(word)
    return next((side for known, side in sides.items() if word.startswith(known)), None)


def fee_columns(mapping: FileMapping, columns: Mapping[str, int]) -> tuple[str, ...]:
    """Return the columns of the file whose costs add up."""
    named = (*names_of(mapping.columns.get("fee", ())), *mapping.fees.columns)
    return tuple(dict.fromkeys(name for name in named if name in columns))
