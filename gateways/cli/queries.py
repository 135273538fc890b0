"""What commands that only read have in common: the log, how its answer is shown, and a book on it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from eventstore import EventReader
from eventstore.clock import derived_times
from gateways.cli import names, stores, zones
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.presenting.output import progress
from gateways.presenting.presenter import Presenter
from projections import Book
from projections import open as open_book


@dataclass(frozen=True)
class LogQuery:
    """A log opened to answer a command about one account or, without a name, all of them."""

    store: EventReader
    shown: Presenter
    account: str | None

    @functools.cached_property
    def missing_tail(self) -> dict[str, Any]:
        """The JSON member that names the records the log is known to lack; empty if it lacks none."""
        return stores.missing_tail(self.store)

    def now_ns(self) -> int:
        return stores.clock_of(self.store).now_ns()

    @contextlib.contextmanager
    def open_book(self) -> Iterator[Book]:
        """Open a book of the account or of all, with a progress bar while it is folded."""
        accounts = None if self.account is None else [self.account]
        with contextlib.ExitStack() as stack:
            with progress("folding") as step:
                book = stack.enter_context(open_book(self.store, accounts=accounts, progress=step))
            yield book


@contextlib.contextmanager
def open_query(common: CommonOptions, account: str | None = None) -> Iterator[LogQuery]:
    """Open a log to read."""
    # Times of a command are read from text, or taken from the log: none is an int in a unit that may be mistaken.
    with derived_times(), stores.open_reader(common) as store:
        yield LogQuery(store, zones.presenter(common, store, account), account)


@contextlib.contextmanager
def open_account_query(common: CommonOptions, account: str | None) -> Iterator[LogQuery]:
    """Open a log to read; an account without records is noted, and ends the command with exit code 1."""
    with open_query(common, account) as query:
        is_known = names.note_account(query.store, account)
        yield query
    if not is_known:
        end_with_problem()
