"""DuckDB for one query: in memory, without extensions, in UTC, and interrupted by Ctrl-C."""

from __future__ import annotations

import contextlib
import functools
import tempfile
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from eventstore import StoreError
from projections.analysis.libraries import library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

WAIT_SECONDS = 0.05
"""How often a query that runs is looked at for an interruption."""
_CLOSED = ("allow", "external_access", "extension", "lock_configuration", "python_", "secret")
"""Parts of the names of settings that open what is closed here: a query cannot change them."""


class QueryFailed(StoreError):
    """A query cannot be run, or failed while it ran; the message is DuckDB's own."""


@contextlib.contextmanager
def connected() -> Iterator[Any]:
    """Give a connection to an empty database in memory.

    It has neither extensions nor a way to get them, and no names of Python's variables. Local files can be read and
    written. What does not fit into memory goes to a temporary directory.
    """
    with tempfile.TemporaryDirectory(prefix="eventstore-sql-") as directory:
        settings = {
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_persistent_secrets": False,
            # Where nothing is, not even an extension that the user has installed finds its way in.
            "extension_directory": f"{directory}/none",
            "temp_directory": directory,
            "python_enable_replacements": False,
        }
        with library("duckdb").connect(config=settings) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET allowed_configs = ?", [_open_settings()])
            connection.execute("SET lock_configuration = true")
            yield connection


@functools.cache
def _open_settings() -> list[str]:
    """Return the names of the settings that a query may change: memory, threads, the zone and others."""
    with library("duckdb").connect() as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM duckdb_settings()").fetchall()]
    return [name for name in names if not any(part in name for part in _CLOSED)]


def interruptible(connection: Any, work: Callable[[], T], cancel: Callable[[], None]) -> T:  # noqa: ANN401 - DuckDB's
    """Return what `work` does with a connection. Ctrl-C, or any other exception here, ends it and is raised.

    DuckDB looks at no signals, so it works in a thread while this one waits. `cancel` ends what the thread does outside
    of DuckDB. The connection is usable afterwards.
    """
    results: list[T] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            results.append(work())
        except BaseException as e:  # noqa: BLE001 - raised where it is waited for
            errors.append(e)
        finally:
            done.set()

    threading.Thread(target=run, name="eventstore-sql", daemon=True).start()
    try:
        while not done.wait(WAIT_SECONDS):
            pass
    except BaseException:
        cancel()
        # Asked again and again: a statement that is only about to begin forgets an earlier interruption.
        while not done.wait(WAIT_SECONDS):
            connection.interrupt()
        raise
    if errors:
        raise errors[0]
    return results[0]
