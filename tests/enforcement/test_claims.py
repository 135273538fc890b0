"""Claims of requests: one claimant at a time, whatever clocks do, and nobody acts on a lease that has ended."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import EventStore, InvalidEvent, ManualClock, ReadOnly
from eventstore.trading import (
    EnforcementClaimed,
    EnforcementRequested,
    EnforcementTaken,
    LockoutCleared,
    LockoutExpired,
    LockoutSet,
)
from projections import Book
from projections.risk.enforcement.claims import LEASE_NS, LeaseLost, RequestClaim, claim, claims_stream, lease_left
from projections.risk.enforcement.requests import next_attempt
from projections.views.enforcement import Enforcement
from tests.enforcement.scene import SECOND, START, ask, store_in_memory
from tests.places import Place
from tests.proving import rounds
from tests.reference.claims import Claims

pytestmark = pytest.mark.in_each_place(slow=True)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def book(store: EventStore) -> Iterator[Book]:
    with projections.open(store) as opened:
        yield opened


def claimed(book: Book, claimant: str = "first") -> RequestClaim:
    held = claim(book, ask(book), claimant)
    assert held is not None
    return held


def test_one_of_two_gets_it(book: Book, store: EventStore) -> None:
    held = claimed(book)
    with projections.open(store) as other:
        [request] = other.enforcement.pending("A")
        assert claim(other, request, "second") is None
        assert lease_left(other, request) == LEASE_NS
    assert held.is_held()


def locked_for(book: Book, until: int | None = None) -> Enforcement:
    """Return a request of a lockout that is in force."""
    book.append("lockout/A/desk", LockoutSet(rule_id="desk", until=until))
    return ask(book)


def test_who_has_it_may_not_act_once_the_lockout_was_ended(book: Book) -> None:
    """A person who ends it need not know of the request, so that nobody has answered it."""
    held = claim(book, locked_for(book), "first")
    assert held is not None
    assert held.is_held()
    book.append("lockout/A/desk", LockoutCleared(by="me"))
    with pytest.raises(LeaseLost, match="its lockout was ended"):
        held.require()
    # One that is set afterwards makes requests of its own.
    book.append("lockout/A/desk", LockoutSet(rule_id="desk"))
    assert not held.is_held()
    assert held.answer(success=False)


def test_who_has_it_may_act_on_what_an_expired_lockout_left(book: Book, clock: ManualClock) -> None:
    held = claim(book, locked_for(book, until=START + SECOND), "first")
    assert held is not None
    clock.advance(2 * SECOND)
    assert held.is_held()
    book.append("lockout/A/desk", LockoutExpired())
    assert held.is_held()


def test_what_was_ended_cannot_be_claimed(book: Book) -> None:
    request = locked_for(book)
    book.append("lockout/A/desk", LockoutCleared(by="me"))
    assert claim(book, request, "first") is None


def test_what_is_asked_again_while_it_is_resumed_cannot_be_carried_out(book: Book) -> None:
    """The attempt comes after what was withdrawn was looked up, and before that is appended: nobody withdraws it."""
    first = locked_for(book)
    book.append(*next_attempt(first, "nobody has answered"))
    [again] = book.enforcement.pending("A")
    held = claim(book, again, "first")
    assert held is not None
    book.append("lockout/A/desk", LockoutCleared(by="me"))
    assert not held.is_held()
    assert claim(book, again, "second") is None


def test_a_lease_that_has_ended_is_taken_over(book: Book, store: EventStore, clock: ManualClock) -> None:
    held = claimed(book)
    with projections.open(store) as other:
        [request] = other.enforcement.pending("A")
        clock.advance(LEASE_NS - 1)
        assert claim(other, request, "second") is None
        assert held.is_held()
        clock.advance(1)
        assert not held.is_held()
        taken = claim(other, request, "second")
        assert taken is not None
        assert taken.is_held()
    # It may not come back, nor answer: the other one does.
    assert not held.extend()
    assert not held.answer(success=True)
    assert not held.release()
    with pytest.raises(LeaseLost, match="R1 of A is not held any more"):
        held.require()


def test_an_ended_lease_that_nobody_took_over_is_extended(book: Book, clock: ManualClock) -> None:
    held = claimed(book)
    clock.advance(2 * LEASE_NS)
    assert not held.is_held()
    assert held.extend()
    assert held.is_held()


def test_an_answer_ends_it(book: Book) -> None:
    held = claimed(book)
    assert held.answer(success=True, details={"closed": "2"})
    assert not held.is_held()
    assert not held.answer(success=False)
    request = book.enforcement.get("A", "R1")
    assert request is not None
    assert (request.taken, request.success, request.taken_details) == (True, True, {"closed": "2"})
    assert claim(book, request, "second") is None


def test_an_answer_by_somebody_else_ends_it(book: Book) -> None:
    held = claimed(book)
    book.append("enforcement/A/R1", EnforcementTaken(request_id="R1", success=False))
    assert not held.is_held()
    assert not held.extend()


def test_a_released_request_is_claimed_at_once(book: Book) -> None:
    held = claimed(book)
    assert held.release()
    assert not held.is_held()
    [request] = book.enforcement.pending("A")
    assert claim(book, request, "second") is not None


def test_a_clock_that_is_set_ahead_ends_the_lease_for_its_holder_too(
    book: Book, store: EventStore, clock: ManualClock
) -> None:
    held = claimed(book)
    clock.set(START + 3_600 * SECOND)
    assert not held.is_held()
    with projections.open(store) as other:
        assert claim(other, other.enforcement.pending("A")[0], "second") is not None
    clock.set(START)
    assert not held.is_held()


def test_a_clock_that_is_set_back_makes_no_lease_longer(book: Book, store: EventStore, clock: ManualClock) -> None:
    held = claimed(book)
    with projections.open(store) as other:
        [request] = other.enforcement.pending("A")
        assert claim(other, request, "second") is None
        # From here on the other process counts by its own monotonic clock.
        clock.set(START - 3_600 * SECOND)
        clock.advance(LEASE_NS - 1)
        assert claim(other, request, "second") is None
        clock.advance(1)
        assert not held.is_held()
        assert claim(other, request, "second") is not None


def test_a_claim_that_is_first_seen_after_the_clock_was_set_back_ends_within_a_minute(
    book: Book, store: EventStore, clock: ManualClock
) -> None:
    claimed(book)
    clock.set(START - 3_600 * SECOND)
    with projections.open(store) as other:
        [request] = other.enforcement.pending("A")
        assert claim(other, request, "second") is None
        clock.advance(60 * SECOND - 1)
        assert claim(other, request, "second") is None
        clock.advance(1)
        taken = claim(other, request, "second")
        assert taken is not None
        assert taken.is_held()
    book.refresh()
    assert book.enforcement.pending("A")[0].claimant == "second"
    assert not book.enforcement.anomalies("A")


def test_an_absurdly_long_claim_is_not_believed(book: Book, clock: ManualClock) -> None:
    request = ask(book)
    event = EnforcementClaimed(request_id="R1", claimant="a foreign one", lease_until=START + 10**9 * SECOND)
    book.append("enforcement/A/R1", event)
    assert claim(book, request, "second") is None
    clock.advance(60 * SECOND)
    assert claim(book, request, "second") is not None


def test_a_process_of_the_same_name_is_another_one(book: Book, store: EventStore, clock: ManualClock) -> None:
    held = claimed(book, "enforcer")
    with projections.open(store) as other:
        [request] = other.enforcement.pending("A")
        assert claim(other, request, "enforcer") is None
        clock.advance(LEASE_NS)
        assert claim(other, request, "enforcer") is not None
    assert not held.is_held()
    assert not held.extend()


def test_a_request_whose_id_cannot_name_a_stream_is_claimed_by_its_record_s_id(book: Book, store: EventStore) -> None:
    long = "R" * 200
    book.append("enforcement/A/-", EnforcementRequested(rule_id="desk", action="FLATTEN", request_id=long))  # type: ignore[arg-type]
    [request] = book.enforcement.pending("A")
    assert claims_stream(request) == f"enforcement/A/{request.uuid}"
    held = claim(book, request, "first")
    assert held is not None
    with projections.open(store) as other:
        assert claim(other, other.enforcement.pending("A")[0], "second") is None
    assert held.answer(success=True)


@pytest.mark.parametrize("lease", [0, -1, 61 * SECOND, 1.5, True])
def test_a_malformed_lease_is_refused(book: Book, lease: object) -> None:
    with pytest.raises(InvalidEvent, match="a lease is an int of nanoseconds"):
        claim(book, ask(book), "first", lease_ns=lease)  # type: ignore[arg-type]


def test_a_claimant_without_a_name_is_refused(book: Book) -> None:
    with pytest.raises(InvalidEvent, match="name the process"):
        claim(book, ask(book), " ")


def test_a_past_book_claims_nothing(book: Book, store: EventStore) -> None:
    request = ask(book)
    with pytest.raises(ReadOnly):
        claim(projections.as_of(store, position=store.head()), request, "first")


def test_many_threads_get_it_once(place: Place) -> None:
    with eventstore.open(place) as first, eventstore.open(place) as second:
        books = [projections.open(store) for store in (first, second)]
        requests = [ask(books[0], request_id=f"R{number}", symbol=f"S{number}") for number in range(10)]
        books[1].refresh()
        gate = threading.Barrier(4)
        got: list[str] = []

        def run(number: int) -> None:
            for request in requests:
                gate.wait()
                if claim(books[number % 2], request, f"thread {number}") is not None:
                    got.append(request.request_id)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        for book in books:
            book.close()
    assert sorted(got) == sorted(request.request_id for request in requests)


_CLAIMING = """
import sys
import eventstore, projections
from projections.risk.enforcement.claims import claim
with eventstore.open(sys.argv[1]) as store, projections.open(store) as book:
    print("ready", flush=True)
    sys.stdin.readline()
    for request in book.enforcement.pending("A"):
        if claim(book, request, sys.argv[2]) is not None:
            print(request.request_id, flush=True)
"""


def test_two_processes_get_each_request_once(place: Place) -> None:
    with eventstore.open(place) as store, projections.open(store) as book:
        # About a symbol each: of many requests for the same, only the newest are pending.
        names = [ask(book, request_id=f"R{number}", symbol=f"S{number}").request_id for number in range(20)]
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _CLAIMING, str(place), f"process {number}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(ROOT)},
        )
        for number in range(2)
    ]  # fmt: skip
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    got = [name for child in children for name in child.communicate(timeout=60)[0].split()]
    assert sorted(got) == sorted(names)


class World:
    """Several processes with a book each on one log, and the model of the same."""

    def __init__(self, chance: random.Random) -> None:
        self.chance, self.clock = chance, ManualClock(START)
        self.store = store_in_memory(self.clock)
        self.books = [projections.open(self.store, snapshots=False) for _ in range(3)]
        self.request = ask(self.books[0])
        self.claims: list[RequestClaim | None] = [None, None, None]
        self.model = Claims(3, START)

    def step(self) -> None:
        who, lease = self.chance.randrange(3), self.chance.choice([1, 5, 10]) * SECOND
        held = self.claims[who]
        match self.chance.choice(["claim", "claim", "extend", "answer", "release", "pass", "pass", "set", "look"]):
            case "claim":
                fresh = claim(self.books[who], self.request, f"process {who}", lease_ns=lease)
                assert (fresh is not None) is self.model.claim(who, lease)
                self.claims[who] = fresh or held
            case "extend" if held is not None:
                assert held.extend() is self.model.extend(who, held.lease_ns)
            case "release" if held is not None:
                assert held.release() is self.model.release(who)
            case "answer" if held is not None and self.chance.random() < 0.1:
                assert held.answer(success=True) is self.model.answer(who)
            case "pass":
                length = self.chance.choice([1, 3 * SECOND, 10 * SECOND])
                self.clock.advance(length)
                self.model.pass_time(length)
            case "set":
                wall = START + self.chance.randrange(-100, 100) * SECOND
                self.clock.set(wall)
                self.model.set_wall(wall)
            case _:
                self.look()

    def look(self) -> None:
        found = [held is not None and held.is_held() for held in self.claims]
        assert found == [self.model.is_held(who) for who in range(3)]
        assert sum(found) <= 1


@pytest.mark.untraced
def test_claims_follow_the_model() -> None:
    for seed in rounds("claims of requests", test=200, prove=20_000):
        world = World(random.Random(seed))
        for _ in range(25):
            world.step()
        world.look()
        for book in world.books:
            book.close()
        world.store.close()
