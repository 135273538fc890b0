"""Signing: nothing that was not read back, nothing that does not continue what was signed, whatever was changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import eventstore
from eventstore import CheckpointSettings, Closed, CorruptJournal, InvalidEvent, InvalidNote, Overloaded, Unavailable
from eventstore.files import FileLock
from eventstore.proofs import Checkpoint, signing
from eventstore.proofs.checkpoint_file import notes_of
from eventstore.proofs.checkpoints import RESTORED_LINE
from eventstore.proofs.key_files import FOLDER, KeyFolder, key_folder
from eventstore.proofs.keys import PrivateKey
from eventstore.proofs.schedule import schedule_of
from eventstore.proofs.signing import LEAF_LINE, LOCK_FILE, SIGNED_LINE
from eventstore.side import FileSide
from tests.proofs.signed_logs import AT, SignedLog, bodies


def test_a_log_without_a_key_is_not_signed(tmp_path: Path) -> None:
    log = SignedLog(tmp_path)
    log.grow(3)
    with pytest.raises(Unavailable, match="eventstore keys new"):
        log.sign()
    assert not log.checkpoints_path.exists()
    assert log.health().summary.startswith("none: ")
    assert not log.health().wrong


def test_a_checkpoint_is_the_logs_tree_signed_and_kept(log: SignedLog) -> None:
    result = log.sign()
    with eventstore.open(log.data) as store:
        assert result.checkpoint.head == store.root()
        [key] = log.folder.of_log(store.log_id)
    assert result.new
    assert Checkpoint.parse(log.checkpoints_path.read_bytes()).verify(key.public) == result.checkpoint
    assert result.checkpoint.extension("first") == "1"
    assert "recorded_at occurred_at id data" in str(result.checkpoint.extension(LEAF_LINE))
    assert result.checkpoint.extension(SIGNED_LINE) == "2025-07-21T16:00:00.000000000Z"
    assert log.folder.last_signed(key) == result.checkpoint
    assert log.health().wrong == log.health().attention == ()
    assert "size 600, signed at 2025-07-21T16:00:00.000000000Z; no witness" in log.health().summary


def test_a_log_that_has_not_grown_keeps_its_checkpoint(log: SignedLog) -> None:
    first = log.sign()
    again = log.sign()
    assert (again.new, again.checkpoint) == (False, first.checkpoint)
    assert bodies(log.file.newest()) == [600]
    log.grow(1)
    assert log.health().summary.startswith("the newest has size 600, 1 records since")
    assert log.sign().checkpoint.size == 601
    assert bodies(log.file.newest()) == [600, 601]


def test_an_empty_log_is_signed_and_continued(tmp_path: Path) -> None:
    log = SignedLog(tmp_path)
    log.new_key()
    assert log.sign().checkpoint.size == 0
    log.grow(2)
    assert log.sign().checkpoint.size == 2


@pytest.mark.parametrize("size", [1, 255, 256, 257, 511, 512, 513])
def test_any_size_is_continued_at_any_other(tmp_path: Path, size: int) -> None:
    log = SignedLog(tmp_path)
    log.new_key()
    log.grow(size)
    assert log.sign().checkpoint.size == size
    for more in (1, 255, 300):
        log.grow(more)
        size += more
        assert log.sign().checkpoint.size == size
    assert not log.health().wrong


def alter(log: SignedLog, sql: str) -> None:
    """Change a journal that is open, from another process: closing its file in this one would drop its locks."""
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()"
    subprocess.run([sys.executable, "-c", code, log.directory / "journal.db", sql], check=True)


def test_what_was_stored_since_is_read_back_before_it_is_signed(log: SignedLog) -> None:
    """A bit that flips between hashing and storing would otherwise make the log unprovable from then on."""
    log.sign()
    log.grow(300)
    with eventstore.open(log.data) as store:
        # After opening, which looks at the newest records itself.
        alter(log, """UPDATE event SET data = '{"name":"y"}' WHERE position = 700""")
        with pytest.raises(CorruptJournal, match="changed after it was written") as caught:
            store.checkpoint(log.settings())
    assert caught.value.position == 700
    assert bodies(log.file.newest()) == [600]


def test_an_older_copy_of_the_whole_directory_is_noticed(log: SignedLog) -> None:
    """Its files all agree with one another, watermarks and checkpoints too: only the key's folder knows better."""
    log.sign()
    older = log.copy("older")
    log.grow(40)
    log.sign()
    log.put_back(older)
    with pytest.raises(CorruptJournal, match="tail is lost") as caught:
        log.sign()
    assert caught.value.position == 601
    assert "size 640 was signed at 2025-07-21T16" in "".join(caught.value.__notes__)
    wrong = " ".join(log.health().wrong)
    assert "size 640 was signed, and the log ends at 600" in wrong
    assert "lacks the checkpoint of size 640" in wrong
    # Grown past it again, with other records.
    log.grow(80, "other")
    with pytest.raises(CorruptJournal, match="positions 1 to 640 do not give the root"):
        log.sign()
    assert bodies(log.file.newest()) == [600]
    assert "does not give the root of the checkpoint of size 640" in " ".join(log.health().wrong)


def test_the_end_of_a_log_cut_off_after_it_was_signed_is_noticed(log: SignedLog) -> None:
    older = log.copy("older")
    log.grow(40)
    log.sign()
    for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
        (log.directory / name).unlink(missing_ok=True)
    shutil.rmtree(log.directory / "watermarks")
    shutil.copy(older / "main" / "journal.db", log.directory)
    # Also where the folder of keys was put back to before that: the log's own file still says so.
    for last in log.folder.path.glob("*.last"):
        last.unlink()
    with pytest.raises(CorruptJournal, match="its tail is lost"):
        log.sign()


def test_two_branches_of_one_log_are_not_both_signed(log: SignedLog) -> None:
    other = SignedLog(log.place / "other")
    shutil.copytree(log.data, other.data)
    other.folder.path.symlink_to(log.folder.path)
    log.grow(5, "ours")
    other.grow(5, "theirs")
    log.sign()
    with pytest.raises(CorruptJournal, match="positions 1 to 605 do not give the root"):
        other.sign()


def test_a_deleted_or_older_file_of_checkpoints_is_noticed_and_completed(log: SignedLog) -> None:
    log.sign()
    kept = log.checkpoints_path.read_bytes()
    log.grow(3)
    log.sign()
    for content in (None, kept):
        if content is None:
            log.checkpoints_path.unlink()
        else:
            log.checkpoints_path.write_bytes(content)
        assert any("lacks the checkpoint of size 603" in each for each in log.health().wrong)
        result = log.sign()
        assert result.notes == (f"{log.checkpoints_path} lacked the checkpoint of size 603, and has it again",)
        assert bodies(log.file.newest())[-1] == 603
        assert not log.health().wrong


def test_a_foreign_file_of_checkpoints_is_not_continued(log: SignedLog, tmp_path: Path) -> None:
    foreign = SignedLog(tmp_path / "foreign")
    foreign.grow(700)
    foreign.new_key()
    foreign.sign()
    shutil.copy(foreign.checkpoints_path, log.checkpoints_path)
    with pytest.raises(InvalidNote, match="no key known here has signed"):
        log.sign()
    assert "not signed by a key in" in " ".join(log.health().attention)
    assert "was signed, and the log ends at 600" in " ".join(log.health().wrong)


def test_an_altered_last_checkpoint_is_not_continued(log: SignedLog) -> None:
    log.sign()
    text = log.checkpoints_path.read_text()
    log.checkpoints_path.write_text(text.replace("\n600\n", "\n599\n"))
    with pytest.raises(InvalidNote, match="does not fit the checkpoint of size 599"):
        log.sign()
    log.checkpoints_path.write_text(text + "x")
    with pytest.raises(InvalidNote, match="move it away"):
        log.sign()
    assert "move it away" in " ".join(log.health().wrong)
    log.checkpoints_path.unlink()
    log.checkpoints_path.mkdir()
    with pytest.raises(InvalidNote, match="cannot be read"):
        log.sign()


@pytest.mark.parametrize("is_first", [True, False])
def test_a_note_torn_by_a_power_cut_is_completed(log: SignedLog, *, is_first: bool) -> None:
    """At each byte: the key's folder has the whole note, since it was written there first."""
    if not is_first:
        log.sign()
        log.grow(2)
    before = log.checkpoints_path.read_bytes() if log.checkpoints_path.exists() else b""
    signed = log.sign().checkpoint
    whole = log.checkpoints_path.read_bytes()
    for length in [*range(len(before), len(whole), 37), len(before) + 1, len(whole) - 1]:
        log.checkpoints_path.write_bytes(whole[:length])
        assert log.sign().checkpoint == signed
        assert log.checkpoints_path.read_bytes() == whole, length
        assert notes_of(whole)[-1] == signed


def test_a_kill_between_key_and_file_loses_nothing(log: SignedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(type(log.file), "append", interrupted)
        with pytest.raises(KeyboardInterrupt):
            log.sign()
    assert not log.checkpoints_path.exists()
    result = log.sign()
    assert not result.new
    assert "lacked the checkpoint of size 600" in result.notes[0]
    assert bodies(log.file.newest()) == [600]


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_restored_log_begins_again_with_a_new_key_and_says_so(log: SignedLog) -> None:
    older = log.copy("older")
    log.grow(40)
    lost = log.sign().checkpoint
    with pytest.raises(InvalidEvent, match="never signs another history"):
        log.sign(restored=True)
    log.put_back(older)
    with pytest.raises(InvalidEvent, match="never signs another history"):
        log.sign(restored=True)
    [key] = log.folder.all()
    log.folder.retire(key, AT)
    log.new_key()
    # A retired key hides nothing: it takes a person's word that the log was restored.
    with pytest.raises(CorruptJournal, match="tail is lost"):
        log.sign()
    again = log.sign(restored=True).checkpoint
    assert again.size == 600
    assert str(again.extension(RESTORED_LINE)).startswith("640 ")
    log.grow(100)
    later = log.sign().checkpoint
    assert later.extension(RESTORED_LINE) == again.extension(RESTORED_LINE)
    assert bodies(log.file.newest()) == [600, 700]
    assert not log.health().wrong
    assert lost.root != later.root


def test_a_log_that_continues_was_not_restored(log: SignedLog) -> None:
    with pytest.raises(InvalidEvent, match="continues what was signed before"):
        log.sign(restored=True)


def test_two_keys_sign_while_one_takes_over_from_the_other(log: SignedLog) -> None:
    old = log.folder.all()[0]
    first = log.sign().checkpoint
    new = log.new_key()
    both = log.sign()
    assert (both.new, both.checkpoint.size) == (True, 600)
    assert both.checkpoint.signers([old.public, new.public]) == (old.public, new.public)
    log.folder.retire(old, AT)
    assert not log.folder.path.joinpath(f"{old.public.id.hex()}.key").exists()
    log.grow(1)
    last = log.sign().checkpoint
    assert last.signers([old.public, new.public]) == (new.public,)
    assert first.verify(old.public) == first
    assert not log.health().wrong


def test_a_key_of_another_name_does_not_continue_a_log(log: SignedLog) -> None:
    log.sign()
    log.new_key("desk.example/log")
    with pytest.raises(InvalidNote, match="several names"):
        log.sign()
    log.folder.retire(log.folder.all()[0], AT)
    with pytest.raises(InvalidNote, match="make one with --name eventstore/main/"):
        log.sign()


def test_a_key_that_others_can_read_signs_nothing(log: SignedLog) -> None:
    [secret] = log.folder.path.glob("*.key")
    assert secret.stat().st_mode & 0o777 == 0o600
    assert log.folder.path.stat().st_mode & 0o777 == 0o700
    for mode in (0o640, 0o604, 0o610, 0o666):
        secret.chmod(mode)
        with pytest.raises(InvalidNote, match=f"others can read .mode {mode:04o}"):
            log.sign()
        assert "others can read" in " ".join(log.health().wrong)
    secret.chmod(0o600)
    log.folder.path.chmod(0o770)
    with pytest.raises(InvalidNote, match="others may write"):
        log.sign()


@pytest.mark.parametrize("content", ["", "x", "PRIVATE+KEY+a+00000000+AAAA", "\xff" * 9, "x" * 99_999])
def test_a_damaged_key_signs_nothing_and_is_not_shown(log: SignedLog, content: str) -> None:
    [secret] = log.folder.path.glob("*.key")
    secret.write_text(content, "latin-1")
    with pytest.raises(InvalidNote) as caught:
        log.sign()
    assert not content or content not in str(caught.value)


def test_a_replaced_key_signs_nothing(log: SignedLog) -> None:
    [secret] = log.folder.path.glob("*.key")
    secret.write_text(PrivateKey.generate(log.folder.all()[0].public.name, os.urandom).secret())
    with pytest.raises(InvalidNote, match="holds another key"):
        log.sign()
    secret.unlink()
    with pytest.raises(Unavailable, match="cannot be found"):
        log.sign()
    secret.symlink_to("/dev/zero")
    with pytest.raises(Unavailable, match="cannot be read"):
        log.sign()


def test_a_description_of_another_key_is_refused(log: SignedLog) -> None:
    [described] = log.folder.path.glob("*.json")
    described.rename(described.with_name("00000000.json"))
    with pytest.raises(InvalidNote, match="renamed or replaced"):
        log.sign()
    described.with_name("00000000.json").write_text("{")
    with pytest.raises(InvalidNote, match="does not describe a key"):
        log.sign()


def test_what_a_key_signed_last_has_its_signature(log: SignedLog) -> None:
    log.sign()
    [last] = log.folder.path.glob("*.last")
    last.write_text(last.read_text().replace("\n600\n", "\n1\n"))
    with pytest.raises(InvalidNote, match="is damaged"):
        log.sign()
    assert "is damaged" in " ".join(log.health().wrong)


def test_one_process_signs_at_a_time(log: SignedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "LOCK_SECONDS", 0.05)
    held = FileLock(log.directory / LOCK_FILE)
    assert held.take()
    with pytest.raises(Overloaded, match="another process has been signing"):
        log.sign()
    held.release()
    assert log.sign().new


def test_a_log_in_memory_or_one_that_is_only_read_is_not_signed(log: SignedLog) -> None:
    with eventstore.open(log.data, read_only=True) as store, pytest.raises(eventstore.ReadOnly):
        store.checkpoint(log.settings())
    with pytest.raises(InvalidEvent, match="leave out checkpoints, or read_only"):
        eventstore.open(log.data, read_only=True, checkpoints=log.settings())
    with pytest.raises(InvalidEvent, match="CheckpointSettings"):
        eventstore.open(log.data, checkpoints=3600)  # type: ignore[arg-type] # what is tested


def test_the_folder_of_keys_is_found_by_the_environment() -> None:
    assert key_folder("given", {FOLDER: "named"}).path == Path("given")
    assert key_folder(None, {FOLDER: "named", "XDG_CONFIG_HOME": "/xdg"}).path == Path("named")
    assert key_folder(None, {"XDG_CONFIG_HOME": "/xdg"}).path == Path("/xdg/eventstore/keys")
    assert key_folder("", {"XDG_CONFIG_HOME": "relative"}).path == Path.home() / ".config/eventstore/keys"
    assert KeyFolder(Path("missing")).all() == []


def test_without_the_library_nothing_begins_to_sign(log: SignedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log.sign()
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with eventstore.open(log.data) as store, pytest.raises(ImportError, match=r"pip install .*\[audit\]"):
        store.checkpoint(log.settings())
    with pytest.raises(ImportError, match="cryptography"):
        eventstore.open(log.data, checkpoints=log.settings())
    monkeypatch.undo()
    for name in ("cryptography", "cryptography.hazmat.primitives.asymmetric"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install .*\[audit\]"):
        log.health()


def test_a_store_that_is_closed_ends_the_reading_back_of_its_log(log: SignedLog) -> None:
    settings = CheckpointSettings(keys=str(log.folder.path), at_close=False)
    with eventstore.open(log.data) as store:
        schedule = schedule_of(store._journal, FileSide(log.directory), store.clock, settings)
        schedule.stop()
        with pytest.raises(Closed, match="nothing was signed"):
            schedule.sign(progress=schedule._interrupt)
    assert log.file.last() is None
