"""Six years of a strategy as frames: cash, shares and daily returns are the independently known ones.

The files are not part of the project: where the folder beside the checkout is absent, these tests are skipped.
"""

import csv
import gzip
import itertools
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import eventstore
from eventstore import EventStore
from eventstore.clock import NANOSECONDS, parse_time
from eventstore.trading import AccountOpened
from gateways.importers import import_file
from projections import analysis
from tests.analysis.scenes import rows

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "pyfolio"
DAY_NS = 86_400 * NANOSECONDS
ZERO = Decimal(0)

pytestmark = [
    pytest.mark.untraced,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"the real data is not on this machine: there is no {DATA}"),
]


class Strategy(NamedTuple):
    """The account's log; the file's days with their instants; what the frames say of each.

    `prices` are those of the shares held at the end of each day, by the file's dollars.
    """

    store: EventStore
    days: dict[int, dict[str, str]]
    shares: dict[tuple[int, str], Decimal]
    prices: dict[str, list[Any]]
    cash: dict[int, Decimal]
    equity: dict[int, Decimal]


def lines(name: str) -> list[dict[str, str]]:
    with gzip.open(DATA / name, "rt", encoding="utf-8") as text:
        return list(csv.DictReader(text))


@pytest.fixture(scope="module")
def strategy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strategy]:
    days = {parse_time(row["index"]): row for row in lines("test_pos.csv.gz")}
    with eventstore.open(tmp_path_factory.mktemp("pyfolio") / "data") as store:
        opened = AccountOpened(starting_balance=Decimal(100_000), currency="USD")
        store.append("account/P1/-", opened, occurred_at=next(iter(days)))
        import_file(store, DATA / "test_txn.csv.gz", "pyfolio", account="P1")
        asked: dict[str, Any] = {"account": "P1", "at": list(days), "exact": "text"}
        held = rows(analysis.positions(store, **asked))
        shares = {(row["at"], row["symbol"]): Decimal(row["quantity"]) for row in held}
        priced = [each for each, quantity in shares.items() if quantity]
        prices = {
            "at": [instant for instant, _ in priced],
            "symbol": [symbol for _, symbol in priced],
            "price": [Decimal(days[each[0]][each[1]] or 0) / shares[each] for each in priced],
        }
        found = rows(analysis.equity(store, **asked, prices=prices))
        assert {row["status"] for row in found} == {"KNOWN"}
        cash = {row["at"]: Decimal(row["balance"]) for row in found}
        for row in held:
            # The balance has what was realized: what open lots cost was paid from it.
            cash[row["at"]] -= Decimal(row["quantity"]) * Decimal(row["average_price"] or 0)
        yield Strategy(store, days, shares, prices, cash, {row["at"]: Decimal(row["equity"]) for row in found})


@pytest.fixture(scope="module")
def known() -> dict[str, Decimal]:
    """Return the strategy's own returns by date."""
    with gzip.open(DATA / "test_returns.csv.gz", "rt", encoding="utf-8") as text:
        return {row[0][:10]: Decimal(row[1]) for row in csv.reader(text)}


@pytest.mark.slow
def test_cash_is_the_known_one_on_every_day(strategy: Strategy) -> None:
    errors = [abs(strategy.cash[instant] - Decimal(row["cash"])) for instant, row in strategy.days.items()]
    assert len(errors) == 1_506
    assert max(errors) <= Decimal("4.2e-6")


def test_shares_have_the_sign_of_the_positions(strategy: Strategy) -> None:
    symbols = [name for name in next(iter(strategy.days.values())) if name not in {"index", "cash"}]
    agree = [
        sign(strategy.shares.get((instant, symbol), ZERO)) == sign(Decimal(row[symbol] or 0))
        for instant, row in strategy.days.items()
        for symbol in symbols
    ]
    assert (len(agree), sum(agree)) == (10_542, 10_542)


def test_daily_returns_are_the_known_ones(strategy: Strategy, known: dict[str, Decimal]) -> None:
    frame = analysis.returns(strategy.store, "P1", prices=strategy.prices, stale_after=DAY_NS, exact="text")
    found = {row["trading_day"].isoformat(): Decimal(row["return"]) for row in rows(frame)}
    assert len(found) == 1_506
    errors = [abs(found[day] - known[day]) for day in list(found)[1:]]
    assert len(errors) == 1_505
    # The file's cash is rounded, by up to 4.5e-7 a day: with cash that is summed exactly, no return is nearer.
    assert max(errors) < Decimal("4.6e-12")
    series = frame.series()
    assert (len(series), series.index[0].isoformat()) == (1_506, "2004-01-09T00:00:00")


def test_daily_returns_are_the_known_ones_to_the_last_digit_with_the_file_s_own_cash(
    strategy: Strategy, known: dict[str, Decimal]
) -> None:
    values = [
        strategy.equity[instant] - strategy.cash[instant] + Decimal(row["cash"])
        for instant, row in strategy.days.items()
    ]
    dates = [row["index"][:10] for row in strategy.days.values()]
    errors = [
        abs(after / before - 1 - known[day])
        for (before, after), day in zip(itertools.pairwise(values), dates[1:], strict=True)
    ]
    assert len(errors) == 1_505
    assert max(errors) < Decimal("9.1e-13")


def sign(number: Decimal) -> int:
    return (number > 0) - (number < 0)
