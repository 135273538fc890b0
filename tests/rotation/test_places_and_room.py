"""Rotations of a directory whose older logs were moved away, or whose disk is full, or that were interrupted."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from eventstore import EventStore, LogHasEnded, ReadOnly, StorageFull, StoreError, Unavailable, files
from eventstore.trading import LogEnded, OrderCanceled
from projections.rotation import rotate
from tests.rotation.facts import CASH, Opened


@pytest.mark.parametrize("is_last_there", [True, False])
def test_the_name_leads_past_several_logs_that_were_moved(
    is_last_there: bool, old: EventStore, opened: Opened, tmp_path: Path
) -> None:
    away = tmp_path.parent / f"{tmp_path.name}-away"
    away.mkdir()
    store = old
    for number in (2, 3, 4):
        rotate(store)
        store.close()
        store = opened(log=f"main.{number}")
    whole = [record.id for record in store.read()]
    store.close()
    for name, following in (("main", "main.2"), ("main.2", "main.3"), ("main.3", "main.4")):
        (tmp_path / name).rename(away / name)
        (tmp_path / name).mkdir()
        (tmp_path / name / "ended").write_bytes((away / name / "ended").read_bytes())
        (tmp_path / following / "previous").write_text(str(away / name))
    if not is_last_there:
        (tmp_path / "main.4").rename(away / "main.4")
        with pytest.raises(Unavailable, match=r"log main has ended, and log main\.4, .* is not in"):
            opened()
        return
    for read_only in (True, False):
        store = opened(read_only=read_only)
        assert store.log == "main.4"
        assert [record.id for record in store.read()] == whole
    assert store.append("account/A/-", CASH, key="cash")[0].position == 2


def refused(number: int, error: int, act: Callable[..., None]) -> Callable[..., None]:
    """Return what does the same, and is refused by the operating system at the call of this number."""
    calls = iter(range(1, 100))

    def acts(*arguments: object) -> None:
        if next(calls) == number:
            raise OSError(error, os.strerror(error))
        act(*arguments)

    return acts


@pytest.mark.parametrize(("error", "raised"), [(errno.ENOSPC, StorageFull), (errno.EACCES, ReadOnly)])
def test_without_room_for_the_next_log_nothing_changes(
    error: int, raised: type[StoreError], old: EventStore, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "publish_directory", refused(1, error, files.publish_directory))
    with pytest.raises(raised, match=os.strerror(error)):
        rotate(old)
    assert opened().log == "main"
    assert rotate(old).next == "main.2"


@pytest.mark.parametrize("what", ["publish_directory", "replace"])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EACCES])
def test_where_the_next_log_has_no_room_in_its_place_it_is_said_that_the_old_one_has_ended(
    what: str, error: int, old: EventStore, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first directory is published beside, before the log ends.
    number = 2 if what == "publish_directory" else 1
    monkeypatch.setattr(files, what, refused(number, error, getattr(files, what)))
    message = rf"log main has ended, and log main\.2, .* \({os.strerror(error)}\)"
    with pytest.raises(Unavailable, match=message):
        rotate(old)
    assert isinstance(list(old.read())[-1].event, LogEnded)
    with pytest.raises(LogHasEnded):
        old.append("order/A/O-1", OrderCanceled())
    monkeypatch.undo()
    monkeypatch.setattr(files, what, refused(1, error, getattr(files, what)))
    with pytest.raises(Unavailable, match=message):
        opened()
    monkeypatch.undo()
    assert opened().log == "main.2"


def test_what_an_interrupted_rotation_to_another_name_left_is_removed(
    old: EventStore, opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "publish_directory", refused(1, errno.EIO, files.publish_directory))
    with pytest.raises(Unavailable):
        rotate(old, name="other")
    monkeypatch.undo()
    assert [path.name for path in tmp_path.glob(".other.*")] == [f".other.{old.log_id.hex()}.new"]
    rotate(old)
    assert not list(tmp_path.glob(".*"))
    assert opened().log == "main.2"
