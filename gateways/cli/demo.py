"""`demo`: a trading day appended, killed, recovered, explained, proved and tampered with; and a feed that dies."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

import eventstore
from eventstore import EventStore, SystemClock, TargetExists
from eventstore.files import make_directory
from eventstore.locations import local_path
from gateways.cli import options
from gateways.cli.exit_codes import end_with_problem
from gateways.demo import child, feed, outage, past
from gateways.demo.day import ACCOUNTS, CLOSES_AT, EVENTS, INSTRUMENTS
from gateways.demo.screen import Show, clock_time, put_lockouts, put_losses, put_orders, put_positions
from gateways.presenting.output import progress, put_json
from projections import open as open_book

Keep = Annotated[
    Path | None,
    typer.Option("--keep", metavar="DIR", help="New or empty directory to play it in; by default a temporary one."),
]


def demo(keep: Keep = None, as_json: options.Json = False) -> None:
    """Play a simulated futures day: append, kill, recover, look back, verify, tamper, lose a feed. It takes seconds.

    Exit code 0 only if every check passed. The directory is kept, and named at the end.
    """
    clock = SystemClock()
    began = clock.monotonic_ns()
    show = Show(_directory(keep), sys.stderr if as_json else sys.stdout)
    _begin(show)
    _append_and_kill(show)
    _recover(show)
    if show.ok:
        with eventstore.open(show.data) as store:
            _ask(show, store)
            past.look_back(show, store)
            past.prove(show, store)
        past.tamper(show)
        outage.lose_a_feed(show)
        _advise(show)
    else:
        show.say("The remaining steps need the whole day, which is not there: stopped here.")
    seconds = (clock.monotonic_ns() - began) / 1e9
    _end(show, seconds)
    if as_json:
        put_json({**show.facts, "checks": show.checks, "ok": show.ok, "seconds": round(seconds, 3)})
    if not show.ok:
        end_with_problem()


def trade_day(data: options.LocalData = options.DATA) -> None:
    """Play the demo's day into a store, and print what is acknowledged: the demo's own child process."""
    child.trade(data, sys.stdout)


def lose_the_feed(data: options.LocalData = options.DATA) -> None:
    """Hold a position while its feed dies, in a store of its own: the demo's second child process."""
    feed.lose_the_feed(data, sys.stdout)


def _directory(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="eventstore-demo-"))
    keep = local_path(keep, "the demo's directory")
    if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        msg = f"{keep} exists and is not an empty directory: name a new one"
        raise TargetExists(msg)
    make_directory(keep)
    return keep


def _begin(show: Show) -> None:
    show.facts["directory"] = str(show.directory)
    show.title("A futures day: appended, killed halfway, recovered, looked back on, proved")
    accounts, symbols = ", ".join(ACCOUNTS), ", ".join(INSTRUMENTS)
    show.say(
        f"Simulated, and the same in every run: {accounts} trade {symbols} on 19 November 2025, Chicago time. The "
        "trading process runs on the day's clock, and the built-in policies enforce the limits that the desk has set."
    )


def _append_and_kill(show: Show) -> None:
    show.step("A process appends, and is killed halfway")
    with _bar(show, "appending") as step:
        report = child.listen(show.data, step, kill_at=EVENTS // 2)
    show.facts["acknowledged"] = len(report.acknowledged)
    show.acknowledged = report.acknowledged
    show.check(
        "killed half-way",
        report.killed and not report.finished,
        f"kill -9 after the process had acknowledged {len(report.acknowledged):,} of {EVENTS:,} events",
    )


def _recover(show: Show) -> None:
    show.step("Reopened: is every acknowledged event there?")
    with eventstore.open(show.data) as store:
        found = {record.position: record.digest.hex() for record in store.read()}
        verified = store.verify()
    kept = sum(found.get(position) == digest for position, digest in show.acknowledged.items())
    more = len(found) - kept
    show.facts["found"] = kept
    show.check(
        "nothing acknowledged is lost",
        kept == len(show.acknowledged) > 0,
        f"acknowledged {len(show.acknowledged):,}, found {kept:,}, each with the digest it was acknowledged with",
    )
    if more:
        show.say(f"{more:,} more were on disk when the process died, but not yet acknowledged.")
    show.check("verified after the kill", verified.ok, f"verify: {verified.checked:,} records are as they were written")
    show.say("A second process resumes the day at the end of the journal:")
    with _bar(show, "appending") as step:
        report = child.listen(show.data, step)
    _report_end_of_day(show, report)


def _report_end_of_day(show: Show, report: child.ChildReport) -> None:
    with eventstore.open(show.data) as store:
        head = store.head()
    show.facts |= {"events": head, "sent_again": report.sent_again, "refused": report.refused}
    show.check(
        "sent again, added once",
        report.finished and head == EVENTS,
        f"it sent the last {report.sent_again:,} again under their keys: {head:,} events, none twice",
    )
    show.check(
        "locked out", report.refused > 0, f"and it rejected {report.refused:,} orders of an account that was locked out"
    )


def _ask(show: Show, store: EventStore) -> None:
    show.step(f"The book at the close, {clock_time(CLOSES_AT)}")
    with open_book(store) as book:
        cut, tail = book.recovery.cut, book.recovery.tail
        show.say(f"Folded in {book.recovery.seconds * 1e3:,.0f} ms: a cut at {cut:,} and {tail:,} records after it.")
        orders = book.orders.open()
        put_orders(show, orders)
        put_positions(show, book)
        put_losses(show, book)
        lockouts = [lock for account in ACCOUNTS for lock in book.lockouts.active(account, CLOSES_AT)]
        put_lockouts(show, lockouts)
        unexplained = [p for account in ACCOUNTS for p in book.positions.of(account) if p.difference]
        anomalies = sum(sum(book.orders.anomalies(account).values()) for account in ACCOUNTS)
    show.facts["open_orders"] = len(orders)
    show.check(
        "the broker's books agree",
        not unexplained and not anomalies,
        "the orders and positions that the broker reported match the fills",
    )
    show.check("one lockout in force", len(lockouts) == 1, "one account is locked out until the reset")


@contextlib.contextmanager
def _bar(show: Show, what: str) -> Iterator[Any]:
    with progress(what, show.console) as step:
        step(0, EVENTS)
        yield lambda done: step(done, EVENTS)


def _advise(show: Show) -> None:
    data, tampered = shlex.quote(str(show.data)), shlex.quote(str(show.tampered))
    program = _program()
    show.step("What to try next")
    lockout = show.facts["lockout"]
    for line in (
        f"export EVENTSTORE_DATA={data}",
        f"{program} state --at {CLOSES_TEXT}",
        f"{program} why --account {lockout['account']} --rows 10",
        f"{program} timeline --account {lockout['account']} --start {lockout['minute_before']}",
        f"{program} changes",
        f"{program} as-of {lockout['minute_before']} --occurred-at",
        f"{program} diff {lockout['position_before']} {lockout['position']} --account {lockout['account']}",
        f"{program} stats",
        f"{program} verify --data {tampered}",
    ):
        show.line(f"  {line}")


def _end(show: Show, seconds: float) -> None:
    passed = sum(show.checks.values())
    show.line("")
    verdict = f"{passed} of {len(show.checks)} checks passed, in {seconds:.1f} s."
    show.check_line(show.ok, verdict)
    show.line(f"Everything is in {show.directory} and stays there until you remove it.")


CLOSES_TEXT = "2025-11-19T15:00:00-06:00"


def _program() -> str:
    """Return what to type to run this command again."""
    called = Path(sys.argv[0])
    if called.name != "eventstore":
        return f"{shlex.quote(sys.executable)} -m eventstore"
    return "eventstore" if shutil.which("eventstore") else shlex.quote(str(called))
