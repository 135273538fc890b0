"""What rests on prices is judged by the process that has them, if it alerts; else by what it recorded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import projections
from eventstore.trading import QuotesWanted, Side
from gateways.alerting.conditions import Condition
from gateways.alerting.settings import Receiver
from projections import Book
from tests.alerting.alerting_scene import Inbox, Scene, ids, killed
from tests.projections.firm import Firm

PRICED = Receiver(name="desk", on=frozenset({Condition.FEED_STALE, Condition.HEADROOM}))


@pytest.fixture
def firm(tmp_path: Path) -> Iterator[Firm]:
    firm = Firm(tmp_path / "data", "ACC1")
    yield firm
    firm.close()


@pytest.fixture
def elsewhere(firm: Firm) -> Iterator[Book]:
    """Yield a book of the same log without quotes, as another process has it."""
    with projections.open(firm.store, snapshots=False) as book:
        yield book


def test_without_the_prices_two_requests_for_quotes_are_a_stale_feed(firm: Firm, elsewhere: Book, inbox: Inbox) -> None:
    scene = Scene(elsewhere, PRICED, inbox, follow=True)
    firm.fill("ACC1", Side.BUY, "5000")
    scene.steps(60)
    # A book without quotes knows no price: that says nothing about the feed.
    assert inbox.alerts == []
    for number in range(3):
        firm.book.append(f"enforcement/ACC1/quotes-{number}", QuotesWanted(symbols=("ES",), reason="no price"))
        scene.step(1)
        assert len(inbox.alerts) == (1 if number else 0)
        firm.pass_seconds(59)
    assert "ACC1 holds ES without a usable price" in inbox.sentences[0]
    scene.steps(130)
    assert [each.ended for each in inbox.alerts] == [False, True]


def test_with_the_prices_it_is_sent_beside_the_process_that_has_the_receiver(
    firm: Firm, elsewhere: Book, inbox: Inbox
) -> None:
    keeper = Scene(elsewhere, PRICED, inbox, follow=True)
    trading = Scene(firm.book, PRICED, inbox)
    assert (keeper.receiving.is_keeper, trading.receiving.is_keeper) == (True, False)
    firm.fill("ACC1", Side.BUY, "5000")
    firm.pass_seconds(60)
    trading.steps(32)
    assert [each.subject.what for each in inbox.alerts] == ["FEED_STALE"]
    # The other one learns of it from the log, and sends it neither again nor its end.
    keeper.leaves_prices = True
    keeper.steps(3)
    assert [each.ended for each in inbox.alerts] == [False]
    # Once no process has the prices, it is not known that it is over.
    keeper.leaves_prices = False
    firm.policies.stop()
    keeper.steps(3)
    assert [each.ended for each in inbox.alerts] == [False]
    firm.policies.start(ticking=False)
    firm.quote("5000")
    trading.steps(2)
    assert [each.ended for each in inbox.alerts] == [False, True]
    assert len(set(ids(inbox))) == 2


def test_a_process_with_the_prices_takes_over_the_records_too(firm: Firm, elsewhere: Book, inbox: Inbox) -> None:
    keeper, trading = Scene(elsewhere, PRICED, inbox, follow=True), Scene(firm.book, PRICED, inbox)
    killed(keeper)
    trading.step(1)
    assert trading.receiving.is_keeper


def test_headroom_that_rests_on_no_price_is_known_without(firm: Firm, elsewhere: Book, inbox: Inbox) -> None:
    scene = Scene(elsewhere, PRICED, inbox, follow=True)
    firm.limit("daily-loss", "ACC1", limit="1000")
    firm.make("ACC1", "-950")
    scene.step(1)
    assert inbox.sentences == ["ACC1 has 5.0% of daily-loss left (50.00 USD)"]
    # With a position open it is not known here, and nothing is said to be over.
    firm.fill("ACC1", Side.BUY, "5000")
    scene.steps(5)
    assert len(inbox.alerts) == 1
