"""Rotates a log in PostgreSQL, and stands still on the way: python -m tests.postgres.rotating_stopped URL POINT.

It stops itself with the head of the log locked: before the next statement (`idle`), amid the records that are copied
(`copying`), with a part of the last statements sent (`ending`), or with all of them sent (`committing`). Continued, it
prints how the rotation ended.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import eventstore
from eventstore import StoreError, rotation
from eventstore.journals.postgres import succession, writing
from eventstore.journals.postgres.connection import Connection, Copy
from projections.rotation import rotate


def stops() -> Iterator[None]:
    """Stop this process, once."""
    os.kill(os.getpid(), signal.SIGSTOP)
    yield


def stop_at(point: str) -> None:
    """Arrange to stop there."""
    once = stops()
    took, execute, write_row = succession.NextLog.take_turn, Connection.execute, Copy.write_row

    def taken(log: succession.NextLog) -> bool:
        found = took(log)
        next(once, None)
        return found

    def executed(connection: Connection, sql: Any, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as the library takes them
        found = execute(connection, sql, *arguments, **named)
        if connection.pgconn.pipeline_status and sql == sent:
            connection.pgconn.flush()
            next(once, None)
        return found

    def written(copy: Copy, row: Any) -> None:  # noqa: ANN401 - the same
        write_row(copy, row)
        copy.connection.pgconn.flush()
        next(once, None)

    sent = "COMMIT" if point == "committing" else writing._HEAD_MOVES_ON
    if point == "idle":
        succession.NextLog.take_turn = taken  # type: ignore[assignment, method-assign]
    elif point == "copying":
        Copy.write_row = written  # type: ignore[assignment, method-assign]
    else:
        Connection.execute = executed  # type: ignore[assignment, method-assign]


def main(url: str, point: str) -> None:
    rotation.UNHELD = 0
    with eventstore.open(url) as store:
        stop_at(point)
        try:
            ended = rotate(store).next
        except StoreError as error:
            ended = type(error).__name__
    sys.stdout.write(ended)


if __name__ == "__main__":
    main(*sys.argv[1:])
