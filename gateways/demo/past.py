"""The demo's second half: a minute before the lockout, the proof of the log, and a copy that was tampered with."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import eventstore
from eventstore import EventStore, Record
from eventstore.clock import NANOSECONDS, format_time
from eventstore.locations import journal_path
from eventstore.trading import LockoutSet, OrderFilled
from gateways.demo.day import ZONE
from gateways.demo.screen import SHOWN, Show, clock_time
from gateways.demo.trading import net
from projections import Book, Change, as_of, diff
from projections.views.executions.positions import Position

MINUTE_NS = 60 * NANOSECONDS
FILLS_SHOWN = 5
_PRICE = b'"price":"'


def look_back(show: Show, store: EventStore) -> None:
    """Show the book as of a minute before the lockout, and what changed in between."""
    lockout = next(store.read(types=LockoutSet))
    account, at = lockout.account, lockout.occurred_at
    before = at - MINUTE_NS
    show.step(f"One minute before {account} was locked out at {clock_time(at)}")
    show.say(f"As of occurred_at {SHOWN.time(before)}: only events that had happened by then are folded.")
    then, upon = as_of(store, occurred_at=before, account=account), as_of(store, occurred_at=at, account=account)
    active = [len(book.lockouts.active(account, when)) for book, when in ((then, before), (upon, at))]
    rows = [_holdings(then, account, before), _holdings(upon, account, at)]
    show.table(f"{account}, then and at the lockout", ("as of", ">net USD", "~positions", ">lockouts"), rows)
    show.check("no lockout before, one after", active == [0, 1], "no lockout was in force then, one a minute later")
    last = max((r for r in store.read(until=lockout.position - 1) if r.occurred_at <= before), key=lambda r: r.position)
    show.facts["lockout"] = {
        "account": account,
        "position": lockout.position,
        "position_before": last.position,
        "occurred_at": format_time(at, ZoneInfo(ZONE)),
        "minute_before": _short(before),
        "net_before": f"{net(then, account):f}",
        "net_upon": f"{net(upon, account):f}",
    }
    _changes(show, store, last, lockout)
    _explain(show, store, lockout)


def _holdings(book: Book, account: str, at: int) -> tuple[str, ...]:
    held = [f"{position.quantity:+} {position.symbol}" for position in book.positions.of(account) if position.quantity]
    count = len(book.lockouts.active(account, at))
    return clock_time(at), SHOWN.money(net(book, account)), ", ".join(held) or "flat", str(count)


def _changes(show: Show, store: EventStore, first: Record, last: Record) -> None:
    """Show what differs in positions and lockouts, and the records that changed it."""
    changes = diff(store, first.recorded_at, last.recorded_at, account=last.account)
    found = [change for change in changes if change.view != "orders"]
    title = "What changed in that minute, and the log positions that changed it"
    columns = ("what", ">before", ">after", ">realized", "~by log positions")
    show.table(title, columns, [_change_row(change) for change in found])
    fills = [
        record
        for change in found
        for record in change.records
        if isinstance(record.event, OrderFilled) and record.account == last.account
    ]
    caused = any(change.view == "lockouts" and last in change.records for change in found)
    show.check(
        "the diff names the cause",
        caused and bool(fills),
        f"the lockout is position {last.position:,}; {len(fills)} fills led to it",
    )


def _explain(show: Show, store: EventStore, lockout: Record) -> None:
    """Show from the log who set the limit, which fill reached it, and what the account traded just before."""
    event = lockout.event
    cause = None if lockout.causation_id is None else store.find(lockout.causation_id)
    assert isinstance(event, LockoutSet), "the record of a lockout"
    assert isinstance(event.details, dict), "the figures that the rule decided on"
    if cause is None:
        return
    limit = next(store.read(after=event.details["limit_position"] - 1, limit=1))
    show.culprit = cause
    show.facts["lockout"] |= {"limit_set_by": limit.actor, "cause": cause.position}
    show.step(f"Why was {lockout.account} locked out? The log answers")
    show.named("rule", f"{event.rule_id}: {event.reason}")
    most, reached = (SHOWN.money(Decimal(event.details[name]).copy_abs()) for name in ("limit", "figure"))
    set_at = clock_time(limit.occurred_at)
    show.named("limit", f"{most} USD, set by {limit.actor} at {set_at}, position {limit.position:,}")
    show.named("reached", f"{reached} USD lost, by the fill at position {cause.position:,}")
    fills = list(store.read(account=lockout.account, types=OrderFilled, until=cause.position))
    show.table(
        f"The last of {lockout.account}'s {len(fills):,} fills before it",
        (">position", "at", "trade", "side", ">quantity", "symbol", ">price"),
        [_fill_row(record) for record in fills[-FILLS_SHOWN:]],
    )


def _fill_row(record: Record) -> tuple[str, ...]:
    fill = record.event
    assert isinstance(fill, OrderFilled), "fills were selected"
    return (
        *(f"{record.position:,}", clock_time(record.occurred_at), fill.trade_id, fill.side),
        *(SHOWN.quantity(fill.quantity), fill.symbol, SHOWN.price(fill.price)),
    )


def _change_row(change: Change) -> tuple[str, ...]:
    positions = ", ".join(str(record.position) for record in change.records)
    before, after = change.before, change.after
    if isinstance(before, Position) and isinstance(after, Position):
        return (
            after.symbol,
            f"{before.quantity:+}",
            f"{after.quantity:+}",
            SHOWN.money(after.realized - before.realized),
            positions,
        )
    locked = ", ".join(lock.allows for lock in after)
    return change.key, "-", locked, "", positions


def prove(show: Show, store: EventStore) -> None:
    """Verify the whole log, and print its root."""
    show.step("Proof: every digest and the tree, recomputed")
    found = store.verify()
    size, root = store.root()
    show.facts["root"] = root.hex()
    show.check("verified", found.ok and found.checked == size, f"{found.checked:,} records are as they were written")
    show.line(f"       root {root.hex()}")


def tamper(show: Show) -> None:
    """Change one byte in a copy of the journal, as if to hide a loss, and verify the copy."""
    show.step("One byte is changed, in a copy")
    culprit = show.culprit
    if culprit is None:
        show.check("a change is found", passed=False, text="there is no fill to change")
        return
    with eventstore.open(show.data) as store:
        store.backup(show.tampered)
    before, after = flip_price(journal_path(show.tampered, "main"), culprit)
    show.say(
        f"Position {culprit.position:,}, the fill that locked {culprit.account} out: its price, {before}, reads "
        f"{after} in the file now; nothing else differs."
    )
    with eventstore.open(show.tampered) as copy:
        found = copy.verify()
    show.facts["tampered_position"], show.facts["first_bad"] = culprit.position, found.first_bad
    show.check(
        "a change is found",
        not found.ok and found.first_bad == culprit.position,
        f"verify: position {found.first_bad}: {found.reason}",
    )


def flip_price(journal: Path, record: Record) -> tuple[str, str]:
    """Change the first digit of a fill's price in the file of a closed journal; return both prices."""
    content = bytearray(journal.read_bytes())
    # The event's data follows the id, which is unique, in the row.
    row = content.index(record.id + record.data)
    price = row + len(record.id) + record.data.index(_PRICE) + len(_PRICE)
    end = content.index(b'"', price)
    before = content[price:end].decode()
    content[price] ^= 1
    journal.write_bytes(content)
    return before, content[price:end].decode()


def _short(instant: int) -> str:
    moment = datetime.datetime.fromtimestamp(instant // NANOSECONDS, ZoneInfo(ZONE))
    return moment.isoformat()
