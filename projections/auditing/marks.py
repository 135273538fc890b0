"""What is remarkable of a record: late, repeated, corrected or correcting, anomalous, unread."""

from __future__ import annotations

import contextlib
import enum
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import StoreError
from eventstore.clock import NANOSECONDS
from eventstore.trading import EquityCorrected, OrderFilled, TradeBusted, TradeCorrected, TradeExecuted
from projections.auditing.amendments import position_of
from projections.auditing.facts import trades_named
from projections.views.executions.items import AHEAD_MAX
from projections.views.executions.trades import Trade
from projections.views.log_clock import WrongTime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore import Event, Record
    from projections.auditing.amendments import Amendments
    from projections.auditing.effects import Effect
    from projections.book import Book

LATE_AFTER = 60 * NANOSECONDS
"""How long after it happened something is recorded at most, if nothing kept its process from it."""


class MarkKind(enum.StrEnum):
    """What is remarkable of a record."""

    LATE = "LATE"
    """It was recorded more than a minute after it happened."""
    AHEAD = "AHEAD"
    """It states a time that the log had not reached when it was recorded."""
    REPEATS = "REPEATS"
    """It reports an execution that another record had reported before: it counts once."""
    BUSTS = "BUSTS"
    """It says that an earlier record's trade does not count."""
    CORRECTS = "CORRECTS"
    """It says what is right in place of an earlier record."""
    BUSTED = "BUSTED"
    """A later record says that its trade does not count."""
    CORRECTED = "CORRECTED"
    """A later record says what is right."""
    ANOMALY = "ANOMALY"
    """The fold has marked it: `text` names the kind."""
    UNREAD = "UNREAD"
    """This process cannot read it."""


class Mark(msgspec.Struct, frozen=True):
    """What is remarkable of a record, with the log position of the other record that it concerns, if there is one."""

    kind: MarkKind
    position: int | None = None
    text: str = ""


class NotedAnomalies:
    """The anomalies that a book has of an account's records, by log position: as long as it folds nothing more."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._by_place: dict[tuple[str, str], dict[int, dict[str, None]]] = {}

    def of(self, record: Record) -> Iterator[str]:
        """Yield the kinds of anomalies of a record."""
        place = record.category, record.account
        known = self._by_place.get(place)
        if known is None:
            known = self._by_place[place] = {}
            for each in _noted(self._book, *place):
                for position in _positions_of(each):
                    known.setdefault(position, {})[_kind_of(each)] = None
        yield from known.get(record.position, ())


def marks_of(effect: Effect, amendments: Amendments, noted: NotedAnomalies | None = None) -> tuple[Mark, ...]:
    """Return what is remarkable of a record, given what it changed and what others say of it.

    `noted` has the anomalies of the effect's book, where that is at the log's head for every record.
    """
    record, event = effect.record, effect.event
    found = list(_by_time(record))
    if event is None:
        return (*found, Mark(MarkKind.UNREAD, None, *effect.unknown[:1]))
    parts = [_anomalies(effect, noted)]
    # A page has hundreds of records, and nearly all of them have nothing to do with others.
    if amendments:
        parts.insert(0, _by_others(effect, event, amendments, None if noted is None else effect.book))
    if isinstance(event, _OF_EARLIER):
        parts.insert(0, _about_earlier(effect, event))
    for part in parts:
        # What a view that failed would say is not known: the entry says that it failed.
        with contextlib.suppress(StoreError):
            found += part
    return tuple(found)


def _by_time(record: Record) -> Iterator[Mark]:
    behind = record.recorded_at - record.occurred_at
    if behind > LATE_AFTER:
        yield Mark(MarkKind.LATE, None, f"recorded {duration(behind)} after it happened")
    elif -behind > AHEAD_MAX:
        yield Mark(MarkKind.AHEAD, None, f"dated {duration(-behind)} after it was recorded")


def duration(nanoseconds: int) -> str:
    """Return how long something took, in the two largest units: `2 days 3 h`, `4 min 10 s`, `250 ms`."""
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    if not seconds:
        return f"{rest // 1_000_000} ms" if rest >= 1_000_000 else f"{rest / 1_000:g} µs"  # noqa: PLR2004 - ns in a ms
    parts = []
    for name, size in (("days", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count:,} {'day' if name == 'days' and count == 1 else name}")
    return " ".join(parts[:2])


def _about_earlier(effect: Effect, event: Event) -> Iterator[Mark]:
    record, trades = effect.record, [each.after for each in effect.changes if each.view == "trades"]
    positions = [trade.position for trade in trades if isinstance(trade, Trade)]
    match event:
        case OrderFilled() | TradeExecuted():
            known = trades_named(effect.book, record.account, event)
            firsts = [item.log_position for item in known]
            # One past it is another trade of the id: that of the record is not remembered any more.
            if firsts and record.position not in firsts and min(firsts) < record.position:
                # Several trades may share an id: each knows in which streams it was reported.
                there = [item.log_position for item in known if record.stream in item.streams]
                yield Mark(MarkKind.REPEATS, (positions or there or firsts)[0])
        case TradeBusted():
            yield from (Mark(MarkKind.BUSTS, position) for position in positions)
        case TradeCorrected():
            yield from (Mark(MarkKind.CORRECTS, position) for position in positions)
        case EquityCorrected() if event.wrong is not None:
            wrong = position_of(effect.book.reader, record.account, event.wrong)
            if wrong is not None:
                yield Mark(MarkKind.CORRECTS, wrong)
        case _:
            return


def _by_others(effect: Effect, event: Event, amendments: Amendments, head: Book | None) -> Iterator[Mark]:
    for each in amendments.of_trade(effect.record, event, head):
        yield Mark(MarkKind.BUSTED if each.is_bust else MarkKind.CORRECTED, each.position)
    for position in amendments.of_record(effect.record):
        yield Mark(MarkKind.CORRECTED, position)


def _anomalies(effect: Effect, noted: NotedAnomalies | None) -> Iterator[Mark]:
    """Yield what the fold has marked of the record itself."""
    record = effect.record
    kinds = noted.of(record) if noted is not None else _kinds_at(effect)
    for kind in kinds:
        yield Mark(MarkKind.ANOMALY, None, kind)


def _kinds_at(effect: Effect) -> dict[str, None]:
    record = effect.record
    found = [each for change in effect.changes for each in getattr(change.after, "anomalies", ())]
    found += _noted(effect.book, record.category, record.account)
    return dict.fromkeys(_kind_of(each) for each in found if record.position in _positions_of(each))


def _noted(book: Book, category: str, account: str) -> list[Any]:
    """Return the anomalies that a book has of an account's records in a category's streams."""
    found: list[Any] = []
    for name in _NOTED_BY.get(category, ()):
        # A view that failed has marked nothing.
        with contextlib.suppress(StoreError):
            found += getattr(book, name).anomalies(account)
    return found


def _kind_of(anomaly: Any) -> str:  # noqa: ANN401 - each view has its own
    return "WRONG_TIME" if isinstance(anomaly, WrongTime) else str(anomaly.kind)


def _positions_of(anomaly: Any) -> tuple[int, ...]:  # noqa: ANN401 - each view has its own
    return anomaly.positions if isinstance(anomaly, WrongTime) else (anomaly.position,)


_OF_EARLIER = (OrderFilled, TradeExecuted, TradeBusted, TradeCorrected, EquityCorrected)
"""The events that may repeat, bust or correct what an earlier record says."""
_TRADES = ("trades", "positions")
_NOTED_BY = {
    "account": ("accounts", "lockouts"),
    "enforcement": ("enforcement",),
    "fee": _TRADES,
    "limits": ("limits",),
    "lockout": ("lockouts", "limits", "sessions"),
    "order": _TRADES,
    "position": _TRADES,
    "session": ("sessions", "limits"),
    "trade": _TRADES,
}
"""Which of a book's queries know of anomalies of the records in a category's streams."""
