"""Proofs of records of a long log, a bundle of many records, and the program that verifies it."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import zipfile
from typing import TYPE_CHECKING

import eventstore
from benchmarks.rows import Row, compared, row
from benchmarks.timing import NS_PER_US, each_ns, in_turns, percentile, seconds, spread
from benchmarks.workload import append_all, lives
from eventstore.proofs import Checkpoint, prove, write_bundle
from eventstore.proofs.keys import PrivateKey
from eventstore.proofs.signers import origin_of
from eventstore.proofs.standalone import verify_bundle as program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.setting import Setting
    from eventstore import EventStore

PROOF_MS_MAX = 5.0
EXPORT_SECONDS_MAX = 10.0
VERIFIED_MIN = 50_000
FULL = 10_000_000
BUNDLED = 100_000
ACCOUNTS = 10
NS_PER_MS = NS_PER_US * 1_000
BARE = "json.loads and SHA-256 of each line"


def measure(setting: Setting) -> list[Row]:
    rounds, times = setting.scaled(5, 2), setting.scaled(500, 5)
    events = setting.scaled(1_000_000, 4_000, FULL)
    bundled = setting.scaled(BUNDLED, 400)
    with setting.directory() as directory, eventstore.open(directory / "data") as store:
        facts = lives(random.Random(8), accounts=ACCOUNTS, alive=setting.scaled(1_000, 20), fills_max=3)
        while store.head() < events:
            append_all(store, itertools.islice(facts, min(50_000, events)))
            setting.say(f"proofs: {store.head():,} of {events:,} events written")
        key = PrivateKey.generate(origin_of(store.log, store.log_id), os.urandom)
        checkpoint = _signed(store, key)
        rng = random.Random(9)
        proof = [each_ns(_prover(store, checkpoint, rng), times) for _ in range(rounds)]
        paths = (directory / f"{number}.zip" for number in itertools.count())

        def export() -> None:
            write_bundle(store, next(paths), checkpoint=checkpoint, signers=[key], until=bundled)

        written = [seconds(export) for _ in range(rounds)]
        path = directory / "0.zip"
        actions = {"ours": _verifier(path, key, bundled), BARE: _bare(path, bundled)}
        verified = in_turns(rounds, actions, setting.rounds("proofs", rounds))
    return [_proof_row(proof, events), _export_row(written, bundled), _verify_row(verified, bundled)]


def _signed(store: EventStore, key: PrivateKey) -> Checkpoint:
    size, root = store.root()
    made = Checkpoint(key.public.name, size, root)
    return made.with_signatures([key.sign(made.body)])


def _prover(store: EventStore, checkpoint: Checkpoint, rng: random.Random) -> Callable[[], object]:
    return lambda: prove(store, rng.randrange(1, checkpoint.size), checkpoint=checkpoint)


def _verifier(path: Path, key: PrivateKey, count: int) -> Callable[[], float]:
    def verify() -> None:
        found = program.verify(str(path), [key.public.text], [])
        assert found.status == program.GOOD, found.reason

    return lambda: count / seconds(verify)


def _bare(path: Path, count: int) -> Callable[[], float]:
    with zipfile.ZipFile(path) as packed:
        lines = packed.read(program.RECORDS).split(b"\n")[:-1]

    def read() -> None:
        for line in lines:
            json.loads(line)
            hashlib.sha256(line).digest()

    return lambda: count / seconds(read)


def _proof_row(taken: list[list[int]], events: int) -> Row:
    figures = [percentile(times, 0.99) / NS_PER_MS for times in taken]
    half = spread([percentile(times, 0.5) / NS_PER_MS for times in taken]).median
    met = spread(figures).median <= PROOF_MS_MAX
    note = f"p50 {half:.2f} ms; {events:,} events, at random positions; stored nodes, and two tiles of digests read"
    what = "a proof that a record is in the log, p99"
    return row("proof", what, unit="ms", figures=figures, target=f"≤ {PROOF_MS_MAX:g} ms", met=met, note=note)


def _export_row(written: list[float], bundled: int) -> Row:
    return row(
        "bundle-export",
        f"a bundle of {bundled:,} records",
        unit="s",
        figures=written,
        target=f"≤ {EXPORT_SECONDS_MAX:g} s",
        met=spread(written).median <= EXPORT_SECONDS_MAX,
        note="JSON lines, CSV, proof and manifest in one zip, each line read again before it is written",
    )


def _verify_row(figures: dict[str, list[float]], bundled: int) -> Row:
    ours = figures.pop("ours")
    return row(
        "bundle-verify",
        "verify_bundle.py, a bundle verified",
        unit="records/s",
        figures=ours,
        beside=compared(ours, figures),
        target=f"≥ {VERIFIED_MIN:,}",
        met=spread(ours).median >= VERIFIED_MIN,
        note=f"{bundled:,} records; digests, proof, table, versions and two signatures, one process",
    )
