"""The memory journal is the specification of every other: the same calls, the same answers."""

from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from typing_extensions import override

from eventstore.clock import ManualClock
from eventstore.errors import StoreError
from eventstore.journal import Query
from eventstore.journals.memory import MemoryJournal
from eventstore.record import Draft, PreparedBatch, Record, Unchanged
from eventstore.testing import LATER, draft
from eventstore.testing.maintenance_contract import MaintainedJournal

STREAMS = ("order/ACC1/1", "order/ACC1/2", "order/ACC2/1", "orders/ACC1/1", "quote/-/1", "quote/-/ü😀")
PATTERNS = (*STREAMS, "order/", "order/ACC1/", "quote/-/", "orders/ACC2/", "order/ACC1/3")
TYPES = ("Noted", "Changed")
STARTED_AT = 1_753_113_600_000_000_000


def drafts_for(stream: str) -> st.SearchStrategy[Draft]:
    # Few keys and few texts: repetitions, contradictions and half-known batches are then as usual as new facts.
    few = st.builds(
        draft,
        st.just(stream),
        st.sampled_from("ab"),
        key=st.integers(0, 12).map(str),
        type=st.sampled_from(TYPES),
        actor=st.sampled_from(["me", "you"]),
    )
    new = st.builds(
        draft,
        st.just(stream),
        st.uuids().map(str),
        type=st.sampled_from(TYPES),
        note=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3),
        correlation_id=st.none() | st.binary(min_size=16, max_size=16),
    )
    return few | new | new


conditions = st.builds(
    Unchanged, accounts=st.lists(st.sampled_from(["ACC1", "ACC2", "ACC3", "-"]), max_size=2), since=st.integers(0, 12)
)


def batches_for(stream: str) -> st.SearchStrategy[PreparedBatch]:
    expected = st.none() | st.integers(0, 6)
    drafts = st.lists(drafts_for(stream), min_size=1, max_size=4)
    return st.builds(PreparedBatch, st.just(stream), drafts, expected, unchanged=st.none() | st.none() | conditions)


groups = st.lists(st.sampled_from(STREAMS).flatmap(batches_for), min_size=1, max_size=3)


class SameAnswers(RuleBasedStateMachine):
    """One memory journal, and two handles on one stored log that take turns: a subclass says where that is."""

    @initialize()
    def start(self) -> None:
        self.clock = ManualClock(STARTED_AT)
        self.begin()
        self.stored = [self.opened(), self.opened()]
        self.memory = MemoryJournal(clock=self.clock, log_id=self.stored[0].log_id)
        self.repeated: list[list[PreparedBatch]] = []

    def begin(self) -> None:
        """Make a place for a new log."""
        raise NotImplementedError

    def opened(self) -> MaintainedJournal:
        """Open a handle on the log in that place, with the machine's clock."""
        raise NotImplementedError

    def end(self) -> None:
        """Remove the place."""
        raise NotImplementedError

    @rule(commit=st.lists(groups, min_size=1, max_size=4), turn=st.integers(0, 1))
    def commit(self, commit: list[list[PreparedBatch]], turn: int) -> None:
        wanted = [outcome_of(outcome) for outcome in self.memory.commit(commit)]
        assert [outcome_of(outcome) for outcome in self.stored[turn].commit(commit)] == wanted
        self.repeated = commit

    @rule(turn=st.integers(0, 1), twice=st.booleans())
    def commit_again(self, turn: int, twice: bool) -> None:
        commit = self.repeated * (2 if twice else 1)
        wanted = [outcome_of(outcome) for outcome in self.memory.commit(commit)]
        assert [outcome_of(outcome) for outcome in self.stored[turn].commit(commit)] == wanted

    @rule(group=groups, turn=st.integers(0, 1))
    def commit_twice_at_once(self, group: list[PreparedBatch], turn: int) -> None:
        self.commit([group, group], turn)

    @rule(stream=st.sampled_from(STREAMS), count=st.integers(1, 300), turn=st.integers(0, 1))
    def append_many(self, stream: str, count: int, turn: int) -> None:
        head = self.memory.head()
        facts = [draft(stream, "many", key=f"many {head + number}") for number in range(count)]
        self.commit([[PreparedBatch(stream, facts, self.memory.version(stream))]], turn)

    @rule(by=st.sampled_from([-LATER, -1, 1, 1_000, LATER]))
    def move_the_clock(self, by: int) -> None:
        self.clock.advance(by)

    @rule(turn=st.integers(0, 1))
    def reopen(self, turn: int) -> None:
        self.stored[turn].close()
        self.stored[turn] = self.opened()

    @rule(
        turn=st.integers(0, 1),
        after=st.integers(0, 600),
        until=st.none() | st.integers(0, 600),
        limit=st.integers(0, 60),
        stream=st.none() | st.sampled_from(PATTERNS),
        account=st.none() | st.sampled_from(["ACC1", "ACC2", "ACC3", "-"]),
        types=st.none() | st.lists(st.sampled_from([*TYPES, "Other"]), max_size=2).map(tuple),
    )
    def read(self, turn: int, **query: Any) -> None:  # noqa: ANN401 - passed on as it is
        assert list(self.stored[turn].read(Query(**query))) == list(self.memory.read(Query(**query)))

    @rule(turn=st.integers(0, 1), number=st.integers(0, 600), by=st.sampled_from([-LATER, -1, 0, 1, LATER]))
    def ask_for_an_instant(self, turn: int, number: int, by: int) -> None:
        near = self.memory.read(Query(after=number, limit=1))
        instant = (near[0].recorded_at if near else STARTED_AT) + by
        assert self.stored[turn].position_at(instant) == self.memory.position_at(instant)

    @rule(turn=st.integers(0, 1), first=st.integers(0, 3), last=st.integers(0, 3), level=st.integers(8, 10))
    def ask_for_nodes(self, turn: int, first: int, last: int, level: int) -> None:
        wanted = list(self.memory.nodes(first, last, level=level))
        assert list(self.stored[turn].nodes(first, last, level=level)) == wanted

    @invariant()
    def both_stand_at_the_same_place(self) -> None:
        frontier = self.memory.frontier()
        for journal in self.stored:
            assert journal.head() == self.memory.head()
            assert journal.frontier() == frontier
            versions = {stream: journal.version(stream) for stream in STREAMS}
            assert versions == {stream: self.memory.version(stream) for stream in STREAMS}

    @override
    def teardown(self) -> None:
        try:
            first, second = self.stored
            assert list(first.read(Query(limit=10_000))) == list(self.memory.read(Query(limit=10_000)))
            assert second.integrity() == []
        finally:
            for journal in self.stored:
                journal.close()
            self.end()


def outcome_of(outcome: object) -> object:
    """Return records as they are, and an error as its class and what it carries."""
    if isinstance(outcome, StoreError):
        return type(outcome), vars(outcome)
    assert isinstance(outcome, list)
    assert all(isinstance(record, Record) for record in outcome)
    return outcome
