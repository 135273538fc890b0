"""One attempt to alert somebody: an HTTP request, or a command, each within a time."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from eventstore import StoreError
from eventstore.clock import wall_ns
from eventstore.config import PREFIX
from gateways.alerting.payload import body_of, headers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from eventstore import Clock
    from gateways.alerting.conditions import Alert
    from gateways.alerting.settings import Receiver

    Send = Callable[[Receiver, Alert, Clock], None]

TIMEOUT_SECONDS = 10.0
USER_AGENT = "eventstore-alerts"


class NotDelivered(StoreError):
    """A receiver did not take an alert, or it is not known whether it did."""


def send(receiver: Receiver, alert: Alert, clock: Clock, timeout: float = TIMEOUT_SECONDS) -> None:
    """Send an alert once; raise NotDelivered, with the reason, unless it was taken within `timeout` seconds."""
    try:
        if receiver.command:
            _run(receiver, alert, timeout)
        else:
            body = body_of(alert)
            request(receiver.url, body, headers_of(alert, body, receiver.key(), wall_ns(clock)), timeout)
    except NotDelivered:
        raise
    except StoreError as e:  # a secret that cannot be read
        raise NotDelivered(str(e)) from e


def request(url: str, body: bytes | None, headers: Mapping[str, str], timeout: float = TIMEOUT_SECONDS) -> None:
    """POST a body, or GET without one; raise NotDelivered unless the answer is 2xx. No redirect is followed."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        with connected(parts.scheme, parts.hostname or "", parts.port, timeout) as connection:
            all_headers = {**headers, "user-agent": USER_AGENT, "connection": "close"}
            connection.request("GET" if body is None else "POST", target, body=body, headers=all_headers)
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException, UnicodeError) as e:
        # Its text may show the URL: the kind of error, and the system's word for it, do not.
        why = getattr(e, "strerror", None) or type(e).__name__
        msg = f"no answer within {timeout:g} s" if isinstance(e, TimeoutError) else f"the request failed: {why}"
        raise NotDelivered(msg) from e
    if not http.HTTPStatus.OK <= status < http.HTTPStatus.MULTIPLE_CHOICES:
        msg = f"the receiver answered {status}"
        raise NotDelivered(msg)


@contextlib.contextmanager
def connected(scheme: str, host: str, port: int | None, timeout: float) -> Iterator[http.client.HTTPConnection]:
    """Yield a connection that is cut after `timeout` seconds: a receiver may also answer byte by byte."""
    if scheme == "https":
        context = ssl.create_default_context()
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=timeout, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=timeout)
    expired = threading.Event()
    timer = threading.Timer(timeout, _cut_off, (connection, expired))
    timer.daemon = True
    timer.start()
    try:
        yield connection
        if expired.is_set():
            # What was cut off may look like an answer.
            raise TimeoutError
    except (OSError, http.client.HTTPException) as e:
        if expired.is_set():
            raise TimeoutError from e
        raise
    finally:
        timer.cancel()
        connection.close()


def _cut_off(connection: http.client.HTTPConnection, expired: threading.Event) -> None:
    expired.set()
    if connection.sock is not None:
        with contextlib.suppress(OSError):
            # As of the socket below TLS: this one is not read by two threads at once.
            socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)


def _run(receiver: Receiver, alert: Alert, timeout: float) -> None:
    """Run a command with the alert on stdin; one that hangs is ended with all that it has started."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environment |= {
        "EVENTSTORE_ALERT_ID": alert.id,
        "EVENTSTORE_ALERT_WHAT": alert.subject.what,
        "EVENTSTORE_ALERT_ACCOUNT": alert.subject.account,
        "EVENTSTORE_ALERT_SENTENCE": alert.sentence.replace("\0", ""),
    }
    try:
        # The user's own program and arguments, by no shell.
        process = subprocess.Popen(
            receiver.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    except (OSError, ValueError) as e:
        msg = f"the command cannot be started: {getattr(e, 'strerror', None) or e}"
        raise NotDelivered(msg) from e
    try:
        process.communicate(body_of(alert), timeout=timeout)
    except subprocess.TimeoutExpired as e:
        msg = f"the command was ended, because it took more than {timeout:g} s"
        raise NotDelivered(msg) from e
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
    if process.returncode:
        msg = f"the command ended with exit code {process.returncode}"
        raise NotDelivered(msg)
