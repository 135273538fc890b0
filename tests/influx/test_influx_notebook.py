"""The notebook that explains a lockout reads a real InfluxDB, and finds the same there."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventstore.config import PREFIX
from gateways.demo.history import demo_day
from tests.influx.api import Server
from tests.notebooks.running import ROOT, printed, run

NOTEBOOK = ROOT / "notebooks" / "02_why_was_i_locked_out.ipynb"


@pytest.mark.untraced
def test_why_was_i_locked_out_from_influxdb(server: Server, demo: str, tmp_path: Path) -> None:
    demo_day(tmp_path / "demo")
    environment = {"URL": server.url, "ORG": server.org, "BUCKET": demo, "TOKEN": server.token}
    said = printed(run(NOTEBOOK, tmp_path, {f"{PREFIX}{name}": value for name, value in environment.items()}))
    assert "figure: -3136.35 of -3000 USD (realized)" in said
    assert "set by kim@risk-desk at position 8" in said
