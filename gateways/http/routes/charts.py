"""Figures for charts: an account's equity and headroom at instants evenly apart, with its fills and lockouts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import get
from litestar.params import QueryParameter

from eventstore import EventReader
from eventstore.clock import format_time
from gateways.http.access import Scope
from gateways.http.account_names import named
from gateways.http.routes.asked import instant, instant_text, known
from gateways.http.routes.documented import responses
from gateways.http.routes.parameters import Calling, FromPath, Serving
from gateways.presenting.documents import plain
from projections.analysis.equity import valued_at
from projections.analysis.questions import question
from projections.book import Book
from projections.valuation import Status
from projections.views.executions.trades import Trade
from projections.views.lockouts.lockout import Lockout

POINTS_MAX = 400
FILLS_MAX = 2_000
"""More fills than that are not drawn; `fills_total` says how many there are."""

Start = Annotated[str, QueryParameter(description="From this instant on: ISO 8601 with a zone.")]
Stop = Annotated[str, QueryParameter(description="Up to this instant, included.")]
Axis = Annotated[
    Literal["occurred", "recorded"],
    QueryParameter(description="The time that counts: when things happened, or when they were recorded."),
]
Known = Annotated[str | None, QueryParameter(description="As known at this instant; by default as known now.")]
Points = Annotated[int, QueryParameter(ge=2, le=POINTS_MAX, description="For so many instants, evenly apart.")]


class ChartedLimit(msgspec.Struct, frozen=True):
    """What was left of one limit at each instant, and as a share of it; null where it is not known."""

    rule_id: str
    kind: str
    unit: str
    left: list[str | None]
    share: list[str | None]
    status: list[str | None]


class ChartedFill(msgspec.Struct, frozen=True):
    """A trade on the chart."""

    at: str
    symbol: str
    side: str
    quantity: str
    price: str
    log_position: int


class ChartedLockout(msgspec.Struct, frozen=True):
    """A lockout's time on the chart; `until` is None where it had no end in sight."""

    rule_id: str
    scope: str
    reason: str
    set_at: str
    until: str | None


class Chart(msgspec.Struct, frozen=True):
    """An account's equity and headroom at instants evenly apart; what was not known is null, and `why` says why."""

    account: str
    by: str
    currency: str | None
    at: list[str]
    balance: list[str | None]
    equity: list[str | None]
    status: list[str]
    why: list[str]
    limits: list[ChartedLimit]
    fills: list[ChartedFill]
    fills_total: int
    lockouts: list[ChartedLockout]


@get("/v1/charts/{account:str}", opt={"scope": Scope.READ}, responses=responses(404), tags=["page"])
async def chart(
    service: Serving,
    account: FromPath[str],
    caller: Calling,
    start: Start,
    stop: Stop,
    points: Points = 120,
    by: Axis = "occurred",
    known_by: Known = None,
) -> Chart:
    """Return an account's equity and what was left of its limits over time, with its fills and lockouts.

    `by` is the time that counts: when things `occurred`, as known at `known_by` or now, or when they were `recorded`.
    """
    first, last = (instant(name, text) or 0 for name, text in (("start", start), ("stop", stop)))
    asked = (named(account), first, last, points, by, instant("known_by", known_by))

    def ask(book: Book) -> Chart:
        known(book, account, caller)
        return _chart(service.store.sync_store, *asked)

    return await service.ask_long(ask)


def _chart(
    store: EventReader, account: str, start: int, stop: int, points: int, by: str, known_by: int | None
) -> Chart:
    at = instants(start, stop, points)
    asked = question(store, account=account, at=list(at), time=by, members=True)
    if known_by is not None:
        asked = asked._replace(span=asked.span._replace(until=min(asked.span.until, store.position_at(known_by))))
    drawing = Drawing(account, by, at)
    for _ in asked.rows(drawing.rows_of):
        pass
    return drawing.chart(start, stop)


def instants(start: int, stop: int, points: int) -> tuple[int, ...]:
    """Return instants evenly apart, in ns, the first and the last included; each once."""
    span = max(stop - start, 0)
    return tuple(sorted({start + span * index // (points - 1) for index in range(points)}))


class Drawing:
    """Gathers what a chart shows from the book of one instant after the other."""

    def __init__(self, account: str, by: str, at: tuple[int, ...]) -> None:
        self._account, self._by, self._at = account, by, at
        self._index = {instant: index for index, instant in enumerate(at)}
        self._balance: list[str | None] = [None] * len(at)
        self._equity: list[str | None] = [None] * len(at)
        self._status = [Status.UNKNOWN.value] * len(at)
        self._why = ["nothing is recorded of that time"] * len(at)
        self._limits: dict[str, ChartedLimit] = {}
        self._currency: str | None = None
        self._trades: tuple[Trade, ...] = ()
        self._lockouts: tuple[Lockout, ...] = ()

    def rows_of(self, book: Book, account: str, at: int) -> tuple[tuple[Any, ...], ...]:
        """Take what a book says at an instant; there are no rows to return."""
        index = self._index[at]
        found = valued_at(book, account, at)
        self._balance[index], self._equity[index] = plain(found.balance), plain(found.equity)
        self._status[index], self._why[index] = found.status.value, found.why
        self._currency = found.currency or self._currency
        for each in book.limits.headroom(account, at) if found.exists else ():
            limit = self._limits.setdefault(each.rule_id, self._limit(each.rule_id, each.kind, each.unit))
            limit.status[index] = each.status.value
            if each.status is not Status.UNKNOWN:
                limit.left[index], limit.share[index] = plain(each.left), plain(each.share)
        if at == self._at[-1]:
            self._trades, self._lockouts = book.trades.of(account), book.lockouts.history(account)
        return ()

    def _limit(self, rule_id: str, kind: str, unit: str) -> ChartedLimit:
        size = len(self._at)
        return ChartedLimit(rule_id, kind, unit, [None] * size, [None] * size, [None] * size)

    def chart(self, start: int, stop: int) -> Chart:
        """Return the chart of all that was taken."""
        fills = [
            ChartedFill(
                at=format_time(each.occurred_at),
                symbol=each.symbol,
                side=each.side.value,
                quantity=plain(each.quantity),
                price=plain(each.price),
                log_position=each.position,
            )
            for each in self._trades
            if start <= each.occurred_at <= stop and not each.busted
        ]
        lockouts = [
            ChartedLockout(each.rule_id, each.scope, each.reason, format_time(each.set_at), instant_text(_end(each)))
            for each in self._lockouts
            if each.set_at <= stop and (_end(each) is None or (_end(each) or 0) >= start)
        ]
        return Chart(
            account=self._account,
            by=self._by,
            currency=self._currency,
            at=[format_time(each) for each in self._at],
            balance=self._balance,
            equity=self._equity,
            status=self._status,
            why=self._why,
            limits=list(self._limits.values()),
            fills=fills[-FILLS_MAX:],
            fills_total=len(fills),
            lockouts=lockouts,
        )


def _end(lockout: Lockout) -> int | None:
    return lockout.ends_at if lockout.ended_at is None else lockout.ended_at


ROUTES = (chart,)
