"""What a decision on a limit rests on: the limit's setting, the marks, the executions, the schedule and the quotes."""

from __future__ import annotations

import uuid
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NamedTuple

from eventstore.clock import DAY_YEARS, NANOSECONDS
from eventstore.streams import stream_of
from eventstore.trading import (
    BlackoutScheduled,
    EnforcementRequested,
    LimitBreached,
    LockoutSet,
    QuotesKept,
    WouldAsk,
    WouldLock,
)
from projections.auditing.causes.answer import FigureMade, Role
from projections.auditing.causes.parts import FigureParts, Parts
from projections.decimals import ZERO
from projections.risk.limits.kind import KINDS, RestsOn
from projections.view import SHARED
from projections.views.limits.parameters import group_rule_id, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore import Record
    from projections.auditing.causes.search import LogSearch

Decided = LockoutSet | LimitBreached | WouldLock
Asked = EnforcementRequested | WouldAsk
MINUTE_NS = 60 * NANOSECONDS
_DIGITS_MAX = 40
"""Beyond so many, a figure in a decision's details cannot be an amount, and may be too long to write out."""
_TERMS = (
    "realized",
    "fees",
    "cash",
    "unrealized",
    "carried",
    "balance",
    "equity",
    "high",
    "best",
    "result",
    "distance",
)


class ReasonRecord(NamedTuple):
    """A record that a decision rests on, and what it added to the figure."""

    role: Role
    record: Record
    amounts: dict[str, Decimal] = {}  # noqa: RUF012 - a default that nobody changes


class DecisionSearch:
    """Finds what the decision of one record rests on."""

    def __init__(self, search: LogSearch, record: Record, event: Decided) -> None:
        self._search, self._record, self._event = search, record, event
        self._details: dict[str, Any] = event.details if isinstance(event.details, dict) else {}
        self.figures: list[FigureMade] = []

    def found(self, cause: Record | None) -> Iterator[ReasonRecord]:
        """Yield the records that it rests on, apart from its cause."""
        limit = self._limit()
        if limit is not None:
            yield ReasonRecord(Role.LIMIT, limit)
        marks = list(self._marks())
        yield from marks
        yield from self._schedule()
        for account in self._accounts():
            yield from self._made(account, marks, cause)
        yield from self._quotes()

    def _limit(self) -> Record | None:
        position = self._details.get("limit_position")
        if type(position) is int:
            found = self._search.at(position)
            if found is None:
                self._search.note(
                    f"the limit's setting at position {position:,} is not in log {self._search.store.log}"
                )
            return found
        if KINDS.get(kind_of(self._rule)) is not None and self._record.actor.startswith("policy:"):
            self._search.note(f"position {self._record.position:,} does not say which setting of its limit decided")
        return None

    @property
    def _rule(self) -> str:
        """The rule's id as its limit has it, without the name of a group."""
        group = self._details.get("group")
        return (
            self._event.rule_id.removeprefix(group_rule_id(group, ""))
            if isinstance(group, str)
            else self._event.rule_id
        )

    @property
    def _currency(self) -> str | None:
        currency = self._details.get("currency")
        return currency if isinstance(currency, str) else None

    def _accounts(self) -> list[str]:
        """Return the accounts whose figures were added up: the record's own, or a group's members."""
        shares = self._details.get("accounts")
        return sorted(shares) if isinstance(shares, dict) and shares else [self._record.account]

    def _marks(self) -> Iterator[ReasonRecord]:
        marks = self._details.get("marks")
        for text in marks if isinstance(marks, list) else ():
            id_ = _id_of(text)
            mark = None if id_ is None else self._search.by_id(id_, before=self._record.position)
            if mark is None:
                self._search.note(f"the mark {text} of position {self._record.position:,} is not in this log")
            else:
                yield ReasonRecord(Role.MARK, mark)

    def _schedule(self) -> Iterator[ReasonRecord]:
        name = self._details.get("blackout")
        if not isinstance(name, str):
            return
        for account in (self._record.account, SHARED):
            stream = stream_of("blackout", account, name)
            found = self._search.last(stream, (BlackoutScheduled,), self._record.position)
            if found is not None:
                yield ReasonRecord(Role.SCHEDULE, found)

    def _made(self, account: str, marks: list[ReasonRecord], cause: Record | None) -> Iterator[ReasonRecord]:
        """Yield the executions that made an account's figure."""
        rests_on, before = self._rests_on(), self._record.position - 1
        if rests_on is RestsOn.LIMIT or account.startswith("@"):
            return
        # The figure was that of the book at the record which the decision was made for.
        until = cause.position if cause is not None and cause.position < self._record.position else before
        parts = FigureParts(self._search.store, account, until)
        marked_at = max((each.record.position for each in marks), default=parts.life)
        if rests_on is RestsOn.HIGH and not marks:
            begun = self._search.at(parts.opened)
            if begun is not None:
                marks = [ReasonRecord(Role.MARK, begun)]
                yield marks[0]
        made = self._parts(parts, rests_on, marked_at)
        for each in made.unknown:
            self._search.note(each)
        self._state(account, rests_on, made)
        parts_by_position = {part.log_position: part for part in made.found}
        for record in self._search.of_account(account, list(parts_by_position)):
            part = parts_by_position[record.position]
            yield ReasonRecord(part.role, record, part.amounts)

    def _rests_on(self) -> RestsOn:
        kind = KINDS.get(kind_of(self._rule))
        if kind is not None:
            return kind.rests_on
        # A lockout that nobody decided by figures has none.
        return RestsOn.POSITIONS if self._details else RestsOn.LIMIT

    def _parts(self, parts: FigureParts, rests_on: RestsOn, marked_at: int) -> Parts:
        day = self._day(parts)
        if rests_on in {RestsOn.DAY, RestsOn.WEEK}:
            made = self._of_days(parts, day, rests_on)
            return _joined(made, parts.held()) if "unrealized" in self._details else made
        if rests_on is RestsOn.HIGH:
            made = parts.since(marked_at)
            return _joined(made, parts.held()) if self._details.get("quotes") else made
        if rests_on is RestsOn.TRIPS:
            trips = self._details.get("trips")
            named = [
                each.get("position") for each in (trips if isinstance(trips, list) else ()) if isinstance(each, dict)
            ]
            return parts.of_trips(each for each in named if type(each) is int)
        if rests_on is RestsOn.COUNT:
            counted = self._details.get("basis")
            count = None if counted == "round_trips" else _decimal(self._details.get("figure"))
            return parts.counted(day, orders=counted == "orders", count=count)
        scope = getattr(self._event, "scope", "")
        return parts.held(scope.partition(":")[2] if scope.startswith("symbol:") else None)

    def _of_days(self, parts: FigureParts, day: str, rests_on: RestsOn) -> Parts:
        """Return what a day's or week's result is made of."""
        names = [day] if rests_on is RestsOn.DAY else parts.names_of_week(day.removeprefix("~"))
        made, stated, currency = parts.of_days(names), _stated(self._details, rests_on), self._currency or ""
        if not day.startswith("~") or stated is None or (made.sums or {}).get(currency, ZERO) == stated:
            return made
        return parts.newest(day[1:], stated, currency) or made

    def _day(self, parts: FigureParts) -> str:
        day = self._details.get("trading_day")
        if isinstance(day, str):
            if _is_date(day):
                return parts.day_name(day)
            self._search.note(f"{day!r:.80}, which position {self._record.position:,} names, is not a trading day")
        return parts.name_at(self._record.occurred_at)

    def _state(self, account: str, rests_on: RestsOn, made: Parts) -> None:
        """Note the figure as the decision states it, and whether what was found adds up to it."""
        details, currency, quotes = self._details, self._currency, self._details.get("quotes")
        added = made.added(currency)
        if currency is not None and (others := made.others(currency)):
            self._search.note(f"{account}: its records added {others} as well, and currencies are not added up here")
        share = details["accounts"].get(account) if isinstance(details.get("accounts"), dict) else None
        figure = FigureMade(
            name=self._event.rule_id,
            account=account,
            amount=_decimal(share or details.get("figure")),
            limit=_decimal(details.get("limit")),
            currency=currency,
            terms={name: str(details[name]) for name in _TERMS if name in details},
            quotes=dict(quotes) if isinstance(quotes, dict) else {},
            added=added,
        )
        self.figures.append(figure)
        stated = _stated(details, rests_on)
        if stated is not None and added is not None and stated != added:
            self._search.note(
                f"{account}: the records listed add up to {added:f}, and the decision at position "
                f"{self._record.position:,} states {stated:f}: the rest has no record here"
            )

    def _quotes(self) -> Iterator[ReasonRecord]:
        """Yield the quotes that were kept: at most once for each account and minute, after the decision."""
        record = self._record
        at = {max(record.occurred_at, record.recorded_at), min(record.occurred_at, record.recorded_at)}
        kept = False
        for minute in sorted({each // MINUTE_NS for each in at}):
            stream = stream_of("evidence", record.account, str(minute))
            for found in self._search.store.read(stream=stream, types=QuotesKept):
                kept = True
                yield ReasonRecord(Role.QUOTES, found)
        if self._details.get("quotes") and not kept:
            self._search.note(
                f"no quotes are kept with the decision at position {record.position:,}: those that its details name "
                "are all that is recorded"
            )


def _id_of(text: object) -> bytes | None:
    try:
        return uuid.UUID(text).bytes if isinstance(text, str) else None
    except ValueError:
        return None


def _is_date(text: str) -> bool:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return False
    return day.isoformat() == text and day.year in DAY_YEARS


def _joined(one: Parts, other: Parts) -> Parts:
    """Return the parts of two figures; a record in both has what it added to the first."""
    known = {each.log_position: each for each in (*other.found, *one.found)}
    return Parts(tuple(known[each] for each in sorted(known)), one.sums, (*one.unknown, *other.unknown))


def _stated(details: dict[str, Any], rests_on: RestsOn) -> Decimal | None:
    """Return what a decision says that the records add up to; None where it does not say."""
    if rests_on in {RestsOn.DAY, RestsOn.WEEK}:
        realized, fees, cash = (_decimal(details.get(name)) for name in ("realized", "fees", "cash"))
        return None if realized is None else realized - (fees or ZERO) + (cash or ZERO)
    if rests_on is RestsOn.HIGH and details.get("basis") == "realized":
        balance, high = _decimal(details.get("balance")), _decimal(details.get("high"))
        return None if balance is None or high is None else balance - high
    return None


def _decimal(text: object) -> Decimal | None:
    try:
        number = Decimal(text) if isinstance(text, str) else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() and abs(number.adjusted()) <= _DIGITS_MAX else None
