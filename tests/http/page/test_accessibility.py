"""For every person: axe-core finds nothing on any view, light or dark, wide or narrow; and nothing is cut off."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.http.page.browsing import Visit, violations
from tests.http.serving import Running

pytestmark = pytest.mark.untraced

PAST = "2025-11-19T19:03:00.000000000Z"
VIEWS = {
    "now": "/app/now",
    "now in the past": f"/app/now?known_by={PAST}",
    "timeline": "/app/timeline?account=ACC2",
    "record": "/app/timeline?account=ACC2&record=14625",
    "nothing found": "/app/timeline?account=ACC2&symbol=XYZ",
    "as of": f"/app/as-of?known_by={PAST}",
    "as of, one account": f"/app/as-of?account=ACC2&known_by={PAST}",
    "health": "/app/health",
}


def settled(visit: Visit, path: str) -> None:
    page = visit.open(path)
    if "record=" in path:
        expect(page.locator(".record-open h3").first).to_be_visible()
    if "as-of" in path and "account" in path:
        expect(page.locator(".chart canvas").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", VIEWS)
def test_axe_finds_no_violation(browser: Browser, service: Running, name: str, scheme: str) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    visit = Visit(context, service.url)
    settled(visit, VIEWS[name])
    assert violations(visit.page) == []
    context.close()
    visit.check()


@pytest.mark.parametrize("name", VIEWS)
def test_nothing_is_cut_off_on_a_phone_and_at_twice_the_size(browser: Browser, service: Running, name: str) -> None:
    # 200 % of zoom on a laptop leaves 720 pixels of its 1,440.
    for width in (390, 720):
        context = browser.new_context(viewport={"width": width, "height": 844})
        visit = Visit(context, service.url)
        settled(visit, VIEWS[name])
        too_wide = visit.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert too_wide <= 0, f"{name} at {width}: {too_wide} pixels too wide"
        if width == 390:
            assert violations(visit.page) == []
        context.close()


def test_who_wants_no_motion_gets_none(browser: Browser, service: Running) -> None:
    context = browser.new_context(reduced_motion="reduce")
    visit = Visit(context, service.url)
    settled(visit, "/app/now")
    moving = visit.page.evaluate(
        "[...document.querySelectorAll('*')].filter(each => getComputedStyle(each).transitionDuration !== '0s').length"
    )
    assert moving == 0
    context.close()


def test_the_first_key_press_offers_to_skip_to_the_content(visit: Visit) -> None:
    page = visit.open("/app/now")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "view"
    # The live region speaks when something changes, and not with each figure.
    expect(page.locator("#announcements")).to_be_empty()
