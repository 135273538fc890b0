"""Now, as a trader on a phone asks it: am I locked, until when, how far am I; and what is not known looks so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.http.page.browsing import Visit, text_of
from tests.http.serving import Running, running

pytestmark = pytest.mark.untraced

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def phone(browser: Browser, service: Running) -> Iterator[Visit]:
    context = browser.new_context(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    found = Visit(context, service.url)
    yield found
    context.close()
    found.check()


def test_an_empty_store_says_what_will_come(browser: Browser, tmp_path: Path) -> None:
    with running(tmp_path) as service:
        context = browser.new_context()
        visit = Visit(context, service.url)
        page = visit.open("/app/now")
        assert "The store is empty" in text_of(page, "main")
        assert visit.open("/app/timeline").get_by_text("The store is empty").is_visible()
        assert visit.open("/app/as-of").get_by_text("The store is empty").is_visible()
        context.close()
        visit.check()


def test_what_is_not_known_is_a_word_and_a_reason_never_a_number(visit: Visit) -> None:
    page = visit.open("/app/now")
    card = page.locator("article[data-key='ACC1']")
    equity = card.locator(".equity-figure")
    assert " ".join(equity.inner_text().split()) == "unknown equity"
    assert not re.search(r"\d", equity.inner_text())
    assert "was not quoted since the book was opened" in card.locator(".equity .why").inner_text()
    # No policies run: the limit is not judged, so nothing is said to be left of it.
    headroom = card.locator(".headroom")
    assert "unknown" in headroom.inner_text()
    assert "left of" not in headroom.inner_text()
    assert headroom.locator(".bar.is-unknown").count() == 1


def test_a_symbol_that_is_markup_is_shown_as_text(visit: Visit, service: Running) -> None:
    order = {"symbol": HOSTILE, "side": "BUY", "quantity": "1", "order_type": "MARKET"}
    answer = service.append("order/ACC3/O-hostile", {"type": "OrderSubmitted", "data": order})
    assert answer.status_code == 200
    page = visit.open("/app/now")
    card = page.locator("article[data-key='ACC3']")
    card.locator("details.fold summary").click()
    expect(card.get_by_text(HOSTILE)).to_be_visible()
    assert page.locator("main img").count() == 0
    page = visit.open("/app/timeline?account=ACC3")
    expect(page.get_by_text(HOSTILE).first).to_be_visible()
    assert page.locator("main img").count() == 0


def test_a_trader_sees_on_a_phone_that_the_account_is_locked_why_and_until_when(phone: Visit) -> None:
    page = phone.open("/app/now?zone=exchange")
    card = page.locator("article[data-key='ACC2']")
    assert "Locked" in card.locator(".chip").inner_text()
    lockout = " ".join(card.locator(".lockout").inner_text().split())
    assert "Daily loss -3,136.35 of -3,000.00 USD reached" in lockout
    assert "left, until 17:00:00 CST" in lockout
    assert "only what reduces positions may be sent" in lockout
    counting = card.locator(".countdown")
    first = counting.inner_text()
    assert re.fullmatch(r"2 h 5\d min \d\d s", first)
    expect(counting).not_to_have_text(first)
    # Nothing is cut off at the side, and the whole is read by scrolling down alone.
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_figures_are_those_of_the_book(visit: Visit, service: Running) -> None:
    page = visit.open("/app/now")
    card = page.locator("article[data-key='ACC2']")
    found = service.client.get("/v1/accounts?account=ACC2").json()["accounts"][0]
    shown = card.locator(".equity-figure .number").inner_text()
    assert Decimal(shown.replace(",", "")) == Decimal(found["equity"]["equity"]) == Decimal("47045.35")
    assert "−2,954.65" in card.inner_text()


def test_a_lockout_appears_and_ends_by_itself_and_is_announced(visit: Visit, service: Running) -> None:
    page = visit.open("/app/now")
    expect(page.locator("#connection")).to_contain_text("Live")
    chip = page.locator("article[data-key='ACC1'] .chip")
    expect(chip).to_have_text("Free")
    service.client.post(
        "/v1/streams/lockout/ACC1/by-hand",
        json={"events": [{"type": "LockoutSet", "data": {"rule_id": "by-hand", "reason": "asked for by the desk"}}]},
    ).raise_for_status()
    expect(chip).to_have_text("Locked")
    expect(page.locator("article[data-key='ACC1'] .lockout")).to_contain_text("Without end date")
    expect(page.locator("#announcements")).to_have_text("Account ACC1 is locked: asked for by the desk")
    service.client.post(
        "/v1/streams/lockout/ACC1/by-hand",
        json={"events": [{"type": "LockoutCleared", "data": {"rule_id": "by-hand"}}]},
    ).raise_for_status()
    expect(chip).to_have_text("Free")
    expect(page.locator("#announcements")).to_have_text("Account ACC1 is free again")


def test_a_lost_connection_is_said_until_it_is_back(browser: Browser, service: Running) -> None:
    context = browser.new_context()
    visit = Visit(context, service.url)
    page = visit.open("/app/now")
    expect(page.locator("#connection")).to_contain_text("Live")
    context.set_offline(True)
    expect(page.locator("#connection")).to_contain_text("Connection lost")
    expect(page.locator("#announcements")).to_contain_text("no longer current")
    context.set_offline(False)
    expect(page.locator("#connection")).to_contain_text("Live")
    context.close()
    # The browser itself reports that it was offline; nothing else went wrong.
    assert all("ERR_INTERNET_DISCONNECTED" in each for each in visit.errors)


def test_a_service_that_ends_is_a_lost_connection(browser: Browser, tmp_path: Path) -> None:
    with running(tmp_path) as service:
        context = browser.new_context()
        visit = Visit(context, service.url)
        page = visit.open("/app/now")
        expect(page.locator("#connection")).to_contain_text("Live")
    expect(page.locator("#connection")).to_contain_text("Connection lost")
    context.close()


def test_the_zone_is_shown_switched_by_keyboard_and_kept(visit: Visit) -> None:
    page = visit.open("/app/now")
    lockout = page.locator("article[data-key='ACC2'] .lockout-until")
    expect(lockout).to_contain_text("23:00:00 UTC")
    expect(page.locator(".zone-name")).to_have_text("UTC")
    page.locator("input[name=zone][value=utc]").focus()
    page.keyboard.press("ArrowRight")
    expect(lockout).to_contain_text("17:00:00 CST")
    expect(page.locator(".zone-name")).to_have_text("America/Chicago")
    assert "zone=exchange" in page.url
    assert page.evaluate("document.activeElement.value") == "exchange"
    page.keyboard.press("ArrowRight")
    expect(lockout).to_contain_text("2025-11-20 00:00:00 GMT+1")
    # Kept for the next visit of this browser.
    expect(visit.open("/app/health").locator(".zone-name")).to_have_text("Europe/Berlin")


def test_views_are_reached_by_links_and_the_back_button(visit: Visit) -> None:
    page = visit.open("/app/now")
    page.get_by_role("link", name="Health").click()
    page.locator("main[data-ready=health]").wait_for()
    assert page.url.endswith("/app/health")
    page.go_back()
    page.locator("main[data-ready=now]").wait_for()
    expect(page.get_by_role("heading", name="Now")).to_be_visible()
    assert page.locator("[aria-current=page]").inner_text() == "Now"


def test_what_is_shown_is_saved_as_a_table(visit: Visit, tmp_path: Path) -> None:
    page = visit.open("/app/now")
    page.get_by_text("Export", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Table (CSV)").click()
    download.value.save_as(tmp_path / "accounts.csv")
    lines = (tmp_path / "accounts.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("account,state,until,reason,equity,equity_status")
    assert any(line.startswith("ACC1,free,,,,UNKNOWN,") for line in lines)
    assert any(
        line.startswith("ACC2,locked,2025-11-19T23:00:00.000000000Z,") and "47045.35,KNOWN" in line for line in lines
    )


def test_on_paper_stand_the_figures_without_what_works_on_a_screen(visit: Visit) -> None:
    page = visit.open("/app/now")
    page.emulate_media(media="print")
    for selector in ("#tabs", ".view-tools", "#connection .connection", ".zones", ".card-foot"):
        expect(page.locator(selector).first).to_be_hidden()
    expect(page.locator("article[data-key='ACC2'] .lockout")).to_be_visible()
    # In which zone the times are stands on paper too.
    expect(page.locator(".zone-name")).to_have_text("UTC")
    expect(page.locator(".zone-name")).to_be_visible()


def test_one_account_is_chosen_and_all_again(visit: Visit) -> None:
    page = visit.open("/app/now")
    page.locator("select[name=account]").select_option("ACC2")
    expect(page.locator("article")).to_have_count(1)
    assert page.url.endswith("/app/now?account=ACC2")
    # The other views are about the same account.
    assert page.get_by_role("link", name="As of", exact=True).first.get_attribute("href") == "/app/as-of?account=ACC2"
    page.locator("select[name=account]").select_option("")
    expect(page.locator("article")).to_have_count(3)


def test_an_unknown_account_is_said_with_those_that_are_close(visit: Visit) -> None:
    page = visit.open("/app/now?account=ACC9")
    assert "has no account 'ACC9': similar names are ACC1, ACC2, ACC3" in text_of(page, "main")
    # The service answered 404, which the browser notes.
    assert all("404" in each for each in visit.errors)
    visit.errors.clear()
