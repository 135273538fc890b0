"""Logs that lie where one that has ended or continues is expected: older copies, foreign ones, none."""

import contextlib
import shutil
from pathlib import Path

import pytest

import projections
from eventstore import Closed, EventStore, LogHasEnded, Overloaded, Unavailable, opening
from eventstore.chains import ended_of
from eventstore.journals.sqlite import ReadOnlyJournal, SqliteJournal
from eventstore.trading import OrderCanceled, OrderSubmitted
from projections import Policies
from projections.rotation import rotate
from tests.rotation.facts import CASH, SUBMITTED, Opened


def test_without_the_oldest_of_three_logs_nothing_is_appended(new: EventStore, opened: Opened, tmp_path: Path) -> None:
    rotate(new)
    new.close()
    opened().close()
    shutil.move(tmp_path / "main", tmp_path / "gone")
    # A retry under an old key could not find its record.
    with pytest.raises(Unavailable):
        opened(log="main.3")
    with pytest.warns(match="main"), opened(log="main.3", read_only=True) as store:
        assert store.head() > 0


def test_a_log_that_takes_the_next_ones_name_meanwhile_is_not_taken_for_it(
    old: EventStore, opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eventstore import rotation

    staged = rotation._Staged.write

    def write_and_be_overtaken(self: rotation._Staged, *arguments: object) -> object:
        ended = staged(self, *arguments)  # type: ignore[arg-type]
        with opened(log="main.2") as foreign:
            foreign.append("order/A/X", SUBMITTED)
        return ended

    monkeypatch.setattr(rotation._Staged, "write", write_and_be_overtaken)
    with pytest.raises(Unavailable, match="move it away"):
        rotate(old)
    old.close()
    with pytest.raises(Unavailable, match="move it away"):
        opened()
    shutil.move(tmp_path / "main.2", tmp_path / "foreign")
    with opened() as store:
        assert store.log == "main.2"
        assert store.append("account/A/-", CASH, key="cash")[0].position == 2


def test_two_logs_that_are_to_be_continued_under_one_name_stay_apart(old: EventStore, opened: Opened) -> None:
    other = opened(log="paper")
    other.append("order/B/O-1", SUBMITTED)
    rotate(old, name="y27")
    with pytest.raises(Exception, match="y27"):
        rotate(other, name="y27")
    assert rotate(other, name="p27").next == "p27"
    old.close()
    other.close()
    with opened() as store, opened(log="paper") as paper:
        assert [record.account for record in store.read(types=(OrderSubmitted,))] == ["A"]
        assert [record.account for record in paper.read(types=(OrderSubmitted,))] == ["B"]


def test_a_copy_from_before_the_end_does_not_open_to_append_beside_the_next_log(
    old: EventStore, opened: Opened, tmp_path: Path
) -> None:
    old.backup(tmp_path.parent / f"{tmp_path.name}-copy")
    rotate(old)
    old.close()
    opened().close()
    shutil.rmtree(tmp_path / "main")
    shutil.copytree(tmp_path.parent / f"{tmp_path.name}-copy" / "main", tmp_path / "main")
    with pytest.raises(Unavailable, match="older copy"):
        opened()
    with opened(read_only=True) as store:
        assert store.head() == 4


def test_an_ended_log_is_read_on_after_another_process_has_opened_it_to_append(
    new: EventStore, opened: Opened, tmp_path: Path
) -> None:
    beginning = [record.id for record in new.read(limit=5)]
    assert len(beginning) == 5
    # As one does that looked for the last log a moment before this one ended.
    with contextlib.closing(SqliteJournal(tmp_path / "main" / "journal.db")):
        assert [record.id for record in new.read(limit=5)] == beginning
        new.append("order/A/O-1", OrderCanceled(), expected=2)
    assert [record.id for record in new.read(limit=5)] == beginning
    assert new.verify().ok
    opened().append("order/A/O-1", OrderCanceled(), key="again", expected=3)


def test_an_interruption_ends_reading_also_where_an_ended_logs_file_is_touched(new: EventStore, tmp_path: Path) -> None:
    assert new.chain is not None
    ended = new.chain.before
    assert isinstance(ended, ReadOnlyJournal)
    opened = list[SqliteJournal]()

    def interrupted(_: object) -> None:
        if opened:
            return
        opened.append(SqliteJournal(tmp_path / "main" / "journal.db"))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ended._asked(interrupted)
    opened[0].close()
    assert ended.head() == 5


def test_an_ended_log_is_not_read_on_in_a_file_that_took_its_place(
    new: EventStore, opened: Opened, tmp_path: Path
) -> None:
    assert len(list(new.read(limit=5))) == 5
    opened(log="other").append("order/B/O-1", SUBMITTED)
    for log in ("main", "other"):
        with contextlib.closing(SqliteJournal(tmp_path / log / "journal.db", log=log)) as journal:
            journal.backup(tmp_path / f"{log}.copy")
    # Its last record is another one's: the same log as it was earlier would be as wrong.
    shutil.copyfile(tmp_path / "other.copy", tmp_path / "main" / "journal.db")
    with pytest.raises(Closed, match="is not the log any more that was opened"):
        list(new.read(limit=5))
    shutil.copyfile(tmp_path / "main.copy", tmp_path / "main" / "journal.db")
    with pytest.raises(Closed, match="is not the log any more that was opened"):
        list(new.read(limit=5))
    assert len(list(opened().read(limit=5))) == 5


def test_a_log_whose_next_one_is_away_is_not_begun_again(new: EventStore, opened: Opened, tmp_path: Path) -> None:
    new.close()
    shutil.move(tmp_path / "main.2", tmp_path / "away")
    (tmp_path / "main" / "journal.db").unlink()
    with pytest.raises(Unavailable, match="is not in"):
        opened()


def test_an_old_log_that_is_lost_is_not_begun_again_whatever_the_next_one_is_called(
    old: EventStore, opened: Opened, tmp_path: Path
) -> None:
    rotate(old, name="y27")
    old.close()
    opened().close()
    opened(log="paper").append("order/B/O-1", SUBMITTED)
    (tmp_path / "main").rename(tmp_path.parent / f"{tmp_path.name}-lost")
    with pytest.raises(Unavailable, match=r"there is no log main in .*, but y27, which continues it"):
        opened()
    assert not (tmp_path / "main").exists()
    opened(log="other").append("order/B/O-1", SUBMITTED)
    (tmp_path.parent / f"{tmp_path.name}-lost").rename(tmp_path / "main")
    assert opened().log == "y27"


def test_a_rotation_that_completes_between_two_looks_is_not_taken_for_an_older_copy(
    old: EventStore, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[object] = []

    def rotated_after_the_look(journal: SqliteJournal) -> object:
        looks.append(ended := ended_of(journal))
        if len(looks) == 1:
            rotate(old)
        return ended

    monkeypatch.setattr(opening, "ended_of", rotated_after_the_look)
    store = opened()
    assert looks[0] is None
    assert store.log == "main.2"
    assert store.append("account/A/-", CASH, key="cash")[0].position == 2


def test_while_policies_run_nothing_is_rotated(old: EventStore, opened: Opened) -> None:
    with opened() as store, projections.open(store) as book, Policies(book, []):
        with pytest.raises(Overloaded, match="policies run"):
            rotate(old)
        assert old.head() == 4
    assert rotate(old).next == "main.2"


def test_who_follows_a_log_is_led_to_the_next_one(old: EventStore, opened: Opened) -> None:
    follower = opened()
    rotate(old)
    with pytest.raises(LogHasEnded, match=r"main\.2"):
        list(follower.follow(after=0))
