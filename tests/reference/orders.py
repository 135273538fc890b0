"""Reference: the orders of one account: status, cumulative, leaves and average price."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from tests.reference.executions import IDENTITIES_MAX, Executions
from tests.reference.facts import ZERO, Fact, counted
from tests.reference.order_lives import OrderLife, said
from tests.reference.trades import Execution, inherited


@dataclass
class OrderFigures:
    status: str
    quantity: Decimal | None
    cumulative: Decimal
    leaves: Decimal | None
    average_price: Fraction | None


class Orders:
    """One account: `apply` takes its facts in the order of the log."""

    def __init__(self, identities_max: int = IDENTITIES_MAX) -> None:
        self.executions = Executions(identities_max)
        self.lives: dict[str, OrderLife] = {}
        self._unknown: list[Fact] = []

    def get(self, order_id: str) -> OrderFigures:
        life, fills = self.lives.get(order_id, OrderLife()), self._fills(order_id)
        cumulative = sum((quantity for quantity, _ in fills), ZERO)
        leaves = None if life.quantity is None else life.quantity - cumulative
        value = sum((Fraction(quantity) * Fraction(price) for quantity, price in fills), Fraction(0))
        return OrderFigures(
            status=_status(life, cumulative),
            quantity=life.quantity,
            cumulative=cumulative,
            leaves=ZERO if life.is_closed else leaves,
            average_price=value / Fraction(cumulative) if cumulative else None,
        )

    def apply(self, fact: Fact) -> None:
        fact, named = counted(fact), fact.stream.removeprefix("order/")
        if fact.stream.startswith("order/"):
            self.lives.setdefault(named, OrderLife())
        before = {order_id: self._cumulative(order_id) for order_id in self.lives}
        if fact.kind in {"FILL", "TRADE", "BUST", "CORRECT", "DEFINE"}:
            self._executed(fact)
        elif named in before:
            said(self.lives[named], fact, before[named])
        # An ended order stays ended, whatever is filled late.
        for order_id, life in self.lives.items():
            cumulative = self._cumulative(order_id)
            if cumulative < before[order_id]:
                life.is_undone, life.is_partly = life.is_complete, False
            if life.ended is None and life.quantity is not None and cumulative >= life.quantity:
                life.is_complete, life.is_undone = True, False
            life.is_accepted |= cumulative > 0

    def _executed(self, fact: Fact) -> None:
        if fact.kind in {"FILL", "TRADE"}:
            self._report(fact)
        elif fact.kind == "DEFINE":
            twins = self.executions.define(fact)
            for later in [each for twin, known, *_ in twins for each in inherited(twin, known, fact.log)]:
                self._executed(later)
            # What named a trade by a contract that was not known to be its own.
            for execution in self.executions.all:
                self._apply_early(execution)
        else:
            changed = self.executions.about(fact)
            if changed is None:
                self._unknown.append(fact)
            elif not changed.busted and not changed.is_superseded(fact):
                changed.change(fact)

    def _report(self, fact: Fact) -> None:
        self._apply_early(self.executions.report(fact)[1])

    def _apply_early(self, execution: Execution) -> None:
        """Apply busts and corrections that were recorded before their trade."""
        mine = [each for each in self._unknown if each.at >= execution.at]
        for early in sorted(mine, key=lambda each: (each.at, each.log)):
            if self.executions.about(early) is execution:
                self._unknown.remove(early)
                self._executed(early)

    def _fills(self, order_id: str) -> list[tuple[Decimal, Decimal]]:
        """Return what counts of an order: each execution once, for the order it was first reported for."""
        mine = [each for each in self.executions.all if each.order == order_id]
        return [(abs(each.quantity), each.price) for each in mine if not each.busted]

    def _cumulative(self, order_id: str) -> Decimal:
        return sum((quantity for quantity, _ in self._fills(order_id)), ZERO)


def _status(life: OrderLife, cumulative: Decimal) -> str:
    """FIX's precedence: ended, pending cancel, pending replace, then what the fills say."""
    if life.ended is not None:
        return life.ended
    if not life.is_known and not life.is_complete:
        return "UNKNOWN"
    if life.pending_cancels or life.pending_replaces:
        return "PENDING_CANCEL" if life.pending_cancels else "PENDING_REPLACE"
    if life.is_complete:
        return "FILLED"
    return "PARTIALLY_FILLED" if cumulative or life.is_partly else "NEW" if life.is_accepted else "PENDING_NEW"
