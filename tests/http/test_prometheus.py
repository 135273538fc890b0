"""A real Prometheus scrapes the service: every panel of the dashboards shows data, every alert rule is judged."""

from __future__ import annotations

import itertools
import json
import math
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import eventstore
import projections
from eventstore import CheckpointSettings
from eventstore.influx import status
from eventstore.proofs.key_files import KeyFolder
from eventstore.side import FileSide
from eventstore.watermarks import Watermark
from projections.rules import shipped_rules
from tests.http.metering import NamedKeys, hold_without_price, open_accounts
from tests.http.prometheus_server import CONFIGURED, Prometheus, prometheus_of, promtool, require_prometheus
from tests.http.serving import Running, running
from tests.influx.dashboards import ROOT, play_demo_day
from tests.once import made_once

# What is scraped is covered elsewhere.
pytestmark = [pytest.mark.service, pytest.mark.untraced]

DASHBOARDS = ROOT / "compose" / "grafana" / "dashboards"
RULE_TESTS = Path(__file__).parent / "alert_rules.yaml"
DATA_SECONDS_MAX = 45
POLL_SECONDS = 0.2
# What Grafana writes in place of variables where all is chosen, and for a rate's interval.
WRITTEN = {"${account:regex}": ".*", "$__rate_interval": "10s"}
BUY = {"type": "OrderSubmitted", "data": {"symbol": "ESZ5", "side": "BUY", "quantity": "1", "order_type": "MARKET"}}


class PromQuery(NamedTuple):
    """One query of a panel whose data source is Prometheus."""

    dashboard: str
    panel: str
    expression: str


def queries() -> Iterator[PromQuery]:
    for path in sorted(DASHBOARDS.glob("*.json")):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            for target in panel["targets"]:
                if target["datasource"]["type"] == "prometheus":
                    yield PromQuery(path.stem, panel["title"], target["expr"])


QUERIES = list(queries())


class ServedStack(NamedTuple):
    """A service, and a Prometheus that scrapes it."""

    service: Running
    prometheus: Prometheus


def prepared(directory: Path) -> None:
    """Add what the demo's day lacks: limits that are judged, one that is not, a signed checkpoint, a mirror."""
    with eventstore.open(directory) as store:
        open_accounts(store, 1)
        hold_without_price(store)
        keys = KeyFolder(directory.parent / "keys")
        keys.create("tests", store.log, store.log_id, store.clock.now_ns())
        store.checkpoint(CheckpointSettings(keys=str(keys.path), every_seconds=0))
        assert store.directory is not None
        (store.directory / status.LOCK_FILE).touch()
        (last,) = store.read(after=store.head() - 1)
        mark = Watermark(store.log_id.hex(), last.position, last.digest.hex())
        FileSide(store.directory).marks().write(status.CURSOR, mark)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedStack]:
    """The demo's day, served with policies at work, and scraped."""
    require_prometheus()
    place = tmp_path_factory.mktemp("stack")
    shutil.copytree(made_once(tmp_path_factory, "live-demo-day", play_demo_day), place / "data")
    prepared(place / "data")
    with (
        eventstore.open(place / "data") as store,
        projections.open(store) as book,
        running(place / "data", authenticator=NamedKeys()) as service,
    ):
        policies = projections.Policies(book, shipped_rules())
        policies.start(ticking=True)
        service.service.meters.followers = lambda: 2
        try:
            target = service.url.removeprefix("http://")
            with prometheus_of(target, "reader", place / "prometheus") as prometheus:
                yield ServedStack(service, prometheus)
        finally:
            policies.stop()


def append(stack: ServedStack, number: int) -> None:
    answer = stack.service.client.post(
        f"/v1/streams/order/ACC001/P-{number}",
        json={"events": [{**BUY, "key": f"P-{number}"}]},
        headers={"authorization": "Bearer appender"},
    )
    assert answer.status_code == 200, answer.text


def shown(stack: ServedStack, expression: str) -> list[dict[str, Any]]:
    """Return what an expression gives once it gives a number; there is traffic meanwhile."""
    ends = time.monotonic() + DATA_SECONDS_MAX
    for number in itertools.count():
        append(stack, number)
        found = stack.prometheus.query(expression)
        if any(math.isfinite(float(each["value"][1])) for each in found):
            return found
        assert time.monotonic() < ends, f"{expression} gives no data"
        time.sleep(POLL_SECONDS)
    raise AssertionError


@pytest.mark.parametrize(
    "query", QUERIES, ids=lambda query: f"{query.dashboard}: {query.panel}: {query.expression[:40]}"
)
def test_every_panel_shows_data(stack: ServedStack, query: PromQuery) -> None:
    expression = query.expression
    for variable, text in WRITTEN.items():
        expression = expression.replace(variable, text)
    assert "$" not in expression
    assert shown(stack, expression)


def test_a_misspelt_metric_would_be_noticed(stack: ServedStack) -> None:
    shown(stack, "eventstore_log_position")
    assert stack.prometheus.query("eventstore_log_positon") == []


def test_what_prometheus_has_is_the_book_s(stack: ServedStack) -> None:
    book = stack.service.service.book
    samples = shown(stack, "eventstore_positions_open")
    found = {each["metric"]["account"]: float(each["value"][1]) for each in samples}
    assert found == {account: len([each for each in book.positions.of(account) if each.quantity]) for account in found}
    assert {"ACC1", "ACC2", "ACC3", "ACC001"} <= set(found)
    headroom = shown(stack, "eventstore_headroom_ratio")
    assert {each["metric"]["account"] for each in headroom} >= {"ACC001"}
    unknown = {each["metric"]["account"] for each in shown(stack, 'eventstore_headroom_status{status!="KNOWN"} == 1')}
    assert unknown == {"HELD"}


def test_every_rule_is_judged_without_an_error(stack: ServedStack) -> None:
    shown(stack, 'ALERTS{alertname="LimitUnjudged"}')
    rules = stack.prometheus.rules()
    assert len(rules) > 15
    assert {rule["name"]: rule["lastError"] for rule in rules if rule.get("lastError")} == {}
    assert {rule["name"] for rule in rules if rule["health"] == "err"} == set()


def test_names_keep_prometheus_rules(stack: ServedStack) -> None:
    text = stack.service.client.get("/metrics", headers={"authorization": "Bearer reader"}).text
    checked = promtool("check", "metrics", text=text)
    assert (checked.stdout, checked.stderr, checked.returncode) == ("", "", 0)


def test_rules_and_panels_use_metrics_that_exist(stack: ServedStack) -> None:
    text = stack.service.client.get("/metrics", headers={"authorization": "Bearer reader"}).text
    exist = set(re.findall(r"^(\w+)[{ ]", text, re.MULTILINE))
    used = set(re.findall(r"\beventstore_\w+", (CONFIGURED / "rules.yaml").read_text(encoding="utf-8")))
    used |= {name for query in QUERIES for name in re.findall(r"\beventstore_\w+", query.expression)}
    # The day has no mirror that is stopped or halted, yet the series of each state is there.
    assert used - exist == set()


def test_the_rules_are_well_formed() -> None:
    require_prometheus()
    checked = promtool("check", "rules", CONFIGURED / "rules.yaml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_alert_fires_when_it_should_and_only_then() -> None:
    require_prometheus()
    checked = promtool("test", "rules", RULE_TESTS)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    alerts = re.findall(r"alert: (\w+)", (CONFIGURED / "rules.yaml").read_text(encoding="utf-8"))
    cases = re.findall(r"alertname: (\w+)\n\s+exp_alerts:( \[\])?", RULE_TESTS.read_text(encoding="utf-8"))
    assert {name for name, silent in cases if not silent} == set(alerts)
    assert {name for name, silent in cases if silent} == set(alerts)


def test_each_alert_says_what_to_do_next() -> None:
    text = (CONFIGURED / "rules.yaml").read_text(encoding="utf-8")
    assert text.count("- alert:") == text.count("summary:") == text.count("next:") == text.count("severity:")
