"""Submitting an order: check, reserve and append in one step, so that nobody else can use the same headroom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

import msgspec

from eventstore import AccountChanged, EventStore, InvalidEvent, Overloaded, Record, Unchanged, VersionConflict
from eventstore.batch import AppendOptions
from eventstore.clock import derived_from, question_ns
from eventstore.errors import shown
from eventstore.ids import as_id, keyed_id
from eventstore.readable import Readable
from eventstore.streams import account_of, stream_of
from eventstore.trading import OrderReplaceRequested, OrderSubmitted, Verdict
from projections.risk.checking import INPUT, READINESS, Answer, append_answer, undisturbed
from projections.risk.limits.groups import accounts_concerned
from projections.risk.limits.kind import Finding
from projections.risk.proposals import Proposal
from projections.view import SHARED

if TYPE_CHECKING:
    from decimal import Decimal

    from eventstore.batch import Id
    from eventstore.clock import Times
    from projections.book import Book

ATTEMPTS_MAX = 20


class SubmitOptions(TypedDict, total=False):
    """The keyword arguments of `submit`, for what passes them on."""

    key: str | None
    caused_by: Id | None
    protective_stop: Decimal | None
    actor: str | None


class Submitted(Readable, msgspec.Struct, frozen=True):
    """What became of an order: the answer of its check, and its own record or that of its rejection."""

    answer: Answer
    records: Sequence[Record]


def submit(
    book: Book,
    account: str,
    order_id: str,
    event: OrderSubmitted | OrderReplaceRequested,
    now: Times,
    *,
    key: str | None = None,
    caused_by: Id | None = None,
    protective_stop: Decimal | None = None,
    actor: str | None = None,
) -> Submitted:
    """Check an order, or a replacement, at an instant and append it if it passes; else append RiskChecked alone.

    Send the order only if `answer.passed`. Each of several threads and processes sees the orders that the others have
    appended: an order is appended only if neither its account, nor another one of its groups, nor `-` has a record past
    the position that its check is of; otherwise it is checked again.

    `key`: a retry under it, after an answer was lost, finds the recorded order, which then is not rejected. Without it
    an order id that is recorded already is rejected. `caused_by`: the id of the EnforcementRequested that the order
    carries out. `protective_stop`: the price of the stop that will be sent with the order, or that a replaced one has,
    for a limit on the loss at the stop. `actor`: as for `append`. Raises Overloaded, with nothing written, if others
    were first 20 times; InvalidEvent, DuplicateEvent for other content under the key, and what else `book.append`
    raises.
    """
    stream = _stream_of(account, order_id)
    order = Proposal.of(account, event, order_id=order_id, caused_by=as_id(caused_by), protective_stop=protective_stop)
    # A new order begins its stream; a replacement continues one.
    expected = 0 if isinstance(event, OrderSubmitted) else None
    options = AppendOptions(expected=expected, key=key, actor=actor, causation_id=caused_by)
    own_id = None if key is None else keyed_id(stream, key)
    at = question_ns(now, book.now_ns)
    with derived_from(at):
        for _ in range(ATTEMPTS_MAX):
            # Also waits for what policies decide on the records of other threads.
            book.refresh()
            answer, position = undisturbed(book, order, at)
            if answer.passed or _is_recorded(book, own_id):
                options["unchanged"] = Unchanged(accounts=accounts_concerned(book, account), since=position)
                try:
                    records = book.append(stream, event, **options)
                except AccountChanged:
                    continue
                except VersionConflict:
                    answer = _rejected(f"order {order_id} is recorded already: give a new order an id of its own")
                else:
                    return Submitted(answer if answer.passed else _recorded_before(records), records)
            elif answer.rule_id == READINESS and _has_moved(book, position):
                continue
            return Submitted(answer, append_answer(book, order, answer, actor))
    msg = f"account {account} changed each of {ATTEMPTS_MAX} times that order {order_id} was checked: "
    msg += "nothing was written, submit it again"
    raise Overloaded(msg)


def _stream_of(account: object, order_id: object) -> str:
    """Return the order's stream; raise InvalidEvent for names that cannot be those of an account and an order."""
    if not isinstance(account, str) or not isinstance(order_id, str) or account == SHARED:
        msg = f"an order needs the name of its account and its id, not {shown(account)} and {shown(order_id)}"
        raise InvalidEvent(msg)
    stream = stream_of("order", account, order_id)
    account_of(stream)
    return stream


def _has_moved(book: Book, position: int) -> bool:
    """Return whether others have appended past a position, which a book that was behind can see by now."""
    book.refresh()
    return book.position > position


def _is_recorded(book: Book, id_: bytes | None) -> bool:
    """Return whether this order was appended before, by a caller that did not get the answer."""
    store = book.reader
    return id_ is not None and isinstance(store, EventStore) and store.find(id_) is not None


def _recorded_before(records: Sequence[Record]) -> Answer:
    return Answer(Verdict.PASS, (), None, f"Order allowed: it was recorded before, at position {records[0].position}")


def _rejected(reason: str) -> Answer:
    return Answer(Verdict.REJECT, (Finding(INPUT, Verdict.REJECT, reason=reason),), INPUT, f"Order blocked: {reason}")
