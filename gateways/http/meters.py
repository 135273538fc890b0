"""What the service counts and times while it answers: requests, appends and commits, in a registry of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from eventstore import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eventstore.journal import Commits, Group, Outcome

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
        # Shown from the start: a rate over a series that appears with its first value misses that one.
        self._appended, self._refused = self._appends.labels("appended"), self._appends.labels("refused")
        self._answers: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    def appended(self, began: float, *, is_refused: bool) -> None:
        """Time an append that began at an instant of `time.perf_counter`."""
        (self._refused if is_refused else self._appended).observe(time.perf_counter() - began)

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
        found = self._answers.get((named, route, status))
        if found is None:
            # As few as the series are: routes are named by their templates.
            found = self._requests.labels(named, route, str(status)), self._responses.labels(named, route)
            self._answers[named, route, status] = found
        found[0].inc()
        found[1].observe(seconds)


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
