"""The notebook that explains a lockout reads a real InfluxDB, and finds the same there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import eventstore
from eventstore import InfluxSettings
from eventstore.config import PREFIX
from gateways.demo.history import demo_day
from tests.notebooks.running import ROOT, printed, run

NOTEBOOK = ROOT / "notebooks" / "02_why_was_i_locked_out.ipynb"
SHIPPED_SECONDS_MAX = 120


@pytest.mark.slow
@pytest.mark.untraced
def test_why_was_i_locked_out_from_influxdb(settings: InfluxSettings, tmp_path: Path, demo_directory: Path) -> None:
    demo = demo_day(shutil.copytree(demo_directory, tmp_path / "demo"))
    with eventstore.open(demo.data, influx=settings) as store:
        store.mirror.wait(timeout=SHIPPED_SECONDS_MAX)
    named = {"URL": settings.url, "ORG": settings.org, "BUCKET": settings.bucket, "TOKEN": settings.secret()}
    said = printed(run(NOTEBOOK, tmp_path, {f"{PREFIX}{name}": value for name, value in named.items()}))
    assert "figure: -3136.35 of -3000 USD (realized)" in said
    assert "set by kim@risk-desk at position 8" in said
