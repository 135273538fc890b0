"""How far the clock is off, recorded and shown; and who asked what, recorded where that is set."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import typer

import eventstore
from eventstore import InvalidEvent, ManualClock, Record
from eventstore.config import audits_reads
from eventstore.trading import ClockChecked, RecordsRead
from gateways.cli.clock import standing
from gateways.cli.clock_sources import ProgramAnswer, checked
from gateways.cli.clock_sources import run as run_program
from gateways.cli.reads import asking, recorded
from gateways.presenting.asked import stated
from gateways.presenting.clocks import is_off
from projections.auditing.sentences.audits import clock_sentence
from tests.cli.command import Run

CHRONY = """Reference ID    : B97DBE7B (192.0.2.1)
Stratum         : 3
Ref time (UTC)  : Mon Nov 16 13:06:04 2026
System time     : 0.000012345 seconds slow of NTP time
Last offset     : +0.001758954 seconds
Root delay      : 0.004000000 seconds
Root dispersion : 0.000500000 seconds
Leap status     : Normal
"""
NTPD = "leap=00, rootdelay=12.5,\nrootdisp=3.25, offset=-0.5\n"
MISSING = ProgramAnswer(None, "it is not installed")


def records(data: Path, kind: type[eventstore.Event]) -> list[Record]:
    with eventstore.open(data) as store:
        return list(store.read(types=(kind,)))


@pytest.mark.parametrize(
    ("chrony", "ntpd", "why"),
    [
        (MISSING, MISSING, "chronyc: it is not installed; ntpq: it is not installed"),
        (ProgramAnswer(1, "501 Not authorised\n"), MISSING, "chronyc: 501 Not authorised"),
        (ProgramAnswer(1, ""), MISSING, "chronyc: it ended with 1"),
        (ProgramAnswer(0, CHRONY.replace("Normal", "Not synchronised")), MISSING, "chronyc: it is not synchronised"),
        (ProgramAnswer(0, "1,2,3\n"), MISSING, "chronyc: its answer is not that of"),
        (ProgramAnswer(0, CHRONY.replace("0.000012345", "x")), MISSING, "chronyc: its answer has no number"),
        (ProgramAnswer(0, CHRONY.replace("0.000012345", "NaN")), MISSING, "chronyc: 'NaN' is not an offset"),
        (ProgramAnswer(0, CHRONY.replace("0.000012345", "1e99")), MISSING, "chronyc: '1e99' is not an offset"),
        (MISSING, ProgramAnswer(0, "leap=11, offset=0.0\n"), "ntpq: it is not synchronised"),
        (MISSING, ProgramAnswer(0, "rootdelay=1\n"), "ntpq: its answer is not that of"),
    ],
)
def test_what_no_program_says_has_no_offset_and_says_why(chrony: ProgramAnswer, ntpd: ProgramAnswer, why: str) -> None:
    found = checked(lambda command: chrony if command[0] == "chronyc" else ntpd)
    assert (found.offset_ns, found.error_ns) == (None, None)
    assert why in found.why
    assert is_off(found)
    assert "is not known" in clock_sentence(found)


def test_the_correction_that_a_program_states_is_how_far_the_clock_is_behind() -> None:
    chrony = checked(lambda command: ProgramAnswer(0, CHRONY) if command[0] == "chronyc" else MISSING)
    assert (chrony.source, chrony.offset_ns, chrony.error_ns) == ("chronyc", -12_345, 2_500_000)
    assert clock_sentence(chrony) == "the clock is 0.012 ms behind chronyc, give or take 2.500 ms"
    fast = checked(lambda _: ProgramAnswer(0, CHRONY.replace("slow", "fast")))
    assert fast.offset_ns == 12_345
    ntpd = checked(lambda command: ProgramAnswer(0, NTPD) if command[0] == "ntpq" else MISSING)
    assert (ntpd.source, ntpd.offset_ns, ntpd.error_ns) == ("ntpq", 500_000, 9_500_000)
    assert clock_sentence(ntpd) == "the clock is 0.500 ms ahead of ntpq, give or take 9.500 ms"
    assert not is_off(ntpd)
    assert is_off(ClockChecked(source="GPS", offset_ns=-1_000_000_000))


def test_a_program_that_is_missing_or_fails_raises_nothing() -> None:
    assert run_program(["no-such-program-here"]) == MISSING
    failed = run_program(["ls", "--no-such-option"])
    assert failed.code not in {None, 0}


def test_a_measured_offset_is_recorded_and_shown_by_doctor(run: Run, data: Path) -> None:
    assert "the clock was never compared with one" in " ".join(run("doctor", "--data", data).out.split())
    for arguments in (("--offset", "0.1"), ("--source", "GPS"), ("--offset", "x", "--source", "GPS"),
                      ("--offset", "NaN", "--source", "GPS"), ("--offset", "1", "--source", " ")):  # fmt: skip
        assert run("clock", *arguments, "--data", data).code == 2
    done = run("clock", "--offset", "-0.000250", "--source", "GPS", "--data", data)
    assert (done.code, done.out) == (0, "the clock is 0.250 ms behind GPS: position 9  clock/-/-\n")
    assert "the clock is 0.250 ms behind GPS" in " ".join(run("doctor", "--data", data).out.split())
    far = run("clock", "--offset", "90", "--source", "GPS", "--json", "--data", data)
    assert (far.code, far.document["data"]["offset_ns"]) == (1, 90_000_000_000)
    with eventstore.open(data, clock=ManualClock(2_000_000_000_000_000_000)) as store:
        assert standing(store)[0] is False


# Reading


def test_reading_is_recorded_after_the_answer_and_only_where_that_is_set(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = run("read", "--limit", 1, "--json", "--data", data)
    assert records(data, RecordsRead) == []
    (data / "eventstore.toml").write_text("audit_reads = true\n", "utf-8")
    answered = run("read", "--limit", 1, "--json", "--data", data)
    assert (answered.code, answered.out, answered.err) == (0, quiet.out, "")
    run("state", "--account", "ACC1", "--data", data)
    # An account that is unknown ends with exit code 1, and the question was asked all the same.
    assert run("pnl", "--account", "ACC9", "--data", data).code == 1
    events = [record.event for record in records(data, RecordsRead)]
    assert events == [
        RecordsRead(question="read", arguments={"limit": 1}, head=8),
        RecordsRead(question="state", account="ACC1", arguments={"account": "ACC1", "rows": 40}, head=9),
        RecordsRead(question="pnl", account="ACC9", arguments={"account": "ACC9", "rows": 40}, head=10),
    ]
    assert all(record.actor and record.stream == "audit/-/reads" for record in records(data, RecordsRead))
    monkeypatch.setenv("EVENTSTORE_AUDIT_READS", "0")
    run("read", "--data", data)
    assert len(records(data, RecordsRead)) == 3


def test_what_cannot_be_recorded_is_answered_and_said(run: Run, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTSTORE_AUDIT_READS", "1")
    ended = run("read", "--limit", 1, "--json", "--read-only", "--data", data)
    assert (ended.code, len(ended.lines)) == (0, 1)
    assert "is not recorded in audit/-/reads: the log is only read" in ended.err
    assert records(data, RecordsRead) == []


def test_a_record_that_fails_is_said_and_ends_the_command_with_a_problem(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EVENTSTORE_AUDIT_READS", "1")
    with eventstore.open(data) as store, pytest.raises(typer.Exit) as ended, asking("read", {}):
        _read_and_lose(store, data)
    assert ended.value.exit_code == 1
    assert "is not recorded in audit/-/reads: " in capsys.readouterr().err
    assert records(data, RecordsRead) == []


def _read_and_lose(store: eventstore.EventStore, data: Path) -> None:
    with recorded(store, str(data), None):
        assert len(list(store.read(limit=1))) == 1
        store.close()


def test_text_that_is_not_unicode_keeps_no_question_out_of_the_log(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTSTORE_AUDIT_READS", "1")
    assert run("read", "--account", "A\udcff", "--data", data).code in {0, 1, 2}
    [record] = records(data, RecordsRead)
    assert record.event == RecordsRead(question="read", account="A\\udcff", arguments={"account": "A\\udcff"}, head=8)


@pytest.mark.parametrize("text", ["yes", "2", "True"])
def test_a_setting_that_is_not_a_switch_is_refused(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("EVENTSTORE_AUDIT_READS", text)
    ended = run("read", "--data", data)
    assert (ended.code, ended.out) == (2, "")
    assert "EVENTSTORE_AUDIT_READS is 1 or 0" in ended.err
    monkeypatch.delenv("EVENTSTORE_AUDIT_READS")
    (data / "eventstore.toml").write_text("audit_reads = 1\n", "utf-8")
    with pytest.raises(InvalidEvent, match="audit_reads is true or false, not 1"):
        audits_reads(data, environment={})
    assert audits_reads(data, environment={"EVENTSTORE_AUDIT_READS": "true"})
    assert os.environ.get("EVENTSTORE_AUDIT_READS") is None


def test_arguments_are_kept_in_bounds() -> None:
    given = {"text": "x" * 5_000, "none": None, "off": False, "many": list(range(50)), "path": Path("a/b"), "on": True}
    found = stated(given)
    assert (len(found["text"]), len(found["many"]), found["path"], found["on"]) == (1_000, 20, "a/b", True)
    assert found.keys() == {"text", "many", "path", "on"}
