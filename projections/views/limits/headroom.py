"""How far an account is from each of its limits, as those who judge the limits compute it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from eventstore import Instant
from eventstore.readable import Readable
from projections.valuation import Status

if TYPE_CHECKING:
    from projections.view import BookReader


class Headroom(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """How an account stands to one limit.

    `figure` is compared with `limit`, `left` is what separates them, both in `unit`; `share` is `left` as a part of the
    limit: 1 if nothing is used up, 0 at the limit, negative beyond it. They are None where the kind compares no figure,
    or where there is none. A limit whose `status` is not KNOWN is unjudged, and `why` says why. What the account's
    haircut holds back is not left.
    """

    rule_id: str
    kind: str
    figure: Decimal | None = None
    limit: Decimal | None = None
    left: Decimal | None = None
    share: Decimal | None = None
    status: Status = Status.KNOWN
    why: str = ""
    unit: str = ""
    currency: str | None = None


class Unjudged(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """A limit in force that is not judged, why, and since when: None where that is not recorded yet."""

    rule_id: str
    why: str
    since: Instant | None = None


HeadroomFunction = Callable[["BookReader", str, int], tuple[Headroom, ...]]


def provide(function: HeadroomFunction) -> None:
    """Say who computes headroom: the layer of the limits, above the views, does so when it is imported."""
    _provided[:] = [function]


def headroom_of(book: BookReader, account: str, at: int) -> tuple[Headroom, ...]:
    """Return how an account stands to each of its limits at an instant, UNIX ns."""
    return _provided[0](book, account, at)


_provided: list[HeadroomFunction] = []
