"""What CCXT's structures do not say: the exchange, the account, and how its figures are meant."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import msgspec

from eventstore.streams import check_name
from gateways.messages.exchanges import identity_in


class PrecisionMode(enum.IntEnum):
    """How an exchange states precision: CCXT's constants of the same names, as in `exchange.precisionMode`."""

    DECIMAL_PLACES = 2
    SIGNIFICANT_DIGITS = 3
    TICK_SIZE = 4


class LedgerFee(enum.StrEnum):
    """What CCXT's ledger type `fee` is at an exchange."""

    OF_TRADES = "of-trades"
    """The fees that trades state themselves: left out."""
    FUNDING = "funding"
    OTHER = "other"
    """Fees that no trade states."""


class CcxtSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What CCXT's structures do not say."""

    exchange: str
    """CCXT's id of the exchange."""
    account: str
    """The account in this log."""
    precision_mode: PrecisionMode | None = None
    """The exchange's; without it no tick size is taken from a market."""
    spot: bool = False
    """The account's coins are positions here, so that its balances are not those of its cash."""
    wallet: str | None = None
    """What CCXT calls this account in transfers, such as `swap` or `spot`."""
    ledger_fee: LedgerFee | None = None
    """What the ledger's type `fee` is here; without it such entries are kept as notes."""
    oco_lists: bool = False
    """Each list of orders is one whose orders cancel each other, which Binance's orders do not say."""
    client_ids: bool = False
    """Orders are named by `clientOrderId`, where they state it.

    That is right if no id is used twice, and if the exchange states an order's own id in each message of it. Trades
    never do: the Recorder finds their order by the exchange's id.
    """
    codes: Mapping[str, str] = {}
    """Codes of coins whose names are none, such as OP."""
    suffix: str = ""
    """Ends each symbol, for one of several exchanges in a log: a unified symbol has other terms at another one."""

    def __post_init__(self) -> None:
        check_name("exchange", self.exchange)
        check_name("account", self.account)

    @property
    def source(self) -> str:
        return f"ccxt/{self.exchange}"

    def broker_order_id(self, order: Mapping[str, object]) -> str:
        """Return what the exchange's id of an order is called here: exchanges count ids for each symbol by itself.

        A program that has sent an order under an id of its own appends OrderAccepted with it.
        """
        return identity_in(f"{order['symbol']}{self.suffix}", str(order["id"]))

    @property
    def account_stream(self) -> str:
        return f"account/{self.account}/-"
