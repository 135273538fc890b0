"""Reference: what a later fact changes of a trade that is fixed or not known: items of its own, on its day."""

from __future__ import annotations

from fractions import Fraction

from tests.reference.facts import ZERO, Fact
from tests.reference.items import NOTHING, Item, fractions, worth
from tests.reference.sequence import Figures, Position
from tests.reference.trades import Execution, Fee


def stated(fact: Fact) -> tuple[Figures, Figures] | None:
    """Return the figures before and after that a bust or correction states by itself; None if it says too little."""
    bust = fact.kind == "BUST"
    quantity, price = (fact.quantity, fact.price) if bust else fact.before or (None, None)
    if fact.symbol is None or fact.side is None or quantity is None or price is None:
        return None
    after = (ZERO, price) if bust else (fact.side * (fact.quantity or ZERO), fact.price or ZERO)
    return fractions((fact.side * quantity, price)), fractions(after)


def refunded(position: Position, fact: Fact) -> tuple[Fraction, list[Fee]]:
    """Return what a bust of a trade that is not known gives back: of the coin bought, and of its fees."""
    if fact.kind != "BUST" or not fact.fee:
        return NOTHING, []
    coin, quantity = position.terms.coin if position.terms else "", fact.quantity or ZERO
    if coin and coin == fact.currency and (fact.side or 0) > 0 and fact.fee < quantity:
        return Fraction(fact.fee), [Fee("", -fact.fee * (fact.price or ZERO), position.terms)]
    return NOTHING, [Fee(fact.currency, -fact.fee, position.terms)]


def book(
    position: Position, fact: Fact, change: tuple[Figures, Figures], refund: list[Fee], trade: Execution | None = None
) -> None:
    """Book what a bust or correction changes, at prices of its own."""
    (old, old_price), (new, new_price) = change
    inverse = position.terms is not None and position.terms.inverse
    was, now = worth(old_price, inverse=inverse), worth(new_price, inverse=inverse)
    # What stays of the quantity changes only its price, which moves no lot.
    same = NOTHING if old * new <= 0 else min(old, new, key=abs)
    if old_price != new_price and None in {was, now}:
        same = NOTHING
    changes = [("REPRICE", same, (was or NOTHING) - (now or NOTHING))] if same and old_price != new_price else []
    changes += [("OPPOSITE", same - old, old_price)] if same != old else []
    changes += [("OPPOSITE", new - same, new_price)] if same != new else []
    for number, (kind, quantity, price) in enumerate(changes):
        position.place(Item(kind, fact.log, fact.at, [(fact.at, quantity, price)], trade, [] if number else refund))
    if changes:
        position.marked.append(("LATE", fact.log))


def unbook(position: Position, fact: Fact) -> bool:
    """Take out again what was booked for a fact; return False if that is fixed."""
    booked = [item for items in position.lists for item in items if item.kind in {"OPPOSITE", "REPRICE"}]
    mine = [item for item in booked if item.log == fact.log and item.execution is None]
    if not all(map(position.is_open, mine)):
        return False
    for item in mine:
        position.take_out(item)
    marks = {("LATE", fact.log), ("AT_RECONCILIATION", fact.log)}
    position.marked = [mark for mark in position.marked if mark not in marks]
    return True


def drop(position: Position, twin: Execution, fact: Fact) -> None:
    """Take out an execution that turns out to be another one."""
    item = position.item_of(twin)
    assert item is not None
    if position.is_open(item):
        position.take_out(item)
        return
    for booked in (each for items in position.lists for each in items if each.execution is twin and each is not item):
        # The fees that its bust gave back are gone with it; the round trips keep both.
        booked.is_of_twin = True
    by = item.scale * position.scale_since(item.place)
    figures = fractions((twin.quantity, twin.price), by, inverse=item.inverse)
    book(position, fact, (figures, (NOTHING, figures[1])), [], twin)
