"""The book that the tests of profit and loss trade in."""

from collections.abc import Iterator

import pytest

from tests.views.trading_book import Trading


@pytest.fixture
def trading() -> Iterator[Trading]:
    made = Trading()
    yield made
    made.book.close()
    made.store.close()
