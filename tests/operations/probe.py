"""Run in the place of a service's command: tries what the unit forbids, and writes what came of it as JSON."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

STATE = Path(os.environ["STATE_DIRECTORY"])
PLACES = sys.argv[1:]
NEW_USER_NAMESPACE, OTHER_PERSONALITY = 0x1000_0000, 0x0008
SET_USER_ID = 0o4755

_libc = ctypes.CDLL(None, use_errno=True)


def tried(attempt: Callable[[], object]) -> str:
    """Return `done`, or the name of the error."""
    try:
        attempt()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


def call(name: str, argument: int) -> None:
    """Call a function of the C library."""
    if getattr(_libc, name)(argument) == -1:
        raise OSError(ctypes.get_errno(), name)


def set_user_id() -> None:
    path = STATE / "program"
    path.touch()
    path.chmod(SET_USER_ID)


def status() -> dict[str, str]:
    """Return what the kernel says of this process's privileges."""
    fields = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text("utf-8").splitlines())
    return {name: fields[name] for name in ("CapBnd", "CapEff", "NoNewPrivs", "Seccomp", "Umask")}


def credentials() -> list[str]:
    """Return the names of the secrets that systemd handed over."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    return sorted(path.name for path in Path(directory).iterdir()) if directory else []


found = {
    **{place: tried((Path(place) / "written").touch) for place in PLACES},
    "AF_PACKET": tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    "AF_NETLINK": tried(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
    "AF_INET": tried(lambda: socket.socket(socket.AF_INET).close()),
    "namespace": tried(lambda: call("unshare", NEW_USER_NAMESPACE)),
    "personality": tried(lambda: call("personality", OTHER_PERSONALITY)),
    "set-user-id": tried(set_user_id),
    "broker-token": tried(Path("broker-token").read_bytes),
    "/dev/kmsg": tried(lambda: Path("/dev/kmsg").read_bytes()),
    **status(),
    "credentials": credentials(),
}
(STATE / "found.json").write_text(json.dumps(found), encoding="utf-8")
