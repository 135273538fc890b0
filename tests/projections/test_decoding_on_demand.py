"""States of a cut are decoded when they are first needed, once, and as they were."""

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import eventstore
import projections
from eventstore import EventStore
from projections import PartitionParked
from projections.cuts import states as cut_states
from projections.cuts.states import Undecoded, pack
from projections.cuts.troubles import DamagedError
from tests.projections.cutting import digest, from_zero
from tests.projections.examples import bought

ACCOUNTS = ("A", "B", "C")


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    with eventstore.open(tmp_path / "data") as store, projections.open(store) as book:
        for account in ACCOUNTS:
            book.append(f"trade/{account}/T", bought("T", 2))
        book.snapshot()
    return tmp_path / "data"


@pytest.fixture
def store(cut: Path) -> Iterator[EventStore]:
    with eventstore.open(cut) as opened:
        yield opened


def undecoded(book: projections.Book, view: str = "executions") -> set[str]:
    return {name for name, state in book._fold.slots[view].states.items() if state.__class__ is Undecoded}


def test_opening_decodes_no_account_and_a_question_decodes_its_own_alone(store: EventStore) -> None:
    with projections.open(store) as book:
        assert undecoded(book) >= set(ACCOUNTS)
        assert book.positions.get("B", "ESZ5").quantity == 2
        assert undecoded(book) & set(ACCOUNTS) == {"A", "C"}


def test_partitions_are_named_before_they_are_decoded(store: EventStore) -> None:
    with projections.open(store) as book:
        assert set(ACCOUNTS) <= set(book.partitions("executions"))
        assert undecoded(book) >= set(ACCOUNTS)


def test_what_is_folded_continues_from_the_state_of_the_cut(store: EventStore) -> None:
    with projections.open(store) as book:
        book.append("trade/A/U", bought("U", 3))
        assert undecoded(book) & set(ACCOUNTS) == {"B", "C"}
        assert book.positions.get("A", "ESZ5").quantity == 5
        assert digest(book) == from_zero(store)


def test_a_cut_of_what_was_never_decoded_is_whole(store: EventStore) -> None:
    with projections.open(store) as book:
        book.append("trade/A/U", bought("U", 3))
        book.snapshot()
        assert undecoded(book) & set(ACCOUNTS) == {"B", "C"}
    with projections.open(store) as again:
        assert again.recovery.cut == store.head()
        assert digest(again) == from_zero(store)


def test_a_cut_has_its_states_also_where_the_file_was_replaced(store: EventStore, cut: Path) -> None:
    with projections.open(store) as book:
        for suffix in ("", "-wal", "-shm"):
            (cut / "main" / f"snapshots.sqlite{suffix}").unlink(missing_ok=True)
        book.append("trade/A/U", bought("U", 3))
        book.snapshot()
        book.snapshot()
    with projections.open(store) as again:
        assert digest(again) == from_zero(store)


def test_threads_that_ask_at_once_get_one_state(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    began, go_on, decoded = threading.Event(), threading.Event(), []

    def slowly(packed: cut_states.Packed, decoder: msgspec.msgpack.Decoder[object]) -> object:
        decoded.append(packed)
        began.set()
        assert go_on.wait(10)
        return decode(packed, decoder)

    decode = cut_states.decode
    with projections.open(store) as book:
        monkeypatch.setattr(cut_states, "decode", slowly)
        found: list[object] = []
        asking = [threading.Thread(target=lambda: found.append(book.state("executions", "A"))) for _ in range(4)]
        for thread in asking:
            thread.start()
        assert began.wait(10)
        go_on.set()
        for thread in asking:
            thread.join(10)
        assert len(decoded) == 1
        assert len(found) == 4
        assert all(each is found[0] for each in found)


def test_a_question_never_takes_back_what_was_folded_meanwhile(store: EventStore) -> None:
    with projections.open(store) as book:
        states = book._fold.slots["executions"].states
        before = states["A"]
        book.append("trade/A/U", bought("U", 3))
        # As a thread does that looked before the append and decodes after it.
        assert before.put(states, "A") is states["A"]
        assert book.positions.get("A", "ESZ5").quantity == 5


@pytest.mark.parametrize("is_asked_first", [True, False])
def test_a_state_that_cannot_be_decoded_stops_its_account_alone_until_it_is_folded_again(
    store: EventStore, *, is_asked_first: bool
) -> None:
    with projections.open(store) as book:
        broken = pack(b"\xc1 cannot be decoded")
        decoder = msgspec.msgpack.Decoder(type(book._fold.slots["executions"].view.initial()))
        book._fold.slots["executions"].states["A"] = Undecoded(broken, broken.digest, decoder)
        if is_asked_first:
            with pytest.raises(PartitionParked, match="executions stopped for A"):
                book.positions.get("A", "ESZ5")
        book.append("trade/A/U", bought("U", 3))
        book.append("trade/B/U", bought("U", 3))
        with pytest.raises(PartitionParked):
            book.positions.get("A", "ESZ5")
        assert book.positions.get("B", "ESZ5").quantity == 5
        assert book.retry("executions", "A")
        assert book.positions.get("A", "ESZ5").quantity == 5
        assert digest(book) == from_zero(store)


def test_bytes_that_do_not_match_their_digest_are_refused_at_once() -> None:
    packed = pack(b"\x80")
    with pytest.raises(DamagedError, match="does not match its digest"):
        Undecoded(packed, bytes(32), msgspec.msgpack.Decoder())
