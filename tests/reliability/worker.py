"""The processes that the tests kill: a writer that appends and notes what was acknowledged, and a server that forks it.

python -m tests.reliability.worker append DIRECTORY ACKS NAME SEED STEPS
python -m tests.reliability.worker interrupt DIRECTORY ACKS SEED SECONDS
python -m tests.reliability.worker limit DIRECTORY ACKS BYTES PAGES
python -m tests.reliability.worker backup DIRECTORY TARGET
python -m tests.reliability.worker refused DIRECTORY ACKS
python -m tests.reliability.worker serve < rounds, a line of JSON each
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import json
import os
import random
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterable
from pathlib import Path

import eventstore
from eventstore import Batch, EventStore, OutcomeUnknown, Pending, Record
from eventstore.journals.sqlite import checkpointing
from tests.reliability.checking import WAIT_SECONDS, reported, submitted
from tests.reliability.faults import Interruption

WRITERS = 4
ACCOUNTS = 3
# Far below the usual size, so that moving the write-ahead log over is under way in many of the short lives.
CHECKPOINT_PAGES = 200


class Writer:
    """Appends all that can be appended, and writes each acknowledged (position, id) to a file of its own afterwards."""

    def __init__(self, store: EventStore, acks: Path, name: str, seed: int) -> None:
        self._store, self._name = store, name
        self._chance = random.Random(seed)
        self._acks = os.open(acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._count = 0
        self.finished = False
        self._pending: list[Pending] = []

    def step(self) -> None:
        verb = self._chance.choice([self.single, self.single, self.several, self.batches, self.keyed, self.queued])
        verb()

    def single(self) -> None:
        self._acknowledge(self._store.append(self._stream("order"), submitted(self._label())))

    def shared(self) -> None:
        """Append an event without a number."""
        self._acknowledge(self._store.append(self._stream("order"), submitted()))

    def several(self) -> None:
        """Append a batch to one stream."""
        events = [submitted(self._label()) for _ in range(self._chance.randint(2, 40))]
        note, batch = str(len(events)), self._chance.randbytes(16)
        self._acknowledge(self._store.append(self._stream("order"), events, note=note, correlation_id=batch))

    def batches(self) -> None:
        """Append a batch over two streams, which must not be there by half."""
        sizes = self._chance.randint(1, 5), self._chance.randint(1, 5)
        note, batch = str(sum(sizes)), self._chance.randbytes(16)
        streams = f"order/{self._name}/a", f"order/{self._name}/b"
        self._acknowledge(
            self._store.append_many(
                [
                    Batch(stream, [submitted(self._label()) for _ in range(size)], note=note, correlation_id=batch)
                    for stream, size in zip(streams, sizes, strict=True)
                ]
            )
        )

    def keyed(self) -> None:
        """Append a fact that every writer knows: all get the record of the first one."""
        key = str(self._chance.randint(1, 5_000))
        self._acknowledge(self._store.append("order/shared/keyed", submitted(), key=key))

    def insist(self) -> None:
        """Append under a key until it is acknowledged, as after a commit that another's interruption hit."""
        stream, label = self._stream("order"), self._label()
        for _ in range(100):
            with contextlib.suppress(OutcomeUnknown):
                self._acknowledge(self._store.append(stream, submitted(label), key=label))
                return

    def queued(self) -> None:
        """Enqueue a few, and ask for some of them: an answer is an acknowledgement too."""
        stream = self._stream("order")
        self._pending += [self._store.enqueue(stream, reported(self._label())) for _ in range(3)]
        if self._chance.randint(0, 1):
            for pending in self._pending:
                self._acknowledge(pending.result())
            self._pending.clear()

    def close(self) -> None:
        os.close(self._acks)

    def _stream(self, category: str) -> str:
        return f"{category}/ACC{self._chance.randint(1, ACCOUNTS)}/{self._chance.randint(1, 20)}"

    def _label(self) -> str:
        self._count += 1
        return f"{self._name}:{self._count}"

    def _acknowledge(self, records: Iterable[Record]) -> None:
        os.write(self._acks, b"".join([b"%d %s\n" % (record.position, record.id.hex().encode()) for record in records]))


def append(directory: str, acks: str, name: str, seed: str, steps: str) -> None:
    """Run one writer for so many steps, and leave without a word."""
    checkpointing.CHECKPOINT_PAGES = CHECKPOINT_PAGES
    with eventstore.open(directory) as store:
        writer = Writer(store, Path(acks), name, int(seed))
        for _ in range(int(steps)):
            writer.step()


def limit(directory: str, acks: str, size: str, pages: str) -> None:
    """Append until a file may not grow any more, then let it grow and append on; print what was raised."""
    checkpointing.CHECKPOINT_PAGES = int(pages)
    with eventstore.open(directory) as store:
        writer = Writer(store, Path(acks), "w", 1)
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), hard))
        try:
            for _ in range(10_000):
                writer.single()
            answer = {"error": "none", "message": ""}
        except Exception as error:  # noqa: BLE001 - whatever it is, it is reported to the test
            answer = {"error": type(error).__name__, "message": str(error)}
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        writer.shared()
    print(json.dumps(answer))  # noqa: T201 - the answer


def backup(directory: str, target: str) -> None:
    """Copy a log, having said so."""
    with eventstore.open(directory) as store:
        print("begins", flush=True)  # noqa: T201 - the parent waits for it
        store.backup(target)


def refused(directory: str, acks: str) -> None:
    """Append until an error comes, print its name, and leave without closing."""
    try:
        writer = Writer(eventstore.open(directory), Path(acks), "w", 1)
        for _ in range(20):
            writer.single()
    except eventstore.StoreError as error:
        print(type(error).__name__, flush=True)  # noqa: T201 - the answer
    os._exit(0)


def interrupt(directory: str, acks: str, seed: str, seconds: str) -> None:
    """Interrupt the main thread's appends at random moments, while others append beside it; print how many it were."""
    chance = random.Random(int(seed))
    ends = time.monotonic() + float(seconds)
    count = 0
    # Waking the background thread takes an Event, and an interruption inside one is the standard library's matter.
    checkpointing.CHECKPOINT_PAGES = 1 << 30
    signal.signal(signal.SIGALRM, _interrupt)
    # Should it hang, the threads' stacks say where.
    faulthandler.dump_traceback_later(float(seconds) + WAIT_SECONDS / 2, exit=True)
    with eventstore.open(directory) as store:
        writers = [Writer(store, Path(acks), f"t{number}", number) for number in range(3)]
        threads = [threading.Thread(target=_until, args=(writer, ends)) for writer in writers]
        for thread in threads:
            thread.start()
        while time.monotonic() < ends:
            try:
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.00005, 0.002))
                store.append("order/ACC1/interrupted", submitted())
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Interruption:
                count += 1
        for thread in threads:
            thread.join()
        assert all(writer.finished for writer in writers), "an interruption of another thread ended a writer"
    print(count)  # noqa: T201 - the answer


def _interrupt(number: int, frame: object) -> None:
    raise Interruption


def _until(writer: Writer, ends: float) -> None:
    while time.monotonic() < ends:
        writer.insist()
    writer.finished = True


def append_forever(directory: str, acks: Path, name: str, seed: int) -> None:
    """Append from two threads, which share commits, and reopen the store now and then."""
    chance = random.Random(seed)
    life = 0
    while True:
        life += 1
        steps = chance.choice([5, 50, 1_000_000])
        with eventstore.open(directory) as store:
            first, second = (Writer(store, acks, f"{name}.{life}.{half}", chance.getrandbits(32)) for half in "ab")
            other = threading.Thread(target=_steps, args=(second, steps), daemon=True)
            other.start()
            _steps(first, steps)
            other.join()
        first.close()
        second.close()


def _steps(writer: Writer, steps: int) -> None:
    for _ in range(steps):
        writer.step()


def serve() -> None:
    """For each line of standard input fork four writers, kill them when the line says so, and answer with a line."""
    checkpointing.CHECKPOINT_PAGES = CHECKPOINT_PAGES
    # Once, so that no writer spends its short life on that.
    importlib.import_module("eventstore.journals.postgres")
    for line in sys.stdin:
        order = json.loads(line)
        started = time.monotonic()
        children = [_fork(order, number) for number in range(WRITERS)]
        for delay, child in sorted(zip(order["delays"], children, strict=True)):
            time.sleep(max(0.0, started + delay - time.monotonic()))
            os.kill(child, signal.SIGKILL)
        statuses = [os.waitpid(child, 0)[1] for child in children]
        killed = sum(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL for status in statuses)
        print(json.dumps({"killed": killed}), flush=True)  # noqa: T201 - the answer


def _fork(order: dict[str, str], number: int) -> int:
    child = os.fork()
    if child:
        return child
    name = f"{order['name']}.{number}"
    try:
        append_forever(order["directory"], Path(order["acks"]) / name, name, int(order["seed"]) + number)
    except BaseException:  # noqa: BLE001 - printed for the parent, and the fork ends here
        traceback.print_exc()
    os._exit(1)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["append", *arguments]:
            append(*arguments)
        case ["interrupt", *arguments]:
            interrupt(*arguments)
        case ["limit", *arguments]:
            limit(*arguments)
        case ["backup", *arguments]:
            backup(*arguments)
        case ["refused", *arguments]:
            refused(*arguments)
        case ["serve"]:
            serve()
