"""Signed logs, bundles and archives: what earlier versions wrote is verified by this one, as is what this one keeps."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from tests.cli.command import run_here
from tests.documents import ROOT
from tests.proofs import keeping, keeping_bundles
from tests.proofs.signed_logs import SignedLog

KEPT = ROOT / "tests" / "kept" / "proofs"


@pytest.fixture(params=sorted(path.name for path in KEPT.iterdir()))
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a copy of what a version wrote."""
    copy = Path(shutil.copytree(KEPT / str(request.param), tmp_path / "kept"))
    (copy / "signed" / "keys").chmod(stat.S_IRWXU)
    return copy


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    log = keeping.make(tmp_path)
    keeping.check(log)
    keeping.check_signing(log)


def test_bundles_that_are_kept_are_verified_again(tmp_path: Path) -> None:
    keeping_bundles.make(tmp_path)
    keeping_bundles.check(tmp_path, tmp_path)


def test_a_kept_log_gives_what_its_checkpoints_say(kept: Path) -> None:
    keeping.check(SignedLog(kept / "signed"))


def test_kept_bundles_are_verified_by_their_own_program_and_by_today_s(kept: Path, tmp_path: Path) -> None:
    keeping_bundles.check(kept / "bundles", tmp_path)


def test_a_kept_archive_continues_the_kept_checkpoints(kept: Path, tmp_path: Path) -> None:
    data = kept / "signed" / "data"
    given = ("--check", "--checkpoint", data / "main" / "checkpoints.txt")
    signers = [text for stored in SignedLog(kept / "signed").folder.all() for text in ("--key", stored.key)]
    for log in (data, tmp_path / "none"):
        ended = run_here("archive", kept / "archive", *given, *signers, "--data", log)
        assert (ended.code, ended.out.startswith("ok: ")) == (0, True), ended.err
    [file] = (kept / "archive" / "mark").iterdir()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert run_here("archive", kept / "archive", *given, *signers, "--data", data).code == 1


def test_no_private_key_is_kept() -> None:
    files = [path for path in KEPT.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if path.suffix == ".key" or b"PRIVATE+KEY" in path.read_bytes()]
