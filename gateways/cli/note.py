"""`note`: a text, tags or both on a record, an order, a lockout or a day of an account."""

from __future__ import annotations

import uuid
from collections import deque
from datetime import date
from typing import Annotated

import typer

from eventstore import EventStore, InvalidEvent, Record
from eventstore.clock import derived_times, utc_date
from eventstore.ids import new_ids
from eventstore.streams import account_of, check_name, stream_of
from eventstore.trading import NoteAdded
from eventstore.trading.notes import DAY
from gateways.cli import instants, lockouts, names, options, records, stores, zones
from gateways.cli.options import CommonOptions
from gateways.presenting.close_names import close_to
from projections import open as open_book

Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET", help="A log position, a record's id, a stream such as order/ACC1/O-17, or a day: 2025-11-19."
    ),
]
Text = Annotated[str, typer.Argument(metavar="[TEXT]", help="What to say about it.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="Tag to group by; repeatable.")]

_ENTITIES_LOOKED_AT = 2_000
_DAYS_SHOWN = 3


@options.command(zone=True)
def note(
    common: CommonOptions,
    account: lockouts.AccountName,
    target: Target,
    text: Text = "",
    *,
    tags: Tags = None,
    actor: options.Actor = None,
) -> None:
    """Add a note to a trade, an order, a lockout or a day of an account: a text, tags or both.

    A lockout is named by its stream, for example lockout/ACC1/daily-loss; a trade by the position or id of its record.
    """
    check_name("account", account)
    with stores.open_existing(common) as store:
        names.check_account(store, account)
        shown = zones.presenter(common, store, account)
        head = store.head()
        event = NoteAdded(target=_target(store, account, target), text=text, tags=tuple(tags or ()))
        id_ = uuid.UUID(bytes=new_ids(1, store.clock.now_ns())[0])
        with derived_times():
            [record] = store.append(stream_of("note", account, str(id_)), event, actor=actor)
        records.put_appended(record, head, shown, as_json=common.as_json)


def _target(store: EventStore, account: str, text: str) -> str:
    """Return what a note is about, as NoteAdded names it; raise InvalidEvent for what the log does not have."""
    if text.isdecimal() and text.isascii():
        return _id_of(account, instants.record_at(store, int(text)), f"position {text}")
    if "/" in text:
        return _stream(store, account, text)
    day = _date(text)
    if day is not None:
        return _day(store, account, day)
    try:
        id_ = uuid.UUID(text)
    except ValueError:
        msg = (
            f"{text!r:.80} is not a target: give a log position, a record's id, a stream such as "
            f"order/{account}/O-17, or a day such as 2025-11-19"
        )
        raise InvalidEvent(msg) from None
    record = store.find(id_)
    if record is None:
        msg = f"log {store.log} has no record with id {id_}: eventstore read --json shows the id of each"
        raise InvalidEvent(msg)
    return _id_of(account, record, f"record {id_}")


def _id_of(account: str, record: Record, what: str) -> str:
    if record.account != account:
        msg = f"{what} is in stream {record.stream}, not of account {account}: name the account that it belongs to"
        raise InvalidEvent(msg)
    return str(record.uuid)


def _stream(store: EventStore, account: str, stream: str) -> str:
    """Return a stream of the account that has records, or a day."""
    owner = account_of(stream)
    if owner != account:
        msg = f"{stream} is of account {owner}, not of {account}: name the account that it belongs to"
        raise InvalidEvent(msg)
    category, _, entity = stream.split("/")
    if category == DAY:
        day = _date(entity)
        if day is None:
            msg = f"{stream!r} is not a day: write it as in {DAY}/{account}/2025-11-19"
            raise InvalidEvent(msg)
        return _day(store, account, day)
    if store.version(stream) == 0:
        prefix = f"{category}/{account}/"
        # The newest ones: nearly always somebody misspells what happened lately.
        found = deque((record.stream for record in store.read(stream=prefix)), maxlen=_ENTITIES_LOOKED_AT)
        msg = f"log {store.log} has no stream {stream!r}: {close_to(stream, set(found))}"
        raise InvalidEvent(msg)
    return stream


def _day(store: EventStore, account: str, day: date) -> str:
    """Return the target of a day on which the account traded, had a session, or has any record."""
    known = _known_days(store, account)
    if day not in known:
        known |= {utc_date(record.occurred_at) for record in store.read(account=account)}
    if day not in known:
        nearest = sorted(sorted(known, key=lambda each: abs(each - day))[:_DAYS_SHOWN])
        msg = f"{account} has no records of {day}: the nearest days are {', '.join(map(str, nearest))}"
        raise InvalidEvent(msg)
    return f"{DAY}/{account}/{day}"


def _known_days(store: EventStore, account: str) -> set[date]:
    with open_book(store, accounts=[account]) as book:
        traded = {date.fromisoformat(name.removeprefix("~")) for name, _ in book.pnl.days(account)}
        return traded | {session.trading_day for session in book.sessions.history(account)}


def _date(text: str) -> date | None:
    """Return a date written as 2025-11-19, None for anything else."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.isoformat() == text else None
