"""The demo's other process: it appends and says what is acknowledged, and its parent listens and kills it."""

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


class Heard(msgspec.Struct):
    """What a child said: the digest of each acknowledged position, and its last words, if it came to them."""

    acknowledged: dict[int, str] = {}
    refused: int = 0
    sent_again: int = 0
    killed: bool = False
    finished: bool = False


def trade(directory: Path, out: TextIO) -> None:
    """Play the day into a directory's log, and write each acknowledged position with its digest."""

    def say(records: Sequence[Record]) -> None:
        out.write("".join(f"{record.position} {record.digest.hex()}\n" for record in records))
        out.flush()

    with eventstore.open(directory) as store:
        loop = TradingLoop(store, say)
        loop.run()
    out.write(f"{_END} {loop.refused} {loop.sent_again}\n")


def listen(directory: Path, step: Callable[[int], None], *, kill_at: int | None = None) -> Heard:
    """Start a child that plays the day, hear it to its end, and kill it once it has acknowledged so many events."""
    heard = Heard()
    command = [sys.executable, "-m", "eventstore", COMMAND, "--data", str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None, "a pipe was asked for"
        try:
            for line in child.stdout:
                _take(heard, line)
                if heard.acknowledged:
                    step(max(heard.acknowledged))
                if kill_at is not None and len(heard.acknowledged) >= kill_at and not heard.killed:
                    # SIGKILL: no handler runs, nothing is flushed, no lock is given back.
                    child.kill()
                    heard.killed = True
        finally:
            if child.poll() is None:
                child.kill()
    return heard


def _take(heard: Heard, line: str) -> None:
    words = line.split()
    # A killed writer's last line may end anywhere: what is not whole was never said.
    if not line.endswith("\n"):
        return
    if words[0] == _END:
        heard.refused, heard.sent_again, heard.finished = int(words[1]), int(words[2]), True
    else:
        heard.acknowledged[int(words[0])] = words[1]
