"""The command: runs the chosen benchmarks, prints the table, writes the JSON file."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks import influx_server
from benchmarks.machine import machine
from benchmarks.rows import Row
from benchmarks.setting import Setting, scratch_directory
from benchmarks.table import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.influx.api import Server

WITHOUT_SERVER = (
    "append",
    "batches",
    "umadb",
    "postgres",
    "hosts",
    "failing_over",
    "threads",
    "aio",
    "replay",
    "folding",
    "lookup",
    "quotes",
    "restart",
    "past",
    "causes",
    "tiers",
    "risk",
    "judging",
    "analysis",
    "archive",
    "checkpoints",
    "verify",
    "proofs",
    "sql",
    "importing",
    "http",
    "week",
)
WITH_SERVER = ("influx_mirror", "influx_read", "influx_lag", "influx_memory", "influx_beside")
NAMES = (*WITHOUT_SERVER, *WITH_SERVER)
FORMAT = 1
OUTPUT = "bench.json"


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """The file: `scale` is `quick`, whose figures mean nothing, `default` or `full`."""

    format: int
    scale: str
    seconds: float
    machine: dict[str, object]
    rows: list[Row]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmarks and return 0, or 2 where something that they need is missing."""
    asked = _parser().parse_args(argv)
    try:
        import eventsourcing  # noqa: F401
    except ImportError:
        print(
            "bench: eventsourcing, a baseline, is missing: pip install 'eventsourcing >= 9.5', or make bench",
            file=sys.stderr,
        )
        return 2
    scratch = scratch_directory() if asked.scratch is None else asked.scratch
    setting = Setting(scratch=scratch, quick=asked.quick, full=asked.full)
    facts, began = machine(scratch), time.perf_counter()
    rows = _rows(setting, asked.only or NAMES)
    if asked.quick:
        rows = [msgspec.structs.replace(row, met=None) for row in rows]
    results = Results(
        format=FORMAT,
        scale="quick" if asked.quick else "full" if asked.full else "default",
        seconds=round(time.perf_counter() - began, 1),
        machine=facts,
        rows=rows,
    )
    if asked.quick:
        print("QUICK: tiny sizes that show that the benchmarks work; the figures mean nothing.\n")
    print(table(rows))
    asked.output.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")
    setting.say(f"{results.seconds:.0f} s in all; written to {asked.output}")
    return 0


def _rows(setting: Setting, names: Sequence[str]) -> list[Row]:
    rows: list[Row] = []
    for name in names:
        if name in WITHOUT_SERVER:
            rows += _measured(setting, name)
    if with_server := [name for name in names if name in WITH_SERVER]:
        with influx_server.served(setting) as server:
            if server is not None:
                for name in with_server:
                    rows += _measured(setting, name, server)
    return rows


def _measured(setting: Setting, name: str, *given: Server) -> list[Row]:
    start = time.perf_counter()
    rows: list[Row] = importlib.import_module(f"benchmarks.{name}").measure(setting, *given)
    setting.say(f"{name}: done in {time.perf_counter() - start:.0f} s")
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="eventstore bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=NAMES, metavar="NAME", help=f"one of {', '.join(NAMES)}")
    parser.add_argument("--output", type=Path, default=Path(OUTPUT), help=f"the JSON file, by default {OUTPUT}")
    parser.add_argument("--scratch", type=Path, help="where temporary data go: a directory on the disk to measure")
    scale = parser.add_mutually_exclusive_group()
    scale.add_argument("--quick", action="store_true", help="tiny sizes, in seconds, to see that it works")
    scale.add_argument("--full", action="store_true", help="the past in 10,000,000 events: minutes more")
    return parser
