"""As of: the same page at a past instant, on both axes of time, unmistakably in the past."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.http.page.browsing import Visit, text_of
from tests.http.serving import Running

pytestmark = pytest.mark.untraced

BEFORE, AFTER = "2025-11-19T18:41:41.000000000Z", "2025-11-19T19:03:00.000000000Z"


def test_a_time_before_the_log_shows_no_account(visit: Visit) -> None:
    page = visit.open("/app/as-of?known_by=2020-01-01T00:00:00.000000000Z")
    assert "Nothing was recorded by then" in text_of(page, "main")


def test_a_time_that_does_not_exist_is_refused_in_words(visit: Visit) -> None:
    page = visit.open("/app/as-of?zone=exchange")
    box = page.get_by_label("What was known at")
    box.fill("2025-03-09 02:30")
    box.press("Enter")
    expect(page.locator(".travel .error")).to_contain_text("does not exist in America/Chicago")
    expect(box).to_have_attribute("aria-invalid", "true")
    assert "known_by" not in page.url


@pytest.mark.parametrize("view", ["as-of", "now", "timeline"])
@pytest.mark.parametrize("query", ["at=yesterday", "known_by=2025-11-19", "at=2025-13-01T00:00:00Z", "known_by=5&at="])
def test_a_time_in_the_address_that_cannot_be_read_is_named(visit: Visit, view: str, query: str) -> None:
    page = visit.open(f"/app/{view}?account=ACC2&{query}", "wrong-time")
    name, value = query.removesuffix("&at=").split("=")
    assert f"The address says {name}={value}, which is not an instant" in text_of(page, "main")
    assert page.locator(".band").count() == 0
    page.get_by_role("button", name="Back to now").click()
    page.locator(f"main[data-ready='{view}']").wait_for()
    assert (name in page.url, "ACC2" in page.url) == (False, True)


@pytest.mark.parametrize("axis", ["known_by", "at"])
def test_a_minute_before_the_lockout_the_account_was_free(visit: Visit, service: Running, axis: str) -> None:
    page = visit.open(f"/app/as-of?account=ACC2&{axis}={BEFORE}&zone=exchange")
    card = page.locator("article[data-key='ACC2']")
    expect(card.locator(".chip")).to_have_text("Free")
    band = text_of(page, ".band")
    assert "You are looking at the past" in band
    assert "2025-11-19 12:41:41 CST" in band
    expect(page.locator("#connection")).to_have_text("Past")
    found = service.client.get("/v1/accounts", params={"account": "ACC2", axis: BEFORE}).json()["accounts"][0]
    assert f"{len(found['orders'])} orders" in text_of(page, "article[data-key='ACC2'] .fold")
    for held in found["positions"]:
        if held["quantity"] != "0":
            assert held["symbol"] in card.inner_text()


def test_the_whole_page_stays_in_the_past_until_one_returns(visit: Visit) -> None:
    page = visit.open(f"/app/as-of?account=ACC2&known_by={AFTER}")
    page.get_by_role("link", name="Now", exact=True).click()
    page.locator("main[data-ready=now]").wait_for()
    expect(page.get_by_role("heading", name="As it was")).to_be_visible()
    expect(page.locator("article[data-key='ACC2'] .lockout")).to_contain_text("from this instant, until")
    assert page.locator("[data-until]").count() == 0
    page.get_by_role("button", name="Back to now").click()
    expect(page.get_by_role("heading", name="Now")).to_be_visible()
    expect(page.locator(".band")).to_have_count(0)
    assert "known_by" not in page.url


def test_the_slider_moves_by_keyboard_and_keeps_the_focus(visit: Visit) -> None:
    page = visit.open(f"/app/as-of?account=ACC2&known_by={AFTER}&zone=exchange")
    slider = page.get_by_role("slider")
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    page.wait_for_url(re.compile(r"known_by=2025-11-19T19%3A02%3A57"))
    expect(slider).to_have_attribute("aria-valuetext", "2025-11-19 13:02:57 CST")
    assert page.evaluate("document.activeElement.id") == "slider"
    page.get_by_role("button", name="−1 h").click()
    expect(page.locator("article[data-key='ACC2'] .chip")).to_have_text("Free")
    page.go_back()
    expect(page.locator("article[data-key='ACC2'] .chip")).to_have_text("Locked")


def test_both_times_are_asked_for_and_said(visit: Visit) -> None:
    page = visit.open(f"/app/as-of?account=ACC2&known_by={AFTER}")
    box = page.get_by_label("What had happened by")
    box.fill("18:41:41")
    box.press("Enter")
    page.wait_for_url(re.compile(r"at=2025-11-19T18%3A41%3A41"))
    expect(page.locator(".band")).to_contain_text(
        "had happened by 2025-11-19 18:41:41 UTC, as it was known at 2025-11-19 19:03:00 UTC"
    )
    expect(page.locator("article[data-key='ACC2'] .chip")).to_have_text("Free")


def test_orders_positions_results_and_lockouts_are_tables(visit: Visit) -> None:
    page = visit.open(f"/app/as-of?account=ACC2&known_by={AFTER}")
    for title in ("Positions", "Working orders", "Profit and loss", "Lockouts"):
        expect(page.get_by_role("heading", name=title, exact=True).last).to_be_visible()
    lockouts = page.locator(".panel[data-key=Lockouts]")
    expect(lockouts).to_contain_text("in force")
    expect(lockouts).to_contain_text("daily loss -3,136.35 of -3,000.00 USD reached")


def test_charts_are_drawn_and_their_figures_are_read_as_a_table(visit: Visit, service: Running) -> None:
    page = visit.open(f"/app/as-of?account=ACC2&known_by={AFTER}")
    expect(page.locator(".chart canvas")).to_have_count(2)
    assert "1,196 fills, 1 lockout" in (page.locator(".chart[role=img]").first.get_attribute("aria-label") or "")
    expect(page.get_by_text("where it is not, the line has a gap")).to_be_visible()
    page.locator(".fold summary", has_text="The figures of this chart").click()
    rows = page.locator("details[open] .table tbody tr")
    assert rows.count() == 160
    assert "unknown" in rows.nth(80).inner_text()
    assert "47,045.35" in rows.last.inner_text()
    # Nothing but white means that nothing was drawn.
    assert page.evaluate(
        """() => [...document.querySelectorAll('.chart canvas')].every(canvas => {
            const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            return new Set(new Uint32Array(data.buffer)).size > 20;
        })"""
    )


def test_a_click_on_the_chart_goes_to_that_instant(visit: Visit) -> None:
    page = visit.open("/app/as-of?account=ACC2")
    expect(page.locator(".band")).to_have_count(0)
    page.locator(".chart .u-over").first.click(position={"x": 300, "y": 60})
    page.wait_for_url(re.compile("known_by=2025-11-19T1"))
    expect(page.locator(".band")).to_contain_text("You are looking at the past")
