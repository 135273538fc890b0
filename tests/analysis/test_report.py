"""The report: one page that needs nothing else, says what is not known, and runs nothing that a text holds."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typing_extensions import override

import eventstore
from eventstore import InvalidEvent, ManualClock
from eventstore.trading import AccountOpened, AccountReopened, ContractDefined, Marked, Side, TradeExecuted
from projections import analysis
from projections.analysis.frame import Frame
from projections.analysis.reporting import account_report, cells, report, sections, statistics
from tests.analysis.made import (
    DAYS,
    EQUITY,
    HEADROOM,
    LOCKOUTS,
    MINUTE_NS,
    OPENS_AT,
    POSITIONS,
    ROUND_TRIPS,
    at,
    equity_row,
    headroom_row,
    lockout_row,
    made,
)

DAY = datetime.date(2025, 11, 19)
SCRIPT = "<script>alert(1)</script>&\u202e"

Rows = dict[str, list[dict[str, Any]]]


def ordinary() -> Rows:
    """Return the rows of an account that gained, lost, held a contract and was locked out."""
    trip = {"symbol": "ESZ5", "direction": "LONG", "entry_at": at(0), "exit_at": at(5), "duration": 300 * 10**9}
    figures = {
        "quantity": "2",
        "entry_price": "6000.25",
        "exit_price": "6001",
        "gross": "75",
        "fees": "4.5",
        "net": "70.5",
    }
    held = {"at": at(60), "account": "ACC1", "side": "NET", "currency": "USD", "status": "KNOWN"}
    return {
        "days": [
            {"account": "ACC1", "trading_day": DAY, "session": "1", "currency": "USD", "net": Decimal("-100.005")}
            | dict.fromkeys(("realized", "fees", "funding"), Decimal(1))
            | {"trades": 4, "wins": 1, "losses": 1}
        ],
        "equity": [
            equity_row(0, "50000"),
            equity_row(10, "49000", "50000"),
            equity_row(20, "50000"),
            equity_row(30, "48500.5", "50000"),
            equity_row(60, "49899.995", "50000"),
        ],
        "round_trips": [{**trip, **{name: Decimal(value) for name, value in figures.items()}, "currency": "USD"}],
        "positions": [
            {**held, "symbol": "ESZ5", "quantity": Decimal(-2), "average_price": Decimal("6000.125")},
            {**held, "symbol": "NQZ5", "quantity": Decimal(0)},
        ],
        "headroom": [headroom_row(0, "1"), headroom_row(30, "0.25"), headroom_row(60, "0.4")],
        "lockouts": [lockout_row(35, None, reason="daily loss", set_position=77)],
    }


NAMES = {
    "days": DAYS,
    "equity": EQUITY,
    "round_trips": ROUND_TRIPS,
    "positions": POSITIONS,
    "headroom": HEADROOM,
    "lockouts": LOCKOUTS,
}


class Page(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.parts: list[str] = []
        self.raw = path.read_text(encoding="utf-8")
        self.feed(self.raw)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    @override
    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.parts).split())


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of one record."""
    with eventstore.open(tmp_path / "data", clock=ManualClock(OPENS_AT)) as store:
        store.append("mark/-/open", Marked(name="open"))
    return tmp_path / "data"


@pytest.fixture
def written(log: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Page]:
    """Write the report of frames that are made by hand, in place of those of the log, and read it."""

    def write(rows: Rows, account: str = "ACC1") -> Page:
        def frame(name: str) -> Callable[..., Frame]:
            return lambda *_, exact, **__: made(NAMES[name], rows.get(name, []), exact=exact)

        for name in NAMES:
            monkeypatch.setattr(account_report, name, frame(name))
        return Page(report(log, account, log.parent / "report.html", zone="America/Chicago"))

    return write


Written = Callable[..., Page]


def test_a_report_says_what_happened(written: Written) -> None:
    text = written(ordinary()).text
    for said in (
        "2025-11-19 08:30:00 to 2025-11-19 09:30:00, America/Chicago; equity, exposure and headroom at each trade",
        "−100.00 net result, USD",
        "49,900.00 equity at the end, USD",
        "1,499.50 deepest drawdown, 2025-11-19 09:00:00 1 trading day 1 round trip 1 lockout",
        "1,499.50 2025-11-19 08:50:00 2025-11-19 09:00:00 not yet",
        "1,000.00 2025-11-19 08:30:00 2025-11-19 08:40:00 2025-11-19 08:50:00",
        "0:05:00 ESZ5 LONG 2 6,000.25 6,001 75.00 4.50 70.50 USD",
        "ESZ5 −2 6,000.125",
        "40.0 % 25.0 % 2025-11-19 09:00:00",
        "2025-11-19 09:05:00 without end date in force daily-loss account REDUCE_ONLY daily loss 77",
        "the records 1 to 1 of the log main",
    ):
        assert said in text, said


def test_a_report_needs_nothing_else(written: Written) -> None:
    page = written(ordinary())
    assert {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "embed", "form", "base"} == set()
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in {"src", "href", "xlink:href"}:
                assert (value or "").startswith(("#", "data:")), value
    assert "@import" not in page.raw
    assert set(re.findall(r"https?://[^/\"]*", page.raw)) == {"http://www.w3.org"}, "the names of SVG"
    assert re.findall(r"url\((?!#)", page.raw) == []
    assert "default-src 'none'" in page.raw


def test_what_a_text_holds_is_shown_and_not_run(written: Written) -> None:
    rows = ordinary()
    for name, member in (("lockouts", "reason"), ("round_trips", "strategy"), ("headroom", "rule_id")):
        rows[name][0][member] = SCRIPT
    rows["positions"][0]["symbol"] = SCRIPT
    page = written(rows)
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.text.count("<script>alert(1)</script>&") >= 4
    assert "\u202e" not in page.raw


def test_an_account_without_records_has_a_report_that_says_so(written: Written) -> None:
    text = written({}, "NOBODY").text
    for said in (
        "no equity in this range",
        "no trading days in this range",
        "No round trip ended in this range.",
        "Nothing was held at the last of these instants.",
        "No limit was in force.",
        "Lockouts None.",
    ):
        assert said in text, said


def test_what_is_not_known_is_neither_a_figure_nor_part_of_one(written: Written) -> None:
    rows = ordinary()
    rows["days"].append({**rows["days"][0], "trading_day": DAY + datetime.timedelta(1), "net": None})
    rows["equity"][3] |= {"status": "STALE", "why": "the price of ESZ5 is 60 s old"}
    rows["equity"][4] |= {"equity": None, "drawdown": None, "status": "UNKNOWN", "why": "ESZ5 has no price"}
    text = written(rows).text
    assert "– net result, USD" in text
    assert "– equity at the end, UNKNOWN: ESZ5 has no price" in text
    assert "1,000.00 deepest drawdown, 2025-11-19 08:40:00" in text
    assert "2 of 5 figures are not certain, and not part of the drawdowns: the price of ESZ5 is 60 s old" in text


def test_currencies_are_never_added_up(written: Written) -> None:
    rows = ordinary()
    rows["days"].append({**rows["days"][0], "currency": "EUR", "net": Decimal(7)})
    page = written(rows)
    assert "−100.00 net result, USD 7.00 net result, EUR" in page.text
    assert len([tag for tag, _ in page.tags if tag == "svg"]) == 5


def test_ids_in_the_page_stand_for_one_thing_each(written: Written) -> None:
    page = written(ordinary())
    assert "<g id=" not in page.raw
    defined: dict[str, str] = {}
    for match in re.finditer(r'<(path|clipPath|pattern|image)[^>]* id="([^"]+)".*?(?=<)', page.raw, re.DOTALL):
        assert defined.setdefault(match[2], match[0]) == match[0]


def test_the_same_log_gives_the_same_bytes(written: Written) -> None:
    assert written(ordinary()).raw == written(ordinary()).raw


def test_a_report_replaces_a_file_in_one_step_and_leaves_nothing_else(written: Written, log: Path) -> None:
    target = log.parent / "report.html"
    target.write_text("before", encoding="utf-8")
    assert written(ordinary()).raw.startswith("<!doctype html>")
    assert sorted(path.name for path in log.parent.iterdir()) == ["data", "report.html"]


def test_a_report_that_fails_leaves_the_file_that_was_there(
    written: Written, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = log.parent / "report.html"
    target.write_text("before", encoding="utf-8")

    def fails(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(sections, "_lockouts", fails)
    with pytest.raises(KeyboardInterrupt):
        written(ordinary())
    assert target.read_text(encoding="utf-8") == "before"
    assert sorted(path.name for path in log.parent.iterdir()) == ["data", "report.html"]


@pytest.mark.parametrize(
    ("account", "path", "said"),
    [
        ("a b", "r.html", "account 'a b'"),
        ("-", "r.html", "a report is about one account"),
        ("ACC1", "http://x/r.html", "cannot be at a URL"),
        ("ACC1", 7, "the report is a path"),
    ],
)
def test_what_makes_no_report_is_refused(log: Path, account: str, path: Any, said: str) -> None:  # noqa: ANN401
    with pytest.raises(InvalidEvent, match=said):
        analysis.report(log, account, path)


# --- statistics


def test_without_a_library_of_statistics_a_sentence_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "find_spec", lambda _: None)
    (_, said) = statistics.statistics(lambda: pytest.fail("no returns are needed"))
    assert "install quantstats or empyrical-reloaded" in said


class OneLibrary:
    """A library of statistics that fails in every way."""

    @staticmethod
    def comp(series: Any) -> float:  # noqa: ANN401 - a series of pandas
        return float((1 + series).prod() - 1)

    @staticmethod
    def sharpe(_: object) -> float:
        return float("nan")

    @staticmethod
    def cagr(_: object) -> float:
        raise ZeroDivisionError


def test_the_figures_of_a_library_are_given_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "find_spec", lambda name: name == "quantstats" or None)
    monkeypatch.setattr(statistics, "library", lambda _: OneLibrary)
    said = "".join(statistics.statistics(lambda: pd.Series([0.1, -0.2])))
    assert "By quantstats, from 2 daily returns" in said
    assert '<td>cumulative return</td><td class="figure">−12.00%</td>' in said
    assert '<td>Sharpe ratio</td><td class="figure">–</td>' in said
    assert "not computed: ZeroDivisionError" in said
    assert "not computed: AttributeError" in said
    assert "at least 2 daily returns" in "".join(statistics.statistics(lambda: pd.Series([0.1])))


def test_a_return_that_is_not_known_gives_no_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "find_spec", lambda name: name == "quantstats" or None)

    def daily() -> object:
        msg = "1 of 2 returns are not known"
        raise InvalidEvent(msg)

    assert "because a daily return is not known: 1 of 2" in "".join(statistics.statistics(daily))


# --- cells


@pytest.mark.parametrize(
    ("value", "money", "quantity"),
    [
        (None, "–", "–"),
        ("0", "0.00", "0"),
        ("-0.001", "0.00", "−0.001"),
        ("1234567.895", "1,234,567.90", "1,234,567.895"),
        ("-1234.5", "−1,234.50", "−1,234.5"),
        ("1E+3", "1,000.00", "1,000"),
        ("6000.333333333333333333333333333333", "6,000.33", "6,000.333333"),
        ("0.000000012", "0.00", "0.000000012"),
        ("123456789012345678901234567890.12", "123,456,789,012,345,678,901,234,567,890.12", None),
    ],
)
def test_figures_are_rounded_as_people_read_them(value: str | None, money: str, quantity: str | None) -> None:
    assert cells.money(value) == money
    if quantity is not None:
        assert cells.quantity(value) == quantity


def test_an_account_that_was_reopened_in_another_currency_has_a_report_of_both(tmp_path: Path) -> None:
    clock = ManualClock(OPENS_AT)
    with eventstore.open(tmp_path / "data", clock=clock) as store:
        for currency, lost in (("USD", 10), ("EUR", 11)):
            defined = ContractDefined(symbol=f"ES{currency}", multiplier=Decimal(1), currency=currency)
            store.append(f"contract/-/ES{currency}", defined)
            kind = AccountOpened if currency == "USD" else AccountReopened
            store.append("account/A/-", kind(starting_balance=Decimal(50_000), currency=currency), actor="desk")
            for side, price in ((Side.BUY, 100), (Side.SELL, 100 - lost)):
                clock.advance(MINUTE_NS)
                trade = TradeExecuted(
                    trade_id=f"{side}-{currency}", symbol=f"ES{currency}", side=side, quantity=Decimal(1),
                    price=Decimal(price),
                )  # fmt: skip
                store.append(f"trade/A/{side}-{currency}", trade)
            clock.advance(MINUTE_NS)
        page = Page(report(store, "A", tmp_path / "report.html", zone="UTC", every="1min"))
    for said in (
        "10.00 deepest drawdown in USD",
        "11.00 deepest drawdown in EUR",
        "drawdown in USD below the high since lowest back at the high 10.00",
        "drawdown in EUR below the high since lowest back at the high 11.00",
    ):
        assert said in page.text


def test_drawdowns_lie_between_highs() -> None:
    frame = made(EQUITY, ordinary()["equity"], exact="text")
    found = sections.drawdowns(cells.rows(frame))
    assert [(each.since, each.lowest_at, each.until, each.depth) for each in found] == [
        (at(0), at(10), at(20), Decimal(1000)),
        (at(20), at(30), None, Decimal("1499.5")),
    ]
    assert isinstance(frame, Frame)
