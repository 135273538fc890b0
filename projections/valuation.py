"""The status of a figure that depends on a price, a rate, a contract or a report: known, stale, or unknown and why."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import msgspec

from eventstore.clock import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable


class Status(enum.StrEnum):
    """How far a figure may be believed. Only a KNOWN one lets new exposure pass, or causes what cannot be undone."""

    KNOWN = "KNOWN"
    STALE = "STALE"
    """Made with an input that is too old, unconfirmed, or of another kind than the account's."""
    UNKNOWN = "UNKNOWN"
    """An input is missing: the figure leaves it out."""


class Standing(msgspec.Struct, frozen=True, gc=False):
    """A figure's status, with a reason that a trader can read where it is not KNOWN; `age` in ns of what is STALE."""

    status: Status = Status.KNOWN
    why: str = ""
    age: int | None = None

    @property
    def stale_seconds(self) -> float | None:
        """The age in seconds of the oldest stale input; None unless STALE."""
        return None if self.age is None or self.status is not Status.STALE else self.age / NANOSECONDS


KNOWN = Standing()
REASONS_MAX = 10


def stale(why: str, age: int | None = None) -> Standing:
    return Standing(Status.STALE, why, age)


def unknown(why: str) -> Standing:
    return Standing(Status.UNKNOWN, why)


def worst(standings: Iterable[Standing]) -> Standing:
    """Return the worst status of several inputs, with the reasons of all that have it and the greatest age."""
    # Nearly always they are all KNOWN, and mostly this very one.
    found = [each for each in standings if each is not KNOWN and each.status is not Status.KNOWN]
    if not found:
        return KNOWN
    status = Status.UNKNOWN if any(each.status is Status.UNKNOWN for each in found) else Status.STALE
    of_status = [each for each in found if each.status is status]
    reasons = list(dict.fromkeys(each.why for each in of_status if each.why))
    more = f"; and {len(reasons) - REASONS_MAX} more" if len(reasons) > REASONS_MAX else ""
    age = max((each.age for each in of_status if each.age is not None), default=None)
    return Standing(status, "; ".join(reasons[:REASONS_MAX]) + more, age)
