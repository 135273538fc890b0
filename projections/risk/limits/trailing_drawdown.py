"""The trailing drawdown: a floor that follows the highs and never falls."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from typing_extensions import override

from eventstore.trading import (
    AccountOpened,
    AccountReopened,
    EnforcementAction,
    EquityMarked,
    SessionClosed,
    Severity,
    Verdict,
)
from projections.decimals import FIXED, ZERO
from projections.risk.account_figures import AccountFigures, figures_of
from projections.risk.days import day_of
from projections.risk.limits.breaches import Breach, now_of
from projections.risk.limits.kind import Measure, RestsOn, ValuedKind
from projections.risk.limits.results import RESULT_EVENTS, Basis, cannot_change, sentence
from projections.risk.limits.sentences import haircut_of, money, reserved, unit_of, until
from projections.risk.proposals import MissingInput
from projections.valuation import Status
from projections.views.limits.directions import ACTION, EITHER, HIGHER, LOWER_STOP, Measured, from_loose_to_strict
from projections.views.limits.parameters import Parameters, above_zero, not_below_zero
from projections.views.moved_marks import record_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore import Event
    from projections.book import Book
    from projections.risk.contexts import AccountContext
    from projections.risk.policies import Trigger
    from projections.valuation import Standing
    from projections.views.high_water_marks import HighMarks, Highs
    from projections.views.limits.limit import Limit

EVENTS: tuple[type[Event], ...] = (*RESULT_EVENTS, AccountOpened, AccountReopened, SessionClosed)


class TrailingDrawdownParameters(Parameters, frozen=True, kw_only=True):
    """The floor is the highest balance or equity so far minus `distance`, and stays at `locks_at` once it is there.

    Reaching it locks without end. `step`: with basis `equity`, how far above the last mark a new high is marked.
    """

    distance: Annotated[Decimal, HIGHER, Measured.MONEY]
    basis: Annotated[Basis, EITHER] = Basis.END_OF_DAY
    locks_at: Annotated[Decimal | None, LOWER_STOP, Measured.MONEY] = None
    step: Annotated[Decimal, HIGHER, Measured.MONEY] = Decimal(0)
    action: Annotated[EnforcementAction, ACTION] = EnforcementAction.FLATTEN
    revocable: Annotated[bool, from_loose_to_strict(True, False)] = False  # noqa: FBT003 - values of a choice

    @override
    def problem(self) -> str | None:
        return above_zero("distance", self.distance) or not_below_zero("step", self.step)


class TrailingDrawdown(ValuedKind[TrailingDrawdownParameters]):
    """Locks without end once the account reaches the floor.

    The floor is `distance` below the highest balance or equity so far, the starting balance included, and never above
    `locks_at`. A floor that was marked stays, whatever is set later. With basis `realized` the balance is compared
    with it, otherwise the equity: with `end_of_day` the floor moves only at the session's close, but can be reached at
    any time. The highest floor of an account's locking limits applies to all of them.

    It is evaluated in the account's own currency; a limit in another one is not judged. It locks only while the figure
    is KNOWN, and once more than one observation shows it.

    Its figure is the part of the distance that is used up.
    """

    name = "trailing-drawdown"
    parameters: ClassVar[type[Parameters]] = TrailingDrawdownParameters
    types: ClassVar[tuple[type[Event], ...]] = (*EVENTS, EquityMarked)
    by_figures: ClassVar[bool] = True
    rests_on: ClassVar[RestsOn] = RestsOn.HIGH

    @override
    def measure(self, context: AccountContext, limit: Limit, parameters: TrailingDrawdownParameters) -> Measure:
        found = Drawdown.of(context.figures, parameters)
        if context.cache.capital is None:
            msg = f"account {context.account} has no starting balance"
            raise MissingInput(msg)
        if found is None:
            msg = f"its currency is {parameters.currency}, but the account's is {context.currency}"
            raise MissingInput(msg)
        # The floor that follows from the highest price of the confirming window counts: one price is enough to reject,
        # though not to lock.
        floor = max(found.floor, floor_at(found.highest(), parameters))
        used = parameters.distance - (found.figure - floor)
        reserve = haircut_of(context, found.converted)
        return Measure(used, parameters.distance, found.standing, reserve, context.currency, (found.figure, floor))

    @override
    def stated(self, measure: Measure) -> tuple[Decimal, Decimal]:
        figure, floor = measure.parts
        return figure, floor

    @override
    def sentence(
        self, context: AccountContext, parameters: TrailingDrawdownParameters, measure: Measure, verdict: Verdict
    ) -> str:
        figure, floor = measure.parts
        said = f"{_named(parameters)} {money(figure)}{unit_of(measure.currency)}"
        if figure > floor:
            return f"{said}, {money(figure - floor)} above the drawdown floor {money(floor)}{reserved(measure.reserve)}"
        said += f" at the drawdown floor {money(floor)}"
        return f"{said} reached; {until(context.book, context.account, None)}" if verdict is Verdict.REJECT else said

    @override
    def breaches(
        self, book: Book, trigger: Trigger, limit: Limit, parameters: TrailingDrawdownParameters
    ) -> Iterable[Breach]:
        basis = parameters.basis
        if cannot_change(book, trigger, limit, Basis.REALIZED if basis is Basis.REALIZED else Basis.EQUITY):
            return
        account, now = trigger.account, now_of(trigger)
        with decimal.localcontext(FIXED):
            found = Drawdown.of(figures_of(book, account, now), parameters)
        if found is None or found.standing.status is not Status.KNOWN or found.figure > found.floor:
            return
        currency = found.figures.own
        reached = f"{_named(parameters)} {money(found.figure)}{unit_of(currency)} at the drawdown floor"
        yield Breach(
            figure=found.figure,
            limit=found.floor,
            reason=sentence(book, trigger, parameters, f"{reached} {money(found.floor)}", None),
            currency=currency,
            basis=str(basis),
            trading_day=day_of(book, account, trigger.at, now).trading_day,
            details=found.details(),
            is_confirmed=found.is_confirmed,
        )


def _named(parameters: TrailingDrawdownParameters) -> str:
    return "balance" if parameters.basis is Basis.REALIZED else "equity"


class Drawdown(NamedTuple):
    """How an account stands to a trailing drawdown: the balance or the equity, and the floor, both confirmed.

    `high` is the highest figure of the limit's basis so far: a mark, the capital or, where only closes do not count,
    the lowest over the confirming window, so that one price moves no floor. `converted` is the sum of the absolute
    amounts in the figure that were converted.
    """

    figures: AccountFigures
    parameters: TrailingDrawdownParameters
    figure: Decimal
    standing: Standing
    high: Decimal
    floor: Decimal
    converted: Decimal

    @classmethod
    def of(cls, figures: AccountFigures, parameters: TrailingDrawdownParameters) -> Drawdown | None:
        """Return it; None for an account that was not opened, or a limit in another currency than the account's."""
        if figures.cache.capital is None or parameters.currency not in {None, figures.own}:
            return None
        total = figures.balance if parameters.basis is Basis.REALIZED else figures.equity
        high = high_of(figures, parameters.basis)
        floor, marked = floor_at(high, parameters), figures.cache.marked_floor
        if marked is not None and parameters.severity is not Severity.WARNING:
            # A marked floor never falls, even if the limit behind it was loosened since.
            floor = max(floor, marked)
        return cls(figures, parameters, total.amount, total.standing, high, floor, total.converted)

    def is_confirmed(self) -> bool:
        """Return whether the figure is at the floor with every price of the confirming window."""
        figures = self.figures
        with decimal.localcontext(FIXED):
            bounds = figures.balance_bounds if self.parameters.basis is Basis.REALIZED else figures.equity_bounds
        return bounds is not None and bounds[1] <= self.floor

    def highest(self) -> Decimal:
        """Return the highest figure that any price of the confirming window gives, where it is not confirmed too."""
        basis = self.parameters.basis
        if basis is Basis.END_OF_DAY:
            return self.high
        bounds = None if basis is Basis.REALIZED else self.figures.equity_bounds
        return max(self.high, self.figure if bounds is None else bounds[1])

    def details(self) -> dict[str, Any]:
        """Return what the figure and the floor were made with, as text."""
        figures, parameters, positions = self.figures, self.parameters, self.figures.positions
        own = figures.own
        with decimal.localcontext(FIXED):
            balance, equity = figures.balance, figures.equity
        details: dict[str, Any] = {
            "balance": str(balance.amount),
            "equity": str(equity.amount),
            "unrealized": str(equity.amount - balance.amount),
            "high": str(self.high),
            "distance": str(parameters.distance),
            "marks": self._marks(),
            "locks_at": None if parameters.locks_at is None else str(parameters.locks_at),
            "quotes": {symbol: {"price": str(used.price), "at": used.at} for symbol, used in positions.quotes.items()},
            **positions.uncertain,
            "other_currencies": {
                currency: str(amount)
                for currency, amount in figures.cache.balances.amounts.items()
                if currency not in {own, None}
            },
        }
        return {name: value for name, value in details.items() if value not in (None, [], {})}

    def _marks(self) -> list[str]:
        """Return the ids of the records that set the high and the floor, which a correction of one of them names."""
        figures = self.figures
        book, account, at = figures.book, figures.account, figures.at
        highs, floors = book.bests.high_marks(account), book.equity.floor_marks(account)
        found = {
            record_of(_of_basis(highs, self.parameters.basis), self.high, book.rates, figures.own, at),
            record_of(floors, self.floor, book.rates, figures.own, at),
        }
        return sorted(each.hex() for each in found if each is not None)


def marked_high(figures: AccountFigures, basis: Basis) -> Decimal | None:
    """Return the highest marked figure of a basis, at least the capital; None for an account that was not opened."""
    capital, highs = figures.capital, figures.cache.highs
    marked: Decimal | None = _of_basis(highs, basis)
    if capital is None or marked is None:
        return capital
    return max(capital, marked)


def _of_basis(highs: Highs | HighMarks, basis: Basis) -> Any:  # noqa: ANN401 - an amount of Highs, marks of HighMarks
    return {Basis.END_OF_DAY: highs.close, Basis.REALIZED: highs.balance, Basis.EQUITY: highs.equity}[basis]


def high_of(figures: AccountFigures, basis: Basis) -> Decimal:
    """Return the highest figure of a basis so far, as far as it is confirmed."""
    marked = marked_high(figures, basis) or ZERO
    if basis is Basis.EQUITY and figures.equity.amount <= marked:
        # The lowest over the confirming window is not above the present one, and takes longer to find.
        return marked
    now = confirmed_now(figures, basis)
    return marked if now is None else max(marked, now)


def confirmed_now(figures: AccountFigures, basis: Basis) -> Decimal | None:
    """Return the present figure of a basis that may become its high; None while it is not known and confirmed."""
    if basis is Basis.REALIZED:
        return None if figures.balance_bounds is None else figures.balance_bounds[0]
    bounds = figures.equity_bounds if basis is Basis.EQUITY else None
    return None if bounds is None else bounds[0]


def floor_at(high: Decimal, parameters: TrailingDrawdownParameters) -> Decimal:
    """Return the floor that follows from a high."""
    floor = FIXED.subtract(high, parameters.distance)
    return floor if parameters.locks_at is None else min(floor, parameters.locks_at)
