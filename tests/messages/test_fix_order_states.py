"""FIX 4.4's order state change matrices, as the ExecutionReports that a venue sends, through a recorder into a book."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from eventstore.trading import OrderCancelRequested, OrderSubmitted, Side
from gateways.messages import Recorder
from gateways.messages.fix import Fix
from projections import Book
from tests.messages.fix_messages import ACCOUNT, cancel_reject, execution_report
from tests.views.test_fix_order_states import CASES, shown, steps_of

STREAM = f"order/{ACCOUNT}/C-1"
CODES = {
    "NEW": "0", "PARTIALLY_FILLED": "1", "FILLED": "2", "CANCELED": "4", "PENDING_CANCEL": "6", "REJECTED": "8",
    "SUSPENDED": "9", "PENDING_NEW": "A", "EXPIRED": "C", "PENDING_REPLACE": "E", "UNKNOWN": "7",
}  # fmt: skip
EXEC_TYPES = {
    "accept": "0", "reject": "8", "trigger": "L", "fill": "F", "ask-replace": "E", "replace": "5", "reduce": "D",
    "ask-cancel": "6", "cancel": "4", "expire": "C", "report": "I", "bust": "H", "correct": "G",
}  # fmt: skip


class Venue:
    """Says what a line of the table has happened, with the figures that the line has for the order."""

    def __init__(self) -> None:
        self.quantity = Decimal(0)
        self.number = 0
        # The venue names a trade by its latest correction.
        self.corrections: dict[str, str] = {}

    def message(self, words: str, expected: str) -> dict[Any, Any]:
        verb, *arguments = words.split()
        status, cumulative, leaves, average = expected.split()
        self.number += 1
        if verb == "report" and len(arguments) > 1:
            self.quantity = Decimal(arguments[1])
        if verb in {"replace", "reduce"}:
            self.quantity = Decimal(cumulative) + Decimal(leaves)
            if status == "FILLED":
                self.quantity = Decimal(cumulative)
            elif verb == "replace" and status == "PENDING_CANCEL":
                self.quantity = Decimal(arguments[0])
        if verb.startswith("refuse-"):
            is_unknown = status == "UNKNOWN"
            code = "8" if is_unknown else CODES[status]
            response = {"refuse-cancel": "1", "refuse-replace": "2"}[verb]
            return cancel_reject(response, code, self.number, t102="1" if is_unknown else "0")
        code = CODES[arguments[0] if verb == "report" else status]
        figures = {"t14": cumulative, "t151": leaves.replace("-", "0"), "t6": average.replace("-", "0")}
        report = execution_report(EXEC_TYPES[verb], code, self.number, t38=str(self.quantity or ""), **figures)
        if verb in {"ask-replace", "replace"}:
            report |= {11: f"C-{self.number}", 41: "C-1"}
        if verb in {"fill", "bust", "correct"}:
            report |= self._trade(verb, *arguments)
        return report

    def _trade(self, verb: str, trade_id: str, figures: str = "") -> dict[Any, Any]:
        quantity, _, price = figures.partition("@")
        if verb == "fill":
            return {17: trade_id, 32: quantity, 31: price}
        named = self.corrections.get(trade_id, trade_id)
        # CME has no OrdStatus of the order on these: what it is afterwards, another report says.
        report = {19: named, 39: EXEC_TYPES[verb], 17: f"{trade_id}-{self.number}"}
        if verb == "correct":
            self.corrections[trade_id] = f"{trade_id}-{self.number}"
            report |= {32: quantity, 31: price}
        return report


@pytest.mark.parametrize("case", CASES, ids=[case[0].split("]")[0] for case in CASES])
def test_an_order_is_in_the_state_of_the_matrix_after_each_report(case: list[str], book: Book) -> None:
    venue, recorder, sent = Venue(), Recorder(book, Fix()), list[Any]()
    found = []
    for words, expected in steps_of(case):
        verb, *arguments = words.split()
        if verb == "submit":
            venue.quantity = venue.quantity or Decimal(arguments[0])
            submitted = OrderSubmitted(symbol="MNQH6", side=Side.BUY, quantity=Decimal(arguments[0]))
            book.append(STREAM, submitted)
        elif expected.startswith("UNKNOWN") and verb == "ask-cancel":
            book.append(STREAM, OrderCancelRequested())
        else:
            sent.append(venue.message(words, expected))
            recorder.record(sent[-1])
        order = book.orders.get(ACCOUNT, "C-1") or book.orders.get(ACCOUNT, "O-1")
        assert order is not None
        found.append((words, shown(order)))
    assert found == steps_of(case)
    head = book.position
    for message in reversed(sent):
        recorder.record(message)
    assert book.position == head, "what comes again is recorded already"
    assert recorder.counts.unmapped == 0
