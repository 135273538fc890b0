"""Carries out at a ProjectX gateway what lockouts ask for: cancels orders and closes positions, each once.

    export PROJECTX_URL=https://api.topstepx.com PROJECTX_TOKEN=... PROJECTX_ACCOUNTS=ACC1=4711
    eventstore enforce enforce_projectx:carry_out --data data

An order that closes a position is on record before it is sent, and its id here is its `customTag` there, which the
gateway takes once for an account: what a process sent before it was killed is found, not sent a second time.
`Position/closeContract` has no tag, so it is not used. The log's contracts need the gateway's ids, for example
ContractDefined(symbol="MNQZ6", broker_ids=("CON.F.US.MNQ.Z26",)).
"""

from __future__ import annotations

import json
import os
import time
import urllib.request
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from eventstore.clock import format_time
from eventstore.streams import stream_of
from eventstore.trading import EnforcementAction, OrderCanceled, OrderFilled, OrderRejected, PositionReported, Side
from projections import Task, reconciliation

if TYPE_CHECKING:
    from projections.enforcer import ToClose

FILLED, ENDED = 2, {3: OrderCanceled(), 4: OrderCanceled(reason="expired"), 5: OrderRejected()}  # by status
MARKET, SIDES = 2, (Side.BUY, Side.SELL)
ORDER_NOT_FOUND = 2  # the code of Order/cancel
ANSWER_SECONDS, PATIENCE_SECONDS, PAUSE_SECONDS = 5, 20, 0.2
MINUTE_NS, WEEK_NS = 60 * 1_000_000_000, 7 * 86_400 * 1_000_000_000


class Gateway:
    """The gateway's REST interface, for one account."""

    def __init__(self, account: str) -> None:
        accounts = dict(each.split("=") for each in os.environ["PROJECTX_ACCOUNTS"].split(","))
        self.url, self.account_id = os.environ["PROJECTX_URL"], int(accounts[account])
        self.headers = {"Authorization": f"Bearer {os.environ['PROJECTX_TOKEN']}", "Content-Type": "application/json"}

    def post(self, path: str, *accepted: int, **body: object) -> dict[str, Any]:
        data = json.dumps({"accountId": self.account_id, **body}).encode()
        request = urllib.request.Request(f"{self.url}/api/{path}", data, self.headers)  # noqa: S310 - the user's own
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as reply:  # noqa: S310 - the same
            answer: dict[str, Any] = json.loads(reply.read(), parse_float=Decimal)
        if not answer["success"] and answer["errorCode"] not in accepted:
            msg = f"{path} failed with code {answer['errorCode']}: {answer['errorMessage']}"
            raise ConnectionError(msg)
        return answer


def carry_out(task: Task) -> None:
    """Cancel, then close what the gateway and the log say is open; raise if anything is left."""
    gateway, action = Gateway(task.account), task.request.action
    if action is not EnforcementAction.REDUCE_TO:
        # One that would close more than is held is among those to cancel.
        closing = {each.order_id for each in task.closing} - {each.order_id for each in task.orders}
        for there in gateway.post("Order/searchOpen")["orders"]:
            if there.get("customTag") not in closing and task.concerns(there["contractId"]):
                task.require_held()  # right before each step that cannot be undone
                gateway.post("Order/cancel", ORDER_NOT_FOUND, orderId=there["id"])
    record_orders(task, gateway)
    if action is not EnforcementAction.CANCEL_ORDERS:
        record_positions(task, gateway)
        # The gateway's word counts: what the log does not know of is booked, and closed with the rest.
        found = reconciliation.reconcile(task.book, task.account)
        reconciliation.record(task.book, task.account, found, actor="enforce_projectx")
        for position in task.positions:
            close(task, gateway, position)
        record_orders(task, gateway)
        record_positions(task, gateway)
    working = task.orders if action is EnforcementAction.CANCEL_ORDERS else (*task.orders, *task.closing)
    left = [each.symbol for each in task.positions] + [each.order_id for each in working]
    if left:
        msg = f"still open or working: {', '.join(left)}"
        raise RuntimeError(msg)


def close(task: Task, gateway: Gateway, position: ToClose) -> None:
    """Send the order on record that closes a position, unless it is there already; wait until it is filled."""
    closing, ends = task.submit_closing(position.symbol), time.monotonic() + PATIENCE_SECONDS
    while closing is not None and any(each.order_id == closing.order_id for each in task.closing):
        if closing.order_id not in record_orders(task, gateway):
            contract = task.book.contracts.find(position.symbol)
            names = {each[:4]: each for each in (contract.broker_ids if contract else ())}
            # One on record from an earlier attempt may be for more than is held by now.
            size = int(min(closing.quantity, position.quantity))
            body = {"type": MARKET, "side": SIDES.index(closing.side), "size": size, "customTag": closing.order_id}
            task.require_held()
            # A tag that is taken is an error: the order was sent after all, and is found when this is asked for again.
            gateway.post("Order/place", contractId=names.get("CON.", position.symbol), **body)
        elif time.monotonic() < ends:
            time.sleep(PAUSE_SECONDS)
        else:
            msg = f"{closing.order_id} is not filled after {PATIENCE_SECONDS} s"
            raise TimeoutError(msg)


def record_orders(task: Task, gateway: Gateway) -> set[str]:
    """Record what has become of the working orders; return the ids here of those that the gateway knows."""
    since, known = format_time(task.request.requested_at - WEEK_NS), set()
    orders, trades = (gateway.post(f"{each}/search", startTimestamp=since) for each in ("Order", "Trade"))
    for here in (*task.orders, *task.closing):
        for there in orders["orders"]:
            if there.get("customTag") != here.order_id and str(there["id"]) != here.broker_order_id:
                continue
            known.add(here.order_id)
            stream = stream_of("order", task.account, here.order_id)
            left = there["fillVolume"]
            for trade in (each for each in trades["trades"] if each["orderId"] == there["id"] and not each["voided"]):
                size, price, fee = (Decimal(trade[name]) for name in ("size", "price", "fees"))
                side, symbol = SIDES[trade["side"]], here.symbol or trade["contractId"]
                fill = OrderFilled(
                    trade_id=str(trade["id"]), symbol=symbol, side=side, quantity=size, price=price, fee=fee
                )  # fmt: skip
                at, left = trade["creationTimestamp"], left - trade["size"]
                task.record(stream, fill, key=f"projectx {trade['id']}", occurred_at=at)
            # Filled, though not all of what is on record here: it was sent for less.
            is_less = there["status"] == FILLED and here.quantity is not None and there["size"] < here.quantity
            if not left and (is_less or there["status"] in ENDED):
                ended = ENDED.get(there["status"], OrderCanceled(reason="sent for less"))
                task.record(stream, ended, key=f"projectx ended {there['id']}")
    for here in task.closing:
        stream = stream_of("order", task.account, here.order_id)
        at, held = (
            next(task.book.read(stream=stream)).recorded_at,
            task.book.positions.get(task.account, here.symbol or ""),
        )
        # Only where nothing is held: as long as there is, it is sent, by its own tag, and no other order in its place.
        if here.order_id not in known and not held.quantity and task.book.now_ns() - at > MINUTE_NS:
            task.record(stream, OrderRejected(reason="the gateway does not know it"), key="projectx lost")
    return known


def record_positions(task: Task, gateway: Gateway) -> None:
    """Record the gateway's positions, and zero for those that only the log has."""
    there = dict.fromkeys([each.symbol for each in task.positions], Decimal(0))
    for each in gateway.post("Position/searchOpen")["positions"]:
        contract = task.book.contracts.find(each["contractId"])
        there[each["contractId"] if contract is None else contract.symbol] = Decimal(
            (0, 1, -1)[each["type"]] * each["size"]
        )
    for symbol, quantity in there.items():
        task.record(stream_of("position", task.account, symbol), PositionReported(symbol=symbol, quantity=quantity))
