"""The books that tests of views trade in or observe prices in."""

from collections.abc import Iterator

import pytest

from tests.views.market import Market
from tests.views.trading_book import Trading


@pytest.fixture
def trading() -> Iterator[Trading]:
    made = Trading()
    yield made
    made.book.close()
    made.store.close()


@pytest.fixture
def market() -> Market:
    return Market()
