"""The processes that the drill kills and suspends: workers of a group, and a book that follows the whole log.

python -m tests.postgres.following URL SNAPSHOTS follows|works
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
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec

import projections
from eventstore import Event, EventStore, OutcomeUnknown, Overloaded, Unavailable
from eventstore.trading import LockoutSet, OrderSubmitted
from projections import Book
from projections.group_worker import GroupWorker
from projections.membership import GroupMember, member_id
from projections.risk.policies import Decision, Trigger
from projections.rules import shipped_rules
from projections.shares import SHARES, share_of
from projections.view import is_for_all
from projections.worker import CutPolicy, Worker
from tests.postgres.appending import opened
from tests.projections.histories import states
from tests.reliability.checking import WAIT_SECONDS, environment

EVERY = 100
CUT_EVENTS = 1_000
STEP_SECONDS = 0.05
RULE = GROUP = "drill"
_LOST = (OutcomeUnknown, Overloaded, Unavailable)


class Caught(msgspec.Struct, frozen=True):
    """Where a follower is, asked once it had caught up, with the digests of its states: by share, and of all books.

    One that follows has all shares.
    """

    position: int
    digests: dict[int, str]
    common: str
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


def digests_of(found: Mapping[tuple[str, str], Any]) -> tuple[dict[int, str], str]:
    """Return the digests of the states of each share that has any, and of those that belong to every book."""
    shares: defaultdict[int, dict[tuple[str, str], Any]] = defaultdict(dict)
    common = {}
    for key, state in found.items():
        if is_for_all(key[1]):
            common[key] = state
        else:
            shares[share_of(key[1])][key] = state
    return {share: digest_of(each) for share, each in shares.items()}, digest_of(common)


class Following:
    """A process that follows until its input ends; for each line, a position, it prints a `Caught` past that."""

    def __init__(self, url: str, snapshots: str, *, works: bool) -> None:
        self._url, self._snapshots, self._works = url, snapshots, works
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
                    (self._work if self._works else self._follow)(store)
            except _LOST:
                time.sleep(STEP_SECONDS)

    def _work(self, store: EventStore) -> None:
        member = GroupMember(store, GROUP, id=member_id())
        policies = (*shipped_rules(), LockEvery())
        with GroupWorker(member, store, lambda: policies, cuts=CutPolicy(events=CUT_EVENTS)) as worker:
            while worker.error is None:
                book, shares = worker.book, worker.shares
                if self._asked is None:
                    self._listened()
                elif book is not None and shares and book.position >= self._asked and not worker.stopped_policies():
                    self._answer(book, shares)
                else:
                    time.sleep(STEP_SECONDS)

    def _follow(self, store: EventStore) -> None:
        book = projections.open(store, snapshots=self._snapshots)
        with contextlib.closing(book), Worker(store, book, policy=CutPolicy(events=CUT_EVENTS)) as worker:
            while worker.error is None:
                if self._asked is None:
                    self._listened()
                elif worker.wait(self._asked, STEP_SECONDS):
                    self._answer(book, frozenset(range(SHARES)))

    def _listened(self) -> None:
        with contextlib.suppress(queue.Empty):
            self._asked = int(self._lines.get(timeout=STEP_SECONDS))

    def _answer(self, book: Book, shares: Collection[int]) -> None:
        with book.paused():
            digests, common = digests_of(states(book._fold))
            own = {share: digests.get(share, "") for share in shares}
            caught = Caught(book.position, own, common, len(book.parked), self._openings)
        self._asked = None
        print(msgspec.json.encode(caught).decode(), flush=True)  # noqa: T201 - the answer


class FollowerProcess:
    """The parent's side of one such process: it may be killed, suspended and asked."""

    def __init__(self, url: str, directory: Path, name: str, *, works: bool) -> None:
        self.name, self.works = name, works
        self._url, self._directory = url, directory
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, on the snapshots that its earlier lives have left."""
        kind = "works" if self.works else "follows"
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
def following(url: str, directory: Path, *, workers: int, followers: int) -> Iterator[list[FollowerProcess]]:
    """Let so many workers share a log, and so many processes follow all of it; kill them at the end."""
    processes = [
        *(FollowerProcess(url, directory, f"w{number}", works=True) for number in range(1, workers + 1)),
        *(FollowerProcess(url, directory, f"f{number}", works=False) for number in range(1, followers + 1)),
    ]
    with contextlib.ExitStack() as stack:
        for process in processes:
            process.start()
            stack.callback(process.kill)
        for process in processes:
            process.ask(0)
        for process in processes:
            process.answer()
        yield processes


if __name__ == "__main__":
    Following(sys.argv[1], sys.argv[2], works=sys.argv[3] == "works").run()
