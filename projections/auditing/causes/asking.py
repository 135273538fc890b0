"""The question `why`: what is asked about, as a record or a figure, and the answer put together."""

from __future__ import annotations

import uuid
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from eventstore import InvalidEvent, Record
from eventstore.clock import derived_times, to_ns
from eventstore.errors import shown
from eventstore.ids import as_id
from eventstore.streams import account_of, check_name, stream_of
from eventstore.trading import LockoutSet, PositionSide
from projections.auditing.causes.answer import Why
from projections.auditing.causes.downward import Downward
from projections.auditing.causes.figures import FIGURES, POSITION, explained
from projections.auditing.causes.search import LogSearch
from projections.auditing.causes.upward import Upward
from projections.views.executions.positions import Position
from projections.views.lockouts.lockout import Lockout
from projections.views.orders.order import Order

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventstore import EventReader
    from eventstore.clock import Times

Subject: TypeAlias = Record | Lockout | Order | Position | uuid.UUID | bytes | int | str
"""What can be asked about: a record, or its log position or id; a lockout, an order or a position of a book; the name
of a stream; `lockout`, the account's newest one; or a figure's name."""

LOCKOUT = "lockout"


class _Subject(NamedTuple):
    """What was asked about, as the answer names it: a record, or a figure of an account."""

    text: str
    record: Record | None = None
    figure: str = ""
    account: str = ""


def why(
    store: EventReader,
    about: Subject,
    *,
    account: str | None = None,
    at: Times | None = None,
    everything: bool = False,
    zone: tzinfo = UTC,
    progress: Callable[[int, int], None] | None = None,
) -> Why:
    """Return the records behind something, up to the first causes, and down to its effects.

    `about`: a record, its log position or its id (a UUID, 16 bytes, or text); a lockout, order or position that a book
    gave; a stream, such as `order/ACC1/O-17` or `lockout/ACC1/daily-loss`; or, of an `account`, `lockout` for its
    newest one, a figure (`realized`, `balance`, `position/ESZ5`, of one side `position/ESZ5/LONG`), or the id of a
    limit's rule for its headroom. A figure is as known `at` an instant, by default now. Sentences have their times in
    `zone`.

    Effects are searched for among the records that follow, as far as `effects_until`; `everything` searches all of the
    log. Raises InvalidEvent for what the log does not have.
    """
    search, at_ns = LogSearch(store, zone), None if at is None else to_ns(at)
    asked = _asked(search, about, account)
    # From here on times are those of records, which may be before 1990.
    with derived_times():
        if asked.record is None:
            return explained(search, asked.account, asked.figure, at_ns)
        return _of_causes(search, asked.text, asked.record, Downward(search, everything=everything, progress=progress))


def _of_causes(search: LogSearch, text: str, record: Record, downward: Downward) -> Why:
    upward = Upward(search)
    causes = upward.causes(record)
    effects = downward.effects(record)
    return Why(
        asked=text,
        account=record.account,
        answer=search.sentence(record),
        at=record.occurred_at,
        record=record,
        figures=tuple(upward.figures),
        causes=causes,
        effects=effects,
        effects_until=downward.until,
        head=search.head,
        unknown=tuple(search.unknown),
    )


def _asked(search: LogSearch, about: Subject, account: str | None) -> _Subject:
    if account is not None:
        check_name("account", account)
    match about:
        case Record():
            return _of_record(search, about)
        case Lockout() | Order() | Position():
            return _of_value(search, about)
        case int() if not isinstance(about, bool):
            record = search.required(about)
            return _Subject(f"why {record.type} at position {about:,}", record)
        case uuid.UUID() | bytes():
            return _of_id(search, as_id(about) or b"")
        case str():
            return _of_text(search, about, account)
        case _:
            raise InvalidEvent(_unknown(about))


def _of_record(search: LogSearch, record: Record) -> _Subject:
    found = search.required(record.position)
    if (found.id, found.log) != (record.id, record.log):
        msg = (
            f"position {record.position} of log {search.store.log} is another record than the one given, of log "
            f"{record.log}: ask in the log that it is from"
        )
        raise InvalidEvent(msg)
    return _Subject(f"why {record.type} at position {record.position:,}", found)


def _of_value(search: LogSearch, value: Lockout | Order | Position) -> _Subject:
    if isinstance(value, Lockout):
        return _of_id(search, value.cause, f"why {value.account} was locked by {value.rule_id}")
    if isinstance(value, Order):
        return _of_stream(search, stream_of("order", value.account, value.order_id))
    side = "" if value.side is PositionSide.NET else f"/{value.side}"
    return _Subject("", figure=f"{POSITION}{value.symbol}{side}", account=value.account)


def _of_text(search: LogSearch, text: str, account: str | None) -> _Subject:
    if text.isdecimal() and text.isascii():
        return _asked(search, int(text), account)
    if text.count("/") == 2 and not _is_position(text, account):  # noqa: PLR2004 - category/account/entity
        owner = account_of(text)
        if account not in {None, owner}:
            msg = f"{text} is of account {owner}, not of {account}: name the account that it belongs to, or none"
            raise InvalidEvent(msg)
        return _of_stream(search, text)
    try:
        id_ = uuid.UUID(text)
    except ValueError:
        pass
    else:
        return _of_id(search, id_.bytes)
    if account is None:
        raise InvalidEvent(_unknown(text) + "; a figure or `lockout` is an account's: name the account")
    if text == LOCKOUT:
        return _newest_lockout(search, account)
    return _Subject("", figure=text, account=account)


def _is_position(text: str, account: str | None) -> bool:
    """Return whether a text names a position of an account by its side, or by a symbol like `BTC/USD`."""
    return account is not None and text.startswith(POSITION) and text.split("/", 2)[1] != account


def _of_id(search: LogSearch, id_: bytes, text: str = "") -> _Subject:
    record = search.by_id(id_)
    if record is None:
        msg = f"log {search.store.log} has no record with id {uuid.UUID(bytes=id_)}"
        raise InvalidEvent(msg)
    return _Subject(text or f"why {record.type} at position {record.position:,}", record)


def _of_stream(search: LogSearch, stream: str) -> _Subject:
    """Return a stream's subject: the newest setting of a lockout, the submission of an order, else the last record."""
    category = stream.partition("/")[0]
    if category == "lockout":
        record = search.last(stream, (LockoutSet,), search.head)
    elif category in {"order", "enforcement"}:
        record = search.first(stream)
    else:
        record = search.last(stream, None, search.head)
    if record is None:
        msg = f"log {search.store.log} has no such stream: {shown(stream)}"
        raise InvalidEvent(msg)
    return _Subject(f"why {stream}", record)


def _newest_lockout(search: LogSearch, account: str) -> _Subject:
    record = search.last_of_account(account, (LockoutSet,))
    if record is None:
        msg = f"{account} was never locked: log {search.store.log} has no LockoutSet of it"
        raise InvalidEvent(msg)
    return _Subject(f"why {account} was locked by {record.event.rule_id}", record)  # type: ignore[attr-defined]


def _unknown(about: object) -> str:
    figures = ", ".join(FIGURES)
    return (
        f"{shown(about)} is nothing that why can answer: give a log position, a record's id, a stream such as "
        f"order/ACC1/O-17 or lockout/ACC1/daily-loss, or, with an account, lockout, {figures} or a limit's rule id"
    )
