"""IB's contracts: which symbol they are here, and what ContractDetails defines."""

from __future__ import annotations

import datetime
import re
from decimal import Context, Decimal
from typing import TYPE_CHECKING

from eventstore.trading import Asset, ContractDefined
from gateways.messages.ib.members import Members, content_key
from gateways.messages.mapped import MappedEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

ASSETS = {
    "STK": Asset.STOCK,
    "FUT": Asset.FUTURE,
    "OPT": Asset.OPTION,
    "FOP": Asset.OPTION,
    "CASH": Asset.FX,
    "CRYPTO": Asset.CRYPTO,
}
COMBINATION = "BAG"
_UNITS = frozenset({"STK", "CASH", "CRYPTO", "CFD", "FUND"})
"""What counts in units, so that an empty multiplier is 1."""
_DATE = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?!\d).*", re.ASCII | re.DOTALL)
_EXACT = Context(prec=34)


def is_combination(contract: Members) -> bool:
    return contract.stated("secType") == COMBINATION


def symbol_of(contract: Members) -> str:
    """Return a contract's name here: as the settings have it, else its localSymbol, else its symbol."""
    con_id = contract.optional_identity("conId")
    if con_id is not None and con_id in contract.settings.contracts:
        return contract.settings.contracts[con_id]
    return contract.optional_text("localSymbol") or contract.text("symbol")


def multiplier_of(contract: Members) -> Decimal | None:
    """Return the money that one unit at a price of 1 is worth; None if it is not stated. Prices may be in cents."""
    stated = contract.number("multiplier")
    if stated is None and contract.stated("secType") in _UNITS:
        stated = Decimal(1)
    if stated is None or stated <= 0:
        return None
    magnifier = contract.settings.price_magnifiers.get(contract.optional_identity("conId") or "", 1)
    return _EXACT.divide(stated, Decimal(max(magnifier, 1)))


def average_price_of(contract: Members, cost: Decimal | None) -> Decimal | None:
    """Return the price of a position of which IB states the cost of one unit, the multiplier included."""
    multiplier = multiplier_of(contract)
    return None if cost is None or multiplier is None else _EXACT.divide(cost, multiplier)


def definition_events(details: Members) -> Iterator[MappedEvent]:
    """Yield what ContractDetails defines, prices as they are quoted: in cents where priceMagnifier is 100."""
    contract = details.inner("contract")
    if is_combination(contract):
        return
    symbol, kind = symbol_of(contract), contract.stated("secType")
    magnifier, tick = details.number("priceMagnifier") or Decimal(1), details.number("minTick")
    multiplier = contract.number("multiplier") or (Decimal(1) if kind in _UNITS else None)
    base = contract.optional_text("symbol") if kind in {"CASH", "CRYPTO"} else None
    event = ContractDefined(
        symbol=symbol,
        multiplier=None if multiplier is None else _EXACT.divide(multiplier, magnifier),
        tick_size=None if not tick else tick * magnifier,
        currency=contract.optional_text("currency"),
        root=contract.optional_text("symbol") if kind == "FUT" else None,
        name=details.optional_text("longName"),
        broker_ids=_other_names(contract, symbol),
        exchange=contract.optional_text("primaryExchange") or contract.optional_text("exchange"),
        expiry=_date(details.stated("realExpirationDate")) or _date(contract.stated("lastTradeDateOrContractMonth")),
        base_currency=base,
        asset=ASSETS.get(kind),
    )
    yield MappedEvent(details.stream("contract", "-", symbol), event, content_key("definition", event, None), None)


def _other_names(contract: Members, symbol: str) -> tuple[str, ...]:
    names = (contract.optional_identity("conId"), contract.optional_text("localSymbol"))
    return tuple(dict.fromkeys(name for name in names if name is not None and name != symbol))


def _date(text: str) -> datetime.date | None:
    found = _DATE.fullmatch(text)
    try:
        return datetime.date(int(found[1]), int(found[2]), int(found[3])) if found else None
    except ValueError:
        return None
