"""`read` and `tail`: which records, in which order, as lines of text or of JSON."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import eventstore
from eventstore import Record
from eventstore.clock import format_time
from eventstore.trading import Marked
from tests.cli.command import Run, plain_environment


def records(data: Path) -> list[Record]:
    with eventstore.open(data) as store:
        return list(store.read())


def positions(run: Run, *arguments: object) -> list[int]:
    ended = run(*arguments, "--json")
    assert ended.code == 0
    return [line["position"] for line in ended.lines]


def test_read_prints_a_line_for_each_record(run: Run, data: Path) -> None:
    ended = run("read", "--data", data)
    lines = [line.split("\t") for line in ended.out.splitlines()]
    assert [line[0] for line in lines] == [str(number) for number in range(1, 9)]
    assert lines[6][2:] == [
        "2025-11-19T15:00:06.000Z",
        "lockout/ACC2/daily-loss",
        "1",
        "LockoutSet",
        '{"rule_id":"daily-loss","reason":"too much lost","until":"2025-11-19T16:00:00.000Z","revocable":false}',
    ]
    assert ended.err == ""


def test_read_prints_times_in_the_zone_that_was_asked_for(run: Run, data: Path) -> None:
    line = run("read", "--after", "7", "--data", data, "--zone", "America/Chicago").out.split("\t")
    assert line[2] == "2025-11-19T09:00:07.000-06:00"
    record = run("read", "--after", "7", "--data", data, "--zone", "America/Chicago", "--json").document
    assert record["occurred_at"] == "2025-11-19T09:00:07.000000000-06:00"


@pytest.mark.parametrize(
    ("narrowed", "found"),
    [
        ((), [1, 2, 3, 4, 5, 6, 7, 8]),
        (("--after", "6"), [7, 8]),
        (("--limit", "2"), [1, 2]),
        (("--limit", "0"), []),
        (("--account", "ACC2"), [5, 7]),
        (("--stream", "order/ACC1/"), [2, 3, 4, 6, 8]),
        (("--stream", "order/ACC1/O-1"), [2, 3, 4]),
        (("--type", "OrderFilled", "--type", "LockoutSet"), [4, 5, 6, 7]),
        (("--start", "3", "--stop", "5"), [3, 4]),
        (("--start", "0"), [1, 2, 3, 4, 5, 6, 7, 8]),
        (("--start", "3", "--after", "6"), [7, 8]),
    ],
)
def test_read_narrows(run: Run, data: Path, narrowed: tuple[str, ...], found: list[int]) -> None:
    assert positions(run, "read", *narrowed, "--data", data) == found


def test_start_is_included_and_stop_is_not_by_times_of_recording(run: Run, data: Path) -> None:
    third, fifth = (format_time(records(data)[place].recorded_at) for place in (2, 4))
    assert positions(run, "read", "--start", third, "--stop", fifth, "--data", data) == [3, 4]


def test_an_unknown_type_is_named_with_those_close_to_it(run: Run, data: Path) -> None:
    ended = run("read", "--type", "OrderFiled", "--data", data)
    assert (ended.code, ended.out) == (0, "")
    assert "no matching records" in ended.err
    assert "OrderFilled" in ended.err


def test_what_is_not_printable_reaches_no_terminal(run: Run, data: Path) -> None:
    with eventstore.open(data) as store:
        store.append("mark/-/x", Marked(name="a\x9b31m\u202eb"))
    line = run("tail", "-n", "1", "--data", data).out
    assert "\x9b" not in line
    assert r"\u009b31m\u202e" in line


def test_tail_prints_the_last_ones(run: Run, data: Path) -> None:
    assert positions(run, "tail", "-n", "3", "--data", data) == [6, 7, 8]
    assert positions(run, "tail", "--data", data) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert positions(run, "tail", "-n", "1", "--account", "ACC2", "--data", data) == [7]
    assert positions(run, "tail", "-n", "2", "--type", "OrderFilled", "--data", data) == [5, 6]
    assert positions(run, "tail", "-n", "0", "--data", data) == []


def test_tail_looks_as_far_back_as_it_has_to(run: Run, data: Path) -> None:
    with eventstore.open(data) as store:
        store.append("mark/-/many", [Marked(name="many")] * 9_000)
    assert positions(run, "tail", "-n", "2", "--stream", "order/ACC1/", "--data", data) == [6, 8]


def test_tail_follows_until_it_is_interrupted(data: Path) -> None:
    command = [sys.executable, "-m", "eventstore", "tail", "-n", "1", "--follow", "--data", str(data)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=plain_environment()
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith("8\t")
        with eventstore.open(data) as store:
            store.append("mark/-/noon", Marked(name="noon"))
        assert "mark/-/noon" in child.stdout.readline()
        child.send_signal(2)
        out, err = child.communicate(timeout=20)
    assert (child.returncode, out, err) == (130, "", "")
