"""Marks of equity that a backlog of records led to: they count for the records after those that caused them."""

from __future__ import annotations

import contextlib
import copy
import itertools
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import Record
from eventstore.events.registry import by_class
from eventstore.ids import keyed_id
from eventstore.streams import account_of
from eventstore.trading import AccountReopened, Approved, CashMoved, EquityCorrected, EquityMarked
from projections.risk.policies.protocol import Decision, PendingDecision, keyed
from projections.views.equity import EquityView
from projections.views.high_water_marks import HighWaterMarksView

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from eventstore import Event, EventStore
    from projections.book import Book

_VIEWS: tuple[HighWaterMarksView | EquityView, ...] = (HighWaterMarksView(), EquityView())
MARK = by_class(EquityMarked).name
_TYPES = {by_class(cls).name for view in _VIEWS for cls in view.types or ()}
_MOVING = {by_class(cls).name for cls in (AccountReopened, Approved, CashMoved, EquityCorrected)}


class _Account(msgspec.Struct):
    """The states of an account by view and partition; `newest` is the newest decision that marked it.

    `is_moved`: whether cash, a correction or a new life changed the marks since.
    """

    states: dict[tuple[str, str], Any]
    newest: PendingDecision
    is_moved: bool = False


class UnfoldedMarks:
    """By account, what the views of marks hold where each mark is folded right after the record that caused it.

    A mark is appended at the log's end. Where many records were appended at once, as an import does, all of them are
    before it, and a floor that follows the marks would stand still for all of them. So policies are evaluated with
    these states in place of the book's, until the book has folded the marks themselves.
    """

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] = {}
        self._until = 0

    @property
    def is_empty(self) -> bool:
        return not self._accounts

    def supposed(self, book: Book, account: str) -> contextlib.AbstractContextManager[None]:
        """Have the book hold these states of an account while this context lasts."""
        found = self._accounts.get(account)
        return contextlib.nullcontext() if found is None else book.supposing(found.states)

    def take(self, record: Record) -> None:
        """Fold a record that the book has just folded."""
        found = self._accounts.get(record.account)
        if found is not None and record.type in _TYPES:
            _apply(found.states, record.event, record)
            found.is_moved = found.is_moved or record.type in _MOVING

    def note(self, book: Book, record: Record, newest: Iterable[PendingDecision], store: EventStore) -> None:
        """Add the account's marks among the newest decisions, those on a record, if the log has records after it."""
        marks = [
            (each, event, stream, key)
            for each in itertools.takewhile(lambda one: one.trigger.record is record, newest)
            for (stream, event), key in zip(each.decision.events, each.keys, strict=True)
            if isinstance(event, EquityMarked) and account_of(stream) == record.account
        ]
        if not marks or record.position >= (head := store.head()):
            return
        self._until = max(self._until, head)
        for each, event, stream, key in marks:
            found = self._accounts.get(record.account)
            if found is None:
                names = [(view.name, record.account) for view in _VIEWS]
                states = [_copied(book.state(*name), view) for name, view in zip(names, _VIEWS, strict=True)]
                found = self._accounts[record.account] = _Account(dict(zip(names, states, strict=True)), each)
            found.newest = each
            _apply(found.states, event, _folded_after(record, keyed_id(stream, key), stream, each.trigger.at))

    def appended(self, head: int) -> None:
        """Say that the marks are in the log up to its head."""
        self._until = max(self._until, head)

    def settled(self, book: Book) -> list[PendingDecision]:
        """Forget the states once the book has folded the backlog and its marks; return the marks that are missing.

        After cash, a correction or a new life none is appended that is of the time before. What the marks have become
        since is one more mark.
        """
        if not self._accounts or book.position < self._until:
            return []
        left = [_missing(book, name, found) for name, found in self._accounts.items() if found.is_moved]
        self._accounts.clear()
        return [each for each in left if each is not None]


def _missing(book: Book, account: str, found: _Account) -> PendingDecision | None:
    """Return a mark of the highs and the floor of an account, as its marks have become with what moved them."""
    with book.supposing(found.states):
        highs, mark = book.bests.highs(account), book.equity.get(account)
    if mark is None or highs.balance is None or highs.equity is None:
        return None
    event = EquityMarked(
        balance=highs.balance,
        equity=highs.equity,
        high_water=mark.high_water,
        floor=mark.floor,
        currency=mark.currency,
        trading_day=mark.trading_day,
    )

    def is_there(book: Book) -> bool:
        highs, known = book.bests.highs(account), book.equity.get(account)
        reached = [(highs.balance, event.balance), (highs.equity, event.equity)]
        if known is not None:
            reached.append((known.high_water, event.high_water))
        if event.floor is not None:
            reached.append((None if known is None else known.floor, event.floor))
        return all(figure is not None and figure >= wanted for figure, wanted in reached)

    policy, trigger = found.newest.policy, found.newest.trigger
    decision = Decision(((f"equity/{account}/-", event),), obsolete_if=is_there, key=f"{account}/backlog/{trigger.key}")
    (pending,) = keyed(policy, trigger, [decision])
    return pending


def _folded_after(record: Record, id_: bytes, stream: str, at: int) -> Record:
    """Return the record of a mark at the place of the record that caused it."""
    return Record(
        id=id_,
        stream=stream,
        type=MARK,
        schema=by_class(EquityMarked).schema,
        occurred_at=at,
        data=b"",
        actor="",
        note="",
        correlation_id=None,
        causation_id=record.id,
        position=record.position,
        version=0,
        recorded_at=record.recorded_at,
        digest=b"",
        log=record.log,
    )


def _copied(state: Any, view: HighWaterMarksView | EquityView) -> Any:  # noqa: ANN401 - each view has its own
    return view.initial() if state is None else copy.deepcopy(state)


def _apply(states: Mapping[tuple[str, str], Any], event: Event, record: Record) -> None:
    for view in _VIEWS:
        if isinstance(event, view.types or ()):
            view.apply(states[view.name, record.account], event, record)
