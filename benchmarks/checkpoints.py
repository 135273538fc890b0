"""A signed checkpoint of a long log: what was stored since is read back, the tree put together, signed and synced."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import eventstore
from benchmarks.rows import Row, row
from benchmarks.timing import NS_PER_US, each_ns, in_turns, percentile, spread
from eventstore import CheckpointSettings
from eventstore.proofs.key_files import KeyFolder
from eventstore.proofs.signers import origin_of
from eventstore.trading import Marked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.setting import Setting
    from eventstore import EventStore

MS_MAX = 5.0
FULL = 10_000_000
NS_PER_MS = NS_PER_US * 1_000
BATCH = 10_000
SYNCS = 3
"""What a checkpoint cannot be without: the key's note, its directory, and the log's file."""
OURS, BARE = "store.checkpoint", f"{SYNCS} bare writes of 500 bytes + fsync"


def measure(setting: Setting) -> list[Row]:
    rounds, times = setting.scaled(5, 2), setting.scaled(100, 5)
    events = setting.scaled(1_000_000, 4_000, FULL)
    with setting.directory() as directory, eventstore.open(directory / "data") as store:
        for first in range(0, events, BATCH):
            store.append("mark/-/many", [Marked(name="m")] * min(BATCH, events - first))
            setting.say(f"checkpoints: {store.head():,} of {events:,} events written")
        actions: dict[str, Callable[[], object]] = {
            OURS: _signer(store, directory / "keys"),
            BARE: _writer(directory / "bare"),
        }
        taken: dict[str, list[list[int]]] = {name: [] for name in actions}

        def once(name: str) -> Callable[[], float]:
            def run() -> float:
                taken[name].append([took for _ in range(times) for took in _once(store, actions[name])])
                return 0.0

            return run

        in_turns(rounds, {name: once(name) for name in actions}, setting.rounds("checkpoints", rounds))
    figures = [percentile(each, 0.5) / NS_PER_MS for each in taken[OURS]]
    bare = spread([percentile(each, 0.5) / NS_PER_MS for each in taken[BARE]]).median
    note = f"{events:,} events, one more before each; {BARE}: {bare:.2f} ms"
    met = spread(figures).median <= MS_MAX
    what = "a signed checkpoint, p50"
    return [row("checkpoint", what, unit="ms", figures=figures, target=f"≤ {MS_MAX:g} ms", met=met, note=note)]


def _once(store: EventStore, action: Callable[[], object]) -> list[int]:
    """Measure one call, after the log has grown by a record, which is not counted."""
    store.append("mark/-/one", Marked(name="m"))
    return each_ns(action, 1)


def _signer(store: EventStore, keys: Path) -> Callable[[], object]:
    KeyFolder(keys).create(origin_of(store.log, store.log_id), store.log, store.log_id, store.clock.now_ns())
    settings = CheckpointSettings(keys=str(keys))
    # The first one reads all of the log back.
    store.checkpoint(settings)

    return lambda: store.checkpoint(settings)


def _writer(path: Path) -> Callable[[], None]:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write() -> None:
        for _ in range(SYNCS):
            os.write(handle, bytes(500))
            os.fsync(handle)

    return write
