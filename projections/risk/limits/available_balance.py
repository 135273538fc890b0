"""The available balance that new exposure must leave."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

import msgspec
from typing_extensions import override

from eventstore.trading import Verdict
from projections.decimals import ZERO
from projections.risk.contexts import balance_of
from projections.risk.contexts import by_name as figure_of
from projections.risk.limits.kind import Compared, LimitKind, Measure
from projections.risk.limits.sentences import money, unit_of
from projections.risk.proposals import MissingInput
from projections.views.accounts import AccountsView
from projections.views.executions.state import VIEW as EXECUTIONS
from projections.views.limits.directions import LOWER, Measured, by_name
from projections.views.limits.parameters import Parameters, not_below_zero
from projections.views.orders.view import OrdersView
from projections.views.reported_balances import AVAILABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from projections.book import Book
    from projections.risk.contexts import AccountContext
    from projections.views.accounts import AccountsState
    from projections.views.executions.state import ExecutionsState
    from projections.views.limits.limit import Limit
    from projections.views.orders.state import OrdersState
    from projections.views.reported_balances import BrokerBalance


class AvailableBalanceParameters(Parameters, frozen=True, kw_only=True):
    """`minimum`: the available balance that new exposure must leave, as the broker reports it, else as folded.

    `margins` by symbol or root: the margin of one contract, which the order uses up. Once anything of positions,
    cash or orders has come after the report was made, the lesser of the two balances counts.
    """

    minimum: Annotated[Decimal, LOWER, Measured.MONEY] = Decimal(0)
    margins: Annotated[dict[str, Decimal], by_name(LOWER, ZERO), Measured.MONEY] = msgspec.field(default_factory=dict)

    @override
    def problem(self) -> str | None:
        figures = [self.minimum, *self.margins.values()]
        return next(filter(None, (not_below_zero("minimum and margins", figure) for figure in figures)), None)


class _Available(NamedTuple):
    balance: Decimal
    needed: Decimal

    @property
    def left(self) -> Decimal:
        return self.balance - self.needed


class AvailableBalance(LimitKind[AvailableBalanceParameters]):
    """Rejects an order that would leave less than the minimum.

    The broker's figure excludes margin already in use; from the folded balance, the margin of all positions and
    working orders is subtracted too. Its figure is what is left: of a report that is older than what the account has
    done since, at most what the folded balance leaves.
    """

    name = "available-balance"
    parameters: ClassVar[type[Parameters]] = AvailableBalanceParameters
    unit: ClassVar[Measured | None] = Measured.MONEY
    compared: ClassVar[Compared] = Compared.BELOW

    @override
    def measure(self, context: AccountContext, limit: Limit, parameters: AvailableBalanceParameters) -> Measure:
        account = context.cache.account
        if account is None:
            msg = f"account {context.account} has no balance"
            raise MissingInput(msg)
        currency = parameters.currency or account.currency
        reported = account.broker_balances.get(currency)
        if reported is None or reported.available is None:
            found = _folded(context, limit, parameters, currency)
        else:
            found = _Available(reported.available, _margin(context, parameters, context.quantity))
            if _is_outdated(context, parameters, reported):
                found = min(found, _folded(context, limit, parameters, currency), key=lambda each: each.left)
        return Measure(found.left, parameters.minimum, currency=currency, parts=found)

    @override
    def verdict(self, parameters: AvailableBalanceParameters, measure: Measure) -> Verdict:
        verdict = super().verdict(parameters, measure)
        required = measure.parts.needed + parameters.minimum
        if verdict is Verdict.PASS and required and required >= measure.parts.balance * parameters.warn_at:
            return Verdict.WARNING
        return verdict

    @override
    def sentence(
        self, context: AccountContext, parameters: AvailableBalanceParameters, measure: Measure, verdict: Verdict
    ) -> str:
        return (
            f"available balance {money(measure.parts.balance)}{unit_of(measure.currency)}, "
            f"{money(measure.figure)} after the order; the minimum is {money(measure.limit)}"
        )


def _folded(
    context: AccountContext, limit: Limit, parameters: AvailableBalanceParameters, currency: str | None
) -> _Available:  # fmt: skip
    """Return the folded balance, and the margin of all that is held, that works, and that the order adds."""
    balance, symbol = balance_of(context.figures, currency), context.symbol
    if not parameters.margins:
        return _Available(balance, ZERO)
    others = context.cache.memoize("exposure", (limit.position, symbol), lambda: _margins(context, parameters))
    return _Available(balance, others + _margin(context, parameters, ZERO if symbol is None else context.exposure()))


def _margin(context: AccountContext, parameters: AvailableBalanceParameters, quantity: Decimal) -> Decimal:
    """Return the margin of contracts in the order's symbol."""
    symbol = context.symbol
    return ZERO if symbol is None else figure_of(context.cache, symbol, parameters.margins, ZERO) * quantity


def _is_outdated(
    context: AccountContext, parameters: AvailableBalanceParameters, reported: BrokerBalance
) -> bool:  # fmt: skip
    """Return whether anything of the account's positions, cash or orders came after the available balance.

    A fee, a bust or a correction of an earlier trade changes the balance as well as a trade does.
    """
    made_at, position = reported.places[AVAILABLE]
    newest = max(_changes(context.book, context.account, with_orders=bool(parameters.margins)), default=0)
    cache = context.cache
    is_known = cache.is_known_to(newest, report_position=position, made_at=made_at)
    return not is_known or cache.has_changed_since(made_at, report_position=position)


def _changes(book: Book, account: str, *, with_orders: bool) -> Iterator[int]:
    """Yield the log positions of what last changed an account's positions and cash, and of its working orders."""
    executions: ExecutionsState | None = book.state(EXECUTIONS, account)
    if executions is not None:
        yield from (each.last_record for each in executions.holdings.values())
    accounts: AccountsState | None = book.state(AccountsView.name, account)
    if accounts is not None:
        yield max(accounts.cash_position, accounts.opened_position or 0)
    orders: OrdersState | None = book.state(OrdersView.name, account)
    if with_orders and orders is not None:
        # Not where it began alone: a replacement may have enlarged it since.
        yield from (each.last_position for each in (*orders.open.values(), *orders.doubtful.values()))


def _margins(context: AccountContext, parameters: AvailableBalanceParameters) -> Decimal:
    """Return the margin of the worst-case positions in all symbols but the order's."""
    exposures = context.other_exposures()
    return sum((most * figure_of(context.cache, symbol, parameters.margins, ZERO) for symbol, most in exposures), ZERO)
