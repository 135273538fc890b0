"""CCXT's markets: each is the definition of a contract."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from eventstore.clock import NANOSECONDS
from eventstore.trading import Asset, ContractDefined, Payoff
from gateways.messages.ccxt.names import symbol_of
from gateways.messages.ccxt.settings import PrecisionMode
from gateways.messages.exchanges import code_of, mapped, newest, optional_code, optional_number, stated

if TYPE_CHECKING:
    from gateways.messages.ccxt.settings import CcxtSettings
    from gateways.messages.fields import MessageFields
    from gateways.messages.mapped import MappedEvent

KIND = "Market"
_BY_TYPE = "`type` says it"
_EXCHANGE = "the exchange's own name of the same"
_RATES = "trades state what was paid"
_AT_THE_EXCHANGE = "the exchange checks it"
FIELDS = {
    "id": "ContractDefined.name; ContractDefined.broker_ids as EXCHANGE:TYPE:ID",
    "symbol": "ContractDefined.symbol, and the stream",
    "base": "ContractDefined.base_currency, root",
    "quote": "ContractDefined.currency of a spot pair",
    "settle": "ContractDefined.currency of a contract",
    "type": "ContractDefined.product, asset",
    "contract": "ContractDefined.asset",
    "linear": "ContractDefined.payoff",
    "inverse": "ContractDefined.payoff",
    "quanto": "ContractDefined.multiplier: none, because contractSize is not money per point",
    "contractSize": "ContractDefined.multiplier",
    "expiry": "ContractDefined.expiry",
    "expiryDatetime": "ContractDefined.expiry",
    "precision": "ContractDefined.tick_size, by the setting precision_mode",
    "precision.price": "ContractDefined.tick_size",
}
LEFT_OUT = {
    "baseId": _EXCHANGE,
    "quoteId": _EXCHANGE,
    "settleId": _EXCHANGE,
    "subType": "linear and inverse say it",
    "spot": _BY_TYPE,
    "margin": _BY_TYPE,
    "swap": _BY_TYPE,
    "future": _BY_TYPE,
    "option": _BY_TYPE,
    "active": "a definition says nothing of hours",
    "strike": "a definition has no such member",
    "optionType": "a definition has no such member",
    "taker": _RATES,
    "maker": _RATES,
    "percentage": _RATES,
    "tierBased": _RATES,
    "feeSide": _RATES,
    "limits": _AT_THE_EXCHANGE,
    "marginModes": _AT_THE_EXCHANGE,
    "precision.amount": _AT_THE_EXCHANGE,
    "created": "when it was listed changes nothing",
    "index": "an index is not traded",
    "info": "the exchange's own form of the same",
}
_TYPES = {"spot", "margin", "swap", "future", "option"}
_DERIVATIVES = {"swap": Asset.FUTURE, "future": Asset.FUTURE, "option": Asset.OPTION}
_DECIMALS_MAX = 50


class MarketTerms(NamedTuple):
    """What a price counts for; None for what the market does not state, which is then unknown and never 1."""

    multiplier: Decimal | None
    currency: str | None
    base_currency: str | None
    payoff: Payoff = Payoff.LINEAR
    asset: Asset = Asset.CRYPTO
    root: str | None = None


def market_events(settings: CcxtSettings, fields: MessageFields) -> tuple[MappedEvent, ...]:
    """Return the definition; the same one at any time is the same record."""
    symbol = symbol_of(settings, fields)
    kind = fields.choice("type", {name: name for name in _TYPES})
    id_ = fields.optional_text("id")
    asset = _DERIVATIVES.get(kind)
    terms = _spot(settings, fields) if asset is None else _contract(settings, fields, asset)
    event = ContractDefined(
        symbol=symbol,
        multiplier=terms.multiplier,
        tick_size=_tick_size(settings, fields),
        currency=terms.currency,
        root=terms.root,
        name=id_,
        # Not the id alone: Binance's BTCUSDT is a spot pair and a swap, and other exchanges have one too.
        broker_ids=() if id_ is None else (f"{settings.exchange}:{kind}:{id_}",),
        exchange=settings.exchange,
        product=kind,
        expiry=None if asset is None else _expiry(fields),
        payoff=terms.payoff,
        base_currency=terms.base_currency,
        asset=terms.asset,
    )
    return (mapped(fields, fields.stream("contract", "-", symbol), event, f"market:{symbol}", None),)


def _spot(settings: CcxtSettings, fields: MessageFields) -> MarketTerms:
    base, quote = code_of(fields, "base", settings.codes), code_of(fields, "quote", settings.codes)
    return MarketTerms(Decimal(1), quote, base)


def _contract(settings: CcxtSettings, fields: MessageFields, asset: Asset) -> MarketTerms:
    base, quote, settle = (optional_code(fields, name, settings.codes) for name in ("base", "quote", "settle"))
    size = stated(fields, "contractSize")
    linear, inverse = fields.optional_flag("linear"), fields.optional_flag("inverse")
    if linear and inverse:
        fields.refuse("inverse", "contradicts linear = true")
    if linear is None and inverse is None and settle is not None:
        linear, inverse = settle == quote, settle == base
    if asset is Asset.OPTION:
        # Its premium is quoted in what it is settled in, also where the option itself is inverse.
        return MarketTerms(size, settle, base, asset=asset, root=base)
    if inverse:
        return MarketTerms(size, quote, settle or base, Payoff.INVERSE, asset, base)
    if linear:
        return MarketTerms(size, settle or quote, base, asset=asset, root=base)
    # A quanto is settled in a third coin, in which contractSize is not stated.
    return MarketTerms(None, settle, base, asset=asset, root=base)


def _tick_size(settings: CcxtSettings, fields: MessageFields) -> Decimal | None:
    if settings.precision_mode is None or fields.get("precision") is None:
        return None
    precision = fields.inner("precision")
    price = optional_number(precision, "price")
    if price is None or settings.precision_mode is PrecisionMode.SIGNIFICANT_DIGITS:
        return None
    if settings.precision_mode is PrecisionMode.TICK_SIZE:
        return price if price > 0 else None
    if price != price.to_integral_value() or abs(price) > _DECIMALS_MAX:
        precision.refuse("price", "is not a number of decimal places: is precision_mode right?")
    return Decimal(1).scaleb(-int(price))


def _expiry(fields: MessageFields) -> datetime.date | None:
    at = newest(fields, "expiry")
    at = fields.optional_instant("expiryDatetime") if at is None else at
    if at is None:
        return None
    return datetime.datetime.fromtimestamp(at // NANOSECONDS, datetime.UTC).date()
