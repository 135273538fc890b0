"""The one door to InfluxDB's HTTP API: bytes out, typed rows in, and its errors in this project's words."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import msgspec

from eventstore.errors import Closed, Refused, Unavailable
from eventstore.extras import missing
from eventstore.influx.points import Row

try:
    import influxdb_client
    import urllib3.exceptions
    from influxdb_client.rest import ApiException
    from influxdb_client.service.write_service import WriteService
except ImportError as e:
    raise ImportError(missing("InfluxDB", e.name, "influx")) from e

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventstore.config import InfluxSettings

R = TypeVar("R")

WRITTEN = 204
BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, TOO_LARGE, UNPROCESSABLE = 400, 401, 403, 404, 413, 422
REJECTED = frozenset({BAD_REQUEST, TOO_LARGE, UNPROCESSABLE})
"""Answers to a write that are about its bytes, and not about who sends them where."""
CONNECT_SECONDS = 5.0
# A shorter one hides nothing, and would take letters out of every word.
SECRET_CHARACTERS_MIN = 4
ANSWER_BYTES_MAX = 40_000_000
MSGPACK = "application/x-msgpack"
# The library decodes a body as UTF-8 whatever it is, and a proxy's page may be something else.
NO_ANSWER = (urllib3.exceptions.HTTPError, OSError, UnicodeDecodeError)
_NAMED = re.compile("organization|bucket")
_ERRNO = re.compile(r"\[Errno -?\d+\] (?P<text>[^')]+)")


class Series(msgspec.Struct, Generic[R], frozen=True, gc=False):
    """Rows of one statement, in the columns' order."""

    columns: list[str]
    values: list[R] = []
    name: str = ""
    tags: dict[str, str] = {}
    partial: bool = False


class Result(msgspec.Struct, Generic[R], frozen=True):
    """One statement's answer."""

    series: list[Series[R]] = []
    error: str = ""
    partial: bool = False


class Answer(msgspec.Struct, Generic[R], frozen=True):
    """What /query answers. The status is 200 also where a statement failed: `error` says so."""

    results: list[Result[R]] = []
    error: str = ""


class Raw(NamedTuple):
    """An answer as it came, to be decoded where there is time for it."""

    body: bytes
    is_msgpack: bool


class TooWide(Exception):
    """An answer had more bytes than are ever held at once: ask for fewer points."""


class Shape(Generic[R]):
    """Decodes answers whose rows have one type."""

    def __init__(self, row: Any) -> None:  # noqa: ANN401 - a type, which no annotation can name
        self._msgpack: Any = msgspec.msgpack.Decoder(Answer[row])
        self._json: Any = msgspec.json.Decoder(Answer[row])

    def series(self, raw: Raw) -> list[Series[R]]:
        """Return the series of an answer; raise Refused for a failed statement, Unavailable for half an answer."""
        try:
            answer: Answer[R] = (self._msgpack if raw.is_msgpack else self._json).decode(raw.body)
        except msgspec.ValidationError as e:
            msg = f"InfluxDB holds a point that this project does not write ({e}): eventstore mirror --check names it"
            raise Refused(msg) from e
        except (msgspec.MsgspecError, UnicodeDecodeError) as e:
            msg = f"InfluxDB's answer cannot be read ({e}): is something else listening there?"
            raise Unavailable(msg) from e
        for text in (answer.error, *(result.error for result in answer.results)):
            if text:
                msg = f"InfluxDB could not answer: {text}"
                raise (Refused if "database not found" in text else Unavailable)(msg)
        if any(result.partial or any(series.partial for series in result.series) for result in answer.results):
            msg = "InfluxDB sent a part of its answer only"
            raise Unavailable(msg)
        return [series for result in answer.results for series in result.series]

    def rows(self, raw: Raw) -> list[R]:
        """Return the rows of an answer that has one series at the most."""
        found = self.series(raw)
        return found[0].values if found else []


ANY: Shape[list[Any]] = Shape(list[Any])
ROWS: Shape[Row] = Shape(Row)
"""Points of `events`, as SELECTED asks for them."""


class Client:
    """Speaks to one bucket. Used by one thread to write and any number to ask.

    Raises Unavailable for what may pass (no connection, no answer in time, 408, 429, 5xx), with `retry_after`
    seconds where the server says so, and Refused for what somebody must mend.
    """

    def __init__(self, settings: InfluxSettings) -> None:
        self.settings = settings
        self._secret = settings.secret()
        self._closed = False
        # Its own retries are off: who sends knows best what, how long and until when.
        self._client = influxdb_client.InfluxDBClient(
            settings.url.rstrip("/"),
            self._secret,
            org=settings.org,
            timeout=(int(CONNECT_SECONDS * 1000), int(settings.timeout_seconds * 1000)),
            verify_ssl=settings.verify_tls,
            ssl_ca_cert=settings.ca_file or None,
        )
        self._writes = WriteService(self._client.api_client)
        self._pool = self._client.api_client.rest_client.pool_manager

    def write(self, lines: bytes) -> None:
        """Write lines of points; return after InfluxDB's 204, which it sends after its own disk's sync."""
        status = self._post(lines)
        if status != WRITTEN:
            msg = f"{self.settings.address} answered a write with {status}, not {WRITTEN}: is it InfluxDB?"
            raise Unavailable(msg)

    def check_writing(self) -> None:
        """Raise Refused unless the token may write; it writes no point, whatever a server says of an empty write."""
        try:
            self._post(b"")
        except Refused as e:
            if e.status not in REJECTED:
                raise

    def _post(self, lines: bytes) -> int:
        self._check_open()
        bucket, org = self.settings.bucket, self.settings.org
        try:
            answer = self._writes.post_write_with_http_info(
                org, bucket, lines, precision="ns", content_type="text/plain; charset=utf-8",
                _return_http_data_only=False,
            )  # fmt: skip
        except ApiException as e:
            raise self._refusal(e.status or 0, _message(e.body), e.headers) from e
        except NO_ANSWER as e:
            raise self._no_answer(e) from e
        return int(answer[1])

    def fetch(self, query: str, values: Mapping[str, object] | None = None) -> Raw:
        """Ask in InfluxQL. `values` are bound by name, as `$name`: no text of a user's is ever part of a query.

        Raises TooWide for more than ANSWER_BYTES_MAX, of which no more is read.
        """
        self._check_open()
        fields = {"db": self.settings.bucket, "q": query, "epoch": "ns", "params": json.dumps(values or {})}
        try:
            response = self._pool.request(
                "POST",
                f"{self.settings.url.rstrip('/')}/query",
                fields=fields,
                encode_multipart=False,
                headers={"Authorization": f"Token {self._secret}", "Accept": MSGPACK},
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=self.settings.timeout_seconds),
                preload_content=False,
            )
            try:
                body: bytes = response.read(ANSWER_BYTES_MAX + 1)
                if len(body) > ANSWER_BYTES_MAX:
                    response.close()
                    raise TooWide
            finally:
                response.release_conn()
        except NO_ANSWER as e:
            raise self._no_answer(e) from e
        if response.status >= BAD_REQUEST:
            raise self._refusal(response.status, _message(body), response.headers)
        return Raw(body, response.headers.get("Content-Type", "").startswith(MSGPACK))

    def ask(self, query: str, values: Mapping[str, object] | None = None) -> list[list[Any]]:
        """Return the rows of a query with one series at the most."""
        return ANY.rows(self.fetch(query, values))

    def table(self, query: str, values: Mapping[str, object] | None = None) -> list[tuple[list[str], list[list[Any]]]]:
        """Return the columns and rows of each series of an answer."""
        return [(series.columns, series.values) for series in ANY.series(self.fetch(query, values))]

    def ping(self) -> str:
        """Return the server's version, '' where it does not tell; raise Unavailable where nobody answers."""
        self._check_open()
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=CONNECT_SECONDS)
        try:
            response = self._pool.request("GET", f"{self.settings.url.rstrip('/')}/ping", timeout=timeout)
        except NO_ANSWER as e:
            raise self._no_answer(e) from e
        if response.status >= BAD_REQUEST:
            raise self._refusal(response.status, _message(response.data), response.headers)
        return str(response.headers.get("X-Influxdb-Version", ""))

    def check_bucket(self, *, writing: bool = True) -> str:
        """Raise Refused unless the bucket is there and keeps its points for ever; return its id, '' where none tells.

        Who only reads may read what is forgotten later; InfluxQL itself would take any organisation's name.
        """
        self._check_open()
        settings = self.settings
        try:
            found = self._client.buckets_api().find_buckets(name=settings.bucket, org=settings.org)
        except ApiException as e:
            if e.status == NOT_FOUND and not _NAMED.search(_message(e.body)):
                return ""  # InfluxDB 1 and 3 have no such list
            raise self._refusal(e.status or 0, _message(e.body), e.headers) from e
        except NO_ANSWER as e:
            raise self._no_answer(e) from e
        if not found.buckets:
            msg = f"there is no bucket {settings.bucket!r} in {settings.org!r} for this token: create it, or grant it"
            raise Refused(msg, status=NOT_FOUND)
        seconds = max((rule.every_seconds for rule in found.buckets[0].retention_rules), default=0)
        if seconds and writing:
            msg = (
                f"bucket {settings.bucket!r} forgets points after {seconds:,} s: a log's record is kept for ever; "
                "set its retention to infinite, or name another bucket"
            )
            raise Refused(msg)
        return str(found.buckets[0].id or "")

    def close(self) -> None:
        """Give the connections back; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._client.close()

    def _check_open(self) -> None:
        if self._closed:
            msg = f"the connection to {self.settings.address} is closed: connect again"
            raise Closed(msg)

    def _no_answer(self, error: Exception) -> Unavailable:
        return Unavailable(f"InfluxDB at {self.settings.address} does not answer ({self._hiding(_short(error))})")

    def _hiding(self, text: str) -> str:
        """Return what a library or a server says, without the token and the URL's user, which either may repeat."""
        user = self.settings.url.partition("//")[2].rpartition("@")[0]
        for secret in (self._secret, user, *user.split(":")):
            text = text.replace(secret, "***") if len(secret) >= SECRET_CHARACTERS_MIN else text
        return text

    def _refusal(self, status: int, message: str, headers: Any) -> Unavailable:  # noqa: ANN401 - either library's
        settings, message = self.settings, self._hiding(message)
        where = f"bucket {settings.bucket!r} of {settings.org!r} at {settings.address}"
        if status == UNAUTHORIZED:
            msg = f"InfluxDB does not accept the token for {where} ({message}): give one that it knows"
            return Refused(msg, status=status)
        if status == FORBIDDEN:
            return Refused(f"the token may not do this with {where} ({message}): give one that may", status=status)
        if status == NOT_FOUND and "organization" in message:
            msg = f"there is no organisation {settings.org!r} at {settings.address} ({message}): give its name"
            return Refused(msg, status=status)
        if status == NOT_FOUND:
            return Refused(f"{where} is not there ({message}): create it, or name another", status=status)
        if status in REJECTED:
            return Refused(f"InfluxDB does not take this: {message}", status=status)
        error = Unavailable(f"InfluxDB at {settings.address} answers {status} ({message})")
        error.retry_after = _seconds(headers)
        return error


def _seconds(headers: Any) -> float:  # noqa: ANN401 - either library's
    text = str((headers or {}).get("Retry-After", ""))
    return float(text) if text.isdecimal() and text.isascii() else 0.0


def _message(body: bytes | str | None) -> str:
    """Return what an error's body says, in one line."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body or ""
    try:
        document = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        document = None
    if isinstance(document, dict):
        text = str(document.get("message") or document.get("error") or text)
    return " ".join(text.split())[:500] or "no reason given"


def _short(error: Exception) -> str:
    """Return an error's kind and reason without the addresses of objects that urllib3 puts there."""
    reason = getattr(error, "reason", None) or error
    reason = error if isinstance(reason, str) else reason
    known = _ERRNO.search(str(reason))
    if known is not None:
        return known["text"].lower()
    text = str(reason).rsplit("object at", 1)[-1].split(">: ", 1)[-1]
    return f"{type(reason).__name__}: {text}"[:300]
