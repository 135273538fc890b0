"""The page in a real Chromium: a service on the demo's day, a browser that reports every error, and what it shows."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from typing_extensions import override

from eventstore import SystemClock
from eventstore.clock import Times, to_ns
from gateways.demo.history import DATA

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
WAIT_MS = 15_000
expect.set_options(timeout=WAIT_MS)
AFTERNOON = "2025-11-19T20:02:00Z"
"""In the demo's day ACC2 is locked since 18:42:41, until 23:00, in UTC."""
AXE = Path(__file__).parent / "vendor" / "axe.min.js"


class ClockFrom(SystemClock):
    """A clock that shows a given time when it is made, and ticks."""

    def __init__(self, start: Times) -> None:
        super().__init__()
        self._ahead = to_ns(start) - time.time_ns()  # noqa: TID251 - the difference to the real time is what it is made of

    @override
    def now_ns(self) -> int:
        return super().now_ns() + self._ahead


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Give a browser; skip the test in words where there is none, unless this is CI."""
    if not Path(CHROMIUM).exists():
        words = f"{CHROMIUM} is not installed: .ci/service installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(words)
        pytest.skip(words)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        with contextlib.closing(browser):
            yield browser


def copy_of(day: Path, place: Path) -> Path:
    """Return a directory with the demo's day in it, to be written to."""
    shutil.copytree(day / DATA, place)
    return place


class Visit:
    """One person's visit: a page, and everything that went wrong in it."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.url = url
        self.page: Page = context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))

    def _note(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.errors.append(text)

    def open(self, path: str, ready: str | None = None) -> Page:
        """Go to an address of the page, and wait until its view is shown."""
        self.page.goto(self.url + path)
        view = ready or path.split("?", maxsplit=1)[0].rsplit("/", 1)[-1]
        self.page.locator(f"main[data-ready='{view}']").wait_for()
        return self.page

    def check(self) -> None:
        """Raise AssertionError for an error in the console, or a request to another host."""
        assert self.errors == []
        assert self.hosts <= {self.url.split("/")[2]}


def text_of(page: Page, selector: str) -> str:
    """Return the text that a person reads there."""
    return " ".join(page.locator(selector).inner_text().split())


def violations(page: Page) -> list[str]:
    """Return what axe-core finds wrong with a page, a line each."""
    # By the protocol, as the page's own policy lets no script in.
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    return [f"{each['id']}: {node['target']} {node['failureSummary']}" for each in found for node in each["nodes"]]
