"""The mapping of CCXT's unified structures, as its Python library returns them.

CCXT 4.5.90, the manual's chapters on structures (docs.ccxt.com, "Manual") and `ccxt.base.types`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateways.messages.ccxt.settings import CcxtSettings
from gateways.messages.ccxt.structures import STRUCTURES, opened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateways.messages.mapped import MappedEvent


class Ccxt(CcxtSettings, frozen=True, kw_only=True):
    """Makes events of what one exchange says of one account through CCXT; its settings are those of CcxtSettings.

    A message is one structure: each element of the lists that `fetch_my_trades` or `watch_orders` returns is one. It is
    known by its members; one that lacks them is given as `{"kind": "Order", "data": order}`.
    """

    def events(self, message: Mapping[str, object]) -> tuple[MappedEvent, ...]:
        """Return the events of one structure; raise Unmapped if it cannot be mapped."""
        kind, fields = opened(self.source, message)
        return STRUCTURES[kind](self, fields)
