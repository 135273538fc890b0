"""The books of workers that share the accounts of a log: what they fold, begin from, answer and show."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import projections
from eventstore.journals.postgres.side import PostgresSide
from eventstore.trading import AccountOpened, GroupDefined
from gateways.alerting.checks import OK, WRONG, group_checks
from gateways.http.metrics import LogFigures
from projections import loading
from projections.membership import group_state, owner_of
from projections.shares import SHARES, AccountShares, share_of
from projections.view import is_for_all
from tests.postgres.desks import ACCOUNTS, EVERY, GROUP, Desk, states_of
from tests.postgres.drill import check_epochs, epochs_of
from tests.postgres.following import digest_of
from tests.waiting import WAIT_SECONDS, until


def test_a_book_of_shares_has_their_accounts_and_those_opened_later(desk: Desk) -> None:
    desk.submit(80)
    half = AccountShares(frozenset(range(0, SHARES, 2)))
    with projections.open(desk.store, accounts=half) as book, projections.open(desk.store) as whole:
        desk.store.append("account/NEW/-", AccountOpened(starting_balance=Decimal(1), currency="USD"))
        book.refresh()
        whole.refresh()
        own = {key: state for key, state in states_of(whole).items() if key[1] in half or is_for_all(key[1])}
        assert states_of(book) == own
        assert book.position == whole.position == 81
        assert book.covers("NEW") is (share_of("NEW") % 2 == 0)


def test_a_lookup_is_the_owners_or_of_the_newest_cut_and_says_its_position(desk: Desk) -> None:
    first, second = desk.worker("a"), desk.worker("b")
    until(lambda: len(first.shares) == len(second.shares) == SHARES // 2)
    desk.submit(80)
    for account in ACCOUNTS[:6]:
        for worker in (first, second):
            book = worker.book_of(account)
            assert (book is worker.book) is worker.owns(account)
            assert len(book.orders.open(account)) == 2
            assert book.position >= 80


def test_the_owner_of_an_account_is_found(desk: Desk) -> None:
    workers = {id: desk.worker(id) for id in "ab"}
    for account in ACCOUNTS[:6]:

        def is_found(account: str = account) -> bool:
            owner = owner_of(desk.store, GROUP, account)
            return owner is not None and workers[owner.id].owns(account)

        until(is_found)


def test_a_group_of_accounts_is_judged_by_each_owner_of_a_member(desk: Desk) -> None:
    desk.store.append("group/-/G", GroupDefined(accounts=("ACC1", "ACC2")), actor="me")
    first, second = desk.worker("a"), desk.worker("b")
    until(lambda: len(first.shares) == len(second.shares) == SHARES // 2)
    for worker in (first, second):
        book = worker.book
        assert book is not None
        is_owner = worker.owns("ACC1") or worker.owns("ACC2")
        assert all(map(book.covers, ("ACC1", "ACC2"))) is is_owner


def test_a_group_of_accounts_that_is_defined_later_is_taken_along(desk: Desk) -> None:
    first, second = desk.worker("a"), desk.worker("b")
    until(lambda: len(first.shares) == len(second.shares) == SHARES // 2)
    desk.store.append("group/-/G", GroupDefined(accounts=("ACC1", "ACC2", "ACC3")), actor="me")

    def is_taken() -> bool:
        books = [worker.book for worker in (first, second) if worker.owns("ACC1")]
        return bool(books) and all(book is not None and all(map(book.covers, ("ACC2", "ACC3"))) for book in books)

    until(is_taken)


def test_the_books_of_all_members_together_equal_one_fold(desk: Desk) -> None:
    workers = [desk.worker(id) for id in "abc"]
    until(lambda: sorted(len(worker.shares) for worker in workers) == [21, 21, 22])
    desk.submit(400)
    desk.decided()
    head = desk.store.head()
    until(lambda: all(worker.book is not None and worker.book.position >= head for worker in workers))
    found: dict[tuple[str, str], Any] = {}
    for worker in workers:
        book = worker.book
        assert book is not None
        with book.paused():
            found |= {key: state for key, state in states_of(book).items() if worker.owns(key[1]) or is_for_all(key[1])}
    with projections.open(desk.store, snapshots=False) as whole:
        assert whole.position == head
        assert digest_of(found) == digest_of(states_of(whole))


def test_a_new_owner_begins_at_the_last_ones_cut_and_epochs_rise_with_positions(desk: Desk) -> None:
    first = desk.worker("a")
    assert first.wait(SHARES, WAIT_SECONDS)
    desk.submit(200)
    until(lambda: first.position >= desk.store.head())
    first.stop()
    at = desk.store.head()
    cuts = epochs_of(desk.store)
    assert {name.partition("\x1f")[2] for name in cuts} == {f"#{share:02}" for share in range(SHARES)}
    desk.submit(40)
    second = desk.worker("b")
    assert second.wait(SHARES, WAIT_SECONDS)
    book = second.book
    assert book is not None
    assert book.recovery.cut >= at > 0
    desk.decided()
    second.stop()
    with projections.open(desk.store, snapshots=False) as whole, projections.open(desk.store, accounts=EVERY) as book:
        assert digest_of(states_of(book)) == digest_of(states_of(whole))
    check_epochs(desk.store)
    assert any(len({epoch for epoch, _ in found}) > 1 for found in epochs_of(desk.store).values())


def test_one_accounts_past_begins_at_the_cut_of_its_share(desk: Desk) -> None:
    worker = desk.worker("a")
    assert worker.wait(SHARES, WAIT_SECONDS)
    desk.submit(200)
    until(lambda: worker.position >= desk.store.head())
    worker.stop()
    desk.submit(40)
    assert owner_of(desk.store, GROUP, "ACC1") is None
    past = projections.as_of(desk.store, account="ACC1")
    assert past._fold._records.oldest >= 200  # type: ignore[attr-defined] # of a book of the past
    with projections.open(desk.store, snapshots=False) as whole:
        assert past.orders.open("ACC1") == whole.orders.open("ACC1")


@pytest.mark.slow
def test_metrics_and_health_show_who_works_and_what_is_nobodys(desk: Desk) -> None:
    assert list(group_checks(desk.store)) == []
    first, second = desk.worker("a"), desk.worker("b")
    until(lambda: len(first.shares) == len(second.shares) == SHARES // 2)
    desk.submit(40)
    until(lambda: first.position == second.position == desk.store.head())
    until(lambda: all(each.events_behind == 0 for each in group_state(desk.store, GROUP).members))
    with projections.open(desk.store) as book:
        shown = "".join(each.text for each in LogFigures(desk.store, book).collect())
    for line in (
        'members{group="desk"} 2',
        'partitions_free{group="desk"} 0',
        'partitions{group="desk",member="a"} 32',
    ):
        assert line in shown
    assert 'eventstore_group_member_lag_events{group="desk",member="b"} 0' in shown
    (check,) = group_checks(desk.store)
    assert check.status == OK
    assert "2 work" in check.detail
    # One that is killed leaves its row, and nobody takes its part while there is no other.
    second.stop()
    until(lambda: len(first.shares) == SHARES)
    side = desk.store.side
    assert isinstance(side, PostgresSide)
    assert side.evict(GROUP, "a")
    until(lambda: first.error is not None)
    until(lambda: len(group_state(desk.store, GROUP).free) == SHARES)
    (check,) = group_checks(desk.store)
    assert check.status == WRONG
    assert "64 of 64 partitions are nobody's" in check.detail


@pytest.mark.slow
def test_a_book_of_all_accounts_begins_at_the_cuts_of_all_shares(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "SHARES_EVENTS_MIN", 100)
    first, second = desk.worker("a"), desk.worker("b")
    until(lambda: len(first.shares) == len(second.shares) == SHARES // 2)
    desk.submit(200)
    until(lambda: first.position == second.position == desk.store.head())
    second.stop()
    desk.submit(30)
    until(lambda: len(first.shares) == SHARES)
    first.stop()
    desk.submit(30)
    with projections.open(desk.store) as book, projections.open(desk.store, snapshots=False) as whole:
        assert book.recovery.cut >= 200
        assert digest_of(states_of(book)) == digest_of(states_of(whole))
        assert book.snapshot()
    with projections.open(desk.store) as book:
        assert book.recovery.cut == desk.store.head()
