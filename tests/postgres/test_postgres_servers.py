"""The servers that the tests of logs in PostgreSQL run on: they start, die, return, fail over and leave nothing."""

from __future__ import annotations

import concurrent.futures
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from tests.postgres import programs
from tests.postgres.pairs import PostgresPair, running_pair
from tests.postgres.programs import Programs
from tests.postgres.servers import PostgresServer, running
from tests.reliability.checking import environment

pytestmark = pytest.mark.untraced

CREATE = "CREATE TABLE fact (number BIGINT PRIMARY KEY)"
INSERT = "INSERT INTO fact SELECT count(*) + 1 FROM fact RETURNING number"
FACTS = "SELECT number FROM fact ORDER BY number"


@pytest.mark.parametrize("end", ["fast", "smart", "immediate", "kill"])
def test_a_server_returns_on_its_port_with_what_was_committed(end: str, own_postgres: PostgresServer) -> None:
    own_postgres.execute(CREATE)
    own_postgres.execute(INSERT)
    port = own_postgres.port
    if end == "kill":
        own_postgres.kill()
    else:
        own_postgres.stop(end)
    assert not own_postgres.is_running
    with pytest.raises(psycopg.OperationalError, match="refused"):
        own_postgres.execute(FACTS)
    own_postgres.start()
    assert (own_postgres.port, own_postgres.execute(FACTS)) == (port, [(1,)])


def test_a_server_that_is_killed_leaves_no_process(own_postgres: PostgresServer) -> None:
    with own_postgres.connect() as connection:
        pids = own_postgres.processes()
        assert connection.info.backend_pid in pids
        own_postgres.kill()
    assert [pid for pid in pids if is_alive(pid)] == []


def test_a_paused_server_answers_when_it_is_resumed(own_postgres: PostgresServer) -> None:
    with own_postgres.connect() as connection, concurrent.futures.ThreadPoolExecutor(1) as pool:
        own_postgres.pause()
        answer = pool.submit(connection.execute, "SELECT 1")
        with pytest.raises(concurrent.futures.TimeoutError):
            answer.result(0.2)
        own_postgres.resume()
        assert answer.result(5).fetchone() == (1,)


@pytest.mark.parametrize("version", programs.VERSIONS)
def test_a_server_is_durable_and_of_its_version(version: int) -> None:
    with running(version) as server:
        assert server.execute("SHOW fsync") == server.execute("SHOW full_page_writes") == [("on",)]
        assert server.execute("SHOW synchronous_commit") == [("on",)]
        ((found,),) = server.execute("SHOW server_version_num")
        assert int(found) // 10_000 == version
    assert not server.data.exists()


def test_a_server_ends_with_the_process_that_started_it() -> None:
    """Also if that was killed while the server was paused."""
    program = (
        "from tests.postgres.servers import running; import os, signal\n"
        "with running(18) as server:\n"
        "    server.pause()\n"
        "    print(*server.processes(), server.data, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True, check=False)
    *pids, data = ended.stdout.decode().split()
    end = time.monotonic() + 20
    while any(is_alive(int(pid)) for pid in pids) and time.monotonic() < end:
        time.sleep(0.05)
    assert len(pids) > 5
    assert [pid for pid in pids if is_alive(int(pid))] == []
    Programs(18).directory().rmdir()
    assert not Path(data).exists(), "the next server's directory takes the place of those that were left"


@pytest.mark.slow
def test_an_installation_that_an_ordinary_user_cannot_read_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid():
        pytest.skip("only root runs it as another user")
    installed = Path(Programs(18).path("postgres")).parents[1]
    monkeypatch.setattr(programs, "_is_reachable", lambda path: installed not in path.parents)
    # Not in pytest's own directories, which nobody else may enter.
    with tempfile.TemporaryDirectory() as cache:
        Path(cache).chmod(0o711)
        monkeypatch.setenv("XDG_CACHE_HOME", cache)
        with running(18) as server:
            assert server.programs.path("postgres").startswith(cache)
            assert server.execute("SELECT 1") == [(1,)]


@pytest.mark.slow
@pytest.mark.parametrize("version", programs.VERSIONS)
def test_a_pair_fails_over_and_the_old_primary_returns(version: int) -> None:
    with running_pair(version) as pair:
        pair.primary.execute(CREATE)
        for number in range(1, 3):
            assert pair.primary.execute(INSERT) == [(number,)]
            old = pair.primary
            pair.primary.kill()
            pair.promote()
            assert pair.primary is not old
            assert pair.primary.execute(FACTS)[-1] == (number,), "what was acknowledged is on the standby"
            pair.rewind()
            assert pair.standby.execute("SELECT pg_is_in_recovery()") == [(True,)]
        with psycopg.connect(pair.url(target_session_attrs="read-write")) as connection:
            assert connection.execute(FACTS).fetchall() == [(1,), (2,)]


def test_a_stalled_standby_holds_commits_up(pair: PostgresPair) -> None:
    pair.primary.execute(CREATE)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with pair.stalled():
            answer = pool.submit(pair.primary.execute, INSERT)
            with pytest.raises(concurrent.futures.TimeoutError):
                answer.result(0.3)
        assert answer.result(10) == [(1,)]


def test_what_only_the_old_primary_has_is_dropped_when_it_returns(pair: PostgresPair) -> None:
    pair.primary.execute(CREATE)
    pair.primary.execute("ALTER SYSTEM SET synchronous_commit = local")
    pair.primary.execute("SELECT pg_reload_conf()")
    with pair.stalled(cut=True):
        pair.primary.execute(INSERT)
        pair.primary.kill()
    pair.promote()
    assert pair.primary.execute(FACTS) == []
    pair.standby.start()
    assert pair.standby.execute(FACTS) == [(1,)], "restarted alone it is a primary of the past"
    pair.rewind()
    assert pair.standby.execute(FACTS) == []


def is_alive(pid: int) -> bool:
    """Return whether a process runs: one that has ended may wait for its parent to notice."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return text.rpartition(")")[2].split()[0] != "Z"
