"""An order about to be sent, and the figures that checks need about it, each looked up once."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

import msgspec

from eventstore import StoreError, UnknownContract
from eventstore.trading import OrderSubmitted, OrderType, PositionSide, Side
from projections.decimals import ZERO
from projections.risk.account_figures import figures_of
from projections.risk.holdings import FLAT, QUANTITY_MAX, with_order
from projections.valuation import Status
from projections.views.executions.payoffs import exposure_value
from projections.views.valuing import currency_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

    from projections.book import Book
    from projections.risk.account_figures import AccountFigures
    from projections.risk.cache import RiskCache
    from projections.views.contracts.view import Contract
    from projections.views.valuing import Total

D = TypeVar("D", Decimal, Decimal | None)


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """An order about to be sent. `caused_by` is the id of the EnforcementRequested that it carries out.

    `reduce_only`: the venue lets it close an open position and nothing else. `protective_stop`: the price of the stop
    that will be sent with it.
    """

    account: str
    symbol: str
    side: Side
    quantity: Decimal
    order_type: OrderType | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    position_side: PositionSide = PositionSide.NET
    order_id: str | None = None
    caused_by: bytes | uuid.UUID | None = None
    reduce_only: bool = False
    protective_stop: Decimal | None = None

    @classmethod
    def of(
        cls,
        account: str,
        order: OrderSubmitted,
        *,
        order_id: str | None = None,
        caused_by: bytes | uuid.UUID | None = None,
        protective_stop: Decimal | None = None,
    ) -> Self:
        """Return the proposal of an order to submit."""
        return cls(
            account=account,
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            order_type=order.order_type,
            limit_price=order.limit_price,
            stop_price=order.stop_price,
            position_side=order.position_side,
            order_id=order_id,
            caused_by=caused_by,
            reduce_only=order.reduce_only,
            protective_stop=protective_stop,
        )

    def validation_error(self) -> str | None:
        """Return why checks cannot use it (a quantity that is not a number, a side that is not a Side), else None."""
        # msgspec does not validate what is passed to a constructor, and checks compare sides by identity.
        given: tuple[tuple[str, object, type], ...] = (
            ("side", self.side, Side),
            ("position side", self.position_side, PositionSide),
            ("symbol", self.symbol or None, str),
        )
        for name, value, expected in given:
            if not isinstance(value, expected):
                return f"its {name} is {value!r}, expected a {expected.__name__}"
        quantity = self.quantity
        if not is_finite_decimal(quantity) or not ZERO < quantity < QUANTITY_MAX:
            return f"its quantity is {quantity}, expected a finite Decimal above 0"
        prices = {"limit price": self.limit_price, "stop price": self.stop_price, "stop": self.protective_stop}
        for name, price in prices.items():
            if price is not None and not is_finite_decimal(price):
                return f"its {name} is {price}, expected a finite Decimal"
        return None


class Cancel(msgspec.Struct, frozen=True, kw_only=True):
    """A cancel about to be sent."""

    account: str
    order_id: str
    symbol: str | None = None
    caused_by: bytes | uuid.UUID | None = None


class MissingInput(StoreError):
    """A check is impossible: an input of it is missing, stale or not a number."""


def known(total: Total) -> Decimal:
    """Return an amount; raise MissingInput, with the reason, while it is not KNOWN."""
    if total.standing.status is not Status.KNOWN:
        raise MissingInput(total.standing.why)
    return total.amount


class CheckContext:
    """The inputs of a limit's figure, of an order's or, without one, of the account as it is.

    Without an order `symbol` is None and `quantity` zero. Use it within the decimal context projections.decimals.FIXED.
    """

    def __init__(self, book: Book, account: str, at: int, order: Proposal | None = None) -> None:
        self.book, self.account, self.at = book, account, at
        self.figures = figures_of(book, account, at)
        self.cache = self.figures.cache
        self.order = order
        self.contract: Contract | None = None
        self.symbol: str | None = None
        self.quantity = ZERO
        if order is not None:
            self.contract = book.contracts.find(order.symbol)
            self.symbol = order.symbol if self.contract is None else self.contract.symbol
            self.quantity = order.quantity
        self._exposure: Decimal | None = None
        self._members: dict[str, CheckContext] = {}
        self.requires_orders = True
        """Whether a working order of unknown effect leaves the exposure unknown; else it is what is known at least."""

    def of_member(self, account: str) -> CheckContext:
        """Return the context of an account in a group: about the same symbol, and with the order if it is its own."""
        if account == self.account:
            return self
        member = self._members.get(account)
        if member is None:
            member = self._members[account] = CheckContext(self.book, account, self.at)
            member.contract, member.symbol = self.contract, self.symbol
        return member

    def about(self, symbol: str) -> CheckContext:
        """Return the context of the same account in a symbol, without an order."""
        found = CheckContext(self.book, self.account, self.at)
        found.contract, found.symbol, found.requires_orders = (
            self.book.contracts.find(symbol),
            symbol,
            self.requires_orders,
        )
        return found

    @property
    def currency(self) -> str | None:
        """The account's own currency."""
        return self.figures.own

    @property
    def is_reduction(self) -> bool:
        """Whether the order, together with working orders on its side, can only close what is held.

        For a reduce-only order the venue guarantees that, whatever else is working: its own quantity must fit.
        """
        order, symbol = self.order, self.symbol
        if order is None or symbol is None:
            return False
        held = self.cache.exposure.sides.get((symbol, order.position_side), FLAT).held
        if not held or (held > ZERO) is (order.side is Side.BUY) or self.quantity > abs(held):
            return False
        # A fill of those could flatten the position first, and this order would then open one.
        closing = self.cache.closing_quantities.get((symbol, order.position_side, order.side), ZERO)
        return order.reduce_only or self.quantity + closing <= abs(held)

    def symbols(self) -> tuple[str, ...]:
        """Return the order's symbol; without an order, each that something is held or working in."""
        return tuple(self.cache.exposure.worst_case) if self.symbol is None else (self.symbol,)

    def exposure(self, symbol: str | None = None) -> Decimal:
        """Return the worst-case position in a symbol, by default the order's, with it and the working ones filled.

        All buys and no sell, or all sells and no buy, whichever is more; where the venue keeps long and short
        positions separate, both together. Raises MissingInput for a working order of unknown quantity.
        """
        asked = self.symbol if symbol is None else symbol
        assert asked is not None, "without an order, a symbol is named"
        total, order = self.cache.exposure, self.order
        if order is None or asked != self.symbol:
            self._require_complete_orders(asked)
            return total.worst_case.get(asked, ZERO)
        if self._exposure is None:
            self._require_complete_orders(asked)
            key = asked, order.position_side
            before = total.sides.get(key, FLAT)
            after = with_order(before, order.side, self.quantity)
            worst_case = total.worst_case.get(asked, ZERO)
            # Only this side of the position changes, so only its part of the symbol's worst case is replaced.
            self._exposure = worst_case - before.worst_case(order.position_side) + after.worst_case(order.position_side)
        return self._exposure

    def other_exposures(self) -> Iterable[tuple[str, Decimal]]:
        """Return the worst-case position in every symbol but the order's."""
        self._require_complete_orders(None)
        return [each for each in self.cache.exposure.worst_case.items() if each[0] != self.symbol]

    def _require_complete_orders(self, symbol: str | None) -> None:
        if not self.requires_orders:
            return
        for order in self.cache.incomplete_orders:
            if symbol is None or order.symbol in {None, symbol}:
                msg = f"working order {order.order_id} lacks symbol, side or quantity"
                raise MissingInput(msg)

    def equity(self) -> Decimal:
        """Return the equity in the account's own currency; raise MissingInput while it is not KNOWN."""
        return known(self.figures.equity)

    def exposure_value(self, symbol: str) -> Decimal:
        """Return the value of the exposure in a symbol at a known price, in the account's own currency."""
        contract = self.contract if symbol == self.symbol else self.book.contracts.find(symbol)
        if contract is None or contract.multiplier is None:
            raise UnknownContract(symbol)
        value = exposure_value(self.exposure(symbol), self.price(symbol), contract)
        return known(self.figures.total({currency_of(contract, self.currency): value}, target=self.currency))

    def price(self, symbol: str | None = None) -> Decimal:
        """Return the price that a symbol, by default the order's, is valued at; raise MissingInput unless KNOWN."""
        asked = symbol or self.symbol or ""
        price = self.book.quotes.price(asked, self.at, self.cache.configuration.valuation, long=self._is_long(asked))
        if price.price is None or price.standing.status is not Status.KNOWN:
            raise MissingInput(price.standing.why)
        return price.price

    def _is_long(self, symbol: str) -> bool:
        if self.order is not None:
            return self.order.side is Side.BUY
        return sum((held.quantity for held in self.cache.positions if held.symbol == symbol), ZERO) >= ZERO


def balance_of(figures: AccountFigures, currency: str | None) -> Decimal:
    """Return the balance, by default in the account's own currency; raise MissingInput while it is not KNOWN."""
    return known(figures.balance) if currency in {None, figures.own} else figures.cache.balance(currency)


def by_name(cache: RiskCache, symbol: str, table: Mapping[str, Decimal], default: D) -> Decimal | D:
    """Return a table's value for a symbol, any other name of it or its root, else the default."""
    if table:
        for name in cache.names(symbol):
            if name in table:
                return table[name]
    return default


def is_finite_decimal(value: object) -> bool:
    return isinstance(value, Decimal) and value.is_finite()
