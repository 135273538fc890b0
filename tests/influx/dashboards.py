"""Data for dashboards and documents: a demo day, an imported history, and Grafana's form of a query."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import eventstore
from eventstore import EventStore, Record
from eventstore.clock import NANOSECONDS, ManualClock
from eventstore.events.registry import by_name
from eventstore.influx.points import Encoder
from gateways.demo.day import OPENS_AT, TICK_NS
from gateways.demo.trading import TradingLoop
from gateways.importers import import_file
from tests.influx.api import Server

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "compose" / "grafana" / "dashboards"
HISTORY: Final = ROOT.parent / "shared" / "data" / "pyfolio" / "test_txn.csv.gz"
LINES_AT_ONCE: Final = 5_000
REPORT_EACH: Final = 100
ALL: Final = "$__all"

Row = dict[str, Any]
Values = Mapping[str, str | list[str]]
"""The chosen values of a dashboard's variables: one, or several if the variable allows it."""

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<format>\w+))?\}|\$(?P<bare>(?!__)\w+)")
# As in Grafana's InfluxDB data source, which replaces these words after any dot.
_MACRO = re.compile(r"[a-zA-Z]+\.(timeRangeStart|timeRangeStop|windowPeriod|bucket|defaultBucket|organization)\b")


class Screen(NamedTuple):
    """The parameters of Grafana's queries: the range, in RFC 3339, the interval of a point, and the variables."""

    start: str
    stop: str
    interval: str
    values: Values


class DemoDay(NamedTuple):
    """Where the demo day is: a journal's directory, and a bucket."""

    directory: Path
    bucket: str


class Panel(NamedTuple):
    """One panel of a dashboard file that shows what InfluxDB has, and its queries by letter."""

    dashboard: str
    title: str
    content: dict[str, Any]
    queries: dict[str, str]


def dashboards() -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def panels() -> Iterator[Panel]:
    for name, dashboard in dashboards().items():
        for content in dashboard["panels"]:
            # Those of Prometheus are run in tests/http/test_prometheus.py.
            if content["datasource"]["type"] == "influxdb":
                queries = {target["refId"]: target["query"] for target in content.get("targets", ())}
                yield Panel(name, content.get("title", ""), content, queries)


def variables() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, dashboard in dashboards().items():
        for variable in dashboard["templating"]["list"]:
            yield name, variable


def substituted(query: str, screen: Screen, all_values: Mapping[str, str]) -> str:
    """Return the query that Grafana sends: first variables are replaced, in the browser, then macros, in the server.

    `all_values` has the text that a variable's `All` stands for.
    """

    def value(found: re.Match[str]) -> str:
        name = found["name"] or found["bare"]
        chosen = screen.values[name]
        # The text for `All` is inserted unformatted.
        return all_values[name] if chosen == ALL else formatted(chosen, found["format"] or "glob")

    macros = {"timeRangeStart": screen.start, "timeRangeStop": screen.stop, "windowPeriod": screen.interval}
    return _MACRO.sub(lambda found: macros[found[1]], _VARIABLE.sub(value, query))


def formatted(chosen: str | list[str], format: str) -> str:
    values = [chosen] if isinstance(chosen, str) else chosen
    match format:
        case "regex":
            escaped = [re.sub(r"[\\^$*+?.()|\[\]{}/]", r"\\\g<0>", value) for value in values]
            return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
        case "doublequote":
            return ",".join('"' + value.replace('"', '\\"') + '"' for value in values)
        case _:
            return values[0] if len(values) == 1 else f"{{{','.join(values)}}}"


def play_demo_day(directory: Path) -> None:
    """Run the demo day as if live, on a clock that follows it."""
    clock = ManualClock(OPENS_AT)

    def follow(records: Iterable[Record]) -> None:
        clock.set(max(record.occurred_at for record in records) + TICK_NS)

    with eventstore.open(directory, clock=clock) as store:
        TradingLoop(store, follow).run()


def fill_with_demo_day(server: Server, bucket: str, directory: Path) -> None:
    """Write the demo day with a mirror's heartbeats."""
    with eventstore.open(directory, read_only=True) as store:
        write(server, bucket, store)


def fill_with_history(server: Server, bucket: str, directory: Path) -> None:
    """Import six years of a strategy's transactions, into a separate log."""
    with eventstore.open(directory, log="history") as store:
        import_file(store, HISTORY, "pyfolio", account="P1")
        write(server, bucket, store)


def write(server: Server, bucket: str, store: EventStore) -> None:
    """Write a journal's records as its mirror does."""
    records = list(store.read())
    log, log_id = records[0].log, store.log_id
    encoder = Encoder(log, log_id, measures)
    lines = encoder.lines(records) + list(mirrored(log, records))
    for first in range(0, len(lines), LINES_AT_ONCE):
        server.write(bucket, "\n".join(lines[first : first + LINES_AT_ONCE]).encode())


def measures(type_: str, schema: int) -> tuple[str, ...]:
    known = by_name(type_)
    assert known is not None, type_
    return known.measures


def mirrored(log: str, records: list[Record]) -> Iterator[str]:
    """Yield heartbeats of a mirror that is up to a few events behind, more in the middle of the day."""
    for place in range(0, len(records), REPORT_EACH):
        head = records[place]
        lag = min(place // REPORT_EACH % 7 + 40 * (len(records) // 2 < place < len(records) // 2 + 900), place)
        seconds = (head.recorded_at - records[place - lag].recorded_at) / NANOSECONDS
        yield (
            f"mirror,log={log} position={head.position - lag}i,head={head.position}i,lag_events={lag}i,"
            f'lag_seconds={seconds!r},tree="{head.position - lag}:00" {head.recorded_at + 1}'
        )
