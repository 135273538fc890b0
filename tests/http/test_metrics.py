"""Metrics: what is not known has no sample, every figure is the book's, and clients make no series of their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

import eventstore
from eventstore import Event, ManualClock, Record
from eventstore.clock import NANOSECONDS, parse_time
from eventstore.trading import LockoutSet
from eventstore.watermarks import Watermark, Watermarks
from gateways.http.metrics import ACCOUNTS_MAX, Gauge, exposition
from projections.valuation import Status
from projections.views.lockouts.view import LockoutsView
from tests.http.metering import LIMITS, NamedKeys, hold_without_price, open_accounts
from tests.http.serving import Running, running

NOON = parse_time("2026-03-02T12:00:00Z")
BUY: dict[str, Any] = {
    "type": "OrderSubmitted",
    "data": {"symbol": "ESZ5", "side": "BUY", "quantity": "1", "order_type": "MARKET"},
}
SCRAPE_SECONDS_MAX = 0.05

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(service: Running) -> Samples:
    answer = service.client.get("/metrics")
    assert answer.status_code == 200
    return samples_of(answer.text)


def samples_of(text: str) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, f"{family.name} has no help"
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, f"{key} stands twice"
            found[key] = sample.value
    return found


def labels_of(samples: Samples, name: str) -> list[dict[str, str]]:
    return [dict(labels) for found, labels in samples if found == name]


def sample(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((f"eventstore_{name}", tuple(sorted(labels.items()))))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def service(tmp_path: Path, clock: ManualClock) -> Iterator[Running]:
    """A service of two accounts: ACC001 with limits that are judged, and HELD with a position without a price."""
    with eventstore.open(tmp_path, clock=clock) as store:
        open_accounts(store, 1)
        hold_without_price(store)
    # An hour later the price of the fill is old.
    clock.advance(3_600 * NANOSECONDS)
    with running(tmp_path, clock=clock) as found:
        yield found


def test_a_figure_that_is_not_known_has_no_sample_and_a_status(service: Running) -> None:
    samples = scraped(service)
    headroom = service.service.book.limits.headroom("HELD", NOON + 3_600 * NANOSECONDS)
    assert [each.status for each in headroom] != [Status.KNOWN]
    labels = {"account": "HELD", "rule": "daily-loss", "kind": "daily-loss"}
    assert sample(samples, "headroom_ratio", **labels) is None
    assert sample(samples, "headroom_status", **labels, status=headroom[0].status.value) == 1
    assert sample(samples, "headroom_status", **labels, status="KNOWN") is None
    assert sample(samples, "equity", account="HELD", currency="USD") is None
    assert sample(samples, "equity_status", account="HELD", status=service.service.book.equity.now("HELD").status) == 1


def test_what_does_not_exist_has_no_sample(service: Running) -> None:
    samples = scraped(service)
    for absent in ("mirror_lag_events", "mirror_state", "checkpoint_timestamp_seconds"):
        assert labels_of(samples, f"eventstore_{absent}") == []


def test_an_empty_log_has_no_last_record(tmp_path: Path) -> None:
    with running(tmp_path) as empty:
        samples = scraped(empty)
    assert sample(samples, "log_position") == 0
    assert sample(samples, "log_last_recorded_timestamp_seconds") is None
    assert sample(samples, "accounts") == 0


def test_a_part_that_cannot_be_asked_is_named_and_the_others_answer(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("gateways.http.metrics.shutil.disk_usage", unreadable)
    samples = scraped(service)
    assert sample(samples, "part_failed", part="disk") == 1
    assert sample(samples, "part_failed", part="accounts") == 0
    assert sample(samples, "disk_free_bytes") is None
    assert sample(samples, "log_position") == service.service.book.position


def test_a_parked_partition_is_counted_and_lags_alone(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    service.append("order/ACC001/O-1", BUY)

    def failing(self: LockoutsView, state: object, event: Event, record: Record) -> None:
        msg = "a view that fails"
        raise ArithmeticError(msg)

    monkeypatch.setattr(LockoutsView, "apply", failing)
    locked = LockoutSet(rule_id="by-hand", until=NOON * 2)
    (record,) = service.service.store.sync_store.append("lockout/ACC001/by-hand", locked)
    service.append("order/HELD/O-2", BUY)
    samples = scraped(service)
    assert sample(samples, "parked_partitions", view="lockouts") == 1
    assert sample(samples, "parked_partitions", view="orders") == 0
    assert sample(samples, "view_position", view="lockouts") == record.position - 1
    assert sample(samples, "view_lag_events", view="lockouts") == 2
    assert sample(samples, "view_lag_events", view="orders") == 0
    assert sample(samples, "account_failed", account="ACC001") == 1
    assert sample(samples, "lockouts_in_force", account="ACC001") is None
    assert sample(samples, "account_failed", account="HELD") == 0
    assert sample(samples, "lockouts_in_force", account="HELD") == 0


def test_only_keys_for_every_account_see_metrics(tmp_path: Path) -> None:
    with running(tmp_path, authenticator=NamedKeys()) as keyed:
        statuses = {
            name: keyed.client.get("/metrics", headers={"authorization": f"Bearer {name}"}).status_code
            for name in ("nobody", "one", "appender", "reader")
        }
    assert statuses == {"nobody": 401, "one": 403, "appender": 403, "reader": 200}


def test_what_clients_invent_makes_no_series(service: Running) -> None:
    for number in range(20):
        service.client.get(f"/nothing/{number}")
        service.client.get("/v1/records", params={"account": f"A{number}"})
        service.append(f"order/ACC001/O-{number}", BUY)
        service.client.request(f"PROPFIND{number}", "/v1/records")
    routes = {each["route"] for each in labels_of(scraped(service), "eventstore_http_requests_total")}
    assert routes <= {"unrouted", "/v1/records", "/v1/streams/{category}/{account}/{entity}", "/metrics"}
    methods = {each["method"] for each in labels_of(scraped(service), "eventstore_http_requests_total")}
    assert methods <= {"GET", "POST", "other"}


def test_more_accounts_than_the_most_are_counted_only(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateways.http.metrics.ACCOUNTS_MAX", 1)
    samples = scraped(service)
    assert ACCOUNTS_MAX > 100
    assert (sample(samples, "accounts"), sample(samples, "accounts_omitted")) == (2, 1)
    assert {each["account"] for each in labels_of(samples, "eventstore_orders_open")} == {"ACC001"}


def test_requests_and_appends_are_counted_by_what_became_of_them(service: Running) -> None:
    route = "/v1/streams/{category}/{account}/{entity}"
    for expected in (0, 0, None):
        service.append("order/ACC001/O-9", BUY, **({} if expected is None else {"expected": expected}))
    samples = scraped(service)
    assert sample(samples, "http_requests_total", method="POST", route=route, status="200") == 2
    assert sample(samples, "http_requests_total", method="POST", route=route, status="409") == 1
    assert sample(samples, "append_seconds_count", outcome="appended") == 2
    assert sample(samples, "append_seconds_count", outcome="refused") == 1
    # The refused one was placed in a commit too; it wrote nothing.
    assert sample(samples, "commit_events_sum") == 2
    assert sample(samples, "commit_appends_sum") == 3
    assert sample(samples, "queue_events") == 0


def test_every_figure_is_the_book_s(service: Running, clock: ManualClock) -> None:
    head = service.append("order/ACC001/O-1", BUY).json()["records"][0]["position"]
    service.service.store.sync_store.append("lockout/ACC001/by-hand", LockoutSet(rule_id="by-hand", until=NOON * 2))
    book, at = service.service.book, clock.now_ns()
    samples = scraped(service)
    assert sample(samples, "log_position") == head + 1 == service.service.store.sync_store.head()
    for account in ("ACC001", "HELD"):
        assert sample(samples, "lockouts_in_force", account=account) == len(book.lockouts.active(account, at))
        assert sample(samples, "orders_open", account=account) == len(book.orders.open(account))
        assert sample(samples, "positions_open", account=account) == len(book.positions.of(account))
        assert sample(samples, "enforcement_pending", account=account) == len(book.enforcement.pending(account, at))
        for each in book.limits.headroom(account, at):
            labels = {"account": account, "rule": each.rule_id, "kind": each.kind}
            known = float(each.share) if each.status is Status.KNOWN and each.share is not None else None
            assert sample(samples, "headroom_ratio", **labels) == known
    assert len(labels_of(samples, "eventstore_headroom_ratio")) == len(LIMITS)
    assert sample(samples, "equity", account="ACC001", currency="USD") == 50_000
    assert sample(samples, "lockouts_in_force", account="ACC001") == 1


def test_a_worker_s_lag_is_that_of_its_watermark(service: Running, clock: ManualClock) -> None:
    store = service.service.store.sync_store
    assert store.directory is not None
    behind = store.head() - 1
    (last,) = store.read(after=behind)
    marks = Watermarks(store.directory / "watermarks")
    marks.write("policy.daily-loss", Watermark(store.log_id.hex(), behind, ""))
    marks.write("of-another-log", Watermark("0" * 32, 5, ""))
    samples = scraped(service)
    assert sample(samples, "worker_lag_events", worker="policy.daily-loss") == 1
    age = (clock.now_ns() - last.recorded_at) / NANOSECONDS
    assert sample(samples, "worker_lag_seconds", worker="policy.daily-loss") == age > 3_599
    assert sample(samples, "worker_position", worker="of-another-log") is None


def test_a_scrape_does_not_run_in_the_loop(service: Running) -> None:
    asked: list[int] = []

    def followers() -> int:
        asked.append(threading.get_ident())
        return 3

    service.service.meters.followers = followers
    assert sample(scraped(service), "followers") == 3
    assert asked
    loop_thread = next(thread for thread in threading.enumerate() if thread.name == "service")
    assert loop_thread.ident not in asked


@pytest.mark.untraced
def test_a_scrape_of_a_hundred_accounts_is_quick(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store:
        open_accounts(store, 100)
    with running(tmp_path) as many:
        took, text = [], b""
        for _ in range(20):
            # The thread's own time: other tests run at the same time.
            began = time.thread_time()
            text = exposition(many.service)
            took.append(time.thread_time() - began)
    assert len(labels_of(samples_of(text.decode()), "eventstore_headroom_ratio")) == 100 * len(LIMITS)
    assert min(took) <= SCRAPE_SECONDS_MAX


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", 'a"} 1\neventstore_x{a="b', "ä 100 %s", ""])
def test_a_name_is_shown_as_it_is_whatever_it_holds(name: str) -> None:
    text = Gauge("x", "A gauge.", "account", "rule").add(1, name, "r").add(float("inf"), "other", "r").text
    assert samples_of(text) == {
        ("eventstore_x", (("account", name), ("rule", "r"))): 1,
        ("eventstore_x", (("account", "other"), ("rule", "r"))): float("inf"),
    }


def test_a_gauge_without_samples_is_not_shown() -> None:
    assert Gauge("x", "A gauge.", "account").text == ""
    assert samples_of(Gauge("x", "A gauge.").add(2).text) == {("eventstore_x", ()): 2}
