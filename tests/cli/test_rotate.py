"""`rotate`: the same commands, with the same options, before and after; and what is said of a log that cannot end."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
from eventstore.trading import AccountOpened, OrderFilled, OrderSubmitted, Side
from tests.cli.command import Run


@pytest.fixture
def traded(tmp_path: Path) -> Path:
    data = tmp_path / "traded"
    with eventstore.open(data) as store:
        store.append("account/A/-", AccountOpened(starting_balance=Decimal(1_000), currency="USD"))
        submitted = OrderSubmitted(symbol="ES", side=Side.BUY, quantity=Decimal(2))
        fill = OrderFilled(trade_id="T-1", symbol="ES", side=Side.BUY, quantity=Decimal(1), price=Decimal(5_000))
        store.append("order/A/O-1", [submitted, fill])
    return data


def test_a_rotated_log_answers_as_before(run: Run, traded: Path) -> None:
    asked = [("orders", ("read", "--stream", "order/A/", "--json")), ("why", ("why", "position/ES", "--account", "A"))]
    state = run("state", "--data", traded, "--account", "A", "--json").document
    before = {name: run(*command, "--data", traded).out.partition("Causes") for name, command in asked}
    ended = run("rotate", "--data", traded)
    assert ended.code == 0
    assert "log main has ended with 4 records, the last at position 4" in ended.out
    assert "log main.2 continues it from its state" in ended.out
    after = run("state", "--data", traded, "--account", "A", "--json").document
    assert {name: after[name] for name in ("orders", "positions")} == {
        name: state[name] for name in ("orders", "positions")
    }
    again = {name: run(*command, "--data", traded).out.partition("Causes") for name, command in asked}
    # What is asked as of now names the newest record's time first.
    assert again["orders"] == before["orders"]
    assert again["why"][1:] == before["why"][1:]
    verified = run("verify", "--data", traded, "--json").document
    assert (verified["ok"], verified["checked"]) == (True, after["position"])
    assert run("doctor", "--data", traded).code == 0
    timeline = run("timeline", "--account", "A", "--data", traded)
    assert "was carried on from log" in timeline.out


def test_it_says_what_it_did_as_json_and_again_for_the_next_one(run: Run, traded: Path) -> None:
    first = run("rotate", "--data", traded, "--json").document
    assert (first["log"], first["next"], first["size"], first["position"]) == ("main", "main.2", 3, 4)
    second = run("rotate", "--data", traded, "--as", "main-2027", "--json").document
    assert (second["log"], second["next"]) == ("main.2", "main-2027")
    assert sorted(path.name for path in traded.iterdir()) == ["main", "main-2027", "main.2"]


def test_what_cannot_be_rotated_is_left_as_it_is(run: Run, traded: Path, tmp_path: Path) -> None:
    missing = run("rotate", "--data", tmp_path / "nowhere")
    assert (missing.code, "there is no log" in missing.err) == (2, True)
    taken = run("rotate", "--data", traded, "--as", "main")
    assert (taken.code, "there is a log main in" in taken.err) == (2, True)
    assert [path.name for path in traded.iterdir()] == ["main"]
    assert not (traded / "main" / "ended").exists()


def test_a_backup_of_the_new_log_is_verified(run: Run, traded: Path, tmp_path: Path) -> None:
    run("rotate", "--data", traded)
    copied = run("backup", tmp_path / "copy", "--data", traded, "--json")
    assert copied.code == 0
    assert copied.document["size"] == eventstore.open(traded, read_only=True).alone().head()


def test_an_old_log_that_was_moved_is_read_where_it_lies(run: Run, traded: Path, tmp_path: Path) -> None:
    run("rotate", "--data", traded)
    away = tmp_path / "away"
    (traded / "main").rename(away)
    (traded / "main").mkdir()
    (traded / "main" / "ended").write_bytes((away / "ended").read_bytes())
    refused = run("mark", "end-of-day", "--data", traded)
    assert (refused.code, "log main.2 continues log main, and it is not in" in refused.err) == (2, True)
    (traded / "main.2" / "previous").write_text(str(away))
    for path in away.rglob("*"):
        path.chmod(0o400)
    assert run("mark", "end-of-day", "--data", traded).code == 0
    read = run("read", "--data", traded, "--stream", "order/A/", "--json")
    assert [line["position"] for line in read.lines] == [2, 3]
    assert run("verify", "--data", traded).code == 0
