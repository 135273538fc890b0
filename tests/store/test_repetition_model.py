"""Appending once, against a plain list: random batches with and without keys, repeats and restarts.

The list knows one rule after the other, as docs/FORMAT.md has them, and shares no code with the journals.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from eventstore import DuplicateEvent, ManualClock, StoreError, VersionConflict
from eventstore.ids import keyed_id, new_ids
from eventstore.journal import Query
from eventstore.journals import memory, repetitions
from eventstore.journals.memory import MemoryJournal
from eventstore.journals.sqlite import SqliteJournal
from eventstore.journals.sqlite import journal as sqlite_journal
from eventstore.record import Draft, PreparedBatch
from tests.memory import directory_in_memory
from tests.proving import rounds

pytestmark = pytest.mark.untraced

AT = 1_767_571_200_000_000_000
REPORTS = ("OrderFilled", "TradeExecuted")
STREAMS = ("order/A/1", "order/A/2", "trade/A/1", "position/B/ES")
STEPS = 30


@dataclass(frozen=True)
class Fact:
    """One event to append. `text` is its data; `occurred_at` is None where its writer does not state it."""

    type: str
    schema: int
    text: str
    key: str | None
    occurred_at: int | None

    @property
    def value(self) -> Any:  # noqa: ANN401 - whatever the data says
        members = json.loads(self.text, parse_float=Decimal, parse_int=Decimal)
        for name in ("quantity", "price", "fee"):
            if name in members:
                members[name] = Decimal(members[name])
        members.setdefault("fee", Decimal(0))
        return members


@dataclass(frozen=True)
class Row:
    """One record of the list."""

    stream: str
    version: int
    fact: Fact
    occurred_at: int

    def is_same(self, stream: str, fact: Fact) -> bool:
        mine = (self.stream, self.fact.type, self.fact.schema, self.fact.value)
        return mine == (stream, fact.type, fact.schema, fact.value)


@dataclass
class Batch:
    stream: str
    facts: list[Fact]
    expected: int | None


@dataclass
class PlainLog:
    """The promise, word by word, on a list."""

    newest: int
    rows: list[Row] = field(default_factory=list)

    def append(self, group: list[Batch], now: int) -> list[int] | type[StoreError]:
        """Return the position of each event's record, or the class of the error."""
        after, answers = list(self.rows), []
        known: list[bool] = []
        is_stale = False
        for batch in group:
            is_stale = is_stale or batch.expected not in {None, self._version(after, batch.stream)}
            for fact in batch.facts:
                at = self._repeated(after, batch.stream, fact)
                if at is None:
                    at = self._under_its_key(after, batch.stream, fact)
                    if at is not None and (at >= len(self.rows) or not after[at].is_same(batch.stream, fact)):
                        return DuplicateEvent
                    known.append(at is not None)
                if at is None:
                    at = len(after)
                    version = self._version(after, batch.stream) + 1
                    after.append(Row(batch.stream, version, fact, fact.occurred_at or now))
                answers.append(at + 1)
        if any(known):
            return answers if all(known) else DuplicateEvent
        if known and is_stale:
            return VersionConflict
        self.rows = after
        return answers

    @staticmethod
    def _version(rows: list[Row], stream: str) -> int:
        return sum(row.stream == stream for row in rows)

    @staticmethod
    def _under_its_key(rows: list[Row], stream: str, fact: Fact) -> int | None:
        """Return where the list has an event of this key."""
        if fact.key is None:
            return None
        return next((at for at, row in enumerate(rows) if (row.stream, row.fact.key) == (stream, fact.key)), None)

    def _repeated(self, rows: list[Row], stream: str, fact: Fact) -> int | None:
        """Return where the list has what an execution report without a key repeats."""
        if fact.type not in REPORTS or fact.key:
            return None
        reports = [at for at, row in enumerate(rows) if row.stream == stream and row.fact.type in REPORTS]
        for at in reports[-self.newest :]:
            row = rows[at]
            is_time = fact.occurred_at in {None, row.occurred_at}
            if row.fact.key is None and is_time and row.is_same(stream, fact):
                return at
        return None


class Writers:
    """Two journals on one file and one in memory, given the same as the list."""

    def __init__(self, chance: random.Random, directory: Path, newest: int) -> None:
        self.chance, self.path = chance, directory / "journal.db"
        self.clock = ManualClock(AT)
        self.files = [self.opened(), self.opened()]
        self.memory = MemoryJournal(clock=self.clock, log_id=self.files[0].log_id)
        self.log = PlainLog(newest)
        self.past: list[Batch] = []

    def opened(self) -> SqliteJournal:
        return SqliteJournal(self.path, clock=self.clock)

    def step(self) -> None:
        chance = self.chance
        self.clock.advance(chance.choice([0, 1, 1_000_000_000]))
        if chance.random() < 0.1:
            turn = chance.randrange(2)
            self.files[turn].close()
            self.files[turn] = self.opened()
        groups = [self.group() for _ in range(chance.choice([1, 1, 1, 2, 4]))]
        now = self.clock.now_ns()
        wanted = [self.log.append(group, now) for group in groups]
        drafts = [[self.prepared(batch, now) for batch in group] for group in groups]
        assert answers(chance.choice(self.files).commit(drafts)) == wanted
        assert answers(self.memory.commit(drafts)) == wanted

    def group(self) -> list[Batch]:
        chance = self.chance
        batches = [self.batch() for _ in range(chance.choice([1, 1, 1, 2, 3]))]
        if self.past and chance.random() < 0.3:
            batches[0] = replace(chance.choice(self.past))
        self.past = [*self.past[-20:], *batches]
        return batches

    def batch(self) -> Batch:
        chance = self.chance
        stream = chance.choice(STREAMS)
        version = sum(row.stream == stream for row in self.log.rows)
        expected = chance.choice([*[None] * 7, version, version, 0, version + 1])
        # One batch states its time or does not, and has keys or none, as a store's has.
        occurred_at = chance.choice([None, None, AT, AT + 1])
        is_keyed = chance.random() < 0.25
        facts = [self.fact(is_keyed, occurred_at) for _ in range(chance.choice([1, 1, 2, 3, 8]))]
        return Batch(stream, facts, expected)

    def fact(self, is_keyed: bool, occurred_at: int | None) -> Fact:
        chance = self.chance
        type_ = chance.choice([*REPORTS, "OrderFilled", "OrderFilled", "Noted"])
        members = {"trade_id": f"T{chance.randrange(5)}", "symbol": "ES", "side": "BUY", "quantity": "1"}
        members["price"] = chance.choice(["5", "5.0", "5.00", "6"])
        if chance.random() < 0.2:
            members["fee"] = chance.choice(["0", "0.0", "1"])
        if type_ == "Noted":
            # Without a class of its own, data is compared as the JSON that it is.
            members = {"fee": "0", "quantity": "1", "price": chance.choice(["5", "6"])}
        text = json.dumps(members)
        if chance.random() < 0.2 and type_ != "Noted":
            text = text.replace('"5.0"', "5.0").replace('"5"', "5")
        schema = chance.choice([1, 1, 1, 1, 2]) if type_ == "Noted" else 1
        return Fact(type_, schema, text, f"K{chance.randrange(12)}" if is_keyed else None, occurred_at)

    def prepared(self, batch: Batch, now: int) -> PreparedBatch:
        drafts = []
        for fact in batch.facts:
            (drawn,) = new_ids(1, now, self.chance.randbytes)
            id_ = keyed_id(batch.stream, fact.key) if fact.key else drawn
            at = now if fact.occurred_at is None else fact.occurred_at
            drafts.append(Draft(id_, batch.stream, fact.type, fact.schema, at, fact.text.encode(), "", "", None, None))
        timed = any(fact.occurred_at is not None for fact in batch.facts)
        return PreparedBatch(batch.stream, drafts, batch.expected, timed)

    def check(self) -> None:
        journals: list[SqliteJournal | MemoryJournal] = [*self.files, self.memory]
        for journal in journals:
            records = journal.read(Query(limit=10_000))
            found = [(record.stream, record.version, record.occurred_at, record.data.decode()) for record in records]
            rows = [(row.stream, row.version, row.occurred_at, row.fact.text) for row in self.log.rows]
            assert found == rows
            assert [record.position for record in records] == list(range(1, len(rows) + 1))
            assert journal.integrity() == []
        assert self.files[0].frontier() == self.files[1].frontier() == self.memory.frontier()
        for file in self.files:
            file.close()


def answers(outcomes: list[Any]) -> list[list[int] | type[StoreError]]:
    return [
        type(outcome) if isinstance(outcome, StoreError) else [record.position for record in outcome]
        for outcome in outcomes
    ]


@pytest.mark.slow
def test_random_histories_are_what_a_plain_list_makes_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in rounds("appending once", test=40, prove=5_000):
        chance = random.Random(seed)
        newest = chance.choice([1, 3, 8, 1_000])
        for module in (memory, repetitions, sqlite_journal):
            monkeypatch.setattr(module, "REPORTS_MAX", newest)
        monkeypatch.setattr(repetitions, "REMEMBERED_MAX", chance.choice([0, 5, 20_000]))
        with directory_in_memory() as directory:
            writers = Writers(chance, Path(directory), newest)
            for _ in range(STEPS):
                writers.step()
            writers.check()
