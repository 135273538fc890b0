"""The process that the tests kill, or whose server they kill: it appends from two threads until everything is known.

python -m tests.postgres.appending URL ACKS NAME SEED
"""

from __future__ import annotations

import contextlib
import faulthandler
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import eventstore
from eventstore import Batch, EventStore, OutcomeUnknown, Overloaded, Unavailable
from tests.reliability.checking import WAIT_SECONDS, Ack, environment, read_acks, submitted
from tests.reliability.worker import Writer

THREADS = 2
RETRY_SECONDS = 0.05
POLL_SECONDS = 0.02


class Persistent(Writer):
    """A writer that repeats each append, by its keys, until it is acknowledged: what it labels is there once."""

    def one(self) -> None:
        stream, label = self._stream("order"), self._label()
        self._repeat([Batch(stream, [submitted(label)], key=label)])

    def many(self) -> None:
        """Append a batch over two streams, which must not be there by half."""
        labels = [self._label() for _ in range(self._chance.randint(2, 30))]
        batch, size = self._chance.randbytes(16), str(len(labels))
        halves = zip("ab", (labels[:1], labels[1:]), strict=True)
        self._repeat(
            [
                Batch(
                    f"order/{self._name}/{half}",
                    [submitted(label) for label in part],
                    key=part,
                    note=size,
                    correlation_id=batch,
                )
                for half, part in halves
            ]
        )

    def _repeat(self, batches: list[Batch]) -> None:
        while True:
            try:
                self._acknowledge(self._store.append_many(batches))
            except (OutcomeUnknown, Overloaded, Unavailable):
                time.sleep(RETRY_SECONDS)
            else:
                return


def main(url: str, acks: str, name: str, seed: int) -> None:
    """Append until the process is killed."""
    with opened(url) as store:
        threads = [
            threading.Thread(target=_forever, args=(store, acks, f"{name}.{n}", seed + n)) for n in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _forever(store: EventStore, acks: str, name: str, seed: int) -> None:
    writer = Persistent(store, Path(f"{acks}.{name}"), name, seed)
    chance = random.Random(seed)
    while True:
        chance.choice([writer.one, writer.one, writer.many])()


def opened(url: str) -> EventStore:
    """Open a store as soon as its server can be reached."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return eventstore.open(url)
        except (Overloaded, Unavailable):
            if time.monotonic() > end:
                raise
            time.sleep(RETRY_SECONDS)


class Appenders:
    """Processes that append to the log at a URL; `directory` has what was acknowledged to them, and their errors."""

    def __init__(self, url: str, directory: Path) -> None:
        self._url, self._directory = url, directory
        self._running: list[subprocess.Popen[bytes]] = []
        self._started = 0

    def start(self, count: int) -> None:
        for _ in range(count):
            self._started += 1
            name = f"p{self._started}"
            acks = self._directory / "acks"
            with (self._directory / f"{name}.errors").open("wb") as errors:
                command = [sys.executable, "-m", "tests.postgres.appending", self._url, str(acks), name]
                command.append(str(self._started * THREADS))
                self._running.append(subprocess.Popen(command, stderr=errors, env=environment()))

    def kill(self) -> None:
        """Kill all that run; each must have been at it."""
        for process in self._running:
            process.kill()
        codes = [process.wait() for process in self._running]
        self._running.clear()
        errors = "".join(path.read_text(encoding="utf-8") for path in sorted(self._directory.glob("*.errors")))
        assert set(codes) <= {-9}, errors
        assert "Traceback" not in errors, errors

    def acked(self) -> list[Ack]:
        return [ack for path in sorted(self._directory.glob("acks.*")) for ack in read_acks(path)]

    def await_more(self, count: int) -> None:
        """Wait until so many more records have been acknowledged."""
        wanted = len(self.acked()) + count
        end = time.monotonic() + WAIT_SECONDS
        while len(self.acked()) < wanted:
            assert time.monotonic() < end, f"{len(self.acked())} acknowledged, {wanted} were to come"
            time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def appending(url: str, directory: Path, count: int) -> Iterator[Appenders]:
    """Let so many processes append, and kill those that are left."""
    appenders = Appenders(url, directory)
    appenders.start(count)
    try:
        yield appenders
    finally:
        appenders.kill()


if __name__ == "__main__":
    # Should it hang, the threads' stacks say where.
    faulthandler.dump_traceback_later(2 * WAIT_SECONDS, exit=True)
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
