"""What Binance's own messages do not say: the account, and the names that contracts have in this log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from eventstore.streams import check_name


class BinanceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What Binance's messages do not say."""

    account: str
    """The account in this log."""
    symbols: Mapping[str, str] = {}
    """The name here of each of Binance's contracts, as `symbols_of` makes it of CCXT's markets; others are refused.

    Without any, Binance's own names are the names here.
    """
    codes: Mapping[str, str] = {}
    """Codes of coins whose names are none, such as OP."""
    client_ids: bool = False
    """Orders are named by `c`, the client order id, which is right if none is used twice; else by symbol and `i`."""
    exchange: str = "binance"
    """CCXT's id of the exchange."""

    def __post_init__(self) -> None:
        check_name("exchange", self.exchange)
        check_name("account", self.account)

    @property
    def source(self) -> str:
        return f"{self.exchange} futures"

    @property
    def account_stream(self) -> str:
        return f"account/{self.account}/-"


def symbols_of(markets: Iterable[Mapping[str, object]]) -> dict[str, str]:
    """Return CCXT's symbols of USD-M contracts by Binance's names, from CCXT's markets.

    A spot pair has the same name as the swap, and this stream has no spot pairs.
    """
    return {
        str(market["id"]): str(market["symbol"])
        for market in markets
        if market.get("linear") is True and market.get("type") != "option"
    }
