"""Settings of InfluxDB: sources, precedence, refusals by name, and secrets that are never printed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from eventstore import InfluxSettings, InvalidEvent, Unavailable
from eventstore.config import FILE, PREFIX

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "INFLUXDB.md"
NAMES = {field.name for field in msgspec.structs.fields(InfluxSettings)}
WHERE = {PREFIX + "URL": "http://env:8086", PREFIX + "ORG": "env-org", PREFIX + "BUCKET": "env-bucket"}
IN_FILE = '[influx]\nurl = "http://file:8086"\norg = "file-org"\nbucket = "file-bucket"\n'


def loaded(
    directory: Path, text: str = "", environment: dict[str, str] | None = None, **given: object
) -> InfluxSettings:
    if text:
        (directory / FILE).write_text(text, "utf-8")
    return InfluxSettings.load(directory, given=given, environment=environment or {})


def test_everything_can_be_set_in_the_environment(tmp_path: Path) -> None:
    environment = WHERE | {
        PREFIX + "TOKEN": "t",
        PREFIX + "TOKEN_FILE": "f",
        PREFIX + "SYMBOLS": "false",
        PREFIX + "TIMEOUT_SECONDS": "1",
        PREFIX + "WAIT_SECONDS": "2.5",
        PREFIX + "PATIENCE_SECONDS": "3",
        PREFIX + "CATCH_UP_PER_SECOND": "1e6",
        PREFIX + "VERIFY_TLS": "false",
        PREFIX + "CA_FILE": "ca.pem",
    }
    assert {PREFIX + name.upper() for name in NAMES} == set(environment)
    assert loaded(tmp_path, environment=environment) == InfluxSettings(
        "http://env:8086", "env-org", "env-bucket", "t", "f", symbols=False, timeout_seconds=1.0, wait_seconds=2.5,
        patience_seconds=3.0, catch_up_per_second=1e6, verify_tls=False, ca_file="ca.pem",
    )  # fmt: skip


def test_everything_can_be_set_in_the_file(tmp_path: Path) -> None:
    text = (
        'token = "t"\ntoken_file = "f"\nsymbols = false\ntimeout_seconds = 1\nwait_seconds = 2.5\n'
        'patience_seconds = 3\nverify_tls = false\nca_file = "ca.pem"\n'
    )
    assert loaded(tmp_path, IN_FILE + text) == InfluxSettings(
        "http://file:8086", "file-org", "file-bucket", "t", "f", symbols=False, timeout_seconds=1.0, wait_seconds=2.5,
        patience_seconds=3.0, verify_tls=False, ca_file="ca.pem",
    )  # fmt: skip


def test_each_member_comes_from_code_then_environment_then_file(tmp_path: Path) -> None:
    environment = {PREFIX + "ORG": "env-org", PREFIX + "BUCKET": "env-bucket"}
    found = loaded(tmp_path, IN_FILE, environment, bucket="given")
    assert (found.url, found.org, found.bucket) == ("http://file:8086", "env-org", "given")


def test_an_empty_variable_is_ignored(tmp_path: Path) -> None:
    assert loaded(tmp_path, IN_FILE, {PREFIX + "ORG": ""}).org == "file-org"


def test_the_environment_and_working_directory_of_the_process_are_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / FILE).write_text('[influx]\nbucket = "file-bucket"\n', "utf-8")
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)
    monkeypatch.setenv(PREFIX + "URL", "https://env")
    monkeypatch.setenv(PREFIX + "ORG", "env-org")
    assert InfluxSettings.load() == InfluxSettings("https://env", "env-org", "file-bucket")


def test_a_missing_setting_is_named_with_its_variable(tmp_path: Path) -> None:
    with pytest.raises(InvalidEvent, match=rf"set {PREFIX}ORG, {PREFIX}BUCKET, or give them in {FILE}"):
        loaded(tmp_path, '[influx]\nurl = "http://file"\n')


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('tokken = "t"', r"unknown setting tokken in \[influx\]: the settings are bucket, ca_file"),
        ("symbols = 3", "Expected `bool`"),
        ("bucket = 3", "Expected `str`"),
        ("wait_seconds = []", "Expected `float`"),
        ("wait_seconds = 0", "wait_seconds is a number above 0, not 0"),
        ("patience_seconds = nan", "patience_seconds is a number above 0"),
        ('url = "influx:8086"', "begins with http:// or https://"),
        ("url = ", "cannot be read"),
    ],
)
def test_an_invalid_setting_is_named(tmp_path: Path, text: str, words: str) -> None:
    lines = {"url": 'url = "http://file"', "org": 'org = "o"', "bucket": 'bucket = "b"'} | {
        text.partition(" ")[0]: text
    }
    with pytest.raises(InvalidEvent, match=words):
        loaded(tmp_path, "[influx]\n" + "\n".join(lines.values()))


@pytest.mark.parametrize("name", ["timeout_seconds", "wait_seconds", "patience_seconds"])
@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "soon"])
def test_seconds_are_a_finite_number_above_zero(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(InvalidEvent, match=name):
        loaded(tmp_path, environment=WHERE | {PREFIX + name.upper(): text})


@pytest.mark.parametrize("content", [b"influx = 3", b"[influx", b"\xff"], ids=["not a table", "not TOML", "not text"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(InvalidEvent, match=FILE):
        InfluxSettings.load(tmp_path, environment=WHERE)


def test_other_tables_of_the_file_are_ignored(tmp_path: Path) -> None:
    assert loaded(tmp_path, '[other]\nurl = "x"\n', WHERE).bucket == "env-bucket"


def test_the_token_file_is_read_at_each_use_and_precedes_the_token(tmp_path: Path) -> None:
    path = tmp_path / "token"
    settings = InfluxSettings("http://i", "o", "b", "plain", token_file=str(path))
    with pytest.raises(Unavailable, match=f"{path} cannot be read"):
        settings.secret()
    for text in ("first\n", " second \r\n"):
        path.write_text(text, "utf-8")
        assert settings.secret() == text.strip()
    assert InfluxSettings("http://i", "o", "b", "plain").secret() == "plain"


def test_the_token_is_never_printed(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("hushhush", "utf-8")
    for settings in (
        InfluxSettings("http://i:8086", "o", "b", "hushhush"),
        InfluxSettings("http://i:8086", "o", "b", token_file=str(path)),
    ):
        assert settings.secret() == "hushhush"
        for text in (repr(settings), str(settings), f"{settings}", repr([settings])):
            assert "hushhush" not in text
            assert "http://i:8086" in text


@pytest.mark.parametrize("text", ["", "[influx]\nsymbols = 3\n"], ids=["environment", "file"])
def test_no_error_prints_the_token(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        loaded(tmp_path, text, WHERE | {PREFIX + "TOKEN": "hushhush", PREFIX + "WAIT_SECONDS": "x"})
    assert "hushhush" not in str(caught.value)


def test_settings_survive_a_round_trip_as_json() -> None:
    settings = InfluxSettings("http://i", "o", "b", "t", symbols=False, wait_seconds=0.25)
    assert msgspec.json.decode(msgspec.json.encode(settings), type=InfluxSettings) == settings


def test_every_setting_is_documented() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert not [name for name in sorted(NAMES) if f"`{name}`" not in text]
    assert not [name for name in sorted(NAMES) if f"`{PREFIX}{name.upper()}`" not in text]
