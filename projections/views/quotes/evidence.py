"""Received quotes as they are kept as evidence of a decision: the newest ones, within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from eventstore.trading import KeptQuote

if TYPE_CHECKING:
    from projections.views.quotes.values import Observed

KEPT_MAX = 400
KEPT_BYTES_MAX = 50_000


def as_evidence(observed: list[Observed]) -> tuple[KeptQuote, ...]:
    """Return what was observed, given by name in the order received, as evidence: the newest first."""
    # Of those of one time the one received last comes first, as sorting keeps their order.
    newest_first = observed[::-1]
    newest_first.sort(key=_time, reverse=True)
    found: list[KeptQuote] = []
    size = 0
    for each in newest_first[:KEPT_MAX]:
        quote = _kept(each)
        size += len(msgspec.json.encode(quote)) + 1
        if size > KEPT_BYTES_MAX:
            break
        found.append(quote)
    return tuple(found)


def _kept(observed: Observed) -> KeptQuote:
    event = observed.event
    return KeptQuote(
        event.symbol, observed.at, event.last, event.bid, event.ask, event.mark, event.source, observed.ignored
    )


def _time(observed: Observed) -> int:
    return observed.at
