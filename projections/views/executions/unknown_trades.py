"""Fees, busts and corrections of trades that are not known: counted by what they say, or kept until the trade comes."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from eventstore.streams import SEPARATOR
from projections.decimals import ZERO
from projections.views.executions.anomalies import TradeAnomalyKind
from projections.views.executions.booking import BOOKED, LATE, book, count_change
from projections.views.executions.fees import Fees, negated, with_fees
from projections.views.executions.items import Figures, Item, ItemKind, in_position
from projections.views.executions.ledger_entry import LedgerEntry, ledger_key
from projections.views.executions.settling import settle_now, take_out
from projections.views.executions.state import (
    AMENDMENTS_MAX,
    Amendment,
    AmendmentKind,
    ExecutionsState,
    holding_key,
    mark,
    opened,
)

WAITING_MAX = 20
"""How many fees, busts and corrections of one unknown trade are kept."""
_FEE, _BUST, _CORRECTION = AmendmentKind.FEE, AmendmentKind.BUST, AmendmentKind.CORRECTION
_DUPLICATE = {_BUST: TradeAnomalyKind.DUPLICATE_BUST, _CORRECTION: TradeAnomalyKind.DUPLICATE_CORRECTION}
UNKNOWN = {_BUST: TradeAnomalyKind.UNKNOWN_BUST, _CORRECTION: TradeAnomalyKind.UNKNOWN_CORRECTION}


def charge_unknown(state: ExecutionsState, shared: ExecutionsState, amendment: Amendment) -> None:
    if amendment.symbol is not None:
        key = opened(state, shared, amendment.symbol, amendment.side, amendment.log_position)
        amendment = replace(amendment, key=key, terms=state.windows[key].terms)
    _charge_no_trade(state, amendment, amendment.fees)
    _wait(state, amendment)


def change_unknown(state: ExecutionsState, shared: ExecutionsState, amendment: Amendment) -> None:
    """Book a change of a trade that is not known by what it says of it; if that is not enough, remember it."""
    bust = amendment.is_bust
    alike = [
        each
        for each in state.waiting.get(amendment.trade_id, ())
        if each.kind is amendment.kind and each.symbol in {amendment.symbol, None}
    ]
    booked = [each for each in (alike if bust else alike[-1:]) if each.key]
    # A correction may restore what an earlier one replaced: it is repeated only if it states what the last one did.
    last = bool(booked) and (bust or (booked[0].quantity, booked[0].price) == (amendment.quantity, amendment.price))
    says_enough = (amendment.quantity is not None and amendment.price is not None) if bust else amendment.previous
    if amendment.symbol is None or (not last and (amendment.signed is None or not says_enough)):
        _wait(state, amendment)
        return
    key = opened(state, shared, amendment.symbol, amendment.side, amendment.log_position)
    if last:
        mark(state, key, _DUPLICATE[amendment.kind], amendment.log_position)
        return
    settle_now(state, key, amendment.recorded_at)
    before, after = stated(amendment)
    terms, coin = state.windows[key].terms, state.windows[key].coin
    # A fee that was taken from the coin bought is given back with it.
    item = Item(
        ItemKind.TRADE, amendment.log_position, amendment.at, before.quantity, before.price, key, amendment.side,
        fees=amendment.fees, coin=coin,
    )  # fmt: skip
    net = replace(before, quantity=in_position(item).quantity)
    refund = negated(item.charged) if bust else ()
    parts = book(state, key, amendment, (net, after), fees=refund, terms=terms)
    count_change(state, key, amendment, before, after)
    _wait(state, replace(amendment, key=key, parts=parts, terms=terms))


def taken_back(state: ExecutionsState, amendment: Amendment, recorded_at: int) -> bool:
    """Take out what was counted for an amendment while its trade was not known; return False if that is fixed."""
    if amendment.kind is _FEE:
        _charge_no_trade(state, amendment, negated(amendment.fees))
        return True
    if not amendment.key:
        return True
    key = amendment.key
    settle_now(state, key, recorded_at)
    window = state.windows[key]
    mine = [each for each in window.items if each.log_position == amendment.log_position and each.kind in BOOKED]
    if len(mine) != amendment.parts:
        return False
    for item in mine:
        index = window.find(item)
        assert index is not None, "it was found among the window's items"
        take_out(state, key, index, recorded_at)
    count_change(state, key, amendment, *stated(amendment), by=-1)
    holding = state.holdings[key]
    marks = {TradeAnomalyKind.LATE, TradeAnomalyKind.AT_RECONCILIATION, LATE[amendment.kind]}
    kept = [each for each in holding.anomalies if each.position != amendment.log_position or each.kind not in marks]
    state.holdings[key] = replace(holding, anomalies=tuple(kept))
    return True


def _charge_no_trade(state: ExecutionsState, amendment: Amendment, fees: Fees) -> None:
    """Count fees of a trade that is not known on their own day, in the position that they name."""
    key = amendment.key
    if fees:
        name = ledger_key(key, amendment.terms) if key else SEPARATOR
        state.ledger.correct(amendment.at, amendment.log_position, name, LedgerEntry(fees=fees))
    if not key:
        state.fees = with_fees(state.fees, fees)
        return
    holding = state.holdings[key]
    state.holdings[key] = replace(
        holding, fees=with_fees(holding.fees, fees), last_record=max(holding.last_record, amendment.log_position)
    )


def _wait(state: ExecutionsState, amendment: Amendment) -> None:
    """Remember an amendment until its trade is reported."""
    waiting, trade_id = state.waiting, amendment.trade_id
    known = (*waiting.get(trade_id, ()), amendment)
    gone, waiting[trade_id] = known[:-WAITING_MAX], known[-WAITING_MAX:]
    if len(waiting) > AMENDMENTS_MAX:
        gone += waiting.pop(next(iter(waiting)))
    for each in gone:
        if each.unknown:
            # It is not looked for any more, but what it leaves uncertain stays marked.
            key = "" if each.symbol is None else holding_key(state, each.symbol, each.side)
            mark(state, key, UNKNOWN[each.kind], each.log_position)


def stated(amendment: Amendment) -> tuple[Figures, Figures]:
    """Return the figures before and after that an amendment states itself."""
    at, sign = (amendment.at, amendment.log_position), Decimal(amendment.signed or 1)
    quantity, price = amendment.quantity or ZERO, amendment.price or ZERO
    if amendment.is_bust:
        return Figures(at, sign * quantity, price), Figures(at, ZERO, price)
    previous = amendment.previous or Figures(at, ZERO, ZERO)
    return Figures(at, sign * previous.quantity, previous.price), Figures(at, sign * quantity, price)
