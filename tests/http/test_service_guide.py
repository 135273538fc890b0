"""The guide of the service: every block is run, in order, on one service, and answers what the guide says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventstore.events.codec import EVENT_BYTES_MAX
from gateways.http import ServiceSettings
from gateways.http.meters import Meters
from tests.documents import ROOT, SERVICE, Block, blocks
from tests.http.prometheus_server import require_program

pytestmark = [pytest.mark.service, pytest.mark.untraced]

GUIDE = ROOT / "docs" / "SERVICE.md"
ADDRESS = "http://127.0.0.1:8000"
SET_UP, SERVE = "set-up", "serve"
SCRIPT = "follow.mjs"
WAIT_SECONDS = 240
ANY = "…"


def shown(mark: str) -> list[Block]:
    return [block for block in blocks(GUIDE) if block.mark == mark]


class GuideDesk:
    """What the guide's reader has: a directory with a log, a key, and a service that runs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("EVENTSTORE_")},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            # The line with the address is read from a pipe.
            "PYTHONUNBUFFERED": "1",
        }
        self.url = ""
        self.log = directory / "service.log"

    def sh(self, text: str) -> subprocess.CompletedProcess[str]:
        return self.run(["bash", "-e", "-c", text])

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.directory, env=self.environment, capture_output=True, text=True, check=False, timeout=WAIT_SECONDS,
        )  # fmt: skip

    def set_up(self) -> None:
        """Run the blocks of the set-up in one shell, and keep the key that they export."""
        text = "\n".join(block.text for block in shown(SET_UP))
        ran = self.sh(f'{{ {text}\n}} >/dev/null; printf %s "$EVENTSTORE_KEY"')
        assert ran.returncode == 0, ran.stderr
        self.environment["EVENTSTORE_KEY"] = ran.stdout

    def meant(self, block: Block) -> str:
        """Return a block's code for the service of this desk."""
        return block.text.replace(ADDRESS, self.url)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuideDesk]:
    require_program("curl")
    desk = GuideDesk(tmp_path_factory.mktemp("guide"))
    desk.set_up()
    ((words,),) = [[shlex.split(line) for line in block.text.splitlines()] for block in shown(SERVE)]
    with desk.log.open("wb") as log:
        served = subprocess.Popen(
            [*words, "--port", "0"],
            cwd=desk.directory, env=desk.environment, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
    try:
        assert served.stdout is not None
        # It prints one line once it answers, or ends.
        line = served.stdout.readline()
        assert line, desk.log.read_text(encoding="utf-8")
        desk.url = line.split()[-1]
        yield desk
    finally:
        served.terminate()
        assert served.wait(WAIT_SECONDS) == 0
        if served.stdout is not None:
            served.stdout.close()


def as_said(output: str, expected: str) -> bool:
    """Return whether an output is what the guide shows, where `…` stands for anything."""
    lines = expected.strip("\n")
    pattern = ".*?".join(re.escape(part) for part in lines.split(ANY))
    return re.fullmatch(f"{pattern}\n?", output.strip("\n"), re.DOTALL) is not None


def test_the_guide_s_blocks_print_what_it_says(desk: GuideDesk) -> None:
    """In one test: each builds on what those before it have appended."""
    ran = 0
    for block in blocks(GUIDE):
        if block.mark != SERVICE:
            continue
        text = desk.meant(block)
        done = desk.sh(text) if block.language == "sh" else desk.run([sys.executable, "-c", text])
        failed = f"{block.name}: {done.stderr}{desk.log.read_text(encoding='utf-8')}"
        assert (done.returncode, done.stderr) == (0, ""), failed
        assert block.output, f"{block.name} does not say what it prints"
        assert as_said(done.stdout, block.output.replace(ADDRESS, desk.url)), f"{block.name}: {done.stdout}"
        ran += 1
    assert ran == len(shown(SERVICE)) > 5
    follow_in_node(desk)


def follow_in_node(desk: GuideDesk) -> None:
    """Run the guide's JavaScript, which ends at the order that its Python has appended."""
    require_program("node")
    (block,) = shown(SCRIPT)
    (desk.directory / SCRIPT).write_text(desk.meant(block), encoding="utf-8")
    done = desk.run(["node", SCRIPT])
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert "order/ACC1/O-1 OrderSubmitted" in lines
    assert lines[-1] == "order/ACC1/O-3 OrderSubmitted"


def test_no_block_of_code_escapes() -> None:
    marks = {(block.language, block.mark) for block in blocks(GUIDE)}
    assert marks == {
        *(("sh", SET_UP), ("sh", SERVE), ("sh", SERVICE), ("sh", ""), ("python", SERVICE)),
        ("javascript", SCRIPT),
    }
    # What needs Docker is a single line, whose command after `eventstore` is checked with all others.
    (block,) = [block for block in shown("") if block.language == "sh"]
    assert block.text.startswith("docker compose -f compose/compose.yaml exec service eventstore api-keys add ")


def test_output_that_differs_is_noticed() -> None:
    assert as_said('{"a":1,"b":2}\n', '{"a":1,…\n')
    assert not as_said('{"a":2,"b":2}\n', '{"a":1,…\n')
    assert not as_said("one\ntwo\n", "one\n")


def test_the_limits_are_those_of_the_settings() -> None:
    text, settings = GUIDE.read_text(encoding="utf-8").partition("## Limits")[2], ServiceSettings()
    for expected in (
        f"| {settings.body_bytes_max / 1e6:.0f} MB |",
        f"| {settings.page} unless asked otherwise, {settings.page_max:,} at most |",
        f"| {settings.streams_max} |",
        f"| {settings.sockets_max:,} |",
        f"| {settings.requests_per_second:,.0f} each second",
        f"| cut off after {settings.send_seconds_max:.0f} s |",
        f"| {EVENT_BYTES_MAX // 1_000} KB |",
    ):
        assert expected in text


def test_the_metrics_are_those_that_are_served() -> None:
    named = set(re.findall(r"`(eventstore_\w+)`", GUIDE.read_text(encoding="utf-8")))
    source = (ROOT / "gateways" / "http" / "metrics.py").read_text(encoding="utf-8")
    written = {f"eventstore_{name}" for name in re.findall(r"(?:Gauge|_single)\(\s*f?\"(\w+)\"", source)}
    written |= {f"eventstore_{kind}_{name}" for kind in ("view", "worker") for name in ("lag_events", "lag_seconds")}
    measured = {sample.name for family in Meters().registry.collect() for sample in family.samples}
    bases = {re.sub(r"_(?:bucket|count|sum|total)$", "", name) for name in measured}
    bases |= {"eventstore_http_requests", "eventstore_http_response_seconds"}
    assert len(named) > 20
    assert {name for name in named if name.removesuffix("_total") not in bases | written} == set()
