"""The presets of brokers and platforms, each against a sample whose rows are read a second time, plainly."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from eventstore import EventStore, InvalidEvent
from eventstore.trading import OrderCanceled, OrderRejected, OrderSubmitted
from gateways.importers import format_of, import_file, read_plan
from tests.importers.facts import CHICAGO, SAMPLES, D, Fact, fact_of, ns, rows, signed

ZONE = "America/Chicago"
MONTH_FIRST = "%m/%d/%Y %H:%M:%S"
TWELVE_HOURS = "%m/%d/%Y %I:%M:%S %p"
NAMES = {"MNQU26": "MNQU6", "MNQ MAR26": "MNQH6", "MNQ 03-26": "MNQH6", "NQ 03-26": "NQH6", "MES 09-26": "MESU6"}


def money(text: str) -> Decimal:
    """Return an amount with a dollar sign and brackets or a minus."""
    digits = re.sub(r"[$,()]", "", text)
    return -D(digits.removeprefix("-")) if "(" in text or "-" in text else D(digits)


class Trip(NamedTuple):
    """A round trip, as a row of an export has it."""

    symbol: str
    side: str
    quantity: str
    prices: tuple[str, str]
    times: tuple[int, int]
    fee: Decimal
    currency: str

    def facts(self) -> list[Fact]:
        """Return its two executions: the costs are the exit's."""
        held = D(self.quantity) if self.side.lower() in {"long", "buy"} else -D(self.quantity)
        entry = Fact(self.symbol, held, D(self.prices[0]), D(0), None, self.times[0])
        return [entry, Fact(self.symbol, -held, D(self.prices[1]), self.fee, self.currency, self.times[1])]


def topstepx_journal() -> Iterator[Fact]:
    for row in rows("topstepx-journal.csv"):
        fee = -(money(row["Commissions"]) + money(row["Fees"]))
        entered, exited = (ns(row[name], "%B %d %Y @ %I:%M:%S %p", CHICAGO) for name in ("Entry Time", "Exit Time"))
        prices = row["Entry Price"], row["Exit Price"]
        yield from Trip(
            NAMES[row["Contract"]], row["Direction"], row["Size"], prices, (entered, exited), fee, "USD"
        ).facts()


def tradovate_fills() -> Iterator[Fact]:
    for row in rows("tradovate-fills.csv"):
        at = ns(row["_timestamp"][:19]) + int(row["_timestamp"][20:23]) * 1_000_000
        quantity = signed(row["B/S"].strip(), row["Quantity"])
        yield Fact(row["Contract"], quantity, D(row["Price"]), D(row["commission"]), None, at, row["Order ID"])


def tradovate_orders() -> Iterator[Fact]:
    for row in rows("tradovate-orders.csv"):
        if row["filledQty"]:
            quantity, at = signed(row["B/S"].strip(), row["filledQty"]), ns(row["Fill Time"], MONTH_FIRST, CHICAGO)
            yield Fact(row["Contract"], quantity, D(row["avgPrice"]), D(0), None, at, row["orderId"])


def tradovate_performance() -> Iterator[Fact]:
    found: dict[tuple[str, str, Decimal, str], Decimal] = defaultdict(Decimal)
    for row in rows("tradovate-performance.csv"):
        for id_, way, price, at in (
            ("buyFillId", 1, "buyPrice", "boughtTimestamp"),
            ("sellFillId", -1, "sellPrice", "soldTimestamp"),
        ):
            found[row[id_], row["symbol"], D(row[price]), row[at]] += way * D(row["qty"])
    for (_, symbol, figure, when), quantity in found.items():
        yield Fact(symbol, quantity, figure, D(0), None, ns(when, MONTH_FIRST, CHICAGO))


def ninjatrader_executions() -> Iterator[Fact]:
    for row in rows("ninjatrader-executions.csv"):
        at, quantity = ns(row["Time"], TWELVE_HOURS, CHICAGO), signed(row["Action"], row["Quantity"])
        order = row["Order ID"] or None
        yield Fact(NAMES[row["Instrument"]], quantity, D(row["Price"]), money(row["Commission"]), None, at, order)


def ninjatrader_trades() -> Iterator[Fact]:
    for row in rows("ninjatrader-trades.csv"):
        fee = sum(
            (money(row[name]) for name in ("Commission", "Clearing Fee", "Exchange Fee", "IP Fee", "NFA Fee")), D(0)
        )
        entered, exited = (ns(row[name], TWELVE_HOURS, CHICAGO) for name in ("Entry time", "Exit time"))
        prices = row["Entry price"], row["Exit price"]
        yield from Trip(
            NAMES[row["Instrument"]], row["Market pos."], row["Qty"], prices, (entered, exited), fee, "USD"
        ).facts()


def ib_flex() -> Iterator[Fact]:
    for row in rows("ib-flex.csv", skip=1):
        if row["LevelOfDetail"] == "EXECUTION" and row["AssetClass"] != "CASH":
            fee, at = -D(row["IBCommission"]) - D(row["Taxes"]), ns(row["DateTime"], "%Y%m%d;%H%M%S", CHICAGO)
            yield Fact(row["Symbol"], D(row["Quantity"]), D(row["TradePrice"]), fee, row["IBCommissionCurrency"], at)


def ib_flex_days() -> Iterator[Fact]:
    for row in rows("ib-flex-days.csv"):
        fee, at = -D(row["IBCommission"]), ns(row["TradeDate"], "%Y%m%d", CHICAGO)
        yield Fact(row["ISIN"], D(row["Quantity"]), D(row["TradePrice"]), fee, row["IBCommissionCurrency"], at)


def ib_activity() -> Iterator[Fact]:
    for row in rows("ib-activity.csv", skip=2):
        if row["Trades"] == "Trades" and row["DataDiscriminator"] == "Order" and row["Asset Category"] != "Forex":
            at = ns(row["Date/Time"], "%Y-%m-%d, %H:%M:%S", CHICAGO)
            yield Fact(
                row["Symbol"], D(row["Quantity"].replace(",", "")), D(row["T. Price"]), -D(row["Comm/Fee"]), None, at
            )


def cells(name: str, encoding: str) -> Iterator[list[str]]:
    """Yield the texts of a report's rows, without hidden cells."""
    text = (SAMPLES / name).read_text(encoding)
    for line in re.findall(r"<tr[^>]*>(.*?)</tr>", text, re.DOTALL):
        yield [
            re.sub(r"<[^>]+>", "", cell).strip()
            for kind, cell in re.findall(r"<t[dh]([^>]*)>(.*?)</t[dh]>", line)
            if "hidden" not in kind
        ]


def metatrader4() -> Iterator[Fact]:
    for row in cells("metatrader4.htm", "utf-8"):
        if len(row) == 14 and row[2] in {"buy", "sell"}:
            times = ns(row[1], "%Y.%m.%d %H:%M:%S", CHICAGO), ns(row[8], "%Y.%m.%d %H:%M:%S", CHICAGO)
            fee = -sum((D(cell) for cell in row[10:13]), D(0))
            yield from Trip(row[4], row[2], row[3], (row[5], row[9]), times, fee, "JPY").facts()
        elif row[2:3] == ["balance"]:
            yield Fact(
                "DEPOSIT", D(row[-1].replace(" ", "")), D(0), D(0), "USD", ns(row[1], "%Y.%m.%d %H:%M:%S", CHICAGO)
            )


def metatrader5() -> Iterator[Fact]:
    for row in cells("metatrader5.html", "utf-16"):
        if len(row) == 14 and row[3] in {"buy", "sell"}:
            fee, at = -sum((D(cell) for cell in row[8:11]), D(0)), ns(row[0], "%Y.%m.%d %H:%M:%S", CHICAGO)
            yield Fact(row[2], signed(row[3], row[5]), D(row[6]), fee, None, at, row[7])
        elif row[3:4] == ["balance"]:
            yield Fact(
                "DEPOSIT", D(row[11].replace(" ", "")), D(0), D(0), "USD", ns(row[0], "%Y.%m.%d %H:%M:%S", CHICAGO)
            )


LOTS = {
    "metatrader4": '[contracts.gbpjpy]\nmultiplier = 100000\ncurrency = "JPY"\n',
    "metatrader5": '[contracts.EURUSD]\nmultiplier = 100000\ncurrency = "USD"\n',
}
NO_ACCOUNT = {"topstepx-journal", "tradovate-performance", "ib-activity", *LOTS}
CASES: list[tuple[str, str, Callable[[], Iterator[Fact]]]] = [
    ("topstepx-journal.csv", "topstepx-journal", topstepx_journal),
    ("tradovate-fills.csv", "tradovate-fills", tradovate_fills),
    ("tradovate-orders.csv", "tradovate-orders", tradovate_orders),
    ("tradovate-performance.csv", "tradovate-performance", tradovate_performance),
    ("ninjatrader-executions.csv", "ninjatrader-executions", ninjatrader_executions),
    ("ninjatrader-trades.csv", "ninjatrader-trades", ninjatrader_trades),
    ("ib-flex.csv", "ib-flex", ib_flex),
    ("ib-flex-days.csv", "ib-flex", ib_flex_days),
    ("ib-activity.csv", "ib-activity", ib_activity),
    ("metatrader4.htm", "metatrader4", metatrader4),
    ("metatrader5.html", "metatrader5", metatrader5),
]


def options_of(name: str, preset: str, tmp_path: Path) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if preset in NO_ACCOUNT or name == "ib-flex-days.csv":
        options["account"] = "A"
    if preset in LOTS:
        table = tmp_path / "lots.toml"
        table.write_text(LOTS[preset], "utf-8")
        options |= {"contracts": table, "answers": {"tables.1.cash.currency": "USD"}}
    return options


@pytest.mark.parametrize(("name", "preset", "truth"), CASES, ids=[name for name, *_ in CASES])
def test_each_row_of_a_sample_is_what_it_says(
    store: EventStore, tmp_path: Path, name: str, preset: str, truth: Callable[[], Iterator[Fact]]
) -> None:
    path, options = SAMPLES / name, options_of(name, preset, tmp_path)
    assert format_of(path) == preset
    if preset != "tradovate-fills":
        with pytest.raises(InvalidEvent, match=r"time\.zone"):
            read_plan(path, None, **options)
    found = read_plan(path, None, zone=ZONE, **options).items
    facts = [fact_of(item) for item in found if not isinstance(item.event, NOT_FACTS)]
    assert sorted(facts, key=str) == sorted(truth(), key=str)
    assert facts == sorted(facts, key=lambda fact: fact.at)
    report = import_file(store, path, None, zone=ZONE, **options)
    assert (report.added, report.left_out, report.differing) == (report.events, (), ())
    assert import_file(store, path, None, zone=ZONE, **options).added == 0


NOT_FACTS = (OrderSubmitted, OrderCanceled, OrderRejected)


@pytest.mark.parametrize("preset", sorted(LOTS))
def test_metatrader_asks_for_the_size_of_a_lot_and_the_currency_of_cash(preset: str) -> None:
    (name,) = [name for name, each, _ in CASES if each == preset]
    with pytest.raises(InvalidEvent, match=r"(?s)--contracts.*tables\.1\.cash\.currency|cash\.currency.*--contracts"):
        read_plan(SAMPLES / name, None, account="A", zone=ZONE)


def test_each_order_of_tradovate_ends_as_it_says() -> None:
    items = read_plan(SAMPLES / "tradovate-orders.csv", None, zone=ZONE).items
    ends = [(item.stream.rsplit("/", 1)[1], type(item.event).__name__) for item in items]
    assert sorted(end for end in ends if end[1] != "OrderSubmitted") == [
        ("7001", "OrderFilled"),
        ("7002", "OrderCanceled"),
        ("7003", "OrderRejected"),
        ("7004", "OrderCanceled"),
        ("7004", "OrderFilled"),
    ]


def test_a_cancelled_trade_of_interactive_brokers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "flex.csv"
    path.write_text((SAMPLES / "ib-flex.csv").read_text("utf-8").replace('"SELL","-4"', '"SELL (Ca.)","-4"'), "utf-8")
    with pytest.raises(InvalidEvent, match=r"Buy/Sell"):
        read_plan(path, "ib-flex", zone=ZONE)


def test_a_profit_that_is_not_the_executions_is_shown(store: EventStore, tmp_path: Path) -> None:
    path = tmp_path / "performance.csv"
    path.write_text((SAMPLES / "tradovate-performance.csv").read_text("utf-8").replace("$400.00", "$410.00"), "utf-8")
    report = import_file(store, path, None, account="A", zone=ZONE)
    assert [(row.symbol, row.reported, row.folded) for row in report.differing] == [("MNQH6", D("409.00"), D("399.00"))]
