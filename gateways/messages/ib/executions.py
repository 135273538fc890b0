"""IB's fills and commission reports. An execution is corrected by one whose id differs after its last period only."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from eventstore.trading import FeeCharged, Liquidity, OrderFilled, Side, TradeCorrected, TradeExecuted
from gateways.messages.ib.contracts import is_combination, symbol_of
from gateways.messages.ib.members import Members, refused
from gateways.messages.mapped import MappedEvent
from gateways.messages.notes import note_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

SIDES = {"BOT": Side.BUY, "SLD": Side.SELL}
LIQUIDITIES = {1: Liquidity.ADDED, 2: Liquidity.REMOVED, 3: Liquidity.ROUTED_OUT}
_PENDING = -1
"""What stands for a commission that is not known yet."""


class ExecutionId(NamedTuple):
    """An execution, named by the id that it had first, and which of its revisions an id is."""

    trade_id: str
    revision: int


def execution_id(members: Members) -> ExecutionId:
    text = members.identity("execId")
    base, period, revision = text.rpartition(".")
    if not period or not revision.isascii() or not revision.isdecimal() or int(revision) <= 1:
        return ExecutionId(text, 1)
    return ExecutionId(f"{base}.{1:0{len(revision)}}", int(revision))


def order_id_of(members: Members, own: str = "orderId", permanent: str = "permId") -> str | None:
    """Return an order's id: the client's and its own number, which the program knows when it sends it; else permId.

    `own` and `permanent` name the members that have these numbers.
    """
    number = members.id_number(own)
    if number is not None:
        return f"{members.optional_identity('clientId') or 0}-{number}"
    return permanent_id(members, permanent)


def permanent_id(members: Members, name: str = "permId") -> str | None:
    """Return the number of an order that is unique in its account; None where there is none yet."""
    number = members.id_number(name)
    return None if number is None else str(number)


def fill_events(fill: Members, *, is_leg: bool = False) -> Iterator[MappedEvent]:
    """Yield a fill and its commission. Of a combination the legs count, each a trade without an order."""
    contract, execution = fill.inner("contract"), fill.inner("execution")
    if is_combination(contract):
        return
    account, (trade_id, revision) = execution.account("acctNumber"), execution_id(execution)
    at = execution.time("time")
    if revision > 1:
        yield _correction(contract, execution, account, at)
    else:
        yield _execution(contract, execution, account, None if is_leg else order_id_of(execution))
    report = fill.get("commissionReport")
    if report is not None:
        yield from fee_events(fill.inner("commissionReport"), account, (trade_id, at), fill.inner("execution"))


def _execution(contract: Members, execution: Members, account: str, order_id: str | None) -> MappedEvent:
    trade_id = execution_id(execution).trade_id
    members = {
        "trade_id": trade_id,
        "symbol": symbol_of(contract),
        "side": execution.choice("side", SIDES),
        "quantity": _positive(execution, "shares"),
        "price": _required(execution, "price"),
        "liquidity": execution.optional_choice("lastLiquidity", LIQUIDITIES),
    }
    at = execution.time("time")
    if order_id is None:
        stream = execution.stream("trade", account, trade_id)
        return MappedEvent(stream, TradeExecuted(**members), f"execution {trade_id}", at)  # type: ignore[arg-type]
    stream = execution.stream("order", account, order_id)
    return MappedEvent(stream, OrderFilled(**members), f"execution {trade_id}", at)  # type: ignore[arg-type]


def _correction(contract: Members, execution: Members, account: str, at: int | None) -> MappedEvent:
    trade_id, revision = execution_id(execution)
    event = TradeCorrected(
        trade_id=trade_id,
        quantity=_positive(execution, "shares"),
        price=_required(execution, "price"),
        symbol=symbol_of(contract),
        side=execution.choice("side", SIDES),
        correction_id=execution.identity("execId"),
    )
    # IB states whole seconds, of the execution: of two corrections the later one has to be the newer.
    since = None if at is None else at + revision - 1
    return MappedEvent(execution.stream("trade", account, trade_id), event, f"correction {revision}", since)


def fee_events(
    report: Members, account: str, trade: tuple[str, int | None], execution: Members | None = None
) -> Iterator[MappedEvent]:
    """Yield the commission of an execution, once it is known: what is paid is above zero."""
    amount = report.number("commission")
    if not amount or amount == _PENDING:
        return
    trade_id, at = trade
    # An object that waits for its report has no id; one that has an id may be of a correction.
    stated = report.optional_identity("execId")
    named = execution_id(execution if stated is None and execution is not None else report)
    if named.revision > 1:
        why = "a correction's commission is not said to be all of it or the difference: charge the difference yourself"
        yield note_of(refused("CommissionReport", why, report.whole))
        return
    event = FeeCharged(trade_id=trade_id, amount=amount, currency=report.optional_text("currency"))
    yield MappedEvent(report.stream("trade", account, trade_id), event, f"commission {trade_id}", at)


def _positive(members: Members, name: str) -> Decimal:
    number = _required(members, name)
    if number <= 0:
        members.refuse(name, "is not above zero")
    return number


def _required(members: Members, name: str) -> Decimal:
    number = members.number(name)
    if number is None:
        members.refuse(name, "is missing or unset: expected a number")
    return number
