"""Settings of alerts: what cannot be meant is refused, naming what is near; secrets are not shown."""

from __future__ import annotations

import base64
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from eventstore import InvalidEvent, Unavailable
from gateways.alerting.conditions import Condition
from gateways.alerting.settings import _KEYS, AlertSettings, Receiver, url_problem
from tests.alerting.http_receiver import SECRET
from tests.documents import ROOT, blocks

URL = 'url = "https://hooks.example.org/T0/secret-path"\n'


def settings(directory: Path, text: str) -> AlertSettings:
    path = directory / "eventstore.toml"
    path.write_text(text)
    path.chmod(0o600)
    return AlertSettings.load(directory)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[alert]]\n" + URL, ["unknown top-level setting alert", "did you mean alerts?"]),
        ('heart_beat = "https://hc.example.org/1"', ["did you mean heartbeat?"]),
        ("[alerts]\n" + URL, ["[[alerts]], in two brackets"]),
        ("[[alerts]]\n" + URL + 'on = ["LOCKOUTS"]', ["unknown condition LOCKOUTS", "did you mean LOCKOUT?"]),
        ("[[alerts]]\n" + URL + 'on = ["lockout"]', ["unknown condition lockout"]),
        ("[[alerts]]\n" + URL + "on = []", ["on: expected an array of texts"]),
        ("[[alerts]]\n" + URL + 'on = "LOCKOUT"', ["expected an array"]),
        ("[[alerts]]\n" + URL + "repeat-after = '1h'", ["unknown key repeat-after", "did you mean repeat_after?"]),
        ("[[alerts]]\n" + URL + "repeat_after = 60", ["repeat_after"]),
        ("[[alerts]]\n" + URL + 'repeat_after = "soon"', ["invalid duration"]),
        ("[[alerts]]\n" + URL + "headroom_below = 0.2", ["is a float", 'headroom_below = "0.2"']),
        ("[[alerts]]\n" + URL + 'headroom_below = "20"', ["above 0 and below 1"]),
        ("[[alerts]]\n" + URL + "disk_free_below = 5", ['disk_free_below = "5 GB"']),
        ("[[alerts]]\n" + URL + 'accounts = ["ACC 1"]', ["account 'ACC 1'"]),
        ("[[alerts]]\n" + URL + 'command = ["true"]', ["give one of url", "and command"]),
        ("[[alerts]]\nname = 'x'", ["give one of url", "and command"]),
        ('[[alerts]]\ncommand = "mail -s alert me"', ["command", "expected an array"]),
        ("[[alerts]]\ncommand = []", ["command: expected an array of texts"]),
        (f"[[alerts]]\ncommand = ['true']\nsecret = '{SECRET}'", ["a command is not signed"]),
        ("[[alerts]]\n" + URL + f"secret = '{SECRET}'\nsecret_file = 'x'", ["not both"]),
        ("[[alerts]]\nurl = 'http://alerts.example.org/'", ["http is readable on the way", "allow_http = true"]),
        ("[[alerts]]\nurl = 'ftp://alerts.example.org/'", ["does not begin with https://"]),
        ("[[alerts]]\nurl = 'https://'", ["does not begin with https://"]),
        ("[[alerts]]\nurl = 'https://host:port/'", ["not a URL"]),
        ("[[alerts]]\nurl = 'https://alerts..example.org/'", ["its host has an empty part"]),
        (f"[[alerts]]\nurl = 'https://{'a' * 64}.example.org/'", ["more than 63 letters"]),
        ("[[alerts]]\n" + URL + "[[alerts]]\n" + URL, ["two receivers are called hooks.example.org", "name ="]),
        ("[[alerts]]\n" + URL + "name = 'a/b'", ["name = 'a/b'"]),
        ("[[alerts]]\n" + URL + "allow_http = 1", ["allow_http is true or false"]),
        ("[[alerts]]\n" + URL * 1 + "x = 1", ["unknown key x", "the known ones are name, on"]),
        ("heartbeat = 'http://hc.example.org/1'", ["heartbeat: http is readable"]),
        ("heartbeat = true", ["heartbeat: expected a URL"]),
        ("heartbeat = ''", ["heartbeat: expected a URL"]),
        ("[[alerts]\n", ["cannot be read"]),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(InvalidEvent) as error:
        settings(tmp_path, text)
    assert all(word in str(error.value) for word in (*words, "eventstore.toml")), str(error.value)


SHORT = "whsec_" + base64.b64encode(b"short").decode()


@pytest.mark.parametrize(
    ("members", "secret"),
    [
        ('secret = "hunter2"\n' + URL, "hunter2"),
        (f'secret = "{SHORT}"\n' + URL, SHORT),
        ('secret = "whsec_???"\n' + URL, "???"),
        ('secret = ["hunter2"]\n' + URL, "hunter2"),
        ('url = ["https://example.org/hunter2"]', "hunter2"),
        ('url = "https://user:hunter2@example.org/"', "hunter2"),
        ('url = "https://exa mple.org/hunter2"', "hunter2"),
        ('url = "http://example.org/hunter2"', "hunter2"),
    ],
)
def test_what_is_refused_shows_no_secret(tmp_path: Path, members: str, secret: str) -> None:
    with pytest.raises(InvalidEvent) as error:
        settings(tmp_path, "[[alerts]]\n" + members)
    assert secret not in str(error.value)


def test_what_is_set_is_what_is_used(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        f"""
        heartbeat = "https://hc.example.org/1"
        [influx]
        url = "http://influx:8086"
        [[alerts]]
        url = "https://hooks.example.org/T0/secret-path"
        secret = "{SECRET}"
        on = ["LOCKOUT", "HEADROOM"]
        accounts = ["ACC1"]
        headroom_below = "0.25"
        feed_stale_after = "2m"
        disk_free_below = "5 GB"
        mirror_lag_above = "5m"
        repeat_after = "30m"
        [[alerts]]
        command = ["/usr/local/bin/page me", "--now"]
        """,
    )
    second = 1_000_000_000
    assert found.heartbeat == "https://hc.example.org/1"
    webhook, command = found.receivers
    assert (webhook.name, webhook.headroom_below, webhook.disk_free_below) == (
        "hooks.example.org",
        Decimal("0.25"),
        5_000_000_000,
    )
    assert (webhook.feed_stale_after, webhook.mirror_lag_above) == (120 * second, 300 * second)
    assert webhook.repeat_after == 1_800 * second
    assert webhook.on == {Condition.LOCKOUT, Condition.HEADROOM}
    assert webhook.key() == bytes(range(32))
    assert (command.name, command.command) == ("page-me", ("/usr/local/bin/page me", "--now"))
    assert (command.on, command.key()) == (frozenset(Condition), None)


def test_a_receiver_gets_its_accounts_and_what_belongs_to_none() -> None:
    receiver = Receiver(name="desk", accounts=frozenset({"ACC1"}))
    taken = [account for account in ("ACC1", "ACC2", "-", "@desk") if receiver.takes("LOCKOUT", account)]
    assert taken == ["ACC1", "-", "@desk"]
    assert not receiver.takes("OTHER", "ACC1")


def test_a_directory_without_settings_alerts_nobody(tmp_path: Path) -> None:
    assert AlertSettings.load(tmp_path).is_empty
    assert settings(tmp_path, "[influx]\nurl = 'http://influx:8086'").is_empty


def test_settings_in_two_files_are_refused(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for directory in (first, second):
        directory.mkdir()
        (directory / "eventstore.toml").write_text("[[alerts]]\n" + URL)
    assert len(AlertSettings.load(first, first).receivers) == 1
    with pytest.raises(InvalidEvent, match="both have settings of alerts"):
        AlertSettings.load(first, second)


@pytest.mark.parametrize("url", ["http://127.0.0.1:80/", "http://localhost/x", "http://[::1]:8/", "https://a.example/"])
def test_what_stays_on_this_machine_or_is_encrypted_is_allowed(url: str) -> None:
    assert url_problem(url) is None


@pytest.mark.parametrize("url", ["http://127.0.0.1.example.org/", "http://10.0.0.1/", "http://localhost.example/"])
def test_what_only_looks_like_this_machine_is_not(url: str) -> None:
    assert "readable on the way" in (url_problem(url) or "")
    assert url_problem(url, allow_http=True) is None


def test_no_form_of_the_settings_shows_a_secret(tmp_path: Path) -> None:
    found = settings(tmp_path, f"heartbeat = 'https://hc.example.org/hidden'\n[[alerts]]\n{URL}secret = '{SECRET}'")
    console = Console(width=500)
    with console.capture() as captured:
        console.print(found, found.receivers[0])
    shown = f"{found!r} {found} {found.receivers[0]!r} {found.receivers} {captured.get()}"
    assert "hooks.example.org" in shown
    assert not any(secret in shown for secret in (SECRET, "secret-path", "hidden"))


def test_a_secret_that_others_may_read_is_warned_about(tmp_path: Path) -> None:
    settings(tmp_path, "[[alerts]]\n" + URL + f"secret = '{SECRET}'")
    (tmp_path / "eventstore.toml").chmod(0o640)
    with pytest.warns(UserWarning, match="chmod 600"):
        AlertSettings.load(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        settings(tmp_path, "[[alerts]]\n" + URL)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b"\xff", "it is not text"),
        (b"hunter2", "is not whsec_"),
    ],
)
def test_a_secret_s_file_that_cannot_be_used_is_an_error(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "secret"
    receiver = Receiver(name="desk", url="https://example.org", secret_file=str(path))
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Unavailable) as error:
        receiver.key()
    assert words in str(error.value)
    assert "hunter2" not in str(error.value)


def test_a_secret_is_read_from_its_file_each_time(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    receiver: Any = Receiver(name="desk", url="https://example.org", secret_file=str(path))
    for key in (bytes(24), bytes(64)):
        path.write_text("whsec_" + base64.b64encode(key).decode() + "\n")
        assert receiver.key() == key


def test_the_document_has_every_setting_and_condition(tmp_path: Path) -> None:
    document = ROOT / "docs" / "ALERTS.md"
    [block] = blocks(document, "toml")
    found = settings(tmp_path, block.text)
    assert [each.name for each in found.receivers] == ["alerts.example.org", "pager"]
    text = document.read_text(encoding="utf-8")
    assert [key for key in _KEYS if f"`{key}`" not in text] == []
    assert [str(each) for each in Condition if f"| `{each}` |" not in text] == []
