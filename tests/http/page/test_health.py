"""Health, as an operator reads it: what is wrong comes first, and what was verified and when."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from eventstore.clock import parse_time
from eventstore.journal import Verification
from gateways.http.service import VerificationRun
from tests.http.page.browsing import Visit, text_of
from tests.http.serving import Running, running
from tests.http.test_states import park

pytestmark = pytest.mark.untraced


@pytest.fixture
def small(browser: Browser, tmp_path: Path) -> Iterator[tuple[Visit, Running]]:
    """A visit to a service on an empty log."""
    with running(tmp_path) as service:
        context = browser.new_context()
        visit = Visit(context, service.url)
        yield visit, service
        context.close()
    visit.check()


def test_what_needs_attention_comes_first_in_words(visit: Visit) -> None:
    page = visit.open("/app/health")
    assert "It works, and something needs attention" in text_of(page, ".verdict.is-warning")
    parts = page.locator("ul[aria-label=Parts] > li")
    statuses = [each.split()[1] for each in parts.evaluate_all("found => found.map(each => each.className)")]
    order = {"is-wrong": 0, "is-warning": 1, "is-ok": 2}
    assert statuses == sorted(statuses, key=lambda each: order[each])
    assert "no process runs the policies" in parts.first.inner_text()


def test_a_log_that_was_never_verified_says_so_and_is_verified_on_demand(small: tuple[Visit, Running]) -> None:
    visit, service = small
    service.append("mark/-/open", {"type": "Marked", "data": {"name": "open"}}).raise_for_status()
    page = visit.open("/app/health")
    panel = page.locator("section", has=page.get_by_role("heading", name="Verification"))
    expect(panel).to_contain_text("Not run since the service was started")
    panel.get_by_role("button", name="Verify now").click()
    expect(panel).to_contain_text(re.compile(r"1 record verified, up to position 1 · .* ago"))
    last = service.client.get("/v1/verification").json()["last"]
    assert (last["ok"], last["checked"], last["until"]) == (True, 1, 1)


def test_a_position_that_does_not_verify_is_named(small: tuple[Visit, Running]) -> None:
    visit, service = small
    at = parse_time("2025-11-19T20:00:00Z")
    found = Verification(ok=False, checked=6, first_bad=7, reason="its digest is another one")
    service.service.last_verification = VerificationRun(found, 9, at, at)
    page = visit.open("/app/health")
    expect(page.locator(".verdict.is-wrong").last).to_contain_text(
        "Position 7 does not verify: its digest is another one"
    )


def test_one_verification_runs_at_a_time(small: tuple[Visit, Running]) -> None:
    _, service = small
    service.service.is_verifying = True
    answer = service.client.post("/v1/verification")
    assert (answer.status_code, answer.json()["title"]) == (409, "AlreadyVerifying")
    assert service.client.get("/v1/verification").json() == {"last": None, "running": True}


def test_a_parked_partition_is_shown_with_its_error_and_tried_again(small: tuple[Visit, Running]) -> None:
    visit, service = small
    opened = {"type": "AccountOpened", "data": {"starting_balance": "1000", "currency": "USD"}}
    service.append("account/A/-", opened).raise_for_status()
    park(service, "lockouts")
    # On its card too: whether the account is locked is not known, and is not said to be free.
    card = visit.open("/app/now").locator("article[data-key='A']")
    expect(card.locator(".chip")).to_have_text("Unknown")
    expect(card.locator(".why.is-wrong")).to_contain_text("broken")
    page = visit.open("/app/health")
    parked = page.locator("section", has=page.get_by_role("heading", name="Parked partitions"))
    expect(parked).to_contain_text("lockouts of A")
    expect(parked).to_contain_text("broken")
    parked.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("heading", name="Parked partitions")).to_have_count(0)
    expect(visit.open("/app/now").locator("article[data-key='A'] .chip")).to_have_text("Free")
