"""Processes that tests of the mirror start and kill; the first line of input is InfluxDB's settings as JSON.

python -m tests.influx.shipping_worker read LOG
python -m tests.influx.shipping_worker follow LOG LAST
python -m tests.influx.shipping_worker append DIRECTORY PROCESSES COUNT
python -m tests.influx.shipping_worker pace DIRECTORY LAST
python -m tests.influx.shipping_worker ship DIRECTORY
python -m tests.influx.shipping_worker forks DIRECTORY KILLS SEED
python -m tests.influx.shipping_worker hold DIRECTORY COUNT
python -m tests.influx.shipping_worker mirrored DIRECTORY SECONDS
python -m tests.influx.shipping_worker declare DIRECTORY COUNT
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import sys
import time
import traceback
from decimal import Decimal
from pathlib import Path

import msgspec

import eventstore
from eventstore import MIRRORED, InfluxSettings, NotMirrored
from eventstore.influx.ship import mirror
from eventstore.influx.ship.shipper import Shipper
from eventstore.influx.status import read_cursor
from eventstore.journals.sqlite import SqliteJournal
from eventstore.side import FileSide
from tests.influx.mirroring import as_lines, batches, event

PACED, PACED_SECONDS, SLOW_BELOW = 100, 0.06, 10_000
LIFE_SECONDS, LONGER = (0.01, 0.35), 1.2
FORK_SECONDS = 20.0


def read(settings: InfluxSettings, log: str) -> None:
    """Print every record in InfluxDB."""
    with eventstore.connect(settings=settings, log=log) as source:
        for line in as_lines(list(source.read())):
            print_line(line)


def follow(settings: InfluxSettings, log: str, last: str) -> None:
    """Print position and digest of each record as it arrives, up to a position."""
    with eventstore.connect(settings=settings, log=log) as source:
        for record in source.follow():
            sys.stdout.write(f"{record.position} {record.digest.hex()}\n")
            if record.position >= int(last):
                break


def append(settings: InfluxSettings, directory: str, processes: str, count: str) -> None:
    """Append to two logs, one event at a time, in several processes that do not mirror."""
    children = []
    for number in range(int(processes)):
        child = os.fork()
        if not child:
            _append(directory, ("main", "other")[number % 2], int(count))
        children.append(child)
    print_line(str([os.waitpid(child, 0)[1] for child in children].count(0)))


def _append(directory: str, log: str, count: int) -> None:
    try:
        with eventstore.open(directory, log=log) as store:
            for number in range(count):
                store.append(f"order/ACC{number % 3}/{os.getpid()}", event(number))
    except BaseException:  # noqa: BLE001 - any error: the parent sees it and the fork ends here
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def pace(settings: InfluxSettings, directory: str, last: str) -> None:
    """Append evenly up to a position, slower near the end, faster after input; print the time of the slowest append."""
    slowest = 0.0
    with eventstore.open(directory) as store:
        while (left := int(last) - store.head()) > 0:
            count = min(PACED if left > SLOW_BELOW else PACED // 5, left)
            if select.select([0], [], [], PACED_SECONDS)[0]:
                count = min(5 * PACED, left)
            before = time.monotonic()
            store.append_many(batches(store.head(), count))
            slowest = max(slowest, time.monotonic() - before)
    print_line(f"{slowest:.3f}")


def forks(settings: InfluxSettings, directory: str, kills: str, seed: str) -> None:
    """Fork a shipping process and kill it at a random moment, several times; print how many were killed.

    On a busy machine they live longer, until one has shipped something.
    """
    chance = random.Random(int(seed))
    killed, (shortest, longest) = 0, LIFE_SECONDS
    for _ in range(int(kills)):
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException):
                ship(settings, directory)
            os._exit(1)
        time.sleep(chance.uniform(shortest, longest))
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        if read_cursor(FileSide(Path(directory) / "main")) is None:
            longest *= LONGER
    print_line(str(killed))


def ship(settings: InfluxSettings, directory: str) -> None:
    """Ship until killed."""
    journal = SqliteJournal(Path(directory) / "main" / "journal.db")
    Shipper(journal, FileSide(journal.path.parent), settings).run()


def hold(settings: InfluxSettings, directory: str, count: str) -> None:
    """Open a mirrored store, append events, print the head, and keep it open until the input ends.

    A remaining fork holds the files of this process open. After Ctrl-C it appends one more, MIRRORED, and prints that.
    """
    with eventstore.open(directory, influx=settings) as store:
        store.append_many(batches(store.head(), int(count)))
        if not os.fork():
            os.close(1)
            time.sleep(FORK_SECONDS)
            os._exit(0)
        print_line(str(store.head()))
        try:
            sys.stdin.read()
        except KeyboardInterrupt:
            store.append("order/ACC1/interrupted", event(1), durability=MIRRORED)
            print_line(str(store.head()))


def mirrored(settings: InfluxSettings, directory: str, seconds: str) -> None:
    """Append a MIRRORED event in a process that does not mirror; print the outcome."""
    mirror.WAIT_SECONDS = float(seconds)
    with eventstore.open(directory) as store:
        try:
            records = store.append("order/ACC1/other", event(1), durability=MIRRORED)
        except NotMirrored as error:
            records = list(error.records)
            print_line("NotMirrored")
        print_line(str(records[-1].position))


def declare(settings: InfluxSettings, directory: str, count: str) -> None:
    """Append events of a type whose class only this process has."""

    @eventstore.event(measures=("depth",))
    class Sounded(eventstore.Event, frozen=True, kw_only=True):
        depth: Decimal

    with eventstore.open(directory) as store:
        for number in range(int(count)):
            store.append("sounding/ACC1/1", Sounded(depth=number + Decimal("0.5")))
        print_line(str(store.head()))


def print_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    given = msgspec.json.decode(sys.stdin.readline(), type=InfluxSettings)
    commands = {
        command.__name__: command for command in (read, follow, append, pace, ship, forks, hold, mirrored, declare)
    }
    commands[sys.argv[1]](given, *sys.argv[2:])
