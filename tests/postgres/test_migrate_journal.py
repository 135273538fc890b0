"""`migrate-journal`: what it says of a log that it has moved, and of all that lies beside it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import eventstore
from eventstore import ReadOnly
from eventstore.config import FILE
from eventstore.files import FileLock
from eventstore.influx import status
from eventstore.journals.postgres import Location
from eventstore.proofs import checkpoint_file, signing, witness_file
from eventstore.proofs.key_files import FOLDER
from eventstore.side import HOME
from eventstore.watermarks import Watermark, Watermarks
from gateways.alerting import heartbeat, receiving
from gateways.cli import migrate_journal
from gateways.http.keys import stored
from projections.risk.policies import abilities, account_sets, cursors, lease
from tests.cli.command import flip, on_terminal, plain_environment, run_here, small_log
from tests.postgres.servers import PostgresServer
from tests.store.facts import OTHER, filled

KNOWN = [
    f"../{FILE}",
    HOME,
    f"watermarks/{status.CURSOR}",
    status.LOCK_FILE,
    status.STATUS_FILE,
    checkpoint_file.NAME,
    signing.LOCK_FILE,
    witness_file.NAME,
    heartbeat.LOCK_FILE,
    heartbeat.PRICES_LOCK_FILE,
    f"{receiving.CURSOR}desk.lock",
    stored.NAME,
    stored.USED,
    lease.FILE,
    account_sets.lock_of(account_sets.name_of(["ACC1"])),
    f"watermarks/{cursors.PREFIX}limits",
    "snapshots.sqlite-wal",
    *(f"document {name}" for name in (HOME, status.STATUS_FILE, stored.NAME, stored.USED, "snapshots.key")),
    f"document {checkpoint_file.NAME}",
    f"document {witness_file.NAME}/00000002",
    f"mark {status.CURSOR}",
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    small_log(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def secret_url(postgres: PostgresServer, postgres_url: str) -> str:
    """The same URL, with a password that the server does not ask for."""
    return postgres_url.replace(f"//{postgres.url().partition('//')[2].partition('@')[0]}@", "//es:tops3cret@")


def test_it_moves_a_log_and_back(data: Path, postgres_url: str, tmp_path: Path) -> None:
    with eventstore.open(data) as store:
        root, log_id = store.root()[1].hex(), store.log_id.hex()
    ended = run_here("migrate-journal", data, postgres_url)
    assert (ended.code, ended.err) == (0, "")
    assert re.search(rf"moved log main from {data} to postgresql://.*: 8 records, verified at both", ended.out)
    assert f"log id {log_id}\nroot {root}\n" in ended.out
    assert f"to protect the source, run: chmod a-w {data}/main\n" in ended.out
    back = run_here("migrate-journal", postgres_url, tmp_path / "again", "--json")
    assert (back.code, back.err) == (0, "")
    assert back.document["target"] == str(tmp_path / "again")
    wanted = {"log": "main", "log_id": log_id, "size": 8, "root": root, "head": 8, "left": []}
    assert {name: back.document[name] for name in wanted} == wanted
    assert back.document["advice"].endswith("revoke INSERT and UPDATE on its tables from the roles that append")


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_no_password_is_shown(as_json: tuple[str, ...], data: Path, secret_url: str, tmp_path: Path) -> None:
    assert "tops3cret" in secret_url
    places = [(data, secret_url), (data, secret_url), (secret_url, tmp_path / "again")]
    ended = [run_here("migrate-journal", *place, *as_json) for place in places]
    # The second time there is a log already.
    assert [each.code for each in ended] == [0, 2, 0]
    assert "exists already" in ended[1].err
    nowhere = run_here("migrate-journal", data, "postgresql://es:tops3cret@127.0.0.1:9/x?password=tops3cret", *as_json)
    assert nowhere.code == 2
    assert "tops3cret" not in "".join(each.out + each.err for each in (*ended, nowhere))


def test_what_is_not_moved_is_named_with_what_to_do(data: Path, postgres_url: str) -> None:
    with eventstore.open(data) as store:
        log_id, digest = store.log_id.hex(), next(store.read(after=4, limit=1)).digest.hex()
    marks = Watermarks(data / "main" / "watermarks")
    marks.write("policy.limits", Watermark(log_id, 5, digest))
    marks.write("policy.other", Watermark("00" * 16, 5, digest))
    marks.write("alerts@desk", Watermark(log_id, 5, digest))
    (data / "main" / "watermarks" / "policy.torn").write_text("torn")
    (data / "eventstore.toml").write_text("")
    (data / "main" / "my notes").write_text("")
    (data / "beside").write_text("")
    with eventstore.open(data, log="second"):
        pass
    ended = run_here("migrate-journal", data, postgres_url)
    assert ended.code == 0
    said = [line for line in ended.out.splitlines() if line.startswith(("moved with", "not moved"))]
    cursor = "cursor of a policy: of records that the log does not have, or unreadable"
    advice = "look what it is: a policy without a cursor begins at the end of the log"
    assert said == [
        "moved with it: alerts@desk, policy.limits",
        "not moved: ../eventstore.toml (settings): copy it to the directory where the programs run",
        "not moved: ../second/journal.db (another log): name it by --log to move it too",
        "not moved: my notes (not of this program, or of a newer version): look what it is before you remove anything",
        f"not moved: watermarks/policy.other ({cursor}): {advice}",
        f"not moved: watermarks/policy.torn ({cursor}): {advice}",
    ]


def test_processes_that_still_use_the_source_are_a_problem(data: Path, postgres_url: str, tmp_path: Path) -> None:
    lock = FileLock(data / "main" / lease.FILE)
    assert lock.take()
    ended = run_here("migrate-journal", data, postgres_url)
    lock.release()
    assert ended.code == 1
    assert "processes still use the source, by policies.lock: stop them, and start them on the target" in ended.out
    with eventstore.open(postgres_url) as store:
        assert store.side is not None
        held = store.side.lock(lease.FILE)
        assert held.take()
        ended = run_here("migrate-journal", postgres_url, tmp_path / "again", "--json")
    assert (ended.code, ended.document["held"]) == (1, ["policies.lock"])


@pytest.mark.parametrize("name", KNOWN)
def test_each_file_of_the_program_is_known(name: str) -> None:
    found = migrate_journal.kind_of(name)
    assert found in migrate_journal.KINDS


def test_what_policies_can_judge_is_known(data: Path) -> None:
    with eventstore.open(data) as store:
        assert store.side is not None
        abilities.remember(store.side, abilities.abilities_of(["limits"]))
        [name] = store.side.documents("policies+")
    assert migrate_journal.kind_of(name).what == "what a process's policies can judge"
    assert migrate_journal.kind_of(f"document {name}").what == "what a process's policies can judge"


def test_what_does_not_come_along_from_postgresql_is_named_with_what_to_do(
    data: Path, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path / "keys"))
    assert run_here("migrate-journal", data, postgres_url).code == 0
    for words in (("keys", "new"), ("checkpoint",), ("api-keys", "add", "bot", "--scope", "read")):
        assert run_here(*words, "--data", postgres_url).code == 0
    with eventstore.open(postgres_url) as store:
        assert store.side is not None
        store.side.new_home()
        status.write_status(store.side, status.ShipperStatus(1, "shipping"))
        digest = next(store.read(after=4, limit=1)).digest.hex()
        store.side.marks().write(status.CURSOR, Watermark(store.log_id.hex(), 5, digest))
    left = run_here("migrate-journal", postgres_url, tmp_path / "again", "--json").document["left"]
    shown = {each["name"]: each["what"] for each in left}
    assert shown == {
        "mark mirror": "how far InfluxDB has the log",
        "document api-keys.json": "API keys of the service",
        "document checkpoints.txt": "signed checkpoints",
        "document home.json": "the right to ship the log to InfluxDB",
        "document mirror.json": "state of the mirror",
    }
    advice = {each["advice"] for each in left if "InfluxDB" in each["what"] or "mirror" in each["what"]}
    [how] = advice
    assert "eventstore adopt" in how


def test_tables_that_are_not_the_log_s_are_named(
    data: Path, postgres: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    run_here("migrate-journal", data, postgres_url)
    postgres.execute(f"CREATE TABLE {Location.of(postgres_url).schema}.fills (id INT)")
    out = run_here("migrate-journal", postgres_url, tmp_path / "again").out
    assert "not moved: table fills (table of another program, or of a newer version): look what it is" in out


def test_a_source_that_grows_is_a_problem(data: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from eventstore import migration

    prove = migration._prove

    def late(*arguments: object) -> None:
        with eventstore.open(data) as store:
            store.append(OTHER, filled())
        prove(*arguments)  # type: ignore[arg-type] # passed on

    monkeypatch.setattr(migration, "_prove", late)
    ended = run_here("migrate-journal", data, postgres_url)
    assert ended.code == 1
    assert "positions 9 to 9 were appended to the source meanwhile and are not in the target" in ended.out


def test_a_changed_log_is_a_problem(data: Path, postgres_url: str) -> None:
    flip(data, 3)
    ended = run_here("migrate-journal", data, postgres_url)
    assert (ended.code, ended.out) == (1, "")
    assert "position 3" in ended.err


def test_directories_alone_are_a_usage_error(data: Path, tmp_path: Path) -> None:
    ended = run_here("migrate-journal", data, tmp_path / "other")
    assert (ended.code, ended.out) == (2, "")
    assert "`eventstore backup` copies a log" in ended.err


def test_the_old_directory_is_protected_as_it_says(data: Path, postgres_url: str) -> None:
    advice = run_here("migrate-journal", data, postgres_url, "--json").document["advice"]
    subprocess.run(["sh", "-c", advice.partition("run: ")[2]], check=True)
    with pytest.raises(ReadOnly):
        eventstore.open(data)
    with eventstore.open(data, read_only=True) as store:
        assert store.verify().ok
    (data / "main").chmod(0o700)


def test_so_are_old_tables(data: Path, postgres: PostgresServer, postgres_url: str) -> None:
    schema = Location.of(postgres_url).schema
    postgres.execute(f"CREATE ROLE desk_{schema} LOGIN")
    try:
        postgres.execute(f"CREATE SCHEMA {schema} AUTHORIZATION desk_{schema}")
        own_url = postgres_url.replace("//es@", f"//desk_{schema}@")
        assert run_here("migrate-journal", data, own_url).code == 0
        with eventstore.open(own_url) as store:
            store.append(OTHER, filled(2))
        postgres.execute(f"REVOKE INSERT, UPDATE ON ALL TABLES IN SCHEMA {schema} FROM desk_{schema}")
        with eventstore.open(own_url) as store:
            with pytest.raises(ReadOnly):
                store.append(OTHER, filled(3))
            assert store.head() == 9
    finally:
        postgres.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        postgres.execute(f"DROP ROLE desk_{schema}")


def test_on_a_terminal_it_shows_how_far_it_is(data: Path, postgres_url: str) -> None:
    ended = on_terminal(["migrate-journal", str(data), postgres_url], 80)
    assert ended.code == 0
    assert "24/24" in ended.out


def test_help_needs_no_driver() -> None:
    """The command line starts without the extra `postgres`, and without its cost."""
    program = "import sys, gateways.cli; sys.exit('psycopg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], env=plain_environment(), check=False).returncode == 0
