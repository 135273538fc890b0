"""`doctor --rollback` says, before an upgrade and after it, what an earlier version would not read."""

from __future__ import annotations

from pathlib import Path

import pytest

import eventstore
from eventstore.trading import NoteAdded, Protection, ProtectionMode
from tests.cli.command import Run


def lines(out: str) -> list[str]:
    return [line for line in out.splitlines() if line.split()[1:2] == ["rollback"]]


def test_nothing_is_said_unless_it_is_asked(run: Run, data: Path) -> None:
    assert lines(run("doctor", "--data", data).out) == []


@pytest.mark.parametrize("version", ["0.1", "9.9.9", ""])
def test_a_version_that_was_not_released_is_refused(run: Run, data: Path, version: str) -> None:
    ended = run("doctor", "--rollback", version, "--data", data)
    assert (ended.code, ended.out) == (2, "")
    assert "The versions are 0.1.0" in ended.err


def test_it_says_beforehand_what_may_be_written(run: Run, data: Path) -> None:
    ended = run("doctor", "--rollback", "0.1.0", "--data", data, "--read-only")
    fine, coming = lines(ended.out)
    assert ended.code == 0
    assert fine == "ok       rollback     version 0.1.0 reads every record of this log"
    assert "not in this log, and new to version 0.1.0: AccountConfigured, " in coming


def test_it_names_what_was_written_and_what_becomes_of_it(run: Run, data: Path) -> None:
    with eventstore.open(data) as store:
        store.append("account/ACC1/-", ProtectionMode(mode=Protection.ARMED, reason="tested"), actor="risk@desk")
        store.append("note/ACC1/n", NoteAdded(target="day/ACC1/2026-11-30", text="news"))
    ended = run("doctor", "--rollback", "0.1.0", "--data", data)
    note, mode, coming = lines(ended.out)
    assert ended.code == 1
    assert note == "wrong    rollback     NoteAdded, first at position 10: version 0.1.0 ignores the record"
    assert mode == "wrong    rollback     ProtectionMode, first at position 9: version 0.1.0 ignores the record"
    assert "NoteAdded" not in coming
