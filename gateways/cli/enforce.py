"""`enforce`: a process of its own that carries requests of lockouts out, by calling a function of the user's."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Annotated

import typer

from eventstore.clock import parse_duration
from gateways.cli import names, options, stores
from gateways.cli.alerting import alerting
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.functions import function_named
from gateways.cli.options import CommonOptions
from gateways.presenting.documents import plain
from gateways.presenting.output import note, put, put_json
from projections import Book, PartitionParked
from projections import open as open_book
from projections.enforcer import Enforcer, Handled
from projections.enforcer.enforcer import TIMEOUT_SECONDS
from projections.view import accounts_in
from projections.views.enforcement import EnforcementView

Named = Annotated[
    str,
    typer.Argument(metavar="MODULE:FUNCTION", help="Function to call with each task; imported from here or installed."),
]
Accounts = Annotated[
    list[str] | None, typer.Option("--account", metavar="NAME", help="Only this account; may be repeated.")
]
Once = Annotated[bool, typer.Option("--once", help="Handle what is pending, then exit.")]
Timeout = Annotated[
    str, typer.Option(metavar="DURATION", help="A call that takes longer is answered as failed: 30s, 2m.")
]


@options.command(postgres=True)
def enforce(
    common: CommonOptions,
    function: Named,
    *,
    account: Accounts = None,
    once: Once = False,
    timeout: Timeout = f"{TIMEOUT_SECONDS:.0f}s",
) -> None:
    """Carry out what lockouts ask for: claim each request and call MODULE:FUNCTION with it, until stopped.

    The function gets a task: the request, orders to cancel, positions to close. It fails by raising or returning False.
    Several such processes share the requests. Each alerts as well, where eventstore.toml has alerts. Exit code 1 if
    with --once a request failed or was left.
    """
    called = function_named(function)
    seconds = parse_duration(timeout) / 1e9
    with stores.open_existing(common) as store:
        for name in account or ():
            names.check_account(store, name)
        with (
            open_book(store, accounts=account) as book,
            # Alerts are about all accounts, whichever this process enforces.
            alerting(common, store if account else book),
        ):
            failed: list[Handled] = []

            def put_handled(handled: Handled) -> None:
                if not (handled.success and handled.answered):
                    failed.append(handled)
                _put(handled, as_json=common.as_json)

            enforcer = Enforcer(book, called, accounts=account, timeout=seconds, report=_note, handled=put_handled)
            whose = ", ".join(account) if account else "all accounts"
            _note(f"enforcing for {whose} of log {store.log} with {function}, as {enforcer.claimant}")
            with _stopping_at_signals(enforcer):
                enforcer.run(once=once)
            left = _unanswered(book, account)
            _note(f"stopped at position {book.position:,}; requests without an answer: {left}")
        if once and (failed or left):
            end_with_problem()


@contextlib.contextmanager
def _stopping_at_signals(enforcer: Enforcer) -> Iterator[None]:
    """Stop in order at the first signal; the next one ends the process as usual."""

    def stop(number: int, _: FrameType | None) -> None:
        enforcer.stop()
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _unanswered(book: Book, accounts: list[str] | None) -> int:
    """Return how many requests nobody has answered, where that can be known."""
    book.refresh()
    found = 0
    for account in accounts or accounts_in(book, EnforcementView.name):
        # What is wrong with an account that cannot be read was reported while it was followed.
        with contextlib.suppress(PartitionParked):
            found += sum(not each.taken for each in book.enforcement.pending(account))
    return found


def _note(line: str) -> None:
    note(line)
    sys.stderr.flush()


def _put(handled: Handled, *, as_json: bool) -> None:
    if as_json:
        put_json(plain(handled))
    else:
        put(_sentence(handled))
    sys.stdout.flush()


def _sentence(handled: Handled) -> str:
    what = f"{handled.account}: {handled.action} by {handled.rule_id}"
    if not handled.answered:
        return f"{what} was not answered: another process has it or has answered it"
    details = handled.details
    said = ", ".join(f"{key} {value}" for key, value in details.items()) if isinstance(details, dict) else details
    result = "done" if handled.success else "failed"
    return f"{what} {result} after {handled.seconds:.3f} s{f': {said}' if said else ''}"
