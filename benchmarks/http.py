"""The service over HTTP: appends and followers under load, and what one client waits for answers."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
import time
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

import eventstore
from benchmarks.rows import Row, compared, row
from benchmarks.timing import percentile, spread
from benchmarks.workload import append_all, lives
from eventstore.trading import AccountOpened, ContractDefined
from tests.http.load import Load, Loaded
from tests.http.served_process import served_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.setting import Setting

RATE, CLIENTS, FOLLOWERS = 500, 50, 50
ACCOUNTS = 100
PAGE = 200
BARE = "a bare Litestar route"
P50_MS_MAX, P99_MS_MAX, FOLLOW_MS_MAX, STATE_MS_MAX, SUBMIT_MS_MAX, PAGE_MS_MAX = 3.0, 50.0, 50.0, 10.0, 4.0, 20.0


def measure(setting: Setting) -> list[Row]:
    rounds = setting.scaled(3, 2)
    load = Load(port=0, seconds=setting.scaled(20, 1, full=60), rate=RATE, clients=CLIENTS, followers=FOLLOWERS)
    ours, bare, single = [], [], []
    done = setting.rounds("http", rounds)
    with setting.directory() as directory:
        _fill(directory / "filled", setting.scaled(100_000, 1_000, full=1_000_000))
        for number in range(rounds):
            with served_process(directory / f"load-{number}") as served:
                ours.append(_loaded(msgspec.structs.replace(load, port=served.port)))
            with _bare() as port, served_process(directory / "filled") as served:
                bare.append(_loaded(msgspec.structs.replace(load, port=port, followers=0)))
                single.append(_single(served.port, port, setting.scaled(1_000, 10), number))
            done(number)
    return [*_under_load(ours, bare, load), *_alone(single)]


def _under_load(ours: Sequence[Loaded], bare: Sequence[Loaded], load: Load) -> list[Row]:
    said = f"{RATE} appends/s from {CLIENTS} clients for {load.seconds:g} s, {FOLLOWERS} followers of everything"
    rows = []
    for name, part, most in (("p50", 0.5, P50_MS_MAX), ("p99", 0.99, P99_MS_MAX)):
        figures, others = ([_ms(each.append_seconds, part) for each in found] for found in (ours, bare))
        rows.append(
            row(
                f"http-append-{name}",
                f"append over HTTP under load, {name}",
                unit="ms",
                figures=figures,
                beside=compared(figures, {f"{BARE}, the same load": others}),
                target=f"≤ {most:g} ms",
                met=spread(figures).median <= most,
                note=said,
            )
        )
    figures = [_ms(each.follow_seconds, 0.99) for each in ours]
    rows.append(
        row(
            "http-follow-p99",
            "a follower's delay under that load, p99",
            unit="ms",
            figures=figures,
            target=f"≤ {FOLLOW_MS_MAX:g} ms",
            met=spread(figures).median <= FOLLOW_MS_MAX,
            note="from `recorded_at` to the client's process, of the first record in each piece that is received",
        )
    )
    return rows


def _alone(single: Sequence[dict[str, list[float]]]) -> list[Row]:
    asked = (
        ("http-state-p99", "GET /v1/state/positions of one account, p99", "state", 0.99, STATE_MS_MAX),
        ("http-submit-p50", "POST submit of one order, p50", "submit", 0.5, SUBMIT_MS_MAX),
        ("http-timeline-p50", f"a page of {PAGE} of the timeline, p50", "timeline", 0.5, PAGE_MS_MAX),
    )
    rows = []
    for name, what, question, part, most in asked:
        figures = [_ms(each[question], part) for each in single]
        rows.append(
            row(
                name,
                what,
                unit="ms",
                figures=figures,
                beside=compared(figures, {BARE: [_ms(each["bare"], part) for each in single]}),
                target=f"≤ {most:g} ms",
                met=spread(figures).median <= most,
                note=f"one client on one connection, {ACCOUNTS} accounts",
            )
        )
    return rows


def _ms(seconds: Sequence[float], part: float) -> float:
    return percentile(seconds, part) * 1_000


def _fill(directory: Path, events: int) -> None:
    with eventstore.open(directory) as store:
        for number in range(ACCOUNTS):
            store.append(f"account/ACC{number:03}/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        store.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD"))
        append_all(store, _some(events))


def _some(events: int) -> Iterator[Any]:
    facts = lives(Random(1), accounts=ACCOUNTS, alive=100, fills_max=3)
    for _ in range(events):
        yield next(facts)


def _loaded(load: Load) -> Loaded:
    command = [sys.executable, "-m", "tests.http.load", msgspec.json.encode(load).decode()]
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=load.seconds + 120).stdout
    return msgspec.json.decode(output, type=Loaded)


@contextlib.contextmanager
def _bare() -> Iterator[int]:
    command = [sys.executable, "-m", "benchmarks.bare_http"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline().rsplit(":", 1)[1])
        finally:
            process.terminate()


def _single(ours: int, bare: int, times: int, number: int) -> dict[str, list[float]]:
    """Ask one question after another, each kind in turn, and return what each answer took."""
    connections = {port: http.client.HTTPConnection("127.0.0.1", port, timeout=60) for port in (ours, bare)}
    data = {"symbol": "ESZ5", "side": "BUY", "quantity": "1", "order_type": "MARKET"}
    found: dict[str, list[float]] = {"state": [], "submit": [], "timeline": [], "bare": []}
    for count in range(times):
        account = f"ACC{count % ACCOUNTS:03}"
        order = {"type": "OrderSubmitted", "order_id": f"B-{number}-{count}", "data": data}
        asked = (
            ("bare", bare, "GET", "/v1/records", None),
            ("state", ours, "GET", f"/v1/state/positions?account={account}", None),
            ("submit", ours, "POST", f"/v1/orders/{account}/submit", json.dumps(order)),
            ("timeline", ours, "GET", f"/v1/timeline?account={account}&limit={PAGE}", None),
        )
        for name, port, method, path, body in asked:
            found[name].append(_took(connections[port], method, path, body))
    for connection in connections.values():
        connection.close()
    return found


def _took(connection: http.client.HTTPConnection, method: str, path: str, body: str | None) -> float:
    headers = {} if body is None else {"content-type": "application/json"}
    began = time.perf_counter()
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    text = answer.read()
    taken = time.perf_counter() - began
    assert answer.status == 200, text
    return taken
