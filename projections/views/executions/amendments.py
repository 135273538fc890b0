"""What fees, busts and corrections make of their trade."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

from msgspec.structs import replace

from eventstore.trading import FeeCharged, TradeBusted, TradeCorrected
from projections.decimals import ZERO
from projections.views.executions.amended_trades import amendment_of
from projections.views.executions.anomalies import TradeAnomalyKind
from projections.views.executions.booking import book, count_change, ended_trip, scaled, trip_of
from projections.views.executions.correction_ids import name_by_correction, when_made
from projections.views.executions.fees import Fees, negated, with_fees
from projections.views.executions.identity import about, are_days_apart, completed, fitting, has_had, same_fee
from projections.views.executions.items import (
    CHANGES_MAX,
    Figures,
    Item,
    Place,
    in_position,
    place_of,
    with_fees_taken,
)
from projections.views.executions.ledger_entry import LedgerEntry, ledger_key, negative
from projections.views.executions.order_trades import leave_out, redirect, tell_order
from projections.views.executions.settling import absorb, change_items, mark_instant, place, settle_now, take_out
from projections.views.executions.state import (
    CONFLICTS_MAX,
    Amendment,
    AmendmentKind,
    ExecutionsState,
    key_of,
    mark,
    named,
    replace_trade,
)
from projections.views.executions.unknown_trades import change_unknown, charge_unknown, taken_back

if TYPE_CHECKING:
    from eventstore import Record

_FEE, _BUST, _CORRECTION = AmendmentKind.FEE, AmendmentKind.BUST, AmendmentKind.CORRECTION


def amend(
    state: ExecutionsState, shared: ExecutionsState, event: FeeCharged | TradeBusted | TradeCorrected, record: Record
) -> None:
    """Fold a fee, a bust or a correction, which may name its trade by an earlier correction."""
    if event.symbol is not None:
        # Nothing else may have gone by this name of the contract yet.
        named(state, shared, event.symbol, record.position)
    amendment = amendment_of(state, event, record)
    _apply(state, shared, amendment, record)
    if isinstance(event, TradeCorrected) and event.correction_id:
        for waiting in name_by_correction(state, event.correction_id, amendment.trade_id, record):
            _apply(state, shared, waiting, record)


def apply_waiting(state: ExecutionsState, shared: ExecutionsState, trade: Item, record: Record) -> None:
    """Apply what was recorded before the trade that it is about, by another process."""
    trade_id = trade.trade_id or ""
    waiting, kept, its = state.waiting.pop(trade_id, ()), list[Amendment](), list[Amendment]()
    for each in waiting:
        if each.symbol is not None:
            # What it names may have become known while nothing of the account was of that contract.
            named(state, shared, each.symbol, record.position)
    for each in sorted(waiting, key=when_made):
        is_its = _is_about(state, each, trade)
        if is_its and each.kind is not _FEE:
            its.append(each)
        if is_its and taken_back(state, each, record.recorded_at):
            _apply(state, shared, replace(each, key="", parts=0, recorded_at=record.recorded_at), record)
        else:
            kept.append(each)
    if kept:
        state.waiting[trade_id] = tuple(kept)
    if any(each.kind is not _FEE for each in waiting):
        _tell_order(state, trade, its, record.position)


def _is_about(state: ExecutionsState, amendment: Amendment, trade: Item) -> bool:
    """Return whether what waited happened after a trade, and is about this one, not about another of the same id."""
    found = about(state, amendment) if amendment.at >= trade.at else None
    return found is not None and found.number == trade.number


def _tell_order(state: ExecutionsState, trade: Item, its: list[Amendment], log_position: int) -> None:
    """Say what became of a trade before it was recorded: its order may have what is of another one of its id.

    For its position, what was booked and is fixed is not of the trade any more; for its order it is.
    """
    first, *later = trade.figures
    said = replace(trade, quantity=first.quantity, price=first.price)
    # One that waits on, because what was booked is fixed, counts among them where it was made; after a bust none does.
    changes: list[tuple[Place, Figures | Amendment]] = [(each.since, each) for each in later]
    changes += [(when_made(each), each) for each in its]
    for _, each in sorted(changes, key=itemgetter(0)):
        if said.busted:
            break
        after = each if isinstance(each, Figures) else _changed(said, each)
        said = replace(said, quantity=after.quantity, price=after.price)
    tell_order(state, trade.order_stream, said, log_position)


def _apply(state: ExecutionsState, shared: ExecutionsState, amendment: Amendment, record: Record) -> None:
    trade = about(state, amendment)
    if trade is None:
        if amendment.kind is _FEE:
            charge_unknown(state, shared, amendment)
        else:
            redirect(state, None, amendment)
            change_unknown(state, shared, amendment)
    elif amendment.kind is not _FEE:
        _change_newest(state, trade, amendment)
    elif trade.busted:
        mark(state, key_of(trade), TradeAnomalyKind.FEE_OF_BUSTED, amendment.log_position)
    else:
        # What the venue charges after several fees were reported settles which of them it is.
        fresh = replace(trade, fees=with_fees(trade.fees, amendment.fees), fee_conflict=0)
        complete(state, key_of(trade), trade, fresh, record)
    if amendment.is_ahead:
        mark(state, "" if trade is None else key_of(trade), TradeAnomalyKind.AHEAD, amendment.log_position)


def _change_newest(state: ExecutionsState, trade: Item, amendment: Amendment) -> None:
    """Bust or correct the newest trade that an amendment may be of; where it may be of others too, none is certain."""
    candidates = fitting(state.recent.find(amendment.trade_id), amendment, state.symbols)
    change(state, trade, amendment)
    numbers = [each.number for each in candidates if not each.busted or each.number == trade.number]
    if len(numbers) > 1:
        for each in state.recent.find(amendment.trade_id):
            if each.number in numbers:
                mark_conflict(state, key_of(each), each, amendment.log_position)


def complete_by(state: ExecutionsState, trade: Item, again: Item, record: Record) -> None:
    """Take over what another report states of a trade, and mark what in it is not certain."""
    key, log_position = key_of(trade), again.log_position
    fresh = completed(trade, again)
    complete(state, key, trade, fresh, record)
    if trade.busted and again.stated_fees and not trade.stated_fees:
        mark(state, key, TradeAnomalyKind.FEE_OF_BUSTED, log_position)
    if fresh.fee_conflict and not same_fee(trade, again):
        mark(state, key, TradeAnomalyKind.CONFLICTING_FEE, log_position)
    if are_days_apart(trade, again):
        mark_conflict(state, key, state.recent.current(trade), log_position, TradeAnomalyKind.DAYS_APART)


def complete(state: ExecutionsState, key: str, trade: Item, fresh: Item, record: Record) -> None:
    """Replace a trade by itself with what was missing of it: a fee, or the time that it happened."""
    fresh = with_fees_taken(fresh, trade)
    settle_now(state, key, record.recorded_at)
    more, terms = with_fees(fresh.charged, negated(trade.charged)), ledger_key(key, trade.terms)
    uncertain = bool(fresh.fee_conflict) - bool(trade.fee_conflict)
    if fresh.at != trade.at and _moves(state, key, trade, fresh):
        mark(state, key, TradeAnomalyKind.MOVED, record.position)
    index = state.windows[key].find(trade)
    if index is not None and fresh.at != trade.at:
        # It moves to where it happened, with its fees and its counts.
        take_out(state, key, index, record.recorded_at)
        state.recent.put(place(state, key, replace(fresh, place=None, scale=None, gap=0), record.recorded_at))
    elif index is not None and fresh.taken != trade.taken:
        _take_in_window(state, key, trade, fresh, record)
        state.ledger.correct(trade.at, trade.log_position, terms, LedgerEntry(uncertain_fees=uncertain))
    else:
        if fresh.at != trade.at:
            fresh = replace(fresh, place=place_of(trade))
            _move_counts(state, terms, trade, fresh, record.recorded_at)
        elif more or uncertain:
            entry = LedgerEntry(fees=more, uncertain_fees=uncertain)
            state.ledger.correct(trade.at, trade.log_position, terms, entry)
        replace_trade(state, key, trade, fresh)
        if more:
            holding = state.holdings[key]
            state.holdings[key] = replace(holding, fees=with_fees(holding.fees, more))
            _charge_trip(state, key, trade, more, record.recorded_at)
        _take_before_window(state, key, trade, fresh, record)
    holding = state.holdings[key]
    if uncertain or record.position > holding.last_record:
        last, count = max(record.position, holding.last_record), holding.uncertain_fees + uncertain
        state.holdings[key] = replace(holding, last_record=last, uncertain_fees=count)


def _moves(state: ExecutionsState, key: str, trade: Item, fresh: Item) -> bool:
    """Return whether a trade counts for another day once its time is known, or at another place among others."""
    ledger, window = state.ledger, state.windows[key]
    if ledger.name_at(trade.at) != ledger.name_at(fresh.at):
        return True
    index, where = window.find(trade), (fresh.at, fresh.log_position)
    return index is not None and any(place_of(each) > where for each in window.items[:index])


def _take_in_window(state: ExecutionsState, key: str, trade: Item, fresh: Item, record: Record) -> None:
    """Take a fee from the coin bought, as if it had been known from the start."""
    window = change_items(state, key, record.recorded_at)
    # The coin never arrived: whatever was reconciled since the trade stood for it.
    index, standing = window.find(trade), window.reconciliation_of(trade.at, record.position)
    replace_trade(state, key, trade, fresh)
    if standing is not None and index is not None:
        absorb(window, standing, index, in_position(fresh).quantity - in_position(trade).quantity)
    fees = with_fees(fresh.charged, negated(trade.charged))
    count_change(state, key, trade, trade, fresh, fees=fees)
    settle_now(state, key, record.recorded_at)


def _take_before_window(state: ExecutionsState, key: str, trade: Item, fresh: Item, record: Record) -> None:
    """Book what a fee takes from the coin that a trade before the window has bought, at the trade's price and time."""
    if fresh.taken == trade.taken:
        return
    window, where = state.windows[key], place_of(trade)
    before, after = scaled(window, trade, where), scaled(window, fresh, where)
    # The price is the same; after a split each of the two could be rounded otherwise.
    change = before, replace(after, price=before.price)
    about_trade = record.stream, fresh.trade_id or "", fresh.symbol, fresh.side
    amendment = Amendment(_FEE, record.position, fresh.at, record.recorded_at, *about_trade)
    book(state, key, amendment, change, trade=trade, terms=trade.terms)


def mark_conflict(
    state: ExecutionsState,
    key: str,
    trade: Item,
    log_position: int,
    kind: TradeAnomalyKind = TradeAnomalyKind.CONFLICTING,
) -> None:
    """Mark a trade that a record reports otherwise: its position is uncertain until it is amended."""
    replace_trade(state, key, trade, replace(trade, conflicts=(*trade.conflicts, log_position)[-CHANGES_MAX:]))
    holding = state.holdings[key]
    if trade.log_position not in holding.conflicts:
        state.holdings[key] = replace(holding, conflicts=(*holding.conflicts, trade.log_position)[-CONFLICTS_MAX:])
    mark(state, key, kind, log_position)


def _move_counts(state: ExecutionsState, key: str, trade: Item, fresh: Item, recorded_at: int) -> None:
    """Count a trade before the window, and its fees, on the day that it happened; what it realized stays."""
    fills, volume = int(not trade.busted), abs(trade.quantity)
    entry = LedgerEntry(fills=fills, volume=volume, executions=1)
    # The fees of a busted trade stay where they were charged: they are given back on the day of the bust.
    fees, charged = ((), ()) if trade.busted else (trade.charged, fresh.charged)
    before = replace(entry, fees=fees, uncertain_fees=int(bool(trade.fee_conflict)))
    after = replace(entry, fees=charged, uncertain_fees=int(bool(fresh.fee_conflict)))
    state.ledger.correct(trade.at, trade.log_position, key, negative(before))
    state.ledger.correct(fresh.at, fresh.log_position, key, after)
    state.seconds.add(trade.at, recorded_at, -1)
    state.seconds.add(fresh.at, recorded_at)


def _charge(state: ExecutionsState, key: str, trade: Item, fees: Fees, recorded_at: int) -> None:
    """Add fees to a trade's day, to its position and to its round trip."""
    state.ledger.correct(trade.at, trade.log_position, ledger_key(key, trade.terms), LedgerEntry(fees=fees))
    holding = state.holdings[key]
    state.holdings[key] = replace(holding, fees=with_fees(holding.fees, fees))
    _charge_trip(state, key, trade, fees, recorded_at)


def _charge_trip(state: ExecutionsState, key: str, trade: Item, fees: Fees, recorded_at: int) -> None:
    """Add fees to the round trip of a trade."""
    window, found = state.windows[key], ended_trip(state, key, trade)
    if window.find(trade) is not None:
        # The items of the window have the fees already.
        change_items(state, key, recorded_at)
        settle_now(state, key, recorded_at)
    elif found is not None:
        changed = replace(state.trips[found], fees=with_fees(state.trips[found].fees, fees))
        state.trips = (*state.trips[:found], changed, *state.trips[found + 1 :])
    elif window.base_trip.number and trip_of(state, key, trade) == window.base_trip.number:
        window.base_trip = replace(window.base_trip, fees=with_fees(window.base_trip.fees, fees))
        change_items(state, key, recorded_at)
        settle_now(state, key, recorded_at)


def change(state: ExecutionsState, trade: Item, amendment: Amendment) -> None:
    """Bust or correct a trade by what an amendment states; this ends any conflict about its figures.

    A bust that repeats other figures than the trade's may be of a part of it, or of another trade: that is a conflict.
    """
    key, log_position, bust = key_of(trade), amendment.log_position, amendment.is_bust
    state.amended_at = max(state.amended_at, amendment.at)
    settle_now(state, key, amendment.recorded_at)
    is_conflict = bust and not has_had(trade, amendment)
    if not bust and len(trade.history) > 1 and (amendment.at, log_position) < trade.history[-1].since:
        # It was made before what the trade has been changed to since, and is only recorded after it.
        mark(state, key, TradeAnomalyKind.SUPERSEDED, log_position)
        leave_out(state, amendment)
        return
    redirect(state, trade, amendment)
    if trade.busted:
        kind = TradeAnomalyKind.DUPLICATE_BUST if bust else TradeAnomalyKind.UNKNOWN_CORRECTION
        mark(state, key, kind, log_position)
        if trade.conflicts and bust and not is_conflict:
            replace_trade(state, key, trade, replace(trade, conflicts=()))
            _end_conflict(state, key, trade)
        return
    trade = settle_fee(state, key, trade) if bust else trade
    after = _changed(trade, amendment)
    *earlier, last = trade.figures
    history, price = _kept((*earlier, replace(last, taken=trade.taken), after)), after.price
    fresh = replace(trade, quantity=after.quantity, price=price, history=history, conflicts=())
    _end_conflict(state, key, trade)
    holding = state.holdings[key]
    state.holdings[key] = replace(holding, last_record=max(holding.last_record, log_position))
    waiting = sorted(state.waiting.get(trade.trade_id or "", ()), key=when_made)
    its = [each for each in waiting if each.kind is not _FEE and _is_about(state, each, trade)]
    if its or trade.is_apart or amendment.stream != trade.order_stream:
        _tell_order(state, fresh, its, log_position)
    if (trade.quantity, trade.price) == (fresh.quantity, fresh.price):
        mark(state, key, TradeAnomalyKind.DUPLICATE_CORRECTION, log_position)
        replace_trade(state, key, trade, fresh)
    elif state.windows[key].find(trade) is not None:
        _change_in_window(state, key, trade, fresh, amendment)
    else:
        _change_before_window(state, key, trade, fresh, amendment)
    if is_conflict:
        mark_conflict(state, key, state.recent.current(fresh), log_position)


def _changed(trade: Item, amendment: Amendment) -> Figures:
    """Return a trade's figures after a bust or correction."""
    bust, sign = amendment.is_bust, amendment.signed or (1 if trade.quantity > ZERO else -1)
    size = ZERO if bust else abs(trade.quantity) if amendment.quantity is None else amendment.quantity
    price = trade.price if bust or amendment.price is None else amendment.price
    return Figures((amendment.at, amendment.log_position), sign * size, price)


def settle_fee(state: ExecutionsState, key: str, trade: Item) -> Item:
    """Return a trade of which it does not matter any more that several fees were reported."""
    if not trade.fee_conflict:
        return trade
    fresh, holding = replace(trade, fee_conflict=0), state.holdings[key]
    replace_trade(state, key, trade, fresh)
    entry = LedgerEntry(uncertain_fees=-1)
    state.ledger.correct(trade.at, trade.log_position, ledger_key(key, trade.terms), entry)
    state.holdings[key] = replace(holding, uncertain_fees=holding.uncertain_fees - 1)
    return fresh


def _end_conflict(state: ExecutionsState, key: str, trade: Item) -> None:
    holding = state.holdings[key]
    conflicts = tuple([each for each in holding.conflicts if each != trade.log_position])
    state.holdings[key] = replace(holding, conflicts=conflicts)


def _kept(history: tuple[Figures, ...]) -> tuple[Figures, ...]:
    return history if len(history) <= CHANGES_MAX else (history[0], *history[2:])


def _change_in_window(state: ExecutionsState, key: str, trade: Item, fresh: Item, amendment: Amendment) -> None:
    window = change_items(state, key, amendment.recorded_at)
    index, standing = window.find(trade), window.reconciliation_of(amendment.at, amendment.log_position)
    fresh = replace(fresh, fees=()) if amendment.is_bust else fresh
    replace_trade(state, key, trade, fresh)
    mark_instant(state, key, standing, amendment.at, amendment.log_position)
    if standing is not None and index is not None:
        absorb(window, standing, index, in_position(fresh).quantity - in_position(trade).quantity)
    fees = with_fees(fresh.charged, negated(trade.charged))
    count_change(state, key, trade, trade, fresh, fees=fees)
    settle_now(state, key, amendment.recorded_at)


def _change_before_window(state: ExecutionsState, key: str, trade: Item, fresh: Item, amendment: Amendment) -> None:
    """Book what changes of a trade that is fixed, at prices of its own, on the amendment's day.

    A busted one keeps the fees that were charged for it, so that it can be taken out as a whole.
    """
    state.recent.put(fresh)
    window, where = state.windows[key], place_of(trade)
    # Figures are on the base of the trade's own time: splits have multiplied it since.
    before = scaled(window, trade, where)
    after = scaled(window, fresh, where) if fresh.quantity else Figures(before.since, ZERO, before.price)
    if fresh.price == trade.price:
        # Of two quantities the same price may be rounded to two.
        after = Figures(after.since, after.quantity, before.price)
    more, terms = with_fees(fresh.charged, negated(trade.charged)), ledger_key(key, trade.terms)
    refund = negated(trade.charged) if amendment.is_bust else ()
    book(state, key, amendment, (before, after), trade=trade, fees=refund, terms=trade.terms)
    if more:
        # What was taken from the coin bought is worth what the trade's price says.
        _charge(state, key, trade, more, amendment.recorded_at)
    count_change(state, key, amendment, trade, fresh, key_of_day=terms)
