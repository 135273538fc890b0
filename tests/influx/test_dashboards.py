"""Every query of every dashboard runs on a real InfluxDB, as Grafana sends it, and gives the right answer."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

import eventstore
import projections
from eventstore.clock import NANOSECONDS, ManualClock, parse_time
from eventstore.trading import Allows, LockoutCleared, LockoutExpired, LockoutExtended, LockoutSet, Side, TradeExecuted
from gateways.demo.day import ACCOUNTS, INSTRUMENTS
from tests.influx import dashboards
from tests.influx.api import Refused, Server
from tests.influx.dashboards import ALL, HISTORY, ROOT, DemoDay, Panel, Row, Screen, Values

# What fills the buckets is covered elsewhere.
pytestmark = pytest.mark.untraced

DAY: Final = ("2025-11-19T14:00:00Z", "2025-11-20T00:00:00Z")
YEARS: Final = ("2003-01-01T00:00:00Z", "2011-01-01T00:00:00Z")
WHOLE: Final = {"account": ".*", "symbol": ".*"}
PANELS: Final = list(dashboards.panels())
WIDTH: Final = 24


@pytest.fixture(scope="module")
def history(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A bucket with six years of a strategy's transactions."""
    if not HISTORY.exists():
        pytest.skip(f"the real data is not on this machine: there is no {HISTORY}")
    bucket = server.make_bucket()
    dashboards.fill_with_history(server, bucket, tmp_path_factory.mktemp("history"))
    yield bucket
    server.delete_bucket(bucket)


def chosen(bucket: str, *, log: str = "main", symbol: str = ALL) -> Values:
    return {"bucket": bucket, "log": log, "account": ALL, "symbol": symbol}


def day(bucket: str, *, symbol: str = ALL, start: str = DAY[0], stop: str = DAY[1]) -> Screen:
    return Screen(start, stop, "1m0s", chosen(bucket, symbol=symbol))


def years(bucket: str) -> Screen:
    return Screen(*YEARS, "12h0m0s", chosen(bucket, log="history"))


def shown(server: Server, panel: Panel, screen: Screen, *, token: str | None = None) -> list[Row]:
    """Return the rows of all queries of a panel; fail if one has none."""
    rows = []
    for letter, query in panel.queries.items():
        found = server.flux(dashboards.substituted(query, screen, WHOLE), token=token)
        assert found, f"{panel.dashboard}: {panel.title}: query {letter} shows nothing"
        assert all(None not in row.values() for row in found)
        rows += found
    return rows


def panel(dashboard: str, title: str) -> Panel:
    (found,) = (panel for panel in PANELS if (panel.dashboard, panel.title) == (dashboard, title))
    return found


def by(rows: list[Row], *names: str) -> dict[Any, list[Row]]:
    """Return rows grouped by one label or several."""
    found: dict[Any, list[Row]] = {}
    for row in rows:
        labels = tuple(row[name] for name in names)
        found.setdefault(labels if len(names) > 1 else labels[0], []).append(row)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: f"{panel.dashboard}: {panel.title}")
@pytest.mark.parametrize("symbol", [ALL, "ESZ5"])
def test_every_panel_shows_the_demo_day(server: Server, demo: str, panel: Panel, symbol: str) -> None:
    rows = shown(server, panel, day(demo, symbol=symbol))
    times = [row[name] for row in rows for name in ("_time", "first", "last") if name in row]
    assert times
    assert all(DAY[0] <= time < DAY[1] for time in times)
    if any("symbol" in row for row in rows):
        assert {row["symbol"] for row in rows} == ({"ESZ5"} if symbol == "ESZ5" else set(INSTRUMENTS))


@pytest.mark.parametrize(
    "panel",
    [panel for panel in PANELS if panel.dashboard == "history" and panel.content["type"] == "timeseries"],
    ids=lambda panel: panel.title,
)
def test_the_history_shows_six_imported_years(server: Server, history: str, panel: Panel) -> None:
    rows = shown(server, panel, years(history))
    for series in by(rows, "symbol" if "symbol" in rows[0] else "account").values():
        times = [row["_time"] for row in series]
        assert times == sorted(times)
        assert {time[:4] for time in times} == {"2004", "2005", "2006", "2007", "2008", "2009"}


def test_the_history_has_each_symbol_at_its_own_times(server: Server, history: str) -> None:
    rows = shown(server, panel("history", "Prices of fills"), years(history))
    assert len(rows) == 9_367
    assert {len(series) > 1_000 for series in by(rows, "symbol").values()} == {True}
    assert len(by(rows, "symbol")) == 7


def test_the_history_shows_its_extent_whatever_the_range(server: Server, history: str) -> None:
    rows = shown(server, panel("history", "Contents"), years(history)._replace(start="2024-01-01T00:00:00Z"))
    assert len(rows) == 7
    assert sum(row["fills"] for row in rows) == 9_367
    assert {(row["account"], row["first"][:4], row["last"][:4]) for row in rows} == {("P1", "2004", "2009")}


def test_a_broken_or_empty_query_fails(server: Server, demo: str) -> None:
    content = panel("trading", "Positions")
    broken = content._replace(queries={"A": content.queries["A"].replace("cumulativeSum", "cumulated")})
    with pytest.raises(Refused, match="undefined identifier cumulated"):
        shown(server, broken, day(demo))
    with pytest.raises(AssertionError, match="trading: Positions: query A shows nothing"):
        shown(server, content, day(demo, symbol="ESH6"))


@pytest.mark.parametrize(
    ("dashboard", "variable"),
    [pytest.param(name, variable, id=f"{name}: {variable['name']}") for name, variable in dashboards.variables()],
)
def test_a_variable_offers_the_existing_values(
    server: Server, demo: str, dashboard: str, variable: dict[str, Any]
) -> None:
    rows = server.flux(dashboards.substituted(variable["query"]["query"], day(demo), WHOLE))
    # Grafana reads only the first table.
    assert {row["table"] for row in rows} == {0}
    offered = {row["_value"] for row in rows}
    expected = {"bucket": {demo}, "log": {"main"}, "account": set(ACCOUNTS), "symbol": set(INSTRUMENTS)}
    name = variable["name"]
    assert offered >= expected[name] if name == "bucket" else offered == expected[name]
    assert variable.get("allValue") == WHOLE.get(name)


def test_a_read_token_is_enough_for_a_dashboard(server: Server, demo: str) -> None:
    token = server.make_token(demo, read=True, write=False)
    for content in PANELS:
        assert shown(server, content, day(demo), token=token)
    for _, variable in dashboards.variables():
        rows = server.flux(dashboards.substituted(variable["query"]["query"], day(demo), WHOLE), token=token)
        assert rows
        if variable["name"] == "bucket":
            assert [row["_value"] for row in rows] == [demo]


def test_the_positions_end_as_in_the_book(server: Server, demo_day: DemoDay) -> None:
    with eventstore.open(demo_day.directory, read_only=True) as store, projections.open(store) as book:
        held = {
            (account, position.symbol): float(position.quantity)
            for account in ACCOUNTS
            for position in book.positions.of(account)
        }
    for dashboard in ("trading", "history"):
        rows = shown(server, panel(dashboard, "Positions"), day(demo_day.bucket))
        assert {key: series[-1]["_value"] for key, series in by(rows, "account", "symbol").items()} == held


def test_positions_from_before_the_range_are_shown_at_its_start(server: Server, demo: str) -> None:
    noon = "2025-11-19T20:00:00Z"
    for title, labels in (("Positions", ("account", "symbol")), ("Lockouts", ("account", "lockout"))):
        rows = shown(server, panel("trading", title), day(demo, start=noon))
        assert {series[0]["_time"] for series in by(rows, *labels).values()} == {noon}
        before = by(shown(server, panel("trading", title), day(demo, stop=noon)), *labels)
        assert {key: series[0]["_value"] for key, series in by(rows, *labels).items()} == {
            key: series[-1]["_value"] for key, series in before.items()
        }


def test_the_rate_of_events_adds_up_to_the_events(server: Server, demo: str) -> None:
    rows = shown(server, panel("trading", "Events by type"), day(demo))
    # The account of the four contracts is `-`, which All includes.
    (counted,) = server.flux(
        f'from(bucket: "{demo}") |> range(start: {DAY[0]}, stop: {DAY[1]})'
        '|> filter(fn: (r) => r._field == "occurred_at") |> group() |> count()'
    )
    assert round(sum(row["_value"] for row in rows) * 60) == counted["_value"]


def test_the_demo_s_lockout_begins_and_ends(server: Server, demo: str) -> None:
    rows = shown(server, panel("trading", "Lockouts"), day(demo))
    assert [(row["account"], row["lockout"], row["_value"]) for row in rows] == [
        ("ACC2", "daily-loss", "reduce only"),
        ("ACC2", "daily-loss", "free"),
    ]
    assert rows[1]["_time"] == "2025-11-19T23:00:00Z"


def test_a_lockout_ends_as_its_last_event_says(server: Server, bucket: str, tmp_path: Path) -> None:
    start = parse_time("2025-11-19T15:00:00Z")

    def hour(number: int) -> int:
        return start + number * 3_600 * NANOSECONDS

    clock = ManualClock(start)
    with eventstore.open(tmp_path, clock=clock) as store:
        events = [
            (0, "extended", LockoutSet(rule_id="extended", until=hour(2))),
            (0, "cleared", LockoutSet(rule_id="cleared", until=hour(4), allows=Allows.REDUCE_ONLY)),
            (0, "endless", LockoutSet(rule_id="endless")),
            (0, "expired", LockoutSet(rule_id="expired", until=hour(3))),
            (1, "extended", LockoutExtended(until=hour(5))),
            (2, "cleared", LockoutCleared(by="desk")),
            (3, "expired", LockoutExpired()),
            (6, "extended", LockoutSet(rule_id="extended")),
        ]
        for hours, rule, event in events:
            clock.set(hour(hours))
            store.append(f"lockout/A/{rule}", event)
        dashboards.write(server, bucket, store)
    rows = shown(server, panel("trading", "Lockouts"), day(bucket))
    changes = {
        rule: [(round((parse_time(row["_time"]) - start) / 3_600 / NANOSECONDS), row["_value"]) for row in series]
        for rule, series in by(rows, "lockout").items()
    }
    for series in changes.values():
        # Events that repeat the state before them change nothing in the panel.
        series[:] = [next(group) for _, group in itertools.groupby(series, key=lambda change: change[1])]
    assert changes == {
        "extended": [(0, "locked"), (5, "free"), (6, "locked")],
        "cleared": [(0, "reduce only"), (2, "free")],
        "endless": [(0, "locked")],
        "expired": [(0, "locked"), (3, "free")],
    }


def test_a_symbol_is_matched_literally(server: Server, bucket: str, tmp_path: Path) -> None:
    start = parse_time("2025-11-19T15:00:00Z")
    symbols = ["BTC/USD:PERP.1", "BTC/USD:PERPx1", "A+B (C)", "C$^{1}|D"]
    with eventstore.open(tmp_path, clock=ManualClock(start)) as store:
        for number, symbol in enumerate(symbols):
            trade = TradeExecuted(
                trade_id=f"T{number}", symbol=symbol, side=Side.BUY, quantity=Decimal(1), price=Decimal(2)
            )
            store.append(f"trade/A/T{number}", trade)
        dashboards.write(server, bucket, store)
    for choice in [*([symbol] for symbol in symbols), [symbols[0], symbols[3]]]:
        values: dict[str, str | list[str]] = {**chosen(bucket), "symbol": choice}
        rows = shown(server, panel("trading", "Positions"), day(bucket)._replace(values=values))
        assert {row["symbol"] for row in rows} == set(choice)


@pytest.mark.parametrize("name", dashboards.dashboards())
def test_a_dashboard_says_what_it_shows(name: str) -> None:
    dashboard = dashboards.dashboards()[name]
    sources = {}
    for path in (ROOT / "compose" / "grafana" / "provisioning" / "datasources").glob("*.yaml"):
        found = re.search(r"^    uid: (?P<uid>\S+)\n    type: (?P<type>\S+)$", path.read_text("utf-8"), re.MULTILINE)
        assert found
        sources[found["type"]] = found["uid"]
    used = re.findall(r"'type': '(influxdb|prometheus)', 'uid': '(\S+)'", str(dashboard))
    assert used
    assert {(kind, sources[kind]) for kind, _ in used} == set(used)
    assert dashboard["uid"] == f"eventstore-{name}"
    assert dashboard["title"]
    assert dashboard["description"]
    assert dashboard["schemaVersion"] == 42
    ids = [content["id"] for content in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    for content in dashboard["panels"]:
        assert {target["datasource"]["uid"] for target in content["targets"]} == {content["datasource"]["uid"]}
        for said in ("title", "description", "targets"):
            assert content[said], f"{content['id']} has no {said}"
        assert content["fieldConfig"]["defaults"]["unit"]
    others = {f"/d/{other['uid']}" for other in dashboards.dashboards().values()}
    assert {link["url"] for link in dashboard["links"]} <= others


@pytest.mark.parametrize("name", dashboards.dashboards())
def test_no_panel_covers_another(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for content in dashboards.dashboards()[name]["panels"]:
        place = content["gridPos"]
        columns = range(place["x"], place["x"] + place["w"])
        assert columns.stop <= WIDTH
        cells = set(itertools.product(columns, range(place["y"], place["y"] + place["h"])))
        assert not cells & taken, content["title"]
        taken |= cells


def test_only_existing_variables_are_used() -> None:
    for name, dashboard in dashboards.dashboards().items():
        names = {variable["name"] for variable in dashboard["templating"]["list"]}
        used = re.findall(r"\$\{(\w+):\w+\}|\$(\w+)", str([dashboard["panels"], dashboard["templating"]]))
        assert {bare or braced for braced, bare in used} - {"__all", "__rate_interval"} <= names, name
