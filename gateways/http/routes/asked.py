"""What questions have in common: parameters, the instant that they are about, and an account that the log has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

from litestar.openapi.spec import Example
from litestar.params import PathParameter, QueryParameter

from eventstore import InvalidEvent
from eventstore.clock import TIME_MAX, format_time, parse_time
from eventstore.remote.wire import malformed
from gateways.http.access import Caller
from gateways.http.answering import NotFound
from gateways.presenting.close_names import close_to
from projections.views.accounts import AccountsView

if TYPE_CHECKING:
    from projections import Book

AccountPath: TypeAlias = Annotated[str, PathParameter(description="The account.", examples=[Example(value="ACC1")])]
AccountQuery: TypeAlias = Annotated[
    str | None, QueryParameter(name="account", description="The account.", examples=[Example(value="ACC1")])
]
RequestPath: TypeAlias = Annotated[
    str, PathParameter(description="The request's id.", examples=[Example(value="daily-loss-2025-11-19")])
]


def known(book: Book, account: str, caller: Caller) -> str:
    """Return an account that the log has a record of; raise NotFound with those close to it that the caller sees."""
    # Nearly every account has been opened; all that any view knows of take longer to gather.
    if account in book.partitions(AccountsView.name):
        return account
    everything = book.accounts.known()
    if account in everything:
        return account
    _, _, accounts, _ = book.parts
    # A book of some accounts does not know which others there are.
    close = "" if accounts is not None else f": {close_to(account, filter(caller.sees, everything))}"
    msg = f"log {book.reader.log} has no account {account!r}{close}"
    raise NotFound(msg)


def instant(name: str, text: str | None) -> int | None:
    """Return a parameter's instant in UNIX ns; raise InvalidEvent for anything but ISO 8601 text with a zone."""
    if text is None:
        return None
    try:
        return parse_time(text)
    except InvalidEvent as e:
        # What a form or a careless client sends: a plus sign that nobody escaped is a blank.
        hint = ", and its + as %2B in a URL" if " " in text.strip()[10:] else ""
        path = f"/{name}"
        raise malformed(path, f"{e}{hint}") from e


def instant_text(at: int | None) -> str | None:
    """Return an instant as answers have it."""
    return None if at is None else format_time(min(at, TIME_MAX))
