"""Settings for prices: how old they may be, how far apart, and when a second one confirms; by default and by symbol."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import force_setattr
from typing_extensions import override

from eventstore import InvalidEvent
from eventstore.clock import NANOSECONDS, duration_ns
from projections.decimals import ZERO

if TYPE_CHECKING:
    from collections.abc import Iterable

STALE_AFTER_NS = 10 * NANOSECONDS
CONFIRM_AFTER_NS = NANOSECONDS
GAP_AFTER_NS = 300 * NANOSECONDS
SYMBOLS_MAX = 100_000


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What may be a price of one symbol. Durations are in ns, or given as timedelta.

    A price is stale after `stale_after`. One further from the newest accepted price than `band`, a share of it, or than
    `band_ticks` where these are given, is ignored until a second one `confirm_after` later, or a fill, confirms it;
    after a gap of `gap_after` without prices, as across a session break, the band is `gap_factor` times as wide. A
    spread wider than `spread_ticks` is not a price. Ticks count only where the contract's tick size is known; a band is
    one tick at least.
    """

    stale_after: int | timedelta = STALE_AFTER_NS
    band: Decimal = Decimal("0.05")
    band_ticks: int | None = None
    spread_ticks: int = 20
    confirm_after: int | timedelta = CONFIRM_AFTER_NS
    gap_after: int | timedelta = GAP_AFTER_NS
    gap_factor: int = 3

    def __post_init__(self) -> None:
        for name in ("stale_after", "confirm_after", "gap_after"):
            force_setattr(self, name, duration_ns(getattr(self, name)))
        band: object = self.band
        if not isinstance(band, Decimal) or not band.is_finite() or band <= ZERO:
            msg = f"band is a share of the price, a Decimal above 0 such as Decimal('0.05'), not {band!r:.80}"
            raise InvalidEvent(msg)
        for name in ("band_ticks", "spread_ticks", "gap_factor"):
            value = getattr(self, name)
            if (value is not None or name != "band_ticks") and (type(value) is not int or value < 1):
                msg = f"{name} is a whole number from 1, not {value!r:.80}"
                raise InvalidEvent(msg)


class BoundSettings:
    """The bounds of all symbols: `default`, and those set for a symbol, any other name of it, or its root.

    They count for what is received from then on.
    """

    def __init__(self) -> None:
        self._default = Bounds()
        self._by_name: dict[str, Bounds] = {}
        self.stale_after = _ns(self._default.stale_after)
        """How old a price of a symbol without bounds of its own may be, in ns."""
        self.has_names = False
        """Whether any name has bounds of its own."""
        self.version = 0
        """Grows with every change."""

    @property
    def default(self) -> Bounds:
        """The bounds of all symbols that have none of their own."""
        return self._default

    @default.setter
    def default(self, bounds: Bounds) -> None:
        self._default = _checked(bounds)
        self.stale_after = _ns(self._default.stale_after)
        self.version += 1

    def set(self, name: str, bounds: Bounds | None) -> None:
        """Set the bounds of a symbol, of any other name of it, or of a root; None: the default again."""
        if bounds is None:
            self._by_name.pop(name, None)
        elif len(self._by_name) >= SYMBOLS_MAX and name not in self._by_name:
            msg = f"bounds are set for {SYMBOLS_MAX:,} names, and {name} is one more: set the default, or a root's"
            raise InvalidEvent(msg)
        else:
            self._by_name[name] = _checked(bounds)
        self.has_names = bool(self._by_name)
        self.version += 1

    def of(self, names: Iterable[str]) -> Bounds:
        """Return the bounds of an instrument by its names: the first that has any, else the default."""
        if self._by_name:
            for name in names:
                if name in self._by_name:
                    return self._by_name[name]
        return self._default

    @override
    def __repr__(self) -> str:
        return f"<BoundSettings {self._default}, {len(self._by_name)} by name>"


def _ns(duration: int | timedelta) -> int:
    assert isinstance(duration, int), "bounds have their durations in ns"
    return duration


def _checked(bounds: object) -> Bounds:
    if isinstance(bounds, Bounds):
        return bounds
    msg = f"bounds are a Bounds(...), not {bounds!r:.80}"
    raise InvalidEvent(msg)
