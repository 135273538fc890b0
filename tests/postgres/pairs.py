"""A primary and its synchronous standby, for tests: they fail over, and the old primary returns as the standby."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterator
from typing import Final

from tests.postgres.programs import SUPERUSER, PostgresFailed, Programs
from tests.postgres.servers import POLL_SECONDS, PostgresServer, url_of

SYNC_SECONDS_MAX: Final = 20.0
# Each waits for the other: a name of its own never stands for a standby of itself.
_STANDBYS: Final = "FIRST 1 (a, b)"


class PostgresPair:
    """Two servers, of which `standby` confirms what `primary` commits. The one that leads does not commit alone."""

    def __init__(self, primary: PostgresServer, standby: PostgresServer) -> None:
        self.primary, self.standby = primary, standby
        self._in_order = primary, standby

    def start(self) -> None:
        """Start the primary, copy it to the standby and start that."""
        self.primary.start()
        # Into the copy too; in force here once the standby is there.
        self.primary.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{_STANDBYS}'")
        self.primary.programs.run(
            "pg_basebackup", "-D", str(self.standby.data), "-d", _conninfo(self.primary), "-c", "fast", "--no-sync"
        )  # fmt: skip
        self._follow()
        self.primary.execute("SELECT pg_reload_conf()")
        self.await_standby()

    def promote(self) -> None:
        """Make the standby the primary: from here on the two have exchanged their roles.

        The old primary may be dead or alive. The new one waits for a standby too, which there is after `rewind`.
        """
        self.standby.execute("SELECT pg_promote()")
        self.primary, self.standby = self.standby, self.primary

    def rewind(self) -> None:
        """Bring the old primary back as the standby: what it alone has is dropped."""
        self.standby.stop("immediate")
        # Its control file still names the old timeline.
        self.primary.execute("CHECKPOINT")
        arguments = ("-D", str(self.standby.data), f"--source-server={_conninfo(self.primary)}", "--no-sync")
        self.standby.programs.run("pg_rewind", *arguments)
        self._follow()
        self.await_standby()

    @contextlib.contextmanager
    def stalled(self, *, cut: bool = False) -> Iterator[None]:
        """Keep the standby from confirming anything for a while, with its connection open.

        It receives then what has been sent meanwhile, unless the connection is to be `cut`.
        """
        ((pid,),) = self.standby.execute("SELECT pid FROM pg_stat_wal_receiver")
        with self.standby.suspended(pid):
            yield
            if cut:
                os.kill(pid, signal.SIGTERM)

    def await_standby(self) -> None:
        """Wait until commits of the primary are confirmed by the standby."""
        end = time.monotonic() + SYNC_SECONDS_MAX
        sql = "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'sync'"
        while not self.primary.execute(sql):
            if time.monotonic() > end:
                msg = f"{self.standby!r} does not follow: {self.standby.log.read_text(encoding='utf-8')}"
                raise PostgresFailed(msg)
            time.sleep(POLL_SECONDS)

    def url(self, database: str = "postgres", **parameters: str) -> str:
        """Return a URL of both, always in the order in which they were made."""
        return url_of([server.port for server in self._in_order], database, parameters)

    def close(self) -> None:
        self.primary.close()
        self.standby.close()

    def _follow(self) -> None:
        """Start the standby as one of the primary."""
        self.standby.settings["primary_conninfo"] = f"{_conninfo(self.primary)} application_name={self.standby.name}"
        (self.standby.data / "standby.signal").touch()
        self.standby.start()


def _conninfo(server: PostgresServer) -> str:
    return f"host=127.0.0.1 port={server.port} user={SUPERUSER} dbname=postgres connect_timeout=5"


@contextlib.contextmanager
def running_pair(version: int) -> Iterator[PostgresPair]:
    """Run a new pair, and leave nothing of it."""
    programs = Programs(version)
    directory = programs.directory()
    first, second = (PostgresServer(programs, directory, name=name) for name in ("a", "b"))
    pair = PostgresPair(first, second)
    try:
        pair.start()
        yield pair
    finally:
        pair.close()
        shutil.rmtree(directory)
