"""What is appended again to a rotated log is found before any condition counts, whichever of its logs has it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from eventstore import Batch, DuplicateEvent, EventStore, Record, StoreError, Unchanged, VersionConflict
from eventstore.trading import OrderCanceled
from projections.rotation import rotate
from tests.rotation.facts import SUBMITTED, Opened, filled

pytestmark = pytest.mark.in_each_place
ORDER, OTHER = "order/A/O-1", "order/A/O-2"
KEYED = Batch(ORDER, OrderCanceled(), key="cancel")
"""Recorded after the rotation, at version 3 of a stream of which the old log has two."""
OLD_KEYED = Batch(OTHER, SUBMITTED, key="sent")
OLD_FILL, NEW_FILL = Batch(ORDER, filled("T-1")), Batch(ORDER, filled("T-2"))


@pytest.fixture(params=["rotated", "not rotated"])
def store(request: pytest.FixtureRequest, old: EventStore, opened: Opened) -> EventStore:
    """Return a log of the same history, with a rotation in the middle of it or without one."""
    old.append_many([OLD_KEYED])
    if request.param == "rotated":
        rotate(old)
        old.close()
    store = opened()
    store.append_many([KEYED])
    store.append_many([NEW_FILL])
    return store


def places(records: Sequence[Record]) -> list[tuple[str, int]]:
    return [(record.stream, record.version) for record in records]


@pytest.mark.parametrize("expected", [0, 1, 2, 3, 9])
def test_a_key_of_the_log_itself_is_found_whatever_is_expected(store: EventStore, expected: int) -> None:
    [record] = store.append(ORDER, OrderCanceled(), key="cancel", expected=expected)
    assert places([record]) == [(ORDER, 3)]
    assert store.version(ORDER) == 4


@pytest.mark.parametrize("expected", [0, 2, 9])
def test_a_report_that_is_repeated_is_found_whatever_is_expected(store: EventStore, expected: int) -> None:
    assert places(store.append(ORDER, filled("T-2"), expected=expected)) == [(ORDER, 4)]
    assert places(store.append(ORDER, filled("T-1"), expected=expected)) == [(ORDER, 2)]


def test_a_key_is_found_before_an_account_has_changed(store: EventStore) -> None:
    unchanged = Unchanged(accounts=("A",), since=1)
    assert places(store.append(ORDER, OrderCanceled(), key="cancel", unchanged=unchanged)) == [(ORDER, 3)]
    with pytest.raises(VersionConflict):
        store.append(ORDER, OrderCanceled(), key="another", unchanged=unchanged)


@pytest.mark.parametrize(
    "batches",
    [
        [OLD_KEYED, NEW_FILL],
        [OLD_KEYED, OLD_FILL],
        [KEYED, OLD_FILL, NEW_FILL],
        [NEW_FILL, OLD_KEYED, OLD_FILL, KEYED],
    ],
)
def test_what_different_logs_have_is_found_together(store: EventStore, batches: list[Batch]) -> None:
    head = store.head()
    expected = {id(KEYED): (ORDER, 3), id(OLD_KEYED): (OTHER, 1), id(OLD_FILL): (ORDER, 2), id(NEW_FILL): (ORDER, 4)}
    assert places(store.append_many(batches)) == [expected[id(batch)] for batch in batches]
    assert store.head() == head


def other_content(store: EventStore) -> object:
    return store.append(ORDER, SUBMITTED, key="cancel", expected=0)


def only_a_part(store: EventStore) -> object:
    return store.append_many([Batch(ORDER, SUBMITTED, expected=0), KEYED])


@pytest.mark.parametrize("append", [other_content, only_a_part])
def test_what_contradicts_a_key_is_said_before_a_conflict(
    store: EventStore, append: Callable[[EventStore], object]
) -> None:
    head = store.head()
    with pytest.raises(StoreError) as caught:
        append(store)
    assert type(caught.value) is DuplicateEvent
    assert store.head() == head
