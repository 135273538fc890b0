"""What commands that run policies share: a function of the user's that yields quotes, and where calendars come from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from eventstore import InvalidEvent, StoreError, Unavailable
from gateways.presenting.output import note

Quotes = Annotated[
    str | None,
    typer.Argument(
        metavar="[MODULE:FUNCTION]",
        help="A function that yields quotes, each as a stream and an event; by default only stored quotes count.",
        show_default=False,
    ),
]
SeedFile = Annotated[
    Path | None, typer.Option("--seeds", metavar="FILE", help="Seed file to read the calendars from; sets nothing.")
]
WITHOUT_QUOTES = (
    "no function gives quotes: only quotes that are stored in the log and fills are prices here, and an account that "
    "holds a position without one is locked as its setting `unpriced` says. Name a function, or run the policies in "
    "the process that has the feed"
)


class QuoteFeed:
    """Observes what the user's function yields, in a thread of its own, until the function or the process ends."""

    def __init__(self, observe: Callable[[str, Any], object], function: Any) -> None:  # noqa: ANN401 - the user's, whatever its signature
        self.error: StoreError | None = None
        """Why the quotes ended; None while they come, and without a function."""
        self.is_stopping = False
        self._take, self._function = observe, function
        self._refused: str | None = None

    def start(self) -> QuoteFeed:
        if self._function is not None:
            # A daemon: the function may wait for its feed without end, and the process ends without it.
            threading.Thread(target=self._run, name="quotes", daemon=True).start()
        return self

    def _run(self) -> None:
        try:
            for stream, event in self._quotes():
                if self.is_stopping:
                    return
                self._observe(stream, event)
            why = "its function has returned"
        except Exception as e:  # noqa: BLE001 - the user's code: what it raised ends the process, with its message
            why = f"{type(e).__name__}: {e}"
        if not self.is_stopping:
            self.error = Unavailable(f"the quotes ended ({why}): the process ends, to be started again with a new feed")

    def _quotes(self) -> Iterator[tuple[str, Any]]:
        return iter(self._function())

    def _observe(self, stream: str, event: Any) -> None:  # noqa: ANN401 - what the user's function yields
        try:
            self._take(stream, event)
        except InvalidEvent as e:
            # One bad quote must not end all others; the same message is noted once.
            if str(e) != self._refused:
                self._refused = str(e)
                note(f"a quote was refused: {e}")
