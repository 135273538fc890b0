"""Import of a long file, in a process of its own: its time, and its memory beside that of a file a tenth as long."""

from __future__ import annotations

import csv
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

import eventstore
from benchmarks.rows import Row, compared, row
from benchmarks.timing import seconds
from gateways.importers import import_file

if TYPE_CHECKING:
    from benchmarks.setting import Setting

SECONDS_MAX = 60.0
GROWTH_MAX = 1.5
KIB = 1_024
READ = "csv.reader, the file read once"
TENTH = "a tenth of the rows"
FORMAT = "fills"


class Measured(msgspec.Struct, frozen=True):
    """What one import took: seconds on the clock and of the processor, and MiB at most."""

    wall: float
    processor: float
    memory: float


def measure(setting: Setting) -> list[Row]:
    rows = setting.scaled(1_000_000, 2_000)
    with setting.directory() as directory:
        long, tenth = directory / "long.csv", directory / "tenth.csv"
        _write(long, rows)
        _write(tenth, rows // 10)
        whole = _imported(long, directory / "long")
        setting.say("importing: the long file is imported")
        part = _imported(tenth, directory / "tenth")
        read = seconds(lambda: _read(long))
    return [
        row(
            "import",
            f"import of {rows:,} executions, CSV",
            unit="s",
            figures=[whole.wall],
            beside=compared([whole.wall], {READ: [read]}),
            target=f"≤ {SECONDS_MAX:g} s",
            met=whole.wall <= SECONDS_MAX,
            note=f"{whole.processor:.1f} s of processor time: surveyed, validated as a whole, then appended",
        ),
        row(
            "import-memory",
            f"memory of an import of {rows:,} executions",
            unit="MiB",
            figures=[whole.memory],
            beside=compared([whole.memory], {TENTH: [part.memory]}),
            target=f"≤ {GROWTH_MAX} × a tenth's",
            met=whole.memory <= GROWTH_MAX * part.memory,
            note="the whole process, at its most; caches of a fixed size are full in the longer one only",
        ),
    ]


def _write(path: Path, rows: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("trade_id,symbol,side,quantity,price,fee,time\n")
        for n in range(rows):
            symbol, side = ("MNQZ5", "ESZ5")[n % 2], ("buy", "sell")[n // 2 % 2]
            price = 6_000 + n * 7 % 4_000 * 0.25
            file.write(f"T{n},{symbol},{side},{1 + n % 4},{price:.2f},0.62,{1_759_329_000 + n}\n")


def _read(path: Path) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        for _ in csv.reader(file):
            pass


def _imported(path: Path, data: Path) -> Measured:
    arguments = [sys.executable, "-m", "benchmarks.importing", str(path), str(data)]
    ended = subprocess.run(arguments, check=True, capture_output=True)
    return msgspec.json.decode(ended.stdout, type=Measured)


def main(path: Path, data: Path) -> None:
    """Import a file into a new store, and print what it took."""
    began = time.perf_counter()
    with eventstore.open(data) as store:
        import_file(store, path, FORMAT, account="ACC1")
    wall = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB
    sys.stdout.buffer.write(msgspec.json.encode(Measured(wall, time.process_time(), memory)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
