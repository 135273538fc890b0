"""Reference: what the venue and the trader say of one order, apart from its fills.

Kinds of facts: SUBMIT, ACCEPT, REJECT, TRIGGER, CANCEL_REQUEST, CANCEL, CANCEL_REJECT, REPLACE_REQUEST, REPLACE,
REPLACE_REJECT, REDUCE, EXPIRE, and REPORT (of the status in `reason`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tests.reference.facts import ZERO, Fact

ENDS = {"CANCEL": "CANCELED", "REJECT": "REJECTED", "EXPIRE": "EXPIRED"}
WORKING = {"NEW", "PARTIALLY_FILLED"}


@dataclass
class OrderLife:
    """What the venue and the trader said of one order; its fills are kept with the executions."""

    quantity: Decimal | None = None
    is_known: bool = False  # it was submitted or reported
    is_submitted: bool = False
    reported_at: int = 0  # when the newest report was made
    replaced_at: int = 0  # when the newest replacement was made
    is_accepted: bool = False
    ended: str | None = None  # CANCELED, REJECTED or EXPIRED
    reported_end: str | None = None  # what of these the newest report says
    is_complete: bool = False  # all was filled: it works again only if the venue says so
    is_undone: bool = False  # a part of what was complete is busted: an acceptance says that it works again
    is_partly: bool = False  # reported as partially filled, whatever fills are missing
    pending_cancels: int = 0
    pending_replaces: int = 0

    @property
    def is_closed(self) -> bool:
        return self.ended is not None or self.is_complete


def said(life: OrderLife, fact: Fact, cumulative: Decimal) -> None:
    match fact.kind:
        case "SUBMIT":
            life.is_known = life.is_submitted = True
            life.quantity = fact.quantity if life.quantity is None else life.quantity
        case "ACCEPT" | "TRIGGER" if not life.ended and (life.is_undone or not life.is_complete):
            # One that comes late, after a report of FILLED, opens nothing.
            life.is_accepted, life.is_complete, life.is_undone = True, False, False
        case "CANCEL" | "REJECT" | "EXPIRE":
            life.ended = life.ended if life.is_closed else ENDS[fact.kind]
            life.pending_cancels = life.pending_replaces = 0
        case "REDUCE" if not life.is_closed and life.quantity is not None:
            life.quantity = max(life.quantity - (fact.quantity or ZERO), cumulative)
            life.ended = None if life.quantity else "CANCELED"
        case "REPORT":
            _reported(life, fact, cumulative)
        case _:
            _requested(life, fact, cumulative)


def _requested(life: OrderLife, fact: Fact, cumulative: Decimal) -> None:
    match fact.kind:
        case "CANCEL_REQUEST" if not life.is_closed:
            life.pending_cancels += 1
        case "CANCEL_REJECT" if fact.at >= life.reported_at:
            life.pending_cancels = max(0, life.pending_cancels - 1)
        case "REPLACE_REQUEST" if not life.ended:
            life.pending_replaces += 1
        case "REPLACE" | "REPLACE_REJECT":
            life.pending_replaces -= int(bool(life.pending_replaces) and fact.at >= life.reported_at)
            if fact.kind == "REPLACE" and fact.at < life.replaced_at:
                _requantify(life, life.quantity)
            elif fact.kind == "REPLACE":
                life.replaced_at = fact.at
                _requantify(life, life.quantity if fact.quantity is None else max(fact.quantity, cumulative))
                if fact.at < life.reported_at and not life.is_closed and cumulative < (life.quantity or ZERO):
                    # The report that it ended knew of this.
                    life.ended = life.reported_end


def _requantify(life: OrderLife, quantity: Decimal | None) -> None:
    if not life.ended:
        # A larger quantity is the venue's word that the order works again.
        life.is_complete &= quantity is None or life.quantity is None or quantity <= life.quantity
        life.is_undone &= life.is_complete
        life.is_accepted = True
    life.quantity = quantity


def _reported(life: OrderLife, fact: Fact, cumulative: Decimal) -> None:
    """Believe a report, unless all is filled: reports lag behind fills. One made before another says nothing new."""
    is_end = fact.reason == "FILLED" or fact.reason in ENDS.values()
    if (fact.at, is_end or not life.is_closed) < (life.reported_at, True):
        if life.quantity is None and fact.quantity is not None:
            life.quantity, life.replaced_at = fact.quantity, life.replaced_at if life.is_submitted else fact.at
        return
    life.reported_at = fact.at
    life.reported_end = fact.reason if fact.reason in ENDS.values() else None
    began = not life.is_known or life.is_closed
    life.is_known = True
    if fact.quantity is not None and (life.quantity is None or not life.is_submitted):
        # A larger total is the venue's word that the order works again.
        life.is_undone &= life.quantity is None or fact.quantity <= life.quantity
        life.replaced_at = fact.at if not life.is_submitted else life.replaced_at
        life.quantity = fact.quantity
    life.pending_cancels, life.pending_replaces = (
        int(fact.reason == "PENDING_CANCEL"),
        int(fact.reason == "PENDING_REPLACE"),
    )
    pending = life.pending_cancels or life.pending_replaces
    was_partly, life.is_partly = life.is_partly and not began, False
    is_filled = life.quantity is not None and cumulative >= life.quantity
    if fact.reason == "FILLED" or (is_filled and (cumulative or fact.reason not in ENDS.values())):
        life.is_complete, life.is_undone, life.ended = True, False, None
    elif fact.reason in ENDS.values():
        life.is_complete, life.is_undone, life.ended = False, False, fact.reason
    elif not (pending and life.is_undone):
        # A pending request does not say that what was busted is filled again.
        life.is_accepted |= fact.reason in WORKING or began
        life.is_complete, life.is_undone, life.ended = False, False, None
        life.is_partly = fact.reason == "PARTIALLY_FILLED" or (was_partly and bool(pending))
