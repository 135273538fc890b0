"""The restore drill of docs/OPERATIONS.md runs on a real InfluxDB, as it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documents import INFLUXDB
from tests.influx.api import Server
from tests.operations.test_guide import GUIDE, page
from tests.shell import is_as_shown, shell_blocks


@pytest.mark.untraced
def test_the_drill_restores_the_log_from_influxdb(server: Server, bucket: str, tmp_path: Path) -> None:
    shown = list(shell_blocks(GUIDE, "", INFLUXDB))
    meant = {"http://localhost:8086": server.url, '"desk"': f'"{server.org}"', '"events"': f'"{bucket}"'}
    guide = page(tmp_path, meant)
    (guide.root / "etc" / "eventstore" / "desk" / "influx-token").write_text(server.token, encoding="utf-8")
    printed = guide.run(shown)
    drilled = [(block, found) for block, found in zip(shown, printed, strict=True) if block.mark == INFLUXDB]
    assert len(drilled) == 2
    for block, found in drilled:
        assert is_as_shown(found, block.output), f"{block.name} printed:\n{found}"
