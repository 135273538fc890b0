"""Where a member of a group serves: its address, the URL that others are given, and the names it is asked by."""

from __future__ import annotations

import contextlib
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from eventstore import InvalidEvent, Unavailable
from gateways.cli.options import CommonOptions
from gateways.cli.serving import MemberPlace, place_of, settings_of
from gateways.http.access import Scope
from gateways.http.member import MemberService
from gateways.http.serving import bound
from gateways.http.threaded import ThreadedService
from tests.http.keys import added


def placed(directory: Path, listen: str, url: str) -> MemberPlace:
    with place_of(CommonOptions(data=directory), listen, url, lambda: settings_of(None, ["own"], "text")) as place:
        assert place is not None
        return place


def test_on_the_loopback_the_address_is_the_url(tmp_path: Path) -> None:
    place = placed(tmp_path, "127.0.0.1:0", "")
    assert place.url.startswith("http://127.0.0.1:")
    assert place.settings.allowed_hosts == ("own", "127.0.0.1")


def test_a_url_s_name_is_one_of_the_service(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = placed(tmp_path, "127.0.0.1:0", "https://host1.desk.example/members/1")
    assert place.url == "https://host1.desk.example/members/1"
    assert place.settings.allowed_hosts == ("own", "host1.desk.example")
    assert capsys.readouterr().err == ""
    placed(tmp_path, "127.0.0.1:0", "http://host1.desk.example")
    assert "without encryption" in capsys.readouterr().err


def test_elsewhere_it_needs_keys_and_a_url(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "main").mkdir()
    with pytest.raises(InvalidEvent, match="API keys"):
        placed(tmp_path, "0.0.0.0:0", "")
    added(tmp_path, "desk", Scope.READ)
    assert placed(tmp_path, "0.0.0.0:0", "").url == ""
    assert "without --url" in capsys.readouterr().err


def test_what_keeps_a_service_from_opening_is_raised() -> None:
    def failing() -> AbstractAsyncContextManager[MemberService]:
        msg = "no server"
        raise Unavailable(msg)

    with (
        contextlib.closing(bound("127.0.0.1", 0)) as listening,
        pytest.raises(Unavailable, match="no server"),
        ThreadedService(failing, listening),
    ):
        pass
