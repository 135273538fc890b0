"""What a mapping of a gateway's messages knows beside them: names of accounts and contracts, and the currency."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from eventstore.errors import InvalidEvent, shown
from eventstore.events.validation import is_currency
from eventstore.streams import check_name

SOURCE = "projectx"


class Settings(msgspec.Struct, frozen=True):
    """`accounts` and `contracts` give names here for the gateway's ids; without one an id stands for itself.

    `currency` is that of fees, balances and tick values: no message states it.
    """

    accounts: Mapping[str, str] = {}
    contracts: Mapping[str, str] = {}
    currency: str = "USD"

    def __post_init__(self) -> None:
        for account in self.accounts.values():
            check_name("account", account)
        if not is_currency(self.currency):
            msg = f"currency {shown(self.currency)} is not a currency's code: give one such as USD"
            raise InvalidEvent(msg)

    def account(self, id_: str) -> str:
        return self.accounts.get(id_, id_)

    def symbol(self, id_: str) -> str:
        return self.contracts.get(id_, id_)
