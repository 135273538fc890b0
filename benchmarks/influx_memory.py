"""The mirror's memory while a million events wait for a dead server."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import eventstore
from benchmarks.influx_server import fresh_bucket, shipping, wait_for
from benchmarks.machine import resident_bytes
from benchmarks.rows import Row, compared, row
from benchmarks.workload import BATCH_EVENTS, submitted
from tests.influx.servers import LocalServer

if TYPE_CHECKING:
    from benchmarks.setting import Setting
    from tests.influx.api import Server

GROWTH_MIB_MAX = 20.0
BEGUN = "with a tenth of them"
MIB = 1 << 20


def measure(setting: Setting, server: Server) -> list[Row]:
    if not isinstance(server, LocalServer) or not Path("/proc/self/statm").exists():
        setting.say("influx_memory: left out: it needs a local influxd to kill, and /proc")
        return []
    events = setting.scaled(1_000_000, 20_000)
    with setting.directory() as directory, fresh_bucket(server) as settings, eventstore.open(directory) as store:
        numbers, batch = itertools.count(), [submitted(number) for number in range(BATCH_EVENTS)]

        def append_tenth() -> None:
            for _ in range(events // 10 // BATCH_EVENTS):
                store.append(f"order/ACC1/M-{next(numbers):06}", batch)

        append_tenth()
        assert store.directory is not None
        with shipping(store.directory, settings) as pid:
            # Batches are in flight when the server is killed, as in reality.
            wait_for(store.directory, 1)
            server.kill()
            try:
                sizes = []
                for part in range(1, 11):
                    append_tenth()
                    sizes.append(resident_bytes(pid) / MIB)
                    setting.say(f"influx_memory: {part} of 10 parts waiting")
            finally:
                server.restart()
    growth = sizes[-1] - sizes[0]
    return [
        row(
            "influx-memory",
            f"the mirror's memory, {events:,} events waiting",
            unit="MiB",
            figures=[sizes[-1]],
            beside=compared([sizes[-1]], {BEGUN: [sizes[0]]}),
            target=f"≤ {GROWTH_MIB_MAX:g} MiB more",
            met=growth <= GROWTH_MIB_MAX,
            note=f"resident, {growth:+.1f} MiB from there to the end; the server was killed while events were appended",
        )
    ]
