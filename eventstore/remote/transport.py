"""Requests to a service: kept connections, a time limit on everything, and repetition with growing pauses."""

from __future__ import annotations

import os
import random
import re
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec
from typing_extensions import override

from eventstore.errors import Closed, InvalidEvent, Refused, Unavailable, shown
from eventstore.extras import missing, version
from eventstore.locations import is_loopback, masked_url
from eventstore.remote.identity import LOG_ID_HEADER, RETRY_SECONDS
from eventstore.remote.problems import MEDIA_TYPE, class_named, error_of

try:
    import urllib3
    from urllib3.exceptions import (
        ConnectTimeoutError,
        HTTPError,
        NameResolutionError,
        NewConnectionError,
        ProxyError,
        SSLError,
    )
except ImportError as e:
    raise ImportError(missing("A service's client", e.name, "http")) from e

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventstore.errors import StoreError

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
PAUSE_SECONDS = 0.05
PAUSE_SECONDS_MAX = 2.0
CONNECTIONS = 16
ANSWER_BYTES_MAX = 256_000_000
KEY_CHARACTERS_MAX = 512
_KEY = re.compile(rf"[!-~]{{1,{KEY_CHARACTERS_MAX}}}")
_TRY_AGAIN = frozenset({429, 502, 503, 504})
_NOTHING_DONE = frozenset({"Overloaded", "Closed", "TooManyRequests"})
"""Problems after which nothing was written, and a repetition may succeed."""
_AGAIN = _NOTHING_DONE | {"OutcomeUnknown"}
_ENDS = frozenset({"content-length", "transfer-encoding"})
"""Headers by which an answer says where it ends."""
_NOT_CONNECTED = (NewConnectionError, ConnectTimeoutError, NameResolutionError)


class RemoteRequest(NamedTuple):
    """What is sent, the same bytes each time, and for how many seconds its answer is waited for."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes | None
    answer_seconds: float


class ServiceAnswer(NamedTuple):
    """What a service answered: a status below 300, and the body."""

    status: int
    body: bytes


class NoAnswer(Exception):
    """A request was not answered, however often it was repeated; `may_be_done`: whether it ever got through."""

    def __init__(self, reason: str, *, may_be_done: bool) -> None:
        self.reason, self.may_be_done = reason, may_be_done
        super().__init__(reason)


class Attempt(NamedTuple):
    """An attempt that may be repeated: why, after how many seconds at the earliest, and whether it may have worked."""

    reason: str
    may_be_done: bool
    retry_after: float = 0.0


class Transport:
    """Asks one service, for any number of threads. The key is in a header, and nowhere else."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        ca: str | os.PathLike[str] | None = None,
        proxy: str | None = None,
        answer_seconds: float = ANSWER_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
        jitter: random.Random | None = None,
    ) -> None:
        self.url = checked_url(url)
        self.retry_seconds = retry_seconds
        self._answer_seconds = answer_seconds
        self._jitter = random.Random() if jitter is None else jitter
        self._closed = threading.Event()
        self._log_id = ""
        self._headers = {"user-agent": f"trading-eventstore/{version()}"}
        if key:
            self._headers["authorization"] = f"Bearer {_checked_key(key)}"
            _warn_unencrypted(self.url)
        # Environment variables are not looked at: a proxy that nobody named here would see the key.
        options: dict[str, Any] = {
            "num_pools": 2, "maxsize": CONNECTIONS, "block": False, "retries": False,
            "cert_reqs": "CERT_REQUIRED", "ca_certs": None if ca is None else os.fspath(ca),
        }  # fmt: skip
        self._pool = urllib3.PoolManager(**options) if proxy is None else urllib3.ProxyManager(proxy, **options)

    def claim(self, log_id: bytes) -> None:
        """Say from now on which log is meant: another one, served in its place, neither takes nor gives anything."""
        self._log_id = log_id.hex()
        self._headers[LOG_ID_HEADER] = self._log_id

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: bytes | None = None,
        accept: str = "application/json",
        answer_seconds: float | None = None,
        retry_seconds: float | None = None,
    ) -> ServiceAnswer:
        """Return the answer to a request, repeated for `retry_seconds` where none comes.

        Raises NoAnswer, Closed, Refused for another log, and what the service's problem document says.
        """
        given = [(name, value) for name, value in (query or {}).items() if value is not None]
        target = f"{self.url}{path}?{urlencode(given, doseq=True)}" if given else f"{self.url}{path}"
        content = {} if body is None else {"content-type": "application/json"}
        headers = {**self._headers, "accept": accept, **content}
        request = RemoteRequest(method, target, headers, body, answer_seconds or self._answer_seconds)
        deadline = time.monotonic() + (self.retry_seconds if retry_seconds is None else retry_seconds)
        longest, may_be_done = PAUSE_SECONDS, False
        while True:
            if self._closed.is_set():
                raise Closed(_CLOSED)
            found = self._attempt(request)
            if isinstance(found, ServiceAnswer):
                return found
            if not isinstance(found, Attempt):
                if may_be_done:
                    raise NoAnswer(str(found), may_be_done=True) from found
                raise found
            may_be_done |= found.may_be_done
            pause = max(self._jitter.uniform(longest / 2, longest), found.retry_after)
            longest = min(2 * longest, PAUSE_SECONDS_MAX)
            if time.monotonic() + pause > deadline:
                raise NoAnswer(found.reason, may_be_done=may_be_done)
            if self.pause(pause):
                reason = "the store was closed meanwhile"
                raise NoAnswer(reason, may_be_done=may_be_done)

    def pause(self, seconds: float) -> bool:
        """Wait before what is to be repeated; return True at once where it was closed meanwhile."""
        return self._closed.wait(seconds)

    def _attempt(self, request: RemoteRequest) -> ServiceAnswer | Attempt | StoreError:
        """Make a request once; return its answer, why it is to be repeated, or the error that it came to."""
        method, target, headers, body, seconds = request
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=seconds)
        try:
            response = self._pool.request(
                method, target, body=body, headers=headers, timeout=timeout, redirect=False, preload_content=False
            )
        except SSLError as e:
            return Refused(f"{self._name} has no certificate that is trusted here ({e}): name its authority with ca=")
        except _NOT_CONNECTED as e:
            return Attempt(f"{self._name} cannot be reached: {_reason(e)}", may_be_done=False)
        except ProxyError as e:
            return Attempt(f"{self._name} cannot be reached through the proxy: {_reason(e)}", may_be_done=False)
        except (HTTPError, OSError) as e:
            return Attempt(f"{self._name} did not answer: {_reason(e)}", may_be_done=True)
        try:
            found = response.read(ANSWER_BYTES_MAX + 1)
        except (HTTPError, OSError) as e:
            response.close()
            return Attempt(f"the answer of {self._name} was cut off: {_reason(e)}", may_be_done=True)
        response.release_conn()
        if not found or not _ENDS & {name.lower() for name in response.headers}:
            # Cut off within its head, which reads as one that ended there.
            return Attempt(f"the answer of {self._name} was cut off", may_be_done=True)
        if len(found) > ANSWER_BYTES_MAX:
            response.close()
            return Unavailable(f"{self._name} answers with more than {ANSWER_BYTES_MAX:,} bytes: ask for less at once")
        return self._judged(response.status, response.headers, found)

    def _judged(self, status: int, headers: Mapping[str, str], body: bytes) -> ServiceAnswer | Attempt | StoreError:
        if 200 <= status < 300:  # noqa: PLR2004 - HTTP's classes of statuses
            served = headers.get(LOG_ID_HEADER, "")
            if self._log_id and served != self._log_id:
                return self.another_log(served)
            return ServiceAnswer(status, body)
        if headers.get("content-type", "").partition(";")[0] != MEDIA_TYPE:
            reason = f"{self._name} answers with status {status}, and not as the service of a log does"
            return Attempt(reason, may_be_done=True) if status in _TRY_AGAIN else Refused(reason, status=status)
        try:
            problem = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
            kind, error = class_named(problem), error_of(problem)
        except (ValueError, AttributeError, TypeError) as e:
            return Refused(f"the problem document of {self._name} cannot be read: {e}", status=status)
        if status in _TRY_AGAIN and kind in _AGAIN:
            after = headers.get("retry-after", "")
            # As a date it would have to be compared with a clock: the growing pauses do.
            seconds = float(after) if after.isdecimal() else 0.0
            return Attempt(f"{self._name} answers {error}", may_be_done=kind not in _NOTHING_DONE, retry_after=seconds)
        return error

    def another_log(self, served: str) -> Refused:
        """Return the error of a service that serves another log than it did."""
        which = f"the log with id {served}" if served else "no log that it names"
        return Refused(f"{self._name} now serves {which}, not the one with id {self._log_id}: connect again")

    @property
    def _name(self) -> str:
        return f"the service at {masked_url(self.url)}"

    def close(self) -> None:
        """End the pauses of those who wait, and all connections; a second call does nothing."""
        self._closed.set()
        self._pool.clear()

    @override
    def __repr__(self) -> str:
        return masked_url(self.url)


_CLOSED = "this connection to a service is closed: connect again"


def checked_url(url: object) -> str:
    """Return a service's URL without a slash at its end; raise InvalidEvent, which shows no part that may be secret."""
    if not isinstance(url, str):
        msg = f"a service's URL is text, as http://127.0.0.1:8440, not a {type(url).__name__}"
        raise InvalidEvent(msg)
    try:
        parts = urlsplit(url.strip())
        is_valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        parts, is_valid = urlsplit(""), False
    if not is_valid:
        msg = f"a service's URL is http://HOST:PORT or https://HOST:PORT, not {shown(masked_url(url))}"
        raise InvalidEvent(msg)
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        msg = "a service's URL holds no user, password or query, which logs would show: give the key as key="
        raise InvalidEvent(msg)
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def _checked_key(key: object) -> str:
    if (
        not isinstance(key, str)
        or len(key) > KEY_CHARACTERS_MAX
        or not key.isascii()
        or not key.isprintable()
        or " " in key
    ):
        msg = f"a key is at most {KEY_CHARACTERS_MAX} printable ASCII characters without spaces"
        raise InvalidEvent(msg)
    return key


def _warn_unencrypted(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        msg = f"the key is sent to {parts.hostname} without encryption: everybody on the way can use it; use https://"
        warnings.warn(msg, UserWarning, stacklevel=2)


def _reason(error: BaseException) -> str:
    """Return what went wrong in the words of the system, without the objects that urllib3 names."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
