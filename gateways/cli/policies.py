"""`policies`: runs a log's policies as a process of its own, until it is stopped."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from eventstore import Closed, InvalidEvent, StoreError, Unavailable
from gateways.cli import options, service, stores
from gateways.cli.alerting import alerting
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.functions import function_named
from gateways.cli.options import CommonOptions
from gateways.presenting.output import note, progress, put, put_json
from projections import Book, Policies, Worker
from projections import open as open_book
from projections.risk.policies import PolicyFailure
from projections.rules import shipped_rules
from projections.seeds import load

Quotes = Annotated[
    str | None,
    typer.Argument(
        metavar="[MODULE:FUNCTION]",
        help="A function that yields quotes, each as a stream and an event; by default only stored quotes count.",
        show_default=False,
    ),
]
SeedFile = Annotated[
    Path | None, typer.Option("--seeds", metavar="FILE", help="Seed file to read the calendars from; sets nothing.")
]

WATCH_SECONDS = 0.25
ALIVE_EVERY_SECONDS = 5.0
_WITHOUT_QUOTES = (
    "no function gives quotes: only quotes that are stored in the log and fills are prices here, and an account that "
    "holds a position without one is locked as its setting `unpriced` says. Name a function, or run the policies in "
    "the process that has the feed"
)


@options.command(postgres=True)
def policies(common: CommonOptions, quotes: Quotes = None, *, seeds: SeedFile = None) -> None:
    """Run the policies of the log until stopped: limits lock accounts, lockouts end, trading days are closed.

    One process for each log is enough; a second one stands by. It alerts as well, where eventstore.toml has alerts.
    Exit code 1 if a policy has stopped for an account.
    """
    calendars = None if seeds is None else load(seeds).calendars
    function = None if quotes is None else function_named(quotes)
    with service.terminated_by_signal() as termination, stores.open_existing(common) as store:
        with progress("folding") as step:
            book = open_book(store, calendars=calendars, progress=step)
        failure = None
        try:
            # The worker writes snapshots, so that the next start does not fold the whole log.
            with (
                contextlib.closing(book),
                Worker(store, book) as worker,
                Policies(book, shipped_rules()) as running,
                # It has the prices, and so notices what a process without them cannot.
                alerting(common, book),
            ):
                feed = _Feed(book, function).start()
                if function is None:
                    note(_WITHOUT_QUOTES)
                note(f"running: the policies of log {common.log}, from position {book.position:,}")
                service.notify(service.READY)
                _watch(termination, worker, running, feed)
                service.notify(service.STOPPING)
                feed.is_stopping = True
        except PolicyFailure as error:
            failure = error
        _put_end(common, book, failure)
    if failure is not None:
        end_with_problem()


def _put_end(common: CommonOptions, book: Book, failure: PolicyFailure | None) -> None:
    if failure is not None:
        note(str(failure))
    if common.as_json:
        stopped = None if failure is None else {"policy": failure.policy, "account": failure.account}
        put_json({"log": common.log, "position": book.position, "stopped": stopped})
    else:
        put(f"ended: the policies of log {common.log} have seen position {book.position:,}")


def _watch(termination: service.Termination, worker: Worker, running: Policies, feed: _Feed) -> None:
    """Report what changes until the process is to end; raise what it cannot run on with."""
    reported: tuple[str, ...] = ()
    alive_at = -ALIVE_EVERY_SECONDS
    while not termination.is_requested:
        time.sleep(WATCH_SECONDS)
        # While a policy does not return this waits, and a watchdog that hears nothing restarts the process.
        with running.book.paused():
            troubles = tuple(str(each) for each in (*running.stopped.values(), running.error) if each is not None)
        for trouble in troubles:
            if trouble not in reported:
                note(trouble)
        if reported and not troubles:
            note("all policies run again")
        reported = troubles
        for fatal in (worker.error, running.error if isinstance(running.error, Closed) else None, feed.error):
            if fatal is not None:
                raise fatal
        if time.monotonic() - alive_at >= ALIVE_EVERY_SECONDS:
            service.notify(service.ALIVE)
            alive_at = time.monotonic()


class _Feed:
    """Observes what the user's function yields, in a thread of its own, until the function or the process ends."""

    def __init__(self, book: Book, function: Any) -> None:  # noqa: ANN401 - the user's, whatever its signature
        self.error: StoreError | None = None
        """Why the quotes ended; None while they come, and without a function."""
        self.is_stopping = False
        self._book, self._function = book, function
        self._refused: str | None = None

    def start(self) -> _Feed:
        if self._function is not None:
            # A daemon: the function may wait for its feed without end, and the process ends without it.
            threading.Thread(target=self._run, name="quotes", daemon=True).start()
        return self

    def _run(self) -> None:
        try:
            for stream, event in self._quotes():
                if self.is_stopping:
                    return
                self._observe(stream, event)
            why = "its function has returned"
        except Exception as e:  # noqa: BLE001 - the user's code: what it raised ends the process, with its message
            why = f"{type(e).__name__}: {e}"
        if not self.is_stopping:
            self.error = Unavailable(f"the quotes ended ({why}): the process ends, to be started again with a new feed")

    def _quotes(self) -> Iterator[tuple[str, Any]]:
        return iter(self._function())

    def _observe(self, stream: str, event: Any) -> None:  # noqa: ANN401 - what the user's function yields
        try:
            self._book.observe(stream, event)
        except InvalidEvent as e:
            # One bad quote must not end all others; the same message is noted once.
            if str(e) != self._refused:
                self._refused = str(e)
                note(f"a quote was refused: {e}")
