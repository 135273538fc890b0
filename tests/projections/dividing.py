"""Logs of several accounts, folded in several processes; and what answers in place of another process."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec

import eventstore
import projections
from eventstore import Batch, EventStore, ManualClock
from eventstore.children import LENGTH_BYTES
from projections.parallel import Request, answer_to
from tests.projections.histories import history, states
from tests.projections.naming import CountedByName, naming_history
from tests.projections.random_facts import SECOND, START, Fact


def log_of(directory: Path, seed: int, length: int = 150) -> EventStore:
    """Return a log of four accounts and of what belongs to none."""
    chance = random.Random(seed)
    parts = [history(chance, length), naming_history(chance, 60, ("-", "A", "D"))]
    facts: list[Fact] = []
    while any(parts):
        facts.append(chance.choice([part for part in parts if part]).pop(0))
    return written(directory, facts)


def written(directory: Path, facts: list[Fact]) -> EventStore:
    store = eventstore.open(directory, clock=ManualClock(START))
    # As one commit, which is one sync; each a second after the last one.
    times = range(START, START + len(facts) * SECOND, SECOND)
    store.append_many(
        [Batch(stream, event, occurred_at=at, actor="desk") for at, (stream, event) in zip(times, facts, strict=True)]
    )
    return store


class InThisProcess:
    """Answers as another process would, without the time that takes to start."""

    returncode: int | None = None

    def __init__(self, answered: bytes | None = None) -> None:
        self.answered = answered

    def communicate(self, asked: bytes) -> tuple[bytes, None]:
        self.returncode = 0
        if self.answered is not None:
            return self.answered, None
        assert int.from_bytes(asked[:LENGTH_BYTES], "big") == len(asked) - LENGTH_BYTES
        request = msgspec.msgpack.decode(asked[LENGTH_BYTES:], type=Request)
        directory = Path(request.directory)
        with eventstore.open(directory.parent, log=directory.name, read_only=True) as store:
            return msgspec.msgpack.encode(answer_to(request, store)), None

    def poll(self) -> int | None:
        return self.returncode

    def kill(self) -> None: ...

    def wait(self) -> int:
        return 0


def folded(store: EventStore, processes: int | None) -> dict[tuple[str, str], bytes]:
    """Return all states of a new book; the view of one's own is folded by this process alone."""
    return states(projections.open(store, snapshots=False, processes=processes, views=[CountedByName()])._fold)
