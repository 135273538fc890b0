"""The follower that the drill kills and suspends: a book that follows the log, with policies or without.

python -m tests.postgres.following URL SNAPSHOTS follows|decides
"""

from __future__ import annotations

import contextlib
import hashlib
import operator
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec

import projections
from eventstore import Event, EventStore, OutcomeUnknown, Overloaded, Unavailable
from eventstore.trading import LockoutSet, OrderSubmitted
from projections import Book
from projections.risk.policies import Decision, Policies, PolicyFailure, Trigger
from projections.rules import shipped_rules
from projections.worker import CutPolicy, Worker
from tests.postgres.appending import opened
from tests.projections.histories import states
from tests.reliability.checking import WAIT_SECONDS, environment

EVERY = 100
CUT_EVENTS = 1_000
STEP_SECONDS = 0.05
RULE = "drill"
_LOST = (OutcomeUnknown, Overloaded, Unavailable)


class Caught(msgspec.Struct, frozen=True):
    """Where a follower is, asked once it had caught up: its states' digest, and how often it has opened the log."""

    position: int
    digest: str
    parked: int
    openings: int


class LockEvery:
    """Locks an account at each order whose number ends with the same two digits: whether it has to is in the record."""

    name = RULE
    types: ClassVar[tuple[type[Event], ...]] = (OrderSubmitted,)
    quotes: ClassVar[bool] = False
    timed: ClassVar[bool] = False

    def decide(self, book: Book, trigger: Trigger) -> Iterable[Decision]:
        if isinstance(trigger.event, OrderSubmitted) and has_to_lock(label := trigger.event.reference or ""):
            locked = LockoutSet(rule_id=RULE, reason=label)
            yield Decision(((f"lockout/{trigger.account}/{RULE}", locked),))


def has_to_lock(label: str) -> bool:
    """Return whether the order of a label, which ends with a colon and its number, locks its account."""
    _, _, number = label.rpartition(":")
    return number.isdecimal() and int(number) % EVERY == EVERY // 4


def digest_of(found: Mapping[tuple[str, str], Any]) -> str:
    """Return one digest of all states of a book: equal states have equal ones."""
    digest = hashlib.sha256()
    for key in sorted(found):
        digest.update(repr((key, _ordered(found[key]))).encode())
    return digest.hexdigest()


def _ordered(value: Any) -> Any:  # noqa: ANN401 - a part of a state
    """Return a value with everything in it in one order: equal sets and dicts may be filled in another."""
    match value:
        case msgspec.Struct():
            return [type(value).__name__, *(_ordered(getattr(value, name)) for name in value.__struct_fields__)]
        case Mapping():
            return sorted(((repr(key), _ordered(each)) for key, each in value.items()), key=operator.itemgetter(0))
        case set() | frozenset():
            return sorted(map(repr, value))
        case list() | tuple():
            return [_ordered(each) for each in value]
    return value


class Following:
    """A process that follows until its input ends; for each line, a position, it prints a `Caught` past that."""

    def __init__(self, url: str, snapshots: str, *, decides: bool) -> None:
        self._url, self._snapshots, self._decides = url, snapshots, decides
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._asked: int | None = None
        self._openings = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in sys.stdin:
            self._lines.put(line)
        os._exit(0)

    def run(self) -> None:
        """Open, follow, and open again where the server was lost, as a service manager restarts what has ended."""
        while True:
            self._openings += 1
            try:
                with opened(self._url) as store:
                    self._follow(store)
            except PolicyFailure as failure:
                if not isinstance(failure.error, _LOST):
                    raise
            except _LOST:
                time.sleep(STEP_SECONDS)

    def _follow(self, store: EventStore) -> None:
        book = projections.open(store, snapshots=self._snapshots)
        with (
            contextlib.closing(book),
            Worker(store, book, policy=CutPolicy(events=CUT_EVENTS)) as worker,
            self._policies(book) as policies,
        ):
            while worker.error is None:
                if self._asked is None:
                    with contextlib.suppress(queue.Empty):
                        self._asked = int(self._lines.get(timeout=STEP_SECONDS))
                elif worker.wait(self._asked, STEP_SECONDS) and (policies is None or policies.is_caught_up):
                    self._answer(book)
                else:
                    time.sleep(STEP_SECONDS)

    @contextlib.contextmanager
    def _policies(self, book: Book) -> Iterator[Policies | None]:
        if not self._decides:
            yield None
            return
        with Policies(book, [*shipped_rules(), LockEvery()]) as policies:
            yield policies

    def _answer(self, book: Book) -> None:
        with book.paused():
            caught = Caught(book.position, digest_of(states(book._fold)), len(book.parked), self._openings)
        self._asked = None
        print(msgspec.json.encode(caught).decode(), flush=True)  # noqa: T201 - the answer


class FollowerProcess:
    """The parent's side of one such process: it may be killed, suspended and asked."""

    def __init__(self, url: str, directory: Path, name: str, *, decides: bool) -> None:
        self.name, self.decides = name, decides
        self._url, self._directory = url, directory
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, on the snapshots that its earlier lives have left."""
        kind = "decides" if self.decides else "follows"
        snapshots = self._directory / f"{self.name}.sqlite"
        command = [sys.executable, "-m", "tests.postgres.following", self._url, str(snapshots), kind]
        # The key that signs snapshots is not to be the user's.
        settings = environment(XDG_STATE_HOME=str(self._directory / "state"))
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=settings
            )

    def kill(self) -> None:
        """Kill it; it must have been alive, and not have reported an error."""
        process = self._running
        process.kill()
        process.communicate()
        self._process = None
        errors = self._errors.read_text(encoding="utf-8")
        assert process.returncode == -signal.SIGKILL, errors
        assert "Traceback" not in errors, errors

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        """Let it stand still for a while."""
        process = self._running
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def ask(self, position: int) -> None:
        """Ask it to catch up to a position: `answer` returns what it then says."""
        process = self._running
        assert process.stdin is not None
        process.stdin.write(f"{position}\n")
        process.stdin.flush()

    def answer(self, seconds: float = WAIT_SECONDS) -> Caught:
        process = self._running
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], seconds)
        line = process.stdout.readline() if ready else ""
        assert line, f"{self.name} does not catch up in {seconds} s: {self._errors.read_text(encoding='utf-8')}"
        return msgspec.json.decode(line, type=Caught)

    @property
    def _running(self) -> subprocess.Popen[str]:
        assert self._process is not None, f"{self.name} does not run"
        return self._process

    @property
    def _errors(self) -> Path:
        return self._directory / f"{self.name}.errors"


@contextlib.contextmanager
def following(url: str, directory: Path, *, count: int, deciding: int) -> Iterator[list[FollowerProcess]]:
    """Let so many processes follow, the first of them with policies, which have begun; kill them at the end."""
    followers = [
        FollowerProcess(url, directory, f"f{number}", decides=number <= deciding) for number in range(1, count + 1)
    ]
    with contextlib.ExitStack() as stack:
        for follower in followers:
            follower.start()
            stack.callback(follower.kill)
        for follower in followers:
            follower.ask(0)
        for follower in followers:
            follower.answer()
        yield followers


if __name__ == "__main__":
    Following(sys.argv[1], sys.argv[2], decides=sys.argv[3] == "decides").run()
