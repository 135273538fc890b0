"""How an account is valued and judged: what AccountConfigured has set, and the defaults."""

from decimal import Decimal
from typing import Any

import msgspec
from msgspec.structs import replace

from eventstore.clock import NANOSECONDS
from eventstore.trading import AccountConfigured, Baseline, Cost, Unpriced, Valuation
from eventstore.trading.accounts import BALANCE_KINDS
from projections.decimals import ZERO

UNPRICED_AFTER_NS = 30 * NANOSECONDS
MOVES_FLOOR = "moves-floor"
KEEPS_FLOOR = "keeps-floor"
FLOOR_TO = "floor-to="
REALIZED, WALLET, NET_LIQUIDATION = BALANCE_KINDS


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """How an account is valued and judged, as AccountConfigured describes each setting; the defaults where none is set.

    `stated` has the names of the settings that somebody has set, sorted. `unpriced_after` is in ns.
    """

    valuation: Valuation = Valuation.LAST_WITHIN_SPREAD
    baseline: Baseline = Baseline.MAXIMUM
    payout: str = MOVES_FLOOR
    cost: Cost = Cost.FIFO
    unpriced: Unpriced = Unpriced.REDUCE_ONLY
    unpriced_after: int = UNPRICED_AFTER_NS
    haircut: Decimal = ZERO
    balance_kind: str | None = None
    balance_tolerance: Decimal | None = None
    second_approver: str | None = None
    stated: tuple[str, ...] = ()


DEFAULTS = Configuration()
"""What holds for an account that nobody has configured."""


_LESS = ("unpriced_after", "balance_tolerance")
"""The settings of which a smaller figure is the stricter one."""


def loosened_settings(held: Configuration, event: AccountConfigured) -> tuple[str, ...]:
    """Return the settings that an event changes and that are not proved to become stricter, in the event's order."""
    given = msgspec.structs.asdict(event)
    return tuple(name for name, value in given.items() if value is not None and _may_loosen(held, name, value))


def _may_loosen(held: Configuration, name: str, value: Any) -> bool:  # noqa: ANN401 - each setting has its own type
    before = getattr(held, name)
    if value == before or (name == "second_approver" and not before):
        return False
    # Where nothing is stated, the default of a tolerance depends on the balance.
    if name in _LESS:
        return before is None or value > before
    if name == "haircut":
        return bool(value < before)
    return name != "unpriced" or (before, value) != (Unpriced.REDUCE_ONLY, Unpriced.NOTHING)


def configured(held: Configuration, event: AccountConfigured) -> Configuration:
    """Return the settings after an event: what it leaves out stands."""
    given = msgspec.structs.asdict(event)
    members = {name: value for name, value in given.items() if value is not None}
    return replace(held, **members, stated=tuple(sorted({*held.stated, *members})))
