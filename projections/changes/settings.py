"""What holds for accounts and markets: trading days, groups, policies, notes, saved states, contracts and rates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from eventstore.streams import unescaped
from eventstore.trading import (
    Approved,
    ClockJumped,
    ContractDefined,
    GroupDefined,
    NoteAdded,
    PairStateSaved,
    PolicyResumed,
    PolicyStopped,
    PortfolioSaved,
    RateQuoted,
    SessionClosed,
    SessionOpened,
    SessionReset,
)
from projections.changes.compared import ListedView
from projections.view import SHARED
from projections.views.contracts.view import ContractsView
from projections.views.groups import GroupsView
from projections.views.notes import NotesView
from projections.views.pairs import PairsView
from projections.views.policies import PoliciesView
from projections.views.rates import RatesView
from projections.views.sessions import SessionsView

if TYPE_CHECKING:
    from eventstore import Record
    from projections.book import Book

Facts = Mapping[str, Any]


def _sessions(book: Book, account: str) -> Facts:
    if book.state(SessionsView.name, account) is None:
        return {}
    return {each.trading_day.isoformat(): each for each in book.sessions.history(account)}


def _session_of(event: Any, _record: Record) -> str | None:  # noqa: ANN401 - an event of any class
    day = getattr(event, "trading_day", None)
    return None if day is None else str(day)


def _groups(book: Book, _account: str) -> Facts:
    found = {name: book.groups.get(name) for name in book.groups.names()}
    # Their limits are compared as those of accounts are; when a member's day began says nothing of the group itself.
    return {
        name: replace(group, rules={}, begun={}, anomalies=())
        for name, group in found.items()
        if group is not None and group.defined_at is not None
    }


def _policies(book: Book, account: str) -> Facts:
    state = book.state(PoliciesView.name, account)
    return {} if state is None else state.policies


def _entity_of(_event: object, record: Record) -> str:
    return unescaped(record.entity)


def _group_of(event: object, record: Record) -> str | None:
    return None if isinstance(event, Approved) else unescaped(record.entity)


def _notes(book: Book, account: str) -> Facts:
    return {str(note.uuid): note for note in book.notes.of(account)}


def _note_of(_event: object, record: Record) -> str:
    return str(record.uuid)


def _saved(book: Book, account: str) -> Facts:
    pairs, portfolios = book.pairs.of(account), book.pairs.portfolios(account)
    return {f"pair {each.name}": each for each in pairs} | {f"portfolio {each.name}": each for each in portfolios}


def _contracts(book: Book, _account: str) -> Facts:
    return {each.symbol: each for each in book.contracts.all()}


def _contract_of(event: Any, _record: Record) -> str:  # noqa: ANN401 - an event of any class
    return str(event.symbol)


def _rates(book: Book, _account: str) -> Facts:
    state = book.state(RatesView.name, SHARED)
    return {} if state is None else state.pairs


SETTINGS = (
    ListedView(
        "sessions", SessionsView.name, _sessions, (SessionOpened, SessionReset, SessionClosed, ClockJumped), _session_of
    ),
    ListedView("groups", GroupsView.name, _groups, (GroupDefined, Approved), _group_of),
    ListedView("policies", PoliciesView.name, _policies, (PolicyStopped, PolicyResumed), _entity_of),
    ListedView("notes", NotesView.name, _notes, (NoteAdded,), _note_of),
    ListedView("saved_states", PairsView.name, _saved, (PairStateSaved, PortfolioSaved)),
    ListedView("contracts", ContractsView.name, _contracts, (ContractDefined,), _contract_of),
    ListedView("rates", RatesView.name, _rates, (RateQuoted,)),
)
"""The views of this subject, in the order in which they are compared."""
