"""Sentences about days, contracts, quotes, notes, alerts, strategies' states, and the log itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.clock import NANOSECONDS
from eventstore.trading import (
    AlertSent,
    ContractDefined,
    FeedAlive,
    LogContinued,
    LogEnded,
    Marked,
    NoteAdded,
    PairStateSaved,
    PortfolioSaved,
    QuoteReceived,
    RateQuoted,
    SessionClosed,
    SessionOpened,
    SessionReset,
    StateCarried,
    TimerCanceled,
    TimerStarted,
    VersionsCarried,
)
from projections import numbers
from projections.auditing.sentences.wording import Said, because, listed, money, price, quantity, stated
from projections.view import SHARED

if TYPE_CHECKING:
    from decimal import Decimal

    from projections.auditing.sentences.wording import Sentences


def _session_opened(event: SessionOpened, said: Said) -> str:
    return f"Trading day {event.trading_day} opened{_times(event, said)}"


def _session_reset(event: SessionReset, said: Said) -> str:
    late = ", recorded late" if event.late else ""
    begun = f"began at {said.instant(event.scheduled_for)}{late}"
    return f"Trading day {event.trading_day} {begun}{_times(event, said)}"


def _times(event: SessionOpened | SessionReset, said: Said) -> str:
    names = (("trading from", event.opens_at), ("flat by", event.flat_by), ("reset at", event.resets_at))
    times = ", ".join(f"{name} {said.instant(at)}" for name, at in names if at is not None)
    return f": {times}" if times else ""


def _session_closed(event: SessionClosed, _said: Said) -> str:
    day = "The trading day" if event.trading_day is None else f"Trading day {event.trading_day}"
    figures = stated(
        realized=_money(event.realized, event.currency),
        fees=_money(event.fees, event.currency),
        cash=_money(event.cash, event.currency),
        balance=_money(event.balance, event.currency),
        high_water_mark=_money(event.high_water, event.currency),
        trades=event.trades,
    )
    return f"{day} was closed{f': {figures}' if figures else ''}"


def _contract(event: ContractDefined, _said: Said) -> str:
    terms = stated(
        multiplier=_quantity(event.multiplier),
        tick_size=_quantity(event.tick_size),
        tick_value=_quantity(event.tick_value),
        currency=event.currency,
        expiry=event.expiry,
    )
    names = f", known as {listed(event.broker_ids)}" if event.broker_ids else ""
    return f"Contract {event.symbol} was defined{f': {terms}' if terms else ''}{names}"


def _mark(event: Marked, _said: Said) -> str:
    return f"The log was marked here as {event.name}"


def _quote(event: QuoteReceived, _said: Said) -> str:
    prices = stated(last=_price(event.last), bid=_price(event.bid), ask=_price(event.ask), mark=_price(event.mark))
    return f"{event.symbol} was quoted: {prices or 'no price'}"


def _feed(event: FeedAlive, _said: Said) -> str:
    return f"Feed {event.source} works"


def _rate(event: RateQuoted, _said: Said) -> str:
    source = "" if event.source is None else f" by {event.source}"
    return f"1 {event.base} was quoted{source} at {numbers.mean(event.rate)} {event.quote}"


def _note(event: NoteAdded, said: Said) -> str:
    tags = f" [{', '.join(event.tags)}]" if event.tags else ""
    target = event.target if "/" in event.target else f"record {event.target}"
    about = target.removeprefix(f"order/{said.record.account}/") if "/" in target else target
    about = f"order {about}" if about != target else target
    return f"Note on {about}{tags}{because(event.text)}"


def _alert(event: AlertSent, _said: Said) -> str:
    about = f" of {event.subject}" if event.subject else ""
    over = " is over" if event.ended else ""
    attempts = "" if event.attempts == 1 else f" after {event.attempts:,} attempts"
    done = f"was sent to {event.to}" if event.delivered else f"could not be sent to {event.to}"
    of = "" if event.reported is None else f", about the record at position {event.reported:,}"
    return f"Alert {event.what}{about}{over} {done}{attempts}{of}{because(event.why)}"


def _pair(event: PairStateSaved, said: Said) -> str:
    return f"The state of pair {event.pair or said.entity} was saved, version {event.version}"


def _portfolio(event: PortfolioSaved, said: Said) -> str:
    return f"The state of portfolio {event.portfolio or said.entity} was saved, version {event.version}"


def _timer(event: TimerStarted, _said: Said) -> str:
    return f"Timer {event.name} was started for {event.duration / NANOSECONDS:g} s"


def _timer_canceled(event: TimerCanceled, _said: Said) -> str:
    return f"Timer {event.name} was ended before its time"


def _continued(event: LogContinued, _said: Said) -> str:
    name = "another log" if event.name is None else f"log {event.name}"
    return f"This log continues {name} ({event.previous}) from its record {event.size:,}; its root then: {event.root}"


def _ended(event: LogEnded, _said: Said) -> str:
    return f"This log has ended; log {event.next} ({event.next_id}) continues it"


def _carried(event: StateCarried, said: Said) -> str:
    account = said.record.account
    whose = "what belongs to no account" if account == SHARED else f"account {account}"
    part = "" if event.parts == 1 else f", part {event.part} of {event.parts}"
    return (
        f"What {event.view} knew of {whose} was carried on from log {event.previous}, as of position "
        f"{event.position:,}{part}"
    )


def _versions(event: VersionsCarried, _said: Said) -> str:
    return f"The versions of {len(event.versions):,} orders' streams were carried on from log {event.previous}"


def _money(amount: Decimal | None, currency: str | None) -> str | None:
    return None if amount is None else money(amount, currency)


def _price(value: Decimal | None) -> str | None:
    return None if value is None else price(value)


def _quantity(value: Decimal | None) -> str | None:
    return None if value is None else quantity(value)


SENTENCES: Sentences = {
    SessionOpened: _session_opened,
    SessionReset: _session_reset,
    SessionClosed: _session_closed,
    ContractDefined: _contract,
    Marked: _mark,
    QuoteReceived: _quote,
    FeedAlive: _feed,
    RateQuoted: _rate,
    NoteAdded: _note,
    AlertSent: _alert,
    PairStateSaved: _pair,
    PortfolioSaved: _portfolio,
    TimerStarted: _timer,
    TimerCanceled: _timer_canceled,
    LogContinued: _continued,
    LogEnded: _ended,
    StateCarried: _carried,
    VersionsCarried: _versions,
}
