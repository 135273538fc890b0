"""A claim found again by its record: by a service, whose caller claims in one request and answers in another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import projections
from eventstore import EventStore, InvalidEvent, ManualClock
from eventstore.trading import EnforcementClaimed, EnforcementTaken
from projections import Book
from projections.risk.enforcement.claims import LEASE_NS, claim, found_claim
from projections.views.enforcement import Enforcement
from tests.enforcement.scene import SECOND, ask


@pytest.fixture
def book(store: EventStore) -> Iterator[Book]:
    with projections.open(store) as opened:
        yield opened


def claim_id_of(book: Book, request: Enforcement) -> bytes:
    known = book.enforcement.get("A", request.request_id)
    assert known is not None
    return known.claim_id


def test_a_claim_is_found_by_its_record_and_answered_by_its_actor(book: Book, store: EventStore) -> None:
    request = ask(book)
    first = claim(book, request, "first", actor="desk-1")
    assert first is not None
    with projections.open(store) as other:
        found = found_claim(other, request, claim_id_of(book, request), actor="desk-1")
        assert found is not None
        assert found.is_held()
        assert found.answer(success=True)
    records = list(store.read(types=(EnforcementClaimed, EnforcementTaken)))
    assert [record.actor for record in records] == ["desk-1", "desk-1"]
    assert not first.is_held()


def test_a_claim_that_another_one_followed_is_not_found(book: Book, clock: ManualClock) -> None:
    request = ask(book)
    assert claim(book, request, "first") is not None
    claim_id = claim_id_of(book, request)
    clock.advance(LEASE_NS + SECOND)
    found = found_claim(book, request, claim_id)
    # Nobody else has claimed it yet: it may be extended, but nothing be done for it before.
    assert found is not None
    assert not found.is_held()
    assert claim(book, request, "second") is not None
    assert found_claim(book, request, claim_id) is None
    assert not found.extend()


def test_nothing_is_found_by_another_id_or_for_an_invalid_lease(book: Book) -> None:
    request = ask(book)
    assert found_claim(book, request, bytes(16)) is None
    assert claim(book, request, "first") is not None
    assert found_claim(book, request, request.id) is None
    with pytest.raises(InvalidEvent, match="a lease is"):
        found_claim(book, request, claim_id_of(book, request), lease_ns=0)
