"""`policies`: runs a log's policies as a process of its own, until it is stopped."""

from __future__ import annotations

import contextlib
import time

from eventstore import Closed, LogHasEnded
from gateways.cli import options, service, stores
from gateways.cli.alerting import alerting
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.feed import WITHOUT_QUOTES, QuoteFeed, Quotes, SeedFile
from gateways.cli.functions import function_named
from gateways.cli.options import CommonOptions
from gateways.presenting.output import note, progress, put, put_json
from projections import Book, Policies, Worker
from projections import open as open_book
from projections.risk.policies import PolicyFailure
from projections.rules import shipped_rules
from projections.seeds import load

WATCH_SECONDS = 0.25


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
                feed = QuoteFeed(book.observe, function).start()
                if function is None:
                    note(WITHOUT_QUOTES)
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


def _watch(termination: service.Termination, worker: Worker, running: Policies, feed: QuoteFeed) -> None:
    """Report what changes until the process is to end; raise what it cannot run on with."""
    reported: tuple[str, ...] = ()
    alive = service.Alive()
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
        for fatal in (
            worker.error,
            running.error if isinstance(running.error, Closed | LogHasEnded) else None,
            feed.error,
        ):
            if fatal is not None:
                raise fatal
        alive.notify()
