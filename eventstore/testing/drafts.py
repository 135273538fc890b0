"""Drafts to test a journal with: the same arguments give the same bytes, so that a repetition is easily written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from eventstore.ids import keyed_id
from eventstore.record import Draft, PreparedBatch

if TYPE_CHECKING:
    from collections.abc import Sequence

OCCURRED_AT = 1_753_113_600_000_000_000
LATER = 3_600_000_000_000
"""An hour, in nanoseconds."""


def draft(
    stream: str,
    text: str,
    *,
    key: str | None = None,
    type: str = "Noted",
    schema: int = 1,
    occurred_at: int = OCCURRED_AT,
    actor: str = "contract",
    note: str = "",
    correlation_id: bytes | None = None,
    causation_id: bytes | None = None,
) -> Draft:
    """Return a fact of a stream that says `text`; its id follows from stream and `key`, by default the text."""
    data = json.dumps({"text": text}, ensure_ascii=False, separators=(",", ":")).encode()
    id_ = keyed_id(stream, text if key is None else key)
    return Draft(id_, stream, type, schema, occurred_at, data, actor, note, correlation_id, causation_id)


def drafts(stream: str, texts: Sequence[str]) -> list[Draft]:
    """Return one draft for each text."""
    return [draft(stream, text) for text in texts]


def batch(stream: str, *texts: str, expected: int | None = None) -> PreparedBatch:
    """Return a batch of one draft for each text, as a journal takes it."""
    return PreparedBatch(stream, drafts(stream, texts), expected)


# Names that a careless prefix, a comparison without regard to case, or a lost encoding would mix up.
STREAMS = (
    "order/ACC1/O-1",
    "order/ACC1/O-10",
    "order/ACC10/O-1",
    "order/ACC2/O-1",
    "order/acc1/O-1",
    "orders/ACC1/O-1",
    "position/ACC1/ESZ5",
    "position/-/ESZ5",
    "quote/-/ESZ5",
    "lockout/ACC1/daily-loss %2F ü 漢 😀",
)
TYPES = ("Noted", "Changed", "Ended")


def _history() -> tuple[tuple[PreparedBatch, ...], ...]:
    groups, number = [], 0
    for turn in range(24):
        group = []
        # Every fifth group goes to two streams at once; the others have one batch of one to three drafts.
        for part in range(2 if turn % 5 == 4 else 1):
            stream = STREAMS[(turn * 3 + part * 7) % len(STREAMS)]
            facts = []
            for _ in range(1 + (turn + part) % 3):
                number += 1
                facts.append(_varied(stream, number))
            group.append(PreparedBatch(stream, facts))
        groups.append(tuple(group))
    return tuple(groups)


def _varied(stream: str, number: int) -> Draft:
    return draft(
        stream,
        f"fact {number} ü\u2028😀",
        type=TYPES[number % len(TYPES)],
        schema=1 + number % 2,
        occurred_at=OCCURRED_AT - number * 1_000_000_007,
        actor="" if number % 4 == 0 else f"somebody@host/programme ü{number % 3}",
        note="a note – with signs" if number % 5 == 0 else "",
        correlation_id=number.to_bytes(16, "big") if number % 2 else None,
        causation_id=bytes(16) if number % 3 == 0 else None,
    )


HISTORY = _history()
"""Groups of batches for a source to hold: some fifty facts in ten streams that are easily mistaken for one another."""
