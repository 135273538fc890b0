"""Whether an account is in the state that a request wants, by the worse of the fills and the broker's reports."""

from __future__ import annotations

import decimal
import weakref
from typing import TYPE_CHECKING

from eventstore import StoreError
from eventstore.trading import EnforcementAction
from projections.decimals import FIXED, ZERO
from projections.risk.caches import risk_cache
from projections.risk.contexts import ONE, weight_of
from projections.risk.enforcement.requests import FLATTENING
from projections.risk.holdings import FLAT, OpenOrder, confirmed
from projections.views.enforcement import EnforcementView
from projections.views.executions.state import VIEW as EXECUTIONS
from projections.views.limits.parameters import BadLimit, UnknownKind, read, rule_id_of
from projections.views.orders.view import OrdersView

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from projections.book import Book
    from projections.risk.cache import RiskCache
    from projections.risk.holdings import OpenPosition
    from projections.views.enforcement import Enforcement, EnforcementState
    from projections.views.executions.state import ExecutionsState, Holding
    from projections.views.orders.state import OrdersState

CAUSES_MAX = 1_000
_CANCEL, _REDUCE = EnforcementAction.CANCEL_ORDERS, EnforcementAction.REDUCE_TO


def is_reached(book: Book, request: Enforcement, at: int) -> bool:
    """Return whether an account is in the state that a request wants; what cannot be read is not reached.

    CANCEL_ORDERS wants no order that may still change a position, except what closes one for a request; to be flat
    counts by the fills and by the broker's reports of positions and orders, once these contradict them. REDUCE_TO wants
    at most its quantity.
    """
    try:
        with decimal.localcontext(FIXED):
            cache = risk_cache(book, request.account, at)
            if request.action is _CANCEL:
                return not any(True for _ in working_in_scope(book, cache, request))
            if request.action in FLATTENING or (request.action is _REDUCE and request.quantity is None):
                is_flat = not any(map(_most, _positions(cache, request, at)))
                return is_flat and not _lacks_fills(book, cache, request)
            if request.action is _REDUCE and request.quantity is not None:
                return _weighed(cache, request, at) <= request.quantity
    except (StoreError, ArithmeticError):
        return False
    # It asks for nothing.
    return True


def in_scope(cache: RiskCache, request: Enforcement, symbol: str | None) -> bool:
    """Return whether a request is about a symbol: by any of its names, or its root. What is unknown is in each."""
    if request.symbol is None or symbol is None:
        return True
    return request.symbol == symbol or bool(cache.named_in(symbol, (request.symbol,)))


def _positions(cache: RiskCache, request: Enforcement, at: int) -> Iterator[OpenPosition]:
    return (each for each in confirmed(cache.positions, at) if in_scope(cache, request, each.symbol))


def _most(position: OpenPosition) -> Decimal:
    """Return the largest quantity that may be held, whichever bound is true."""
    return max(abs(position.quantity), abs(position.lowest), abs(position.highest))


def _lacks_fills(book: Book, cache: RiskCache, request: Enforcement) -> bool:
    """Return whether the broker reports fills of an order that are not recorded, and that contradicts the records."""
    reported = [each for each in cache.contradictions if isinstance(each, OpenOrder)]
    orders = [book.orders.resident(request.account, each.order_id) for each in reported]
    return any(order is None or (order.unexplained and in_scope(cache, request, order.symbol)) for order in orders)


def excess_of(cache: RiskCache, request: Enforcement, at: int) -> Decimal:
    """Return by how much more is held than a REDUCE_TO leaves: in contracts of its symbol, without one by weight."""
    return ZERO if request.quantity is None else max(_weighed(cache, request, at) - request.quantity, ZERO)


def part_to_close(cache: RiskCache, request: Enforcement, symbol: str, excess: Decimal, held: Decimal) -> Decimal:
    """Return how much of a position takes an excess away, rounded up to the position's own decimals."""
    weight = weight_in(cache, request, symbol)
    # To close what counts for nothing takes nothing away.
    if not (excess > ZERO and weight > ZERO):
        return ZERO
    exact = excess / weight
    if exact >= held:
        return held
    place = held if held.as_tuple().exponent <= 0 else ONE  # type: ignore[operator]
    return min(held, exact.quantize(place, rounding=decimal.ROUND_UP))


def weight_in(cache: RiskCache, request: Enforcement, symbol: str) -> Decimal:
    """Return what a contract counts for in a REDUCE_TO: of one symbol 1, of all by the weights of the limit."""
    return weight_of(cache, symbol, {} if request.symbol is not None else _weights(cache, request.rule_id))


def _weighed(cache: RiskCache, request: Enforcement, at: int) -> Decimal:
    """Return what is held: of one symbol in contracts, of all by the weights of the limit that asks."""
    held = _positions(cache, request, at)
    return sum((_most(each) * weight_in(cache, request, each.symbol) for each in held), ZERO)


def _weights(cache: RiskCache, rule_id: str) -> Mapping[str, Decimal]:
    for limit in (*cache.limits, *cache.group_limits):
        if rule_id_of(limit) == rule_id:
            try:
                found: Mapping[str, Decimal] = getattr(read(limit), "weights", {})
            except (BadLimit, UnknownKind):
                break
            return found
    return {}


def working_in_scope(book: Book, cache: RiskCache, request: Enforcement) -> Iterator[OpenOrder]:
    """Yield the working orders, and those in flight, that a request wants to be cancelled.

    An order that was sent for a request stays, as long as all of these together close no more than what is held.
    """
    orders = [each for each in cache.working_orders if in_scope(cache, request, each.symbol)]
    own = [each for each in orders if is_caused(book, request.account, each.order_id)] if orders else []
    closing: dict[tuple[object, ...], Decimal] = {}
    for each in own:
        if each.leaves is not None:
            key = (each.symbol, each.position_side, each.side)
            closing[key] = closing.get(key, ZERO) + each.leaves
    for each in orders:
        if each not in own or each.symbol is None or each.side is None or each.leaves is None:
            yield each
            continue
        held = cache.confirmed_exposure.sides.get((each.symbol, each.position_side), FLAT)
        if closing[each.symbol, each.position_side, each.side] > held.reducible(each.side, each.position_side):
            yield each


_causes: weakref.WeakKeyDictionary[Book, dict[int, bytes | None]] = weakref.WeakKeyDictionary()
"""By book, the causes of records, by log position: what an order was sent for is read from the log once."""


def is_caused(book: Book, account: str, order_id: str) -> bool:
    """Return whether an order was sent to carry out a request of its account."""
    order = book.orders.resident(account, order_id)
    state: EnforcementState | None = book.state(EnforcementView.name, account)
    if order is None or state is None:
        return False
    causes = _causes.setdefault(book, {})
    position = order.first_position
    if position not in causes:
        if len(causes) >= CAUSES_MAX:
            causes.clear()
        first = next(iter(book.reader.read(after=position - 1, limit=1)), None)
        causes[position] = None if first is None else first.causation_id
    cause = causes[position]
    return cause is not None and state.find_record(cause) is not None


def has_changed(book: Book, request: Enforcement, at: int) -> bool:
    """Return whether anything has been recorded since a request that it is about."""
    if request.action is _CANCEL:
        orders: OrdersState | None = book.state(OrdersView.name, request.account)
        return orders is not None and orders.log_position > request.position
    cache = risk_cache(book, request.account, at)
    return any(
        each.last_record > request.position
        for each in _holdings(book, request.account)
        if in_scope(cache, request, each.symbol)
    )


def is_of_before(book: Book, request: Enforcement, at: int) -> bool:
    """Return whether something that a request is about is as old as the request: an order, or a part of a position."""
    account, since = request.account, request.position
    cache = risk_cache(book, account, at)
    if request.action is _CANCEL:
        working = [book.orders.resident(account, each.order_id) for each in working_in_scope(book, cache, request)]
        return any(order is None or order.first_position <= since for order in working)
    if any(each.quantity != each.lowest or each.quantity != each.highest for each in _positions(cache, request, at)):
        # What the broker reports may be of any age.
        return True
    return any(
        lot.position <= since
        for each in _holdings(book, account)
        if in_scope(cache, request, each.symbol)
        for lot in each.totals.lots
    )


def _holdings(book: Book, account: str) -> list[Holding]:
    state: ExecutionsState | None = book.state(EXECUTIONS, account)
    return [] if state is None else list(state.holdings.values())
