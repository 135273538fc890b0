"""A difference between a broker's report and our own records, of a position or an order."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import Instant, Record
from eventstore.readable import Readable
from eventstore.trading import OrderStatus, PositionSide
from projections.decimals import FIXED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from projections.book import Book

EVIDENCE_MAX = 1_000


class DifferenceKind(enum.StrEnum):
    """How a broker's report differs from our own records."""

    QUANTITY = "QUANTITY"
    """A position of another size on the same side."""
    SIDE = "SIDE"
    """The broker reports long where the fills say short, or the reverse."""
    MISSING_AT_BROKER = "MISSING_AT_BROKER"
    """The fills left a position, and the broker reports none."""
    UNKNOWN_HERE = "UNKNOWN_HERE"
    """The broker reports a position, and the fills say flat."""
    AVERAGE_PRICE = "AVERAGE_PRICE"
    """The same position at another average price, by first in first out and by average cost."""
    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    """The broker reports an order that was never submitted here."""
    OPEN_HERE_CLOSED_THERE = "OPEN_HERE_CLOSED_THERE"
    """Only the report says that the order is closed."""
    CLOSED_HERE_OPEN_THERE = "CLOSED_HERE_OPEN_THERE"
    """The order is closed here, and still working at the broker."""
    CLOSED_DIFFERENTLY = "CLOSED_DIFFERENTLY"
    """The order is closed on both sides, with different statuses."""
    FILLED_QUANTITY = "FILLED_QUANTITY"
    """The broker reports more, or less, filled than the fills recorded here."""


ADJUSTABLE = frozenset({
    DifferenceKind.QUANTITY, DifferenceKind.SIDE, DifferenceKind.MISSING_AT_BROKER, DifferenceKind.UNKNOWN_HERE
})  # fmt: skip
"""What `record` books."""


class Difference(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """One difference between a broker's report and our own records at the time the report was recorded.

    `here` and `there` are the figures compared, in the kind's own measure, and `difference` is `there` less `here`; for
    statuses, `here_status` and `there_status`. `stale`: records after the report are of before it and do not explain
    the difference, or fills of after it have led to the position that it reports, which it may have known: only a new
    report can decide, and it is not booked. `price` is a position report's average price, `reported_at` the time that
    it states. `evidence` has the log positions of the last 1,000 records behind our side, `report` is that of the
    broker's.
    """

    kind: DifferenceKind
    account: str
    symbol: str | None
    side: PositionSide
    sentence: str
    report: int
    report_id: bytes
    reported_at: Instant
    stream: str
    evidence: tuple[int, ...]
    order_id: str | None = None
    here: Decimal | None = None
    there: Decimal | None = None
    here_status: OrderStatus | None = None
    there_status: OrderStatus | None = None
    price: Decimal | None = None
    stale: bool = False

    @property
    def difference(self) -> Decimal | None:
        """The broker's quantity less ours; None where no quantities are compared."""
        return None if self.here is None or self.there is None else FIXED.subtract(self.there, self.here)

    def records(self, book: Book) -> Iterator[Record]:
        """Yield the records behind both sides, oldest first, from the log."""
        wanted = {*self.evidence, self.report}
        for record in book.read(account=self.account):
            if record.position in wanted:
                yield record
                wanted.discard(record.position)
                if not wanted:
                    return


def difference_of(report: Record, kind: DifferenceKind, sentence: str, **members: Any) -> Difference:  # noqa: ANN401 - its own
    return Difference(
        kind=kind,
        account=report.account,
        sentence=sentence,
        report=report.position,
        report_id=report.id,
        reported_at=report.occurred_at,
        stream=report.stream,
        **members,
    )
