"""Who follows a log notices its end: books that decide nothing any more, policies, enforcers and group workers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from itertools import islice

import pytest

import projections
from eventstore import EventStore, LogHasEnded, Record
from eventstore.reader import FollowOptions
from eventstore.trading import AccountOpened, ContractDefined, OrderFilled, Verdict
from projections import Policies
from projections.ending import log_ended
from projections.enforcer import Enforcer
from projections.readiness import why_not_safe
from projections.risk import Proposal, check
from projections.rotation import rotate
from tests.rotation.facts import SUBMITTED, Opened

pytestmark = pytest.mark.in_each_place
WAIT_SECONDS = 20.0


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_a_book_whose_log_has_ended_lets_no_exposure_pass(old: EventStore, opened: Opened) -> None:
    """What the next log has, such as a fill or a lockout, is not known to it."""
    old.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD"))
    old.append("account/B/-", AccountOpened(starting_balance=Decimal(1_000), currency="USD"))
    proposal = Proposal.of("B", SUBMITTED)
    with projections.open(opened()) as book:
        assert check(book, proposal, book.now_ns()).verdict is Verdict.PASS
        rotate(old)
        answer = check(book, proposal, book.now_ns())
        assert answer.verdict is Verdict.REJECT
        assert "log main has ended, and what log main.2 has recorded since then is not known here" in answer.reason
        assert any("log main has ended" in each for each in why_not_safe(book, "B"))
    with projections.open(opened()) as book:
        assert check(book, proposal, book.now_ns()).verdict is Verdict.PASS


def test_a_book_that_is_at_the_end_of_an_earlier_log_is_not_at_its_own(new: EventStore) -> None:
    from projections.book import Book
    from projections.builtin import builtin_views
    from projections.fold import Fold

    book = Book(new, Fold(builtin_views()))
    positions = 0
    while book.refresh(at_most=1):
        positions += 1
        assert log_ended(book) is None
    assert positions == new.head()


def test_an_enforcer_ends_with_its_log(old: EventStore, opened: Opened) -> None:
    with projections.open(opened()) as book, ThreadPoolExecutor(1) as pool:
        enforcer = Enforcer(book, print)
        running = pool.submit(enforcer.run)
        rotate(old)
        try:
            error = running.exception(WAIT_SECONDS)
        finally:
            enforcer.stop()
    assert isinstance(error, LogHasEnded)
    assert (error.log, error.next) == ("main", "main.2")


def test_policies_end_with_their_log(old: EventStore, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """They began just after it was looked whether any run."""
    monkeypatch.setattr("projections.rotation._check_unused", lambda _: None)
    with projections.open(opened()) as book:
        policies = Policies(book, []).start(ticking=True)
        rotate(old)
        until(lambda: isinstance(policies.error, LogHasEnded))
        with pytest.raises(LogHasEnded):
            policies.stop()


@pytest.mark.parametrize("wanted", [{}, {"account": "A"}, {"stream": "order/A/"}, {"types": OrderFilled}])
def test_a_follower_ends_with_its_log_whichever_records_it_follows(
    wanted: FollowOptions, old: EventStore, opened: Opened
) -> None:
    follower = opened()
    cancel = threading.Event()
    with ThreadPoolExecutor(3) as pool:

        def follow(after: int) -> Future[list[Record]]:
            options: FollowOptions = {**wanted, "after": after}
            return pool.submit(list, follower.follow(cancel=cancel, **options))

        follows = [follow(0), follow(follower.head())]
        rotate(old)
        follows.append(follow(follower.head()))
        try:
            for each in follows:
                assert isinstance(each.exception(WAIT_SECONDS), LogHasEnded)
        finally:
            cancel.set()


def test_a_follower_of_the_next_log_passes_the_end_of_the_one_before(new: EventStore) -> None:
    assert [record.position for record in islice(new.follow(), new.head())] == list(range(1, new.head() + 1))
