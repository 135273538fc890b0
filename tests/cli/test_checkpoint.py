"""`keys` and `checkpoint`: what is printed and what never is, exit codes, witnesses, and what doctor says of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import eventstore
from eventstore.proofs import Checkpoint
from eventstore.proofs.checkpoint_file import CheckpointFile, notes_of
from eventstore.proofs.key_files import FOLDER
from eventstore.proofs.keys import PublicKey
from eventstore.side import FileSide
from eventstore.trading import Marked
from tests.cli.command import Ended, Run, plain_environment

OUTSIDE = "witness of this test"


@pytest.fixture(autouse=True)
def _keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path / "keys"))
    monkeypatch.chdir(tmp_path)


def grow(data: Path, count: int = 1) -> None:
    with eventstore.open(data) as store:
        store.append("mark/-/many", [Marked(name="many")] * count)


def line_of(ended: Ended, check: str) -> list[str]:
    return [line for line in ended.out.splitlines() if line.split()[1:2] == [check]]


def test_a_key_is_made_shown_and_retired(run: Run, data: Path, tmp_path: Path) -> None:
    nothing = run("keys", "--data", data)
    assert (nothing.code, nothing.out) == (0, "")
    assert "eventstore keys new makes one" in nothing.err
    made = run("keys", "new", "--data", data)
    assert made.code == 0
    key = PublicKey.parse(made.out)
    assert key.name.startswith("eventstore/main/")
    [secret] = (tmp_path / "keys").glob("*.key")
    assert secret.stat().st_mode & 0o777 == 0o600
    assert run("keys", "show", "--data", data).out == made.out
    retired = run("keys", "retire", key.id.hex(), "--data", data, "--json")
    [document] = retired.document["keys"]
    assert (document["id"], document["key"]) == (key.id.hex(), key.text)
    assert document["retired_at"] is not None
    assert not secret.exists()
    again = run("keys", "retire", key.text, "--data", data)
    assert (again.code, "already" in again.err) == (0, True)
    # The next one has the name that the first one had.
    assert PublicKey.parse(run("keys", "new", "--data", data).out).name == key.name


def test_no_command_prints_a_private_key(run: Run, data: Path, tmp_path: Path) -> None:
    outputs = [run("keys", "new", "--data", data)]
    [secret] = (tmp_path / "keys").glob("*.key")
    content = secret.read_text().strip()
    hidden = (content, content.split("+", 4)[4])
    outputs += [
        run(*arguments, "--data", data)
        for arguments in (
            ["keys"], ["keys", "--json"], ["checkpoint"], ["checkpoint", "--json"], ["checkpoint", "--list"],
            ["keys", "retire", content], ["keys", "new", "--name", content], ["doctor"],
        )
    ]  # fmt: skip
    secret.chmod(0o644)
    outputs += [run(*arguments, "--data", data) for arguments in (["keys"], ["checkpoint"], ["doctor"])]
    secret.chmod(0o600)
    secret.write_text(content[:-6])
    outputs += [run(*arguments, "--data", data) for arguments in (["keys"], ["checkpoint"], ["doctor"])]
    for ended in outputs[:5] + outputs[7:]:
        assert not any(part in ended.out + ended.err for part in hidden)


@pytest.mark.parametrize(
    "arguments",
    [
        ["keys", "make"],
        ["keys", "retire"],
        ["keys", "retire", "00000000"],
        ["keys", "new", "--name", "a b"],
        ["keys", "show", "--name", "a"],
        ["keys", "show", "00000000"],
        ["checkpoint"],
        ["checkpoint", "--every", "soon"],
        ["checkpoint", "--every", "never"],
        ["checkpoint", "--witness", "usb"],
        ["checkpoint", "--witness", "a b=true"],
        ["checkpoint", "--witness", "usb='"],
        ["checkpoint", "--witness", "usb=true", "--no-witness"],
    ],
)
def test_what_is_not_understood_signs_nothing(run: Run, data: Path, arguments: list[str]) -> None:
    ended = run(*arguments, "--data", data)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("eventstore: ")
    assert not (data / "main" / "checkpoints.txt").exists()


def test_a_checkpoint_is_signed_and_listed(run: Run, data: Path) -> None:
    key = PublicKey.parse(run("keys", "new", "--data", data).out)
    with eventstore.open(data) as store:
        size, root = store.root()
    ended = run("checkpoint", "--data", data)
    place = data / "main" / "checkpoints.txt"
    assert (ended.code, ended.out) == (0, f"checkpoint of size {size}: signed\nroot {root.hex()}\nkept in {place}\n")
    assert "signed before, and the log has not grown since" in run("checkpoint", "--data", data).out
    document = run("checkpoint", "--data", data, "--json").document
    found = Checkpoint.parse(document["text"]).verify(key)
    assert found.head == (size, root) == (document["size"], bytes.fromhex(document["root"]))
    assert (document["new"], document["witnesses"], document["origin"]) == (False, [], key.name)
    grow(data)
    run("checkpoint", "--data", data)
    listed = run("checkpoint", "--list", "--data", data, "--json").document["checkpoints"]
    assert [each["size"] for each in listed] == [size + 1, size]
    assert str(size + 1) in run("checkpoint", "--list", "--data", data).out
    [line] = line_of(run("doctor", "--data", data), "checkpoints")
    assert line.startswith("ok ")
    assert f"the newest has size {size + 1}" in line


def test_a_witness_that_fails_is_exit_code_1_and_in_doctor_until_it_has_it(run: Run, data: Path) -> None:
    run("keys", "new", "--data", data)
    failing = [sys.executable, "-c", f"import sys; sys.exit('{OUTSIDE}')"]
    Path("eventstore.toml").write_text(f"[checkpoints.witnesses]\nusb = {json.dumps(failing)}\n")
    ended = run("checkpoint", "--data", data)
    assert ended.code == 1
    assert f"witness usb: failed: it ended with exit code 1: {OUTSIDE}" in ended.out
    assert run("checkpoint", "--data", data, "--json").document["witnesses"] == [
        {"witness": "usb", "witnessed": False, "reason": f"it ended with exit code 1: {OUTSIDE}"}
    ]
    doctor = run("doctor", "--data", data)
    assert doctor.code == 1
    [line] = line_of(doctor, "checkpoints")
    assert line.startswith("wrong ")
    assert "is unwitnessed: usb: it ended with exit code 1" in line
    assert run("checkpoint", "--witness", "usb=true", "--data", data).code == 0
    assert run("doctor", "--data", data).code == 0
    # A witness that is given up is so in words, not because nobody mentions it any longer.
    grow(data)
    Path("eventstore.toml").unlink()
    assert run("checkpoint", "--data", data).code == 0
    assert run("doctor", "--data", data).code == 1
    assert run("checkpoint", "--no-witness", "--data", data).code == 0
    assert run("doctor", "--data", data).code == 0


def test_an_older_copy_is_refused_and_the_way_out_is_said(run: Run, data: Path, tmp_path: Path) -> None:
    run("keys", "new", "--data", data)
    run("checkpoint", "--data", data)
    shutil.copytree(data, tmp_path / "older")
    grow(data, 5)
    run("checkpoint", "--data", data)
    shutil.rmtree(data)
    (tmp_path / "older").rename(data)
    ended = run("checkpoint", "--data", data)
    assert (ended.code, ended.out) == (1, "")
    assert "its tail is lost" in ended.err
    assert "eventstore keys retire, keys new, then checkpoint --restored" in ended.err
    assert any("an older copy" in line for line in line_of(run("doctor", "--data", data), "checkpoints"))
    [key] = run("keys", "--data", data, "--json").document["keys"]
    assert run("checkpoint", "--restored", "--data", data).code == 2
    run("keys", "retire", key["id"], "--data", data)
    run("keys", "new", "--data", data)
    assert run("checkpoint", "--data", data).code == 1
    restored = run("checkpoint", "--restored", "--data", data, "--json")
    assert restored.code == 0
    assert any(line.startswith("restored-after 13 ") for line in restored.document["extensions"])
    assert run("doctor", "--data", data).code == 0


def test_it_signs_on_a_schedule_and_once_more_when_it_is_ended(run: Run, data: Path) -> None:
    run("keys", "new", "--data", data)
    command = [sys.executable, "-m", "eventstore", "checkpoint", "--every", "1h", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=plain_environment(), text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().endswith(": signed\n")
        [first] = notes_of((data / "main" / "checkpoints.txt").read_bytes())
        grow(data)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(60) == 0
    assert [each.size for each in CheckpointFile(FileSide(data / "main")).newest()] == [first.size, first.size + 1]


def test_a_log_that_is_only_read_lists_its_checkpoints(run: Run, data: Path) -> None:
    run("keys", "new", "--data", data)
    run("checkpoint", "--data", data)
    before = sorted((path, path.stat().st_mtime_ns) for path in (data / "main").iterdir())
    assert line_of(run("doctor", "--read-only", "--data", data), "checkpoints")[0].startswith("ok ")
    assert sorted((path, path.stat().st_mtime_ns) for path in (data / "main").iterdir()) == before
