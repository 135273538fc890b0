"""The shared options: every command on a log takes them after its own, in one order, with one help text."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from rich.markup import render
from typer.main import get_command

from eventstore import InvalidEvent
from gateways.cli import app
from gateways.cli.options import CommonOptions, command

SHARED = ["data", "log", "read_only", "as_json", "zone", "exact"]
WITHOUT_A_LOG = {"bench", "demo", "migrate-journal", "try"}


def commands() -> list[Any]:
    group: Any = get_command(app)
    return [each for name, each in group.commands.items() if not each.hidden and name not in WITHOUT_A_LOG]


def test_every_command_on_a_log_ends_with_the_shared_options_in_one_order() -> None:
    for each in commands():
        names = [parameter.name for parameter in each.params if parameter.name != "help"]
        found = [name for name in names if name in SHARED]
        assert found == sorted(found, key=SHARED.index), each.name
        assert names[-len(found) :] == found, each.name
        assert {"data", "log", "as_json"} <= set(found), each.name


def test_a_shared_option_has_one_help_text() -> None:
    for name in ("log", "read_only", "as_json", "zone", "exact"):
        helps = {parameter.help for each in commands() for parameter in each.params if parameter.name == name}
        assert len(helps) == 1, helps


def test_no_help_text_is_taken_for_markup() -> None:
    """What is in brackets would not be shown."""
    group: Any = get_command(app)
    for each in group.commands.values():
        texts = [each.help, *(getattr(parameter, "help", None) for parameter in each.params)]
        for text in filter(None, texts):
            assert render(text).plain == text, each.name


def taking(flags: dict[str, bool]) -> tuple[Callable[..., None], list[tuple[CommonOptions, int]]]:
    """Return a command with one option of its own, and what it is called with."""
    calls: list[tuple[CommonOptions, int]] = []

    def function(common: CommonOptions, *, times: Annotated[int, typer.Option()] = 2) -> None:
        calls.append((common, times))

    return command(**flags)(function), calls


def test_a_paragraph_of_help_is_wrapped_by_the_terminal_alone() -> None:
    for each in commands():
        assert "\n" not in (each.help or "").replace("\n\n", ""), each.name


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        ({}, ["data", "log", "as_json"]),
        ({"zone": True}, ["data", "log", "as_json", "zone"]),
        ({"read_only": True, "zone": True, "exact": True}, SHARED),
    ],
)
def test_a_command_takes_what_it_asks_for(flags: dict[str, bool], names: list[str]) -> None:
    function, _ = taking(flags)
    assert list(inspect.signature(function).parameters) == ["times", *names]


def test_a_command_gets_the_shared_options_as_one_value() -> None:
    function, calls = taking({"zone": True})
    function(times=3, data=Path("x"), log="other", as_json=True, zone="UTC")
    assert calls == [(CommonOptions(data=Path("x"), log="other", as_json=True, zone=UTC), 3)]


def test_an_unknown_zone_is_rejected_before_the_command_runs() -> None:
    function, calls = taking({"zone": True})
    with pytest.raises(InvalidEvent, match="unknown time zone"):
        function(times=1, data=Path("x"), log="main", as_json=False, zone="Mars/Olympus")
    assert calls == []
