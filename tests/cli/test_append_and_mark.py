"""`append` and `mark`: what is recorded, and what is refused without writing anything."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

import eventstore
from tests.cli.command import Run

SENT = '{"symbol": "ESZ5", "side": "BUY", "quantity": "2", "limit_price": 6650.10}'


def head(data: Path) -> int:
    with eventstore.open(data) as store:
        return store.head()


def test_append_prints_where_the_event_stands(run: Run, tmp_path: Path) -> None:
    ended = run("append", "order/ACC1/O-1", "OrderSubmitted", SENT, "--data", tmp_path)
    assert ended.code == 0
    assert ended.out.startswith("position 1  order/ACC1/O-1 version 1  id ")
    assert ended.err == ""


def test_append_prints_its_record_as_json_by_its_members_names(run: Run, tmp_path: Path) -> None:
    arguments = ("--note", "by hand", "--actor", "me", "--occurred-at", "2025-11-19T09:00:00.000000001-06:00")
    ended = run("append", "order/ACC1/O-1", "OrderSubmitted", SENT, "--data", tmp_path, "--json", *arguments)
    record = ended.document
    assert (record["position"], record["version"], record["stream"]) == (1, 1, "order/ACC1/O-1")
    assert record["occurred_at"] == "2025-11-19T15:00:00.000000001Z"
    assert record["data"] == {"symbol": "ESZ5", "side": "BUY", "quantity": "2", "limit_price": "6650.10"}
    assert (record["note"], record["actor"], record["log"]) == ("by hand", "me", "main")
    assert uuid.UUID(record["id"]).version == 7
    assert len(bytes.fromhex(record["digest"])) == 32
    assert record["correlation_id"] is None


def test_append_reads_its_members_from_stdin(run: Run, tmp_path: Path) -> None:
    assert run("append", "mark/-/noon", "Marked", "-", "--data", tmp_path, stdin='{"name": "noon"}').code == 0
    assert head(tmp_path) == 1


def test_a_figure_keeps_every_digit_that_was_typed(run: Run, tmp_path: Path) -> None:
    typed = '{"rule_id": "r", "until": "2025-11-19T17:00:00-06:00"}'
    record = run("append", "lockout/ACC1/r", "LockoutSet", typed, "--data", tmp_path, "--json").document
    assert record["data"]["until"] == 1_763_593_200_000_000_000
    exact = '{"symbol": "X", "side": "BUY", "quantity": 12345678901234567.123456789}'
    record = run("append", "order/ACC1/O", "OrderSubmitted", exact, "--data", tmp_path, "--json").document
    assert record["data"]["quantity"] == "12345678901234567.123456789"


def test_a_key_said_twice_adds_nothing(run: Run, tmp_path: Path) -> None:
    arguments = ("append", "order/ACC1/O-1", "OrderSubmitted", SENT, "--key", "exec-1", "--data", tmp_path)
    first, second = run(*arguments), run(*arguments)
    assert first.out == second.out
    assert "nothing was added" in second.err
    assert head(tmp_path) == 1


def test_a_stale_expected_version_is_refused(run: Run, data: Path) -> None:
    ended = run("append", "order/ACC1/O-1", "OrderTriggered", "{}", "--expected", "1", "--data", data)
    assert ended.code == 2
    assert "is at version 3, not 1" in ended.err
    assert head(data) == 8


@pytest.mark.parametrize(
    ("type_", "members", "said"),
    [
        ("OrderFiled", "{}", "similar names are OrderFilled"),
        ("orderaccepted", "{}", "similar names are OrderAccepted"),
        ("OrderSubmitted", '{"symbol": "X", "side": "BUY"}', "quantity"),
        ("OrderSubmitted", '{"symbol": "X", "side": "BUY", "quantity": "0"}', "OrderSubmitted.quantity = 0"),
        ("OrderSubmitted", '{"symbol": "X", "side": "BUY", "quantity": "NaN"}', "quantity"),
        ("OrderSubmitted", '{"symbol": "X", "side": "LONG", "quantity": 1}', "`side`"),
        (
            "OrderSubmitted",
            '{"symbol": "X", "side": "BUY", "quantity": 1, "limt_price": 3}',
            "similar names are limit_price",
        ),
        ("OrderSubmitted", "[1, 2]", "not a JSON object"),
        ("OrderSubmitted", "{symbol", "not a JSON object"),
        ("LockoutSet", '{"rule_id": "r", "until": "tomorrow"}', "invalid time 'tomorrow': write it like"),
        ("LockoutSet", '{"rule_id": "r", "until": "2025-11-19T17:60:00"}', "minute must be in 0..59"),
    ],
)
def test_malformed_members_are_refused_by_name(run: Run, data: Path, type_: str, members: str, said: str) -> None:
    ended = run("append", "order/ACC1/O-9", type_, members, "--data", data)
    assert ended.code == 2
    assert said in ended.err
    assert ended.out == ""
    assert ended.err.count("\n") == 1
    assert head(data) == 8


@pytest.mark.parametrize("stream", ["order", "order/ACC1", "order//O", "order/ACC1/", "a b/c/d"])
def test_a_malformed_stream_is_refused(run: Run, data: Path, stream: str) -> None:
    assert run("append", stream, "OrderTriggered", "{}", "--data", data).code == 2
    assert head(data) == 8


def test_a_mark_names_an_instant_that_as_of_understands(run: Run, data: Path) -> None:
    assert run("mark", "end/of-day", "--data", data).code == 0
    run("append", "order/ACC1/O-9", "OrderSubmitted", SENT, "--data", data)
    marked = run("as-of", "end/of-day", "--data", data, "--json").document
    assert marked["position"] == 9
    record = run("tail", "-n", "2", "--data", data, "--json").lines[0]
    assert (record["stream"], record["data"]) == ("mark/-/end%2Fof-day", {"name": "end/of-day"})
    assert run("mark", "later", "--data", data, "--json").document["position"] == 11


def test_marking_never_creates_a_store(run: Run, tmp_path: Path) -> None:
    ended = run("mark", "noon", "--data", tmp_path / "nowhere")
    assert ended.code == 2
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("stream", ["ordr/ACC1/O-1", "lockout/ACC1/O-1", "order/ACC1", "order/A B/O-1"])
def test_a_refused_first_event_leaves_no_store_behind(run: Run, tmp_path: Path, stream: str) -> None:
    ended = run("append", stream, "OrderAccepted", "{}", "--data", tmp_path / "data")
    assert (ended.code, ended.out) == (2, "")
    assert list(tmp_path.iterdir()) == []


def test_a_limit_that_none_can_judge_is_refused(run: Run, tmp_path: Path) -> None:
    for rule, parameters, why in (
        ("daily-los", '{"limit":"5"}', "unknown kind of limit 'daily-los': did you mean daily-loss?"),
        ("daily-loss", '{"limt":"5"}', "the parameters of 'daily-loss' cannot be read"),
    ):
        members = f'{{"rule_id":"{rule}","parameters":{parameters}}}'
        ended = run("append", f"limits/A/{rule}", "LimitsSet", members, "--actor", "desk", "--data", tmp_path / "d")
        assert (ended.code, ended.out) == (2, "")
        assert why in ended.err
    assert list(tmp_path.iterdir()) == []


def test_an_event_that_needs_an_actor_asks_for_the_option(run: Run, tmp_path: Path) -> None:
    command = (
        "append",
        "limits/A/daily-loss",
        "LimitsSet",
        '{"rule_id":"daily-loss","parameters":{"limit":"5"}}',
        "--data",
        tmp_path / "d",
    )
    for actor in ((), ("--actor", ""), ("--actor", "  ")):
        ended = run(*command, *actor)
        assert (ended.code, ended.out) == (2, "")
        assert "LimitsSet requires an actor: give --actor" in ended.err
    assert not (tmp_path / "d").exists()
    assert run(*command, "--actor", "boss").code == 0
