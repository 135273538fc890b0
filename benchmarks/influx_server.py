"""The InfluxDB for measurements: a server for the run, fresh buckets, and processes that ship a log to it."""

from __future__ import annotations

import contextlib
import itertools
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import msgspec

import eventstore
from benchmarks.workload import append_all, lives
from eventstore import children
from eventstore.config import InfluxSettings
from eventstore.influx import status
from eventstore.influx.ship.mirror import SHIPPING_MODULE, ShippingRequest, ask_to_ship
from eventstore.side import HOME, FileSide

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.setting import Setting
    from tests.influx.api import Server

ACCOUNTS, ALIVE, FILLS_MAX = 10, 1_000, 3
WAIT_SECONDS_MAX = 60.0
POLL_SECONDS = 0.005


@contextlib.contextmanager
def served(setting: Setting) -> Iterator[Server | None]:
    """Yield a server, or None after printing in one line how to get one."""
    with contextlib.ExitStack() as stack:
        server, why = None, ""
        try:
            import influxdb_client  # noqa: F401

            from tests.influx.servers import Absent, opened
        except ImportError as error:
            why = f"{error.name} is not installed: make bench installs it"
        else:
            try:
                server = stack.enter_context(opened(stack.enter_context(setting.directory())))
            except Absent as absent:
                why = str(absent)
        if server is None:
            setting.say(f"influx: not measured: {why}")
        yield server


@contextlib.contextmanager
def fresh_bucket(server: Server) -> Iterator[InfluxSettings]:
    """Yield the settings of a new bucket, which is deleted afterwards."""
    bucket = server.make_bucket()
    try:
        yield InfluxSettings(server.url, server.org, bucket, token=server.token)
    finally:
        server.delete_bucket(bucket)


def write_log(directory: Path, events: int) -> Path:
    """Write a log of `events` events; return its folder."""
    with eventstore.open(directory) as store:
        lines = lives(random.Random(7), accounts=ACCOUNTS, alive=min(ALIVE, events), fills_max=FILLS_MAX)
        append_all(store, itertools.islice(lines, events))
        assert store.directory is not None
        return store.directory


def forget(folder: Path) -> None:
    """Reset a log's folder to one that was never shipped."""
    for path in (folder / "watermarks" / status.CURSOR, folder / HOME, folder / status.STATUS_FILE):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def shipping(folder: Path, settings: InfluxSettings) -> Iterator[int]:
    """Ship a log with the process that a store would start; yield its id. It is killed afterwards."""
    with children.start(SHIPPING_MODULE, str(folder)) as process:
        try:
            ask_to_ship(process, ShippingRequest(str(folder), folder.name, settings))
            yield process.pid
        finally:
            process.kill()


def apart(module: str, *arguments: str, settings: InfluxSettings) -> str:
    """Run a module in another process, with the settings as its input; return what it prints."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, input=msgspec.json.encode(settings)
    ).stdout.decode()


def settings_given() -> InfluxSettings:
    """Return the settings from the input of such a process."""
    return msgspec.json.decode(sys.stdin.buffer.read(), type=InfluxSettings)


def shipped(folder: Path) -> int:
    """Return the position that InfluxDB has confirmed."""
    mark = status.read_cursor(FileSide(folder))
    return 0 if mark is None else mark.position


def wait_for(folder: Path, position: int) -> None:
    """Return once InfluxDB has confirmed a position."""
    end = time.monotonic() + WAIT_SECONDS_MAX
    while shipped(folder) < position:
        assert time.monotonic() < end, (
            f"not confirmed in {WAIT_SECONDS_MAX:g} s: {status.read_status(FileSide(folder))}"
        )
        time.sleep(POLL_SECONDS)
