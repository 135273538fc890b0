"""Rotates a log in PostgreSQL, to be killed on the way: python -m tests.postgres.rotating URL [STATEMENT [UNHELD]].

It is killed once it has sent so many statements from the beginning of the next log's tables on; without a number it
prints how many there are. UNHELD is in how many attempts others may append until the last moment.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import eventstore
from eventstore import rotation
from eventstore.journals.postgres import restore, writing
from eventstore.journals.postgres.connection import Connection
from projections.rotation import rotate


class Countdown:
    """Counts the statements of one connection, and kills this process after one of them."""

    def __init__(self, last: int) -> None:
        self.count, self._last = 0, last
        self.connection: Connection | None = None

    def install(self) -> None:
        """Count what the connection of the next log sends."""
        began, execute, store = restore.PostgresRestoration._begin, Connection.execute, writing.Transaction.store

        def begun(restoration: restore.PostgresRestoration, log_id: bytes, created_at: int) -> None:
            self.connection = restoration.connection
            began(restoration, log_id, created_at)

        def counted(connection: Connection, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as the library takes them
            found = execute(connection, *arguments, **named)
            self.note(connection)
            return found

        def stored(transaction: writing.Transaction, *arguments: Any) -> None:  # noqa: ANN401 - the same
            store(transaction, *arguments)
            self.note(transaction._connection)

        restore.PostgresRestoration._begin = begun  # type: ignore[assignment, method-assign]
        Connection.execute = counted  # type: ignore[assignment, method-assign]
        writing.Transaction.store = stored  # type: ignore[assignment, method-assign]

    def note(self, connection: Connection) -> None:
        if connection is self.connection:
            self.count += 1
            if self.count == self._last:
                os.kill(os.getpid(), signal.SIGKILL)


def main(url: str, last: int = 0, unheld: int = rotation.UNHELD) -> None:
    rotation.UNHELD = unheld
    with eventstore.open(url) as store:
        countdown = Countdown(last)
        countdown.install()
        rotate(store)
    sys.stdout.write(f"{countdown.count}\n")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
