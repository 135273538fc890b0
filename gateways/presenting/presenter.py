"""How one answer is shown: the zone of its times, rounded for reading or exact, and every value as text."""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import TYPE_CHECKING

import msgspec

from gateways.presenting import numbers
from gateways.presenting.times import shown_time

if TYPE_CHECKING:
    from decimal import Decimal

NONE = "-"


class Presenter(msgspec.Struct, frozen=True):
    """Writes values as text for people, `-` for none.

    `zone` is that of the times shown and typed; `stated` is the zone that was asked for by name, if any, in which a
    JSON document has its times: without one they are in UTC. `exact` rounds nothing.
    """

    zone: tzinfo = UTC
    stated: tzinfo | None = None
    exact: bool = False

    @property
    def document_zone(self) -> tzinfo:
        """The zone of times in JSON, which depends on no account."""
        return UTC if self.stated is None else self.stated

    def time(self, instant: int | None) -> str:
        return NONE if instant is None else shown_time(instant, self.zone, exact=self.exact)

    def quantity(self, value: Decimal | None) -> str:
        if value is None:
            return NONE
        return numbers.exact(value) if self.exact else numbers.quantity(value)

    def price(self, value: Decimal | None) -> str:
        if value is None:
            return NONE
        return numbers.exact(value) if self.exact else numbers.price(value)

    def mean(self, value: Decimal | None) -> str:
        """Return an average price."""
        if value is None:
            return NONE
        return numbers.exact(value) if self.exact else numbers.mean(value)

    def money(self, value: Decimal | None, currency: str | None = None) -> str:
        if value is None:
            return NONE
        return numbers.exact_money(value, currency) if self.exact else numbers.money(value, currency)
