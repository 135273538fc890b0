"""How the page writes figures and times: exactly, in the zone that is shown, and never by way of a float."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.http.serving import running


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with running(tmp_path_factory.mktemp("formats")) as service:
        context = browser.new_context(timezone_id="Europe/Berlin")
        found = context.new_page()
        found.goto(f"{service.url}/app/now")
        found.locator("main[data-ready]").wait_for()
        yield found
        context.close()


def call(page: Page, module: str, function: str, *arguments: object) -> Any:  # noqa: ANN401 - any JSON
    return page.evaluate(
        "async ([module, name, given]) => (await import(`/app/files/js/${module}.js`))[name](...given)",
        [module, function, list(arguments)],
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("-9758.85", "−9,758.85"),
        ("0", "0.00"),
        ("-0.00", "0.00"),
        ("1234567.5", "1,234,567.50"),
        ("0.0125", "0.0125"),
        ("9007199254740993.01", "9,007,199,254,740,993.01"),
        ("2.33000000000000000000000000000077", "2.3300"),
        ("-0.005", "−0.005"),
    ],
)
def test_money_is_written_as_the_store_has_it(page: Page, text: str, shown: str) -> None:
    assert call(page, "numbers", "money", text) == shown


@pytest.mark.parametrize("text", ["", "1e5", "abc", "1,5", "--1", "NaN"])
def test_what_cannot_be_a_decimal_is_an_error(page: Page, text: str) -> None:
    with pytest.raises(Exception, match="is not a decimal"):
        call(page, "numbers", "money", text)


def test_rounding_is_that_of_the_folds(page: Page) -> None:
    for text in (
        "2.5",
        "3.5",
        "-2.5",
        "0.125",
        "0.135",
        "99.995",
        "-0.004",
        "0.5",
        "1.0050000001",
        "123456789012345678901.5",
    ):
        for digits in (0, 2):
            expected = Decimal(text).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_EVEN)
            shown = call(page, "numbers", "rounded", text, digits)
            assert Decimal(shown) == expected, text
            assert not (expected == 0 and shown.startswith("-"))


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        ("0.01511666666666666667", "1.5 %"),
        ("1", "100.0 %"),
        ("-0.25", "−25.0 %"),
        ("4.25295", "425.3 %"),
        ("0.9995", "100.0 %"),
    ],
)
def test_a_share_is_a_percentage(page: Page, share: str, shown: str) -> None:
    assert call(page, "numbers", "percent", share) == shown


def test_a_time_is_shown_in_its_zone_with_all_digits_that_are_asked_for(page: Page) -> None:
    found = call(page, "zones", "inZone", "2025-11-19T18:42:41.000000020Z", "America/Chicago")
    assert found == {"date": "2025-11-19", "time": "12:42:41", "fraction": "000000020", "zone": "CST"}


def typed(page: Page, text: str, zone: str) -> str:
    page.evaluate("zone => history.replaceState(null, '', `/app/now?zone=${zone}`)", zone)
    found: str = page.evaluate(
        """async (text) => {
            const zones = await import('/app/files/js/zones.js');
            zones.setExchangeZones({ACC1: 'America/Chicago'});
            try { return zones.typedTime(text, '2025-11-19'); } catch (error) { return error.message; }
        }""",
        text,
    )
    return found


@pytest.mark.parametrize(
    ("text", "zone", "answer"),
    [
        ("14:03", "utc", "2025-11-19T14:03:00.000000000Z"),
        ("14:03", "exchange", "2025-11-19T20:03:00.000000000Z"),
        ("14:03:20.5", "local", "2025-11-19T13:03:20.500000000Z"),
        ("2025-07-01 14:03", "exchange", "2025-07-01T19:03:00.000000000Z"),
        ("2025-11-19T14:03:00.000000020Z", "exchange", "2025-11-19T14:03:00.000000020Z"),
        ("2025-11-19 14:03 -06:00", "utc", "2025-11-19T20:03:00.000000000Z"),
        ("2025-11-19", "exchange", "2025-11-19T06:00:00.000000000Z"),
    ],
)
def test_a_typed_time_is_in_the_zone_that_is_shown(page: Page, text: str, zone: str, answer: str) -> None:
    assert typed(page, text, zone) == answer


@pytest.mark.parametrize(
    ("text", "zone", "words"),
    [
        ("", "utc", "Write a time as"),
        ("noon", "utc", "Write a time as"),
        ("25:00", "utc", "is not a time"),
        ("2025-02-30 10:00", "utc", "is not a time"),
        ("2026-03-08 02:30", "exchange", "does not exist in America/Chicago"),
        ("2025-11-02 01:30", "exchange", "comes twice in America/Chicago"),
    ],
)
def test_a_time_that_means_nothing_is_refused_in_words(page: Page, text: str, zone: str, words: str) -> None:
    assert words in typed(page, text, zone)


@pytest.mark.parametrize(
    ("status", "value", "words"),
    [
        ("KNOWN", "5,000.00", "5,000.00 USD"),
        ("STALE", "5,000.00", "5,000.00 USD stale"),
        ("UNKNOWN", "5,000.00", "unknown"),
        ("KNOWN", None, "unknown"),
    ],
)
def test_a_figure_says_what_it_is_worth(page: Page, status: str, value: str | None, words: str) -> None:
    shown = page.evaluate(
        """async ([text, status]) => {
            const { figure } = await import('/app/files/js/figures.js');
            const element = figure(text, {status, why: 'ESZ5 was quoted 12 s ago', unit: 'USD'});
            document.body.append(element);
            const found = [element.innerText, element.title, element.querySelectorAll('svg').length];
            element.remove();
            return found;
        }""",
        [value, status],
    )
    assert " ".join(shown[0].split()) == words
    # What is not certain has a drawing and a reason as well: colour alone says nothing.
    assert (shown[1] != "", shown[2]) == ((False, 0) if words.endswith("USD") else (True, 1))


@pytest.mark.parametrize(
    ("share", "words", "state"),
    [
        ("0.75", "75.0 %", "is-far"),
        ("0.1", "10.0 %", "is-near"),
        ("0", "0.0 %", "is-reached"),
        ("-0.2", "−20.0 %", "is-reached"),
        ("4.2", "420.0 %", "is-far"),
    ],
)
def test_a_bar_says_in_words_what_it_draws(page: Page, share: str, words: str, state: str) -> None:
    label, classes, width = page.evaluate(
        """async (share) => {
            const { headroomBar } = await import('/app/files/js/figures.js');
            const limit = {rule_id: 'daily-loss', kind: 'daily-loss', figure: '1', limit: '3000', left: '1', share,
                           status: 'KNOWN', why: '', unit: 'money', currency: 'USD'};
            const bar = headroomBar(limit).querySelector('.bar');
            return [bar.getAttribute('aria-label'), bar.className, bar.querySelector('rect').getAttribute('width')];
        }""",
        share,
    )
    assert label == f"daily-loss: {words} left"
    assert state in classes
    assert 0 <= int(width) <= 1000


def test_a_table_for_a_spreadsheet_runs_no_formula(page: Page) -> None:
    rows = [["a", "b"], ["=1+1", '-9,758.85"'], ["@x", "+cmd"], ["-5.00", "plain"]]
    found = call(page, "exports", "csvOf", rows)
    assert found == 'a,b\r\n\'=1+1,"-9,758.85"""\r\n\'@x,\'+cmd\r\n-5.00,plain\r\n'
