"""The restore drill of docs/OPERATIONS.md runs on a real InfluxDB, as it is written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import eventstore
from eventstore import InfluxSettings
from eventstore.trading import NoteAdded
from tests.cli.command import plain_environment
from tests.documents import INFLUXDB, ROOT
from tests.influx.api import Server
from tests.operations.test_guide import GUIDE, page
from tests.shell import is_as_shown, shell_blocks


@pytest.mark.untraced
def test_the_drill_restores_the_log_from_influxdb(server: Server, bucket: str, tmp_path: Path) -> None:
    whole = list(shell_blocks(GUIDE, "", INFLUXDB))
    # What follows the drill needs no InfluxDB, and is run elsewhere.
    shown = whole[: 1 + max(number for number, block in enumerate(whole) if block.mark == INFLUXDB)]
    # No service runs here: what the mirror would have shipped since its start is shipped once.
    started = "systemctl enable --now eventstore@desk.target\n"
    shown = [
        block._replace(text=block.text.replace(started, f"{started}eventstore mirror --once\n")) for block in shown
    ]
    meant = {"http://localhost:8086": server.url, '"desk"': f'"{server.org}"', '"events"': f'"{bucket}"'}
    guide = page(tmp_path, meant)
    (guide.root / "etc" / "eventstore" / "desk" / "influx-token").write_text(server.token, encoding="utf-8")
    printed = guide.run(shown)
    drilled = [(block, found) for block, found in zip(shown, printed, strict=True) if block.mark == INFLUXDB]
    assert len(drilled) == 2
    for block, found in drilled:
        assert is_as_shown(found, block.output), f"{block.name} printed:\n{found}"


@pytest.mark.untraced
def test_a_version_before_ships_what_it_does_not_know(settings: InfluxSettings, data: Path) -> None:
    with eventstore.open(data) as store:
        note = NoteAdded(target="day/ACC1/2026-11-30", text="news")
        [record] = store.append("note/ACC1/n", note)
    influx = {
        f"EVENTSTORE_INFLUX_{name.upper()}": getattr(settings, name) for name in ("url", "org", "bucket", "token")
    }
    subprocess.run(
        [
            sys.executable,
            str(ROOT / "tests" / "kept" / "previous.py"),
            "0.1.0",
            "mirror",
            "--once",
            "--data",
            str(data),
        ],
        env=plain_environment() | influx,
        capture_output=True,
        timeout=100,
        check=True,
    )
    with eventstore.connect(settings=settings) as reader:
        [shipped] = reader.read()
    assert (shipped.digest, shipped.event) == (record.digest, note)
