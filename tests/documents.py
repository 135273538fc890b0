"""The code that the documents show: every block of it, and how a page of them is run."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
INFLUXDB = "influxdb"
"""The mark of a block that needs an InfluxDB: ```python influxdb."""
SERVICE = "service"
"""The mark of a block that needs a running service: ```python service."""

_FENCE = re.compile(
    r"^```(?P<language>\w+)(?: (?P<mark>\S+))?\n(?P<text>.*?)^```$(?:\n+```text\n(?P<output>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
_BETWEEN = "-- the next block --"


class Block(NamedTuple):
    """A fenced block of a document. `mark` is what follows the language: a file's name, INFLUXDB, or nothing."""

    document: Path
    line: int
    language: str
    mark: str
    text: str
    output: str
    """What the `text` block right after it says that it prints."""

    @property
    def name(self) -> str:
        return f"{self.document.name}:{self.line}"

    @property
    def is_file(self) -> bool:
        """Whether the block is a file that the reader saves under the name in its mark."""
        return "." in self.mark


def blocks(document: Path, language: str | None = None) -> list[Block]:
    """Return a document's blocks, in order; `line` is that of the first line of code."""
    text = document.read_text(encoding="utf-8")
    found = [
        Block(
            document,
            text.count("\n", 0, match.start("text")) + 1,
            match["language"],
            match["mark"] or "",
            match["text"],
            match["output"] or "",
        )
        for match in _FENCE.finditer(text)
    ]
    return [block for block in found if language in {None, block.language}]


def code_blocks(document: Path, mark: str = "") -> list[Block]:
    """Return the Python blocks that are run: those without a mark, or those with this one."""
    return [block for block in blocks(document, "python") if block.mark == mark]


def run(
    shown: Sequence[Block], directory: Path, replaced: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run blocks of one document in order, in one namespace and a directory with the document's files.

    Every block stands at its own line of the document, so a traceback names the document's lines. `replaced`: what is
    written in place of some text of the code, each of which has to be there.
    """
    document = shown[0].document
    for block in blocks(document):
        if block.is_file:
            (directory / block.mark).write_text(block.text, encoding="utf-8")
    code = _at_its_lines(shown)
    for written, meant in (replaced or {}).items():
        assert written in code, f"{document.name} does not have {written}"
        code = code.replace(written, meant)
    return subprocess.run(
        [sys.executable, "-c", code], cwd=directory, capture_output=True, text=True, check=False, timeout=400
    )


def printed(ran: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what each block printed."""
    return ran.stdout.split(f"{_BETWEEN}\n")


def _at_its_lines(shown: Sequence[Block]) -> str:
    lines: list[str] = []
    for number, block in enumerate(shown):
        lines += [""] * (block.line - 1 - len(lines))
        lines += block.text.splitlines()
        # In the place of the line that closes the block.
        lines.append(f"print({_BETWEEN!r})" if number < len(shown) - 1 else "")
    return "\n".join(lines)
