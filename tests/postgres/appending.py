"""The process that the tests kill, or whose server they kill: it appends from two threads until everything is known.

Where a rotation has ended the log, it resumes in the next one.

python -m tests.postgres.appending URL ACKS NAME SEED SECONDS
"""

from __future__ import annotations

import contextlib
import faulthandler
import itertools
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import eventstore
from eventstore import Batch, EventStore, LogHasEnded, OutcomeUnknown, Overloaded, Unavailable
from tests.reliability.checking import WAIT_SECONDS, Ack, acks_in, environment, submitted
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
    for life in itertools.count():
        with opened(url) as store:
            threads = []
            for number in range(THREADS):
                # Other batches in each life: a seed makes their ids.
                own_seed = 1_000 * seed + 10 * life + number
                arguments = (store, acks, f"{name}.{life}.{number}", own_seed)
                threads.append(threading.Thread(target=_to_the_end, args=arguments))
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()


def _to_the_end(store: EventStore, acks: str, name: str, seed: int) -> None:
    """Append without a pause until the log has ended."""
    writer = Persistent(store, Path(f"{acks}.{name}"), name, seed)
    chance = random.Random(seed)
    with contextlib.suppress(LogHasEnded):
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
    """Processes that append to the log at a URL; `directory` has what was acknowledged to them, and their errors.

    After `seconds` one that still runs is taken to hang.
    """

    def __init__(self, url: str, directory: Path, *, seconds: float = 2 * WAIT_SECONDS) -> None:
        self._url, self._directory, self._seconds = url, directory, seconds
        self._running: list[subprocess.Popen[bytes]] = []
        self._started = 0
        self._acked: list[Ack] = []
        self._read: Counter[Path] = Counter()

    def start(self, count: int) -> None:
        for _ in range(count):
            self._started += 1
            name = f"p{self._started}"
            acks = self._directory / "acks"
            with (self._directory / f"{name}.errors").open("wb") as errors:
                command = [sys.executable, "-m", "tests.postgres.appending", self._url, str(acks), name]
                command += [str(self._started * THREADS), str(self._seconds)]
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
        """Return all that was acknowledged until now; of each file only what is new is read."""
        for path in sorted(self._directory.glob("acks.*")):
            with path.open("rb") as file:
                file.seek(self._read[path])
                # A killed one's last line may be half there.
                text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            self._read[path] += len(whole)
            self._acked += acks_in(whole)
        return self._acked

    def await_more(self, count: int) -> None:
        """Wait until so many more records have been acknowledged."""
        wanted = len(self.acked()) + count
        end = time.monotonic() + WAIT_SECONDS
        while len(self.acked()) < wanted:
            assert time.monotonic() < end, f"{len(self.acked())} acknowledged, {wanted} were to come"
            time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def appending(url: str, directory: Path, count: int, *, seconds: float = 2 * WAIT_SECONDS) -> Iterator[Appenders]:
    """Let so many processes append, and kill those that are left."""
    appenders = Appenders(url, directory, seconds=seconds)
    appenders.start(count)
    try:
        yield appenders
    finally:
        appenders.kill()


if __name__ == "__main__":
    # Should it hang, the threads' stacks say where.
    faulthandler.dump_traceback_later(float(sys.argv[5]), exit=True)
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
