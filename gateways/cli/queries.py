"""What commands that only read have in common: the log, how its answer is shown, and a book on it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from eventstore import EventReader
from eventstore.clock import derived_times
from gateways.cli import names, reads, stores, zones
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.presenting.instants import clock_of
from gateways.presenting.output import progress
from gateways.presenting.presenter import Presenter
from projections import Book
from projections import open as open_book
from projections.view import GROUP


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
        return clock_of(self.store).now_ns()

    @contextlib.contextmanager
    def open_book(self, *, with_groups: bool = False) -> Iterator[Book]:
        """Open a book of the account or of all, with a progress bar while it is folded.

        `with_groups`: also of the other members of the account's groups, whose limits rest on them.
        """
        accounts = None if self.account is None else {self.account}
        with self._open(accounts) as book:
            members = set() if accounts is None or not with_groups else _members(book, accounts)
            if accounts is None or members <= accounts:
                yield book
                return
        with self._open(accounts | members) as book:
            yield book

    @contextlib.contextmanager
    def _open(self, accounts: set[str] | None) -> Iterator[Book]:
        names = None if accounts is None else sorted(accounts)
        with contextlib.ExitStack() as stack:
            with progress("folding") as step:
                book = stack.enter_context(open_book(self.store, accounts=names, progress=step))
            yield book


def _members(book: Book, accounts: Iterable[str]) -> set[str]:
    """Return the members of the groups that accounts are in, or that an account `@NAME` stands for."""
    names = {name for account in accounts for name in book.groups.of(account)}
    names |= {account.removeprefix(GROUP) for account in accounts if account.startswith(GROUP)}
    return {member for name in names for member in book.groups.members(name)}


@contextlib.contextmanager
def open_query(common: CommonOptions, account: str | None = None) -> Iterator[LogQuery]:
    """Open a log to read."""
    # Times of a command are read from text, or taken from the log: none is an int in a unit that may be mistaken.
    with (
        derived_times(),
        stores.open_reader(common) as store,
        reads.recorded(store, str(common.settings_directory), account),
    ):
        yield LogQuery(store, zones.presenter(common, store, account), account)


@contextlib.contextmanager
def open_account_query(common: CommonOptions, account: str | None) -> Iterator[LogQuery]:
    """Open a log to read; an account without records is noted, and ends the command with exit code 1."""
    with open_query(common, account) as query:
        is_known = names.note_account(query.store, account)
        yield query
    if not is_known:
        end_with_problem()
