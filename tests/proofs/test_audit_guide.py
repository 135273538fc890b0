"""docs/AUDIT.md leads from a question about the demo's day to a bundle that a third party verifies."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from gateways.demo.history import demo_day
from tests.cli.command import plain_environment
from tests.documents import ROOT
from tests.shell import Page, is_as_shown, shell_blocks

GUIDE = ROOT / "docs" / "AUDIT.md"
# As on a machine of somebody who has nothing of this project.
PYTHON = f'#!/bin/sh\nexec "{sys.executable}" -I "$@"\n'


@pytest.mark.slow
@pytest.mark.untraced
def test_an_incident_is_followed_from_the_question_to_a_verified_bundle(tmp_path: Path) -> None:
    desk = tmp_path / "desk"
    [first] = shell_blocks(GUIDE, "demo")
    assert first.text == "eventstore demo --keep demo\n"
    # The same day as the command's, without its kill and its checks.
    demo_day(desk / "demo")
    environment = {name: value for name, value in plain_environment().items() if not name.startswith("EVENTSTORE_")}
    page = Page(GUIDE, tmp_path, (), environment, programs={"python3": PYTHON}, start=desk)
    shown = list(shell_blocks(GUIDE, "walk"))
    printed = page.run(shown)
    assert len(printed) == len(shown) > 3
    for block, found in zip(shown, printed, strict=True):
        assert block.output
        assert is_as_shown(found, block.output), f"{block.name} printed:\n{found}"
    timeline = (desk / "bundle" / "timeline.html").read_text("utf-8")
    assert "Locked account ACC2 until 2025-11-19 17:00 CST by daily-loss" in timeline
    assert "kim@risk-desk" in timeline


def test_the_guide_has_each_section_once() -> None:
    prose = re.sub(r"^```.*?^```$", "", GUIDE.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ .*$", prose, re.MULTILINE)
    assert len(titles) == len(set(titles))
    assert [title for title in titles if not title.startswith("##")] == ["# Audit"]
