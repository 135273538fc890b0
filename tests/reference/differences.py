"""Where a book's figures are not those of the models: a sentence for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from fractions import Fraction

from eventstore.trading import Side
from projections.views.accounts import own_currency
from projections.views.executions.state import TRIPS_MAX
from tests.reference.compared import Pair
from tests.reference.days import Money, Place, money, money_by_position
from tests.reference.facts import day_of
from tests.reference.histories import CONTRACTS
from tests.reference.round_trips import all_trips, executions_by_day, trips_by_day, volume

NEAR = Fraction(1, 10**15)
"""The views round quotients to 20 decimals, the models do not."""
VALUE_DECIMALS = 20
SIDES = ("NET", "LONG", "SHORT")
UNMODELLED = {"DUPLICATE_TRADE", "DUPLICATE_CORRECTION", "LOTS_MERGED", "INEXACT"}
"""Marks that change no figure; what is rounded depends on how many digits are kept."""


def near(found: Decimal | None, expected: Fraction | None) -> bool:
    if found is None or expected is None:
        return found is None and expected is None
    return abs(Fraction(found) - expected) <= NEAR * max(Fraction(1), abs(expected))


def near_price(found: Decimal | None, expected: Fraction | None, *, inverse: bool) -> bool:
    """Compare a mean price: of an inverse contract it has the digits that are known of its value, less one."""
    if near(found, expected) or not inverse or not found or not expected:
        return near(found, expected)
    digits = VALUE_DECIMALS + (1 / found).adjusted()
    return abs(Fraction(found) - expected) <= Fraction(Decimal(1).scaleb(1 - digits)) * abs(expected)


def position_problems(pair: Pair) -> list[str]:
    return [problem for symbol in CONTRACTS for side in SIDES for problem in _of_position(pair, symbol, side)]


def _of_position(pair: Pair, symbol: str, side: str) -> list[str]:
    model = pair.models.positions
    found, totals = pair.book.positions.get(pair.account, symbol, side), model.get(symbol, side).totals()
    entries = model.get(symbol, side).entries()
    first = sum((each for _, each, _ in entries), Fraction(0))
    average = sum((each for *_, each in entries), Fraction(0))
    pairs = {
        "quantity": (found.quantity, totals.quantity),
        "cost": (found.cost, totals.cost),
        "unpriced": (found.unpriced, totals.quantity - totals.priced),
        "realized": (found.realized_points, first),
        "realized by average cost": (found.realized_points_average_cost, average),
    }
    problems = [f"{symbol} {side} {what}: {a}, not {b}" for what, (a, b) in pairs.items() if not near(a, b)]
    prices = {
        "average price": (found.average_price, totals.average(totals.cost) if totals.priced else None),
        "average cost": (found.average_cost, totals.average(totals.average_total) if totals.priced else None),
    }
    problems += [
        f"{symbol} {side} {what}: {a}, not {b}"
        for what, (a, b) in prices.items()
        if not near_price(a, b, inverse=found.inverse)
    ]
    lots = [(lot.quantity, lot.price) for lot in found.lots]
    same = [near(a, c) and near(b, d) for (a, b), (c, d) in zip(lots, totals.lots, strict=False)]
    if len(lots) != len(totals.lots) or not all(same):
        problems.append(f"{symbol} {side} lots: {lots}, not {totals.lots}")
    return problems + _of_marks(pair, symbol, side)


def _of_marks(pair: Pair, symbol: str, side: str) -> list[str]:
    model, found = pair.models.positions, pair.book.positions.get(pair.account, symbol, side)
    expected = model.marks(symbol, side)
    marks = {"LATE" if each.kind.startswith("LATE_") else each.kind.value for each in found.anomalies}
    problems = []
    if marks - UNMODELLED != expected - UNMODELLED:
        problems.append(f"{symbol} {side}: marked {sorted(marks - expected)}, not {sorted(expected - marks)}")
    if "INEXACT" not in marks | expected and found.is_uncertain != model.is_uncertain(symbol, side):
        problems.append(f"{symbol} {side} is uncertain: {found.is_uncertain}")
    return problems


def money_problems(pair: Pair) -> list[str]:
    """Compare each day's money, all together and by position."""
    together: dict[Place, Money] = {}
    apart: dict[Place, Money] = {}
    for made, by_symbol in ((together, False), (apart, True)):
        for day, totals in pair.book.pnl.days(pair.account, by_symbol=by_symbol):
            for each in totals:
                key = (day, each.currency or "", each.symbol or "", each.side or "")
                made[key] = Money(Fraction(each.realized), Fraction(each.realized_average_cost), Fraction(each.fees))
    model, days = pair.models.positions, pair.models.days
    expected = {(day, currency, "", ""): each for (day, currency), each in money(model, days).items()}
    own = own_currency(pair.book, pair.account) or ""
    return [
        *_of_money(together, _in_own(expected, own)),
        *_of_money(apart, _in_own(money_by_position(model, days), own)),
        *_of_fees(pair),
    ]


def _of_fees(pair: Pair) -> list[str]:
    """Compare how many trades of each day were reported with several fees."""
    found = {
        day: sum(each.uncertain_fees for each in totals)
        for day, totals in pair.book.pnl.days(pair.account)
        if any(each.uncertain_fees for each in totals)
    }
    mine = [each for each in pair.models.positions.executions.all if each.fee_conflict]
    expected = Counter(day_of(each.at, pair.models.days) for each in mine)
    return [] if found == expected else [f"uncertain fees: {found}, not {expected}"]


def _in_own(made: dict[Place, Money], own: str) -> dict[Place, Money]:
    """Return sums of money in which what names no currency, of no known contract, is in the account's own."""
    sums: dict[Place, Money] = {}
    for (day, currency, symbol, side), each in made.items():
        total = sums.setdefault((day, currency or own, symbol, side), Money())
        total.realized += each.realized
        total.realized_average_cost += each.realized_average_cost
        total.fees += each.fees
    return sums


def _of_money(made: dict[Place, Money], expected: dict[Place, Money]) -> list[str]:
    return [
        f"{key}: {made.get(key)}, not {expected.get(key)}"
        for key in sorted(made.keys() | expected.keys())
        if not _are_near(made.get(key, Money()), expected.get(key, Money()))
    ]


def _are_near(one: Money, other: Money) -> bool:
    pairs = [(one.realized, other.realized), (one.realized_average_cost, other.realized_average_cost)]
    return all(abs(a - b) <= NEAR * 100 for a, b in [*pairs, (one.fees, other.fees)])


def trade_problems(pair: Pair) -> list[str]:
    """Compare the sums over trades, every single trade, and the counts of each day."""
    model, book, problems = pair.models.positions, pair.book, []
    for symbol in CONTRACTS:
        totals = book.trades.totals(pair.account, symbol)
        found = (totals.count, totals.bought, totals.sold, totals.busted)
        if found != volume(model, symbol):
            problems.append(f"{symbol} trades: {found}, not {volume(model, symbol)}")
    trades = {
        (
            each.position,
            each.trade_id,
            each.busted,
            each.occurred_at,
            0 if each.busted else each.quantity * (1 if each.side is Side.BUY else -1),
            each.price,
            _fees(((each.fee_currency or "", each.fee), *each.other_fees)),
        )
        for each in book.trades.of(pair.account)
    }
    known = {
        (
            each.log,
            each.id,
            each.busted,
            each.at,
            each.quantity,
            next(price for _, quantity, price in reversed(each.figures) if quantity),
            _fees((fee.currency, fee.amount) for fee in each.fees),
        )
        for each in model.executions.all
    }
    problems += [f"trade {each}: not in the model" for each in sorted(trades - known, key=str)]
    problems += [f"trade {each}: not in the view" for each in sorted(known - trades, key=str)]
    return problems + _of_counts(pair)


def _fees(charged: Iterable[tuple[str, Decimal]]) -> tuple[tuple[str, Decimal], ...]:
    sums: dict[str, Decimal] = {}
    for currency, amount in charged:
        sums[currency] = sums.get(currency, Decimal(0)) + amount
    return tuple(sorted((currency, amount) for currency, amount in sums.items() if amount))


def _of_counts(pair: Pair) -> list[str]:
    model, days = pair.models.positions, pair.models.days
    executions, ended = executions_by_day(model, days), trips_by_day(model, days)
    problems = []
    for name in sorted(executions.keys() | ended.keys()):
        # A date in UTC can be asked for unless it is a trading day, too.
        if name.removeprefix("~") == name or name[1:] not in {fact.trading_day for fact in days}:
            counted = pair.book.counters.day(pair.account, date.fromisoformat(name.removeprefix("~")))
            if (counted.fills, counted.round_trips) != (executions[name], ended[name]):
                problems.append(f"{name}: {counted}, not {executions[name]} fills and {ended[name]} round trips")
    return problems


def trip_problems(pair: Pair) -> list[str]:
    found = [
        (each.symbol, each.side, each.points, dict(each.fees), each.ended_at)
        for each in pair.book.trips.of(pair.account)
    ]
    expected = [
        (each.symbol, each.side, each.received, {c: a for c, a in each.fees.items() if a}, each.ended_at)
        for each in all_trips(pair.models.positions)
    ][-TRIPS_MAX:]
    problems = [
        f"round trip: {a}, not {b}"
        for a, b in zip(found, expected, strict=False)
        if (a[:2], a[3:]) != (b[:2], b[3:]) or not near(a[2], b[2])
    ]
    return problems + ([f"{len(found)} round trips, not {len(expected)}"] if len(found) != len(expected) else [])


def order_problems(pair: Pair) -> list[str]:
    problems = []
    for order_id in sorted({fact.stream[6:] for fact in pair.models.facts if fact.kind == "SUBMIT"}):
        order, figures = pair.book.orders.get(pair.account, order_id), pair.models.orders.get(order_id)
        assert order is not None
        found = (order.status.value, order.quantity, order.cumulative, order.leaves)
        expected = (figures.status, figures.quantity, figures.cumulative, figures.leaves)
        if found != expected or not near(order.average_price, figures.average_price):
            problems.append(f"{order_id}: {found} at {order.average_price}, not {figures}")
    return problems


FIGURES = (position_problems, money_problems, trade_problems, trip_problems)
"""What is compared of executions."""
