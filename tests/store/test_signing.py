"""DaySigned: who agreed to a day, and to which differences; and what is refused."""

from __future__ import annotations

from datetime import date

import pytest

from eventstore import EventStore, InvalidEvent
from eventstore.trading import AgreedBreak, DaySigned
from eventstore.trading.signing import BREAKS_MAX, RECORDS_MAX, STATEMENT_MAX, WHAT_MAX

DAY = date(2025, 11, 19)
STREAM = "audit/ACC1/2025-11-19"
BREAK = AgreedBreak(kind="OTHER_PRICE", what="the file has 2, the log 1", records=(7,))


@pytest.mark.parametrize(
    ("signed", "why"),
    [
        (DaySigned(trading_day=DAY, breaks=(BREAK,) * (BREAKS_MAX + 1)), "at most 100"),
        (DaySigned(trading_day=DAY, breaks=(BREAK, BREAK), breaks_count=1), "breaks_count is 1, but 2"),
        (DaySigned(trading_day=DAY, breaks_count=-1), "breaks_count is -1"),
        (DaySigned(trading_day=DAY, breaks=(AgreedBreak(kind=" ", what="x"),)), "says nothing"),
        (DaySigned(trading_day=DAY, breaks=(AgreedBreak(kind="OTHER_PRICE", what="\n"),)), "says nothing"),
        (DaySigned(trading_day=DAY, breaks=(AgreedBreak(kind="K", what="x" * (WHAT_MAX + 1)),)), "shorten it"),
        (DaySigned(trading_day=DAY, breaks=(AgreedBreak("K", "x", tuple(range(RECORDS_MAX + 1))),)), "at most 10 rec"),
        (DaySigned(trading_day=DAY, statement="x" * (STATEMENT_MAX + 1)), "may have 250"),
        (DaySigned(trading_day=DAY, statement_digest="0F" * 32), "is not a SHA-256"),
        (DaySigned(trading_day=DAY, statement_digest="0f"), "is not a SHA-256"),
        (DaySigned(trading_day=DAY, log_position=-1), "is below zero"),
    ],
)
def test_what_says_nothing_or_too_much_is_refused(store: EventStore, signed: DaySigned, why: str) -> None:
    with pytest.raises(InvalidEvent, match=why):
        store.append(STREAM, signed, actor="me@desk")
    assert store.head() == 0


def test_it_belongs_in_an_audit_stream(store: EventStore) -> None:
    with pytest.raises(InvalidEvent):
        store.append("note/ACC1/2025-11-19", DaySigned(trading_day=DAY), actor="me@desk")


def test_it_names_who_agreed_and_to_what(store: EventStore) -> None:
    signed = DaySigned(
        trading_day=DAY,
        breaks=(BREAK,),
        breaks_count=3,
        statement="fills.csv",
        statement_digest="0f" * 32,
        log_position=9,
    )
    [record] = store.append(STREAM, signed, actor="me@desk")
    assert (record.actor, record.event) == ("me@desk", signed)


def test_the_largest_one_has_room(store: EventStore) -> None:
    largest = AgreedBreak("K" * 40, "\u20ac" * WHAT_MAX, tuple(range(2**40, 2**40 + RECORDS_MAX)))
    with pytest.raises(InvalidEvent):
        store.append(STREAM, DaySigned(trading_day=DAY, breaks=(largest,) * (BREAKS_MAX + 1)), actor="me@desk")
    plain = AgreedBreak("OTHER_QUANTITY", "x" * WHAT_MAX, tuple(range(2**40, 2**40 + RECORDS_MAX)))
    store.append(STREAM, DaySigned(trading_day=DAY, breaks=(plain,) * BREAKS_MAX), actor="me@desk")
