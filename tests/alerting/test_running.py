"""Alerts as they run: in a trading process, in the mirror's, as a command; and what `verify` and `doctor` say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

import eventstore
import projections
from eventstore import ReadOnly
from eventstore.clock import SystemClock
from eventstore.trading import AlertSent, EnforcementAction, EnforcementRequested
from gateways.alerting import Alerts, AlertSettings, started_for
from gateways.alerting.conditions import Condition
from gateways.alerting.waiting import RetryPace
from gateways.cli.alerting import alerting
from gateways.cli.options import CommonOptions
from tests.alerting.alerting_scene import lock, sent, to
from tests.alerting.http_receiver import HANG, SECRET, HttpReceiver, is_signed
from tests.cli.command import Run, flip
from tests.cli.conftest import run

__all__ = ["run"]

AT_ONCE = RetryPace(first=0.02, longest=0.02, attempts=3)


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with HttpReceiver() as receiver:
        yield receiver


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    directory = tmp_path / "data"
    with eventstore.open(directory):
        pass
    return directory


def configure(data: Path, *lines: str, heartbeat: str = "") -> None:
    path = data / "eventstore.toml"
    head = [f'heartbeat = "{heartbeat}"'] if heartbeat else []
    path.write_text("\n".join([*head, "[[alerts]]", *lines, ""]))
    path.chmod(0o600)


def webhook(receiver: HttpReceiver) -> list[str]:
    return ['name = "desk"', f'url = "{receiver.url}"', f'secret = "{SECRET}"']


# In a process


def test_a_trading_process_alerts_beside_its_trading(data: Path, receiver: HttpReceiver) -> None:
    receiver.answers = [500]
    settings = AlertSettings((to(receiver.url, Condition.LOCKOUT),), receiver.url)
    beats: list[str] = []
    with (
        eventstore.open(data) as store,
        projections.open(store) as book,
        Alerts(book, settings, pace=AT_ONCE, ping=beats.append) as alerts,
    ):
        id_ = lock(store)
        receiver.wait(2)
        assert receiver.ids == [id_, id_]
        assert book.lockouts.active("ACC1", SystemClock().now_ns())
        alerts.stop()
        assert alerts.error is None
        assert alerts.troubles == {}
        assert repr(alerts) == "<Alerts of main (desk: 0 waiting)>"
        assert [each.attempts for each in sent(store)] == [2]


def test_a_receiver_that_hangs_holds_up_no_other(data: Path, receiver: HttpReceiver) -> None:
    with HttpReceiver(HANG) as hanging, eventstore.open(data) as store, projections.open(store) as book:
        other = replace(to(hanging.url, Condition.LOCKOUT), name="hanging")
        receivers = (other, to(receiver.url, Condition.LOCKOUT))
        alerts = Alerts(book, AlertSettings(receivers), pace=AT_ONCE).start()
        ids = [lock(store, rule_id=f"rule-{number}") for number in range(3)]
        receiver.wait(3)
        assert receiver.ids == ids
        hanging.close()
        alerts.stop()


def test_alerts_need_a_log_that_can_be_appended_to(data: Path) -> None:
    with (
        eventstore.open(data, read_only=True) as store,
        projections.open(store) as book,
        pytest.raises(ReadOnly, match="recorded in the log"),
    ):
        Alerts(book, AlertSettings())


def test_the_heartbeat_beats_while_all_is_in_order(data: Path, receiver: HttpReceiver) -> None:
    with (
        eventstore.open(data) as store,
        projections.open(store) as book,
        Alerts(book, AlertSettings((), receiver.url)) as alerts,
    ):
        receiver.wait(1)
        assert alerts.problems() == []
    assert [each.method for each in receiver.received] == ["GET"]


def test_a_mirror_s_process_alerts_too(data: Path, receiver: HttpReceiver) -> None:
    configure(data, *webhook(receiver))
    with alerting(CommonOptions(data=data)), eventstore.open(data) as store:
        id_ = lock(store)
        receiver.wait(1)
    assert receiver.ids == [id_]


def test_an_enforcer_s_process_alerts_too(data: Path, receiver: HttpReceiver, run: Run) -> None:
    configure(data, *webhook(receiver), 'on = ["LOCKOUT"]')
    assert run("alerts", "--once", "--data", data).code == 0
    with eventstore.open(data) as store:
        id_ = lock(store)
    ended = run("enforce", "operator:truth", "--data", data, "--once")
    assert ended.code == 0
    receiver.wait(1)
    assert receiver.ids == [id_]


def test_settings_that_cannot_be_meant_leave_no_account_without_an_enforcer(data: Path, run: Run) -> None:
    configure(data, 'command = ["/bin/true"]', 'on = ["LOCKOUTS"]')
    ended = run("enforce", "operator:truth", "--data", data, "--once")
    assert ended.code == 0
    assert "nobody is alerted: " in ended.err
    assert "did you mean LOCKOUT?" in ended.err


def test_without_settings_nothing_is_started(data: Path) -> None:
    with eventstore.open(data) as store, started_for(store, data) as alerts:
        assert alerts is None


def test_a_book_s_process_is_given_its_alerts(data: Path, receiver: HttpReceiver) -> None:
    configure(data, *webhook(receiver))
    with eventstore.open(data) as store, projections.open(store) as book, started_for(book, data) as alerts:
        assert alerts is not None
        id_ = lock(store)
        receiver.wait(1)
    assert receiver.ids == [id_]


# The command


def test_the_test_reports_each_receiver(data: Path, receiver: HttpReceiver, run: Run) -> None:
    configure(data, *webhook(receiver), "[[alerts]]", 'command = ["/bin/false"]')
    ended = run("alerts", "--test", "--data", data)
    assert ended.code == 1
    assert ended.out.splitlines() == ["desk: delivered", "false: not delivered: the command ended with exit code 1"]
    [received] = receiver.received
    assert is_signed(received)
    assert received.document["what"] == "TEST"
    as_json = run("alerts", "--test", "--json", "--data", data)
    assert [each["delivered"] for each in as_json.document] == [True, False]
    assert not any(secret in ended.out + ended.err + as_json.out for secret in (SECRET, "a-secret-of-the-url"))
    with eventstore.open(data) as store:
        assert store.head() == 0


def test_a_test_that_all_receive_ends_with_0(data: Path, receiver: HttpReceiver, run: Run) -> None:
    configure(data, *webhook(receiver))
    assert run("alerts", "--test", "--data", data).code == 0


def test_the_settings_are_found_in_the_working_directory_too(data: Path, receiver: HttpReceiver, run: Run) -> None:
    configure(data.parent, *webhook(receiver))
    assert run("alerts", "--test", "--data", data).code == 0
    configure(data, *webhook(receiver))
    refused = run("alerts", "--test", "--data", data)
    assert refused.code == 2
    assert "both have settings of alerts" in refused.err


def test_once_sends_what_is_due(data: Path, receiver: HttpReceiver, run: Run) -> None:
    configure(data, *webhook(receiver), 'on = ["LOCKOUT", "DISK"]')
    assert run("alerts", "--once", "--data", data).code == 0
    with eventstore.open(data) as store:
        id_ = lock(store)
        lock(store, "ACC2")
    ended = run("alerts", "--once", "--data", data)
    assert (ended.code, ended.out) == (0, "all is sent\n")
    assert len(receiver.ids) == 2
    assert receiver.ids[0] == id_
    assert json.loads(run("alerts", "--once", "--json", "--data", data).out) == {"waiting": {"desk": 0}, "troubles": {}}


def test_once_beside_another_process_sends_nothing(data: Path, receiver: HttpReceiver, run: Run) -> None:
    configure(data, *webhook(receiver))
    with eventstore.open(data) as store, started_for(store, data):
        ended = run("alerts", "--once", "--data", data)
    assert ended.code == 1
    assert "another process alerts it" in ended.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "there are no [[alerts]] and no heartbeat"),
        (("--test", "--once"), "give one of --test and --once"),
    ],
)
def test_what_cannot_be_meant_is_refused(data: Path, run: Run, arguments: tuple[str, ...], words: str) -> None:
    if arguments:
        configure(data, 'command = ["/bin/true"]')
    ended = run("alerts", *arguments, "--data", data)
    assert ended.code == 2
    assert words in ended.err


def test_an_account_that_the_log_does_not_know_is_noted(data: Path, receiver: HttpReceiver, run: Run) -> None:
    configure(data, *webhook(receiver), 'accounts = ["ACC9", "@desk"]')
    with eventstore.open(data) as store:
        lock(store)
    ended = run("alerts", "--once", "--data", data)
    assert "there is no account 'ACC9'" in ended.err
    assert "@desk" not in ended.err


# What other commands say


def test_verify_alerts_and_alerts_again_when_all_is_as_it_was(data: Path, receiver: HttpReceiver, run: Run) -> None:
    configure(data, *webhook(receiver))
    with eventstore.open(data) as store:
        for number in range(600):
            store.enqueue(f"alert/ACC1/{number}", AlertSent(what="TEST", to="x", attempts=1, delivered=True))
    assert run("verify", "--data", data).code == 0
    assert receiver.received == []
    flip(data, 1)
    for _ in range(2):
        assert run("verify", "--data", data).code == 1
    # At most once in `repeat_after`.
    assert [each.document["ended"] for each in receiver.received] == [False]
    assert "not as it was written at position 1" in receiver.received[0].document["sentence"]
    restore(data)
    assert run("verify", "--after", "600", "--data", data).code == 0
    assert len(receiver.received) == 1
    assert run("verify", "--data", data).code == 0
    assert [each.document["ended"] for each in receiver.received] == [False, True]
    assert run("verify", "--data", data).code == 0
    assert len(receiver.received) == 2


def restore(data: Path) -> None:
    """Flip the same byte back."""
    path = data / "main" / "journal.db"
    content = bytearray(path.read_bytes())
    with eventstore.open(data) as store:
        record = next(store.read(limit=1))
    place = content.index(record.id + record.data) + len(record.id) + record.data.index(b":") + 2
    content[place] ^= 1
    path.write_bytes(content)


def test_a_log_that_does_not_open_is_alerted_about_as_well(data: Path, receiver: HttpReceiver, run: Run) -> None:
    configure(data, *webhook(receiver))
    with eventstore.open(data) as store:
        lock(store)
    flip(data, 1)
    for _ in range(2):
        assert run("verify", "--data", data).code == 1
    # Nothing can be recorded, so the receiver knows by the id that it is the same.
    assert len(receiver.ids) == 2
    assert len(set(receiver.ids)) == 1


def test_verify_says_who_was_not_alerted(data: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateways.alerting.verdicts.PAUSE_SECONDS", 0.0)
    configure(data, 'command = ["/bin/false"]')
    with eventstore.open(data) as store:
        lock(store)
    flip(data, 1)
    ended = run("verify", "--data", data)
    assert ended.code == 1
    assert "false was not alerted: the command ended with exit code 1" in ended.err
    configure(data, "nonsense = 1")
    assert "nobody was alerted" in run("verify", "--data", data).err


def test_doctor_shows_who_was_not_reached_and_why_there_is_no_heartbeat(
    data: Path, run: Run, receiver: HttpReceiver
) -> None:
    fine = run("doctor", "--data", data)
    assert "alerts" not in fine.out
    configure(data, 'name = "desk"', 'command = ["/bin/false"]', heartbeat=receiver.url)
    ok = run("doctor", "--data", data)
    assert "ok       alerts       desk; the heartbeat is set" in ok.out
    with eventstore.open(data) as store:
        failed = AlertSent(
            what="LOCKOUT", to="desk", attempts=8, delivered=False, why="no answer", subject="daily-loss"
        )
        store.append("alert/ACC1/A-1", failed)
        asked = EnforcementRequested(rule_id="daily-loss", action=EnforcementAction.FLATTEN)
        store.append("enforcement/ACC1/R-1", asked, occurred_at="2026-01-01T00:00:00Z")
    bad = run("doctor", "--data", data)
    assert bad.code == 0
    assert "desk was not reached in the last 7 days about LOCKOUT of ACC1" in bad.out
    assert "no heartbeat: FLATTEN of ACC1, request R-1, is still pending" in bad.out
    assert receiver.received == []
    configure(data, "nonsense = 1")
    assert run("doctor", "--data", data).code == 1
    configure(data, *webhook(receiver)[:2], f'secret_file = "{data / "none"}"')
    assert run("doctor", "--data", data).code == 1
