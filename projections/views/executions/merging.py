"""What becomes of an account's positions and trades when a contract's names or terms become known."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from msgspec.structs import replace

from eventstore.streams import SEPARATOR
from eventstore.trading import PositionSide
from projections.decimals import ZERO
from projections.views.executions.amendments import apply_waiting
from projections.views.executions.anomalies import TradeAnomalyKind, bounded
from projections.views.executions.booking import trip_of
from projections.views.executions.fees import with_fees
from projections.views.executions.identity import ReportVerdict, compared
from projections.views.executions.items import Item, ItemKind, place_of
from projections.views.executions.prices import price_of, quotient
from projections.views.executions.reported import NO_REPORT
from projections.views.executions.settling import refold, restate, settle_now
from projections.views.executions.state import (
    CONFLICTS_MAX,
    SIDES,
    ExecutionsState,
    Holding,
    key_of,
    mark,
    take_terms,
    with_points,
)
from projections.views.executions.trip import NO_NUMBER, NOWHERE, OpenTrip
from projections.views.executions.twins import drop_twin
from projections.views.executions.window import BEFORE_ALL, Window, run

if TYPE_CHECKING:
    from eventstore import Record
    from eventstore.trading import ContractDefined
    from projections.views.contracts.directory import Directory


def concerned(state: ExecutionsState, event: ContractDefined) -> bool:
    """Return whether an account has traded under any name of a contract."""
    symbols, holdings = state.symbols, state.holdings
    for name in (event.symbol, *event.broker_ids):
        if name in symbols or any(name + SEPARATOR + side in holdings for side in SIDES):
            return True
    return event.symbol in symbols.values()


def define(state: ExecutionsState, shared: ExecutionsState, event: ContractDefined, record: Record) -> None:
    """Merge the positions that a definition shows to be of one contract, and the trades that it shows to be one."""
    renamed = _rename(state, shared.directory, record)
    directory, symbol = shared.directory, event.symbol
    for side in SIDES:
        key = symbol + SEPARATOR + side
        window = state.windows.get(key)
        if window is not None:
            if directory.is_first_at(symbol, record.position):
                _take_first_terms(state, key, symbol, directory, record)
            take_terms(window, directory, symbol, record.position)
    if renamed:
        _drop_twins(state, record)
        # What named a trade by a contract that was not known to be its own.
        for trade_id in sorted(state.waiting, key=lambda each: state.waiting[each][0].log_position):
            for trade in state.recent.find(trade_id):
                apply_waiting(state, shared, trade, record)


def _rename(state: ExecutionsState, directory: Directory, record: Record) -> bool:
    """Take over what names mean now; return whether any position, or any change that waits, is of another symbol."""
    log_position = record.position
    for name in list(state.symbols):
        symbol = directory.symbol_at(name, log_position)
        if symbol == name:
            del state.symbols[name]
        else:
            state.symbols[name] = symbol
    renamed = False
    for key, holding in list(state.holdings.items()):
        symbol = directory.symbol_at(holding.symbol, log_position)
        if symbol != holding.symbol:
            state.symbols[holding.symbol] = symbol
            # What stood under a name that meant no contract counts under the terms of the one that it means.
            _take_first_terms(state, key, symbol, directory, record)
            _merge(state, key, symbol + SEPARATOR + holding.side, record)
            renamed = True
    return _rename_waiting(state, directory, log_position) or renamed


def _rename_waiting(state: ExecutionsState, directory: Directory, log_position: int) -> bool:
    """Take over what the names mean that only busts and corrections have; return whether any is another symbol's."""
    named = {each.symbol for waiting in state.waiting.values() for each in waiting} - state.symbols.keys()
    meant = {name: directory.symbol_at(name, log_position) for name in named if name is not None}
    fresh = {name: symbol for name, symbol in sorted(meant.items()) if name != symbol}
    state.symbols.update(fresh)
    return bool(fresh)


def _take_first_terms(
    state: ExecutionsState, key: str, symbol: str, directory: Directory, record: Record
) -> None:  # fmt: skip
    """Let what has been traded without any terms count under the first ones, as far as it is not fixed."""
    terms, inverse, coin = directory.first_terms(symbol, record.position)
    if inverse or coin:
        restate(
            state,
            key,
            record.recorded_at,
            lambda item: item if item.terms else replace(item, terms=terms, inverse=inverse, coin=coin),
        )


def _merge(state: ExecutionsState, key: str, into: str, record: Record) -> None:
    """Move a position to its contract's symbol; where there is one already, both become one."""
    settle_now(state, key, record.recorded_at)
    moved, window = state.holdings.pop(key), state.windows.pop(key)
    symbol = into.partition(SEPARATOR)[0]
    other = state.holdings.get(into)
    if other is not None:
        settle_now(state, into, record.recorded_at)
        state.windows[key] = window
        _keep_trips(state, key)
        _keep_trips(state, into)
        del state.windows[key]
    _rename_in(state, window, _name(moved), symbol)
    moved = replace(moved, symbol=symbol)
    if other is None:
        state.holdings[into], state.windows[into] = moved, window
        return
    first = state.windows[into]
    joined = _joined(first, window)
    number, begun = joined.base_trip.number, {first.base_trip.number, window.base_trip.number} - {0}
    joined.items = [replace(each, trip=number) if each.trip in begun else each for each in joined.items]
    for trade in state.recent.all():
        if trade.trip in begun:
            state.recent.put(replace(trade, trip=number))
    runs = [(into, run(first, (symbol, str(moved.side)), first.items)), (key, run(window, _name(moved), window.items))]
    state.windows[into] = joined
    state.holdings[into] = _one(other, moved)
    refold(state, into, runs, recorded_at=record.recorded_at)
    if all(each.items or each.base.quantity for each in (first, window)):
        mark(state, into, TradeAnomalyKind.MERGED, record.position)


def _rename_in(state: ExecutionsState, window: Window, name: tuple[str, str], symbol: str) -> None:
    """Let all that was folded under a name stand under the contract's symbol."""
    key, into = SEPARATOR.join(name), symbol + SEPARATOR + name[1]
    window.items = [replace(each, symbol=symbol) for each in window.items]
    window.trips = tuple([replace(each, symbol=symbol) for each in window.trips])
    state.trips = tuple(
        [replace(each, symbol=symbol) if (each.symbol, each.side) == name else each for each in state.trips]
    )
    state.recent.rename(name, symbol)
    state.waiting = {
        trade_id: tuple([replace(each, key=into) if each.key == key else each for each in waiting])
        for trade_id, waiting in state.waiting.items()
    }


def _keep_trips(state: ExecutionsState, key: str) -> None:
    """Write the round trip of each trade before a window on it: once it is merged, its place does not tell any more."""
    window = state.windows[key]
    for trade in state.recent.all():
        if key_of(trade) == key and window.find(trade) is None:
            state.recent.put(replace(trade, trip=trip_of(state, key, trade) or NO_NUMBER))
    state.trips = tuple(
        [
            replace(each, first=NOWHERE, last=NOWHERE) if each.symbol + SEPARATOR + each.side == key else each
            for each in state.trips
        ]
    )


def _name(holding: Holding) -> tuple[str, str]:
    return holding.symbol, str(holding.side)


def _joined(one: Window, other: Window) -> Window:
    """Return both windows as one; what is fixed stays fixed."""
    first, second = sorted((one, other), key=lambda window: (not window.base.quantity, window.fixed))
    carried = []
    base = first.base
    if second.base.quantity:
        # Only one base can come first: the lots of the other are items, which close what they can.
        (at, log_position), totals = second.fixed, second.base
        priced = totals.quantity - totals.unpriced
        average = price_of(quotient(totals.average_cost_total, priced), inverse=totals.inverse) if priced else None
        carried = [
            Item(
                ItemKind.CARRIED, log_position, at, lot.quantity, lot.price, "", PositionSide.NET,
                place=BEFORE_ALL, part=-1 - number, average_price=None if lot.price is None else average,
                inverse=totals.inverse,
            )
            for number, lot in enumerate(second.base.lots)
        ]  # fmt: skip
    base = replace(
        base,
        realized_points=base.realized_points + second.base.realized_points,
        realized_points_average_cost=base.realized_points_average_cost + second.base.realized_points_average_cost,
    )
    window = Window(
        base=base,
        items=[*carried, *sorted((*first.items, *second.items), key=place_of)],
        fixed=max(first.fixed, second.fixed),
        base_trip=_one_trip(first.base_trip, second.base_trip, carried),
        splits=(*first.splits, *second.splits),
        terms=one.terms,
        inverse=one.inverse,
        coin=one.coin,
    )
    for item in window.items:
        window.note(item)
    return window


def _one_trip(one: OpenTrip, other: OpenTrip, carried: list[Item]) -> OpenTrip:
    """Return the round trips in progress of two bases as one; the lots carried are items, which count once more."""
    values = [None if item.value is None else item.quantity * item.value for item in carried]
    parts = [one.received, other.received, *values]
    received = None if None in parts else sum((each for each in parts if each is not None), ZERO)
    number, first = one.number or other.number, BEFORE_ALL
    begun = [each for each in (one, other) if each.number]
    is_known = len({each.inverse for each in begun} | {item.inverse for item in carried}) <= 1
    inverse = any(each.inverse for each in begun)
    return OpenTrip(number, first, received if is_known else None, with_fees(one.fees, other.fees), 0, inverse)


def _one(into: Holding, moved: Holding) -> Holding:
    """Return both holdings as one, without what the items of their windows add up to."""
    reports = [each.report for each in (into, moved) if each.report.at is not None]
    anomalies = sorted((*into.anomalies, *moved.anomalies), key=lambda each: each.position)
    by_terms = functools.reduce(with_points, moved.by_terms, into.by_terms)
    return replace(
        into,
        fees=with_fees(into.fees, moved.fees),
        report=max(reports, key=lambda report: report.at or 0, default=NO_REPORT),
        anomalies=bounded(tuple(anomalies)),
        traded=into.traded.plus(moved.traded),
        first_record=min(into.first_record, moved.first_record),
        last_record=max(into.last_record, moved.last_record),
        conflicts=(into.conflicts + moved.conflicts)[-CONFLICTS_MAX:],
        by_terms=by_terms,
        uncertain_fees=into.uncertain_fees + moved.uncertain_fees,
    )


def _drop_twins(state: ExecutionsState, record: Record) -> None:
    """Take out the trades that turn out to be another one, under another name of its contract."""
    for items in state.recent.shared_ids():
        left = [items[0]]
        for twin in items[1:]:
            # An earlier twin may have completed a trade: they are compared as they are now.
            left = [each for each in state.recent.find(twin.trade_id or "") if each.number in {n.number for n in left}]
            verdict, known = compared(twin, left)
            if known is None:
                left.append(twin)
            else:
                drop_twin(state, known, twin, record, is_conflict=verdict is ReportVerdict.CONFLICTING)
