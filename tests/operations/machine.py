"""A machine to try the guide on: a real systemd as PID 1, users and files of its own, in namespaces of this one."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

BOOT: Final = Path(__file__).with_name("boot")
BOOT_SECONDS_MAX: Final = 60.0
WAIT_SECONDS_MAX: Final = 60.0
POLL_SECONDS: Final = 0.1
GIVEN: Final = PurePosixPath("/srv")
"""Where the machine has what it is given from outside."""

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DONE = "-- done --"


class Machine:
    """A booted machine, on which root runs commands; its files are a copy of this one's, kept in memory."""

    def __init__(self, boot: subprocess.Popen[bytes], log: Path) -> None:
        self._boot, self._log = boot, log
        self._init = ""
        for _ in self._attempts(BOOT_SECONDS_MAX, "systemd does not start"):
            children = Path(f"/proc/{boot.pid}/task/{boot.pid}/children").read_text("utf-8").split()
            if children and Path(f"/proc/{children[0]}/comm").read_text("utf-8") == "systemd\n":
                self._init = children[0]
                break
        for _ in self._attempts(BOOT_SECONDS_MAX, "booted.target is not reached"):
            if self.run("systemctl", "is-active", "booted.target", check=False) == "active\n":
                break

    def entered(self, *command: str, namespaces: str = "--all") -> list[str]:
        """Return the command line that runs a command there, as root and without this process's environment."""
        return ["nsenter", "--target", self._init, namespaces, "env", "--ignore-environment", _PATH, *command]

    def run(self, *command: str, check: bool = True, text: str | None = None) -> str:
        """Run a command, and return what it printed; `text` is its standard input."""
        ended = subprocess.run(
            self.entered(*command),
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=WAIT_SECONDS_MAX,
            check=False,
        )
        assert ended.returncode == 0 or not check, f"{' '.join(command)}: {ended.stdout}"
        return ended.stdout

    def write(self, path: str, text: str, mode: str = "0644") -> None:
        """Write a file as root."""
        self.run("install", "-D", "-m", mode, "/dev/stdin", path, text=text)

    def shown(self, unit: str, name: str) -> str:
        """Return one property of a unit, as systemd has it now."""
        return self.run("systemctl", "show", "--value", "--property", name, unit).strip()

    def wait_until(self, unit: str, **properties: str) -> None:
        """Return once a unit's properties are these."""
        found: dict[str, str] = {}
        for _ in self._attempts(WAIT_SECONDS_MAX, f"{unit} is not {properties} in time"):
            found = {name: self.shown(unit, name) for name in properties}
            if found == properties:
                return

    def _attempts(self, seconds: float, failure: str) -> Iterator[None]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self._boot.poll() is None, f"the machine ended: {self._log.read_text('utf-8')}"
            yield
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"{failure}: {self._log.read_text('utf-8')}")  # noqa: EM102, TRY003 - a test's message


class Shell:
    """A user's shell on the machine, in which scripts run one after the other; a command that fails ends it."""

    def __init__(self, machine: Machine, *as_user: str, directory: str, settings: Mapping[str, str]) -> None:
        self._machine = machine
        given = [f"{name}={value}" for name, value in settings.items()]
        self._process = subprocess.Popen(
            machine.entered("env", "--chdir", directory, *given, *as_user, "bash", "-euo", "pipefail"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, script: str) -> str:
        """Run a script, and return what it printed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{{\n{script}\n}} </dev/null\necho '{_DONE}'\n")
        self._process.stdin.flush()
        printed = ""
        for line in self._process.stdout:
            if line == f"{_DONE}\n":
                return printed
            printed += line
        journal = self._machine.run("journalctl", "--no-pager", "--lines", "40")
        raise AssertionError(f"it failed: {script}\nand printed:\n{printed}\n{journal}")  # noqa: EM102, TRY003 - the same

    def close(self) -> None:
        with self._process:
            self._process.kill()


@contextlib.contextmanager
def booted(directory: Path, **given: Path) -> Iterator[Machine]:
    """Boot a machine that finds each given file or directory below GIVEN, and end it with all that runs on it."""
    scratch, log = directory / "machine", directory / "machine.log"
    scratch.mkdir()
    # It dies with this process, however that ends; in its own session, so that Ctrl-C reaches the tests only.
    line = ["setpriv", "--pdeathsig", "KILL", str(BOOT), str(scratch)]
    line += [f"{name}={path}" for name, path in given.items()]
    with log.open("wb") as written:
        boot = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=written, stderr=written, start_new_session=True)
    with boot:
        try:
            yield Machine(boot, log)
        finally:
            boot.kill()
            boot.wait()
            _remove_control_groups(boot.pid)


def _remove_control_groups(pid: int) -> None:
    """Remove what the machine had in each hierarchy; the last of its processes may still be ending."""
    mounted = subprocess.run(
        ["findmnt", "--noheadings", "--output", "TARGET", "--types", "cgroup,cgroup2"],
        capture_output=True,
        text=True,
        check=True,
    )
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    for hierarchy in mounted.stdout.split():
        top = Path(hierarchy) / f"eventstore-{pid}"
        while top.exists():
            with contextlib.suppress(OSError):
                for group in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
                    group.rmdir()
                top.rmdir()
            assert time.monotonic() < deadline, f"{top} is still in use"
