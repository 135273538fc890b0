"""The page on a long log: there within a second, and paged both ways; a million records in `make prove`."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import Browser

import eventstore
import projections
from eventstore import Batch, Event
from eventstore.trading import AccountOpened, OrderAccepted, OrderFilled, OrderSubmitted, OrderType, Side
from gateways.importers import contract_for
from tests.http.page.browsing import Visit
from tests.http.serving import running
from tests.proving import cases

pytestmark = [pytest.mark.untraced, pytest.mark.prove]

ACCOUNTS = 100
AT_ONCE = 1_000
SECONDS_MAX = 1.0
SHARED_SECONDS_MAX = 10.0
"""In `make test` other tests share the cores: there it is only found that nothing grows with the log."""


def long_log(directory: Path, records: int) -> None:
    """Write orders of three events each, on a hundred accounts, and a cut."""
    with eventstore.open(directory) as store:
        store.append("contract/-/ESZ5", contract_for("ESZ5"))
        for number in range(ACCOUNTS):
            opened = AccountOpened(starting_balance=Decimal(50_000), currency="USD")
            store.append(f"account/ACC{number:03}/-", opened)
        for first in range(0, records // 3, AT_ONCE):
            store.append_many([Batch(*order(number)) for number in range(first, first + AT_ONCE)])
        with projections.open(store) as book:
            book.snapshot()


def order(number: int) -> tuple[str, list[Event]]:
    side = Side.BUY if (number // ACCOUNTS) % 2 else Side.SELL
    price = Decimal(5_000 + number % 7)
    return f"order/ACC{number % ACCOUNTS:03}/O-{number}", [
        OrderSubmitted(symbol="ESZ5", side=side, quantity=Decimal(1), order_type=OrderType.MARKET),
        OrderAccepted(broker_order_id=str(number)),
        OrderFilled(trade_id=f"T{number}", symbol="ESZ5", side=side, quantity=Decimal(1), price=price),
    ]


@pytest.mark.parametrize("records", cases(test=[30_000], prove=[1_000_000]))
def test_the_page_is_there_within_a_second_and_pages_both_ways(browser: Browser, tmp_path: Path, records: int) -> None:
    long_log(tmp_path, records)
    with running(tmp_path) as service:
        # What a person opens first is asked for once: the first question after a start decodes the cut.
        service.client.get("/v1/accounts").raise_for_status()
        limit = SECONDS_MAX if os.environ.get("PROVE") == "1" else SHARED_SECONDS_MAX
        for path in ("/app/now", "/app/timeline", "/app/timeline?account=ACC007"):
            context = browser.new_context()
            visit = Visit(context, service.url)
            page = visit.open(path)
            seconds = page.evaluate("performance.now()") / 1000
            assert seconds <= limit, f"{path} after {seconds:.2f} s"
            context.close()
            visit.check()
        context = browser.new_context()
        visit = Visit(context, service.url)
        middle = records // 2
        page = visit.open(f"/app/timeline?before={middle}")
        shown = page.locator(".record").first.get_attribute("data-position")
        assert shown == str(middle - 1)
        page.get_by_role("link", name="Newer").first.click()
        page.locator(f"li[data-position='{middle + 99}']").wait_for()
        context.close()
        visit.check()
