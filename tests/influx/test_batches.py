"""Batches are encoded ahead while records wait, else when they are requested, with everything appended by then."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from eventstore import CorruptJournal, EventStore
from eventstore.influx.points import Encoder
from eventstore.influx.ship import batches
from eventstore.influx.ship.batches import BatchEncoder
from eventstore.proofs.merkle import TILE
from eventstore.proofs.verify import tree_at
from tests.influx.mirroring import WAIT_SECONDS, event, fill
from tests.influx.test_claims import measures_of
from tests.waiting import until

Opened = Callable[[int], BatchEncoder]


@pytest.fixture
def encode(store: EventStore) -> Iterator[Opened]:
    """Open an encoder of the store's records after a position."""
    with contextlib.ExitStack() as stack:

        def opened(position: int) -> BatchEncoder:
            encoder = BatchEncoder(store._journal, tree_at(store._journal, position), symbols=True)
            return stack.enter_context(contextlib.closing(encoder))

        yield opened


def test_a_batch_has_everything_appended_before_it_was_requested(store: EventStore, encode: Opened) -> None:
    encoder = encode(0)
    first = encoder.next(WAIT_SECONDS)
    assert first is not None
    assert (first.first, first.position) == (1, 10)
    for _ in range(3):
        fill(store, 5)
        time.sleep(20 * batches.POLL_SECONDS)
    second = encoder.next(WAIT_SECONDS)
    assert second is not None
    assert (second.first, second.position, len(second.lines)) == (11, 25, 15)


def test_waiting_records_are_encoded_ahead(store: EventStore, encode: Opened) -> None:
    fill(store, 3 * batches.LIMIT_MIN)
    encoder = encode(0)
    first = encoder.next(WAIT_SECONDS)
    assert first is not None
    assert first.position == batches.LIMIT_MIN
    until(lambda: not encoder._ready.empty(), "the next batch is ready before it is requested")


def test_an_encoder_looks_at_once_when_it_is_woken(
    store: EventStore, encode: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "POLL_SECONDS", 10 * WAIT_SECONDS)
    encoder = encode(10)
    assert encoder.next(0.1) is None
    fill(store, 1)
    assert encoder.next(0.1) is None, "it polls rarely here"
    encoder.wake()
    found = encoder.next(WAIT_SECONDS)
    assert found is not None
    assert found.position == 11


def test_a_wake_before_a_batch_is_requested_is_not_lost(
    store: EventStore, encode: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "POLL_SECONDS", 10 * WAIT_SECONDS)
    encoder = encode(10)
    fill(store, 1)
    encoder.wake()
    found = encoder.next(WAIT_SECONDS)
    assert found is not None
    assert found.position == 11


def test_a_batch_names_its_last_point_and_the_one_before_its_first(store: EventStore, encode: Opened) -> None:
    keys = Encoder("main", store.log_id, measures_of(store)).key
    records = list(store.read())
    whole, rest = encode(0).next(WAIT_SECONDS), encode(4).next(WAIT_SECONDS)
    assert whole is not None
    assert rest is not None
    assert whole.keys == (keys(records[-1]),)
    assert rest.keys == (keys(records[3]), keys(records[-1]))


def test_the_record_before_the_first_batch_is_verified_too(store: EventStore, encode: Opened) -> None:
    """The tree alone does not read it where a tile ends."""
    fill(store, TILE)
    store._journal._writer.execute("DELETE FROM event WHERE position = ?", (TILE,))  # type: ignore[attr-defined]
    with pytest.raises(CorruptJournal, match="the record is missing") as caught:
        encode(TILE).next(WAIT_SECONDS)
    assert caught.value.position == TILE


def test_nothing_is_skipped_or_repeated_while_another_thread_appends(store: EventStore, encode: Opened) -> None:
    last = 310

    def append() -> None:
        for number in range(last - 10):
            store.append(f"order/ACC1/{number}", event(number))

    encoder, position = encode(0), 0
    thread = threading.Thread(target=append)
    thread.start()
    while position < last:
        batch = encoder.next(WAIT_SECONDS)
        assert batch is not None
        assert (batch.first, len(batch.lines)) == (position + 1, batch.position - position)
        position = batch.position
    thread.join()
