"""Real data, folded: a NASDAQ day and six years of a strategy give their independently known figures.

The files are not part of the project: where the folder beside the checkout is absent, these tests are skipped.
"""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

import csv
import gzip
import itertools
import random
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import eventstore
import projections
from eventstore import EventStore, Record
from eventstore.clock import parse_time
from eventstore.trading import Marked, OrderCanceled, OrderFilled, OrderReduced, OrderSubmitted, TradeExecuted
from gateways.importers import import_file
from projections import Book, analysis
from projections.builtin import builtin_views
from projections.fold import Fold
from projections.views.orders.view import OrderAnomalyKind, OrdersState, OrdersView
from tests.order_book import BUY, SELL, compared
from tests.projections.histories import states
from tests.projections.importing import imported

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
ZERO = Decimal(0)

pytestmark = [
    pytest.mark.untraced,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"the real data is not on this machine: there is no {DATA}"),
]


class Imported(NamedTuple):
    """A log, and its fold from zero."""

    store: EventStore
    fold: Fold


@pytest.fixture(scope="module")
def nasdaq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Imported]:
    """Return the NASDAQ day, whose import was killed in the middle, and finished by running it again."""
    directory = tmp_path_factory.mktemp("lobster") / "data"
    path = next((DATA / "lobster").glob("*.zip"))
    arguments = [str(directory), str(path), "lobster", "N1"]
    command = [sys.executable, "-m", "tests.projections.importing", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) > 70_000:
                break
        process.kill()
    with eventstore.open(directory) as store:
        assert 70_000 < store.head() < 147_917
        book = projections.open(store)
        assert book.recovery.cut >= 70_000
        fold = from_zero(store)
        assert states(book._fold) == states(fold)
        report = imported(store, path, "lobster", "N1")
        assert (report.rows, report.events) == (147_916, 147_917)
        assert store.head() == 147_917
        fold.apply(list(store.read(after=fold.log_position)))
        yield Imported(store, fold)


@pytest.fixture(scope="module")
def lobster(nasdaq: Imported) -> EventStore:
    return nasdaq.store


@pytest.fixture(scope="module")
def day(lobster: EventStore) -> Book:
    """Return the day's book, opened from the newest cut."""
    book = projections.open(lobster)
    assert book.recovery.cut > 140_000
    return book


@pytest.fixture(scope="module")
def orders(lobster: EventStore) -> OrdersState:
    """Return every order of the day, also those that a book would look up in the log."""
    fold = Fold([OrdersView(closed_max=1_000_000, unknown_max=1_000_000)])
    fold.apply(list(lobster.read()))
    assert not fold.slots["orders"].parked
    state: OrdersState = fold.slots["orders"].states["N1"]
    return state


def from_zero(store: EventStore) -> Fold:
    fold = Fold(builtin_views())
    fold.apply(list(store.read()))
    return fold


@pytest.mark.slow
def test_an_uninterrupted_import_folds_to_the_same_states(day: Book, lobster: EventStore, tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "data") as store:
        import_file(store, next((DATA / "lobster").glob("*.zip")), "lobster", account="N1")
        assert store.head() == lobster.head()
        assert states(from_zero(store)) == states(day._fold)


def test_the_book_from_cuts_is_the_fold_from_zero(day: Book, nasdaq: Imported) -> None:
    assert not day.parked
    assert states(day._fold) == states(nasdaq.fold)


def test_every_delete_has_the_right_remainder(lobster: EventStore, day: Book, orders: OrdersState) -> None:
    deletes: Counter[str] = Counter()
    for record in lobster.read(types=OrderCanceled):
        order = orders.closed[record.entity]
        assert isinstance(record.event, OrderCanceled)
        if order.submitted:
            # The file tells what was deleted: it is what was submitted, less what was reduced and executed.
            left = order.quantity is not None and order.quantity - order.cumulative
            deletes["right" if left == record.event.quantity and not order.anomalies else "wrong"] += 1
    assert deletes == {"right": 62_131}
    found = day.orders.anomalies("N1")
    assert OrderAnomalyKind.REMAINDER not in found
    assert OrderAnomalyKind.OVERFILL not in found
    assert OrderAnomalyKind.EVENT_AFTER_CLOSE not in found


def test_every_submission_cancel_and_execution_finds_its_order(lobster: EventStore, orders: OrdersState) -> None:
    every = {**orders.open, **orders.closed, **orders.unknown}
    assert sum(order.submitted for order in every.values()) == 71_258
    assert sum(1 for _ in lobster.read(types=OrderSubmitted)) == 71_258
    applied = [record for record in lobster.read(types=(OrderReduced, OrderFilled)) if every[record.entity].submitted]
    assert len(applied) == 7_251


def test_the_orders_open_at_the_end_are_the_known_ones(day: Book, orders: OrdersState) -> None:
    still_open = day.orders.open("N1")
    assert len(still_open) == len(day.orders.open()) == len(day.orders.open(symbol="GOOG")) == 3_942
    assert {order.order_id for order in still_open} == set(orders.open)
    assert all(order.leaves is not None and order.leaves > 0 and not order.anomalies for order in still_open)


@pytest.mark.slow
def test_the_ten_levels_after_each_message_come_from_a_frame(lobster: EventStore) -> None:
    types = (OrderSubmitted, OrderReduced, OrderCanceled, OrderFilled, TradeExecuted, Marked)
    columns = ("type", "entity", "side", "quantity", "by", "limit_price")
    rows = analysis.events(lobster, types=types, columns=columns).to_arrow().to_pylist()
    assert len(rows) == 147_916
    with zipfile.ZipFile(next((DATA / "lobster").glob("*.zip"))) as archive:
        messages, books = (
            archive.read(name).decode("ascii").splitlines() for name in sorted(archive.namelist())[:2]
        )  # fmt: skip
    found = compared(changes_of(rows, messages), ([int(cell) for cell in line.split(",")] for line in books))
    assert found == {"right": 147_915, "taken": 44_451}


def changes_of(rows: list[dict[str, Any]], messages: list[str]) -> Iterator[tuple[str, int, int]]:
    """Yield by how much each event changes a level. Of orders from before the day only the file has the price."""
    resting: dict[str, tuple[str, int]] = {}
    left: Counter[str] = Counter()
    for row, message in zip(rows, messages, strict=True):
        kind, order = row["type"], row["entity"]
        if kind in {"TradeExecuted", "Marked"}:
            # What is hidden, and halts, change nothing that is shown.
            yield BUY, 0, 0
            continue
        if kind == "OrderSubmitted":
            resting[order] = row["side"], round(row["limit_price"] * 10_000)
            left[order] = int(row["quantity"])
            yield *resting[order], left[order]
            continue
        by = int(row["by"] if kind == "OrderReduced" else row["quantity"])
        if order in resting:
            left[order] -= by
            assert left[order] >= 0
            yield *resting[order], -by
        else:
            price, direction = message.split(",")[4:]
            yield BUY if direction == "1" else SELL, int(price), -by


def test_the_executed_volume_is_the_known_one(day: Book, orders: OrdersState) -> None:
    every = {**orders.open, **orders.closed, **orders.unknown}.values()
    assert sum(order.cumulative for order in every) == 492_509
    assert sum(order.cumulative for order in every if order.submitted) == 457_063
    assert sum(len(fills) for fills in orders.fills.values()) == 7_765
    totals = day.trades.totals("N1", "GOOG")
    assert (totals.count, totals.bought + totals.sold) == (7_765 + 3_913, 492_509 + 213_616)
    trades = day.trades.of("N1")
    visible = [trade.quantity for trade in trades if trade.order_id is not None]
    hidden = [trade.quantity for trade in trades if trade.order_id is None]
    assert (len(visible), sum(visible)) == (7_765, 492_509)
    assert (len(hidden), sum(hidden)) == (3_913, 213_616)
    assert day.positions.get("N1", "GOOG").quantity == totals.bought - totals.sold


def test_messages_about_unknown_orders_are_kept_as_anomalies(
    day: Book, lobster: EventStore, orders: OrdersState
) -> None:
    assert day.orders.anomalies("N1") == {OrderAnomalyKind.UNKNOWN_ORDER: 3_363}
    marked = {
        anomaly.position for order in (*orders.unknown.values(), *orders.closed.values()) for anomaly in order.anomalies
    }
    assert len(marked) == 3_363
    known = {record.stream for record in lobster.read(types=OrderSubmitted)}
    strangers = (OrderReduced, OrderCanceled, OrderFilled)
    assert marked == {record.position for record in lobster.read(types=strangers) if record.stream not in known}


def test_a_closed_order_is_found_however_old(day: Book, orders: OrdersState) -> None:
    chance = random.Random(17)
    for order_id in chance.sample(sorted(orders.closed), 200):
        assert day.orders.get("N1", order_id) == orders.closed[order_id]
    assert day.orders.get("N1", "0") is None


@pytest.mark.slow
def test_the_book_of_a_hundred_random_instants_is_the_fold_from_zero(lobster: EventStore) -> None:
    chance = random.Random(2012)
    first, last = (next(lobster.read(after=after, limit=1)).recorded_at for after in (0, lobster.head() - 1))
    instants = sorted(chance.randint(first, last) for _ in range(100))
    fold, records = Fold(builtin_views()), lobster.read()
    ahead: Record | None = next(records)
    from_cuts = 0
    for instant in instants:
        known: list[Record] = []
        while ahead is not None and ahead.recorded_at <= instant:
            known.append(ahead)
            ahead = next(records, None)
        fold.apply(known)
        past = projections.as_of(lobster, recorded_at=instant)
        assert past.position == fold.log_position
        assert states(past._fold) == states(fold)
        from_cuts += past._last_cut > 0
    assert from_cuts > 90


class Strategy(NamedTuple):
    store: EventStore
    days: list[dict[str, str]]
    symbols: list[str]


class Held(NamedTuple):
    """What the book says of the strategy: cash, and shares by symbol."""

    cash: Decimal
    shares: dict[str, Decimal]


def rows(name: str) -> list[dict[str, str]]:
    with gzip.open(DATA / "pyfolio" / name, "rt", encoding="utf-8") as text:
        return list(csv.DictReader(text))


@pytest.fixture(scope="module")
def strategy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strategy]:
    days = rows("test_pos.csv.gz")
    with eventstore.open(tmp_path_factory.mktemp("pyfolio") / "data") as store:
        imported(store, DATA / "pyfolio" / "test_txn.csv.gz", "pyfolio", "P1")
        yield Strategy(store, days, [name for name in days[0] if name not in {"index", "cash"}])


def held(book: Book, symbols: list[str]) -> Held:
    cash = Decimal(100_000)
    for totals in book.trades.totals("P1"):
        cash += totals.sold_value - totals.bought_value
    return Held(cash, {symbol: book.positions.get("P1", symbol).quantity for symbol in symbols})


@pytest.fixture(scope="module")
def ends(strategy: Strategy) -> list[Held]:
    """Return what was held at the end of each day, as the log tells it when it is replayed step by step."""
    closing: dict[int, Held] = {}
    for record, book in projections.steps(strategy.store):
        closing[record.occurred_at] = held(book, strategy.symbols)
    found = [Held(Decimal(100_000), dict.fromkeys(strategy.symbols, ZERO))]
    for row in strategy.days:
        found.append(closing.get(parse_time(row["index"]), found[-1]))
    return found[1:]


def test_the_strategy_s_cash_is_the_known_one_on_every_day(strategy: Strategy, ends: list[Held]) -> None:
    worst = max(abs(end.cash - Decimal(row["cash"])) for row, end in zip(strategy.days, ends, strict=True))
    assert len(ends) == 1_506
    assert worst <= Decimal("4.2e-6")


def test_the_strategy_s_shares_have_the_sign_of_its_positions(strategy: Strategy, ends: list[Held]) -> None:
    agree = [
        sign(end.shares[symbol]) == sign(Decimal(row[symbol] or 0))
        for row, end in zip(strategy.days, ends, strict=True)
        for symbol in strategy.symbols
    ]
    assert (len(agree), sum(agree)) == (10_542, 10_542)


def test_the_strategy_s_positions_are_its_shares_at_the_price_they_were_dealt_at(
    strategy: Strategy, ends: list[Held]
) -> None:
    dealt = {
        (trade.occurred_at, trade.symbol): trade.price for trade in projections.open(strategy.store).trades.of("P1")
    }
    listed = {(parse_time(row[""]), row["symbol"]): Decimal(row["price"]) for row in rows("test_txn.csv.gz")}
    by_book, by_file = [], []
    for row, end in zip(strategy.days, ends, strict=True):
        for symbol in strategy.symbols:
            place, dollars = (parse_time(row["index"]), symbol), Decimal(row[symbol] or 0)
            if place in dealt and dollars:
                by_book.append(abs(dollars / end.shares[symbol] / dealt[place] - 1))
                by_file.append(abs(dollars / end.shares[symbol] / listed[place] - 1))
    assert len(by_book) == len(by_file) == 9_250
    # The book's price is the money by the shares, the file's own the rounded one that the known figure was taken with.
    assert max(by_file) < Decimal("7.95e-11")
    assert max(by_book) < Decimal("8.3e-11")


def test_the_strategy_s_daily_return_is_the_known_one(strategy: Strategy, ends: list[Held]) -> None:
    """What a day gains, by the book's cash and its shares at the day's prices, over what there was the day before."""
    with gzip.open(DATA / "pyfolio" / "test_returns.csv.gz", "rt", encoding="utf-8") as text:
        known = {row[0]: Decimal(row[1]) for row in csv.reader(text)}
    assert len(ends) == len(strategy.days) == 1_506
    by_book, by_file = [], []
    for (row_before, before), (row, after) in itertools.pairwise(zip(strategy.days, ends, strict=True)):
        is_known, symbols = known[row["index"]], strategy.symbols
        by_book.append(abs(value(after, row, symbols) / value(before, row_before, symbols) - 1 - is_known))
        by_file.append(abs(listed_value(row, symbols) / listed_value(row_before, symbols) - 1 - is_known))
    assert len(by_book) == 1_505
    # Cash is within 4.2e-6 of 100,000, which is 4.2e-11: the days' returns are nearer than that.
    assert max(by_book) < Decimal("4.6e-12")
    assert max(by_file) < Decimal("9.1e-13")


def listed_value(row: dict[str, str], symbols: list[str]) -> Decimal:
    return sum((Decimal(row[name] or 0) for name in ("cash", *symbols)), ZERO)


def value(end: Held, row: dict[str, str], symbols: list[str]) -> Decimal:
    total = end.cash
    for symbol in symbols:
        shares = end.shares[symbol]
        if shares:
            total += shares * (Decimal(row[symbol]) / shares)
    return total


def test_a_day_of_the_past_is_the_day_of_the_replay(strategy: Strategy, ends: list[Held]) -> None:
    for place in random.Random(2004).sample(range(len(ends)), 20):
        past = projections.as_of(strategy.store, occurred_at=parse_time(strategy.days[place]["index"]))
        assert held(past, strategy.symbols) == ends[place]


def sign(number: Decimal) -> int:
    return (number > 0) - (number < 0)
