"""Days that somebody signed: what was agreed, and whether the log's figures of the day have changed since."""

from __future__ import annotations

import datetime
import decimal
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from eventstore import Batch, Instant, InvalidEvent, Unchanged, UnknownContract
from eventstore.clock import derived_times
from eventstore.readable import Readable
from eventstore.streams import stream_of
from eventstore.trading import AgreedBreak, DaySigned
from eventstore.trading.signing import BREAKS_MAX, RECORDS_MAX, STATEMENT_MAX, WHAT_MAX
from projections.auditing.statements.cash import LoggedCash, logged_cash
from projections.auditing.statements.logged import LoggedAccount, LoggedTrade
from projections.decimals import FIXED, ZERO
from projections.replay import as_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    from eventstore import EventReader, EventStore, Record
    from projections.auditing.statements.breaks import Break
    from projections.auditing.statements.comparing import Statement
    from projections.auditing.statements.days import TradingSpan

AUDIT = "audit"


class DayChange(msgspec.Struct, frozen=True):
    """Something of a day that is not as it was when the day was signed, with the log positions behind it."""

    sentence: str
    records: tuple[int, ...]


class SignedDay(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """A signature under a trading day: by whom and when, under which breaks, and what has changed of the day since.

    `record` is its log position, `known_up_to` the one up to which the log had been compared, `breaks_count` how many
    breaks there were, of which `breaks` has the first 100.
    """

    account: str
    trading_day: datetime.date
    by: str
    signed_at: Instant
    record: int
    known_up_to: int
    breaks: tuple[AgreedBreak, ...]
    breaks_count: int
    statement: str
    statement_digest: str
    note: str
    changes: tuple[DayChange, ...] = ()


def sign_days(
    store: EventStore, compared: Statement, *, actor: str, note: str = ""
) -> list[Record]:  # fmt: skip
    """Append DaySigned for each account's day of a statement, with the breaks of the day; return the records.

    All are appended or none. Raises AccountChanged if an account has records that the comparison did not see: compare
    again, then sign; InvalidEvent for a statement without a day, with a part of one, or with a break that has none.
    """
    if not compared.days:
        msg = f"{compared.source} has no trading day to sign: nothing was compared"
        raise InvalidEvent(msg)
    part = next((each for each in compared.days if not each.is_whole), None)
    if part is not None:
        msg = f"only a part of {part.trading_day} was compared for {part.account}: compare whole days, then sign"
        raise InvalidEvent(msg)
    days: dict[tuple[str, datetime.date], list[Break]] = {
        (each.account, each.trading_day): [] for each in compared.days
    }
    for each in compared.breaks:
        if each.trading_day is None or (each.account, each.trading_day) not in days:
            msg = f"a break belongs to no day of the statement, so no signature would name it: {each.sentence}"
            raise InvalidEvent(msg)
        days[each.account, each.trading_day].append(each)
    batches = [
        Batch(stream_of(AUDIT, account, str(day)), _signed(compared, day, breaks), actor=actor, note=note)
        for (account, day), breaks in sorted(days.items())
    ]
    accounts = tuple(sorted({account for account, _ in days}))
    return store.append_many(batches, unchanged=Unchanged(accounts=accounts, since=compared.log_position))


def _signed(compared: Statement, day: datetime.date, breaks: Sequence[Break]) -> DaySigned:
    return DaySigned(
        trading_day=day,
        breaks=tuple(
            AgreedBreak(str(each.kind), each.sentence[:WHAT_MAX], each.records[:RECORDS_MAX])
            for each in breaks[:BREAKS_MAX]
        ),
        breaks_count=len(breaks) if len(breaks) > BREAKS_MAX else None,
        statement=compared.source[:STATEMENT_MAX],
        statement_digest=compared.digest,
        log_position=compared.log_position,
    )


def signed_days(store: EventReader, *, account: str | None = None) -> tuple[SignedDay, ...]:
    """Return the signatures of an account, or of all, in the order of the log, with what has changed since.

    A day has changed if one of its trades was added, busted, corrected or charged otherwise, if cash was moved in it,
    or if its results are others, for example by a late trade of an earlier day.
    """
    found = [
        record
        for record in store.read(stream=f"{AUDIT}/", account=account, types=(DaySigned,))
        if isinstance(record.event, DaySigned)
    ]
    pasts = _Pasts(store)
    return tuple(_signature(record, pasts) for record in found)


def _signature(record: Record, pasts: _Pasts) -> SignedDay:
    event = record.event
    assert isinstance(event, DaySigned), event
    known = record.position - 1 if event.log_position is None else min(event.log_position, record.position - 1)
    return SignedDay(
        account=record.account,
        trading_day=event.trading_day,
        by=record.actor,
        signed_at=record.recorded_at,
        record=record.position,
        known_up_to=known,
        breaks=event.breaks,
        breaks_count=len(event.breaks) if event.breaks_count is None else event.breaks_count,
        statement=event.statement,
        statement_digest=event.statement_digest,
        note=record.note,
        changes=tuple(pasts.changes(record.account, event.trading_day, known)),
    )


class _Facts(NamedTuple):
    """What an account knew of its days at a log position."""

    logged: LoggedAccount
    cash: list[LoggedCash]

    def trades(self, day: TradingSpan) -> dict[tuple[int, int], LoggedTrade]:
        return {each.number: each for each in self.logged.trades if day.since <= each.at < day.until}

    def results(self, day: TradingSpan) -> dict[str, tuple[Decimal, Decimal] | None]:
        """Return what was realized and cost, by contract and currency; None where it is not known."""
        found: dict[str, tuple[Decimal, Decimal] | None] = {}
        try:
            with derived_times():
                totals = self.logged.book.pnl.by_symbol(self.logged.account, day.since)
        except UnknownContract as e:
            return {e.symbol: None}
        with decimal.localcontext(FIXED):
            for each in totals:
                name = f"{each.symbol or 'cash'} {each.currency or ''}".strip()
                realized, fees = found.get(name) or (ZERO, ZERO)
                found[name] = realized + each.result, fees + each.fees
        return found


class _Pasts:
    """What was known of accounts at the positions that are asked for, each folded once."""

    def __init__(self, store: EventReader) -> None:
        self._store, self._head = store, store.head()
        self._facts: dict[tuple[str, int], _Facts] = {}

    def changes(self, account: str, date: datetime.date, known_up_to: int) -> Iterator[DayChange]:
        """Yield what of a day is not as it was known up to a log position."""
        then, now = self._known(account, known_up_to), self._known(account, self._head)
        day, day_now = then.logged.days.named(date), now.logged.days.named(date)
        if day[:3] != day_now[:3] and day.is_known:
            yield DayChange("the day begins or ends at another time", ())
        before, after = then.trades(day), now.trades(day_now)
        for number in sorted({*before, *after}):
            text = _changed(before.get(number), after.get(number))
            if text is not None:
                trade = after.get(number) or before[number]
                yield DayChange(text, now.logged.records_of(trade))
        for each in now.cash:
            if each.position > known_up_to and now.logged.days.of_cash(each.at).name == day_now.name:
                yield DayChange(f"{each.kind} {each.amount:f} {each.currency} was recorded since", (each.position,))
        reopened = now.logged.reopened
        if reopened is not None and known_up_to < reopened[1] and day.since < reopened[0]:
            yield DayChange("the account was reopened since, and its results began again", (reopened[1],))
        else:
            yield from _other_results(then.results(day), now.results(day_now))

    def _known(self, account: str, log_position: int) -> _Facts:
        key = (account, log_position)
        if key not in self._facts:
            with derived_times():
                logged = LoggedAccount(as_of(self._store, position=log_position, account=account), account)
            self._facts[key] = _Facts(logged, logged_cash(logged))
        return self._facts[key]


def _changed(before: LoggedTrade | None, after: LoggedTrade | None) -> str | None:
    """Return how a trade of a day is not as it was; None if it is."""
    if before is None and after is not None:
        return None if after.busted else f"{_words(after)} was recorded since"
    if after is None and before is not None:
        return f"{_words(before)} is of another day or gone since"
    assert before is not None
    assert after is not None
    if after.busted and not before.busted:
        return f"{_words(before)} was busted since"
    if _figures(before) != _figures(after):
        return f"{_words(before)} is {_words(after)} since"
    if before.fees != after.fees and not after.busted:
        return f"{_words(after)} has other costs since"
    return None


def _figures(of: LoggedTrade) -> tuple[object, ...]:
    return of.side, of.quantity, of.price, of.busted


def _words(of: LoggedTrade) -> str:
    return f"{of.side} {of.quantity:f} {of.symbol} at {of.price:f}"


def _other_results(
    then: dict[str, tuple[Decimal, Decimal] | None], now: dict[str, tuple[Decimal, Decimal] | None]
) -> Iterator[DayChange]:
    for name in sorted({*then, *now}):
        was, is_now = then.get(name, _NOTHING), now.get(name, _NOTHING)
        if was is None or is_now is None:
            if was != is_now:
                yield DayChange(f"whether the result of {name} is known has changed", ())
        elif was[0] != is_now[0]:
            yield DayChange(f"profit and loss of {name} was {was[0]:f} and is {is_now[0]:f}", ())


_NOTHING: tuple[Decimal, Decimal] | None = (ZERO, ZERO)
