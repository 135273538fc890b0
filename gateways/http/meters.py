"""What the service counts and times while it answers: requests, appends and commits, in a registry of its own."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from eventstore import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
    from typing import Any, TypeAlias

    from eventstore.journal import Commits, Group, Outcome

    Message: TypeAlias = MutableMapping[str, Any]
    Connection: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]
    App: TypeAlias = Callable[[Connection, Receive, Send], Awaitable[None]]

UNROUTED = "unrouted"
"""The route of a request that no route answers: paths that a client invents make no series of their own."""
OTHER = "other"
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)

# Without it each counter has a second series, of the time when it was created, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Meters:
    """Counters and histograms of one service. Their names are a contract: dashboards and alert rules use them."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.followers: Callable[[], int] | None = None
        """How many followers are served now, once something serves them."""
        self._requests = Counter(
            "eventstore_http_requests",
            "Requests answered, by method, route template and status; a stream counts when it begins.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._responses = Histogram(
            "eventstore_http_response_seconds",
            "Time from a request until its answer begins, by method and route template.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._appends = Histogram(
            "eventstore_append_seconds",
            "Time of one append through the service, until it is on disk and folded, or refused.",
            ("outcome",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._commits = Histogram(
            "eventstore_commit_seconds",
            "Time of one commit of the journal, its sync included; appends that wait share one.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._commit_events = Histogram(
            "eventstore_commit_events", "Events written by one commit.", buckets=_SIZES, registry=registry
        )
        self._commit_appends = Histogram(
            "eventstore_commit_appends",
            "Appends that shared one commit: the size of its group.",
            buckets=_SIZES,
            registry=registry,
        )
        for outcome in ("appended", "refused"):
            # Shown from the start: a rate over a series that appears with its first value misses that one.
            self._appends.labels(outcome)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    @contextlib.contextmanager
    def appending(self) -> Iterator[None]:
        """Time an append; one that raises is refused."""
        began, outcome = time.perf_counter(), "refused"
        try:
            yield
            outcome = "appended"
        finally:
            self._appends.labels(outcome).observe(time.perf_counter() - began)

    def timing(self, journal: Commits) -> Commits:
        """Return a journal that commits as this one does, each commit counted and timed."""
        return _TimedCommits(journal, self)

    def committed(self, groups: Sequence[Group], outcomes: Sequence[Outcome], seconds: float) -> None:
        """Count a commit of the journal, from the thread that made it."""
        self._commits.observe(seconds)
        self._commit_appends.observe(len(groups))
        self._commit_events.observe(sum(len(outcome) for outcome in outcomes if not isinstance(outcome, StoreError)))

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request whose answer begins."""
        named = method if method in _METHODS else OTHER
        self._requests.labels(named, route, str(status)).inc()
        self._responses.labels(named, route).observe(seconds)


class _TimedCommits:
    def __init__(self, journal: Commits, meters: Meters) -> None:
        self._journal, self._instruments = journal, meters

    def commit(self, groups: Sequence[Group]) -> Sequence[Outcome]:
        if not groups:
            # A flush with nothing to write.
            return self._journal.commit(groups)
        began = time.perf_counter()
        outcomes = self._journal.commit(groups)
        self._instruments.committed(groups, outcomes, time.perf_counter() - began)
        return outcomes


class CountedAnswers:
    """ASGI middleware in front of all else: counts every answer, also those that no route gives."""

    def __init__(self, app: App, meters: Meters) -> None:
        self._app, self._instruments = app, meters

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                # The router writes the template into the scope.
                route = str(scope.get("path_template") or UNROUTED)
                self._instruments.answered(scope["method"], route, message["status"], time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, counting)
