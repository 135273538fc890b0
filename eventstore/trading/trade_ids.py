"""Ids of trades: a report of an execution whose id stands for none is refused."""

import string
from typing import Protocol


class Identified(Protocol):
    """A report of an execution."""

    trade_id: str


# What is left, without punctuation around it, of what programs write for "no value".
_NO_VALUE = frozenset({"", "n/a", "na", "nan", "nil", "none", "null"})


def unidentified(event: Identified) -> str | None:
    """Return what is wrong with the trade id of a report of an execution; None if it may be one.

    Reports are of one execution if their ids agree. With text that stands for none, a second fill of the same figures
    would be taken for a repeated report of the first, and lost.
    """
    if event.trade_id.strip().strip(string.punctuation).casefold() not in _NO_VALUE:
        return None
    return (
        f"trade_id {event.trade_id!r} identifies no trade, so a second one is not distinct from a repeated report: "
        "give the venue's id of the execution or, where it has none, one of your own for each trade"
    )
