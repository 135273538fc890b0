"""A break: one difference between a broker's statement and the log, with the records and lines behind it."""

from __future__ import annotations

import datetime
import enum
from decimal import Decimal

import msgspec

from eventstore import Instant
from eventstore.readable import Readable

EVIDENCE_MAX = 1_000


class BreakKind(enum.StrEnum):
    """How a statement and the log differ."""

    MISSING_HERE = "MISSING_HERE"
    """The statement has it, the log has not."""
    MISSING_THERE = "MISSING_THERE"
    """The log has it, the statement has not."""
    OTHER_PRICE = "OTHER_PRICE"
    OTHER_QUANTITY = "OTHER_QUANTITY"
    OTHER_SIDE = "OTHER_SIDE"
    OTHER_TIME = "OTHER_TIME"
    """Another time, or another trading day."""
    OTHER_FEE = "OTHER_FEE"
    OTHER_CASH = "OTHER_CASH"
    OTHER_POSITION = "OTHER_POSITION"
    OTHER_PNL = "OTHER_PNL"
    """Another profit and loss, or other costs, of a trading day."""


class Break(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """One difference between a statement and the log.

    `here` is the log's figure and `there` the statement's, None where it has none; of times `here_at` and `there_at`.
    `trading_day` is the day that it belongs to, None for what concerns the account. `lines` are the statement's,
    `records` the log positions behind our side, of each the first 1,000. `beyond_rows`: it lies before the statement's
    first row or after its last one, which may begin later or end earlier than its days.
    """

    kind: BreakKind
    account: str
    sentence: str
    symbol: str | None = None
    trading_day: datetime.date | None = None
    at: Instant | None = None
    here: Decimal | None = None
    there: Decimal | None = None
    here_at: Instant | None = None
    there_at: Instant | None = None
    currency: str | None = None
    trade_id: str | None = None
    lines: tuple[int, ...] = ()
    records: tuple[int, ...] = ()
    beyond_rows: bool = False
