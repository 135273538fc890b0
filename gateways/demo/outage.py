"""The demo's feed that dies while a position is open, and the restart after it."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import msgspec

from eventstore import Record
from eventstore.clock import NANOSECONDS
from eventstore.trading import QuotesKept, QuotesWanted
from gateways.demo.feed import ACCOUNT, COMMAND, LAST, LOCKED_SECONDS, SYMBOL, Desk, Seen
from gateways.demo.screen import SHOWN, Show, clock_time
from projections.valuation import Status

ABSURD = LAST * 10
_STAGES = 3
_QUIET_SECONDS, _HEARTBEATS = 5, 13


def lose_a_feed(show: Show) -> None:
    """Play the feed that dies in a process of its own, kill it, and go on from its log."""
    show.step("A feed dies with a position open, and its process is killed")
    stages = _stages(show.feed)
    if len(stages) < _STAGES:
        show.check("the feed's process", passed=False, text="the process ended before its feed had died")
        return
    alive, silent, locked = stages
    _dies(show, alive, silent, locked)
    desk = Desk(show.feed, locked.at + 60 * NANOSECONDS)
    try:
        desk.policies.start(ticking=False)
        wanted = list(desk.store.read(types=QuotesWanted))
        show.check(
            "quotes are asked for",
            bool(wanted) and wanted[0].occurred_at <= silent.at,
            f"quotes of it were asked for at {_at(wanted)}; reduce-only from {clock_time(locked.at)}, after 30 s",
        )
        _restarts(show, desk, alive)
        _sees_an_absurd_price(show, desk)
    finally:
        desk.close()


def _stages(directory: Path) -> list[Seen]:
    """Return what the child saw, and kill it while it waits: nothing is flushed, no lock is released."""
    command = [sys.executable, "-m", "eventstore", COMMAND, "--data", str(directory)]
    found: list[Seen] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None, "a pipe was requested"
        try:
            for line in process.stdout:
                found.append(msgspec.json.decode(line, type=Seen))
                if len(found) == _STAGES:
                    break
        finally:
            process.kill()
    return found


def _dies(show: Show, alive: Seen, silent: Seen, locked: Seen) -> None:
    show.check(
        "known while quotes flow",
        alive.status is Status.KNOWN and not alive.buy,
        f"{clock_time(alive.at)}: long 2 {SYMBOL} at {LAST}, equity {SHOWN.money(alive.equity)} {alive.status}",
    )
    show.check(
        "stale when the feed dies",
        silent.status is Status.STALE and silent.equity == alive.equity and not silent.lockouts,
        f"{clock_time(silent.at)}: {silent.status}, because {silent.why}",
    )
    show.check("new exposure is rejected", bool(silent.buy) and not silent.sell, f"buy 1 {SYMBOL}: {silent.buy}")
    show.check(
        "reduce-only after 30 s",
        list(locked.lockouts) == ["unpriced"] and bool(locked.buy) and not locked.sell,
        f"{clock_time(locked.at)}: the account may only reduce, {LOCKED_SECONDS} s later; a sale would still pass",
    )


def _restarts(show: Show, desk: Desk, alive: Seen) -> None:
    show.say("The process is killed with kill -9, and another one opens its log a minute later:")
    opened = desk.see()
    price, at = opened.last_good.get(SYMBOL, (Decimal(0), 0))
    show.check(
        "unknown after the restart",
        opened.status is Status.UNKNOWN and bool(opened.buy) and not opened.sell,
        f"{clock_time(opened.at)}: {opened.status}, because {opened.why}",
    )
    show.check(
        "the last good price is shown",
        (price, at) == (LAST, alive.at),
        f"its last good price, {price} at {clock_time(at)}, is shown and not used",
    )
    show.check(
        "nothing is locked for good",
        list(opened.lockouts) == ["unpriced"] and None not in opened.lockouts.values(),
        "no limit was reached by what is not known: the lockout can be revoked and ends with the day",
    )
    desk.quote(LAST)
    back = desk.see()
    show.check(
        "known when quotes are back",
        back.status is Status.KNOWN and back.equity == alive.equity and not back.lockouts and not back.buy,
        f"{clock_time(back.at)}: the first quote makes it {back.status} again, and clears the lockout",
    )


def _sees_an_absurd_price(show: Show, desk: Desk) -> None:
    for _ in range(_HEARTBEATS):
        desk.heartbeat(_QUIET_SECONDS)
    before = desk.see()
    show.check(
        "quiet is not dead",
        before.status is Status.KNOWN,
        f"{clock_time(before.at)}: the feed has nothing new, and its heartbeats keep the equity {before.status}",
    )
    desk.quote(ABSURD)
    after = desk.see()
    figures = [(seen.equity, seen.high_water, seen.floor, seen.lockouts) for seen in (before, after)]
    kept = [record for record in desk.store.read(types=QuotesKept) if record.occurred_at >= before.at]
    show.check(
        "one absurd price changes nothing",
        figures[0] == figures[1] and after.status is Status.STALE and bool(after.buy),
        f"one price of {ABSURD} moves neither equity nor floor, and rejects new exposure until it is confirmed",
    )
    show.check("and is kept as evidence", _is_kept(kept), _evidence(kept))
    desk.quote(LAST)
    last, verified = desk.see(), desk.store.verify()
    show.check(
        "and known again",
        last.status is Status.KNOWN and not last.buy and verified.ok,
        f"the next ordinary quote makes it {last.status} again; verify: {verified.checked} records",
    )
    show.facts["outage"] = {"account": ACCOUNT, "events": desk.store.head(), "equity": f"{last.equity:f}"}


def _is_kept(records: list[Record]) -> bool:
    return any(
        quote.last == ABSURD and bool(quote.ignored)
        for record in records
        if isinstance(record.event, QuotesKept)
        for quote in record.event.quotes
    )


def _evidence(records: list[Record]) -> str:
    for record in records:
        if isinstance(record.event, QuotesKept):
            first = record.event.quotes[0]
            return f"record {record.position}, QuotesKept: last {first.last}, ignored: {first.ignored}"
    return "no QuotesKept was recorded"


def _at(records: list[Record]) -> str:
    return clock_time(records[0].occurred_at) if records else "no time"
