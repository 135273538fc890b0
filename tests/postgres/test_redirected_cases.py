"""The cases that lie beside the project, where they do, with their stores in PostgreSQL: the same right values."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgres.schemas import OwnSchema
from tests.postgres.servers import PostgresServer
from tests.reliability.checking import ROOT, WAIT_SECONDS, environment

pytestmark = pytest.mark.slow

CASES = ROOT.parent / "shared" / "cases"
OF_FILES = {
    "append_waits_for_snapshot": "holds the file of the snapshots",
    "journal_gone": "removes the journal's files",
    "retention_while_shipping": "ships to InfluxDB, which a log in PostgreSQL does not",
    "snapshot_byte_flips": "changes bytes of the snapshots",
    "snapshot_damaged_while_open": "changes the file of the snapshots",
    "worker_outlives_snapshots": "holds the file of the snapshots",
    "c22_wal_with_a_reader_that_stays": "watches the write-ahead log of the journal's file",
    "c29_retention_made_finite_while_shipping": "ships to InfluxDB, which a log in PostgreSQL does not",
}
SCRIPTS = [
    path
    for folder in ("state", "risk", "reliability")
    for path in sorted((CASES / folder).glob("*.py"))
    if path.stem != "h" and path.stem not in OF_FILES
]


# Without the folder there is one, which is skipped.
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_case_has_its_value_in_postgresql_too(script: Path, postgres: PostgresServer, tmp_path: Path) -> None:
    schema = OwnSchema(postgres)
    command = [sys.executable, "-B", "-m", "tests.postgres.redirected", schema.url, str(script)]
    where = environment(TMPDIR=str(tmp_path))
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=WAIT_SECONDS, env=where)
    assert done.returncode == 0, done.stdout + done.stderr
    logs = postgres.execute("SELECT count(*) FROM pg_namespace WHERE starts_with(nspname, %s)", f"{schema.name}_")
    schema.drop()
    assert logs[0][0] > 0, "the case opened no store there"
    assert not list(tmp_path.rglob("journal.db")), "the case opened a store in a directory"
