"""The timeline, as an auditor asks it: what happened at 12:42, why, what followed, and prove it."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.http.page.browsing import Visit, text_of
from tests.http.serving import Running

pytestmark = pytest.mark.untraced

LOCKOUT = "li[data-position='14625']"


def positions(page: Page) -> list[int]:
    found: list[int] = page.evaluate("[...document.querySelectorAll('.record')].map(each => +each.dataset.position)")
    return found


def test_a_filter_that_nothing_passes_says_so(visit: Visit) -> None:
    page = visit.open("/app/timeline?account=ACC1&symbol=XYZ")
    assert "No matching records" in text_of(page, "main")
    page.get_by_role("link", name="Remove the filters").click()
    expect(page.locator(".record").first).to_be_visible()
    assert "symbol" not in page.url


def test_an_unknown_account_has_no_records(visit: Visit) -> None:
    page = visit.open("/app/timeline?account=ACC9")
    assert "No records here" in text_of(page, "main")


def test_a_record_that_the_log_does_not_have_is_said(visit: Visit) -> None:
    page = visit.open("/app/timeline?account=ACC1&record=99999999")
    assert "is not in the log" in text_of(page, "main")
    # The service answered 404, which the browser notes.
    assert visit.errors
    visit.errors.clear()


@pytest.mark.parametrize("text", ["noon", "25:00", ""])
def test_a_jump_to_no_time_is_refused_in_words(visit: Visit, text: str) -> None:
    page = visit.open("/app/timeline?account=ACC2")
    page.get_by_label("Jump to a time").fill(text)
    page.get_by_role("button", name="Jump").click()
    expect(page.locator("#jump-error")).not_to_be_empty()
    assert "start=" not in page.url


def test_an_auditor_finds_what_happened_at_a_time_and_why(visit: Visit, service: Running) -> None:
    digest = service.client.get("/v1/timeline/14625").json()["digest"]
    page = visit.open("/app/timeline?account=ACC2&zone=exchange")
    page.get_by_label("Jump to a time").fill("12:42:30")
    page.get_by_role("button", name="Jump").click()
    page.wait_for_url(re.compile(r"start=2025-11-19T18%3A42%3A30\.000000000Z"))
    row = page.locator(LOCKOUT)
    expect(row).to_contain_text("Locked account ACC2 until 2025-11-19 17:00 CST")
    expect(row.locator("time")).to_have_text("12:42:41.000")
    row.locator("button").first.click()
    body = row.locator(".record-open")
    expect(body).to_contain_text("Causes and effects")
    words = " ".join(body.inner_text().split())
    for expected in (
        "LockoutSet",
        "2025-11-19 12:42:41.000000020 CST",
        "caused by Sold 1 ESZ5 at 6,655.50; fee 2.25 USD",
        "asked for The trading process was asked to cancel the working orders",
        digest,
    ):
        assert expected in words
    assert "record=14625" in page.url
    # The address alone shows the same to somebody else.
    again = visit.open(page.url.removeprefix(visit.url), ready="timeline")
    expect(again.locator(f"{LOCKOUT} .record-open")).to_contain_text("caused by")


def test_a_cause_is_followed_and_the_back_button_returns(visit: Visit) -> None:
    page = visit.open("/app/timeline?account=ACC2&record=14625")
    link = page.locator(f"{LOCKOUT} .record-open").get_by_role("link", name=re.compile("Sold 1 ESZ5 at 6,655.50"))
    link.first.click()
    expect(page.locator("li[data-position='14617'] .record-open")).to_contain_text("OrderFilled")
    expect(page.locator(f"{LOCKOUT} .record-open")).to_have_count(0)
    page.go_back()
    expect(page.locator(f"{LOCKOUT} .record-open")).to_contain_text("LockoutSet")


def test_a_record_is_opened_and_closed_by_keyboard(visit: Visit) -> None:
    page = visit.open("/app/timeline?account=ACC2")
    first = page.locator(".record-line").first
    first.focus()
    page.keyboard.press("Enter")
    expect(first).to_have_attribute("aria-expanded", "true")
    expect(page.locator(".record-open h3").first).to_be_visible()
    page.keyboard.press("Enter")
    expect(first).to_have_attribute("aria-expanded", "false")
    expect(page.locator(".record-open")).to_have_count(0)


def test_pages_go_both_ways_without_a_gap_or_a_repetition(visit: Visit, service: Running) -> None:
    page = visit.open("/app/timeline?account=ACC1")
    newest = positions(page)
    assert newest == sorted(newest, reverse=True)
    page.get_by_role("link", name="Older").click()
    expect(page.locator(f"li[data-position='{newest[0]}']")).to_have_count(0)
    older = positions(page)
    expected = service.client.get("/v1/timeline", params={"account": "ACC1", "before": newest[-1], "limit": 100})
    assert sorted(older) == [each["position"] for each in expected.json()["entries"]]
    page.get_by_role("link", name="Newer").first.click()
    expect(page.locator(f"li[data-position='{older[0]}']")).to_have_count(0)
    assert set(positions(page)) == set(newest)


def test_filters_are_in_the_address_and_in_the_form(visit: Visit) -> None:
    page = visit.open("/app/timeline?account=ACC1")
    page.get_by_label("Type").fill("OrderFilled")
    page.get_by_label("Symbol").fill("ESZ5")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url(re.compile("types=OrderFilled"))
    expect(page.locator(".record-sentence").first).to_contain_text(re.compile("(Bought|Sold) .* ESZ5 at"))
    sentences = page.locator(".record-sentence").all_inner_texts()
    assert sentences
    assert all("ESZ5" in each and each.startswith(("Bought", "Sold")) for each in sentences)
    assert page.get_by_label("Symbol").input_value() == "ESZ5"
    page.go_back()
    expect(page.get_by_label("Symbol")).to_have_value("")


def test_new_records_arrive_and_wait_while_paused(visit: Visit, service: Running) -> None:
    page = visit.open("/app/timeline?account=ACC3")
    expect(page.locator("#connection")).to_contain_text("Live")
    order = {
        "type": "OrderSubmitted",
        "data": {"symbol": "ESZ5", "side": "BUY", "quantity": "7", "order_type": "MARKET"},
    }
    service.append("order/ACC3/O-live-1", order).raise_for_status()
    expect(page.locator(".record").first).to_contain_text("O-live-1")
    page.get_by_role("button", name="Pause").click()
    service.append("order/ACC3/O-live-2", order).raise_for_status()
    expect(page.locator(".pages").first).to_contain_text("1 newer record")
    expect(page.locator(".record").first).to_contain_text("O-live-1")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".record").first).to_contain_text("O-live-2")


def test_what_is_shown_is_exported_as_records_and_as_a_bundle(visit: Visit, tmp_path: Path) -> None:
    page = visit.open("/app/timeline?account=ACC2&types=LockoutSet")
    exports = {
        "Records (JSON lines)": "records.jsonl",
        "Records (CSV)": "records.csv",
        "Bundle with proofs": "bundle.zip",
    }
    for button, name in exports.items():
        page.get_by_text("Export", exact=True).click()
        with page.expect_download() as download:
            page.get_by_role("button", name=button).click()
        download.value.save_as(tmp_path / name)
    (line,) = (tmp_path / "records.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["position"] == 14625
    assert "14625" in (tmp_path / "records.csv").read_text(encoding="utf-8")
    with zipfile.ZipFile(tmp_path / "bundle.zip") as bundle:
        assert "verify_bundle.py" in {Path(name).name for name in bundle.namelist()}


def test_a_note_is_added_to_a_record_and_marks_it(visit: Visit, service: Running) -> None:
    page = visit.open("/app/timeline?account=ACC2&record=14625")
    body = page.locator(f"{LOCKOUT} .record-open")
    body.get_by_label("Add a note").fill("Asked the broker: <b>their</b> fill was late.")
    body.get_by_label("Tags").fill("breach, asked-broker")
    body.get_by_role("button", name="Record the note").click()
    expect(body.locator(".note")).to_contain_text("Asked the broker: <b>their</b> fill was late.")
    expect(body).to_contain_text("The note is recorded.")
    page = visit.open("/app/timeline?account=ACC2&tag=asked-broker")
    expect(page.locator(LOCKOUT)).to_contain_text("asked-broker")


def test_a_record_is_proved(visit: Visit, tmp_path: Path) -> None:
    page = visit.open("/app/timeline?account=ACC2&record=14625")
    body = page.locator(f"{LOCKOUT} .record-open")
    body.get_by_role("button", name="Prove it").click()
    expect(body.locator(".proof")).to_contain_text("others give the root of the log's first")
    with page.expect_download() as download:
        body.get_by_role("button", name="Save the proof").click()
    assert download.value.suggested_filename == "position-14625.tlog-proof"
    download.value.save_as(tmp_path / "proof")
    proof = (tmp_path / "proof").read_text(encoding="utf-8")
    assert proof.startswith("c2sp.org/tlog-proof@v1\n")
    assert "\nindex 14624\n" in proof
