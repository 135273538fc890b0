"""How far a long reading is, shown in a terminal and in a notebook after two seconds."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from projections.analysis.libraries import library

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

DELAY_SECONDS = 2.0


class Progress:
    """A line on standard error; None shows it where somebody may see it, False never, True always."""

    def __init__(self, total: int, asked: bool | None, unit: str = " records") -> None:  # noqa: FBT001 - its one setting
        self._total, self._unit = total, unit
        self._is_shown = _is_watched() if asked is None else asked
        self._bar: Any = None

    def __enter__(self) -> Self:
        if self._is_shown:
            self._bar = library("tqdm").tqdm(
                total=self._total, unit=self._unit, unit_scale=True, delay=DELAY_SECONDS, leave=False, file=sys.stderr
            )
        return self

    def at(self, done: int) -> None:
        """Note how many are done."""
        if self._bar is not None:
            self._bar.update(done - self._bar.n)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()


def _is_watched() -> bool:
    """Return whether standard error is a terminal's, or a notebook's, where it is shown below the cell."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules
