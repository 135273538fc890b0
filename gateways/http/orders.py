"""Orders over HTTP: what is asked and answered, and how an order is checked and submitted for a caller."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from eventstore import InvalidEvent
from eventstore.remote.wire import SentEvent, SentRecord, event_of, id_of, malformed, sent_record
from eventstore.trading import OrderReplaceRequested, OrderSubmitted
from gateways.http.account_names import named
from gateways.http.answering import RequestRefused
from gateways.presenting.documents import plain
from projections import PartitionParked
from projections.risk.checking import check
from projections.risk.proposals import Cancel, Proposal, Replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore import Record
    from gateways.http.access import Caller
    from gateways.http.service import Service
    from projections import Book
    from projections.risk.checking import Answer
    from projections.views.lockouts.lockout import Lockout

_TYPE, _ORDER_ID = "/type", "/order_id"
Changing: TypeAlias = OrderSubmitted | OrderReplaceRequested


class _OrderBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What both bodies hold beside the type: `data` holds the members of the event of that type.

    `caused_by`: the id of the EnforcementRequested that the order carries out. `protective_stop`: the price of the stop
    that will be sent with the order, or that a replaced one has, for a limit on the loss at the stop.
    """

    data: msgspec.Raw
    schema: int | None = None
    caused_by: str | None = None
    protective_stop: Decimal | None = None


class CheckedOrder(_OrderBody, frozen=True, kw_only=True):
    """An order to check; a replacement and a cancel need the `order_id` of the order that they are of."""

    type: Literal["OrderSubmitted", "OrderReplaceRequested", "OrderCancelRequested"]
    order_id: str | None = None


class SubmittedOrder(_OrderBody, frozen=True, kw_only=True):
    """An order to submit, or a replacement of one.

    `key`: the same order sent again under it, after an answer was lost, finds the recorded one. Without a key an order
    id that is recorded already is rejected.
    """

    type: Literal["OrderSubmitted", "OrderReplaceRequested"]
    order_id: str
    key: str | None = None


class OrderAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer about an order: send it only if it `passed`.

    `verdict` is the worst of all: PASS, WARNING (which does not stop an order) or REJECT, by `rule_id`; `sentence` says
    why, for a trader. `verdicts` has each rule's own, with the figure that the order would lead to and the limit.
    `lockouts` are those that forbid it. `records`: of an order that passed its own record; of one that was rejected
    that of the rejection, RiskChecked; none where it was only checked.
    """

    account: str
    order_id: str | None
    passed: bool
    verdict: str
    rule_id: str | None
    sentence: str
    verdicts: list[Any]
    lockouts: list[Any]
    records: list[SentRecord]


async def check_order(service: Service, account: str, data: CheckedOrder) -> OrderAnswer:
    """Check an order against every rule, as of now, without recording anything."""
    proposal = _proposal(named(account), data)

    def ask(book: Book) -> OrderAnswer:
        now = book.now_ns()
        answer = check(book, proposal, now)
        held = _lockouts(book, account, proposal.order_id, proposal, answer, at=now)
        what = "Cancel" if isinstance(proposal, Cancel) else "Order"
        return _answered(account, proposal.order_id, answer, held, what=what)

    return await service.ask(ask)


async def submit_order(service: Service, caller: Caller, account: str, data: SubmittedOrder) -> OrderAnswer:
    """Check an order, and append it if it passes; raise RequestRefused for one that a lockout forbids."""
    named(account)
    event = _event(data)
    if not isinstance(event, Changing):
        raise malformed(_TYPE, "only OrderSubmitted and OrderReplaceRequested are submitted")
    now = service.book.sync_book.now_ns()
    sent = await service.book.submit(
        account,
        data.order_id,
        event,
        now,
        key=data.key,
        caused_by=id_of(data.caused_by, "/caused_by"),
        protective_stop=data.protective_stop,
        actor=caller.name,
    )
    held: tuple[Lockout, ...] = ()
    if not sent.answer.passed:
        held = await service.book.ask(lambda book: _lockouts(book, account, data.order_id, event, sent.answer, at=now))
    answer = _answered(account, data.order_id, sent.answer, held, sent.records)
    if held:
        raise RequestRefused(
            423,
            "Locked",
            answer.sentence,
            "Do not send the order: wait until the lockout ends, or have it cleared.",
            answer=msgspec.to_builtins(answer, builtin_types=(msgspec.Raw,)),
            lockouts=answer.lockouts,
        )
    return answer


def _event(data: CheckedOrder | SubmittedOrder) -> object:
    return event_of(SentEvent(type=data.type, data=data.data, schema=data.schema), "")


def _proposal(account: str, data: CheckedOrder) -> Proposal | Replace | Cancel:
    """Return what is checked."""
    event = _event(data)
    caused_by = id_of(data.caused_by, "/caused_by")
    if data.order_id is None and not isinstance(event, OrderSubmitted):
        raise malformed(_ORDER_ID, f"{data.type} needs the id of the order that it is of")
    if isinstance(event, Changing):
        return Proposal.of(
            account, event, order_id=data.order_id, caused_by=caused_by, protective_stop=data.protective_stop
        )
    assert data.order_id is not None, "a cancel needs one, as a replacement does"
    return Cancel(account=account, order_id=data.order_id, caused_by=caused_by)


def _lockouts(
    book: Book, account: str, order_id: str | None, about: object, answer: Answer, *, at: int
) -> tuple[Lockout, ...]:
    """Return the lockouts that have rejected an order."""
    if answer.passed:
        return ()
    symbol = getattr(about, "symbol", None)
    if symbol is None and order_id is not None and (order := book.orders.get(account, order_id)) is not None:
        symbol = order.symbol
    rejecting = {each.rule_id for each in answer.findings}
    try:
        active = book.lockouts.active_as_folded(account, at, symbol)
    except (InvalidEvent, PartitionParked):
        # A name that cannot be an account's, or a view that has failed: the answer says so, and no lockout does.
        return ()
    # Lockouts come first: where the answer is by another rule, none of them has rejected the order.
    found = tuple(each for each in active if each.rule_id in rejecting)
    return found if any(each.rule_id == answer.rule_id for each in found) else ()


def _answered(
    account: str,
    order_id: str | None,
    answer: Answer,
    held: tuple[Lockout, ...],
    records: Sequence[Record] = (),
    *,
    what: str = "Order",
) -> OrderAnswer:
    return OrderAnswer(
        account=account,
        order_id=order_id,
        passed=answer.passed,
        verdict=answer.verdict.value,
        rule_id=answer.rule_id,
        sentence=answer.reason or f"{what} allowed",
        verdicts=plain(answer.findings),
        lockouts=plain(held),
        records=[sent_record(each) for each in records],
    )
