"""Evidence for disputes: the quotes behind a lockout, a breach or an unjudged limit, and ignored ones, are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from eventstore.clock import NANOSECONDS
from eventstore.streams import stream_of
from eventstore.trading import LimitBreached, LimitUnjudged, LockoutSet, QuotesKept
from projections.risk.limits.breaches import now_of
from projections.risk.policies import Decision, Policy, TriggerKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore import Event
    from projections.book import Book
    from projections.risk.policies import Trigger

KEPT_NS = 60 * NANOSECONDS
MINUTE_NS = 60 * NANOSECONDS


class QuotesEvidence(Policy):
    """Appends QuotesKept, the last 60 s of the quotes, after a lockout, a breach or LimitUnjudged, and ignored prices.

    At most once for each account and minute; caused by the decision's record where there is one. A process without
    these quotes has nothing to keep.
    """

    name = "evidence"
    types: ClassVar[tuple[type[Event], ...]] = (LockoutSet, LimitBreached, LimitUnjudged)
    quotes: ClassVar[bool] = True

    def __init__(self) -> None:
        self._kept_in: dict[str, int] = {}

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterator[Decision]:
        account, now = trigger.account, now_of(trigger)
        minute = now // MINUTE_NS
        # Of a feed that sends nothing but what is ignored, each quote asks.
        if self._kept_in.get(account) == minute:
            return
        if trigger.kind is TriggerKind.QUOTE:
            # Asked at each quote: only one that was ignored is evidence.
            if trigger.symbol is None or not book.quotes.is_newest_ignored(trigger.symbol):
                return
            symbols = [trigger.symbol]
        elif trigger.record is None:
            return
        else:
            symbols = _symbols_of(book, account, trigger.event)
        since = now - KEPT_NS
        kept = book.quotes.kept(symbols, since)
        if not kept:
            return
        self._kept_in[account] = minute
        name, event = str(minute), QuotesKept(quotes=kept, since=since)
        yield Decision(((stream_of("evidence", account, name), event),), key=f"{account}/{name}")


def _symbols_of(book: Book, account: str, event: Event | None) -> list[str]:
    """Return the symbols whose quotes a decision was made with: those it names, else the open positions'."""
    details = getattr(event, "details", None)
    quotes = details.get("quotes") if isinstance(details, dict) else None
    if isinstance(quotes, dict) and quotes:
        return sorted(quotes)
    return sorted({held.symbol for held in book.positions.of(account) if held.quantity})
