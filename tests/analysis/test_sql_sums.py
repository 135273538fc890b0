"""Sums of SQL over the frames are the book's figures, to the last digit, in histories with late and busted trades."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventstore import EventReader, InvalidEvent
from projections import analysis
from projections.book import Book
from tests.memory import directory_in_memory
from tests.proving import rounds
from tests.reference.compared import ACCOUNTS, Compared, recorded

pytestmark = pytest.mark.untraced
LINEAR = ("ESH6", "NQH6", "FDAX", "BTCUSDT")
"""What an inverse contract realizes has more digits than a decimal column."""
DAYS = """
    select account, currency, sum(realized) realized, sum(fees) fees, sum(funding) funding, sum(net) net,
           sum(trades) trades
    from days group by account, currency
"""
FILLS = """
    select account, side, count(*) count, sum(quantity) quantity, sum(quantity * price) amount, sum(fee) fee
    from fills where account in ('A', 'B') group by account, side
"""
Sums = dict[tuple[Any, ...], tuple[Any, ...]]


def sums(store: EventReader, query: str, keys: int = 2) -> Sums:
    rows = analysis.sql(store, query, exact=True).to_arrow().to_pylist()
    return {tuple(row.values())[:keys]: tuple(row.values())[keys:] for row in rows}


def book_days(book: Book) -> Sums:
    found = {}
    for account in ACCOUNTS:
        for each in book.pnl.total(account):
            figures = each.realized, each.fees, each.cash, each.net, each.trades
            if any(figures):
                found[account, each.currency] = figures
    return found


def book_fills(book: Book) -> Sums:
    found: dict[tuple[Any, ...], list[Any]] = {}
    for account in ACCOUNTS:
        for each in book.trades.of(account):
            if not each.busted:
                figures = 1, each.quantity, each.quantity * each.price, each.fee
                known = found.setdefault((account, each.side.value), [0, 0, 0, 0])
                known[:] = [one + other for one, other in zip(known, figures, strict=True)]
    return {key: tuple(figures) for key, figures in found.items()}


def problems_of(both: Compared) -> list[str]:
    expected = book_days(both.book)
    if not all(fits(figure) for figures in expected.values() for figure in figures):
        # A price that came with a report of a position may be the quotient of two others.
        with pytest.raises(InvalidEvent, match=r"realized = .* does not fit a decimal"):
            sums(both.store, DAYS)
        days = expected
    else:
        days = {key: figures for key, figures in sums(both.store, DAYS).items() if any(figures)}
    compared = (("days", days, expected), ("fills", sums(both.store, FILLS), book_fills(both.book)))
    return [f"{name}: {found} and not {wanted}" for name, found, wanted in compared if found != wanted]


def fits(figure: Decimal | int) -> bool:
    return Decimal(figure) == Decimal(figure).quantize(Decimal("1e-9"))


def test_sums_over_days_and_fills_are_those_of_the_book() -> None:
    for seed in rounds("sums of SQL", test=8, prove=2_000):
        with directory_in_memory() as directory:
            both = Compared(recorded(seed, 40, symbols=LINEAR), Path(directory) / "snapshots.sqlite")
            assert problems_of(both) == []
            both.close()


@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(10_000, 10**6), length=st.integers(0, 25))
def test_sums_are_those_of_the_book_whatever_happened(seed: int, length: int) -> None:
    with directory_in_memory() as directory:
        both = Compared(recorded(seed, length, symbols=LINEAR), Path(directory) / "snapshots.sqlite")
        try:
            assert problems_of(both) == []
        finally:
            both.close()


def test_an_account_of_the_frames_is_read_alone_and_the_same() -> None:
    with directory_in_memory() as directory:
        both = Compared(recorded(3, 40, symbols=LINEAR), Path(directory) / "snapshots.sqlite")
        columns = "position, symbol, side, quantity, price, fee, realized, trading_day"
        everything = analysis.sql(both.store, f"select account, {columns} from fills", exact=True)  # noqa: S608
        for account in ACCOUNTS:
            query = f"select {columns} from fills where account = ?"  # noqa: S608
            alone = analysis.sql(both.store, query, parameters=[account], exact=True)
            expected = [row for row in everything.to_arrow().to_pylist() if row.pop("account") == account]
            assert Counter(map(str, alone.to_arrow().to_pylist())) == Counter(map(str, expected))
        both.close()


def test_a_figure_of_more_digits_than_a_column_has_fails_only_what_names_it() -> None:
    with directory_in_memory() as directory:
        both = Compared(recorded(7, 40, symbols=LINEAR), Path(directory) / "snapshots.sqlite")
        with pytest.raises(InvalidEvent, match=r"realized = .* does not fit a decimal"):
            analysis.sql(both.store, "select sum(realized) from fills", exact=True)
        assert (
            analysis.sql(both.store, "select sum(quantity) from fills", exact=True).to_arrow().column(0)[0].as_py() > 0
        )
        assert len(analysis.sql(both.store, "select realized from fills", exact="text")) > 0
        both.close()
