"""Which reports are of one execution, and which execution a fee, a bust or a correction is about."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from msgspec.structs import replace

from eventstore.clock import NANOSECONDS
from eventstore.trading import PositionSide
from projections.views.executions.fees import with_fees
from projections.views.executions.items import CHANGES_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from projections.views.executions.items import Item
    from projections.views.executions.state import Amendment, ExecutionsState

DAY = 24 * 3_600 * NANOSECONDS
_NET = PositionSide.NET


class ReportVerdict(enum.Enum):
    """What a report of an execution adds to those before it."""

    NEW = "NEW"
    REPEATED = "REPEATED"
    COMPLETED = "COMPLETED"
    """A fee, a time, a trading day or an order that was missing."""
    CONFLICTING = "CONFLICTING"
    """Another quantity or price, or the other side of a hedged position."""


def compared(fresh: Item, known: Sequence[Item]) -> tuple[ReportVerdict, Item | None]:
    """Compare a report with the known trades of its id: one trade for each contract, side and stated trading day."""
    # A trade that was known by another name may have been corrected since: what counts is what was reported.
    reported = fresh.figures[0]
    buys = reported.quantity > 0
    rivals = [
        each
        for each in known
        if each.symbol == fresh.symbol
        and each.buys_ever(buys=buys)
        and (each.trading_day is None or fresh.trading_day is None or each.trading_day == fresh.trading_day)
    ]
    if not rivals:
        return ReportVerdict.NEW, None
    figures = reported.quantity, reported.price
    # A report of the figures before a correction is a report of the same execution.
    same = [each for each in rivals if figures in [(one.quantity, one.price) for one in each.figures]]
    # What was executed on one side of a hedged position was not on the other; a report may leave the side out, as NET.
    same = [each for each in same if _NET in {each.side, fresh.side} or each.side is fresh.side]
    if not same:
        return ReportVerdict.CONFLICTING, rivals[-1]
    same.sort(key=lambda each: each.trading_day == fresh.trading_day)
    known_trade, again = same[-1], completed(same[-1], fresh)
    is_more = _stated(known_trade) != _stated(again)
    return (ReportVerdict.COMPLETED if is_more else ReportVerdict.REPEATED), known_trade


def completed(known: Item, again: Item) -> Item:
    """Return a trade with what was missing of it and a repeated report states, that report's stream included.

    A report that states no time was recorded within a second of it; one that differs by less states no other, and none
    happened after it was reported. Of several fees the first counts.
    """
    at, timed, fees, stated_fees, conflict = known.at, known.timed, known.fees, known.stated_fees, known.fee_conflict
    if again.timed and not timed and at - again.at >= NANOSECONDS:
        at, timed = again.at, True
    if not known.busted and (again.fee_conflict or not same_fee(known, again)):
        conflict = conflict or again.log_position
    if again.stated_fees and not stated_fees:
        stated_fees = again.stated_fees
        fees = fees if known.busted else with_fees(fees, again.fees)
    return replace(
        known,
        at=at,
        timed=timed,
        trading_day=known.trading_day or again.trading_day,
        fees=fees,
        stated_fees=stated_fees,
        fee_conflict=conflict,
        streams=with_streams(known, again),
    )


def with_streams(known: Item, again: Item) -> tuple[str, ...]:
    """Return the streams that a trade was reported in, with those of another report."""
    return (known.streams + tuple([each for each in again.streams if each not in known.streams]))[:CHANGES_MAX]


def _stated(item: Item) -> tuple[bool, bool, date | None, str | None]:
    return bool(item.stated_fees), item.timed, item.trading_day, item.order_stream


def same_fee(known: Item, again: Item) -> bool:
    """Return whether two reports may state the same fee: a report need not state one, nor name its currency."""
    if not known.stated_fees or not again.stated_fees:
        return True
    ((currency, amount),), ((named, other),) = known.stated_fees, again.stated_fees
    return amount == other and (currency == named or "" in {currency, named})


def are_days_apart(known: Item, again: Item) -> bool:
    """Return whether two reports of one trade state times more than a day apart: its id may stand for two trades.

    A trading day that both state decides. A report without a time was recorded when it came, or later.
    """
    if known.trading_day is not None and known.trading_day == again.trading_day:
        return False
    if not again.timed or not (known.timed or again.at > known.at):
        return False
    return abs(again.at - known.at) > DAY


def about(state: ExecutionsState, amendment: Amendment) -> Item | None:
    """Return the trade that an amendment names: of its own stream, else the newest with all that is stated."""
    found = fitting(state.recent.find(amendment.trade_id), amendment, state.symbols)
    return max(found, key=lambda each: each.log_position, default=None)


def fitting(trades: Sequence[Item], amendment: Amendment, names: Mapping[str, str]) -> list[Item]:
    """Return the trades of an id that fit what an amendment states.

    Only those of its own stream if there are any, and of these only those that have had the figures it repeats.
    """
    symbol = amendment.symbol
    contract = None if symbol is None else names.get(symbol, symbol)
    found = []
    for each in trades:
        if contract is not None and names.get(each.symbol, each.symbol) != contract:
            continue
        side = amendment.signed if amendment.is_bust and not each.busted else None
        if side is None or (each.quantity > 0) is (side > 0):
            found.append(each)
    found = [each for each in found if amendment.stream in each.streams] or found
    return [each for each in found if has_had(each, amendment)] or found


def has_had(trade: Item, amendment: Amendment) -> bool:
    """Return whether a trade has had the figures that an amendment repeats of it, as far as it does."""
    if amendment.is_bust:
        quantity, price = amendment.quantity, amendment.price
    elif amendment.previous is not None:
        quantity, price = amendment.previous.quantity, amendment.previous.price
    else:
        return True
    return any(
        (quantity is None or abs(each.quantity) == quantity) and (price is None or each.price == price)
        for each in trade.figures
    )
