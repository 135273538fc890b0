"""Sentences about requests to the trading process, what came of them, and the policies that make them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.trading import (
    EnforcementAction,
    EnforcementClaimed,
    EnforcementEscalated,
    EnforcementRequested,
    EnforcementTaken,
    PolicyResumed,
    PolicyStopped,
    QuotesKept,
    QuotesWanted,
    WouldAsk,
)
from projections.auditing.sentences.wording import Said, because, listed, price, quantity

if TYPE_CHECKING:
    from eventstore.trading import KeptQuote
    from projections.auditing.sentences.wording import Sentences


def asked_for(event: EnforcementRequested | WouldAsk) -> str:
    """Return what is asked for, and by which rule: `close all positions, asked by daily-loss`."""
    symbol = event.symbol or "an unknown symbol"
    what = {
        EnforcementAction.CANCEL_ORDERS: "cancel the working orders",
        EnforcementAction.FLATTEN: "close all positions",
        EnforcementAction.FLATTEN_SYMBOL: f"close the position in {symbol}",
        EnforcementAction.REDUCE_TO: f"reduce to {quantity(event.quantity)}{f' {symbol}' if event.symbol else ''}",
        EnforcementAction.NONE: "do nothing",
    }[event.action]
    again = f", attempt {event.attempt:,}" if event.attempt > 1 else ""
    return f"{what}, by {event.rule_id}{again}"


def _requested(event: EnforcementRequested, _said: Said) -> str:
    return f"The trading process was asked to {asked_for(event)}{because(event.reason)}"


def _claimed(event: EnforcementClaimed, said: Said) -> str:
    until = said.instant(event.lease_until)
    return f"{event.claimant} carries out request {event.request_id}, alone until {until}"


def _escalated(event: EnforcementEscalated, _said: Said) -> str:
    times = "once" if event.attempts == 1 else f"{event.attempts:,} times"
    return f"A person has to act on request {event.request_id}, asked {times}{because(event.why)}"


def _taken(event: EnforcementTaken, _said: Said) -> str:
    done = "was carried out" if event.success else "failed"
    details = event.details if isinstance(event.details, str) else ""
    return f"The trading process answered that request {event.request_id} {done}{because(details)}"


def _quotes_wanted(event: QuotesWanted, _said: Said) -> str:
    return f"Quotes were asked for of {listed(event.symbols) or 'no symbol'}{because(event.reason)}"


def _quotes_kept(event: QuotesKept, said: Said) -> str:
    shown = listed([f"{each.symbol} {_figures(each)}" for each in event.quotes], 3)
    count = f"{len(event.quotes):,} {'quote' if len(event.quotes) == 1 else 'quotes'}"
    return f"Kept as evidence: {count} since {said.instant(event.since)}{f', the newest {shown}' if shown else ''}"


def _figures(quote: KeptQuote) -> str:
    named = (("last", quote.last), ("bid", quote.bid), ("ask", quote.ask), ("mark", quote.mark))
    figures = " ".join(f"{name} {price(value)}" for name, value in named if value is not None)
    return f"{figures or 'without a price'}{f' (ignored: {quote.ignored})' if quote.ignored else ''}"


def _stopped(event: PolicyStopped, _said: Said) -> str:
    return f"Policy {event.policy} stopped, so its limits are unjudged{because(event.why)}"


def _resumed(event: PolicyResumed, _said: Said) -> str:
    return f"Policy {event.policy} runs again{because(event.why)}"


SENTENCES: Sentences = {
    EnforcementRequested: _requested,
    EnforcementClaimed: _claimed,
    EnforcementEscalated: _escalated,
    EnforcementTaken: _taken,
    QuotesWanted: _quotes_wanted,
    QuotesKept: _quotes_kept,
    PolicyStopped: _stopped,
    PolicyResumed: _resumed,
}
