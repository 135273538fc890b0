"""States of a cut are decoded when they are first needed, once, and as they were."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

import eventstore
import projections
from eventstore import EventStore, Unavailable
from projections import PartitionParked
from projections.cuts import states as cut_states
from projections.cuts.states import Undecoded, pack
from projections.cuts.troubles import DamagedError, SnapshotWarning
from projections.on_demand import decoder_of
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

    def slowly(packed: cut_states.Packed, decode: Callable[[bytes], object]) -> object:
        decoded.append(packed)
        began.set()
        assert go_on.wait(10)
        return usual(packed, decode)

    usual = cut_states.decoded
    with projections.open(store) as book:
        monkeypatch.setattr(cut_states, "decoded", slowly)
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
        view_state = book._fold.slots["executions"]
        before = view_state.states["A"]
        book.append("trade/A/U", bought("U", 3))
        # As a thread does that looked before the append and decodes after it.
        found = before.put(view_state.states, view_state.parked, "executions", "A")
        assert found is view_state.states["A"]
        assert book.positions.get("A", "ESZ5").quantity == 5


def break_state(book: projections.Book, raw: bytes) -> None:
    """Put bytes in the place of account A's executions that have the right digest."""
    view_state, broken = book._fold.slots["executions"], pack(raw)
    decoder = decoder_of(type(view_state.view.initial()))
    view_state.states["A"] = Undecoded(broken, broken.digest, decoder, book.position)


WITHOUT_STATE = b"\xc1 cannot be decoded"
# Its other members are in order: that one of its trades is not is found when this trade is asked for.
WITH_A_BAD_TRADE = msgspec.msgpack.encode({"recent": {"newer": {"T": 5, "V": ()}, "count": 1}})


@pytest.mark.parametrize("raw", [WITHOUT_STATE, WITH_A_BAD_TRADE])
@pytest.mark.parametrize("is_asked_first", [True, False])
def test_what_cannot_be_decoded_is_folded_again_and_no_other_account_is(
    store: EventStore, raw: bytes, *, is_asked_first: bool
) -> None:
    with projections.open(store) as book:
        break_state(book, raw)
        if is_asked_first:
            if raw is WITH_A_BAD_TRADE:
                with pytest.raises(PartitionParked, match="executions stopped for A"):
                    book.state("executions", "A").recent.find("T")
            with pytest.warns(SnapshotWarning, match="executions has of A cannot be decoded"):
                assert book.positions.get("A", "ESZ5").quantity == 2
        # The same report again needs the trade that cannot be decoded.
        book.append("trade/A/Z", bought("T", 2))
        book.append("trade/B/U", bought("U", 3))
        if not is_asked_first:
            with pytest.warns(SnapshotWarning, match="executions has of A cannot be decoded"):
                assert book.positions.get("A", "ESZ5").quantity == 2
        assert undecoded(book) & set(ACCOUNTS) == {"C"}
        assert not book.parked
        assert digest(book) == from_zero(store)
        assert book.snapshot()
    with projections.open(store) as again:
        assert digest(again) == from_zero(store)


def test_what_cannot_be_decoded_stays_parked_while_the_log_cannot_be_read(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_arguments: object, **_options: object) -> None:
        msg = "the log cannot be read"
        raise Unavailable(msg)

    with projections.open(store) as book:
        break_state(book, WITHOUT_STATE)
        with monkeypatch.context() as patched:
            patched.setattr("projections.fold_reader.retry", unreadable)
            with pytest.raises(PartitionParked, match="executions stopped for A"):
                book.positions.get("A", "ESZ5")
        with pytest.warns(SnapshotWarning):
            assert book.positions.get("A", "ESZ5").quantity == 2


def test_a_cut_leaves_out_a_view_that_cannot_be_decoded_until_it_is_folded_again(store: EventStore, cut: Path) -> None:
    with projections.open(store) as book:
        break_state(book, WITHOUT_STATE)
        for suffix in ("", "-wal", "-shm"):
            (cut / "main" / f"snapshots.sqlite{suffix}").unlink(missing_ok=True)
        book.append("trade/B/U", bought("U", 3))
        book._fold.slots["executions"].changed.add("A")
        with pytest.warns(SnapshotWarning, match="its state of A cannot be stored"):
            book.snapshot()
        with pytest.warns(SnapshotWarning, match="it was folded again"):
            book.state("executions", "A")
        book.append("trade/B/V", bought("V", 3))
        book.snapshot()
    with projections.open(store) as again:
        assert again.recovery.cut == store.head()
        assert digest(again) == from_zero(store)


def test_bytes_that_do_not_match_their_digest_are_refused_at_once() -> None:
    packed = pack(b"\x80")
    with pytest.raises(DamagedError, match="does not match its digest"):
        Undecoded(packed, bytes(32), decoder_of(dict), 1)
