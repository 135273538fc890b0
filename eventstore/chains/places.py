"""Where a log lies of those that continue one another: in a folder, or where else one is found and read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from typing_extensions import override

from eventstore.chains.following import JOURNAL
from eventstore.errors import Unavailable
from eventstore.journal import Maintenance
from eventstore.journals.sqlite import ReadOnlyJournal
from eventstore.side import FileSide

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from eventstore.side import LogSide

PREVIOUS = "previous"
"""The file in a log's folder that names the folder of the log before it, where that was moved."""


class EarlierJournal(Maintenance, Protocol):
    """A log that is continued, opened to be read."""

    def versions(self, streams: Iterable[str]) -> dict[str, int]:
        """Return the versions of several streams."""


class Place(Protocol):
    """Where one log lies. As text, it follows the log's name in a message."""

    @property
    def absent(self) -> type[Unavailable]:
        """What `read` raises where there is no log."""

    @property
    def advice(self) -> str:
        """What to do where the log before this one is not found."""

    def before(self, own: Maintenance, log: str) -> Place:
        """Return the place of the log before this one, by its name; `own` is this one, opened."""

    def read(self) -> EarlierJournal:
        """Open the log to read it."""

    def side(self, journal: EarlierJournal) -> LogSide:
        """Return what lies beside the log, which `read` has opened."""


class InFolder(Place):
    """A log's own folder."""

    def __init__(self, folder: Path, log: str) -> None:
        self._folder, self._log = folder, log

    @property
    @override
    def absent(self) -> type[Unavailable]:
        return Unavailable

    @property
    @override
    def advice(self) -> str:
        return f"write the folder where it lies into {self._folder / PREVIOUS}"

    @override
    def before(self, own: Maintenance, log: str) -> InFolder:
        """Return the folder beside this one, or that which this one's file names."""
        del own
        try:
            moved = (self._folder / PREVIOUS).read_text().strip()
        except FileNotFoundError:
            moved = ""
        return InFolder(self._folder / moved if moved else self._folder.parent / log, log)

    @override
    def read(self) -> ReadOnlyJournal:
        return ReadOnlyJournal(self._folder / JOURNAL, log=self._log)

    @override
    def side(self, journal: EarlierJournal) -> FileSide:
        del journal
        return FileSide(self._folder)

    @override
    def __str__(self) -> str:
        return f"in {self._folder}"
