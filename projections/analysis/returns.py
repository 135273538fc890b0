"""An account's returns, exact: each day's result over what there was, with money that came or went taken out."""

from __future__ import annotations

import decimal
from bisect import bisect_left, bisect_right
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from eventstore import InvalidEvent
from eventstore.clock import derived_times, format_time
from eventstore.errors import shown
from eventstore.trading import AccountOpened, AccountReopened, CashMoved
from projections.analysis.columns import Column, Kind
from projections.analysis.equity import valued_at
from projections.analysis.every import DAY, DayEnd, days_of, every_of, instants_of
from projections.analysis.frame import Frame
from projections.analysis.libraries import library
from projections.analysis.questions import ACCOUNT, AT, STATUS, WHY, question
from projections.analysis.row_batches import batches_of
from projections.analysis.sources import OCCURRED, opened
from projections.decimals import FIXED, ZERO
from projections.valuation import KNOWN, Standing, Status, unknown, worst
from projections.views.cash import is_result, received

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date, timedelta

    from eventstore import EventReader
    from eventstore.clock import Times
    from projections.analysis.columns import Exact
    from projections.analysis.every import Every
    from projections.analysis.questions import FrameQuestion
    from projections.analysis.sources import Source
    from projections.book import Book
    from projections.sessions import Calendar

_ONE = Decimal(1)
UNKNOWNS = ("raise", "null", "drop")


class Returns(Frame):
    """Returns as rows; `series` gives them to libraries of statistics."""

    by_day: bool = True

    def series(self, *, unknown: str = "raise") -> Any:  # noqa: ANN401 - pandas is optional
        """Return the returns as a pandas.Series of float64, by trading day (by instant where they are not daily).

        Libraries of statistics count a missing day as one without a result, so a return that is not known raises
        InvalidEvent: unless `unknown` is "null" (it is NaN) or "drop" (the day is left out).
        """
        if unknown not in UNKNOWNS:
            msg = f"unknown is one of {', '.join(UNKNOWNS)}, not {shown(unknown)}"
            raise InvalidEvent(msg)
        pd = library("pandas")
        table = self.to_arrow().select(["trading_day", "at", "account", "return", "why"]).to_pydict()
        missing = [index for index, value in enumerate(table["return"]) if value is None]
        if missing and unknown == "raise":
            first = missing[0]
            msg = (
                f"{len(missing)} of {len(table['at'])} returns are not known, the first at {table['at'][first]}, "
                f'because {table["why"][first]}: give prices, or choose unknown="null" or "drop"'
            )
            raise InvalidEvent(msg)
        values = [None if value is None else float(value) for value in table["return"]]
        index = pd.DatetimeIndex(table["trading_day"] if self.by_day else table["at"])
        found = pd.Series(values, index=index, dtype="float64", name=next(iter(table["account"]), "returns"))
        return found.dropna() if unknown == "drop" else found


class Flow(NamedTuple):
    """What came into an account at an instant from outside, by currency.

    `begins`: the account began there; `begins_again`: it was reopened, and had a life before.
    """

    at: int
    amounts: dict[str | None, Decimal]
    begins: bool
    begins_again: bool = False


class Worth(NamedTuple):
    """An account's equity at an instant, None where it is not KNOWN; `exists`: whether it had any record by then."""

    equity: Decimal | None
    standing: Standing
    currency: str | None
    exists: bool


NOWHERE = Worth(None, KNOWN, None, exists=False)


def returns(
    store: Source,
    account: str,
    *,
    every: Every = DAY,
    prices: object = None,
    stale_after: timedelta | int | None = None,
    start: Times | None = None,
    stop: Times | None = None,
    time: str = OCCURRED,
    calendar: Calendar | None = None,
    exact: Exact = False,
    progress: bool | None = None,
) -> Returns:
    """Return an account's returns, a row for each trading day, or for each `every`: exact, and time-weighted.

    `return` is what the account's equity became in the period, over what it was, less 1. Deposits, withdrawals,
    transfers and payouts are taken out: at each, and where the account was reopened, the period is divided, and the
    returns of its parts are multiplied.
    `begin` is the equity at the end of the period before, or what the account began with; `flows` is what came from
    outside in the period, with what a reopening changed, and `end` the equity at its end, all in the account's own
    currency; where a reopening changed that in the period, `begin` and `flows` are null.

    Where an equity that this takes is not KNOWN, also one just before a flow, `return` is null and `why` says what is
    missing: give `prices`, and `stale_after` for how long one holds (see `equity`). It is also null where there was no
    capital. `return` is float64 under `exact=True` too, since quotients have no last decimal, and all 34 digits under
    "text".
    """
    every_of(every)
    asked = question(
        store, account=account, every=every, start=start, stop=stop, time=time, calendar=calendar, prices=prices,
        stale_after=stale_after, exact=exact, progress=progress,
    )  # fmt: skip
    given: object = account
    if not isinstance(given, str):
        msg = f"account is an account's name, not {shown(account)}"
        raise InvalidEvent(msg)
    columns = (
        Column("trading_day", Kind.DATE),
        AT,
        ACCOUNT,
        Column("currency", Kind.TEXT),
        Column("begin", Kind.DECIMAL),
        Column("flows", Kind.DECIMAL),
        Column("end", Kind.DECIMAL),
        Column("return", Kind.FLOAT if asked.exact is True else Kind.DECIMAL),
        STATUS,
        WHY,
    )
    found = Returns(columns, lambda: batches_of(_rows(asked), columns, asked.exact), exact=asked.exact, title="returns")
    found.by_day = asked.every == DAY
    return found


def _rows(asked: FrameQuestion) -> Iterator[tuple[Any, ...]]:
    with opened(asked.store) as reader, derived_times():
        periods = _periods(reader, asked)
        if not periods:
            return
        start = asked.span.start
        # The last period before the range is only what the first one of it begins with.
        base = 0 if start is None or periods[0].at >= start else periods[0].at
        flows = [each for each in _flows(reader, asked, periods[-1].at) if each.at > base]
        stops = {each.at for each in periods} | {flow.at for flow in flows if flow.begins}
        stops |= {flow.at - 1 for flow in flows if flow.begins_again or not flow.begins}
        worths: dict[int, Worth] = {}
        converted: dict[int, Worth] = {}
        flow_at = {flow.at - 1: flow for flow in flows if not flow.begins}
        for at, book in asked.books(reader, sorted(stops)):
            worths[at] = _worth(book, asked, at)
            if at in flow_at:
                converted[at + 1] = _converted(book, flow_at[at], worths[at])
    yield from _chained(asked, periods, flows, worths, converted)


def _periods(reader: EventReader, asked: FrameQuestion) -> list[Period]:
    """Return the periods of a range in order, and the last one before it."""
    span = asked.span._replace(start=None)
    if asked.every == DAY:
        days: Sequence[Period] = [Period(*each) for each in days_of(reader, span, asked.calendar, asked.prices)]
    else:
        assert asked.every is not None, "returns are of something"
        days = [Period(None, at) for at in instants_of(reader, span, asked.every, asked.calendar, asked.prices)]
    begin = 0 if asked.span.start is None else bisect_left(days, asked.span.start, key=_end)
    return list(days[max(begin - 1, 0) :])


class Period(NamedTuple):
    """A period's trading day, None where it is none, and its last instant."""

    trading_day: date | None
    at: int


def _flows(reader: EventReader, asked: FrameQuestion, until: int) -> Iterator[Flow]:
    """Yield what came from outside, in the order of time; what happened at one instant together."""
    member, found = asked.span.member, dict[int, Flow]()
    is_open = False
    types = (CashMoved, AccountOpened, AccountReopened)
    for record in reader.read(account=asked.account, types=types, until=asked.span.until):
        event, at = record.event, getattr(record, member)
        if at > until or (isinstance(event, AccountOpened) and is_open):
            continue
        known = found.get(at, Flow(at, {}, begins=False))
        if isinstance(event, CashMoved):
            if not is_result(event):
                amounts = dict(known.amounts)
                amounts[event.currency] = amounts.get(event.currency, ZERO) + received(event)
                found[at] = known._replace(amounts=amounts)
            continue
        begins_again = known.begins_again or (is_open and isinstance(event, AccountReopened))
        is_open = True
        found[at] = known._replace(begins=True, begins_again=begins_again)
    yield from (found[at] for at in sorted(found))


def _worth(book: Book, asked: FrameQuestion, at: int) -> Worth:
    assert asked.account is not None, "returns are of one account"
    found = valued_at(book, asked.account, at)
    is_known = found.status is Status.KNOWN
    standing = Standing(found.status, "" if is_known else f"{found.why} at {format_time(at)}")
    return Worth(found.equity if is_known else None, standing, found.currency, exists=found.exists)


def _converted(book: Book, flow: Flow, before: Worth) -> Worth:
    """Return what came at an instant, in the account's own currency, at the rates then."""
    total, standings = ZERO, []
    with decimal.localcontext(FIXED):
        own = before.currency or (next(iter(flow.amounts)) if len(flow.amounts) == 1 else None)
        for currency, amount in flow.amounts.items():
            change = book.rates.convert(amount, currency, own, flow.at)
            standings.append(change.standing)
            total += change.amount or ZERO
    standing = worst(standings)
    return Worth(total if standing.status is Status.KNOWN else None, standing, own, exists=True)


class _Chain:
    """The parts of one period, each from a flow to the next, multiplied."""

    def __init__(self, begin: Worth) -> None:
        self.begin, self.factor, self.flows = begin, _ONE, ZERO
        self.has_capital = self.has_other_currency = False
        self._base = begin
        self.standings: list[Standing] = []

    def end(self, worth: Worth) -> None:
        """End a part."""
        base = self._base
        if not base.exists:
            return
        self.standings += [base.standing, worth.standing]
        if base.equity is None or worth.equity is None:
            return
        if base.equity > ZERO:
            self.has_capital = True
            self.factor *= worth.equity / base.equity
        elif worth.equity != base.equity:
            self.standings.append(unknown(f"something was gained or lost on an equity of {base.equity}"))

    def flow(self, before: Worth, flow: Worth) -> None:
        """End a part at a flow, and begin the next with the equity after it."""
        self.end(before)
        self.standings.append(flow.standing)
        had = before.equity if before.exists else ZERO
        equity = None if had is None or flow.equity is None else had + flow.equity
        self._base = Worth(
            equity, worst([before.standing if before.exists else KNOWN, flow.standing]), None, exists=True
        )
        self.flows += flow.equity or ZERO

    def begin_at(self, worth: Worth) -> None:
        """Begin with what an account was opened with: what it had before is not of it."""
        if not self.begin.exists:
            self.begin = worth
        self._base = worth

    def begin_again(self, before: Worth, worth: Worth) -> None:
        """End a life, and begin the next with what the account was reopened with: the difference is from outside."""
        self.end(before)
        if before.exists and before.currency != worth.currency:
            self.has_other_currency = True
        elif before.equity is not None and worth.equity is not None:
            self.flows += worth.equity - before.equity
        self._base = worth

    @property
    def standing(self) -> Standing:
        found = worst(self.standings)
        if found.status is Status.KNOWN and not self.has_capital:
            return unknown("there was no capital: neither an opening with a balance nor a deposit is recorded by then")
        return found


def _chained(
    asked: FrameQuestion,
    periods: Sequence[Period],
    flows: Sequence[Flow],
    worths: dict[int, Worth],
    converted: dict[int, Worth],
) -> Iterator[tuple[Any, ...]]:
    start = asked.span.start
    begin, done = NOWHERE, 0
    for period in periods:
        chain, end = _Chain(begin), worths[period.at]
        upto = bisect_right(flows, period.at, key=_time)
        with decimal.localcontext(FIXED):
            for flow in flows[done:upto]:
                if flow.begins_again:
                    chain.begin_again(worths[flow.at - 1], worths[flow.at])
                elif flow.begins:
                    chain.begin_at(worths[flow.at])
                else:
                    chain.flow(worths[flow.at - 1], converted[flow.at])
            chain.end(end)
            result = chain.factor - _ONE
        done, begin = upto, end
        if end.exists and (start is None or period.at >= start):
            standing = chain.standing
            figure = None if standing.status is not Status.KNOWN else float(result) if asked.exact is True else result
            # Money is never added up across currencies.
            came = (None, None) if chain.has_other_currency else (chain.begin.equity, chain.flows)
            yield (
                period.trading_day, period.at, asked.account, end.currency, *came, end.equity, figure, standing.status,
                standing.why,
            )  # fmt: skip


def _time(flow: Flow) -> int:
    return flow.at


def _end(period: Period | DayEnd) -> int:
    return period.at
