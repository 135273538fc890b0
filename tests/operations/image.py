"""The Dockerfile as its instructions, by stage."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile, each with its arguments on one line."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    found = [tuple(line.split(" ", 1)) for line in lines if line.strip()]
    return [(name, arguments) for name, arguments in found]


def stages() -> list[list[tuple[str, str]]]:
    """Return the instructions of each stage, the first of each being FROM."""
    found: list[list[tuple[str, str]]] = []
    for name, arguments in instructions():
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append((name, arguments))
    return found


def arguments_of(stage: list[tuple[str, str]], name: str) -> list[str]:
    return [arguments for each, arguments in stage if each == name]
