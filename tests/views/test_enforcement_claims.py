"""Claims of requests: one process has a request, for as long as its lease runs by the records' times; attempts."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

import projections
from eventstore import EventStore, InvalidEvent, ManualClock
from eventstore.clock import NANOSECONDS, to_ns
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    ClockJumped,
    EnforcementAction,
    EnforcementClaimed,
    EnforcementEscalated,
    EnforcementRequested,
    EnforcementTaken,
)
from projections import Book
from projections.views.enforcement import Enforcement, EnforcementAnomalyKind, EnforcementState, transitions

NOON = datetime(2025, 7, 21, 12, tzinfo=UTC)
BEGAN = to_ns(NOON)
SECOND = NANOSECONDS
Kind = EnforcementAnomalyKind


class Desk:
    """A book on a log in memory, at a time of its own."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOON)
        self.store = EventStore(MemoryJournal(clock=self.clock), clock=self.clock)
        self.book: Book = projections.open(self.store)

    def ask(self, request_id: str = "R1", attempt: int = 1, account: str = "A") -> None:
        event = EnforcementRequested(rule_id="loss", action=EnforcementAction.FLATTEN, attempt=attempt)
        self.book.append(f"enforcement/{account}/{request_id}", event)

    def claim(
        self, claimant: str, lease: int, request_id: str = "R1", account: str = "A", at: int | None = None
    ) -> Enforcement:
        """Claim a request until so many seconds after noon; return what the book has of it."""
        event = EnforcementClaimed(request_id=request_id, claimant=claimant, lease_until=BEGAN + lease * SECOND)
        self.book.append(f"enforcement/{account}/{request_id}", event, occurred_at=at)
        return self.request(request_id)

    def answer(self, request_id: str = "R1", *, success: bool = True) -> None:
        self.book.append(f"enforcement/A/{request_id}", EnforcementTaken(request_id=request_id, success=success))

    def escalate(self, request_id: str = "R1", why: str = "three attempts") -> None:
        event = EnforcementEscalated(request_id=request_id, attempts=3, why=why)
        self.book.append(f"enforcement/A/{request_id}", event)

    def request(self, request_id: str = "R1") -> Enforcement:
        found = self.book.enforcement.get("A", request_id)
        assert found is not None
        return found

    @property
    def anomalies(self) -> list[str]:
        return [each.kind for each in self.book.enforcement.anomalies("A")]

    @property
    def pending(self) -> list[str]:
        return [each.request_id for each in self.book.enforcement.pending("A")]

    def now(self, seconds: float) -> None:
        self.clock.set(BEGAN + int(seconds * SECOND))


@pytest.fixture
def desk() -> Iterator[Desk]:
    found = Desk()
    with found.store, found.book:
        yield found


def test_a_claim_of_nothing_changes_nothing(desk: Desk) -> None:
    desk.ask(account="B")
    desk.book.append("enforcement/A/R1", EnforcementClaimed(request_id="R1", claimant="one", lease_until=BEGAN))
    assert desk.book.enforcement.of("A") == ()
    assert desk.book.enforcement.pending("B")[0].claimant == ""
    assert desk.anomalies == [Kind.UNKNOWN_REQUEST]


@pytest.mark.parametrize("claimant", ["", " ", "\t"])
def test_a_claim_without_a_name_is_refused(desk: Desk, claimant: str) -> None:
    desk.ask()
    with pytest.raises(InvalidEvent, match="without a claimant"):
        desk.claim(claimant, 10)


def test_the_first_claim_has_the_request_while_its_lease_runs(desk: Desk) -> None:
    desk.ask()
    desk.claim("one", 10)
    desk.now(9)
    request = desk.claim("two", 19)
    assert (request.claimant, request.claimed_at, request.lease_until) == ("one", BEGAN, BEGAN + 10 * SECOND)
    assert desk.anomalies == [Kind.CLAIMED_TWICE]
    assert desk.pending == ["R1"]
    assert (request.is_claimed(BEGAN + 10 * SECOND - 1), request.is_claimed(BEGAN + 10 * SECOND)) == (True, False)


def test_an_expired_lease_is_taken_over(desk: Desk) -> None:
    desk.ask()
    desk.claim("one", 10)
    desk.now(10)
    request = desk.claim("two", 20)
    assert (request.claimant, request.claimed_at) == ("two", BEGAN + 10 * SECOND)
    desk.now(11)
    # Who was late has lost it.
    assert desk.claim("one", 21).claimant == "two"
    assert desk.anomalies == [Kind.CLAIMED_TWICE]


def test_neither_time_of_a_record_alone_ends_a_lease(desk: Desk) -> None:
    desk.ask()
    desk.claim("one", 10)
    desk.now(1)
    assert desk.claim("two", 30, at=BEGAN + 20 * SECOND).claimant == "one"
    desk.now(20)
    assert desk.claim("two", 30, at=BEGAN + SECOND).claimant == "one"
    assert desk.anomalies == [Kind.CLAIMED_TWICE] * 2


def test_the_same_claimant_extends_and_never_shortens(desk: Desk) -> None:
    desk.ask()
    desk.claim("one", 10)
    desk.now(5)
    assert desk.claim("one", 15).lease_until == BEGAN + 15 * SECOND
    request = desk.claim("one", 12)
    assert (request.claimed_at, request.lease_until) == (BEGAN, BEGAN + 15 * SECOND)
    desk.now(15)
    assert desk.claim("one", 25).claimed_at == BEGAN + 15 * SECOND
    assert desk.anomalies == []


@pytest.mark.parametrize("lease", [62, 86_400, 5_000_000_000])
def test_a_lease_is_a_minute_at_most(desk: Desk, lease: int) -> None:
    desk.ask()
    desk.now(1)
    assert desk.claim("one", lease).lease_until == BEGAN + 61 * SECOND
    assert desk.anomalies == [Kind.LEASE_TOO_LONG]


def test_a_lease_that_is_over_when_it_is_recorded_is_none(desk: Desk) -> None:
    desk.ask()
    desk.now(10)
    assert desk.claim("one", 10).lease_until is None
    assert desk.claim("one", -99_999).claimant == ""
    assert desk.anomalies == [Kind.LEASE_OVER] * 2


def test_what_is_answered_is_nobody_s_to_claim(desk: Desk) -> None:
    desk.ask()
    desk.claim("one", 10)
    desk.answer()
    request = desk.claim("two", 20)
    assert (request.claimant, request.taken, request.is_claimed(BEGAN)) == ("one", True, False)
    assert desk.anomalies == [Kind.CLAIMED_LATE]


def test_a_claim_may_name_the_record_of_the_request(desk: Desk) -> None:
    desk.ask()
    assert desk.claim("one", 10, str(desk.request().uuid)).claimant == "one"


@pytest.mark.parametrize("by", [3_600, -3_600])
def test_a_lease_lasts_as_long_though_the_clock_is_changed(desk: Desk, by: int) -> None:
    desk.ask()
    desk.claim("one", 10)
    desk.now(4 + by)
    desk.book.append("lockout/A/clock", ClockJumped(before=BEGAN + 4 * SECOND, after=BEGAN + (4 + by) * SECOND))
    request = desk.request()
    assert (request.claimed_at, request.lease_until) == (BEGAN + by * SECOND, BEGAN + (10 + by) * SECOND)
    assert desk.book.enforcement.of("B") == ()


def test_the_next_attempt_takes_the_place_of_one_without_an_answer(desk: Desk) -> None:
    desk.ask()
    desk.escalate(why="nobody answers")
    desk.now(1)
    desk.ask("R1-2", 2)
    assert desk.pending == ["R1-2"]
    first, second = desk.request(), desk.request("R1-2")
    assert (first.superseded, first.taken, second.attempt) == (True, False, 2)
    assert (second.first_id, second.asked_since) == (first.id, first.requested_at)
    # It is the same goal, and a person still has to act.
    assert (second.escalated_at, second.escalation) == (BEGAN, "nobody answers")
    assert desk.book.enforcement.counts("A") == {("loss", NOON.date()): 1}
    # A late answer is of the attempt that it names.
    desk.answer()
    assert desk.pending == ["R1-2"]
    assert (desk.request().success, desk.anomalies) == (True, [])
    desk.claim("one", 10)
    desk.answer()
    assert desk.anomalies == [Kind.CLAIMED_LATE, Kind.TAKEN_TWICE]


@pytest.mark.parametrize("attempt", [2, 1, 0, -7, 3, 10**12])
def test_no_two_attempts_of_a_goal_have_one_number(desk: Desk, attempt: int) -> None:
    desk.ask()
    desk.ask("R1-2", 2)
    desk.ask("R1-3", attempt)
    numbers = [each.attempt for each in desk.book.enforcement.of("A")]
    # The first of another goal.
    assert numbers == [1, 2, 1 if attempt <= 1 else max(3, min(attempt, transitions.ATTEMPT_MAX))]
    assert desk.pending == (["R1-2", "R1-3"] if attempt <= 1 else ["R1-3"])


def test_what_was_done_once_is_asked_for_since_it_was_undone(desk: Desk) -> None:
    desk.ask()
    desk.now(1)
    desk.answer(success=False)
    desk.ask("R1-2", 2)
    desk.now(2)
    desk.answer("R1-2")
    desk.now(3)
    desk.ask("R1-3", 3)
    found = [(each.asked_since - BEGAN) // SECOND for each in desk.book.enforcement.of("A")]
    assert found == [0, 0, 3]
    assert len({each.first_id for each in desk.book.enforcement.of("A")}) == 1


def test_an_attempt_of_an_unknown_goal_is_a_request_like_any_other(desk: Desk) -> None:
    desk.ask("R7", 7)
    assert (desk.pending, desk.request("R7").attempt, desk.request("R7").first_id) == (["R7"], 7, desk.request("R7").id)


def test_attempts_never_make_too_many(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transitions, "PENDING_MAX", 1)
    for attempt in range(1, 12):
        desk.ask(f"R{attempt}", attempt)
    assert desk.pending == ["R11"]


def test_the_same_requests_without_an_answer_do_not_pile_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transitions, "EARLIER_MAX", 10)
    for number in range(30):
        desk.ask(f"R{number}")
    desk.book.append("enforcement/A/week", EnforcementRequested(rule_id="week", action=EnforcementAction.FLATTEN))
    assert desk.pending == [*(f"R{number}" for number in range(19, 30)), "week"]
    # An answer to one of those before is still known, and is none to a newer one.
    desk.answer("R3")
    assert (desk.request("R3").taken, desk.request("R3").superseded, len(desk.pending)) == (True, True, 12)
    assert desk.anomalies == []


def test_goals_are_bounded_and_the_unanswered_stay(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transitions, "GOALS_MAX", 10)
    for number in range(14):
        event = EnforcementRequested(rule_id=f"rule-{number}", action=EnforcementAction.FLATTEN)
        desk.book.append(f"enforcement/A/R{number}", event)
        if number % 2:
            desk.answer(f"R{number}")
    state: EnforcementState = desk.book.state("enforcement", "A")
    assert len(state.goals) == 10
    assert {each.request_id for each in state.goals.values()} >= {f"R{number}" for number in range(0, 14, 2)}


def test_an_escalation_is_of_a_known_request_answered_or_not(desk: Desk) -> None:
    desk.escalate("R0")
    desk.ask()
    desk.answer(success=False)
    desk.now(3)
    desk.escalate(why="x" * 5_000)
    assert desk.anomalies == [Kind.UNKNOWN_REQUEST]
    assert (desk.request().escalated_at, len(desk.request().escalation)) == (BEGAN + 3 * SECOND, transitions.WHY_MAX)
    # What another breach asks for begins again.
    desk.ask("R2")
    assert desk.request("R2").escalated_at is None
    desk.escalate()
    assert desk.request("R2").escalated_at is None
