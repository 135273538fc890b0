"""`prove`, `verify --checkpoint`, `archive --check --checkpoint` and `export --bundle`, as they are typed."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest

import eventstore
from eventstore import ManualClock
from eventstore.proofs import verify_bundle
from eventstore.proofs.checkpoint_file import notes_of
from eventstore.proofs.key_files import FOLDER, KeyFolder
from eventstore.proofs.signers import origin_of
from eventstore.trading import Marked, OrderRejected
from gateways.presenting import timeline_page
from tests.cli.command import NINE, SECOND, Run
from tests.proofs import keeping
from tests.proofs.signed_logs import SignedLog

DAYS = 3 * 86_400 * SECOND


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a log of 40 records, a checkpoint signed after 20 and one at its end."""
    monkeypatch.setenv(FOLDER, str(tmp_path / "keys"))
    clock = ManualClock(NINE - DAYS)
    with eventstore.open(tmp_path / "data", clock=clock) as store:
        made = KeyFolder(tmp_path / "keys").create(origin_of("main", store.log_id), "main", store.log_id, NINE)
        (tmp_path / "vkey").write_text(made.key + "\n")
        for number in range(20):
            clock.advance(SECOND)
            store.append(f"order/ACC{number % 2}/O-{number}", OrderRejected(reason="late"))
            if number == 9:
                (tmp_path / "old").write_text(store.checkpoint().checkpoint.text)
        store.append("mark/-/end", [Marked(name="end")] * 20)
        store.checkpoint()
    return tmp_path / "data"


def test_a_record_is_proved_and_the_proof_checked(run: Run, data: Path, tmp_path: Path) -> None:
    proof, key = tmp_path / "proof", tmp_path / "vkey"
    assert run("prove", "7", "--data", data, "--out", proof).out == f"proof of position 7 among 40 records in {proof}\n"
    assert run("prove", "7", "--data", data).out == proof.read_text()
    ended = run("prove", "--check", proof, "--key", key)
    assert ended.code == 0
    assert ended.out.startswith("ok: the record of position 7 is among the 40 records of the checkpoint, in the log ")
    document = run("prove", "--check", proof, "--key", key, "--json").document
    assert (document["ok"], document["record"]["stream"]) == (True, "order/ACC0/O-6")
    assert run("prove", "7", "--data", data, "--json").document["proof"] == proof.read_text()
    text = proof.read_text()
    proof.write_text(text.replace("index 6", "index 5"))
    ended = run("prove", "--check", proof, "--key", key)
    assert (ended.code, "position 7 is not proved" in ended.out) == (1, True)
    assert run("prove", "--check", proof, "--key", key, "--json").document["ok"] is False


def test_growth_is_proved_from_an_earlier_checkpoint(run: Run, data: Path, tmp_path: Path) -> None:
    proof, key, old = tmp_path / "proof", tmp_path / "vkey", tmp_path / "old"
    assert run("prove", "--from", "10", "--data", data, "--out", proof).code == 0
    ended = run("prove", "--check", proof, "--key", key, "--earlier", old)
    assert ended.code == 0
    assert "the 40 records of the checkpoint begin with the 10 of the earlier one, unchanged" in ended.out
    ended = run("prove", "--check", proof, "--key", key)
    assert ended.code == 2
    assert "--earlier" in ended.err
    assert run("prove", "--from", "9", "--data", data, "--out", tmp_path / "other").code == 0
    assert run("prove", "--check", tmp_path / "other", "--key", key, "--earlier", old).code == 1


@pytest.mark.parametrize(
    "arguments",
    [(), ("7", "--from", "3"), ("41",), ("--check", "missing"), ("--check", "missing", "--key", "missing")],
    ids=str,
)
def test_what_means_nothing_is_refused(run: Run, data: Path, arguments: tuple[str, ...]) -> None:
    ended = run("prove", *arguments, "--data", data)
    assert ended.code == 2
    assert ended.err


def test_verify_compares_all_checkpoints(run: Run, data: Path, tmp_path: Path) -> None:
    kept, key = data / "main" / "checkpoints.txt", tmp_path / "vkey"
    ended = run("verify", "--data", data, "--checkpoint", kept, "--key", key)
    assert ended.code == 0
    assert "the log continues all 2 checkpoints, signed by its key" in ended.out
    ended = run("verify", "--data", data, "--checkpoint", kept, "--after-checkpoint", "--json")
    assert (ended.document["checked"], ended.document["checkpoints"], ended.document["signed"]) == (0, 2, True)
    assert run("verify", "--data", data, "--checkpoint", tmp_path / "old", "--after-checkpoint").out.startswith(
        "ok: 30 "
    )


def test_verify_names_what_a_checkpoint_does_not_continue(run: Run, data: Path, tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "other", clock=ManualClock(NINE)) as other:
        other.append("mark/-/end", [Marked(name="end")] * 40)
    ended = run("verify", "--data", tmp_path / "other", "--checkpoint", tmp_path / "old")
    assert ended.code == 1
    assert "who signed the checkpoints was not checked" in ended.err
    assert "wrong at position 1: positions 1 to 10 do not give the root that was kept" in ended.out
    ended = run("verify", "--data", data, "--checkpoint", tmp_path / "vkey")
    assert ended.code == 2
    assert ended.err
    (tmp_path / "forged").write_text((tmp_path / "old").read_text().replace("\n10\n", "\n11\n"))
    ended = run("verify", "--data", data, "--checkpoint", tmp_path / "forged")
    assert ended.code == 2
    assert ended.err


def test_a_log_that_was_restored_on_purpose_is_compared_since_then(run: Run, tmp_path: Path) -> None:
    log = keeping.make(tmp_path)
    ended = run("verify", "--data", log.data, "--checkpoint", log.checkpoints_path, "--keys", log.folder.path)
    assert ended.code == 0, ended.out
    assert "does not continue its checkpoint of 310 records: 4 checkpoints of the state before" in ended.err
    assert "the log continues all 2 checkpoints, signed by its key" in ended.out


def test_an_archive_is_compared_as_far_as_it_goes(run: Run, data: Path, tmp_path: Path) -> None:
    folder, kept = tmp_path / "archive", data / "main" / "checkpoints.txt"
    assert run("archive", folder, "--data", data, "--until", "20").code == 0
    ended = run("archive", folder, "--data", data, "--check", "--checkpoint", kept, "--key", tmp_path / "vkey")
    assert (ended.code, "1 checkpoints are of more records" in ended.err) == (0, True)
    ended = run("archive", folder, "--data", data, "--checkpoint", kept)
    assert ended.code == 2
    assert ended.err


def test_a_bundle_is_exported_signed_and_verified(run: Run, data: Path, tmp_path: Path) -> None:
    path, key = tmp_path / "b.zip", (tmp_path / "vkey").read_text().strip()
    ended = run("export", "--data", data, "--bundle", path, "--account", "ACC1")
    assert ended.code == 0
    assert ended.out.startswith(f"exported 10 records of 10 streams to {path}\n")
    assert "not proved: that the facts are true" in ended.out
    found = verify_bundle(path, key=key)
    assert (found.ok, found.records, found.size) == (True, 10, 40)
    other = tmp_path / "time.zip"
    ended = run("export", "--data", data, "--bundle", other, "--start", "5", "--stop", "end", "--json")
    assert ended.document["records"] == verify_bundle(other, key=key).records > 0
    assert json.loads(ended.out)["is_signed"] is True


def _page(path: Path) -> str:
    with zipfile.ZipFile(path) as packed:
        return packed.read(timeline_page.TIMELINE).decode()


def _positions(page: str) -> list[int]:
    return [int(found) for found in re.findall(r'<tr id="p(\d+)">', page)]


def test_the_timeline_of_a_bundle_has_its_records(
    run: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = ("export", "--data", data, "--account", "ACC1", "--start", "5", "--stop", "15")
    assert run(*ours, "--bundle", tmp_path / "some.zip").code == 0
    page = _page(tmp_path / "some.zip")
    assert _positions(page) == [6, 8, 10, 12, 14]
    assert "past position 4 and up to 14." in page
    with eventstore.open(data) as store:
        old = store.checkpoint().checkpoint.text
        store.append("order/ACC1/O-99", OrderRejected(reason="after the checkpoint"))
    (tmp_path / "newest").write_text(old)
    covered = ("export", "--data", data, "--account", "ACC1", "--checkpoint", tmp_path / "newest")
    assert run(*covered, "--bundle", tmp_path / "covered.zip").code == 0
    assert _positions(_page(tmp_path / "covered.zip")) == list(range(2, 21, 2))
    monkeypatch.setattr(timeline_page, "TIMELINE_MAX", 3)
    kind = (
        "export",
        "--data",
        data,
        "--type",
        "OrderRejected",
        "--bundle",
        tmp_path / "kind.zip",
        "--zone",
        "Asia/Tokyo",
    )
    assert run(*kind).code == 0
    page = _page(tmp_path / "kind.zip")
    assert _positions(page) == [1, 2, 3]
    for said in ("of all accounts", "Only of the types OrderRejected.", "its first 3 records", "+09:00"):
        assert said in page
    run("export", "--data", data, "--account", "NOBODY", "--bundle", tmp_path / "none.zip")
    assert "There are no records." in _page(tmp_path / "none.zip")


def test_a_bundle_without_a_key_says_so(run: Run, data: Path, tmp_path: Path) -> None:
    ended = run("export", "--data", data, "--bundle", tmp_path / "b.zip", "--keys", tmp_path / "none", "--read-only")
    assert "the bundle does not prove that nothing was left out of it" in ended.err
    found = verify_bundle(tmp_path / "b.zip", key=str(tmp_path / "vkey"))
    assert (found.ok, found.reason) == (None, "")
    ended = run("export", "--data", data, "--csv", tmp_path / "csv", "--keys", tmp_path / "none")
    assert ended.code == 2
    assert "belong to --bundle" in ended.err


def test_verify_says_what_it_cannot_show(run: Run, data: Path, tmp_path: Path) -> None:
    place = ("verify", "--data", data)
    assert "not shown: whether records were rewritten together with their tree" in run(*place).out
    old = run(*place, "--checkpoint", tmp_path / "old").out
    assert "not shown: whether positions 11 to 40 were rewritten together with their tree" in old
    after = run(*place, "--checkpoint", tmp_path / "old", "--after-checkpoint").out
    assert "not shown: whether positions 1 to 10 are as they were written: they were not read" in after
    whole = run(*place, "--checkpoint", data / "main" / "checkpoints.txt").out
    assert "positions" not in whole
    assert "not shown: whether this is an older copy, and once had more: only a newer checkpoint" in whole
    kept = run(*place, "--root", run(*place, "--json").document["root"]).out
    assert "not shown: whether this is an older copy" in kept


def test_a_restored_log_is_named_where_only_newer_checkpoints_are_given(run: Run, tmp_path: Path) -> None:
    log = keeping.make(tmp_path)
    (tmp_path / "newest").write_text(notes_of(log.checkpoints_path.read_bytes())[-1].text)
    ended = run("verify", "--data", log.data, "--checkpoint", tmp_path / "newest", "--keys", log.folder.path)
    assert (ended.code, "does not continue its checkpoint of 310 records\n" in ended.err) == (0, True)


def test_an_archive_that_ends_before_all_checkpoints_is_not_called_proved(run: Run, data: Path, tmp_path: Path) -> None:
    """Somebody left its last days out, and rewrote what is before them."""
    folder = tmp_path / "archive"
    assert run("archive", folder, "--data", data, "--until", "20").code == 0
    (tmp_path / "newest").write_text(notes_of((data / "main" / "checkpoints.txt").read_bytes())[-1].text)
    ended = run("archive", folder, "--data", data, "--check", "--checkpoint", tmp_path / "newest")
    assert (ended.code, "ends at position 20" in ended.err, ended.out) == (2, True, "")
    kept = data / "main" / "checkpoints.txt"
    ended = run("archive", folder, "--data", data, "--check", "--checkpoint", kept, "--key", tmp_path / "vkey")
    assert "not shown: whether positions 11 to 20 were rewritten together with their tree" in ended.out
    assert "the archive continues 1 checkpoints, signed by its key" in ended.out
    ended = run("archive", folder, "--data", data, "--check", "--checkpoint", kept, "--json")
    assert (ended.document["checkpoints"], ended.document["signed"]) == (1, False)


def test_a_file_that_has_the_name_of_a_key_is_not_read(
    run: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = (tmp_path / "vkey").read_text().strip()
    assert run("prove", "7", "--data", data, "--out", tmp_path / "proof").code == 0
    monkeypatch.chdir(tmp_path)
    Path(key).parent.mkdir(parents=True)
    Path(key).write_text("another")
    assert run("prove", "--check", "proof", "--key", key).code == 0
    assert run("prove", "--check", "proof", "--key", "./vkey").code == 0


def test_growth_from_another_log_is_refused(run: Run, tmp_path: Path) -> None:
    """Both keys are known, and everything continues an empty log."""
    empty, grown = [SignedLog(tmp_path / name) for name in ("empty", "grown")]
    keys = []
    for log, count in ((empty, 0), (grown, 5)):
        with eventstore.open(log.data):
            pass
        keys.append(log.new_key().key)
        if count:
            log.grow(count)
        log.sign()
    (tmp_path / "keys.txt").write_text("\n".join(keys))
    settings = ("--data", grown.data, "--checkpoint", grown.checkpoints_path)
    assert run("prove", "--from", "0", *settings, "--out", tmp_path / "growth").code == 0
    check = (
        "prove",
        "--check",
        tmp_path / "growth",
        "--key",
        tmp_path / "keys.txt",
        "--earlier",
        empty.checkpoints_path,
    )
    ended = run(*check)
    assert (ended.code, "another log than" in ended.out) == (1, True)


def test_keys_in_a_folder_where_others_may_write_are_not_trusted(run: Run, data: Path, tmp_path: Path) -> None:
    kept = data / "main" / "checkpoints.txt"
    (tmp_path / "keys").chmod(0o777)
    ended = run("verify", "--data", data, "--checkpoint", kept)
    assert (ended.code, "others may write in the folder of keys" in ended.err) == (2, True)
    assert run("verify", "--data", data, "--checkpoint", kept, "--key", tmp_path / "vkey").code == 0
