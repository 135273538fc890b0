"""One line for each request, as JSON or as text; never a key, a query or what a path names."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec
from typing_extensions import override

from eventstore.clock import NANOSECONDS, format_time

if TYPE_CHECKING:
    from eventstore.clock import Clock

requests = logging.getLogger("eventstore.http.requests")
JSON, TEXT = "json", "text"
FORMATS = (JSON, TEXT)
_PARENT = "eventstore.http"


class RequestLine(msgspec.Struct, frozen=True):
    """What is logged of a request. `route` is the route's template: what a path names is in the log of events."""

    request_id: str
    correlation_id: str | None
    method: str
    route: str
    status: int
    ms: float
    key: str | None

    @override
    def __str__(self) -> str:
        who = f" key={self.key}" if self.key else ""
        related = f" correlation_id={self.correlation_id}" if self.correlation_id else ""
        return f"{self.method} {self.route} {self.status} {self.ms:.1f} ms{who} request_id={self.request_id}{related}"


class LineFormatter(logging.Formatter):
    """Formats what the service logs: as JSON, one object per line, or as text for people."""

    def __init__(self, form: str, clock: Clock) -> None:
        super().__init__()
        self._as_json, self._clock = form == JSON, clock

    @override
    def format(self, record: logging.LogRecord) -> str:
        at = format_time(int(record.created * NANOSECONDS))
        line = record.args[0] if isinstance(record.args, tuple) and record.args else None
        error = self.formatException(record.exc_info) if record.exc_info else None
        if not self._as_json:
            return f"{at} {record.levelname} {record.getMessage()}" + (f"\n{error}" if error else "")
        found: dict[str, object] = {"at": at, "level": record.levelname, "logger": record.name}
        if isinstance(line, RequestLine):
            found |= msgspec.structs.asdict(line)
        else:
            found["message"] = record.getMessage()
        return msgspec.json.encode(found | ({"error": error} if error else {})).decode()


def configure(form: str, clock: Clock) -> None:
    """Write what the service logs to stderr, in a format; what its server says of single connections is left out."""
    # Documented in the standard library's guide: no line has any of these, and they take half of the time of one.
    logging._srcfile = None  # noqa: SLF001
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter(form, clock))
    for name, level in ((_PARENT, logging.INFO), ("uvicorn.error", logging.ERROR)):
        logger = logging.getLogger(name)
        logger.handlers[:], logger.propagate = [handler], False
        logger.setLevel(level)
