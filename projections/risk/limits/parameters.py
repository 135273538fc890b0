"""The parameters of each kind of limit, read from `LimitsSet`."""

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
    """The figure that a loss is measured by."""

    REALIZED = "realized"
    """The realized result."""
    EQUITY = "equity"
    """The realized and the unrealized result, at the newest quotes."""
    END_OF_DAY = "end_of_day"
    """The balance at the end of each trading day."""


class Unit(enum.StrEnum):
    """What a trade limit counts."""

    ORDERS = "orders"
    FILLS = "fills"
    ROUND_TRIPS = "round_trips"

    @property
    def label(self) -> str:
        """Return the unit as sentences write it."""
        return self.replace("_", " ")


class BadLimit(StoreError):
    """A limit has parameters that its rule cannot read."""

    def __init__(self, account: str, rule_id: str, position: int, why: str) -> None:
        self.account, self.rule_id, self.position = account, rule_id, position
        super().__init__(
            f"the limit {rule_id} of {account}, set at position {position}, cannot be read ({why}): set it again"
        )


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of every kind. `warn_at` is the share of a limit from which an order's check warns.

    `currency`: the currency of the compared figures, by default the account's. `severity` WARNING records a breach
    and locks nothing.
    """

    enabled: bool = True
    severity: Severity = Severity.LOCKOUT
    warn_at: Decimal = Decimal("0.8")
    currency: str | None = None
    allows: Allows = Allows.REDUCE_ONLY
    action: EnforcementAction = EnforcementAction.NONE
    revocable: bool = True


class DailyLossParameters(Parameters, frozen=True, kw_only=True):
    """`limit`: the loss, above zero, that locks until the reset; `trailing`: measured from the day's best so far."""

    limit: Decimal
    basis: Basis = Basis.REALIZED
    net_of_fees: bool = True
    trailing: bool = False
    action: EnforcementAction = EnforcementAction.FLATTEN


class WeeklyLossParameters(Parameters, frozen=True, kw_only=True):
    """`limit`: the loss of this week's trading days that locks until the week's end."""

    limit: Decimal
    basis: Basis = Basis.REALIZED
    net_of_fees: bool = True
    action: EnforcementAction = EnforcementAction.FLATTEN


class DailyProfitParameters(Parameters, frozen=True, kw_only=True):
    """`target`: the day's profit that locks it in until the reset."""

    target: Decimal
    basis: Basis = Basis.REALIZED
    net_of_fees: bool = True
    action: EnforcementAction = EnforcementAction.FLATTEN


class TrailingDrawdownParameters(Parameters, frozen=True, kw_only=True):
    """The floor is the highest balance or equity so far minus `distance`, and stays at `locks_at` once it is there.

    Reaching it locks without end. `step`: with basis `equity`, how far above the last mark a new high is marked.
    """

    distance: Decimal
    basis: Basis = Basis.END_OF_DAY
    locks_at: Decimal | None = None
    step: Decimal = Decimal(0)
    action: EnforcementAction = EnforcementAction.FLATTEN
    revocable: bool = False


class TradeLimitParameters(Parameters, frozen=True, kw_only=True):
    """`limit`: the number of `unit` in a trading day after which no new exposure is allowed; liquidates nothing."""

    limit: int
    unit: Unit = Unit.ROUND_TRIPS


class MaximumContractsParameters(Parameters, frozen=True, kw_only=True):
    """`limit`: the maximum number of contracts at a time, over all symbols, working orders included.

    `weights` by symbol or root, for example MES 0.1; the default is 1. `scaling`: (balance, limit) pairs; the last one
    whose balance is reached replaces `limit`.
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


class MaximumPositionParameters(Parameters, frozen=True, kw_only=True):
    """`limit`: the largest position in one symbol, `limits` by symbol or root; checked before an order."""

    limit: Decimal | None = None
    limits: dict[str, Decimal] = {}


class OrderSizeParameters(Parameters, frozen=True, kw_only=True):
    """`limit`: the largest quantity of one order, `limits` by symbol or root; checked before an order."""

    limit: Decimal | None = None
    limits: dict[str, Decimal] = {}


class AvailableBalanceParameters(Parameters, frozen=True, kw_only=True):
    """`minimum`: the available balance that new exposure must leave, as the broker reports it, else as folded.

    `margins` by symbol or root: the margin of one contract, which the order uses up.
    """

    minimum: Decimal = Decimal(0)
    margins: dict[str, Decimal] = {}


class ConcentrationParameters(Parameters, frozen=True, kw_only=True):
    """`limit`: the largest value of the position in one symbol at its quote, as a share (0 to 1) of the equity."""

    limit: Decimal


class SymbolBlockParameters(Parameters, frozen=True, kw_only=True):
    """`symbols`: the symbols or roots that may not be traded; positions in them may be closed."""

    symbols: tuple[str, ...] = ()


class CooldownParameters(Parameters, frozen=True, kw_only=True):
    """After `losing_trips` losing round trips in a row, or one that lost `loss` or more, no new exposure for a while.

    `duration` is in ns. Set at least one of `losing_trips` and `loss`.
    """

    duration: int = HOUR
    losing_trips: int | None = None
    loss: Decimal | None = None


class ConsistencyParameters(Parameters, frozen=True, kw_only=True):
    """`limit`: the largest share (0 to 1) of the total profit made on the best day; a breach is a warning."""

    limit: Decimal
    net_of_fees: bool = True
    severity: Severity = Severity.WARNING


class BlackoutParameters(Parameters, frozen=True, kw_only=True):
    """Scheduled blackouts lock until they stop; without such a limit they are only checked before orders."""


KINDS: dict[str, type[Parameters]] = {
    "daily-loss": DailyLossParameters,
    "weekly-loss": WeeklyLossParameters,
    "daily-profit": DailyProfitParameters,
    "trailing-drawdown": TrailingDrawdownParameters,
    "trade-limit": TradeLimitParameters,
    "maximum-contracts": MaximumContractsParameters,
    "maximum-position": MaximumPositionParameters,
    "order-size": OrderSizeParameters,
    "available-balance": AvailableBalanceParameters,
    "concentration": ConcentrationParameters,
    "symbol-block": SymbolBlockParameters,
    "cooldown": CooldownParameters,
    "consistency": ConsistencyParameters,
    "blackout": BlackoutParameters,
}
"""The shipped kinds. A limit's rule_id is a kind, alone or followed by a name: `trade-limit:fast`."""

_ON_RESULT = (DailyLossParameters, WeeklyLossParameters, DailyProfitParameters)

P = TypeVar("P", bound=Parameters)
PARSED_MAX = 10_000


def kind_of(rule_id: str) -> str:
    """Return the kind of rule that a rule id belongs to."""
    return rule_id.partition(":")[0]


def read(limit: Limit, kind: type[P]) -> P:
    """Return a limit's parameters; raise BadLimit where they cannot be read."""
    key = (limit.account, limit.position)
    known = _parsed.get(key)
    # A process may have several logs, whose positions repeat: only the identical parameters object is a hit.
    if known is not None and known[0] is limit.parameters and isinstance(known[1], kind):
        return known[1]
    try:
        # Not strict: events have decimals as text, and a limit set by hand may have a number as text too.
        parameters = msgspec.convert(limit.parameters, kind, strict=False)
    except msgspec.ValidationError as e:
        raise BadLimit(limit.account, limit.rule_id, limit.position, str(e)) from e
    if not _is_finite(msgspec.structs.astuple(parameters)):
        raise BadLimit(limit.account, limit.rule_id, limit.position, "expected finite numbers")
    if len(_parsed) >= PARSED_MAX:
        _parsed.clear()
    _parsed[key] = (limit.parameters, parameters)
    return parameters


def read_enabled(limit: Limit, kind: type[P]) -> P | None:
    """Return a limit's parameters; None where they cannot be read or the limit is disabled."""
    try:
        parameters = read(limit, kind)
    except BadLimit:
        return None
    return parameters if parameters.enabled else None


def read_shipped(limit: Limit) -> Parameters | None:
    """Return what `read_enabled` returns for a limit of a shipped kind; None for any other kind."""
    kind = KINDS.get(kind_of(limit.rule_id))
    return None if kind is None else read_enabled(limit, kind)


def is_on_equity_result(parameters: Parameters | None) -> bool:
    """Return whether a limit compares a day's or week's result on basis `equity`, which is measured from a baseline."""
    return isinstance(parameters, _ON_RESULT) and parameters.basis is Basis.EQUITY


def _is_finite(value: Any) -> bool:  # noqa: ANN401 - any parameter
    """Return whether there is neither a NaN nor an infinity: either can be written as text, and disables a limit."""
    if isinstance(value, Decimal):
        return value.is_finite()
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return all(map(_is_finite, value)) if isinstance(value, tuple) else True


_parsed: dict[tuple[str, int], tuple[dict[str, Any], Parameters]] = {}
