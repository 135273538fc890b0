"""What lockouts want of one account, in plain Python: what is pending, when it may be asked again, what may be sent."""

from __future__ import annotations

from dataclasses import dataclass, field

SECOND = 1_000_000_000
WAITS = (1, 2, 4, 8, 15, 30)
CANCEL, FLATTEN = "CANCEL_ORDERS", "FLATTEN"


@dataclass
class Lock:
    """A lockout that asks for both; it ends by itself at `until`, or is cleared."""

    until: int | None
    cleared: bool = False

    def holds(self, now: int) -> bool:
        return not self.cleared and (self.until is None or now < self.until)


@dataclass
class Order:
    """An order: 1 buys and -1 sells; `own` was sent for a request."""

    side: int
    left: int
    index: int
    own: bool = False


@dataclass
class Request:
    """One attempt of what a lockout wants."""

    action: str
    lock: Lock
    index: int
    at: int
    attempt: int = 1
    success: bool | None = None
    answered_at: int = 0
    answered_index: int = 0
    superseded: bool = False
    claimant: str = ""
    lease_until: int = 0


@dataclass
class Enforced:
    """The account: its lots in the order in which they were opened, orders, lockouts and requests."""

    now: int
    index: int = 0
    lots: list[list[int]] = field(default_factory=list)
    orders: dict[str, Order] = field(default_factory=dict)
    lock: Lock | None = None
    requests: list[Request] = field(default_factory=list)
    contradicted: bool = False
    changed: dict[str, int] = field(default_factory=lambda: {CANCEL: 0, FLATTEN: 0})
    """When orders, and positions, last changed: the index of the record."""
    enlarged: int = 0  # the index of the last fill, or report, that opened or enlarged a position

    @property
    def position(self) -> int:
        return sum(lot[0] for lot in self.lots)

    def fill(self, side: int, quantity: int, order_id: str | None = None) -> None:
        """A fill closes the oldest lots first, and opens with what is left."""
        self.index += 1
        self.changed = {CANCEL: self.index, FLATTEN: self.index}
        if order_id is not None:
            self.orders[order_id].left -= quantity
        while quantity and self.lots and self.lots[0][0] * side < 0:
            closed = min(quantity, abs(self.lots[0][0]))
            self.lots[0][0] += side * closed
            quantity -= closed
            if not self.lots[0][0]:
                del self.lots[0]
        if quantity:
            self.lots.append([side * quantity, self.index])
            self.enlarged = self.index

    def order(self, order_id: str, side: int, quantity: int, *, own: bool = False) -> None:
        self.index += 1
        self.changed[CANCEL] = self.index
        self.orders[order_id] = Order(side, quantity, self.index, own)

    def cancel(self, order_id: str) -> None:
        self.index += 1
        self.changed[CANCEL] = self.index
        self.orders[order_id].left = 0

    # The wanted state

    def closable(self, side: int) -> int:
        """What may be closed; here a report that contradicts always says that more is open, in the same direction."""
        return max(-side * self.position, 0)

    def to_cancel(self) -> list[Order]:
        """What must go: all that works but what only closes for a request."""
        own = {
            side: sum(each.left for each in self.orders.values() if each.own and each.side == side) for side in (1, -1)
        }
        return [
            each
            for each in self.orders.values()
            if each.left and not (each.own and own[each.side] <= self.closable(each.side))
        ]

    def reached(self, action: str) -> bool:
        return not self.to_cancel() if action == CANCEL else not self.position and not self.contradicted

    def newest(self, action: str) -> Request | None:
        return next((each for each in reversed(self.requests) if each.action == action), None)

    def pending(self) -> set[tuple[str, int]]:
        """The pending requests: action and index."""
        return {(each.action, each.index) for each in self.requests if self._is_pending(each)}

    def _is_pending(self, request: Request) -> bool:
        holds, is_reached = request.lock.holds(self.now), self.reached(request.action)
        if request.success is not None:
            return request is self.newest(request.action) and holds and not is_reached
        if request.superseded:
            return False
        if holds:
            return not (is_reached and self.changed[request.action] > request.index)
        return not request.lock.cleared and self._is_of_before(request)

    def _is_of_before(self, request: Request) -> bool:
        if request.action == CANCEL:
            return any(each.index <= request.index for each in self.to_cancel())
        return self.contradicted or any(lot[1] <= request.index for lot in self.lots)

    # Asking again

    def wants(self, request: Request) -> bool:
        return request.lock.holds(self.now) and not self.reached(request.action)

    def is_due(self, request: Request) -> bool:
        """Whether the wait is over, and nobody has claimed it."""
        if request.success is None and self.now < request.lease_until:
            return False
        since = request.at if request.success is None else request.answered_at
        return self.now >= since + WAITS[min(request.attempt, len(WAITS)) - 1] * SECOND

    def is_undone(self, request: Request) -> bool:
        return request.success is not None and self.enlarged > request.answered_index
