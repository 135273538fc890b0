"""What docs/INFLUXDB.md shows is asked of a real InfluxDB, and what it lists is what there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventstore.config import FILE, PREFIX, InfluxSettings
from eventstore.influx import points
from tests.influx.api import Refused, Server
from tests.influx.dashboards import ROOT

TEXT = (ROOT / "docs" / "INFLUXDB.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
SETTING = re.compile(r"^\| `(\w+)` \| `(EVENTSTORE_INFLUX_\w+)` \| ([^|]+) \|", re.MULTILINE)
MEASUREMENT = re.compile(r"^\| `(\w+)` \| one [^|]+ \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def blocks(language: str) -> list[str]:
    return [found["text"] for found in BLOCK.finditer(TEXT) if found["language"] == language]


def test_there_are_examples_of_both_languages() -> None:
    assert len(blocks("flux")) >= 3
    assert len(blocks("influxql")) >= 3


@pytest.mark.parametrize("query", blocks("flux"))
def test_the_flux_has_rows(server: Server, demo: str, query: str) -> None:
    assert 'bucket: "events"' in query
    assert server.flux(query.replace('bucket: "events"', f'bucket: "{demo}"'))


@pytest.mark.parametrize("query", blocks("influxql"))
def test_the_influxql_has_rows(server: Server, demo: str, query: str) -> None:
    answer = server.influxql(demo, " ".join(query.split()))
    values = [row for result in answer["results"] for series in result["series"] for row in series["values"]]
    assert any(value is not None for row in values for value in row[1:])


def test_the_positions_are_as_many_as_the_last_one_s_number(server: Server, demo: str) -> None:
    (query,) = (text for text in blocks("influxql") if "max(position)" in text)
    ((_, count, first, last),) = server.influxql(demo, query)["results"][0]["series"][0]["values"]
    assert (first, last) == (1, count)


@pytest.mark.parametrize("measurement", ["events", "mirror"])
def test_the_tags_and_fields_are_the_documented_ones(server: Server, demo: str, measurement: str) -> None:
    tags, fields = {name: (tags, fields) for name, tags, fields in MEASUREMENT.findall(TEXT)}[measurement]
    assert set(re.findall(r"`(\w+)`", tags)) == keys(server, demo, f"SHOW TAG KEYS FROM {measurement}")
    documented = set(re.findall(r"`(\w+)`", fields))
    found = keys(server, demo, f"SHOW FIELD KEYS FROM {measurement}")
    assert documented <= found
    numbers = found - documented
    assert bool(numbers) == (measurement == "events")
    assert {name for name in numbers if f"`{name}`" not in TEXT} == set()


def keys(server: Server, bucket: str, query: str) -> set[str]:
    answer: dict[str, Any] = server.influxql(bucket, query)
    return {row[0] for series in answer["results"][0]["series"] for row in series["values"]}


def test_every_measurement_is_documented() -> None:
    names = {name for name, _, _ in MEASUREMENT.findall(TEXT)}
    assert names == {points.EVENTS, points.MIRROR, points.LOGS, points.TYPES}


def test_every_setting_is_documented_with_its_default() -> None:
    told = {name: (variable, default) for name, variable, default in SETTING.findall(TEXT)}
    wanted = {}
    for field in msgspec.structs.fields(InfluxSettings):
        default = "none" if field.default == "" else f"`{str(field.default).lower()}`"
        wanted[field.name] = (f"{PREFIX}{field.name.upper()}", "must be given" if field.required else default)
    assert told == wanted


def test_the_example_s_settings_are_taken(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("settings")
    (text,) = blocks("toml")
    (directory / FILE).write_text(text, encoding="utf-8")
    assert InfluxSettings.load(directory, environment={}).bucket == "events"


def test_a_token_that_may_write_may_delete_and_one_that_may_read_may_not(server: Server, bucket: str) -> None:
    server.write(bucket, b'events,log=main data="{}" 1763564400000000000')
    reader = server.make_token(bucket, read=True, write=False)
    with pytest.raises(Refused) as refused:
        server.write(bucket, b'events,log=main data="[]" 1763564400000000000', token=reader)
    assert refused.value.status in {401, 403}
    writer = server.make_token(bucket, read=True, write=True)
    deleter = Server(server.url, server.org, writer)
    deleter.delete_points(bucket, 'log="main"')
    assert not server.flux(
        f'from(bucket: "{bucket}") |> range(start: 2025-01-01T00:00:00Z, stop: 2026-01-01T00:00:00Z)'
    )


def test_the_readmes_example_of_influxdb_runs(server: Server, bucket: str, tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = (found["text"] for found in BLOCK.finditer(text) if "InfluxSettings(" in found["text"])
    for written, meant in (
        ("http://localhost:8086", server.url),
        ('"desk"', f'"{server.org}"'),
        ('"events"', f'"{bucket}"'),
    ):
        assert written in code
        code = code.replace(written, meant)
    (tmp_path / "token").write_text(server.token, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    status, read = ran.stdout.splitlines()
    assert status.startswith("MirrorStatus(position=1, lag_events=0, lag_seconds=0.0, state='shipping'")
    assert read == "1 1"
