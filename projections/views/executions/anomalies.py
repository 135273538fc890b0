"""Anomalies of trades and positions: what was unexpected about a record that was folded nevertheless."""

import enum
from typing import NamedTuple

ANOMALIES_MAX = 100


class TradeAnomalyKind(enum.StrEnum):
    """Why a record was anomalous."""

    DUPLICATE_TRADE = "DUPLICATE_TRADE"
    """The same trade id was recorded again in the same stream: it counts once."""
    DUPLICATE_BUST = "DUPLICATE_BUST"
    """The trade had been busted before."""
    DUPLICATE_CORRECTION = "DUPLICATE_CORRECTION"
    """The trade had been corrected to these figures before."""
    UNKNOWN_BUST = "UNKNOWN_BUST"
    """The trade is not remembered and the bust does not repeat its figures: nothing changed."""
    UNKNOWN_CORRECTION = "UNKNOWN_CORRECTION"
    """The trade is not remembered, or was busted, and its earlier figures are not repeated: nothing changed."""
    LATE_BUST = "LATE_BUST"
    """The trade was too old to be taken out of the fold: the opposite trade was booked."""
    LATE_CORRECTION = "LATE_CORRECTION"
    """The trade was too old to be changed in the fold: its opposite and the corrected trade were booked."""
    OVERCLOSED = "OVERCLOSED"
    """More was closed than the LONG or SHORT side held."""
    UNPRICED = "UNPRICED"
    """A position was opened without a price: this quantity will realize nothing."""
    IMPOSSIBLE_SPLIT = "IMPOSSIBLE_SPLIT"
    """A split of a flat position, or one that would reverse its side: nothing changed."""
    LOTS_MERGED = "LOTS_MERGED"
    """There were too many open lots: the older half was merged into one at its average price."""


class TradeAnomaly(NamedTuple):
    """An anomaly and the log position of the record that caused it."""

    kind: TradeAnomalyKind
    position: int


def with_anomaly(
    anomalies: tuple[TradeAnomaly, ...], kind: TradeAnomalyKind, log_position: int
) -> tuple[TradeAnomaly, ...]:
    """Return the anomalies with one more, bounded to the last 100."""
    return (*anomalies[1 - ANOMALIES_MAX :], TradeAnomaly(kind, log_position))
