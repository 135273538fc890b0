"""What `/metrics` says of the log, its book and those who follow it, as of the moment it is asked.

A figure that is not KNOWN has no sample, and a status of its own says so: a chart of it has a gap, never a zero.
"""

from __future__ import annotations

import functools
import math
import shutil
from typing import TYPE_CHECKING

from prometheus_client import generate_latest

from eventstore import StoreError
from eventstore.clock import NANOSECONDS, parse_time
from eventstore.extras import version
from eventstore.influx.status import CURSOR
from eventstore.proofs.checkpoint_file import CheckpointFile
from eventstore.proofs.health import SIGNED_LINE
from eventstore.side import GroupSide
from gateways.presenting.headroom import unjudged_of
from projections.membership import group_state
from projections.risk.policies.account_sets import furthest_behind
from projections.risk.policies.liveness import PolicyRun, run_of
from projections.valuation import Status
from projections.view import SHARED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from decimal import Decimal
    from typing import TypeAlias

    from eventstore import EventStore
    from gateways.http.service import Service
    from projections import Book

    Families: TypeAlias = "Iterable[Gauge]"

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ACCOUNTS_MAX = 1_000
"""The most accounts with series of their own; `eventstore_accounts_omitted` counts the others."""
_ESCAPED = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_INFO = ("log", "log_id", "version")
WORKERS_MAX = 500
"""The most workers with series of their own: a log has one for each policy and set of accounts."""
_OWN_MARKS = frozenset({CURSOR, "head"})
"""Watermarks that are not a worker's: the mirror has figures of its own, and the head is the journal's."""


def exposition(service: Service) -> bytes:
    """Return all metrics of a service in Prometheus' text format. It reads files: call it in a thread."""
    meters = service.meters
    figures = LogFigures(service.store.sync_store, service.book.sync_book, meters.followers)
    # Written here: the library takes three times as long for a sample, and there are twenty of each account.
    return generate_latest(meters.registry) + "".join([gauge.text for gauge in figures.collect()]).encode()


class Gauge:
    """A gauge's samples of this moment, by the values of its labels."""

    def __init__(self, name: str, help: str, *labels: str) -> None:
        full_name = f"eventstore_{name}"
        pairs = ",".join(f'{label}="%s"' for label in labels)
        self._sample = f"{full_name}{{{pairs}}} " if pairs else f"{full_name} "
        self._lines = [f"# HELP {full_name} {help}\n# TYPE {full_name} gauge\n"]

    def add(self, value: float, *of: str) -> Gauge:
        """Add a sample, of one value of each label; return this gauge."""
        self._lines.append(f"{self._sample % tuple(map(_escaped, of))}{_number(value)}\n")
        return self

    @property
    def text(self) -> str:
        """The samples in Prometheus' text format; nothing without any."""
        return "".join(self._lines) if len(self._lines) > 1 else ""


class LogFigures:
    """Gauges of what holds now. A part that cannot be asked has no samples, and `eventstore_part_failed` is 1."""

    def __init__(self, store: EventStore, book: Book, followers: Callable[[], int] | None = None) -> None:
        self._store, self._book, self._followers = store, book, followers
        self._ages: dict[int, float] = {}

    def collect(self) -> Iterator[Gauge]:
        parts: dict[str, Callable[[], Families]] = {
            "log": self._log,
            "disk": self._disk,
            "views": self._views,
            "mirror": self._mirror,
            "workers": self._workers,
            "groups": self._groups,
            "checkpoints": self._checkpoints,
            "accounts": self._accounts,
        }
        failed = Gauge("part_failed", "Whether a part of these metrics could not be asked: it has no samples.", "part")
        for name, ask in parts.items():
            try:
                # All of it first: half a part would look like the whole of it.
                found = list(ask())
            except (StoreError, OSError, ArithmeticError):
                found = []
                failed.add(1, name)
            else:
                failed.add(0, name)
            yield from found
        yield failed

    # The log

    def _log(self) -> Families:
        store = self._store
        info = Gauge(
            "service_info", "The log that is served, and the version that serves it.", "log", "log_id", "version"
        )
        info.add(1, store.log, store.log_id.hex(), version())
        head = store.head()
        yield info
        yield _single("log_position", "The last log position, 0 for an empty log.", head)
        yield _single("queue_events", "Events accepted by this process and not on disk yet.", store.waiting)
        if head:
            (last,) = store.read(after=head - 1, until=head)
            recorded = last.recorded_at / NANOSECONDS
            yield _single("log_last_recorded_timestamp_seconds", "When the last record was recorded.", recorded)
        missing = store.missing_tail is not None
        yield _single("log_tail_missing", "Whether acknowledged records at the log's end are missing.", missing)
        if self._followers is not None:
            yield _single("followers", "Followers that are served now, by any protocol.", self._followers())

    def _disk(self) -> Families:
        if self._store.directory is not None:
            usage = shutil.disk_usage(self._store.directory)
            yield _single("disk_free_bytes", "Free bytes of the file system that holds the log.", usage.free)
            yield _single("disk_size_bytes", "Size of the file system that holds the log.", usage.total)

    # Who follows it

    def _views(self) -> Families:
        names = self._book.view_names
        parked = self._book.parked
        count = Gauge("parked_partitions", "Partitions of a view that failed and are not folded since.", "view")
        folded: dict[str, int] = dict.fromkeys(names, self._book.position)
        for name in names:
            positions = [error.position for (view, _), error in parked.items() if view == name]
            count.add(len(positions), name)
            # A parked partition has everything before the record it failed on.
            folded[name] = min([folded[name], *(position - 1 for position in positions)])
        yield count
        yield from self._lags("view", "a view of the served book, of its partition furthest behind", folded)

    def _mirror(self) -> Families:
        if self._store.side is None or not self._store.mirror.exists:
            return
        status = self._store.mirror.status
        yield _single("mirror_position", "The log position that InfluxDB has confirmed.", status.position)
        yield _single("mirror_lag_events", "Records that InfluxDB has not confirmed.", status.lag_events)
        yield _single("mirror_lag_seconds", "Age of the oldest record not confirmed; 0: none.", status.lag_seconds)
        state = Gauge("mirror_state", "1 for what the mirror does now: waiting is for InfluxDB.", "state")
        for name in ("shipping", "waiting", "halted", "stopped"):
            state.add(name == status.state, name)
        yield state

    def _workers(self) -> Families:
        if self._store.side is None:
            return
        kept = self._store.side.marks()
        marks, unsound = kept.examine()
        kept.close()
        own = self._store.log_id.hex()
        found = {name: mark.position for name, mark in marks.items() if name not in _OWN_MARKS and mark.log_id == own}
        # Of a policy's cursors of shares the one that is furthest behind counts: there are 64 of them.
        found = furthest_behind(found)
        chosen = dict(sorted(found.items())[:WORKERS_MAX])
        yield from self._lags("worker", "a worker, by its watermark, which is written at most every 10 s", chosen)
        yield _single("workers_omitted", "Workers without series of their own.", len(found) - len(chosen))
        yield _single("watermarks_unreadable", "Watermark files that cannot be read.", len(unsound))

    def _groups(self) -> Families:
        if not isinstance(self._store.side, GroupSide):
            return
        members = Gauge("group_members", "Workers of a group that work.", "group")
        free = Gauge("group_partitions_free", "Partitions of the accounts that no worker of a group holds.", "group")
        partitions = Gauge("group_member_partitions", "Partitions that a worker of a group holds.", "group", "member")
        events = Gauge("group_member_lag_events", "Records that a worker of a group has not folded.", "group", "member")
        seconds = Gauge(
            "group_member_lag_seconds", "Age of the oldest record that a worker has not folded.", "group", "member"
        )
        for name in self._store.side.groups():
            state = group_state(self._store, name)
            members.add(sum(each.state == "working" for each in state.members), name)
            free.add(len(state.free), name)
            for each in state.members[:WORKERS_MAX]:
                if each.state in {"working", "silent"}:
                    partitions.add(len(each.partitions), name, each.id)
                    events.add(each.events_behind, name, each.id)
                    seconds.add(each.seconds_behind, name, each.id)
        yield from (members, free, partitions, events, seconds)

    def _lags(self, kind: str, what: str, positions: dict[str, int]) -> Families:
        place = Gauge(f"{kind}_position", f"The log position of {what}.", kind)
        events = Gauge(f"{kind}_lag_events", f"Records past the position of {what}.", kind)
        seconds = Gauge(
            f"{kind}_lag_seconds", f"Age of the oldest record past the position of {what}; 0 without one.", kind
        )
        head = self._store.head()
        for name, position in positions.items():
            place.add(position, name)
            events.add(max(head - position, 0), name)
            seconds.add(self._age_past(position), name)
        return (place, events, seconds)

    def _age_past(self, position: int) -> float:
        """Return the age in seconds of the oldest record past a position: many share one, so it is read once."""
        if position not in self._ages:
            oldest = next(iter(self._store.read(after=position, limit=1)), None)
            now = self._store.clock.now_ns()
            self._ages[position] = 0.0 if oldest is None else max(now - oldest.recorded_at, 0) / NANOSECONDS
        return self._ages[position]

    def _checkpoints(self) -> Families:
        if self._store.side is None:
            return
        last = CheckpointFile(self._store.side).last()
        if last is None:
            return
        yield _single("checkpoint_position", "The size of the newest checkpoint, not verified.", last.size)
        signed_at = last.extension(SIGNED_LINE)
        if signed_at is not None:
            at = parse_time(signed_at) / NANOSECONDS
            yield _single("checkpoint_timestamp_seconds", "When the newest checkpoint says it was signed.", at)

    # Accounts

    def _accounts(self) -> Families:
        book = self._book
        known = sorted({*book.accounts.known(), *book.partitions("limits")} - {SHARED})
        names = [name for name in known if not name.startswith("@")]
        chosen = names[:ACCOUNTS_MAX]
        gauges = AccountGauges()
        at = book.now_ns()
        for account in chosen:
            gauges.add(book, account, at)
        yield _single("accounts", "Accounts that the log names.", len(names))
        yield _single("accounts_omitted", "Accounts without series of their own.", len(names) - len(chosen))
        yield from gauges.families


class AccountGauges:
    """The gauges that each account has a sample of."""

    def __init__(self) -> None:
        self._lockouts = Gauge("lockouts_in_force", "Lockouts in force.", "account")
        self._ratio = Gauge(
            "headroom_ratio",
            "What is left of a limit, as a part of it: 1 untouched, 0 reached. Only while it is KNOWN.",
            *("account", "rule", "kind"),
        )
        self._status = Gauge(
            "headroom_status", "1 with the status of a limit's headroom: KNOWN, STALE or UNKNOWN.",
            *("account", "rule", "kind", "status"),
        )  # fmt: skip
        self._unjudged = Gauge("limits_unjudged", "Limits in force that are not judged.", "account")
        self._equity = Gauge(
            "equity", "Equity in the account's currency, rounded to a float. Only while it is KNOWN.",
            *("account", "currency"),
        )  # fmt: skip
        self._equity_status = Gauge(
            "equity_status", "1 with the status of an opened account's equity.", "account", "status"
        )
        self._orders = Gauge("orders_open", "Orders that are open.", "account")
        self._positions = Gauge("positions_open", "Positions that are not flat.", "account")
        self._pending = Gauge("enforcement_pending", "Enforcement requests that are pending.", "account")
        self._policies = Gauge(
            "policies_running", "Whether a process runs the policies of an account with limits.", "account"
        )
        self._failed = Gauge(
            "account_failed", "Whether an account could not be asked: it lacks the samples that failed.", "account"
        )

    @property
    def families(self) -> Families:
        """All of them, each with its samples so far."""
        return tuple(vars(self).values())

    def add(self, book: Book, account: str, at: int) -> None:
        """Add an account's samples. A parked partition fails what rests on it, and nothing else."""
        failed = False
        for ask in (self._add_lockouts, self._add_limits, self._add_equity, self._add_orders):
            try:
                ask(book, account, at)
            except (StoreError, ArithmeticError):
                failed = True
        self._failed.add(failed, account)

    def _add_lockouts(self, book: Book, account: str, at: int) -> None:
        self._lockouts.add(len(book.lockouts.active(account, at)), account)
        self._pending.add(len(book.enforcement.pending(account, at)), account)

    def _add_limits(self, book: Book, account: str, at: int) -> None:
        headroom = book.limits.headroom(account, at)
        # As recorded by the process that has the prices: this book may see none.
        is_judged = all(each.status is Status.KNOWN for each in headroom) and not book.limits.recorded_unjudged(account)
        unjudged = () if is_judged else unjudged_of(book, [account], at).get(account, ())
        for each in headroom:
            labels = [account, each.rule_id, each.kind]
            self._status.add(1, *labels, each.status.value)
            if each.status is Status.KNOWN and each.share is not None:
                self._ratio.add(_shown(each.share), *labels)
        self._unjudged.add(len(unjudged), account)
        if headroom and (run := run_of(book, account)) is not PolicyRun.UNKNOWN:
            self._policies.add(run is PolicyRun.RUNNING, account)

    def _add_equity(self, book: Book, account: str, at: int) -> None:
        known = book.accounts.get(account)
        if known is None or known.starting_balance is None:
            return
        now = book.equity.now(account, at)
        self._equity_status.add(1, account, now.status.value)
        if now.status is Status.KNOWN:
            self._equity.add(_shown(now.equity), account, now.currency or "")

    def _add_orders(self, book: Book, account: str, at: int) -> None:
        self._orders.add(len(book.orders.open(account)), account)
        self._positions.add(sum(1 for held in book.positions.of(account) if held.quantity), account)


@functools.lru_cache(maxsize=10_000)
def _escaped(value: str) -> str:
    """Return a label's value as the format has it: the same names come again and again."""
    return value.translate(_ESCAPED)


def _number(value: float) -> str:
    """Return a value as Prometheus reads it: also of a flag, and of what is without end."""
    found = float(value)
    return repr(found) if math.isfinite(found) else {math.inf: "+Inf", -math.inf: "-Inf"}.get(found, "NaN")


def _single(name: str, help: str, value: float) -> Gauge:
    return Gauge(name, help).add(value)


def _shown(value: Decimal) -> float:
    """Return a figure as Prometheus has it: it charts and compares with thresholds, and decides nothing."""
    return float(value)
