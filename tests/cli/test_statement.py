"""`statement` and `signed`: a file beside the log, what differs, who agreed, and what changed since."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
from eventstore.trading import DaySigned, FeeCharged
from tests.cli.command import Ended, Run

HEADER = "time,symbol,side,quantity,price,fee,trade_id"
ROWS = (
    "2026-03-02T15:00:00.400Z,MNQH6,buy,2,21000,1.24,F1",
    "2026-03-02T15:05:00Z,MNQH6,sell,1,21010,0.62,F2",
    "2026-03-02T15:09:07Z,MNQH6,sell,1,21020,0.62,F3",
)


def written(folder: Path, *rows: str, name: str = "fills.csv") -> Path:
    path = folder / name
    path.write_text("\n".join((HEADER, *rows)) + "\n", "utf-8")
    return path


@pytest.fixture
def data(run: Run, tmp_path: Path) -> Path:
    data = tmp_path / "data"
    ended = run("import", written(tmp_path, *ROWS), "--account", "A", "--yes", "--data", data)
    assert ended.code == 0, ended.err
    return data


def compare(run: Run, data: Path, *rows: str, options: tuple[object, ...] = ()) -> Ended:
    path = written(data.parent, *rows, name="statement.csv")
    return run("statement", path, "--format", "fills", "--account", "A", "--data", data, *options)


def test_a_file_that_agrees_ends_with_0(run: Run, data: Path) -> None:
    ended = run("statement", written(data.parent, *ROWS), "--account", "A", "--data", data)
    assert (ended.code, ended.err) == (0, "")
    assert "3 of 3 executions found" in ended.out
    assert "Breaks: none" in ended.out
    assert "cash: the statement lists none" in ended.out


def test_a_difference_is_shown_with_its_line_and_record_and_ends_with_1(run: Run, data: Path) -> None:
    changed = ROWS[1].replace("21010", "21010.25")
    ended = compare(run, data, ROWS[0], changed, ROWS[2])
    assert ended.code == 1
    document = compare(run, data, ROWS[0], changed, ROWS[2], options=("--json",)).document
    [found] = document["breaks"]
    assert (found["kind"], found["here"], found["there"], found["lines"]) == ("OTHER_PRICE", "21010", "21010.25", [3])
    with eventstore.open(data, read_only=True) as store:
        [record] = store.read(after=found["records"][0] - 1, limit=1)
    assert record.stream == "trade/A/F2"
    assert document["days"][0]["breaks"] == 1
    assert document["format"] == "fills"


def test_a_row_that_cannot_be_read_is_a_usage_error_or_left_out(run: Run, data: Path) -> None:
    ended = compare(run, data, *ROWS, "yesterday,MNQH6,buy,1,1,0,F9")
    assert (ended.code, "line 5" in ended.err) == (2, True)
    ended = compare(run, data, *ROWS, "yesterday,MNQH6,buy,1,1,0,F9", options=("--keep-going",))
    assert ended.code == 1
    assert "1 rows that could not be read" in ended.out


def test_the_period_may_be_given(run: Run, data: Path) -> None:
    ended = compare(run, data, *ROWS[:2])
    assert (ended.code, "lies outside the statement's rows" in " ".join(ended.out.split())) == (1, True)
    ended = compare(run, data, *ROWS[:2], options=("--stop", "2026-03-02T15:09:00Z"))
    assert ended.code == 0


def test_what_was_known_at_a_past_position_is_compared(run: Run, data: Path) -> None:
    with eventstore.open(data) as store:
        store.append("trade/A/F2", FeeCharged(trade_id="F2", amount=Decimal(1)))
        head = store.head()
    assert compare(run, data, *ROWS).code == 1
    assert compare(run, data, *ROWS, options=("--known-by", str(head - 1))).code == 0


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--alongside",), "a statement adds nothing"),
        (("--sign", "--known-by", "1"), "leave --known-by out"),
        (("--sign", "--data", "http://127.0.0.1:9"), "give --data DIR"),
        (("--start", "yesterday morning"), "--start"),
    ],
)
def test_options_that_mean_nothing_are_refused(run: Run, data: Path, options: tuple[str, ...], why: str) -> None:
    path = written(data.parent, *ROWS)
    given = () if "--data" in options else ("--data", data)
    ended = run("statement", path, "--account", "A", *given, *options)
    assert ended.code == 2
    assert why in ended.err or why == "--start"


def test_an_unknown_account_is_refused_with_those_like_it(run: Run, data: Path) -> None:
    ended = run("statement", written(data.parent, *ROWS), "--account", "B", "--data", data)
    assert (ended.code, "there is no account 'B'" in ended.err) == (2, True)


def test_no_file_and_no_log_are_usage_errors(run: Run, data: Path, tmp_path: Path) -> None:
    assert run("statement", "--data", data).code == 2
    assert run("statement", tmp_path / "none.csv", "--data", data).code == 2
    assert run("statement", written(tmp_path, *ROWS), "--account", "A", "--data", tmp_path / "other").code == 2


class TestSigning:
    def test_a_day_that_agrees_is_signed(self, run: Run, data: Path) -> None:
        ended = compare(run, data, *ROWS, options=("--sign", "--actor", "me@desk", "--note", "fine"))
        assert (ended.code, "1 days signed by me@desk" in ended.out) == (0, True)
        with eventstore.open(data, read_only=True) as store:
            [record] = store.read(types=DaySigned)
        assert (record.stream, record.actor, record.note) == ("audit/A/2026-03-02", "me@desk", "fine")
        shown = run("signed", "--data", data)
        assert (shown.code, "me@desk" in shown.out) == (0, True)

    def test_breaks_are_signed_only_when_that_is_said(self, run: Run, data: Path) -> None:
        ended = compare(run, data, ROWS[0], ROWS[2], options=("--sign",))
        assert (ended.code, "repeat the command with --yes" in ended.err) == (2, True)
        ended = compare(run, data, ROWS[0], ROWS[2], options=("--sign", "--yes", "--json"))
        assert ended.code == 1
        [record] = ended.document["signed"]
        assert record["type"] == "DaySigned"
        assert [each["kind"] for each in record["data"]["breaks"]] == ["MISSING_THERE"]
        assert record["data"]["statement"] == "statement.csv (fills)"

    def test_a_day_that_changed_since_is_shown_and_ends_with_1(self, run: Run, data: Path) -> None:
        compare(run, data, *ROWS, options=("--sign",))
        with eventstore.open(data) as store:
            store.append("trade/A/F2", FeeCharged(trade_id="F2", amount=Decimal(1)))
        ended = run("signed", "--account", "A", "--data", data)
        assert ended.code == 1
        assert "SELL 1 MNQH6 at 21010 has other costs since" in " ".join(ended.out.split())
        [signed] = run("signed", "--data", data, "--json").document
        assert [each["sentence"] for each in signed["changes"]] == ["SELL 1 MNQH6 at 21010 has other costs since"]

    def test_an_account_without_signatures_has_none(self, run: Run, data: Path) -> None:
        assert "Signed days: none" in run("signed", "--account", "A", "--data", data).out
        assert run("signed", "--account", "B", "--data", data).code == 1
