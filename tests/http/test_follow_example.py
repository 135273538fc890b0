"""The example in JavaScript follows a log in a real browser, and resumes when the service was gone for a while."""

from __future__ import annotations

import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

import eventstore
from eventstore.trading import OrderSubmitted, Side
from tests.http.served_process import ServedProcess, served_process

pytestmark = pytest.mark.service

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
EXAMPLES = Path(__file__).parents[2] / "examples"
LINES_MAX = 20
WAIT_MS = 30_000
ORDER = OrderSubmitted(symbol="ESZ5", side=Side.BUY, quantity=Decimal(1))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        words = f"{CHROMIUM} is not installed: .ci/service installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(words)
        pytest.skip(words)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        yield browser
        browser.close()


def opened(browser: Browser, served: ServedProcess, asked: str) -> Page:
    """Open the example as if the service had its files: what it follows is the service itself."""
    page = browser.new_page()
    page.set_default_timeout(WAIT_MS)

    def answer(route: Route) -> None:
        name = route.request.url.partition("?")[0].rpartition("/")[2]
        kind = "text/javascript" if name.endswith(".js") else "text/html"
        route.fulfill(path=EXAMPLES / name, content_type=kind)

    page.route("**/follow.html*", answer)
    page.route("**/follow.js", answer)
    page.goto(f"http://127.0.0.1:{served.port}/follow.html{asked}")
    return page


def append(served: ServedProcess, account: str) -> None:
    with eventstore.open(served.directory) as store:
        store.append(f"order/{account}/O-1", ORDER)


def test_the_example_is_short() -> None:
    assert len((EXAMPLES / "follow.js").read_text(encoding="utf-8").splitlines()) <= LINES_MAX


def test_it_shows_records_as_they_come_and_misses_none_over_a_restart(browser: Browser, tmp_path: Path) -> None:
    with served_process(tmp_path) as served:
        append(served, "ACC1")
        page = opened(browser, served, "?account=ACC1")
        items = page.locator("#records li")
        expect(items).to_have_text(["OrderSubmitted order/ACC1/O-1"], timeout=WAIT_MS)
        append(served, "ACC2")
        append(served, "ACC1")
        expect(items).to_have_count(2, timeout=WAIT_MS)
        served.kill()
        expect(page.locator("#connection")).to_have_text("not connected", timeout=WAIT_MS)
        append(served, "ACC1")
        served.start()
        expect(items).to_have_count(3, timeout=WAIT_MS)
        expect(page.locator("#connection")).to_have_text("connected")
        expect(page.locator("#position")).to_have_text("4")
        page.close()
