"""What commands that run as services share: when to end, and notifications of the service manager."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator

from gateways.presenting.output import note

READY, ALIVE, STOPPING = "READY=1", "WATCHDOG=1", "STOPPING=1"
_ADDRESS = "NOTIFY_SOCKET"


ALIVE_EVERY_SECONDS = 5.0


class Alive:
    """Notifies the service manager that the process works, not more often than each five seconds."""

    def __init__(self) -> None:
        self._at = -ALIVE_EVERY_SECONDS

    def notify(self) -> None:
        """Say so now; a watchdog that hears nothing restarts the process."""
        if time.monotonic() - self._at >= ALIVE_EVERY_SECONDS:
            notify(ALIVE)
            self._at = time.monotonic()


class Termination:
    """Whether a service manager has asked the process to end, by SIGTERM."""

    def __init__(self) -> None:
        self.is_requested = False


@contextlib.contextmanager
def terminated_by_signal() -> Iterator[Termination]:
    """Yield what says that SIGTERM came: the process then ends in its own time, with everything written."""
    termination = Termination()

    def request(_number: int, _frame: object) -> None:
        # No lock and no event: the signal may have interrupted the very code that holds it.
        termination.is_requested = True

    before = signal.signal(signal.SIGTERM, request)
    try:
        yield termination
    finally:
        signal.signal(signal.SIGTERM, before)


def notify(state: str) -> None:
    """Notify systemd of a state of the service, as sd_notify(3) does; do nothing under any other parent.

    One that cannot be reached is noted: the service does its work all the same.
    """
    address = os.environ.get(_ADDRESS, "")
    if not address:
        return
    # A name in the abstract namespace is written with @ in place of its leading NUL.
    name = f"\0{address[1:]}" if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
            manager.connect(name)
            manager.sendall(state.encode())
    except OSError as e:
        note(f"the service manager at {address} cannot be notified of {state}: {e.strerror}")
