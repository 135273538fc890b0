"""Runs the shell blocks of a document as they stand, below a directory instead of the root of the file system.

The project's command runs in this process, which saves starting Python for each line; whatever else a block calls is
run for real, but for the programs that need root or a network: these only write down how they were called.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.cli.command import run_here
from tests.documents import Block, blocks

_BETWEEN = "-- the next block --"
_ANY = "…"
_COMMAND = """#!/bin/bash
exec 3<>"/dev/tcp/127.0.0.1/{port}"
echo $$ >&3
read -r code out err <&3
cat "$out"; cat "$err" >&2
exit "$code"
"""
_NOTED = '#!/bin/bash\necho "$(basename "$0") $*" >> "{calls}"\n'
_VENV = """#!/bin/bash
echo "python3 $*" >> "{calls}"
mkdir -p "$3/bin"; cp "{programs}/eventstore" "{programs}/pip" "$3/bin/"
"""
_ROOTED = re.compile(r"(?<![\w.])/(?=opt/|etc/|var/)")


class Page:
    """The shell blocks of one document, run in order in one shell; `calls` has how the programs of root were called."""

    def __init__(
        self,
        document: Path,
        directory: Path,
        noted: Sequence[str],
        environment: Mapping[str, str],
        *,
        programs: Mapping[str, str] | None = None,
        start: Path | None = None,
    ) -> None:
        """`programs` are scripts by the name that blocks call them by; a page begins in `start`, or the checkout."""
        self.root = directory / "root"
        self._start = start or document.parents[1]
        self._document, self._programs, self._calls = document, directory / "programs", directory / "calls"
        self._environment = {**environment, "PATH": f"{self._programs}:{os.environ['PATH']}"}
        self._outputs = directory / "outputs"
        for made in (self.root, self._programs, self._outputs):
            made.mkdir()
        for name in (*noted, "pip"):
            self._write_program(name, _NOTED.format(calls=self._calls))
        venv = {"python3": _VENV.format(calls=self._calls, programs=self._programs)}
        for name, text in (venv | dict(programs or {})).items():
            self._write_program(name, text)
        self._calls.touch()

    @property
    def calls(self) -> list[list[str]]:
        return [line.split() for line in self._calls.read_text("utf-8").splitlines()]

    def save_files(self, replaced: Mapping[str, str]) -> None:
        """Save the blocks that are files, under the names that they have in the document."""
        for block in blocks(self._document):
            if block.mark.startswith("/"):
                path = self.root / block.mark[1:]
                path.parent.mkdir(parents=True, exist_ok=True)
                text = block.text
                for written, meant in replaced.items():
                    text = text.replace(written, meant)
                path.write_text(self._rooted(text), encoding="utf-8")

    def run(self, shown: Sequence[Block]) -> list[str]:
        """Run blocks, and return what each printed; a command that fails ends the page, as does a pipe's part."""
        script = f"\necho '{_BETWEEN}'\n".join(block.text for block in shown)
        output = self._outputs / "page"
        with socket.create_server(("127.0.0.1", 0)) as server, output.open("wb") as written:
            server.settimeout(0.1)
            self._write_program("eventstore", _COMMAND.format(port=server.getsockname()[1]))
            with subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", self._rooted(script)],
                cwd=self._start,
                env=self._environment,
                stdout=written,
                stderr=subprocess.STDOUT,
            ) as bash:
                while bash.poll() is None:
                    self._serve_one(server)
        printed = output.read_text("utf-8").replace(str(self.root), "")
        assert bash.returncode == 0, printed
        return printed.split(f"{_BETWEEN}\n")

    def _serve_one(self, server: socket.socket) -> None:
        """Run one call of the project's command, if there is one, as the caller would."""
        try:
            connection, _ = server.accept()
        except TimeoutError:
            return
        with connection, connection.makefile("rw", encoding="utf-8") as caller:
            process = Path("/proc") / caller.readline().strip()
            arguments = (process / "cmdline").read_bytes().split(b"\0")[2:-1]
            settings = dict(pair.split(b"=", 1) for pair in (process / "environ").read_bytes().split(b"\0") if pair)
            ended = _run_here((process / "cwd").resolve(), settings, [os.fsdecode(each) for each in arguments])
            for name, text in (("out", ended[1]), ("err", ended[2])):
                (self._outputs / name).write_text(text, encoding="utf-8")
            caller.write(f"{ended[0]} {self._outputs / 'out'} {self._outputs / 'err'}\n")

    def _rooted(self, text: str) -> str:
        return _ROOTED.sub(f"{self.root}/", text)

    def _write_program(self, name: str, text: str) -> None:
        # Replaced, not written over: a copy of it may be running.
        path = self._programs / f"{name}.new"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        path.rename(self._programs / name)


def _run_here(directory: Path, settings: Mapping[bytes, bytes], arguments: list[str]) -> tuple[int, str, str]:
    before, environment = Path.cwd(), dict(os.environb)
    try:
        os.chdir(directory)
        os.environb.clear()
        os.environb.update(settings)
        ended = run_here(*arguments)
    finally:
        os.chdir(before)
        os.environb.clear()
        os.environb.update(environment)
    return ended.code, ended.out, ended.err


def is_as_shown(printed: str, shown: str) -> bool:
    """Return whether text is what a document shows: `…` there stands for anything, a line of it for any lines."""
    pattern = "".join(map(_pattern, shown.splitlines(keepends=True)))
    return re.fullmatch(pattern, printed) is not None


def _pattern(line: str) -> str:
    if line.strip() == _ANY:
        return r"(?:.*\n)*?"
    return r"[^\n]*".join(map(re.escape, line.split(_ANY)))


def shell_blocks(document: Path, *marks: str) -> Iterator[Block]:
    """Yield the shell blocks with these marks, in the document's order."""
    yield from (block for block in blocks(document, "sh") if block.mark in marks)
