"""`note`: what a note may be about, how the target is found, and what is refused without writing anything."""

from __future__ import annotations

from pathlib import Path

import pytest

import eventstore
from eventstore.trading import NoteAdded
from tests.cli.command import Run


def head(data: Path) -> int:
    with eventstore.open(data) as store:
        return store.head()


def id_at(data: Path, position: int) -> str:
    with eventstore.open(data) as store:
        return str(next(store.read(after=position - 1, limit=1)).uuid)


def last(data: Path) -> NoteAdded:
    with eventstore.open(data) as store:
        *_, record = store.read(types=NoteAdded)
    assert record.stream.startswith("note/ACC1/")
    assert isinstance(record.event, NoteAdded)
    return record.event


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("99", "position 99 is not in the log, which ends at 8"),
        ("5", "position 5 is in stream order/ACC2/O-2, not of account ACC1"),
        ("1", "position 1 is in stream contract/-/ESZ5, not of account ACC1"),
        ("order/ACC2/O-2", "order/ACC2/O-2 is of account ACC2, not of ACC1"),
        ("order/ACC1/O-11", "no stream 'order/ACC1/O-11': similar names are order/ACC1/O-1"),
        ("lockout/ACC1/daily-loss", "no stream 'lockout/ACC1/daily-loss': there are none yet"),
        ("order/ACC1/a/b", "a slash inside the entity is written %2F"),
        ("2025-11-20", "ACC1 has no records of 2025-11-20: the nearest days are 2025-11-19"),
        ("day/ACC1/2025-11-20", "ACC1 has no records of 2025-11-20: the nearest days are 2025-11-19"),
        ("day/ACC1/20251119", "'day/ACC1/20251119' is not a day"),
        ("day/ACC2/2025-11-19", "is of account ACC2, not of ACC1"),
        ("O-1", "'O-1' is not a target: give a log position"),
        ("", "'' is not a target: give a log position"),
        ("0190b5c8-7d3a-7c5e-8f1a-2b3c4d5e6f70", "has no record with id 0190b5c8"),
    ],
)
def test_what_the_log_does_not_have_is_refused_with_the_nearest(run: Run, data: Path, target: str, said: str) -> None:
    ended = run("note", "ACC1", target, "late", "--data", data)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert head(data) == 8


def test_an_unknown_account_is_refused_with_those_close_to_it(run: Run, data: Path) -> None:
    ended = run("note", "ACC3", "2025-11-19", "late", "--data", data)
    assert ended.code == 2
    assert "no account 'ACC3' in log main: similar names are ACC1, ACC2" in ended.err
    assert head(data) == 8


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "says nothing"),
        ((" ",), "the text is blank"),
        (("late", "--tag", ""), "'' is not a tag"),
        (("late", "--tag", "a", "--tag", "a"), "the tag 'a' is given twice"),
    ],
)
def test_a_note_that_says_nothing_is_refused(run: Run, data: Path, arguments: tuple[str, ...], said: str) -> None:
    ended = run("note", "ACC1", "4", *arguments, "--data", data)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert head(data) == 8


def test_there_is_no_note_without_a_log(run: Run, tmp_path: Path) -> None:
    ended = run("note", "ACC1", "4", "late", "--data", tmp_path / "none")
    assert (ended.code, (tmp_path / "none").exists()) == (2, False)


@pytest.mark.parametrize("target", ["order/ACC1/O-1", "day/ACC1/2025-11-19"])
def test_an_order_and_a_day_are_noted_as_they_are_named(run: Run, data: Path, target: str) -> None:
    ended = run("note", "ACC1", target, "late", "--tag", "news", "--tag", "slow", "--data", data)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("position 9  note/ACC1/")
    assert last(data) == NoteAdded(target=target, text="late", tags=("news", "slow"))


def test_a_record_is_noted_by_its_position_or_its_id(run: Run, data: Path) -> None:
    id_ = id_at(data, 4)
    for target in ("4", id_, id_.upper()):
        assert run("note", "ACC1", target, "--tag", "slow", "--data", data).code == 0
        assert last(data) == NoteAdded(target=id_, tags=("slow",))
    # A note is a record too.
    assert run("note", "ACC1", "9", "not slow at all", "--data", data).code == 0
    assert last(data).target == id_at(data, 9)


def test_a_date_alone_is_a_day_of_the_account(run: Run, data: Path) -> None:
    assert run("note", "ACC1", "2025-11-19", "holiday", "--data", data).code == 0
    assert last(data).target == "day/ACC1/2025-11-19"


def test_a_lockout_is_noted_by_its_stream_with_the_actor_named(run: Run, data: Path) -> None:
    arguments = ("--actor", "risk@desk", "--json", "--data", data)
    record = run("note", "ACC2", "lockout/ACC2/daily-loss", "agreed", *arguments).document
    assert (record["type"], record["actor"], record["position"]) == ("NoteAdded", "risk@desk", 9)
    assert record["data"] == {"target": "lockout/ACC2/daily-loss", "text": "agreed"}


def test_what_a_note_says_cannot_change_a_terminal(run: Run, data: Path) -> None:
    hostile = "\x1b[2J\u202eevil\r\n<script>"
    ended = run("note", "ACC1", "4", hostile, "--data", data)
    assert ended.code == 0
    for command in (("read", "--type", "NoteAdded"), ("tail",), ("read", "--type", "NoteAdded", "--json")):
        shown = run(*command, "--data", data).out
        assert "evil" in shown
        assert not {"\x1b", "\u202e", "\r"} & set(shown), command
