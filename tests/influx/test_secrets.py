"""Tokens and passwords in URLs never appear: not in repr, messages, status files or the process list."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import rich.console
import rich.pretty

import eventstore
from eventstore import InfluxSettings, InvalidEvent, Unavailable
from eventstore.influx.client import Client
from eventstore.influx.ship.shipper import Shipper
from eventstore.locations import masked_url
from eventstore.side import FileSide
from tests.store.facts import ORDER, rejected

TOKEN, PASSWORD = "t0ken-of-mine", "pa55word"
URL = f"http://somebody:{PASSWORD}@127.0.0.1:1"


def settings(url: str = URL) -> InfluxSettings:
    return InfluxSettings(url, org="org", bucket="bucket", token=TOKEN, patience_seconds=0.1)


def is_clean(text: object) -> bool:
    return TOKEN not in str(text) and PASSWORD not in str(text) and "somebody" not in str(text)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://localhost:8086", "http://localhost:8086"),
        (URL, "http://***@127.0.0.1:1"),
        ("https://t0ken-of-mine@host/path", "https://***@host/path"),
        ("http://somebody:pa55word/@:?#@host", "http://***@host"),
        ("http://host/?u=somebody&p=pa55word", "http://host/?***"),
        ("postgresql://somebody:pa55word@host/db?password=pa55word", "postgresql://***@host/db?***"),
        ("somebody:pa55word@host", "***@host"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert masked_url(url) == shown


def test_settings_show_neither() -> None:
    console = rich.console.Console(file=io.StringIO(), width=200)
    console.print(settings())
    rich.pretty.pprint([settings()], console=console)
    assert isinstance(console.file, io.StringIO)
    for text in (repr(settings()), str(settings()), f"{settings()}", console.file.getvalue()):
        assert is_clean(text), text
        assert "127.0.0.1" in text


@pytest.mark.parametrize(
    "make",
    [
        lambda: settings(f"ftp://somebody:{PASSWORD}@host"),
        lambda: settings(f"somebody:{PASSWORD}@host"),
        lambda: settings(f"\x00somebody:{PASSWORD}@host"),
        lambda: eventstore.open("data", influx=f"http://somebody:{PASSWORD}@host"),  # type: ignore[arg-type]
        lambda: eventstore.open("data", influx={"token": TOKEN}),  # type: ignore[arg-type]
        lambda: eventstore.open(f"mysql://somebody:{PASSWORD}@host/db"),
        lambda: InfluxSettings.load(given={"url": URL, "org": "o", "bucket": "b", "token": TOKEN, "symbols": "x"}),
        lambda: InfluxSettings.load(environment={"EVENTSTORE_INFLUX_TOKEM": TOKEN}),
    ],
)
def test_a_refused_value_is_not_repeated(
    make: Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidEvent) as refused:
        make()
    assert is_clean(refused.value), refused.value


def test_an_unreachable_server_is_named_without_secrets() -> None:
    client = Client(settings())
    with pytest.raises(Unavailable) as caught:
        client.check_bucket()
    assert is_clean(caught.value)
    assert "http://***@127.0.0.1:1" in str(caught.value)
    client.close()


def test_a_secret_in_the_message_of_a_server_or_library_is_redacted() -> None:
    client = Client(settings())
    message = f"token {TOKEN} of somebody:{PASSWORD} is not known"
    for number in (401, 403, 404, 422, 500):
        assert is_clean(client._error_for(number, message, {}))
    assert is_clean(client._unreachable(OSError(f"no route to {URL}")))
    client.close()


def test_the_status_file_and_the_repr_of_the_mirror_hold_no_secret(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store:
        store.append(ORDER, rejected())
        with pytest.raises(Unavailable) as caught:
            Shipper(store._journal, FileSide(tmp_path / "main"), settings()).run(once=True, patience_seconds=0.1)
    assert is_clean(caught.value)
    for path in (tmp_path / "main").iterdir():
        if path.is_file():
            content = path.read_bytes()
            assert TOKEN.encode() not in content
            assert PASSWORD.encode() not in content


def test_no_secret_is_in_the_arguments_or_environment_of_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTSTORE_INFLUX_TOKEN", TOKEN)
    with eventstore.open(tmp_path, influx=settings()) as store:
        process = store.mirror._process
        assert process is not None
        for name in ("cmdline", "environ"):
            content = Path(f"/proc/{process.pid}/{name}").read_bytes()
            assert TOKEN.encode() not in content
            assert PASSWORD.encode() not in content
        assert is_clean(repr(store.mirror)), store.mirror
        assert is_clean(msgspec.json.encode(store.mirror.status))
