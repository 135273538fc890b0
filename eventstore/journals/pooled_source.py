"""What sources share whose readers come from a pool of connections: opening, closing, waiting, a second view."""

from __future__ import annotations

import contextlib
import copy
import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from eventstore.errors import Closed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    from eventstore.journal import MissingTail, TypeRow
    from eventstore.journals.pool import Pool

C = TypeVar("C")


class PooledSource(Generic[C]):
    """The part of a source's read side that does not depend on where its records are."""

    poll_seconds: float
    """After what time one that waits looks for itself, whether or not it was notified of a commit."""
    _readers: Pool[C]

    def __init__(self) -> None:
        self._closed = ""
        self._make_pool()
        # A commit notifies while it holds this lock itself, whose acquisition is one step in C. `with condition:` runs
        # Python code first, in which an interruption could leave it locked.
        self._growing = threading.Lock()
        self._grown = threading.Condition(self._growing)

    def _make_pool(self) -> None:
        """Begin with no connections."""
        raise NotImplementedError

    def head(self) -> int:
        raise NotImplementedError

    def types(self) -> Sequence[TypeRow]:
        raise NotImplementedError

    def type_names(self) -> Sequence[str]:
        return sorted({kind.name for kind in self.types()})

    def missing_tail(self) -> MissingTail | None:
        return None

    def wait(self, position: int, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while self.head() <= position:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            # A commit of this process wakes at once; one of another process is seen at the next poll at the latest.
            with self._grown:
                self._grown.wait(min(left, self.poll_seconds))
            self.check_open()
        return True

    @contextlib.contextmanager
    def uncached(self) -> Iterator[Self]:
        self.check_open()
        source = copy.copy(self)
        source._make_pool()  # noqa: SLF001 - its own kind
        try:
            yield source
        finally:
            source._readers.close()  # noqa: SLF001 - the same

    def check_open(self) -> None:
        if self._closed:
            raise Closed(self._closed)

    def _give_back(self, reader: C) -> None:
        if self._closed:
            self._readers.drop(reader)
        else:
            self._readers.give_back(reader)

    def _notify(self) -> None:
        """Wake those who wait."""
        with self._growing:
            self._grown.notify_all()
