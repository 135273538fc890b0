"""Quotes and exchange rates: streams `quote/-/SYMBOL`, `feed/-/SOURCE`, `rate/-/BASEQUOTE`, `evidence/ACCOUNT/ID`.

Quotes are never stored, apart from those that are kept as evidence of a decision.
"""

from decimal import Decimal

import msgspec

from eventstore.events import QUEUED, VOLATILE, Currency, DerivedInstant, Event, Positive, event


@event(categories=("quote",), durability=VOLATILE)
class QuoteReceived(Event, frozen=True, kw_only=True):
    """A symbol's last trade, its bid, its ask, or all of them; what is left out stands as it was.

    `mark` is the mark or settlement price that the venue states, `source` the feed that it is from: any quote of a
    feed shows that its others, unchanged, are still good.
    """

    symbol: str
    last: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    last_size: Decimal | None = None
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None
    mark: Decimal | None = None
    source: str | None = None


@event(categories=("feed",), durability=VOLATILE)
class FeedAlive(Event, frozen=True, kw_only=True):
    """A feed works, though it may have nothing new: a heartbeat."""

    source: str


def _problem_of(event: "RateQuoted") -> str | None:
    """Return what is wrong with a pair."""
    if event.base == event.quote:
        return f"a rate of {event.base} in {event.quote} means nothing: base and quote are two currencies"
    return None


@event(categories=("rate",), durability=QUEUED, measures=("rate",), problem_of=_problem_of)
class RateQuoted(Event, frozen=True, kw_only=True):
    """One unit of `base` is worth `rate` units of `quote`."""

    base: Currency
    quote: Currency
    rate: Positive
    source: str | None = None


class KeptQuote(msgspec.Struct, frozen=True, omit_defaults=True):
    """A quote as it was received, at `at` by its own time. `ignored` says why it was not used as a price."""

    symbol: str
    at: DerivedInstant
    last: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    mark: Decimal | None = None
    source: str | None = None
    ignored: str = ""


@event(categories=("evidence",), durability=QUEUED)
class QuotesKept(Event, frozen=True, kw_only=True):
    """The quotes behind a decision, newest first, since an instant: evidence for a dispute."""

    quotes: tuple[KeptQuote, ...]
    since: DerivedInstant
