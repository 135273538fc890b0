"""Columns that say more about a row than the mapping takes from it: currency, account, time of day, exit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

from gateways.importers.field_texts import letters_of
from gateways.importers.mapping import KindOfRow
from gateways.importers.values import Question
from gateways.importers.values.questions import FOUND_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateways.importers.mapping import Mapping as FileMapping

_CURRENCIES = frozenset({"currency", "ccy", "currencyprimary", "tradecurrency", "pricecurrency", "contractcurrency"})
_CODE = re.compile(r"[A-Za-z]{3,5}", re.ASCII)
_CLOCK = re.compile(r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?[AaPp]\.?[Mm]\.?)?|\d{6}", re.ASCII)
_EXITS = frozenset({
    "exitprice", "exittime", "exitdate", "exitedat", "exitat", "exitrate", "closetime", "closedat", "closerate",
    "closedate", "soldtimestamp", "boughttimestamp", "exit", "closeprice", "closingprice", "closingtime", "closingdate",
    "closedprice", "sellprice", "selltime", "selldate", "soldprice", "soldat",
})  # fmt: skip
_ACCOUNTS = frozenset({
    "account", "accounts", "acct", "accountid", "accountno", "accountnr", "accountnumber", "accountname",
    "accountalias", "accounttype", "accountcode", "acctid", "acctno", "acctnumber", "acctname", "clientaccountid",
    "subaccount", "subaccountid", "subaccountname", "subacct", "brokerageaccount", "tradingaccount", "login", "user",
    "userid", "clientid", "portfolio", "portfolioname", "wallet", "konto", "kontonummer", "depot", "depotnummer",
    "compte", "cuenta", "conta", "conto", "rekening",
})  # fmt: skip
_POSITION_SIDES, _BOTH_SIDES = frozenset({"positionside", "posside"}), frozenset({"long", "short"})
_DURATIONS = ("duration", "held", "hold", "elapsed", "length")
_DAY = re.compile(r"\d{8}|\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./](?:\d{4}|\d\d)", re.ASCII)


def with_currency(mapping: FileMapping, words: Mapping[str, Mapping[str, int]]) -> FileMapping:
    """Return the mapping with the file's column of currencies, if it names none: contracts are compared with it.

    `words` are those of the columns that the mapping does not mention.
    """
    contract = mapping.contract
    if contract.currency is not None or mapping.rows.kind in {KindOfRow.CASH, KindOfRow.SNAPSHOT}:
        return mapping
    for column, found in words.items():
        codes = set(found) - {""}
        if letters_of(column) in _CURRENCIES and codes and all(map(_CODE.fullmatch, codes)):
            default = contract.default
            if default is not None and default.currency is None:
                default = replace(default, currency=f"@{column}")
            return replace(mapping, contract=replace(contract, currency=f"@{column}", default=default))
    return mapping


def account_question(columns: Mapping[str, Iterable[str]]) -> Question | None:
    """Return a question about a column of accounts where the mapping names none: several would become one.

    `columns` are those that the mapping does not mention, with their texts.
    """
    for column, texts in columns.items():
        found = [text for text in texts if text]
        if len(found) > 1 and letters_of(column) in _ACCOUNTS:
            text = (
                f"column {column} has several accounts, which would become one: name it, and leave out --account. If "
                "they are one account, name it in rows.ignore"
            )
            return Question("columns.account", text, tuple(found[:FOUND_MAX]), (column,))
    return None


def hedge_question(columns: Mapping[str, Iterable[str]]) -> Question | None:
    """Return a question about a column that says of which of a contract's two positions a row is.

    `columns` are those that the mapping does not mention, with their texts.
    """
    for column, texts in columns.items():
        if letters_of(column) in _POSITION_SIDES and {text.strip().casefold() for text in texts} >= _BOTH_SIDES:
            text = (
                f"column {column} says that a long and a short position were held beside each other, and an import "
                f"makes one position of both. Import each into an account of its own, with rows.where.{column} and "
                "--account; if one position is meant, name the column in rows.ignore"
            )
            found = tuple(text for text in texts if text)
            return Question(f"rows.where.{column}", text, found[:FOUND_MAX], found[:FOUND_MAX])
    return None


def clock_question(dates: str, others: Mapping[str, Iterable[str]]) -> Question | None:
    """Return a question about a time of day in a column of its own, where the times in use are days alone.

    `others` are the columns that the mapping does not mention, with their texts.
    """
    for column, texts in others.items():
        found = [text for text in texts if text]
        is_named = "time" in letters_of(column) and not any(word in letters_of(column) for word in _DURATIONS)
        if found and is_named and all(map(_CLOCK.fullmatch, found)):
            text = f"column {dates} has days alone, and column {column} the time of day: name both"
            return Question("columns.time", text, tuple(found[:FOUND_MAX]), (f"{dates},{column}",))
    return None


def exit_question(columns: Iterable[str]) -> Question | None:
    """Return a question about exits in rows that the mapping takes for single executions: they would be lost.

    `columns` are those that the mapping does not mention, and that are not empty.
    """
    found = [column for column in columns if letters_of(column) in _EXITS]
    if not found:
        return None
    text = (
        f"column {found[0]} is of an exit, and the mapping takes each row for one execution: write a mapping of kind "
        "round-trip, with --mapping, or name the column in rows.ignore if the exit has a row of its own"
    )
    return Question("rows.kind", text, (), ("round-trip",))


def is_day(text: str) -> bool:
    """Return whether a text is a date without a time of day."""
    return _DAY.fullmatch(text) is not None
