"""What holds, now or at a past instant: the state of one view, and a summary of every account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from litestar import get
from litestar.openapi.spec import Example
from litestar.params import PathParameter, QueryParameter

import projections
from eventstore.clock import derived_times
from eventstore.remote.wire import malformed
from gateways.http.access import Caller, Scope
from gateways.http.account_names import named
from gateways.http.answering import NotFound
from gateways.http.routes.asked import AccountQuery, instant, instant_text, known
from gateways.http.routes.documented import responses
from gateways.http.routes.parameters import Asking, Calling
from gateways.presenting.account_summary import account_summaries
from gateways.presenting.close_names import close_to
from gateways.presenting.states import STATES, StateQuestion, answered, at_one_position
from projections.view import SHARED

if TYPE_CHECKING:
    from eventstore import EventStore
    from projections import Book

ViewName = Annotated[
    str, PathParameter(description=f"One of {', '.join(STATES)}.", examples=[Example(value="positions")])
]
Symbol = Annotated[
    str | None,
    QueryParameter(
        name="symbol",
        description="Only this contract's orders, trades, trips and positions, and the lockouts that apply to it.",
        examples=[Example(value="ESZ5")],
    ),
]
OrderId = Annotated[
    str | None,
    QueryParameter(name="order_id", description="This order alone, of any age.", examples=[Example(value="O-17")]),
]
Occurred = Annotated[
    str | None,
    QueryParameter(name="at", description="What was true at this instant, by when events happened: ISO 8601, a zone."),
]
Known = Annotated[
    str | None,
    QueryParameter(name="known_by", description="What was known by this instant, by when events were recorded."),
]


class StateAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a view at a log position.

    `at` is the instant that what depends on time is shown for: lockouts, headroom, sessions. `known_by`: up to when
    records count, null for all. `as_of`: whether this is the past, not the book that is kept up to date.
    """

    view: str
    account: str | None
    log_position: int
    at: str | None
    known_by: str | None
    as_of: bool
    state: Any


class AccountsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Every account that the caller sees, at one log position. `at`, `known_by` and `as_of` are those of a state."""

    log: str
    log_position: int
    at: str | None
    known_by: str | None
    as_of: bool
    accounts: Any


@get("/v1/state/{view:str}", opt={"scope": Scope.READ, "question": "state"}, responses=responses(404), tags=["state"])
async def read_state(
    service: Asking,
    caller: Calling,
    view: ViewName,
    account: AccountQuery = None,
    at: Occurred = None,
    known_by: Known = None,
    symbol: Symbol = None,
    order_id: OrderId = None,
) -> StateAnswer:
    """Return what a view says of an account, now or as of a past instant.

    Without `at` and `known_by`: now, with all that any process has committed. With `known_by` alone: what was known
    then. With `at`: what was true then, as far as is known now, or was known by `known_by`. `contracts`, `quotes`,
    `groups` and `policies` need no account. `symbol` narrows orders, trades, trips, positions and lockouts; `order_id`
    gives one order of any age.
    """
    occurred, recorded = instant("at", at), instant("known_by", known_by)
    asked_of = _account_of(view, account, caller)
    is_past = occurred is not None or recorded is not None
    if is_past and not STATES[view].has_past:
        raise malformed("/known_by" if occurred is None else "/at", f"{view} are not kept: ask for them as of now")

    def ask(book: Book) -> StateAnswer:
        if account is not None:
            known(book, account, caller)
        moment = recorded if occurred is None else occurred
        now = book.now_ns()
        asked = StateQuestion(asked_of, moment, symbol, order_id)
        with derived_times():
            state, position = _past(book, view, asked, occurred, recorded) if is_past else answered(book, view, asked)
        if view == "groups":
            state = _seen(state, caller)
        if state is None and order_id is not None:
            msg = f"account {account} has no order {order_id!r} at position {position:,}"
            raise NotFound(msg)
        return StateAnswer(
            view=view,
            account=account,
            log_position=position,
            at=instant_text(now if moment is None else moment),
            known_by=instant_text(recorded),
            as_of=is_past,
            # Written here, not in the loop, where a large state would keep others waiting.
            state=msgspec.Raw(msgspec.json.encode(state)),
        )

    return await (service.ask_long(ask) if is_past else service.ask(ask))


@get("/v1/accounts", opt={"scope": Scope.READ, "question": "state"}, responses=responses(404), tags=["state"])
async def read_accounts(
    service: Asking,
    caller: Calling,
    account: AccountQuery = None,
    at: Occurred = None,
    known_by: Known = None,
) -> AccountsAnswer:
    """Return a summary of every account that the caller sees, or of one, all at one log position.

    Each has: whether it is locked, with the lockouts; equity, headroom of every limit, and limits that are not judged,
    with status and why; positions, working orders, pending enforcement, what waits for approval, the protection mode
    and the trading day. A part that is not known is null, and `unknown` says why. `at` and `known_by` are those of
    `/v1/state`: with one of them it is the past, as it was true or known then.
    """
    occurred, recorded = instant("at", at), instant("known_by", known_by)
    is_past = occurred is not None or recorded is not None

    def ask(book: Book) -> AccountsAnswer:
        if account is not None:
            known(book, named(account), caller)
        moment = occurred if occurred is not None else recorded if recorded is not None else book.now_ns()
        with derived_times():
            asked = _as_of(book, account, occurred, recorded) if is_past else book
            # Of one account that was not known by then there is nothing to say.
            names = [
                name for name in asked.accounts.known() if caller.sees(name) and (account is None or name == account)
            ]
            found, position = at_one_position(asked, lambda: account_summaries(asked, names, moment))
        return AccountsAnswer(
            log=book.reader.log,
            log_position=position,
            at=instant_text(moment),
            known_by=instant_text(recorded),
            as_of=is_past,
            accounts=msgspec.Raw(msgspec.json.encode(found)),
        )

    return await (service.ask_long(ask) if account is None or is_past else service.ask(ask))


def _account_of(view: str, account: str | None, caller: Caller) -> str:
    """Return the account that a view is asked about; raise NotFound for an unknown view."""
    known_view = STATES.get(view)
    if known_view is None:
        msg = f"there is no view {view!r}: {close_to(view, STATES)}"
        raise NotFound(msg)
    if account is not None:
        return named(account)
    if not known_view.is_shared:
        raise malformed("/account", f"{view} are those of an account: name it with account=")
    if view in ACROSS_ACCOUNTS:
        caller.require_all_accounts(Scope.READ)
    return SHARED


def _seen(groups: list[dict[str, Any]], caller: Caller) -> list[dict[str, Any]]:
    """Return groups without the members that a caller does not see."""
    return [each | {"accounts": [name for name in each["accounts"] if caller.sees(name)]} for each in groups]


ACROSS_ACCOUNTS = frozenset({"groups", "policies"})
"""Views that need no account, and then name several."""


def _past(book: Book, view: str, asked: StateQuestion, occurred: int | None, recorded: int | None) -> tuple[Any, int]:
    """Return the state of a view as of a past instant."""
    account = None if asked.account == SHARED else asked.account
    return answered(_as_of(book, account, occurred, recorded), view, asked)


def _as_of(book: Book, account: str | None, occurred: int | None, recorded: int | None) -> Book:
    store: EventStore = book.reader  # type: ignore[assignment]
    return projections.as_of(store, occurred_at=occurred, recorded_at=recorded, account=account)


ROUTES = (read_state, read_accounts)
