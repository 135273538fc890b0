"""The state of the quotes view: for each name of an instrument what was received and accepted; feeds; own fills."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from eventstore.trading import QuoteUsed
from projections.decimals import ZERO
from projections.views.contracts.view import Contract
from projections.views.quotes.values import NO_PRICES, Observed, Prices, Received, Value

if TYPE_CHECKING:
    from projections.views.quotes.bounds import Bounds

HISTORY_MIN = 64
NOTHING = Received(None, None, None, None, None, None, None, 0, NO_PRICES)


class PriceLimits(msgspec.Struct, frozen=True, gc=False):
    """The bounds of one name with its contract's tick size worked in. `band` is None where `band_min` alone counts."""

    stale_after: int
    confirm_after: int
    gap_after: int
    gap_factor: Decimal
    band: Decimal | None
    band_min: Decimal
    spread_max: Decimal | None
    may_be_negative: bool


class SymbolQuotes(msgspec.Struct):
    """One name of an instrument. Readers take each member once: what changes is replaced as a whole.

    `replaced` are the last prices that own fills replaced, for a bust of one; `history` the accepted prices of the
    confirming window, oldest first; `trim_length` the length at which it is trimmed,
    `ticks_length` that at which the ticks are. `version` is that of the settings
    that `limits` were made of. What happened up to `unusable_until` is not a price, for the reason in `unusable_why`;
    `repriced` is the log position of the newest split or definition that it follows from.
    """

    name: str
    limits: PriceLimits
    version: int
    contract: Contract | None = None
    repriced: int = -1
    received: Received = NOTHING
    history: list[Prices] = []
    trim_length: int = HISTORY_MIN
    ticks: list[Observed] = []
    ticks_length: int = 0
    replaced: tuple[Value, ...] = ()
    last_good: QuoteUsed | None = None
    unusable_until: int = -1
    unusable_why: str = ""


class QuotesState(msgspec.Struct):
    """All symbols, by the name that their prices came under. `feeds` has when each feed last showed that it works.

    `members` has the names in `symbols` of each contract; `executions` the symbols of one's own trades, by account and
    trade id, the oldest first; `busted` those that were undone.
    """

    symbols: dict[str, SymbolQuotes] = {}
    feeds: dict[str, int] = {}
    members: dict[str, tuple[str, ...]] = {}
    executions: dict[tuple[str, str], tuple[str, ...]] = {}
    busted: dict[tuple[str, str], tuple[str | None, ...]] = {}


def limits_of(bounds: Bounds, contract: Contract | None) -> PriceLimits:
    tick = None if contract is None else contract.tick_size
    ticks = bounds.band_ticks
    in_ticks = ticks is not None and tick is not None
    return PriceLimits(
        _ns(bounds.stale_after),
        _ns(bounds.confirm_after),
        _ns(bounds.gap_after),
        Decimal(bounds.gap_factor),
        None if in_ticks else bounds.band,
        (tick or ZERO) * (ticks if ticks is not None and tick is not None else 1),
        None if tick is None else tick * bounds.spread_ticks,
        contract is not None and contract.may_be_negative,
    )


def _ns(duration: object) -> int:
    assert isinstance(duration, int)
    return duration
