"""What lies where: verifying and proving across logs, and old logs that were moved, lost or changed."""

import shutil
import sqlite3
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import (
    Batch,
    CorruptJournal,
    EventStore,
    InvalidEvent,
    StorageWarning,
    Unavailable,
    proofs,
)
from eventstore.trading import (
    LogContinued,
    OrderCanceled,
)
from projections import analysis
from projections.rotation import rotate
from tests.rotation.facts import CASH, SUBMITTED, Opened


def changed(journal: Path, statement: str) -> None:
    with sqlite3.connect(journal) as connection:
        connection.execute(statement)
    connection.close()


def test_a_program_that_begins_a_lost_log_again_is_stopped(new: EventStore, tmp_path: Path, opened: Opened) -> None:
    new.close()
    shutil.rmtree(tmp_path / "main")
    with pytest.raises(Unavailable, match=r"there is no log main in .*, but main\.2: open that one, or put it back"):
        opened()
    assert not (tmp_path / "main").exists()


def test_the_old_log_may_lie_elsewhere(new: EventStore, tmp_path: Path, opened: Opened) -> None:
    whole = [(record.position, record.id) for record in new.read()]
    new.close()
    away = tmp_path / "away"
    away.mkdir()
    (tmp_path / "main").rename(away / "main")
    with pytest.raises(Unavailable, match=r"log main\.2 continues log main, and it is not in"):
        opened(log="main.2")
    with pytest.warns(StorageWarning, match=r"log main\.2 continues log main"):
        alone = opened(log="main.2", read_only=True)
    assert projections.open(alone).positions.get("A", "ES").quantity == 1
    with pytest.raises(Unavailable, match="records up to position 5 are in log main: it is not in"):
        list(alone.read())
    found = alone.verify()
    assert found.ok
    assert any("log main, which log main.2 continues" in what for what in found.unproved)
    (tmp_path / "main.2" / "previous").write_text(f"{away / 'main'}\n")
    for path in (away / "main").rglob("*"):
        path.chmod(0o500 if path.is_dir() else 0o400)
    (away / "main").chmod(0o500)
    try:
        store = opened(log="main.2")
        assert [(record.position, record.id) for record in store.read()] == whole
        assert store.append("account/A/-", CASH, key="cash")[0].position == 2
        assert store.verify().ok
    finally:
        (away / "main").chmod(0o700)
    (tmp_path / "main.2" / "previous").write_text(str(tmp_path / "main.2"))
    with pytest.raises(InvalidEvent, match=r"is the journal of log 'main\.2'"):
        opened(log="main.2")


def test_a_copy_of_the_old_log_opens_by_itself(new: EventStore, tmp_path: Path, opened: Opened) -> None:
    new.close()
    shutil.copytree(tmp_path / "main", tmp_path / "evidence" / "main")
    store = opened(where=tmp_path / "evidence", read_only=True)
    assert (store.log, store.head()) == ("main", 5)
    assert store.verify().ok
    with pytest.raises(Unavailable, match=r"log main in .* has ended, and log main\.2, which .* is not there"):
        opened(where=tmp_path / "evidence")


def test_another_log_in_the_place_of_the_old_one_is_refused(new: EventStore, tmp_path: Path, opened: Opened) -> None:
    new.close()
    (tmp_path / "main").rename(tmp_path / "away")
    with eventstore.open(tmp_path / "elsewhere") as other:
        other.append("account/A/-", CASH)
    shutil.copytree(tmp_path / "elsewhere" / "main", tmp_path / "main")
    with pytest.raises(Unavailable, match=r"is not the log that main\.2 continues"):
        opened(log="main.2")


def test_an_old_log_that_lost_its_end_is_refused(old: EventStore, tmp_path: Path, opened: Opened) -> None:
    old.backup(tmp_path / "copy")
    rotate(old)
    old.close()
    shutil.rmtree(tmp_path / "main")
    shutil.copytree(tmp_path / "copy" / "main", tmp_path / "main")
    with pytest.raises(CorruptJournal, match=r"log main in .* ends at 4, and log main\.2 continues it from 5"):
        opened(log="main.2")


def test_verify_goes_across_and_names_the_log(old: EventStore, tmp_path: Path, opened: Opened) -> None:
    # Opening checks the last ones.
    old.append_many([Batch("order/A/O-1", OrderCanceled())] * 600)
    rotate(old)
    old.close()
    new = opened()
    new.append("order/A/O-2", SUBMITTED)
    found = new.verify()
    assert (found.ok, found.checked) == (True, new.head())
    assert new.verify(after=3).ok
    new.close()
    changed(tmp_path / "main" / "journal.db", "UPDATE event SET actor = 'nobody' WHERE position = 2")
    bad = opened(read_only=True).verify()
    assert (bad.ok, bad.first_bad) == (False, 2)
    assert bad.reason is not None
    assert bad.reason.startswith("log main: ")
    changed(tmp_path / "main" / "journal.db", "UPDATE event SET actor = 'nobody' WHERE position = 604")
    with pytest.raises(CorruptJournal, match="position 604: log main: the record does not have its digest"):
        opened(read_only=True)


def test_verify_counts_what_is_bad_in_the_new_log_on(new: EventStore, tmp_path: Path, opened: Opened) -> None:
    new.append("order/A/O-2", SUBMITTED)
    new.close()
    changed(tmp_path / "main.2" / "journal.db", "UPDATE event SET actor = 'nobody' WHERE stream = 'order/A/O-2'")
    with pytest.raises(CorruptJournal):
        opened(log="main.2")


def test_verify_holds_the_old_log_against_the_root_that_is_named(
    old: EventStore, tmp_path: Path, opened: Opened
) -> None:
    # Rewritten with its tree, before the rotation: what was signed of it then is another root.
    kept = old.root()
    rotate(old)
    new = opened()
    assert new.verify(root=kept[1], size=kept[0]).ok, "a root that the old log had is still true"
    assert not new.verify(root=b"\1" * 32, size=kept[0]).ok
    assert new.verify(root=new.root()[1]).ok
    chain = new.chain
    assert chain is not None
    chain.continued = LogContinued(
        previous=chain.continued.previous, size=4, root="0" * 64, name="main", carried=chain.continued.carried
    )
    found = new.verify()
    assert (found.ok, found.reason) == (False, "log main does not have the root that log main.2 names of it at 4")


def test_proofs_are_of_the_log_that_has_a_record(new: EventStore, old: EventStore, tmp_path: Path) -> None:
    [last] = new.append("order/A/O-2", SUBMITTED)
    for position, log_id, own in ((2, old.log_id, 2), (last.position, new.log_id, last.position - 5)):
        proof = proofs.prove(new, position)
        assert (proof.log_id, proof.position, proof.holds) == (log_id, own, True)
    with pytest.raises(InvalidEvent, match="positions up to 5 are in log main: give after 5"):
        proofs.write_bundle(new, tmp_path / "bundle.zip")
    bundle = proofs.write_bundle(new, tmp_path / "bundle.zip", after=5)
    assert bundle.records == new.head() - 5
    assert proofs.verify_bundle(tmp_path / "bundle.zip").ok is not False


def test_an_archive_is_of_one_log(new: EventStore, tmp_path: Path) -> None:
    written = analysis.archive(new, tmp_path / "archive", until=new.head() - 5)
    assert (written.first, written.last) == (1, new.head() - 5)
    with pytest.raises(InvalidEvent, match="continues another one, and its archive has positions of its own"):
        analysis.with_archive(new, tmp_path / "archive")
