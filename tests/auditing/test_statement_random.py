"""Statements of random days: exactly the breaks that were made, and no failure whatever both sides hold."""

from __future__ import annotations

import contextlib
from collections import Counter
from decimal import Decimal
from random import Random

import pytest
from msgspec.structs import replace

from eventstore import EventStore
from eventstore.trading import Side
from projections import as_of, auditing
from projections.auditing import BreakKind, Stated, StatedExecution
from projections.views.executions.trades import Trade
from tests.auditing.broker_days import BrokerDay
from tests.auditing.statement_desk import SECOND
from tests.projections.histories import history, store_of
from tests.projections.random_facts import ACCOUNTS
from tests.proving import rounds


def test_exactly_what_was_changed_is_found() -> None:
    for seed in rounds("statement breaks", test=30, prove=1_000):
        chance = Random(f"breaks {seed}")
        day = BrokerDay(chance)
        with contextlib.closing(day.desk.store):
            assert day.found(day.desk.compared()) == Counter(), seed
            expected = day.alter(chance.randint(1, 5))
            if chance.random() < 0.3:
                chance.shuffle(day.desk.rows)
            found = day.found(day.desk.compared()) if day.desk.rows else expected
            assert found == expected, (seed, found - expected, expected - found)


def test_without_ids_one_change_is_one_break() -> None:
    for seed in rounds("statement breaks without ids", test=30, prove=1_000):
        chance = Random(f"without ids {seed}")
        day = BrokerDay(chance)
        with contextlib.closing(day.desk.store):
            day.desk.cash, day.desk.lists_cash = [], False
            expected = day.alter(1)
            day.desk.forget_ids()
            # An execution without an id is found by its figures: the day's others are all at another price.
            found = Counter(kind for kind, _ in day.found(day.desk.compared()).elements())
            assert found == Counter(kind for kind, _ in expected.elements()), seed


@pytest.mark.untraced
def test_any_history_agrees_with_its_own_trades() -> None:
    for seed in rounds("statement of any history", test=8, prove=200):
        chance = Random(f"history {seed}")
        with contextlib.closing(store_of(history(chance, 300))) as store:
            for account in ACCOUNTS:
                check(store, account, chance, seed)


def check(store: EventStore, account: str, chance: Random, seed: int) -> None:
    trades = [each for each in as_of(store, account=account).trades.of(account) if not each.busted]
    if not trades:
        return
    rows = [row_of(each, account, line) for line, each in enumerate(trades, 2)]
    found = auditing.statement(store, Stated(source="own", executions=tuple(rows), within_ns=1))
    # A row has costs in one currency.
    others = {each.trade_id for each in trades if each.other_fees}
    left = [each for each in found.breaks if each.kind is not BreakKind.OTHER_FEE or each.trade_id not in others]
    assert left == [], seed
    assert found.parts[0].found == len(rows)
    foreign = tuple(altered(chance, each) for each in rows if chance.random() < 0.8)
    if foreign:
        found = auditing.statement(store, Stated(source="foreign", executions=foreign), account=account)
        # Each row is found, or missing here; with its line.
        missing = sum(len(each.lines) for each in found.breaks if each.kind is BreakKind.MISSING_HERE)
        assert found.parts[0].found + missing == len(foreign), seed


def row_of(trade: Trade, account: str, line: int) -> StatedExecution:
    """Return a trade as a row of a statement."""
    return StatedExecution(
        line=line,
        account=account,
        symbol=trade.symbol,
        side=trade.side,
        quantity=trade.quantity,
        price=trade.price,
        at=trade.occurred_at,
        trade_id=trade.trade_id,
        fee=trade.fee,
        fee_currency=trade.fee_currency,
    )


def altered(chance: Random, row: StatedExecution) -> StatedExecution:
    """Return a row with anything of it changed."""
    return replace(
        row,
        trade_id=chance.choice((row.trade_id, None, "X")),
        side=chance.choice(tuple(Side)),
        quantity=row.quantity + chance.choice((0, 0, 1)),
        price=row.price + chance.choice((Decimal(0), Decimal(0), Decimal("0.5"))),
        at=row.at + chance.choice((0, SECOND, 3_600 * SECOND)),
        is_order=chance.random() < 0.2,
        order_id=chance.choice((row.order_id, "O-1")),
        trip=chance.choice((None, 1, 2)),
    )
