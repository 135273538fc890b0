"""The page with keys: it asks once, keeps the key in the tab, sends it in a header, and says what a key may not do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from gateways.http.access import Caller, NotAuthenticated, Scope
from tests.http.page.browsing import AFTERNOON, ClockFrom, Visit, copy_of, text_of
from tests.http.serving import Running, running

pytestmark = pytest.mark.untraced

TRADER, AUDITOR = "key-of-a-trader", "key-of-an-auditor"


class TwoKeys:
    """Knows a trader, who may read ACC2 alone, and an auditor, who may read and audit all."""

    needs_key = True

    def caller(self, headers: Mapping[str, str]) -> Caller:
        key = headers.get("authorization", "").removeprefix("Bearer ")
        known = {
            TRADER: Caller("trader", frozenset({Scope.READ}), frozenset({"ACC2"})),
            AUDITOR: Caller("auditor", frozenset({Scope.READ, Scope.AUDIT})),
        }
        if key not in known:
            msg = "no valid key was sent"
            raise NotAuthenticated(msg)
        return known[key]

    def is_valid(self, caller: Caller) -> bool:
        return True


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory, demo_directory: Path) -> Iterator[Running]:
    data = copy_of(demo_directory, tmp_path_factory.mktemp("keyed") / "data")
    with running(data, clock=ClockFrom(AFTERNOON), authenticator=TwoKeys()) as found:
        yield found


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    found = browser.new_context()
    yield found
    found.close()


def enter(visit: Visit, key: str, path: str = "/app/now") -> None:
    page = visit.open(path, ready="key")
    page.get_by_label("Your key").fill(key)
    page.get_by_role("button", name="Open").click()


def test_nothing_is_shown_without_a_key(context: BrowserContext, keyed: Running) -> None:
    visit = Visit(context, keyed.url)
    page = visit.open("/app/now", ready="key")
    assert "Your key" in text_of(page, "main")
    assert "ACC2" not in page.content()
    assert page.evaluate("document.activeElement.id") == "key"


def test_a_wrong_key_is_refused_in_words_and_asked_for_again(context: BrowserContext, keyed: Running) -> None:
    visit = Visit(context, keyed.url)
    enter(visit, "wrong")
    expect(visit.page.get_by_role("alert")).to_contain_text("no valid key was sent")
    visit.page.get_by_label("Your key").fill(AUDITOR)
    visit.page.get_by_role("button", name="Open").click()
    expect(visit.page.locator("article")).to_have_count(3)


def test_a_key_is_in_no_address_and_gone_with_the_tab(context: BrowserContext, keyed: Running) -> None:
    visit = Visit(context, keyed.url)
    addresses: list[str] = []
    visit.page.on("request", lambda request: addresses.append(request.url))
    enter(visit, AUDITOR)
    expect(visit.page.locator("#connection")).to_contain_text("Live")
    assert addresses
    assert not any(AUDITOR in address for address in addresses)
    assert visit.page.evaluate("JSON.stringify(localStorage)") == "{}"
    # It is kept for this tab alone.
    assert visit.open("/app/now").locator("article").count() == 3
    other = Visit(context, keyed.url)
    other.open("/app/now", ready="key")


def test_a_trader_sees_the_accounts_of_the_key_alone(context: BrowserContext, keyed: Running) -> None:
    visit = Visit(context, keyed.url)
    enter(visit, TRADER)
    expect(visit.page.locator("article[data-key='ACC2'] .chip")).to_have_text("Locked")
    assert visit.page.locator("article").count() == 1
    expect(visit.page.locator("#connection")).to_contain_text("Live")


def test_what_a_key_may_not_see_is_said_with_what_to_do(context: BrowserContext, keyed: Running) -> None:
    visit = Visit(context, keyed.url)
    enter(visit, TRADER, "/app/timeline?account=ACC2")
    notice = visit.page.locator(".notice")
    expect(notice).to_contain_text("You may not see this")
    expect(notice).to_contain_text("lacks the scope audit")
    expect(notice.get_by_role("button", name="Try again")).to_be_visible()


def test_an_auditor_without_the_right_to_append_reads_notes_and_adds_none(
    context: BrowserContext, keyed: Running
) -> None:
    visit = Visit(context, keyed.url)
    enter(visit, AUDITOR, "/app/timeline?account=ACC2&record=14625")
    expect(visit.page.locator(".record-open")).to_contain_text("Causes and effects")
