"""What each benchmark is given: a directory of its own, its scale, and a way to report progress."""

from __future__ import annotations

import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Setting(msgspec.Struct, frozen=True):
    """`quick` is for trying the measurements out: its figures mean nothing. `full` is the scale of the targets."""

    scratch: Path
    quick: bool = False
    full: bool = False

    def scaled(self, usual: int, quick: int, full: int | None = None) -> int:
        """Return the size that the run's scale asks for."""
        if self.quick:
            return quick
        return usual if full is None or not self.full else full

    @contextmanager
    def directory(self) -> Iterator[Path]:
        """Yield a new directory that is gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="bench-", dir=self.scratch) as name:
            yield Path(name)

    def say(self, text: str) -> None:
        """Tell, on standard error, what is going on."""
        print(f"bench: {text}", file=sys.stderr, flush=True)

    def rounds(self, what: str, count: int) -> Callable[[int], None]:
        """Return a function that reports which round is done."""

        def done(number: int) -> None:
            self.say(f"{what}: round {number} of {count}")

        return done


def scratch_directory() -> Path:
    """Return where temporary data go: to the usual place, unless that is on another disk than the current one."""
    usual, here = Path(tempfile.gettempdir()), Path.cwd()
    return usual if usual.stat().st_dev == here.stat().st_dev else here
