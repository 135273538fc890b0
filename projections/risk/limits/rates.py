"""Keeps exchange rates: what quotes say of a pair that an account converts at is stored, for a restart and an as-of."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from eventstore.clock import NANOSECONDS
from eventstore.streams import stream_of
from eventstore.trading import RateQuoted
from projections.decimals import FIXED
from projections.risk.caches import risk_cache
from projections.risk.limits.breaches import now_of
from projections.risk.policies import Decision, LeasedPolicy
from projections.valuation import Status
from projections.view import SHARED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore import Event
    from projections.book import Book
    from projections.risk.policies import Trigger

MOVED = Decimal("0.001")
EVERY_NS = 60 * NANOSECONDS
_ONE = Decimal(1)


class KeptRates(LeasedPolicy):
    """Appends RateQuoted once a pair's rate, as quoted, has moved by 0.1 % or was stored 60 s ago."""

    name = "rates"
    types: ClassVar[tuple[type[Event], ...]] = ()
    quotes: ClassVar[bool] = True

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterator[Decision]:
        now, symbol = now_of(trigger), trigger.symbol
        if symbol is None:
            return
        for base, quote in risk_cache(book, trigger.account, now).pairs:
            if not book.rates.is_quoted_by(symbol, base, quote):
                continue
            converted = book.rates.convert(_ONE, base, quote, now)
            rate, at = converted.rate, converted.rate_at
            if rate is None or at is None or converted.standing.status is not Status.KNOWN:
                continue
            kept = book.rates.kept(base, quote)
            if kept is not None and not _is_due(kept.used.worth_of(base), kept.used.at, rate, at):
                continue
            event = RateQuoted(base=base, quote=quote, rate=rate, source=symbol)
            yield Decision(((stream_of("rate", SHARED, f"{base}{quote}"), event),), key=f"{base}{quote}/{at}")


def _is_due(kept: Decimal, kept_at: int, rate: Decimal, at: int) -> bool:
    moved = abs(FIXED.subtract(rate, kept)) >= FIXED.multiply(kept, MOVED)
    return at > kept_at and (moved or at - kept_at >= EVERY_NS)
