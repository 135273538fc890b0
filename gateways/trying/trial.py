"""The trial: a file's events in order of time, on a store in memory whose clock is at each one's, judged as live."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from eventstore import EventStore, InvalidEvent, ManualClock
from eventstore.clock import GIVEN_MIN, NANOSECONDS, derived_times, format_time
from eventstore.journals.memory import MemoryJournal
from eventstore.streams import account_of
from eventstore.trading import OrderFilled, Protection, ProtectionMode, TradeExecuted, WouldLock
from gateways.importers import read_plan
from gateways.importers.definitions import define
from gateways.trying.account import ANOTHER_DAY, OUTSIDE, AccountOnTrial
from gateways.trying.findings import TrialReport
from gateways.trying.rules import Rules
from projections import Policies
from projections import open as open_book
from projections.rules import shipped_rules

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from typing_extensions import Unpack

    from gateways.importers import FileOptions, FilePlan, PlannedEvent
    from projections.seeds import Seeds

    Progress = Callable[[str, int, int | None], None]

TRYING = "trying"
STEP = 100
"""After how many events progress is reported."""
ACCOUNTS_MAX = 100
EXECUTIONS_MAX = 200_000
YEARS_MAX = 20
_YEAR_NS = 366 * 86_400 * NANOSECONDS
ACTOR = "eventstore try"
# They act on missing prices, and keep what prices were used: a file has none but its own executions.
NEEDS_QUOTES = {"unpriced", "unjudged", "evidence", "rates"}


def try_file(
    path: str | Path,
    format: str | None,
    program: str,
    *,
    balance: Decimal | None = None,
    **options: Unpack[FileOptions],
) -> TrialReport:
    """Return what a program's limits would have done to the accounts of a file, which are set up by it.

    `program` is a name of `projections.risk.programs`, or the path of a seed file of one's own; `balance` is the
    starting balance for such a file without one. `format` and the options are those of `import_file`; without a
    format, it is the one that the file fits. `progress` is also called while events are tried, with the phase TRYING.
    Nothing is written anywhere.

    Each account is in shadow mode: it trades on after what would have locked it, as it did. The store's clock is at
    each event's time, and stops at each reset, and at each close with a position open. That is valued at the newest
    execution of its contract, as long as it is fresh.

    Raises what `read_plan` raises; InvalidEvent for a program that does not exist, or does not say what is needed, and
    for a file without executions, or with more than 200,000.
    """
    rules = Rules(program)
    plan = read_plan(path, format, **options)
    traded = _Traded(plan)
    traded.check()
    currencies = sorted({str(plan.reader.contracts[symbol].currency) for symbol in traded.symbols})
    found = rules.seeds_of(sorted(traded.accounts), balance, currencies)
    with derived_times(), _Trial(plan, found) as trial:
        trial.run(options.get("progress"))
        return TrialReport(
            file=plan.reader.file,
            format=plan.reader.format,
            program=program,
            published=rules.published,
            rows=plan.rows,
            executions=traded.executions,
            accounts=tuple(each.found() for each in trial.accounts.values()),
            notes=tuple(trial.notes()),
            left_out=tuple(plan.left_out),
        )


class _Traded:
    """What a file's executions are of, and its first and last event, gathered one by one."""

    def __init__(self, plan: FilePlan) -> None:
        self._plan = plan
        self.executions = 0
        self.accounts: set[str] = set()
        self.symbols: set[str] = set()
        self._first = self._last = (0, 0)
        for number, item in enumerate(plan.items):
            at = item.occurred_at, item.line
            self._first = min(self._first, at) if number else at
            self._last = max(self._last, at) if number else at
            if isinstance(item.event, OrderFilled | TradeExecuted):
                self.executions += 1
                self.accounts.add(account_of(item.stream))
                self.symbols.add(item.event.symbol)

    def check(self) -> None:
        """Raise InvalidEvent for a file that cannot be tried."""
        plan, file = self._plan, self._plan.reader.file
        if not self.executions:
            left_out = f", {len(plan.left_out):,} of them left out" if plan.left_out else ""
            msg = (
                f"{file} has no executions: {plan.rows:,} rows as {plan.reader.format}{left_out}. There is nothing to "
                "try"
            )
            raise InvalidEvent(msg)
        if self.executions > EXECUTIONS_MAX:
            msg = (
                f"{file} has {self.executions:,} executions, {EXECUTIONS_MAX:,} are tried at once, because a trial "
                "keeps all that happens in memory: split it, for example by month"
            )
            raise InvalidEvent(msg)
        if len(self.accounts) > ACCOUNTS_MAX:
            msg = f"{file} has {len(self.accounts):,} accounts, {ACCOUNTS_MAX} are tried at once: split it"
            raise InvalidEvent(msg)
        (first, first_line), (last, last_line) = self._first, self._last
        if first < GIVEN_MIN or last - first > YEARS_MAX * _YEAR_NS:
            msg = (
                f"{file} has times from {format_time(first)} (line {first_line}) to {format_time(last)} (line "
                f"{last_line}): what is tried lies within {YEARS_MAX} years after 1990. Correct them, or split the file"
            )
            raise InvalidEvent(msg)


class _Trial:
    """A book on a store in memory, its clock, and the accounts that are tried on it."""

    def __init__(self, plan: FilePlan, seeds: Seeds) -> None:
        self._plan, self._seeds = plan, seeds
        begins = plan.items[0].occurred_at
        days = {account: calendar.day_at(begins) for account, calendar in seeds.calendars.items()}
        # From the beginning of its first trading day an account is there.
        self._clock = ManualClock(min(day.began_at for day in days.values()))
        self._store = EventStore(MemoryJournal(log="try", clock=self._clock), clock=self._clock)
        self._book = open_book(self._store, snapshots=False, calendars=seeds.calendars)
        self._policies = Policies(self._book, [rule for rule in shipped_rules() if rule.name not in NEEDS_QUOTES])
        self._seen = 0
        self.accounts = {
            account: AccountOnTrial(self._book, account, seeds.accounts[account], calendar, self._clock.now_ns())
            for account, calendar in seeds.calendars.items()
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(self._store.close)
            stack.callback(self._book.close)
            if self._policies.ready and kind is None:
                # A policy that failed has judged nothing since.
                stack.callback(self._policies.stop)

    def run(self, progress: Progress | None) -> None:
        """Play the whole file, up to the end of the last trading day."""
        self._begin()
        items = self._plan.items
        for number, item in enumerate(items):
            if progress is not None and number % STEP == 0:
                progress(TRYING, number, len(items))
            self._pass_to(max(item.occurred_at, self._clock.now_ns()))
            self._append(item)
        self._pass_to(max(account.day.resets_at for account in self.accounts.values()))
        if progress is not None:
            progress(TRYING, len(items), len(items))

    def _begin(self) -> None:
        for account in self.accounts:
            mode = ProtectionMode(mode=Protection.SHADOW, reason="tried on a file")
            self._book.append(f"account/{account}/-", mode, actor=ACTOR)
        self._seeds.apply(self._book, ACTOR)
        define(self._store, self._plan.reader.contracts, self._clock.now_ns(), "")
        self._book.refresh()
        self._policies.start(ticking=False)
        self._policies.tick()
        self._collect()

    # Time

    def _pass_to(self, until: int) -> None:
        """Let time pass up to an instant, with a stop wherever something begins or ends."""
        while (due := self._next_due()) <= until:
            self._stop_at(due)
        self._wait(until)

    def _next_due(self) -> int:
        now = self._clock.now_ns()
        return min(due for account in self.accounts.values() for due in account.dues(now))

    def _stop_at(self, instant: int) -> None:
        ending = [account for account in self.accounts.values() if account.day.resets_at == instant]
        for account in ending:
            account.see(instant - 1)
        self._wait(instant)
        self._policies.tick()
        for account in ending:
            account.begin_day(instant)
        self._collect()

    def _wait(self, instant: int) -> None:
        passed = instant - self._clock.now_ns()
        if passed > 0:
            self._clock.advance(passed)
            for account in self.accounts.values():
                account.wait(instant, passed)

    # Events

    def _append(self, item: PlannedEvent) -> None:
        [record] = self._book.append(item.stream, item.event, key=item.key, occurred_at=item.occurred_at)
        account = self.accounts.get(record.account)
        if account is not None and isinstance(item.event, OrderFilled | TradeExecuted):
            account.execute(item, record, self._clock.now_ns())
        self._collect()

    def _collect(self) -> None:
        """Hand on what would have locked since the last look."""
        head = self._store.head()
        for record in self._store.read(after=self._seen, types=WouldLock):
            account = self.accounts.get(record.account)
            if account is not None:
                event = record.event
                assert isinstance(event, WouldLock)
                account.lock(record, event, self._clock.now_ns())
        self._seen = head

    # What is left open

    def notes(self) -> list[str]:
        """Return what the file and the program leave open."""
        return [*self._hours_notes()]

    def _hours_notes(self) -> list[str]:
        found = []
        for account in self.accounts.values():
            for what in (OUTSIDE, ANOTHER_DAY):
                lines = account.doubtful.get(what, ())
                if lines:
                    found.append(
                        f"{account.account}: {len(lines):,} executions {what} ({account.calendar.zone}), the first on "
                        f"line {lines[0]}: check the zone of the file's times"
                    )
        return found
