"""The queries and Python of docs/INFLUXDB.md run on a real InfluxDB, and its tables are complete."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventstore.config import FILE, PREFIX, InfluxSettings
from eventstore.influx import points
from tests.documents import DOCUMENTS, INFLUXDB, ROOT, blocks, code_blocks, printed, run
from tests.influx.api import Refused, Server

DOCUMENT = ROOT / "docs" / "INFLUXDB.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
SETTING = re.compile(r"^\| `(\w+)` \| `(EVENTSTORE_INFLUX_\w+)` \| ([^|]+) \|", re.MULTILINE)
MEASUREMENT = re.compile(r"^\| `(\w+)` \| one [^|]+ \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def texts(language: str) -> list[str]:
    return [block.text for block in blocks(DOCUMENT, language)]


def test_there_are_examples_of_both_languages() -> None:
    assert len(texts("flux")) >= 3
    assert len(texts("influxql")) >= 3


@pytest.mark.untraced
@pytest.mark.parametrize("query", texts("flux"))
def test_the_flux_has_rows(server: Server, demo: str, query: str) -> None:
    assert 'bucket: "events"' in query
    assert server.flux(query.replace('bucket: "events"', f'bucket: "{demo}"'))


@pytest.mark.untraced
@pytest.mark.parametrize("query", texts("influxql"))
def test_the_influxql_has_rows(server: Server, demo: str, query: str) -> None:
    answer = server.influxql(demo, " ".join(query.split()))
    values = [row for result in answer["results"] for series in result["series"] for row in series["values"]]
    assert any(value is not None for row in values for value in row[1:])


@pytest.mark.untraced
def test_the_positions_are_as_many_as_the_last_one_s_number(server: Server, demo: str) -> None:
    (query,) = (text for text in texts("influxql") if "max(position)" in text)
    ((_, count, first, last),) = server.influxql(demo, query)["results"][0]["series"][0]["values"]
    assert (first, last) == (1, count)


@pytest.mark.untraced
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
    documented = {name: (variable, default) for name, variable, default in SETTING.findall(TEXT)}
    expected = {}
    for field in msgspec.structs.fields(InfluxSettings):
        default = "none" if field.default == "" else f"`{str(field.default).lower()}`"
        expected[field.name] = (f"{PREFIX}{field.name.upper()}", "required" if field.required else default)
    assert documented == expected


def test_the_settings_of_the_example_are_valid(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("settings")
    (text,) = texts("toml")
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


@pytest.mark.parametrize("document", [document for document in DOCUMENTS if code_blocks(document, INFLUXDB)])
def test_a_document_s_python_prints_what_it_says(server: Server, bucket: str, tmp_path: Path, document: Path) -> None:
    shown = code_blocks(document, INFLUXDB)
    (tmp_path / "token").write_text(server.token, encoding="utf-8")
    meant = {"http://localhost:8086": server.url, '"desk"': f'"{server.org}"', '"events"': f'"{bucket}"'}
    ran = run(shown, tmp_path, meant)
    assert (ran.stderr, ran.returncode) == ("", 0)
    assert printed(ran) == [block.output for block in shown]
