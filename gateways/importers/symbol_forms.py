"""What a symbol's form says of it: a pair and its currencies, a swap or dated future of one, an option."""

from __future__ import annotations

import fnmatch
import re

from eventstore.trading import Asset

_SEPARATORS = ("/", "-", "_", ":")
_PAIR_OF_SIX = re.compile(r"(?P<base>[A-Z]{3})\.?(?P<quote>[A-Z]{3})", re.ASCII)
_QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "USD", "EUR", "GBP", "JPY")
"""Currencies that the name of a coin's pair most often ends with."""
_DOLLAR_COINS = frozenset({"FDUSD", "BUSD", "TUSD", "GUSD", "PYUSD", "RLUSD", "SUSD", "LUSD", "EUSD"})
# BTCUSD_PERP, BTC-PERPETUAL, BTC-USDT-SWAP, BTCUSDT_260327, BTC-27MAR26, PF_XBTUSD: as exchanges name them.
_DERIVATIVE = re.compile(
    r".+[-_](?:PERP|PERPETUAL|SWAP|\d{6}(?:\d\d)?|\d{1,2}[A-Z]{3}\d\d)|(?:PI|PF|FI|FF)_.+", re.ASCII | re.IGNORECASE
)
_OPTIONS = (
    # SPY   260320C00500000 of the Options Clearing Corporation, .SPY260320C500.
    r"[./]?[A-Z]{1,6} *\d{6}[CP]\d+(?:\.\d+)?",
    # SPY 20MAR26 500 C, BTC-27MAR26-50000-C.
    r"\S+[ -]\d{1,2}[A-Z]{3}\d\d[ -]\d+(?:\.\d+)?[ -](?:C|P|CALL|PUT)",
    # SPY 03/20/2026 500.00 C, SPY 500 CALL, SPY/2026-03-20/500/C of several columns.
    r"\S+[ /].*\d[ /](?:C|P|CALL|PUT)",
    # ESH6 C5000, SPY/C/500/2026-03-20.
    r"\S+ [CP] ?\d+(?:\.\d+)?",
    r"[^/]+/(?:.+/)?(?:C|P|CALL|PUT)/\d.*",
)
_OPTION = re.compile("|".join(_OPTIONS), re.ASCII | re.IGNORECASE)


def is_derivative(text: str) -> bool:
    """Return whether a name is that of a swap or dated future of a pair, as ABC/USDT:USDT of ccxt, or ABCUSD_PERP."""
    return ("/" in text and ":" in text) or _DERIVATIVE.fullmatch(text) is not None


def is_option(text: str) -> bool:
    """Return whether a name is written like that of an option, whose size is rarely 1."""
    return _OPTION.fullmatch(text) is not None


def pair_of(text: str, quotes: tuple[str, ...], asset: Asset | None = None) -> tuple[str, str] | None:
    """Return base and quote currency of a pair's name; None if it is none.

    `quotes` are the currencies that names without a separator end with. Without them, those of `asset` are tried: for
    FX two codes of three letters, for CRYPTO the currencies that most pairs are in.
    """
    # ABC/USDT:USDT is a swap of the pair, settled in what follows the colon.
    plain = text.split(":", 1)[0] if "/" in text else text
    for separator in _SEPARATORS:
        base, found, quote = plain.partition(separator)
        if found and base and quote:
            return base.upper(), quote.upper()
    name = plain.upper()
    if asset is Asset.FX and not quotes:
        six = _PAIR_OF_SIX.fullmatch(name)
        return None if six is None else (six["base"], six["quote"])
    if asset is Asset.CRYPTO and not quotes and name not in _DOLLAR_COINS:
        quotes = _QUOTES
    for each in quotes:
        before, _, quote = each.upper().rpartition("|")
        base = name.removesuffix(quote)
        if base not in {"", name} and (not before or fnmatch.fnmatchcase(base, before)):
            return base, quote
    return None
