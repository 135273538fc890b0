"""Whether the views agree with each other, whatever the models say: a sentence for each figure that two tell apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from eventstore.trading import Side
from projections.views.accounts import own_currency
from projections.views.executions.pnl_totals import PnlTotals
from projections.views.executions.state import TRIPS_MAX
from tests.reference.compared import Pair
from tests.reference.differences import NEAR
from tests.reference.histories import COIN, CONTRACTS, SPOT

Sums = dict[str, dict[str, Decimal]]
"""Figures by what they are of, and by name."""
MONEY = (
    "realized",
    "fees",
    "net",
    "realized_average_cost",
    "net_average_cost",
    "trades",
    "volume",
    "unpriced",
    "uncertain_fees",
)


def _summed(totals: Iterable[PnlTotals]) -> Sums:
    sums: Sums = defaultdict(lambda: dict.fromkeys(MONEY, Decimal(0)))
    for each in totals:
        for name in MONEY:
            sums[each.currency or ""][name] += Decimal(getattr(each, name))
    return sums


def _unlike(what: str, one: Sums, other: Sums) -> list[str]:
    problems = []
    for key in sorted(one.keys() | other.keys()):
        a, b = one.get(key, {}), other.get(key, {})
        problems += [
            f"{what} {key} {name}: {a.get(name)} or {b.get(name)}"
            for name in sorted(a.keys() | b.keys())
            if abs(a.get(name, Decimal(0)) - b.get(name, Decimal(0))) > Decimal("1e-12")
        ]
    return problems


def days_and_totals(pair: Pair) -> list[str]:
    """Compare the sums of all days, together and by position, with the totals since the first event."""
    pnl, account = pair.book.pnl, pair.account
    days = [each for _, totals in pnl.days(account) for each in totals]
    apart = [each for _, totals in pnl.days(account, by_symbol=True) for each in totals]
    total = _summed(pnl.total(account))
    return _unlike("days and total", _summed(days), total) + _unlike("positions' days", _summed(apart), total)


def positions_and_totals(pair: Pair) -> list[str]:
    """Compare what the positions realized, and their fees, with the totals."""
    sums: Sums = defaultdict(lambda: dict.fromkeys(("realized", "realized_average_cost", "fees"), Decimal(0)))
    for each in pair.book.positions.of(pair.account):
        if each.multiplier is not None:
            sums[each.currency or ""]["realized"] += each.realized
            sums[each.currency or ""]["realized_average_cost"] += each.realized_average_cost
        for currency, amount in each.fees_by_currency:
            sums[currency or each.currency or ""]["fees"] += amount
    own = own_currency(pair.book, pair.account) or ""
    for currency, amount in pair.book.positions.unassigned_fees(pair.account):
        sums[currency or own]["fees"] += amount
    total = _summed(pair.book.pnl.total(pair.account))
    return _unlike("positions and total", sums, {c: {n: each[n] for n in sums[c]} for c, each in total.items()})


def trades_and_totals(pair: Pair) -> list[str]:
    """Compare the trades with the sums over them, except where an unknown trade's change has been counted."""
    sums: Sums = {symbol: defaultdict(Decimal) for symbol in CONTRACTS}
    totals: Sums = {symbol: defaultdict(Decimal) for symbol in CONTRACTS}
    for symbol in CONTRACTS:
        for trade in pair.book.trades.of(pair.account, symbol):
            size = Decimal(0) if trade.busted else trade.quantity
            name = "bought" if trade.side is Side.BUY else "sold"
            sums[symbol]["busted" if trade.busted else "count"] += 1
            sums[symbol][name] += size
            sums[symbol][name + "_value"] += size * trade.price
        found = pair.book.trades.totals(pair.account, symbol)
        for name in ("count", "busted", "bought", "sold", "bought_value", "sold_value"):
            totals[symbol][name] = Decimal(getattr(found, name))
    contract = pair.models.positions.executions.contracts.of
    for symbol in {contract(fact.symbol or "") for fact in pair.models.positions.booked}:
        sums.pop(symbol, None), totals.pop(symbol, None)
    return _unlike("trades and totals", sums, totals)


def counts_and_trades(pair: Pair) -> list[str]:
    """Compare the executions and round trips of all days with the trades and the round trips."""
    state = pair.book.state("executions", pair.account)
    if state is None:
        return []
    entries = [each for name in state.ledger.names() for each in state.ledger.of_day(name).values()]
    executions, trips = sum(each.executions for each in entries), sum(each.round_trips for each in entries)
    trades, ended = len(pair.book.trades.of(pair.account)), len(pair.book.trips.of(pair.account))
    problems = [] if executions == trades else [f"{executions} executions counted, {trades} trades"]
    if trips != ended and ended < TRIPS_MAX:
        problems.append(f"{trips} round trips counted, {ended} known")
    return problems


def trips_and_positions(pair: Pair) -> list[str]:
    """Compare what the round trips of a flat position made with what it realized.

    A corrected price may count for a round trip that has not begun.
    """
    problems, trips = [], pair.book.trips.of(pair.account)
    for each in pair.book.positions.of(pair.account):
        points = [trip.points for trip in trips if (trip.symbol, trip.side) == (each.symbol, each.side)]
        items = [item for item, _, _ in pair.models.positions.get(each.symbol, each.side).entries()]
        if each.quantity or None in points or len(trips) == TRIPS_MAX or any(item.kind == "REPRICE" for item in items):
            continue
        made = sum((Fraction(one) for one in points if one is not None), Fraction(0))
        if abs(made - Fraction(each.realized_points)) > NEAR * 1000:
            problems.append(f"{each.symbol} {each.side}: round trips made {made}, realized {each.realized_points}")
    return problems


def _coin_fees(pair: Pair) -> Decimal:
    """Return what fees took of the coins bought, less what the busts of unknown trades gave back."""
    charged = [
        (each.quantity, sum((fee for name, fee in fees if name == COIN), Decimal(0)))
        for each in pair.book.trades.of(pair.account, SPOT)
        for fees in [((each.fee_currency, each.fee), *each.other_fees)]
        if each.side is Side.BUY and not each.busted
    ]
    busts = [fact for fact in pair.models.positions.booked if (fact.kind, fact.side) == ("BUST", 1)]
    back = [(fact.quantity or Decimal(0), fact.fee) for fact in busts if fact.currency == COIN]
    taken, given = (sum((fee for size, fee in each if fee < size), Decimal(0)) for each in (charged, back))
    return taken - given


def positions_and_trades(pair: Pair) -> list[str]:
    """Compare each contract's positions with what was bought less what was sold, and the adjustments on record.

    A split multiplies, a name may have meant another contract when it was adjusted, and a reconciliation gives way to
    what it stood for: contracts with any of these are left out.
    """
    problems, contract = [], pair.models.positions.executions.contracts.of
    adjusted = [fact for fact in pair.models.facts if fact.kind == "ADJUST" and fact.quantity]
    for symbol in CONTRACTS:
        mine = [fact for fact in adjusted if contract(fact.symbol or "") == symbol]
        if any(fact.reason in {"SPLIT", "RECONCILED"} for fact in mine):
            continue
        totals = pair.book.trades.totals(pair.account, symbol)
        held = sum(
            (each.quantity for each in pair.book.positions.of(pair.account) if each.symbol == symbol), Decimal(0)
        )
        expected = totals.bought - totals.sold + sum((fact.quantity or Decimal(0) for fact in mine), Decimal(0))
        expected -= _coin_fees(pair) if symbol == SPOT else 0
        if held != expected:
            problems.append(f"{symbol}: {held} held, {expected} bought less sold and adjusted")
    return problems


AGREEMENT = (
    days_and_totals,
    positions_and_trades,
    positions_and_totals,
    trades_and_totals,
    counts_and_trades,
    trips_and_positions,
)
"""Each compares two views of one account."""
