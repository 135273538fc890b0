"""The process is killed, or its disk fails, at one chosen system call: everything acknowledged survives."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import eventstore
from tests.reliability.checking import WAIT_SECONDS, WORKER, check, environment, read_acks, submitted

STEPS = 12
# Beyond the last call of a run nothing is injected, which is a point too.
WRITES = [*range(1, 120, 6), *range(120, 600, 40)]
SYNCS = range(1, 15)
FAULTS = [
    *[f"pwrite64:signal=KILL:when={number}" for number in WRITES],
    *[f"fdatasync:signal=KILL:when={number}" for number in SYNCS],
    *[f"fdatasync:error=EIO:when={number}" for number in SYNCS],
    *[f"fdatasync:error=ENOSPC:when={number}" for number in SYNCS],
    *[f"fsync:error=EIO:when={number}" for number in range(1, 4)],
    *[f"ftruncate:signal=KILL:when={number}" for number in range(1, 4)],
    *[f"unlink:signal=KILL:when={number}" for number in range(1, 4)],
]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed here")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_one_call_costs_no_acknowledged_record(fault: str, tmp_path: Path) -> None:
    data, acks = tmp_path / "data", tmp_path / "acks"
    call = fault.partition(":")[0]
    trace = ["strace", "-f", "-qq", "-o", str(tmp_path / "trace"), "-e", f"trace={call}", "-e", f"inject={fault}"]
    command = [*trace, *WORKER, "append", str(data), str(acks), "w", "7", str(STEPS)]
    done = subprocess.run(command, env=environment(), timeout=WAIT_SECONDS, capture_output=True, text=True, check=False)
    if "signal" in fault:
        assert done.returncode in {0, -9, 137}, done.stderr
    elif done.returncode:
        error = done.stderr.strip().splitlines()[-1]
        assert error.startswith("eventstore.errors."), f"not an error of the store's own: {done.stderr}"
    with eventstore.open(data) as store:
        records = check(store, read_acks(acks))
        again = store.append("order/ACC1/after", submitted())
        assert again[0].position == len(records) + 1


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed here")
@pytest.mark.parametrize("number", SYNCS)
def test_what_a_full_disk_refused_is_not_there(number: int, tmp_path: Path) -> None:
    """A sync may fail for want of room after the commit was written: that is an unknown outcome, no refusal."""
    data, acks = tmp_path / "data", tmp_path / "acks"
    inject = ["-e", "trace=fdatasync,exit_group", "-e", f"inject=fdatasync:error=ENOSPC:when={number}+"]
    # Killed at its end, so that closing cannot take back what the failed commit has written.
    inject += ["-e", "inject=exit_group:signal=KILL"]
    command = ["strace", "-f", "-qq", "-o", str(tmp_path / "trace"), *inject, *WORKER, "refused", str(data), str(acks)]
    done = subprocess.run(command, env=environment(), timeout=WAIT_SECONDS, capture_output=True, text=True, check=False)
    with eventstore.open(data) as store:
        records = check(store, read_acks(acks))
    if "StorageFull" in done.stdout:
        assert len(records) == len(read_acks(acks)), "StorageFull says that nothing was written"
