"""How the values of one answer become text: in which time zone, and rounded or exact."""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import TYPE_CHECKING

import msgspec

from gateways.presenting.times import shown_time
from projections import numbers

if TYPE_CHECKING:
    from decimal import Decimal

NONE = "-"


class Presenter(msgspec.Struct, frozen=True):
    """Writes values as text for people, `-` for None.

    `zone` is that of times in input and output. `stated` is the zone asked for by name, if any: JSON documents have
    their times in it, or else in UTC. `exact` does not round.
    """

    zone: tzinfo = UTC
    stated: tzinfo | None = None
    exact: bool = False

    @property
    def document_zone(self) -> tzinfo:
        """The zone of times in JSON, independent of the account."""
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
