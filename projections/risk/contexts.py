"""What a limit's figure is computed from: an account as it is, and with an order about to be sent."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

from typing_extensions import override

from eventstore import UnknownContract
from eventstore.trading import OrderType, Side, Valuation
from projections.decimals import ZERO
from projections.risk.account_figures import figures_of
from projections.risk.holdings import FLAT, NO_LEG, UNGROUPED, OpenOrder
from projections.risk.proposals import MissingInput
from projections.risk.working import filled_of, is_opposite
from projections.valuation import Status
from projections.views.executions.payoffs import exposure_value
from projections.views.valuing import currency_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from projections.book import Book
    from projections.risk.account_figures import AccountFigures
    from projections.risk.cache import RiskCache
    from projections.risk.holdings import AccountExposure, SideExposure
    from projections.risk.proposals import Proposal
    from projections.views.contracts.view import Contract
    from projections.views.valuing import Total

_MARKET = OrderType.MARKET
ONE = Decimal(1)

D = TypeVar("D", Decimal, Decimal | None)


class AccountContext:
    """The inputs of a limit's figure: of an account as it is, and by `CheckContext` with an order about to be sent.

    Use it within the decimal context projections.decimals.FIXED.
    """

    order: Proposal | None = None
    contract: Contract | None = None
    """The contract of the order's symbol."""
    symbol: str | None = None
    """The order's symbol, by its contract's name."""
    quantity: Decimal = ZERO
    locks: bool = False
    """Whether the figure is to lock accounts: what orders of unknown effect, and reports that may still be explained,
    would add to the exposure does not count then."""

    def __init__(self, book: Book, account: str, at: int) -> None:
        self.book, self.account, self.at = book, account, at
        self.figures = figures_of(book, account, at)
        self.cache = self.figures.cache
        self._members: dict[str, AccountContext] = {}

    def of_member(self, account: str) -> AccountContext:
        """Return the context of an account in a group: about the same symbol, and with the order if it is its own."""
        if account == self.account:
            return self
        member = self._members.get(account)
        if member is None:
            member = AccountContext(self.book, account, self.at)
            if self.symbol is not None:
                member = member.about(self.symbol)
            self._members[account] = member
        return member

    def about(self, symbol: str) -> SymbolContext:
        """Return the context of the same account in a symbol, without an order."""
        found = SymbolContext(self.book, self.account, symbol, self.at)
        found.locks = self.locks
        return found

    @property
    def currency(self) -> str | None:
        """The account's own currency."""
        return self.figures.own

    def symbols(self) -> tuple[str, ...]:
        """Return each symbol that something is held or working in; with an order, its own alone."""
        return tuple(self._total.worst_case)

    @property
    def _total(self) -> AccountExposure:
        return self.cache.confirmed_exposure if self.locks else self.cache.exposure

    def exposure(self, symbol: str | None = None) -> Decimal:
        """Return the worst-case position in a symbol, by default the order's, with it and the working ones filled.

        All buys and no sell, or all sells and no buy, whichever is more; where the venue keeps long and short
        positions separate, both together. Raises MissingInput for a working order of unknown quantity.
        """
        assert symbol is not None, "without an order, a symbol is named"
        self._require_complete_orders(symbol)
        return self._total.worst_case.get(symbol, ZERO)

    def other_exposures(self) -> Iterable[tuple[str, Decimal]]:
        """Return the worst-case position in every symbol but the order's."""
        self._require_complete_orders(None)
        return [each for each in self._total.worst_case.items() if each[0] != self.symbol]

    def _require_complete_orders(self, symbol: str | None) -> None:
        if self.locks:
            return
        for order in self.cache.incomplete_orders:
            if symbol is None or order.symbol in {None, symbol}:
                msg = f"working order {order.order_id} lacks symbol, side or quantity: report them, or cancel it"
                raise MissingInput(msg)

    def equity(self) -> Decimal:
        """Return the equity in the account's own currency; raise MissingInput while it is not KNOWN."""
        return known(self.figures.equity)

    def exposure_value(self, symbol: str, currency: str | None = None) -> Decimal:
        """Return the value of the exposure in a symbol at a known price, by default in the account's own currency."""
        contract = self.contract if symbol == self.symbol else self.book.contracts.find(symbol)
        if contract is None or contract.multiplier is None:
            raise UnknownContract(symbol)
        value = exposure_value(self.exposure(symbol), self.price(symbol), contract)
        return self.money(value, currency_of(contract, self.currency), currency)

    def money(self, amount: Decimal, source: str | None, currency: str | None = None) -> Decimal:
        """Return an amount in a currency, by default the account's own; raise MissingInput without a known rate."""
        return known(self.figures.total({source: amount}, target=currency or self.currency))

    def price(self, symbol: str | None = None) -> Decimal:
        """Return the price that a symbol, by default the order's, is valued at; raise MissingInput unless KNOWN."""
        asked, valuation, positions = (
            symbol or self.symbol or "",
            self.cache.configuration.valuation,
            self.figures.positions,
        )
        used = positions.quotes.get(asked)
        if used is not None and asked not in positions.standings and valuation is not Valuation.LIQUIDATION:
            # The KNOWN price that a position in it is valued at, which is the same on both sides.
            return used.price
        price = self.book.quotes.price(asked, self.at, valuation, long=self._is_long(asked))
        if price.price is None or price.standing.status is not Status.KNOWN:
            raise MissingInput(price.standing.why)
        return price.price

    def _is_long(self, symbol: str) -> bool:
        return sum((held.quantity for held in self.cache.positions if held.symbol == symbol), ZERO) >= ZERO


class SymbolContext(AccountContext):
    """The inputs of an account's part of a group's figure in one symbol, which another account may have an order in."""

    symbol: str

    def __init__(self, book: Book, account: str, symbol: str, at: int) -> None:
        super().__init__(book, account, at)
        self.contract = book.contracts.find(symbol)
        self.symbol = symbol if self.contract is None else self.contract.symbol

    @override
    def symbols(self) -> tuple[str, ...]:
        return (self.symbol,)

    @override
    def exposure(self, symbol: str | None = None) -> Decimal:
        return super().exposure(self.symbol if symbol is None else symbol)


class CheckContext(SymbolContext):
    """The inputs of one order's checks: what the account would come to with it."""

    order: Proposal

    def __init__(self, book: Book, order: Proposal, at: int) -> None:
        super().__init__(book, order.account, order.symbol, at)
        self.order = order
        self.side, self.position_side, self.quantity = order.side, order.position_side, order.quantity
        self._group = order.link_group or UNGROUPED
        self._exposure: Decimal | None = None

    @property
    def is_reduction(self) -> bool:
        """Whether the order can only close what is held, whatever else works against it outside its link group."""
        most = self.reducible
        return most > ZERO and self.leaves <= most

    @property
    def reducible(self) -> Decimal:
        """The most that the order may close: what is held less what already works against it outside its link group.

        Zero if the order would add to what is held. A reduce-only order counts like any other: one that is not may
        open a position after a fill of it.
        """
        held = self.closable
        return max(held - self.others_against, ZERO) if held else ZERO

    @property
    def closable(self) -> Decimal:
        """What is held against the order's side, as far as reports that contradict it leave it certain."""
        return self.side_exposure.reducible(self.side, self.position_side)

    @property
    def side_exposure(self) -> SideExposure:
        """What is held of the symbol and side, bounded by the reports that contradict it."""
        return self.cache.confirmed_exposure.sides.get((self.symbol, self.position_side), FLAT)

    @property
    def others_against(self) -> Decimal:
        """The quantity that working orders on the order's side may execute, apart from those whose place it takes."""
        cache, own = self.cache, self._own
        total = cache.closing_quantities.get((self.symbol, self.position_side, self.side), ZERO)
        if not total:
            return ZERO
        if self._group == UNGROUPED:
            return total if own is None or own.leaves is None else total - own.leaves
        leg = cache.closing_legs.get((self.symbol, self.position_side, self.side, self._group), NO_LEG)
        at_once = leg.at_once
        if own is not None and own.at_once and own.leaves is not None:
            at_once -= own.leaves
        return total - leg.size + at_once

    @property
    def _own(self) -> OpenOrder | None:
        """The working order that the proposal replaces, as it counts now; None if it submits one."""
        replaced = self.order.replaced
        if replaced is None:
            return None
        return next((each for each in self.cache.working_orders if each.order_id == replaced.order_id), None)

    @property
    def leaves(self) -> Decimal:
        """What the order may execute: of a replaced one, the most that is left of either of its totals."""
        replaced = self.order.replaced
        if replaced is None:
            return self.quantity
        left, own = max(self.quantity - replaced.cumulative, ZERO), self._own
        return left if own is None or own.leaves is None else max(left, own.leaves)

    def _added(self) -> Decimal:
        """Return what the order adds to what working orders may execute on its side.

        Of a link group only the largest order counts; a bracket's child as far as its parent has filled.
        """
        order, leaves = self.order, self.leaves
        if order.reduce_only:
            return ZERO
        if order.parent_order_id is not None:
            parent = self.book.orders.resident(self.account, order.parent_order_id)
            if is_opposite(parent, order.symbol, order.side):
                done = ZERO if order.replaced is None else order.replaced.cumulative
                leaves = max(min(leaves, filled_of(parent) - done), ZERO)
        own = self._own
        more = leaves if own is None or own.leaves is None else max(leaves - own.leaves, ZERO)
        if self._group == UNGROUPED:
            return more
        leg = self.cache.exposure.legs.get((self.symbol, self.position_side, self.side, self._group), NO_LEG)
        at_once = order.order_type == _MARKET
        return leg.plus(more if at_once else leaves, at_once=at_once).size - leg.size

    def why_uncounted(self, currency: str | None) -> str | None:
        """Return why a currency's sums could not count what the order's contract makes or loses, if so."""
        contract, own = self.contract, self.currency
        if contract is None or contract.multiplier is None:
            return f"the multiplier of {self.symbol} is not known"
        source = currency_of(contract, own)
        if source == (currency or own):
            return None
        standing = self.figures.total({source: ONE}, target=currency or own).standing
        return None if standing.status is Status.KNOWN else standing.why

    @override
    def exposure(self, symbol: str | None = None) -> Decimal:
        if symbol not in {None, self.symbol}:
            return super().exposure(symbol)
        if self._exposure is None:
            total, key = self.cache.exposure, (self.symbol, self.position_side)
            self._require_complete_orders(self.symbol)
            before = total.sides.get(key, FLAT)
            after = before.with_order(self.side, self._added())
            worst_case = total.worst_case.get(self.symbol, ZERO)
            # Only this side of the position changes, so only its part of the symbol's worst case is replaced.
            self._exposure = worst_case - before.worst_case(self.position_side) + after.worst_case(self.position_side)
        return self._exposure

    @override
    def _is_long(self, symbol: str) -> bool:
        return self.side is Side.BUY


def known(total: Total) -> Decimal:
    """Return an amount; raise MissingInput, with the reason, while it is not KNOWN."""
    if total.standing.status is not Status.KNOWN:
        raise MissingInput(total.standing.why)
    return total.amount


def balance_of(figures: AccountFigures, currency: str | None) -> Decimal:
    """Return the balance, by default in the account's own currency; raise MissingInput while it is not KNOWN."""
    return known(figures.balance) if currency in {None, figures.own} else figures.cache.balance(currency)


def by_name(cache: RiskCache, symbol: str, table: Mapping[str, Decimal], default: D) -> Decimal | D:
    """Return a table's value for a symbol, any other name of it or its root, else the default.

    Raises UnknownContract where the table may have one for a root that no definition states.
    """
    if not table:
        return default
    found = cache.by_names(symbol, table, lambda: _in_table(cache, symbol, table), what="table")
    return default if found is None else found


def _in_table(cache: RiskCache, symbol: str, table: Mapping[str, Decimal]) -> Decimal | None:
    for name in cache.names(symbol):
        if name in table:
            return table[name]
    if cache.named_in(symbol, table):
        raise UnknownContract(symbol)
    return None


def weight_of(cache: RiskCache, symbol: str, weights: Mapping[str, Decimal]) -> Decimal:
    """Return what a contract of a symbol counts for, by any of its names or its root; 1 where no weight is stated."""
    if not weights:
        return ONE
    return cache.by_names(symbol, weights, lambda: _weight_in(cache, symbol, weights), what="weight")


def _weight_in(cache: RiskCache, symbol: str, weights: Mapping[str, Decimal]) -> Decimal:
    found = next((weights[name] for name in cache.names(symbol) if name in weights), None)
    if found is not None:
        return found
    # Where no definition states the root, the heaviest that it may have.
    return max((weights[name] for name in cache.named_in(symbol, weights)), default=ONE)
