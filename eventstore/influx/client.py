"""Client of InfluxDB's HTTP API: writes bytes, returns typed rows, and translates its errors into StoreErrors."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec

from eventstore.errors import Closed, Refused, Unavailable
from eventstore.extras import missing
from eventstore.influx.points import PointRow

try:
    import influxdb_client
    import urllib3.exceptions
    from influxdb_client.rest import ApiException
except ImportError as e:
    raise ImportError(missing("InfluxDB", e.name, "influx")) from e

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventstore.config import InfluxSettings

R = TypeVar("R")

WRITTEN = 204
BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, TOO_LARGE, UNPROCESSABLE = 400, 401, 403, 404, 413, 422
REJECTED = frozenset({BAD_REQUEST, TOO_LARGE, UNPROCESSABLE})
"""Statuses of a write that blame its content, not the token, bucket or organisation."""
CONNECT_SECONDS = 5.0
# A shorter secret does not protect, and replacing it would garble ordinary words.
SECRET_CHARACTERS_MIN = 4
RESPONSE_BYTES_MAX = 40_000_000
MSGPACK = "application/x-msgpack"
# UnicodeDecodeError: the library decodes every body as UTF-8, and a proxy's error page may not be.
NO_RESPONSE = (urllib3.exceptions.HTTPError, OSError, UnicodeDecodeError)
_NAMES_RESOURCE = re.compile("organization|bucket")
_SYSTEM_ERROR = re.compile(r"\[Errno -?\d+\] (?P<text>[^')]+)")


class Series(msgspec.Struct, Generic[R], frozen=True, gc=False):
    """Rows of one series, with the values in the order of the columns."""

    columns: list[str]
    values: list[R] = []
    name: str = ""
    tags: dict[str, str] = {}
    partial: bool = False


class StatementResult(msgspec.Struct, Generic[R], frozen=True):
    """The result of one statement."""

    series: list[Series[R]] = []
    error: str = ""
    partial: bool = False


class QueryResponse(msgspec.Struct, Generic[R], frozen=True):
    """The body of a response of /query. The HTTP status is 200 even if a statement failed: see `error`."""

    results: list[StatementResult[R]] = []
    error: str = ""


class _Response(NamedTuple):
    """Any response of the server, with as much of its body as RESPONSE_BYTES_MAX and one byte."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class RawResponse(NamedTuple):
    """An undecoded response: a prefetching thread receives it, the reading thread decodes it."""

    body: bytes
    is_msgpack: bool


class ResponseTooLarge(Exception):
    """The response exceeds RESPONSE_BYTES_MAX: ask for fewer points."""


class ResponseDecoder(Generic[R]):
    """Decodes responses whose rows all have one type."""

    def __init__(self, row: Any) -> None:  # noqa: ANN401 - a type, which no annotation can name
        self._msgpack: Any = msgspec.msgpack.Decoder(QueryResponse[row])
        self._json: Any = msgspec.json.Decoder(QueryResponse[row])

    def series(self, raw: RawResponse) -> list[Series[R]]:
        """Return the series of a response; raise Unavailable or Refused if the statement failed or it is partial."""
        try:
            response: QueryResponse[R] = (self._msgpack if raw.is_msgpack else self._json).decode(raw.body)
        except msgspec.ValidationError as e:
            msg = f"InfluxDB holds a point that no mirror wrote ({e}): eventstore mirror --check names it"
            raise Refused(msg) from e
        except (msgspec.MsgspecError, UnicodeDecodeError) as e:
            msg = f"InfluxDB's response cannot be decoded ({e}): is another service listening there?"
            raise Unavailable(msg) from e
        for text in (response.error, *(result.error for result in response.results)):
            if text:
                msg = f"InfluxDB cannot execute the query: {text}"
                raise (Refused if "database not found" in text else Unavailable)(msg)
        # Rows past the server's own limit are cut off, and only this flag says so.
        if any(result.partial or any(series.partial for series in result.series) for result in response.results):
            msg = "InfluxDB sent a partial response"
            raise Unavailable(msg)
        return [series for result in response.results for series in result.series]

    def rows(self, raw: RawResponse) -> list[R]:
        """Return the rows of a response that has at most one series."""
        found = self.series(raw)
        return found[0].values if found else []


UNTYPED_ROWS: ResponseDecoder[list[Any]] = ResponseDecoder(list[Any])
EVENT_ROWS: ResponseDecoder[PointRow] = ResponseDecoder(PointRow)
"""Points of `events` with the columns EVENT_COLUMNS."""


class Client:
    """Accesses one bucket. One thread may write, any number may query.

    Raises Unavailable for temporary failures (no connection, no response in time, 408, 429, 5xx), with `retry_after`
    seconds if the server names them, and Refused for what only a change of the settings or the server can fix.
    """

    def __init__(self, settings: InfluxSettings) -> None:
        self.settings = settings
        self._secret = settings.secret()
        self._closed = False
        self._client = influxdb_client.InfluxDBClient(
            settings.url.rstrip("/"),
            self._secret,
            org=settings.org,
            timeout=(int(CONNECT_SECONDS * 1000), int(settings.timeout_seconds * 1000)),
            verify_ssl=settings.verify_tls,
            ssl_ca_cert=settings.ca_file or None,
        )
        # The library's connections, but not its requests: one of those takes 0.3 ms longer than a plain one.
        manager = self._client.api_client.rest_client.pool_manager
        self._pool: urllib3.HTTPConnectionPool = manager.connection_from_url(settings.url)
        self._root = urlsplit(settings.url.rstrip("/")).path
        self._write_path = "/api/v2/write?" + urlencode(
            {"org": settings.org, "bucket": settings.bucket, "precision": "ns"}
        )

    def write(self, lines: bytes) -> None:
        """Write points in line protocol; return after InfluxDB's 204, which it sends after syncing its own log."""
        status = self._post(lines)
        if status != WRITTEN:
            msg = f"{self.settings.address} responded to a write with {status}, not {WRITTEN}: is it InfluxDB?"
            raise Unavailable(msg)

    def check_writing(self) -> None:
        """Raise Refused unless the token may write: an empty write, which is rejected as such or accepted."""
        try:
            self._post(b"")
        except Refused as e:
            if e.status not in REJECTED:
                raise

    def _post(self, lines: bytes) -> int:
        return self._request("POST", self._write_path, lines, {"Content-Type": "text/plain; charset=utf-8"}).status

    def fetch(self, query: str, values: Mapping[str, object] | None = None) -> RawResponse:
        """Execute InfluxQL. `values` are bound to `$name`: text from users is never part of a query.

        Raises ResponseTooLarge, without reading on, if the response exceeds RESPONSE_BYTES_MAX.
        """
        fields = {"db": self.settings.bucket, "q": query, "epoch": "ns", "params": json.dumps(values or {})}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": MSGPACK}
        response = self._request("POST", "/query", urlencode(fields).encode(), headers)
        if len(response.body) > RESPONSE_BYTES_MAX:
            raise ResponseTooLarge
        return RawResponse(response.body, response.headers.get("Content-Type", "").startswith(MSGPACK))

    def _request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        seconds: float | None = None,
    ) -> _Response:
        """Return the response to one request; raise Unavailable if there is none, else the error of its status."""
        self._check_open()
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=seconds or self.settings.timeout_seconds)
        try:
            response = self._pool.urlopen(
                method,
                self._root + path,
                body=body,
                headers={"Authorization": f"Token {self._secret}", **(headers or {})},
                timeout=timeout,
                # No retries here: the callers know what to retry, for how long, and when to stop.
                retries=False,
                redirect=False,
                preload_content=False,
            )
            try:
                content: bytes = response.read(RESPONSE_BYTES_MAX + 1)
                if len(content) > RESPONSE_BYTES_MAX:
                    response.close()
            finally:
                response.release_conn()
        except NO_RESPONSE as e:
            raise self._unreachable(e) from e
        if response.status >= BAD_REQUEST:
            raise self._error_for(response.status, _message(content), response.headers)
        return _Response(response.status, response.headers, content)

    def query_rows(self, query: str, values: Mapping[str, object] | None = None) -> list[list[Any]]:
        """Return the rows of a query whose result has at most one series."""
        return UNTYPED_ROWS.rows(self.fetch(query, values))

    def query_tables(
        self, query: str, values: Mapping[str, object] | None = None
    ) -> list[tuple[list[str], list[list[Any]]]]:
        """Return the columns and rows of each series in the result of a query."""
        return [(series.columns, series.values) for series in UNTYPED_ROWS.series(self.fetch(query, values))]

    def ping(self) -> str:
        """Return the server's version, '' if it does not state it; raise Unavailable if it does not respond."""
        response = self._request("GET", "/ping", seconds=CONNECT_SECONDS)
        return str(response.headers.get("X-Influxdb-Version", ""))

    def check_bucket(self, *, writing: bool = True) -> str:
        """Return the bucket's id, '' if the server has no list; raise Refused if it is missing or its points expire.

        For reading (`writing=False`) points may expire. A reader calls this too because InfluxQL ignores the
        organisation: a wrong name would go unnoticed.
        """
        self._check_open()
        settings = self.settings
        try:
            found = self._client.buckets_api().find_buckets(name=settings.bucket, org=settings.org)
        except ApiException as e:
            if e.status == NOT_FOUND and not _NAMES_RESOURCE.search(_message(e.body)):
                return ""  # InfluxDB 1 and 3 have no such list
            raise self._error_for(e.status or 0, _message(e.body), e.headers) from e
        except NO_RESPONSE as e:
            raise self._unreachable(e) from e
        if not found.buckets:
            msg = f"no bucket {settings.bucket!r} in {settings.org!r} for this token: create it, or grant access to it"
            raise Refused(msg, status=NOT_FOUND)
        seconds = max((rule.every_seconds for rule in found.buckets[0].retention_rules), default=0)
        if seconds and writing:
            msg = (
                f"bucket {settings.bucket!r} deletes points after {seconds:,} s, but a log is kept forever: "
                "set its retention to infinite, or use another bucket"
            )
            raise Refused(msg)
        return str(found.buckets[0].id or "")

    def close(self) -> None:
        """Close the connections; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._client.close()

    def _check_open(self) -> None:
        if self._closed:
            msg = f"the connection to {self.settings.address} is closed: connect again"
            raise Closed(msg)

    def _unreachable(self, error: Exception) -> Unavailable:
        return Unavailable(
            f"InfluxDB at {self.settings.address} does not respond ({self._redacted(_error_text(error))})"
        )

    def _redacted(self, text: str) -> str:
        """Return a library's or server's message without the token and the URL's user, which either may repeat."""
        user = self.settings.url.partition("//")[2].rpartition("@")[0]
        for secret in (self._secret, user, *user.split(":")):
            text = text.replace(secret, "***") if len(secret) >= SECRET_CHARACTERS_MIN else text
        return text

    def _error_for(self, status: int, message: str, headers: Any) -> Unavailable:  # noqa: ANN401 - either library's
        settings, message = self.settings, self._redacted(message)
        where = f"bucket {settings.bucket!r} of {settings.org!r} at {settings.address}"
        if status == UNAUTHORIZED:
            msg = f"InfluxDB does not accept the token for {where} ({message}): use a valid one"
            return Refused(msg, status=status)
        if status == FORBIDDEN:
            return Refused(
                f"the token has no permission for this on {where} ({message}): use one that has", status=status
            )
        if status == NOT_FOUND and "organization" in message:
            msg = f"there is no organisation {settings.org!r} at {settings.address} ({message}): check its name"
            return Refused(msg, status=status)
        if status == NOT_FOUND:
            return Refused(f"{where} does not exist ({message}): create it, or use another", status=status)
        if status in REJECTED:
            return Refused(f"InfluxDB rejects this: {message}", status=status)
        error = Unavailable(f"InfluxDB at {settings.address} responds with {status} ({message})")
        error.retry_after = _seconds(headers)
        return error


def _seconds(headers: Any) -> float:  # noqa: ANN401 - either library's
    text = str((headers or {}).get("Retry-After", ""))
    return float(text) if text.isdecimal() and text.isascii() else 0.0


def _message(body: bytes | str | None) -> str:
    """Return the message in the body of an error response, as one line."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body or ""
    try:
        document = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        document = None
    if isinstance(document, dict):
        text = str(document.get("message") or document.get("error") or text)
    return " ".join(text.split())[:500] or "no reason given"


def _error_text(error: Exception) -> str:
    """Return an error's type and reason, without the object addresses that urllib3 includes."""
    reason = getattr(error, "reason", None) or error
    reason = error if isinstance(reason, str) else reason
    known = _SYSTEM_ERROR.search(str(reason))
    if known is not None:
        return known["text"].lower()
    text = str(reason).rsplit("object at", 1)[-1].split(">: ", 1)[-1]
    return f"{type(reason).__name__}: {text}"[:300]
