"""docs/OPERATIONS.md is true: its commands run, its units are there, and its tables name what the code has."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from eventstore import released
from gateways.alerting import Condition
from tests.cli.command import plain_environment
from tests.documents import ROOT
from tests.shell import Page, is_as_shown, shell_blocks

GUIDE = ROOT / "docs" / "OPERATIONS.md"
TEXT = GUIDE.read_text(encoding="utf-8")
UNITS = ROOT / "compose" / "systemd"
OF_ROOT = ("chown", "journalctl", "systemctl", "useradd")
VERBS = {"daemon-reload", "enable", "list-units", "start", "status", "stop"}


def page(directory: Path, meant: Mapping[str, str] | None = None) -> Page:
    """Return the guide, ready to be run below a directory; `meant`: what is written for some text of its files."""
    environment = {name: value for name, value in plain_environment().items() if not name.startswith("EVENTSTORE_")}
    found = Page(GUIDE, directory, OF_ROOT, environment)
    found.save_files({"/usr/bin/logger": "/bin/true", **(meant or {})})
    return found


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.untraced
def test_the_commands_print_what_the_guide_says(tmp_path: Path) -> None:
    shown = list(shell_blocks(GUIDE, ""))
    guide = page(tmp_path)
    printed = guide.run(shown)
    assert len(printed) == len(shown)
    for block, found in zip(shown, printed, strict=True):
        # A block of commands that print nothing here, or whose output is not shown, has no text below it.
        assert not block.output or is_as_shown(found, block.output), f"{block.name} printed:\n{found}"
    called = [words[1:] for words in guide.calls if words[0] == "systemctl"]
    assert {words[0] for words in called} == VERBS
    installed = {path.name for path in (guide.root / "etc" / "systemd" / "system").iterdir()}
    named = {word.replace("@desk.", "@.") for words in called for word in words if word.startswith("eventstore")}
    assert all(fnmatch.filter(installed, pattern) for pattern in named)
    # The last word of each was to the release before.
    assert (guide.root / "opt" / "eventstore" / "current").readlink() == Path("0.1.0")


def test_other_output_is_not_what_is_shown() -> None:
    assert is_as_shown("one\ntwo 2\nthree\n", "one\n…\nthree\n")
    assert is_as_shown("one\nthree\n", "one\n…\nthree\n")
    assert is_as_shown("at 12 of 20\n", "at … of …\n")
    assert not is_as_shown("one\ntwo\n", "one\n…\nthree\n")
    assert not is_as_shown("one\n", "…one two\n")
    assert not is_as_shown("at 12\nof 20\n", "at … of …\n")


def test_each_unit_is_explained() -> None:
    named = re.findall(r"^\| `(eventstore-\w+@)` \| `eventstore (\w+)` \|", section("What runs"), re.MULTILINE)
    assert sorted(f"{name}.service" for name, _ in named) == sorted(path.name for path in UNITS.glob("*.service"))
    for name, command in named:
        assert f"/bin/eventstore {command}" in (UNITS / f"{name}.service").read_text(encoding="utf-8")


def test_each_alert_is_explained() -> None:
    named = re.findall(r"^\| `([A-Z_]+)` \|", section("Alerts"), re.MULTILINE)
    assert named == [str(condition) for condition in Condition]


@pytest.mark.parametrize("version", released.versions())
def test_what_is_new_to_each_version_is_listed(version: str) -> None:
    text = section("Upgrade and rollback")
    listed = text.partition(f"New since {version}:\n")[2].partition("\nNew since ")[0]
    assert sorted(re.findall(r"`([^`]+)`", listed)) == sorted(each.name for each in released.additions(version))
