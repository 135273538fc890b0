"""Trading days as a frame: what each realized, its fees and funding, and how its round trips ended."""

from __future__ import annotations

import decimal
from collections import Counter
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from eventstore import UnknownContract
from eventstore.clock import to_ns
from projections.analysis.columns import Column, Kind, exact_of
from projections.analysis.executions import executions_of
from projections.analysis.folding import batches_of, choice_of
from projections.analysis.frame import Frame
from projections.analysis.keeping import Keep
from projections.analysis.sources import OCCURRED, opened, selection_of
from projections.decimals import FIXED, ZERO
from projections.garbage import gc_disabled
from projections.views.executions.ledger_entry import split_key
from projections.views.executions.pnl_totals import to_currency

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from eventstore import EventReader
    from eventstore.clock import Times
    from projections.analysis.columns import Exact
    from projections.analysis.executions import Executions
    from projections.analysis.folding import Choice
    from projections.analysis.sources import Selection, Source
    from projections.views.executions.ledger_entry import LedgerEntry
    from projections.views.executions.pnl_totals import PnlTotals

    Entries = list[tuple[str, LedgerEntry]]

DAYS = (
    Column("account", Kind.TEXT),
    Column("trading_day", Kind.DATE),
    Column("session", Kind.TEXT),
    Column("currency", Kind.TEXT),
    Column("realized", Kind.DECIMAL),
    Column("fees", Kind.DECIMAL),
    Column("funding", Kind.DECIMAL),
    Column("net", Kind.DECIMAL),
    Column("trades", Kind.INTEGER),
    Column("wins", Kind.INTEGER),
    Column("losses", Kind.INTEGER),
    Column("win_rate", Kind.FLOAT),
    Column("unpriced", Kind.INTEGER),
    Column("uncertain_fees", Kind.INTEGER),
)
"""The columns of trading days."""


class DayRow(NamedTuple):
    """One trading day of an account in one currency. `realized` and `net` are None where they are not known."""

    account: str
    trading_day: date
    session: str | None
    currency: str | None
    realized: Decimal | None
    fees: Decimal
    funding: Decimal
    net: Decimal | None
    trades: int
    wins: int
    losses: int
    win_rate: float | None
    unpriced: int
    uncertain_fees: int


def days(
    store: Source,
    *,
    account: str | None = None,
    symbol: str | None = None,
    tag: str | None = None,
    trading_day: date | str | None = None,
    start: Times | None = None,
    stop: Times | None = None,
    time: str = OCCURRED,
    exact: Exact = False,
    progress: bool | None = None,
) -> Frame:
    """Return the trading days of a history in which anything happened, a row for each account, day and currency.

    Days are those that session events state, and then `session` has the session's name; what lies in none counts for
    its date in UTC, and `session` is null. All days are given, those since the account was reopened if it was.

    `realized` is money, first in, first out and before fees; null, and `net` with it, where a contract's multiplier is
    missing. `funding` is what was received less what was paid without a trade: funding, interest, dividends, fees.
    `net` is `realized` less `fees` and with `funding`, as in `book.pnl.days`. `trades` counts fills without busted
    ones; where a trade was busted before it was reported, or after its position was flat, it is taken back on the day
    of the bust, whose count may be below zero. What happened before its day was stated counts by the minute. `wins` and
    `losses` the round trips that ended on the day with a net result above and below zero, and `win_rate` is the share
    of the wins among both, null without any. `unpriced` counts changes of positions that had no price: with any, what
    was realized is not certain; `uncertain_fees` counts trades that were reported with several fees.

    With `symbol`, any name of a contract, only what its trades made, without funding. `tag` is one of the day's.
    `start` (included) and `stop` (not) bound when a day began; with time="recorded", besides, nothing recorded at
    `stop` or later is known.
    """
    asked, choice = exact_of(exact), choice_of(tag=tag, trading_day=trading_day)
    began = tuple(None if bound is None else to_ns(bound) for bound in (start, stop))
    with opened(store) as reader:
        selection = selection_of(reader, account=account, symbol=symbol, start=start, stop=stop, time=time)
    selection = replace(selection, occurred=began)

    def batches() -> Iterator[object]:
        with opened(store) as reader:
            yield from batches_of(day_rows(reader, selection, choice, progress=progress), DAYS, asked)

    return Frame(DAYS, batches, exact=asked, title="trading days")


def day_rows(
    reader: EventReader, selection: Selection, choice: Choice, *, progress: bool | None = False
) -> Iterator[DayRow]:  # fmt: skip
    """Yield what the fold makes of the trading days of each account; the selection's `occurred` bounds their begin."""
    for executions in executions_of(reader, selection, Keep.TRIPS, progress=progress):
        with gc_disabled(), decimal.localcontext(FIXED):
            found = list(_days_of(executions, selection, choice))
        yield from found


def _days_of(executions: Executions, selection: Selection, choice: Choice) -> Iterator[DayRow]:
    ledger, rates = executions.state.ledger, executions.rates
    wanted = None if selection.symbol is None else rates.symbol(selection.symbol)
    wins, losses = _ends(executions, wanted)
    for name in ledger.names():
        day, session = date.fromisoformat(name.removeprefix("~")), ledger.day_named(name)
        began_at = to_ns(f"{day}T00:00Z") if session is None else session.began_at
        first, last = selection.occurred
        is_within = (first is None or first <= began_at) and (last is None or began_at < last)
        if not is_within or not choice.has(strategy=None, tags=executions.tags_of_day(day), trading_day=day):
            continue
        entries = list(ledger.of_day(name).items())
        if wanted is not None:
            entries = [(key, entry) for key, entry in entries if rates.symbol(split_key(key)[0]) == wanted]
        for each, unknown in _totals_of(entries, executions):
            place = (name, each.currency)
            ended = wins[place] + losses[place]
            yield DayRow(
                executions.account,
                day,
                None if name.startswith("~") else name,
                each.currency,
                None if unknown else each.realized,
                each.fees,
                each.cash,
                None if unknown else each.net,
                each.trades,
                wins[place],
                losses[place],
                wins[place] / ended if ended else None,
                each.unpriced,
                each.uncertain_fees,
            )


def _totals_of(entries: Entries, executions: Executions) -> list[tuple[PnlTotals, bool]]:
    """Return the totals of a day in each currency, and whether what was realized in it is not known."""
    try:
        return [(each, False) for each in to_currency(entries, executions.rates)]
    except UnknownContract:
        unknown: set[str | None] = set()
        known: Entries = []
        for key, entry in entries:
            terms = executions.terms(key)
            if terms.multiplier is None and (entry.points or entry.points_average_cost):
                unknown.add(terms.currency)
                known.append((key, replace(entry, points=ZERO, points_average_cost=ZERO)))
            else:
                known.append((key, entry))
        return [(each, each.currency in unknown) for each in to_currency(known, executions.rates)]


def _ends(
    executions: Executions, symbol: str | None
) -> tuple[Counter[tuple[str, str | None]], Counter[tuple[str, str | None]]]:
    """Return how many round trips won and how many lost, by the day's name and currency."""
    wins, losses = Counter[tuple[str, str | None]](), Counter[tuple[str, str | None]]()
    for trip in executions.trips():
        terms, _, _, net, _ = executions.result_of(trip)
        if not net or (symbol is not None and terms.symbol != symbol):
            continue
        ends = wins if net > ZERO else losses
        ends[executions.day_name(trip.ended_at, trip.position), terms.currency] += 1
    return wins, losses
