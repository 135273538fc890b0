"""Evidence on the command line: every reading command works without write access, and writes nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import eventstore
from eventstore.watermarks import Watermark, Watermarks
from tests.cli.command import Run, flip, plain_environment, small_log
from tests.evidence import Writer, everything, give_back, obeying_modes, protect

MOVED, HEAD = 8, 11
ASKING = (
    ("verify",),
    ("read",),
    ("tail", "-n", "3"),
    ("state",),
    ("as-of", "5"),
    ("as-of", "5", "--account", "ACC1"),
    ("diff", "2", "8"),
    ("timeline",),
    ("timeline", "--occurred-at", "--account", "ACC1"),
    ("changes",),
    ("why", "1"),
    ("stats",),
    ("doctor",),
)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the small log and three records more, which only its write-ahead log has."""
    directory = tmp_path_factory.mktemp("killed") / "data"
    small_log(directory)
    writer = Writer(directory)
    assert writer.append(HEAD - MOVED) == HEAD
    writer.kill()
    with eventstore.open(directory, read_only=True) as store:
        last = list(store.read())[-1]
        mark = Watermark(store.log_id.hex(), last.position, last.digest.hex())
    Watermarks(directory / "main" / "watermarks").write("head", mark)
    return directory


@pytest.fixture
def evidence(killed: Path, tmp_path: Path) -> Iterator[Path]:
    """Return a copy of the killed log without write permission."""
    directory = tmp_path / "evidence"
    shutil.copytree(killed, directory)
    protect(directory)
    yield directory
    give_back(directory)


@pytest.fixture
def without_tail(killed: Path, tmp_path: Path) -> Path:
    """Return a copy that somebody made without the write-ahead log."""
    directory = tmp_path / "copy"
    shutil.copytree(killed, directory, ignore=shutil.ignore_patterns("*-wal", "*-shm"))
    return directory


@pytest.mark.parametrize("command", ASKING, ids=lambda command: command[0])
def test_a_command_that_asks_writes_nothing_beside_evidence(run: Run, evidence: Path, command: tuple[str, ...]) -> None:
    before = everything(evidence)
    for form in ((), ("--json",), ("--read-only",)):
        ended = run(*command, "--data", evidence, *form)
        assert (ended.code, ended.err) == (0, "")
        assert ended.out
    assert everything(evidence) == before


@pytest.mark.parametrize("command", ASKING, ids=lambda command: command[0])
def test_a_command_writes_nothing_where_it_could_when_it_is_asked_to(
    run: Run, killed: Path, command: tuple[str, ...]
) -> None:
    before = everything(killed)
    ended = run(*command, "--data", killed, "--read-only", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert "missing_tail" not in ended.out
    assert everything(killed) == before


def test_all_records_are_read_those_of_the_write_ahead_log_too(run: Run, evidence: Path) -> None:
    assert [line["position"] for line in run("read", "--data", evidence, "--json").lines] == list(range(1, HEAD + 1))
    assert run("verify", "--data", evidence, "--json").document["checked"] == HEAD
    checks = {check["name"]: check for check in run("doctor", "--data", evidence, "--json").document["checks"]}
    assert "opened read-only: nothing is written there" in checks["file system"]["detail"]
    assert f"not used when the log is read-only: {HEAD} records folded" in checks["snapshots"]["detail"]
    assert not {"disk sync", "disk space"} & set(checks)


def test_a_user_without_write_permission_can_still_ask(evidence: Path, tmp_path: Path) -> None:
    """In a process that obeys file modes, even for the superuser."""
    asked = [[*command, "--data", str(evidence)] for command in (*ASKING, ("limits",), ("backup", str(tmp_path / "b")))]
    script = (
        "import json, sys\n"
        "from typer.testing import CliRunner\n"
        "from gateways.cli import app\n"
        "done = [CliRunner().invoke(app, asked) for asked in json.loads(sys.argv[1])]\n"
        "print(json.dumps([[each.exit_code, each.stderr] for each in done]))\n"
    )
    before = everything(evidence)
    done = subprocess.run(
        obeying_modes(sys.executable, "-c", script, json.dumps(asked)),
        check=True,
        capture_output=True,
        text=True,
        env=plain_environment(),
    )
    assert json.loads(done.stdout) == [[0, ""]] * len(asked)
    assert everything(evidence) == before
    with eventstore.open(tmp_path / "b") as copy:
        assert copy.head() == HEAD


@pytest.mark.parametrize("protected", ["journal.db", "journal.db-wal", "journal.db-shm", "."])
def test_one_file_that_cannot_be_written_to_is_enough(run: Run, killed: Path, tmp_path: Path, protected: str) -> None:
    shutil.copytree(killed, tmp_path / "data")
    place = tmp_path / "data" / "main" / protected
    place.chmod(0o555 if place.is_dir() else 0o444)
    before = everything(tmp_path / "data")
    assert run("state", "--data", tmp_path / "data").code == 0
    assert run("verify", "--data", tmp_path / "data").code == 0
    assert everything(tmp_path / "data") == before
    place.chmod(0o755)


@pytest.mark.parametrize("command", ASKING, ids=lambda command: command[0])
def test_every_answer_names_the_tail_that_is_missing(run: Run, without_tail: Path, command: tuple[str, ...]) -> None:
    before = everything(without_tail)
    ended = run(*command, "--data", without_tail, "--read-only", "--json")
    assert ended.code == (1 if command[0] in {"verify", "doctor"} else 0)
    said = f"the watermark head saw position {HEAD}, the journal ends at {MOVED}"
    assert said in ended.err
    assert ended.err.count("\n") == 1
    for document in ended.lines:
        missing = document["missing_tail"]
        assert (missing["first"], missing["last"], missing["watermark"]) == (MOVED + 1, HEAD, "head")
        assert said in missing["reason"]
    assert said in run(*command, "--data", without_tail, "--read-only").err
    assert everything(without_tail) == before


def test_verify_names_the_missing_tail_as_the_first_bad_position(run: Run, without_tail: Path) -> None:
    found = run("verify", "--data", without_tail, "--read-only", "--json").document
    assert (found["ok"], found["checked"], found["first_bad"], found["size"]) == (False, MOVED, MOVED + 1, MOVED)
    ended = run("verify", "--data", without_tail, "--read-only")
    assert f"wrong at position {MOVED + 1}: the watermark head saw position {HEAD}" in ended.out
    assert f"{MOVED} records before it are as they were written" in ended.out
    checks = run("doctor", "--data", without_tail, "--read-only", "--json").document["checks"]
    assert {check["name"] for check in checks if check["status"] == "wrong"} == {"records", "watermarks"}


def test_a_log_that_lost_its_tail_is_not_opened_to_be_written_to(run: Run, without_tail: Path) -> None:
    for command in ("verify", "state"):
        ended = run(command, "--data", without_tail)
        assert ended.code == 1
        assert "acknowledged records are lost" in ended.out + ended.err


def test_verify_looks_read_only_at_a_log_that_lost_its_tail(run: Run, without_tail: Path) -> None:
    before = (without_tail / "main" / "journal.db").read_bytes()
    ended = run("verify", "--data", without_tail)
    assert ended.code == 1
    assert f"wrong at position {MOVED + 1}: the watermark head saw position {HEAD}" in ended.out
    assert f"{MOVED} records before it are as they were written" in ended.out
    assert "acknowledged records are lost: verified as with --read-only" in ended.err
    found = run("verify", "--data", without_tail, "--json").document
    assert found == run("verify", "--data", without_tail, "--read-only", "--json").document
    assert found["missing_tail"]["last"] == HEAD
    assert (without_tail / "main" / "journal.db").read_bytes() == before


@pytest.mark.parametrize(
    "command",
    [("state",), ("read",), ("limits",), ("backup", "saved"), ("doctor",), ("mark", "close"), ("lock", "ACC1")],
    ids=lambda command: command[0],
)
def test_a_refused_log_that_lost_its_tail_names_the_way_to_look_at_it(
    run: Run, without_tail: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(without_tail.parent)
    ended = run(*command, "--data", without_tail)
    assert ended.code == 1
    assert "To see what is left in it, use --read-only with verify, doctor, state or read" in ended.out + ended.err
    assert ended.err.count("\n") <= 1
    assert not (without_tail.parent / "saved").exists()


def test_other_damage_is_not_to_be_looked_at_read_only(run: Run, data: Path) -> None:
    flip(data, 4)
    for command in ("state", "verify"):
        ended = run(command, "--data", data)
        assert ended.code == 1
        assert "--read-only" not in ended.out + ended.err


@pytest.mark.parametrize("command", ASKING, ids=lambda command: command[0])
def test_every_answer_names_a_damaged_write_ahead_log(
    run: Run, killed: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(killed, damaged, ignore=shutil.ignore_patterns("watermarks"))
    wal = damaged / "main" / "journal.db-wal"
    content = bytearray(wal.read_bytes())
    content[32 + 100] ^= 1
    wal.write_bytes(content)
    said = f"damaged at frame 1 of {len(content) // 2_072}: acknowledged records after position {MOVED} may be lost"
    before = everything(damaged)
    ended = run(*command, "--data", damaged, "--read-only", "--json")
    assert ended.code == (1 if command[0] in {"verify", "doctor"} else 0)
    assert said in ended.err
    for document in ended.lines:
        missing = document["missing_tail"]
        assert (missing["first"], missing["last"], missing["watermark"]) == (MOVED + 1, None, "")
        assert said in missing["reason"]
    refused = run(*command, "--data", damaged)
    assert refused.code == 1
    assert said in refused.out + refused.err
    assert everything(damaged) == before


def test_what_appends_is_refused(run: Run, evidence: Path) -> None:
    before = everything(evidence)
    for command in (
        ("mark", "close"),
        ("lock", "ACC1", "--for", "1h", "--reason", "why"),
        ("append", "mark/-/close", "Marked", '{"name":"close"}'),
    ):
        ended = run(*command, "--data", evidence)
        assert ended.code == 2
        assert "is not writable" in ended.err
    assert everything(evidence) == before


def test_tail_follows_a_log_of_somebody_else(killed: Path, tmp_path: Path) -> None:
    """The directory is read-only for who asks, and its writer is at work."""
    writer = Writer(tmp_path / "data")
    try:
        writer.append(2)
        protect(tmp_path / "data")
        tail = (sys.executable, "-m", "eventstore", "tail", "--follow", "--json", "--data", str(tmp_path / "data"))
        command = obeying_modes(*tail)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=plain_environment()) as following:
            assert following.stdout is not None
            lines = [json.loads(following.stdout.readline()) for _ in range(2)]
            writer.append(1)
            lines.append(json.loads(following.stdout.readline()))
            following.terminate()
        assert [line["position"] for line in lines] == [1, 2, 3]
    finally:
        writer.kill()
        give_back(tmp_path / "data")
