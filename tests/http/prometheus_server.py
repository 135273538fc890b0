"""A real Prometheus, from Debian's package, that scrapes a service of a test as the one in compose/ does."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.influx.servers import free_port

ROOT = Path(__file__).resolve().parents[2]
CONFIGURED = ROOT / "compose" / "prometheus"
START_SECONDS_MAX = 30
POLL_SECONDS = 0.1

Result = list[dict[str, Any]]


def require_prometheus() -> None:
    """Skip without Prometheus; in CI fail."""
    require_program("prometheus")
    require_program("promtool", "prometheus")


def require_program(program: str, package: str = "") -> None:
    """Skip without a program of this machine; in CI fail."""
    if shutil.which(program):
        return
    cure = f"{program} is not installed: apt-get install {package or program}"
    if os.environ.get("CI") == "true":
        pytest.fail(cure, pytrace=False)
    pytest.skip(cure)


def promtool(*arguments: str | Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run promtool, with a text as its input."""
    return subprocess.run(
        ["promtool", *map(str, arguments)], input=text, capture_output=True, text=True, check=False, timeout=60
    )


class Prometheus:
    """Asks a running Prometheus."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def query(self, expression: str) -> Result:
        """Return what an expression gives now; fail for one that is malformed."""
        answer = self.client.post("/api/v1/query", data={"query": expression})
        assert answer.status_code == 200, f"{expression}: {answer.text}"
        found: Result = answer.json()["data"]["result"]
        return found

    def rules(self) -> Result:
        """Return all rules, each with its health and state."""
        groups = self.client.get("/api/v1/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]


def configuration(target: str, key: Path) -> str:
    """Return the configuration in compose/, for another target and a key elsewhere, asked each half second."""
    text = (CONFIGURED / "prometheus.yaml").read_text(encoding="utf-8")
    for written, meant in {
        "service:8000": target,
        "/run/eventstore/key": str(key),
        "rule_files: [rules.yaml]": f"rule_files: [{CONFIGURED / 'rules.yaml'}]",
        "scrape_interval: 5s": "scrape_interval: 500ms",
        "scrape_timeout: 4s": "scrape_timeout: 500ms",
        "evaluation_interval: 5s": "evaluation_interval: 1s",
    }.items():
        assert written in text, f"the configuration does not have {written}"
        text = text.replace(written, meant)
    return text


@contextlib.contextmanager
def prometheus_of(target: str, key: str, directory: Path) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes a target with an API key, its data in a directory; it is ended afterwards."""
    directory.mkdir(exist_ok=True)
    (directory / "key").write_text(key, encoding="utf-8")
    config = directory / "prometheus.yaml"
    config.write_text(configuration(target, directory / "key"), encoding="utf-8")
    checked = promtool("check", "config", config)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    port = free_port()
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                # It ends with this process, however that ends.
                *("setpriv", "--pdeathsig", "KILL", "prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        found = Prometheus(f"http://127.0.0.1:{port}")
        with contextlib.closing(found.client):
            _wait_until_ready(found, process, directory / "log")
            yield found
    finally:
        process.terminate()
        process.wait(START_SECONDS_MAX)


def _wait_until_ready(prometheus: Prometheus, process: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < ends:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        with contextlib.suppress(httpx.TransportError):
            if prometheus.client.get("/-/ready").status_code == 200:
                return
        time.sleep(POLL_SECONDS)
    pytest.fail(f"Prometheus is not ready: {log.read_text(encoding='utf-8')}")
