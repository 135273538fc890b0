"""What the tests of the page share: one browser, and a service on the demo's day."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.http.page.browsing import AFTERNOON, ClockFrom, Visit, chromium, copy_of
from tests.http.serving import Running, running

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the tests of a browser to `pytest -m service`."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.service)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser of each module's own: it holds an event loop, beside which nothing in this process may run another."""
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def service(browser: Browser, tmp_path_factory: pytest.TempPathFactory, demo_directory: Path) -> Iterator[Running]:
    """A service on the afternoon of the demo's day; what a test appends, later tests of its module see."""
    data = copy_of(demo_directory, tmp_path_factory.mktemp("page") / "data")
    with running(data, clock=ClockFrom(AFTERNOON)) as found:
        yield found


@pytest.fixture
def visit(browser: Browser, service: Running) -> Iterator[Visit]:
    """A visit with a laptop's screen, from Berlin; no error and no other host may be seen in it."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, timezone_id="Europe/Berlin")
    found = Visit(context, service.url)
    yield found
    context.close()
    found.check()
