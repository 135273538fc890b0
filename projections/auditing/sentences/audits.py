"""Sentences about audits: approvals, signed days, checked clocks, and what was read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.clock import NANOSECONDS
from eventstore.readable import value_text
from eventstore.trading import Approved, ClockChecked, DaySigned, RecordsRead

if TYPE_CHECKING:
    from projections.auditing.sentences.wording import Said, Sentences

_MS = NANOSECONDS // 1_000


def _approved(event: Approved, said: Said) -> str:
    return f"Record {event.record} was approved by {event.by or said.record.actor or 'an unknown person'}"


def _clock(event: ClockChecked, _said: Said) -> str:
    sentence = clock_sentence(event)
    return sentence[:1].upper() + sentence[1:]


def clock_sentence(check: ClockChecked) -> str:
    """Return how far the clock is ahead or behind, of what, and how exactly that is known."""
    if check.offset_ns is None:
        return f"how far the clock is off is not known: {check.why or f'{check.source} does not say'}"
    side = "ahead of" if check.offset_ns >= 0 else "behind"
    error = "" if check.error_ns is None else f", give or take {check.error_ns / _MS:,.3f} ms"
    return f"the clock is {abs(check.offset_ns) / _MS:,.3f} ms {side} {check.source}{error}"


def _read(event: RecordsRead, _said: Said) -> str:
    of = "of all accounts" if event.account is None else f"of {event.account}"
    arguments = value_text(event.arguments)
    head = "" if event.head is None else f", up to position {event.head:,}"
    return f"{event.question} was asked {of}{f' ({arguments})' if arguments else ''}{head}"


def _signed(event: DaySigned, said: Said) -> str:
    count = len(event.breaks) if event.breaks_count is None else event.breaks_count
    breaks = f"with {count:,} {'difference' if count == 1 else 'differences'}" if count else "without differences"
    statement = f", compared with {event.statement}" if event.statement else ""
    who = said.record.actor or "an unknown person"
    return f"Trading day {event.trading_day} was agreed to by {who} {breaks}{statement}"


SENTENCES: Sentences = {
    Approved: _approved,
    ClockChecked: _clock,
    DaySigned: _signed,
    RecordsRead: _read,
}
