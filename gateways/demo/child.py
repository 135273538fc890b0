"""The demo's child process: it appends and reports what is acknowledged; its parent listens, and kills it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import msgspec

import eventstore
from eventstore import Record
from gateways.demo.trading import TradingLoop

COMMAND = "demo-day"
_END = "end"


class ChildReport(msgspec.Struct):
    """What a child reported: the digest of each acknowledged position, and the counts of its last line, if it ended."""

    acknowledged: dict[int, str] = {}
    refused: int = 0
    sent_again: int = 0
    killed: bool = False
    finished: bool = False


def trade(directory: Path, out: TextIO) -> None:
    """Play the day into a directory's log, and write each acknowledged position with its digest."""

    def report(records: Sequence[Record]) -> None:
        out.write("".join(f"{record.position} {record.digest.hex()}\n" for record in records))
        out.flush()

    with eventstore.open(directory) as store:
        loop = TradingLoop(store, report)
        loop.run()
    out.write(f"{_END} {loop.refused} {loop.sent_again}\n")


def listen(directory: Path, step: Callable[[int], None], *, kill_at: int | None = None) -> ChildReport:
    """Start a child that plays the day, and collect its report; kill it once it has acknowledged `kill_at` events."""
    report = ChildReport()
    command = [sys.executable, "-m", "eventstore", COMMAND, "--data", str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None, "a pipe was requested"
        try:
            for line in child.stdout:
                _take(report, line)
                if report.acknowledged:
                    step(max(report.acknowledged))
                if kill_at is not None and len(report.acknowledged) >= kill_at and not report.killed:
                    # SIGKILL: no handler runs, nothing is flushed, no lock is released.
                    child.kill()
                    report.killed = True
        finally:
            if child.poll() is None:
                child.kill()
    return report


def _take(report: ChildReport, line: str) -> None:
    words = line.split()
    # A killed writer's last line may end anywhere: an incomplete line was never sent.
    if not line.endswith("\n"):
        return
    if words[0] == _END:
        report.refused, report.sent_again, report.finished = int(words[1]), int(words[2]), True
    else:
        report.acknowledged[int(words[0])] = words[1]
