"""Reference: positions and P&L of one account, folded again from all executions whenever a figure is asked for."""

from __future__ import annotations

from fractions import Fraction

from tests.reference.booking import book, drop, refunded, stated, unbook
from tests.reference.executions import IDENTITIES_MAX, Executions, has_had
from tests.reference.facts import ZERO, Fact, counted
from tests.reference.items import NOTHING, Item, fractions
from tests.reference.joining import joined
from tests.reference.marks import UNCERTAIN, marks_of
from tests.reference.sequence import RECONCILED_MAX, WINDOW_MAX, Position
from tests.reference.trades import Execution, inherited

WORDS = {"BUST": "BUST", "CORRECT": "CORRECTION"}


class Positions:
    """One account: `apply` takes its facts in the order of the log."""

    def __init__(
        self, identities_max: int = IDENTITIES_MAX, window_max: int = WINDOW_MAX, reconciled_max: int = RECONCILED_MAX
    ) -> None:
        self.executions = Executions(identities_max)
        self.held: dict[tuple[str, str], Position] = {}
        # Busts and corrections of trades that are not known, and those of them that say enough to be booked.
        self.unknown, self.booked = list[Fact](), list[Fact]()
        self.days: list[Fact] = []
        self._window_max, self._reconciled_max = window_max, reconciled_max
        self._head = 0

    def get(self, symbol: str, side: str = "NET") -> Position:
        key = (self.executions.contracts.of(symbol), side)
        terms = self.executions.contracts.defined.get(key[0])
        empty = Position(side, terms=terms, window_max=self._window_max, reconciled_max=self._reconciled_max)
        return self.held.setdefault(key, empty)

    def marks(self, symbol: str, side: str = "NET") -> set[str]:
        """Return what is marked on a position; UNKNOWN_… until the trade is reported."""
        contract = self.executions.contracts.of
        mine = [each for each in self.unknown if each.symbol is None or contract(each.symbol) == contract(symbol)]
        return marks_of(self.get(symbol, side)) | {f"UNKNOWN_{WORDS[each.kind]}" for each in mine}

    def is_uncertain(self, symbol: str, side: str = "NET") -> bool:
        """Return whether something about a position is open: a conflict, bust, split, price or rounding."""
        contract = self.executions.contracts.of(symbol)
        mine = [each for each in self.executions.all if (each.contract, each.held) == (contract, side)]
        return any(each.conflicts for each in mine) or bool(self.marks(symbol, side) & UNCERTAIN)

    def apply(self, fact: Fact) -> None:
        # What was recorded before its trade takes effect with it.
        self._head = max(self._head, fact.log)
        fact = counted(fact)
        match fact.kind:
            case "FILL" | "TRADE":
                self._report(fact)
            case "FEE":
                self._charge(fact)
            case "BUST" | "CORRECT":
                self._change(fact)
            case "ADJUST":
                self._adjust(fact)
            case "DEFINE":
                self._define(fact)
            case "DAY":
                self.days.append(fact)

    def _mark(self, execution: Execution | None, kind: str, log: int) -> None:
        if execution is not None:
            self.get(execution.contract, execution.held).marked.append((kind, log))

    def _mark_ahead(self, execution: Execution | None, fact: Fact) -> None:
        if fact.ahead:
            self._mark(execution, "AHEAD", fact.log)

    def _charge(self, fact: Fact) -> None:
        named = self.executions.about(fact)
        was = ZERO if named is None else named.taken
        execution = self.executions.charge(fact)
        if execution is not None and execution.busted:
            self._mark(execution, "FEE_OF_BUSTED", fact.log)
        if execution is not None and execution.taken != was:
            taken = Fraction(execution.taken - was)
            self.get(execution.contract, execution.held).move(execution, self._head, taken)
        self._mark_ahead(execution, fact)

    def _take_over(
        self, execution: Execution, doubts: list[str], log: int, moved_by: int, taken: Fraction = NOTHING
    ) -> None:
        """Put an execution where it happened once its time is known, and mark what is not certain of a report."""
        position = self.get(execution.contract, execution.held)
        if "DAYS_APART" in doubts:
            execution.conflicts.append(log)
        if "MOVED" in doubts and position.moves(execution, self.days):
            self._mark(execution, "MOVED", moved_by)
        for kind in doubts:
            if kind != "MOVED":
                self._mark(execution, kind, log)
        position.move(execution, moved_by, taken)

    def _report(self, fact: Fact) -> None:
        was = {id(each): each.taken for each in self.executions.all}
        verdict, execution = self.executions.report(fact)
        position = self.get(execution.contract, execution.held)
        if verdict == "CONFLICTING":
            position.marked.append((verdict, fact.log))
        elif verdict == "NEW":
            quantity, price = fractions(execution.figures[0][1:])
            net = quantity - Fraction(execution.taken)
            position.place(Item("FILL", fact.log, fact.at, [(fact.at, net, price)], execution))
            self._apply_early(execution, position)
        else:
            taken = Fraction(execution.taken - was[id(execution)])
            self._take_over(execution, self.executions.doubts, fact.log, fact.log, taken)
            # If it happened earlier than it seemed, what was recorded before it may be about it.
            self._apply_early(execution, position)
        self._mark_ahead(execution, fact)

    def _apply_early(self, execution: Execution, position: Position) -> None:
        """Apply what was recorded before the trade that it is about, by another process."""
        lists = (self.executions.charged, self.unknown, self.booked)
        early = [fact for waiting in lists for fact in waiting if fact.at >= execution.at]
        for fact in sorted(early, key=lambda each: (each.at, each.log)):
            waiting = next(each for each in lists if fact in each)
            # What was booked for a trade that was not known is taken out again, unless it is fixed.
            if self.executions.about(fact) is execution and (waiting is not self.booked or unbook(position, fact)):
                waiting.remove(fact)
                self.apply(fact)

    def _change(self, fact: Fact) -> None:
        named = self.executions.about(fact)
        others = [each for each in self.executions.candidates(fact) if each is not named and not each.busted]
        self._change_named(fact, named)
        for execution in [named, *others] if named is not None and others else []:
            execution.conflicts.append(fact.log)
            self._mark(execution, "CONFLICTING", fact.log)
        self._mark_ahead(named, fact)

    def _change_named(self, fact: Fact, named: Execution | None) -> None:
        """Change an execution, unless it has been changed since the change was made."""
        if named is not None and named.is_superseded(fact):
            self._mark(named, "SUPERSEDED", fact.log)
        else:
            self._change_execution(fact, named)

    def _change_execution(self, fact: Fact, execution: Execution | None) -> None:
        bust = fact.kind == "BUST"
        if execution is None:
            self._change_unknown(fact)
            return
        position = self.get(execution.contract, execution.held)
        is_conflict = bust and not has_had(execution, fact)
        if execution.busted:
            position.marked.append(("DUPLICATE_BUST" if bust else "UNKNOWN_CORRECTION", fact.log))
            if bust and not is_conflict:
                execution.conflicts.clear()
            return
        was, costs = execution.taken, execution.costs
        (quantity, price), after = execution.change(fact)
        before, after = (quantity - was, price), (after[0] - execution.taken, after[1])
        if is_conflict:
            execution.conflicts.append(fact.log)
            position.marked.append(("CONFLICTING", fact.log))
        item = position.item_of(execution)
        assert item is not None
        if position.is_open(item):
            position.change(item, fact, fractions(after))
            if bust:
                execution.fees.clear()
            return
        # Figures are on the base of the trade's own time: splits have multiplied it since.
        by = item.scale * position.scale_since(item.place)
        refund = [fee.refund() for fee in costs] if bust else []
        if bust:
            execution.spent = [(execution.at, fee) for fee in costs]
            execution.fees.clear()
        figures = [fractions(each, by, inverse=item.inverse) for each in (before, after)]
        book(position, fact, (figures[0], figures[1]), refund, execution)

    def _change_unknown(self, fact: Fact) -> None:
        """Book a change of a trade that is not known by what it says of it; if that is not enough, remember it."""
        bust, change = fact.kind == "BUST", stated(fact)
        waiting = [each for each in self.unknown + self.booked if (each.kind, each.id) == (fact.kind, fact.id)]
        waiting = sorted((each for each in waiting if each.symbol in {fact.symbol, None}), key=lambda each: each.log)
        # A correction may restore what an earlier one replaced: it is repeated only if it states what the last one did.
        same = [each for each in waiting[-1:] if (each.quantity, each.price) == (fact.quantity, fact.price)]
        if fact.symbol is not None and any(each in self.booked for each in (waiting if bust else same)):
            self.get(fact.symbol, fact.held).marked.append((f"DUPLICATE_{WORDS[fact.kind]}", fact.log))
        elif change is None:
            self.unknown.append(fact)
        else:
            self.booked.append(fact)
            position = self.get(str(fact.symbol), fact.held)
            taken, refund = refunded(position, fact)
            book(position, fact, ((change[0][0] - taken, change[0][1]), change[1]), refund)

    def _adjust(self, fact: Fact) -> None:
        position, price = self.get(str(fact.symbol), fact.held), None if fact.price is None else Fraction(fact.price)
        if fact.quantity:
            position.place(Item(fact.reason, fact.log, fact.at, [(fact.at, Fraction(fact.quantity), price)]))
        else:
            # An adjustment by nothing, with a price: it states the price that earlier ones lacked.
            position.state_price(fact.reason, price)
            return
        if fact.ahead:
            position.marked.append(("AHEAD", fact.log))

    def _define(self, fact: Fact) -> None:
        """Learn a contract's names: positions under several of them become one, and so do two reports of one trade."""
        twins, contract = self.executions.define(fact), self.executions.contracts.of
        for name, side in [key for key in self.held if contract(key[0]) != key[0]]:
            other = self.held.pop((name, side))
            self.held[contract(name), side] = joined(self.get(name, side), other, fact.log)
        for position in [position for (name, _), position in self.held.items() if name == fact.symbol]:
            position.define(fact)
        for twin, known, verdict, doubts in twins:
            self._merge(twin, known, (verdict, doubts), fact)
        # What named a trade by a contract that was not known to be its own.
        waiting = (self.executions.charged, self.unknown, self.booked)
        first = {each.id: each.log for each in sorted((each for facts in waiting for each in facts), key=_newest_first)}
        for execution in sorted(self.executions.all, key=lambda each: first.get(each.id, 0)):
            self._apply_early(execution, self.get(execution.contract, execution.held))

    def _merge(self, twin: Execution, known: Execution, found: tuple[str, list[str]], fact: Fact) -> None:
        """Take out an execution that turns out to be another one: its time, busts and corrections are of that."""
        verdict, doubts = found
        if verdict == "CONFLICTING":
            self._mark(known, verdict, twin.log)
            known.conflicts.append(twin.log)
        known.conflicts += twin.conflicts
        drop(self.get(twin.contract, twin.held), twin, fact)
        self._take_over(known, doubts, twin.log, fact.log)
        for later in inherited(twin, known, fact.log):
            self._change_named(later, known)


def _newest_first(fact: Fact) -> int:
    return -fact.log
