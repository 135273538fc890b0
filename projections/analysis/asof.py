"""What was so at several past instants, in one frame, by one pass over the log."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from eventstore import InvalidEvent
from eventstore.errors import shown
from eventstore.trading import Allows, OrderStatus, OrderType, Side
from projections.analysis.columns import Column, Kind
from projections.analysis.equity import EQUITY, Drawdowns
from projections.analysis.every import given_instants
from projections.analysis.headroom import HEADROOM
from projections.analysis.headroom import rows_of as headroom_rows
from projections.analysis.positions import POSITIONS
from projections.analysis.positions import rows_of as position_rows
from projections.analysis.questions import ACCOUNT, AT, question
from projections.analysis.sources import OCCURRED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import timedelta

    from projections.analysis.columns import Exact
    from projections.analysis.every import At
    from projections.analysis.frame import Frame
    from projections.analysis.questions import Rows
    from projections.analysis.sources import Source
    from projections.book import Book

ORDERS = (
    AT,
    ACCOUNT,
    Column("order_id", Kind.TEXT),
    Column("symbol", Kind.TEXT),
    Column("side", Kind.ENUM, tuple(each.value for each in Side)),
    Column("order_type", Kind.ENUM, tuple(each.value for each in OrderType)),
    Column("quantity", Kind.DECIMAL),
    Column("limit_price", Kind.DECIMAL),
    Column("stop_price", Kind.DECIMAL),
    Column("status", Kind.ENUM, tuple(each.value for each in OrderStatus)),
    Column("cumulative", Kind.DECIMAL),
    Column("leaves", Kind.DECIMAL),
    Column("average_price", Kind.DECIMAL),
    Column("strategy", Kind.TEXT),
    Column("first_record", Kind.INTEGER),
    Column("last_record", Kind.INTEGER),
)
LOCKOUTS = (
    AT,
    ACCOUNT,
    Column("rule_id", Kind.TEXT),
    Column("scope", Kind.TEXT),
    Column("allows", Kind.ENUM, tuple(each.value for each in Allows)),
    Column("set_at", Kind.INSTANT),
    Column("until", Kind.INSTANT),
    Column("revocable", Kind.BOOLEAN),
    Column("reason", Kind.TEXT),
    Column("cause", Kind.TEXT),
)


def asof(
    store: Source,
    times: At,
    what: str = "positions",
    *,
    account: str | None = None,
    prices: object = None,
    stale_after: timedelta | int | None = None,
    time: str = OCCURRED,
    exact: Exact = False,
    progress: bool | None = None,
) -> Frame:
    """Return the positions, the equity, the working orders, the headroom or the lockouts in force of past instants.

    `what` names one of them: "positions", "equity", "orders", "headroom" or "lockouts". `times` is an instant or
    several; each has the rows that `projections.as_of` would answer with, in the order of time, but the log is folded
    once and not once for each. `account`, `time`, `prices` and `stale_after` are those of `equity`.
    """
    if what not in _FRAMES:
        msg = f"what is one of {', '.join(_FRAMES)}, not {shown(what)}"
        raise InvalidEvent(msg)
    columns, reading = _FRAMES[what]
    asked = question(
        store, account=account, at=given_instants(times), time=time, prices=prices, stale_after=stale_after,
        exact=exact, progress=progress, members=what == "headroom",
    )  # fmt: skip
    return asked.frame(columns, reading, f"{what} of the past")


def _order_rows(book: Book, account: str, _at: int) -> Iterator[tuple[Any, ...]]:
    for each in book.orders.open(account):
        yield (
            each.order_id, each.symbol, each.side, each.order_type, each.quantity, each.limit_price, each.stop_price,
            each.status, each.cumulative, each.leaves, each.average_price, each.strategy, each.first_position,
            each.last_position,
        )  # fmt: skip


def _lockout_rows(book: Book, account: str, at: int) -> Iterator[tuple[Any, ...]]:
    for each in book.lockouts.active(account, at):
        yield (
            each.rule_id, each.scope, each.allows, each.set_at, each.until, each.revocable, each.reason,
            str(uuid.UUID(bytes=each.cause)),
        )  # fmt: skip


_FRAMES: dict[str, tuple[tuple[Column, ...], Callable[[], Rows]]] = {
    "positions": (POSITIONS, lambda: position_rows),
    "equity": (EQUITY, lambda: Drawdowns().rows_of),
    "orders": (ORDERS, lambda: _order_rows),
    "headroom": (HEADROOM, lambda: headroom_rows),
    "lockouts": (LOCKOUTS, lambda: _lockout_rows),
}
