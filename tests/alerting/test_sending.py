"""One attempt: what an HTTP receiver or a command answers, and those that never answer."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from eventstore import ManualClock
from gateways.alerting.conditions import Alert, Condition, Subject
from gateways.alerting.payload import DETAILS_BYTES_MAX, body_of
from gateways.alerting.sending import NotDelivered, request, send
from gateways.alerting.settings import Receiver
from tests.alerting.alerting_scene import to
from tests.alerting.http_receiver import HANG, HttpReceiver, is_signed
from tests.projections.rules_day import NOON

CLOCK = ManualClock(NOON)


def alert(sentence: str = "ACC1 is locked out", **details: Any) -> Alert:  # noqa: ANN401 - any detail
    subject = Subject(str(Condition.LOCKOUT), "ACC1", "daily-loss")
    id_ = "0190a5b0-0000-7000-8000-000000000000"
    return Alert(id=id_, subject=subject, sentence=sentence, at=NOON, log="main", details=details, position=7)


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 410, 429, 500, 503])
def test_an_answer_that_is_not_2xx_delivers_nothing(status: int) -> None:
    with HttpReceiver(status) as receiver:
        with pytest.raises(NotDelivered, match=f"the receiver answered {status}"):
            send(to(receiver.url), alert(), CLOCK)
        assert len(receiver.received) == 1


@pytest.mark.parametrize("status", [200, 202, 204])
def test_an_answer_of_2xx_delivers(status: int) -> None:
    with HttpReceiver(status) as receiver:
        send(to(receiver.url), alert(), CLOCK)
        assert is_signed(receiver.received[0])


def test_a_host_that_cannot_be_looked_up_is_not_delivered_to() -> None:
    with pytest.raises(NotDelivered, match="the request failed"):
        send(to("https://alerts..example.org/"), alert(), CLOCK)


def test_a_receiver_that_never_answers_is_left() -> None:
    with HttpReceiver(HANG) as receiver, pytest.raises(NotDelivered, match=r"no answer within 0.2 s"):
        send(to(receiver.url), alert(), CLOCK, 0.2)


def test_a_receiver_that_answers_byte_by_byte_is_left() -> None:
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            connection, _ = listening.accept()
            with connection:
                for byte in b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1_000:
                    try:
                        connection.sendall(bytes((byte,)))
                    except OSError:
                        break
                    if done.wait(0.02):
                        break

        thread = threading.Thread(target=drip)
        thread.start()
        began = time.monotonic()
        with pytest.raises(NotDelivered, match=r"no answer within 0.3 s"):
            send(to(f"http://127.0.0.1:{listening.getsockname()[1]}/"), alert(), CLOCK, 0.3)
        assert time.monotonic() - began < 5
        done.set()
        thread.join()


@pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 two hundred\r\n\r\n"])
def test_a_receiver_that_does_not_speak_http_delivers_nothing(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def reply() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

        thread = threading.Thread(target=reply)
        thread.start()
        with pytest.raises(NotDelivered) as error:
            send(to(f"http://127.0.0.1:{listening.getsockname()[1]}/hidden"), alert(), CLOCK)
        thread.join()
    assert "hidden" not in str(error.value)


def test_a_name_that_is_not_known_delivers_nothing_and_shows_no_url() -> None:
    with pytest.raises(NotDelivered) as error:
        request("https://nobody.invalid/hidden", b"{}", {})
    assert "hidden" not in str(error.value)


def test_a_secret_that_cannot_be_read_delivers_nothing(tmp_path: Path) -> None:
    with HttpReceiver() as receiver:
        unreadable = Receiver(name="desk", url=receiver.url, secret_file=str(tmp_path / "none"))
        with pytest.raises(NotDelivered, match="cannot be read"):
            send(unreadable, alert(), CLOCK)
        assert not receiver.received


def test_without_a_secret_nothing_is_signed() -> None:
    with HttpReceiver() as receiver:
        send(Receiver(name="desk", url=receiver.url), alert(), CLOCK)
        assert "webhook-signature" not in receiver.received[0].headers


def test_large_details_are_left_in_the_log() -> None:
    body = body_of(alert(text="x" * DETAILS_BYTES_MAX))
    assert len(body) < 1_000
    assert b"see the log's record" in body


# Commands


def command(*words: str) -> Receiver:
    return Receiver(name="pager", command=words)


def shell(script: str) -> Receiver:
    return command("/bin/sh", "-c", script)


def test_a_command_gets_the_alert_on_stdin_and_in_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTSTORE_INFLUX_TOKEN", "hunter2")
    got, environment = tmp_path / "got", tmp_path / "environment"
    send(shell(f"cat > '{got}'; env > '{environment}'"), alert('quoted " $(touch x) \n'), CLOCK)
    assert got.read_bytes() == body_of(alert('quoted " $(touch x) \n'))
    lines = environment.read_text().splitlines()
    assert "EVENTSTORE_ALERT_WHAT=LOCKOUT" in lines
    assert "EVENTSTORE_ALERT_ACCOUNT=ACC1" in lines
    assert f"EVENTSTORE_ALERT_ID={alert().id}" in lines
    assert 'EVENTSTORE_ALERT_SENTENCE=quoted " $(touch x) ' in lines
    assert "hunter2" not in environment.read_text()


def test_arguments_are_not_read_by_a_shell(tmp_path: Path) -> None:
    send(command("/bin/sh", "-c", 'printf "%s" "$1" > "$0"', str(tmp_path / "got"), "$(echo no); *"), alert(), CLOCK)
    assert (tmp_path / "got").read_text() == "$(echo no); *"


@pytest.mark.parametrize(
    ("receiver", "why"),
    [
        (shell("exit 3"), "exit code 3"),
        (shell("kill -9 $$"), "exit code -9"),
        (command("/nowhere/at/all"), "cannot be started: No such file"),
        (command("/"), "cannot be started"),
    ],
)
def test_a_command_that_fails_delivers_nothing(receiver: Receiver, why: str) -> None:
    with pytest.raises(NotDelivered, match=why):
        send(receiver, alert(), CLOCK)


def test_a_command_that_does_not_read_its_input_delivers() -> None:
    send(command("/bin/true"), alert(text="x" * 15_000), CLOCK)


def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    hanging = shell(f"sleep 60 & echo $! $$ > '{pids}'; wait")
    with pytest.raises(NotDelivered, match=r"took more than 0.5 s"):
        send(hanging, alert(), CLOCK, 0.5)
    for pid in map(int, pids.read_text().split()):
        assert is_gone(pid)


def is_gone(pid: int, seconds: float = 10) -> bool:
    """Return whether a process ends within a while; one that nobody has waited for yet counts as ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False
