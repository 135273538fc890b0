"""A task: one claimed request, with what is to be cancelled and closed, and what was recorded or sent for it before."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
from typing_extensions import override

from eventstore import StoreError
from eventstore.clock import derived_times
from eventstore.readable import Readable
from eventstore.trading import EnforcementAction, OrderSubmitted, OrderType, PositionSide, Side
from projections.decimals import FIXED, ZERO
from projections.risk.caches import risk_cache
from projections.risk.contexts import ONE, CheckContext
from projections.risk.enforcement.wanted import (
    excess_of,
    in_scope,
    is_caused,
    part_to_close,
    weight_in,
    working_in_scope,
)
from projections.risk.holdings import opens
from projections.risk.proposals import Proposal
from projections.risk.submitting import submit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Unpack

    from eventstore import Event, Record
    from eventstore.batch import AppendOptions
    from projections.book import Book
    from projections.risk.cache import RiskCache
    from projections.risk.enforcement.claims import RequestClaim
    from projections.views.enforcement import Enforcement
    from projections.views.executions.positions import Position
    from projections.views.orders.order import Order

_CLOSING = {EnforcementAction.FLATTEN, EnforcementAction.FLATTEN_SYMBOL, EnforcementAction.REDUCE_TO}
_CANCELLING = {EnforcementAction.CANCEL_ORDERS, EnforcementAction.FLATTEN, EnforcementAction.FLATTEN_SYMBOL}
CLOSINGS_MAX = 100
"""How many orders are sent to close one position for one request: one that is rejected each time needs a person."""


class ClosingRejected(StoreError):
    """An order that would close a position was not recorded, and so must not be sent."""

    def __init__(self, account: str, symbol: str, why: str) -> None:
        self.account, self.symbol, self.why = account, symbol, why
        super().__init__(f"no order was recorded to close {symbol} of {account}: {why}")


class ToClose(Readable, msgspec.Struct, frozen=True):
    """A position that a request wants closed or reduced: by orders on `side`, of `quantity` in all.

    What orders on record close already is not taken off.
    """

    symbol: str
    side: Side
    quantity: Decimal
    position_side: PositionSide = PositionSide.NET


class ClosingOrder(Readable, msgspec.Struct, frozen=True):
    """An order on record that closes a position for a request.

    Send it if `is_new`. If not, an earlier attempt recorded it, and may have sent it: ask the broker for its id first.
    """

    order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    position_side: PositionSide
    is_new: bool


class Task:
    """What a function is called with: a request, the book, and what it has to know to act once.

    `orders`, `closing` and `positions` are as the book is when they are asked for: ask when you act, not before.
    """

    def __init__(self, book: Book, claim: RequestClaim) -> None:
        self.book, self._claim = book, claim

    @property
    def request(self) -> Enforcement:
        """The request as it was claimed: its action, rule, reason, details."""
        return self._claim.request

    @property
    def account(self) -> str:
        return self.request.account

    @property
    def caused_by(self) -> bytes:
        """The id of the request, for what is appended because of it."""
        return self.request.id

    def is_held(self) -> bool:
        """Return whether this process may still act: ask right before each step that cannot be undone."""
        return self._claim.is_held()

    def require_held(self) -> None:
        """Raise LeaseLost if this process may not act any more."""
        self._claim.require()

    @property
    def orders(self) -> tuple[Order, ...]:
        """The working orders that are to be cancelled, oldest first.

        One that closes a position for a request is among them once it would close more than is held.
        """
        if self.request.action not in _CANCELLING:
            return ()
        working = self._working()
        own = {order.order_id for order in working if self._is_closing(order)}
        own -= self._excessive() if own else set()
        return tuple(order for order in working if order.order_id not in own)

    @property
    def closing(self) -> tuple[Order, ...]:
        """The orders sent to close positions for this request or an earlier one that may still be executed.

        One that would close more than is held is among `orders` as well.
        """
        return tuple(order for order in self._working() if self._is_closing(order))

    @property
    def positions(self) -> tuple[ToClose, ...]:
        """The positions that are to be closed or reduced, the largest first."""
        request = self.request
        if request.action not in _CLOSING:
            return ()
        held = [each for each in self.book.positions.of(self.account) if each.quantity and self.concerns(each.symbol)]
        at, is_part = self.book.now_ns(), request.action is EnforcementAction.REDUCE_TO and request.quantity is not None
        with decimal.localcontext(FIXED):
            cache = risk_cache(self.book, self.account, at)
            weights = [weight_in(cache, request, each.symbol) if is_part else ONE for each in held]
            # By weight: what a limit counts for more is closed first.
            pairs = zip(held, weights, strict=True)
            held = [each for each, _ in sorted(pairs, key=lambda pair: abs(pair[0].quantity) * pair[1], reverse=True)]
            excess = excess_of(cache, request, at) if is_part else None
            return tuple(self._to_close(cache, held, excess))

    def concerns(self, symbol: str | None) -> bool:
        """Return whether the request is about a symbol, by any of its names or its root; an unknown one may be."""
        return in_scope(risk_cache(self.book, self.account, self.book.now_ns()), self.request, symbol)

    def submit_closing(
        self,
        symbol: str,
        *,
        quantity: Decimal | None = None,
        side: Side | None = None,
        position_side: PositionSide = PositionSide.NET,
        order_type: OrderType = OrderType.MARKET,
        reduce_only: bool = False,
    ) -> ClosingOrder | None:
        """Record an order that closes a position, as far as the request asks for it; None if nothing is left to close.

        An order on record that closes it already, and may still be executed, is returned in its place. A new one is
        checked, and never closes more than is held and not being closed, so that neither two processes nor a restarted
        one close twice. `quantity` and `side`: by default those of `positions`. `reduce_only`: the venue knows such
        orders. Raises ClosingRejected, with nothing to send, and LeaseLost.
        """
        if quantity is not None and not (quantity.is_finite() and quantity > ZERO):
            raise ClosingRejected(self.account, symbol, f"the quantity is {quantity}: give one above zero")
        for number in range(1, CLOSINGS_MAX + 1):
            self.require_held()
            self.book.refresh()
            working = next((each for each in self.closing if self._closes(each, symbol, position_side)), None)
            if working is not None:
                return _on_record(working)
            order_id = f"close-{self.caused_by.hex()[-12:]}-{number}"
            if self.book.orders.get(self.account, order_id) is not None:
                continue
            wanted = self._wanted(symbol, position_side, side, quantity)
            if wanted is None:
                return None
            event = OrderSubmitted(
                symbol=wanted.symbol, side=wanted.side, quantity=wanted.quantity, order_type=order_type,
                position_side=position_side, reduce_only=reduce_only,
            )  # fmt: skip
            self._record_order(order_id, event)
            return ClosingOrder(order_id, wanted.symbol, wanted.side, wanted.quantity, position_side, is_new=True)
        raise ClosingRejected(self.account, symbol, f"{CLOSINGS_MAX} orders were sent for it without success")

    def record(self, stream: str, events: Event | Sequence[Event], **options: Unpack[AppendOptions]) -> list[Record]:
        """Append what happened, with the request as its cause, and fold it; a fact is recorded even once it is late."""
        options.setdefault("causation_id", self.caused_by)
        return self.book.append(stream, events, **options)

    def _working(self) -> tuple[Order, ...]:
        return tuple(each for each in self.book.orders.open(self.account) if self.concerns(each.symbol))

    def _excessive(self) -> set[str]:
        """Return the orders that the request wants cancelled even if a request caused them."""
        try:
            with decimal.localcontext(FIXED):
                cache = risk_cache(self.book, self.account, self.book.now_ns())
                return {each.order_id for each in working_in_scope(self.book, cache, self.request)}
        except (StoreError, ArithmeticError):
            # What is held cannot be read: the others are cancelled all the same.
            return set()

    def _name(self, symbol: str) -> str:
        contract = self.book.contracts.find(symbol)
        return symbol if contract is None else contract.symbol

    def _is_closing(self, order: Order) -> bool:
        return is_caused(self.book, self.account, order.order_id)

    def _closes(self, order: Order, symbol: str, position_side: PositionSide) -> bool:
        is_same = order.symbol is not None and self._name(order.symbol) == self._name(symbol)
        return is_same and order.position_side == position_side

    def _wanted(
        self, symbol: str, position_side: PositionSide, side: Side | None, quantity: Decimal | None
    ) -> ToClose | None:
        if side is not None and quantity is not None:
            return ToClose(symbol, side, quantity, position_side)
        place = (self._name(symbol), position_side)
        found = next((each for each in self.positions if (self._name(each.symbol), each.position_side) == place), None)
        if found is None:
            self._require_none(*place)
            return None
        if side not in {None, found.side}:
            return None
        asked = min(found.quantity if quantity is None else quantity, found.quantity, self._reported(found))
        if asked <= ZERO:
            why = "the broker reports no such position: append what is missing, or reconcile it"
            raise ClosingRejected(self.account, symbol, why)
        # One that is too large would be rejected as a whole.
        order = Proposal(
            account=self.account, symbol=symbol, side=found.side, quantity=asked, position_side=position_side
        )
        most = CheckContext(self.book, order, self.book.now_ns()).reducible
        return ToClose(symbol, found.side, min(asked, most) if most > ZERO else asked, position_side)

    def _to_close(self, cache: RiskCache, held: list[Position], excess: Decimal | None) -> Iterator[ToClose]:
        """Yield what is to be closed of the positions held: all, or what takes an excess away, in their order."""
        for each in held:
            side, quantity = _closing_side(each), abs(each.quantity)
            if opens(each.side, side):
                # More was closed than the records opened: an order would open a position at the venue.
                continue
            if excess is not None:
                quantity = part_to_close(cache, self.request, each.symbol, excess, quantity)
                excess -= quantity * weight_in(cache, self.request, each.symbol)
            if quantity:
                yield ToClose(each.symbol, side, quantity, each.side)

    def _require_none(self, name: str, position_side: PositionSide) -> None:
        """Raise ClosingRejected if a contract is held on other sides than the one that was asked for.

        So it does if more was closed on that side than the records opened.
        """
        position = self.book.positions.get(self.account, name, position_side)
        if position.quantity and opens(position_side, _closing_side(position)):
            why = f"more of its {position_side} side was closed than opened: append what is missing, or reconcile it"
            raise ClosingRejected(self.account, name, why)
        sides = sorted({str(each.position_side) for each in self.positions if self._name(each.symbol) == name})
        if sides:
            why = f"its positions are {' and '.join(sides)}: give position_side, as in `positions`"
            raise ClosingRejected(self.account, name, why)

    def _reported(self, held: ToClose) -> Decimal:
        """Return how much of a position the broker says there is to close, if that is newer than the fills."""
        position = self.book.positions.get(self.account, held.symbol, held.position_side)
        if position.reported is None or position.superseded:
            return held.quantity
        return max(position.reported if held.side is Side.SELL else -position.reported, ZERO)

    def _record_order(self, order_id: str, event: OrderSubmitted) -> None:
        with derived_times():
            sent = submit(self.book, self.account, order_id, event, self.book.now_ns(), caused_by=self.caused_by)
        if not sent.answer.passed:
            raise ClosingRejected(self.account, event.symbol, sent.answer.reason)
        # The last look before the caller sends it: who has taken the request over finds the order, and sends it.
        self.require_held()

    @override
    def __repr__(self) -> str:
        request = self.request
        return f"<Task {request.action} of {self.account} for {request.rule_id}: {self._claim!r}>"


def _closing_side(position: Position) -> Side:
    return Side.SELL if position.quantity > ZERO else Side.BUY


def _on_record(order: Order) -> ClosingOrder:
    assert order.symbol is not None
    assert order.side is not None
    quantity = ZERO if order.quantity is None else order.quantity
    return ClosingOrder(order.order_id, order.symbol, order.side, quantity, order.position_side, is_new=False)
