"""Trading days that somebody agreed to: stream `audit/ACCOUNT/DAY`, for example `audit/ACC1/2025-11-19`."""

import re
from datetime import date

import msgspec

from eventstore.events import Event, event

BREAKS_MAX = 100
WHAT_MAX = 240
RECORDS_MAX = 10
STATEMENT_MAX = 250
_DIGEST = re.compile(r"(?:[0-9a-f]{64})?", re.ASCII)


class AgreedBreak(msgspec.Struct, frozen=True):
    """A difference from the broker's statement that was known when a day was signed.

    `kind` is its class, such as MISSING_THERE, `what` one sentence; `records` are the log positions behind it, the
    first 10 of them.
    """

    kind: str
    what: str
    records: tuple[int, ...] = ()


def _problem_of(signed: "DaySigned") -> str | None:
    """Return what is wrong with the differences, or with what they were found in."""
    if len(signed.breaks) > BREAKS_MAX:
        return f"{len(signed.breaks):,} breaks, and the event has at most {BREAKS_MAX}: state the rest by breaks_count"
    if signed.breaks_count is not None and signed.breaks_count < len(signed.breaks):
        return f"breaks_count is {signed.breaks_count}, but {len(signed.breaks)} breaks are stated"
    if len(signed.statement) > STATEMENT_MAX:
        return f"the statement's name has {len(signed.statement):,} characters, and may have {STATEMENT_MAX}"
    if not _DIGEST.fullmatch(signed.statement_digest):
        return f"statement_digest {signed.statement_digest!r:.80} is not a SHA-256 of 64 hexadecimal digits"
    if signed.log_position is not None and signed.log_position < 0:
        return f"log_position {signed.log_position} is below zero"
    return next(filter(None, map(_problem_of_break, signed.breaks)), None)


def _problem_of_break(agreed: AgreedBreak) -> str | None:
    if not agreed.kind.strip() or not agreed.what.strip():
        return "a break without kind or sentence says nothing: give both"
    if len(agreed.what) > WHAT_MAX or len(agreed.kind) > WHAT_MAX:
        return f"the sentence of a break has at most {WHAT_MAX} characters: shorten it"
    if len(agreed.records) > RECORDS_MAX:
        return f"a break names at most {RECORDS_MAX} records, not {len(agreed.records):,}: give the first of them"
    return None


@event(categories=("audit",), requires_actor=True, problem_of=_problem_of)
class DaySigned(Event, frozen=True, kw_only=True):
    """The actor agreed to a trading day as the log had it; the actor is required.

    `breaks` are the differences from the broker's statement that were known and accepted, the first 100 of them;
    `breaks_count` is how many there were, None: as many as are stated. `statement` names the file that was compared and
    `statement_digest` is its SHA-256, both empty where none was. `log_position`: up to which record of the log was
    compared, None where that is not stated.
    """

    trading_day: date
    breaks: tuple[AgreedBreak, ...] = ()
    breaks_count: int | None = None
    statement: str = ""
    statement_digest: str = ""
    log_position: int | None = None
