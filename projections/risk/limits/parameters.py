"""What each rule's limits may say: their parameters by kind of rule, read from `LimitsSet`."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from eventstore import StoreError
from eventstore.trading import Allows, EnforcementAction, Severity

if TYPE_CHECKING:
    from projections.views.limits.view import Limit

HOUR = 3_600_000_000_000


class Basis(enum.StrEnum):
    """What a loss is measured by."""

    REALIZED = "realized"
    """What closed positions made."""
    EQUITY = "equity"
    """What closed positions made and open ones would, at the newest quotes."""
    END_OF_DAY = "end_of_day"
    """The balance at the end of each trading day."""


class Unit(enum.StrEnum):
    """What a trade limit counts."""

    ORDERS = "orders"
    FILLS = "fills"
    ROUND_TRIPS = "round_trips"


class BadLimit(StoreError):
    """A limit was set whose parameters its rule cannot read."""

    def __init__(self, account: str, rule_id: str, position: int, why: str) -> None:
        self.account, self.rule_id, self.position = account, rule_id, position
        super().__init__(
            f"the limit {rule_id} of {account}, set at position {position}, cannot be read ({why}): set it again"
        )


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every rule takes. `warn_at` is the share of a limit from which an order's check warns.

    `currency`: whose figures count, by default the account's. `severity` WARNING records a breach and locks nothing.
    """

    enabled: bool = True
    severity: Severity = Severity.LOCKOUT
    warn_at: Decimal = Decimal("0.8")
    currency: str | None = None
    allows: Allows = Allows.REDUCE_ONLY
    action: EnforcementAction = EnforcementAction.NONE
    revocable: bool = True


class DailyLoss(Parameters, frozen=True, kw_only=True):
    """`limit`: the loss, above zero, that locks until the reset; `trailing`: counted from the day's best so far."""

    limit: Decimal
    basis: Basis = Basis.REALIZED
    net_of_fees: bool = True
    trailing: bool = False
    action: EnforcementAction = EnforcementAction.FLATTEN


class WeeklyLoss(Parameters, frozen=True, kw_only=True):
    """`limit`: the loss of this week's trading days that locks until the week's end."""

    limit: Decimal
    basis: Basis = Basis.REALIZED
    net_of_fees: bool = True
    action: EnforcementAction = EnforcementAction.FLATTEN


class DailyProfit(Parameters, frozen=True, kw_only=True):
    """`target`: the day's profit that locks it in until the reset."""

    target: Decimal
    basis: Basis = Basis.REALIZED
    net_of_fees: bool = True
    action: EnforcementAction = EnforcementAction.FLATTEN


class TrailingDrawdown(Parameters, frozen=True, kw_only=True):
    """The floor is the highest balance or equity so far minus `distance`, and stays at `locks_at` once it is there.

    Reaching it locks without end. `step`: on equity basis, how far a new high must lie above the last for a mark.
    """

    distance: Decimal
    basis: Basis = Basis.END_OF_DAY
    locks_at: Decimal | None = None
    step: Decimal = Decimal(0)
    action: EnforcementAction = EnforcementAction.FLATTEN
    revocable: bool = False


class TradeLimit(Parameters, frozen=True, kw_only=True):
    """`limit`: so many of `unit` in a trading day, and no new exposure after them; nothing is ever liquidated."""

    limit: int
    unit: Unit = Unit.ROUND_TRIPS


class MaximumContracts(Parameters, frozen=True, kw_only=True):
    """`limit`: the most contracts at once, over all symbols, working orders counted.

    `weights` by symbol or root, for example MES 0.1; others weigh 1. `scaling`: (balance, limit) pairs; the last one
    whose balance is reached takes the place of `limit`.
    """

    limit: Decimal
    weights: dict[str, Decimal] = {}
    scaling: tuple[tuple[Decimal, Decimal], ...] = ()
    action: EnforcementAction = EnforcementAction.REDUCE_TO

    def at(self, balance: Decimal) -> Decimal:
        """Return how many contracts a balance allows."""
        most = self.limit
        for reached, scaled in self.scaling:
            most = scaled if balance >= reached else most
        return most


class MaximumPosition(Parameters, frozen=True, kw_only=True):
    """`limit`: the largest position in one symbol, `limits` by symbol or root; checked before an order."""

    limit: Decimal | None = None
    limits: dict[str, Decimal] = {}


class OrderSize(Parameters, frozen=True, kw_only=True):
    """`limit`: the largest quantity of one order, `limits` by symbol or root; checked before an order."""

    limit: Decimal | None = None
    limits: dict[str, Decimal] = {}


class AvailableBalance(Parameters, frozen=True, kw_only=True):
    """`minimum`: what must be available, as the broker tells or else as folded, for new exposure.

    `margins` by symbol or root: what one contract needs on top.
    """

    minimum: Decimal = Decimal(0)
    margins: dict[str, Decimal] = {}


class Concentration(Parameters, frozen=True, kw_only=True):
    """`limit`: the largest share (0 to 1) of the account's equity, as value at the quote, in one symbol."""

    limit: Decimal


class SymbolBlock(Parameters, frozen=True, kw_only=True):
    """`symbols`: those, or roots, that may not be traded; positions in them may be closed."""

    symbols: tuple[str, ...] = ()


class Cooldown(Parameters, frozen=True, kw_only=True):
    """After `losing_trips` losing round trips in a row, or one that lost `loss` or more, no new exposure for a while.

    `duration` is in ns. One of the two is wanted, or both.
    """

    duration: int = HOUR
    losing_trips: int | None = None
    loss: Decimal | None = None


class Consistency(Parameters, frozen=True, kw_only=True):
    """`limit`: the share (0 to 1) of the total profit that the best day may be; a breach is a warning."""

    limit: Decimal
    net_of_fees: bool = True
    severity: Severity = Severity.WARNING


class Blackouts(Parameters, frozen=True, kw_only=True):
    """Whether scheduled blackouts lock: until they stop; without such a limit they are only checked before orders."""


KINDS: dict[str, type[Parameters]] = {
    "daily-loss": DailyLoss,
    "weekly-loss": WeeklyLoss,
    "daily-profit": DailyProfit,
    "trailing-drawdown": TrailingDrawdown,
    "trade-limit": TradeLimit,
    "maximum-contracts": MaximumContracts,
    "maximum-position": MaximumPosition,
    "order-size": OrderSize,
    "available-balance": AvailableBalance,
    "concentration": Concentration,
    "symbol-block": SymbolBlock,
    "cooldown": Cooldown,
    "consistency": Consistency,
    "blackout": Blackouts,
}
"""The shipped kinds. A limit's rule_id is a kind, alone or with a name of one's own: `trade-limit:fast`."""

P = TypeVar("P", bound=Parameters)
READ_MAX = 10_000


def kind_of(rule_id: str) -> str:
    """Return which kind of rule a rule id belongs to."""
    return rule_id.partition(":")[0]


def read(limit: Limit, kind: type[P]) -> P:
    """Return a limit's parameters; raise BadLimit where they cannot be read."""
    key = (limit.account, limit.position)
    known = _read.get(key)
    # Positions are of one log, of which a process may have several: the very same parameters are meant.
    if known is not None and known[0] is limit.parameters and isinstance(known[1], kind):
        return known[1]
    try:
        parameters = msgspec.convert(limit.parameters, kind, strict=False)
    except msgspec.ValidationError as e:
        raise BadLimit(limit.account, limit.rule_id, limit.position, str(e)) from e
    if not _is_finite(msgspec.structs.astuple(parameters)):
        raise BadLimit(limit.account, limit.rule_id, limit.position, "a finite number is wanted")
    if len(_read) >= READ_MAX:
        _read.clear()
    _read[key] = (limit.parameters, parameters)
    return parameters


def _is_finite(value: Any) -> bool:  # noqa: ANN401 - any parameter
    """Tell whether there is neither a NaN nor an infinity: text may say either, and nothing would be above it."""
    if isinstance(value, Decimal):
        return value.is_finite()
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return all(map(_is_finite, value)) if isinstance(value, tuple) else True


_read: dict[tuple[str, int], tuple[dict[str, Any], Parameters]] = {}
