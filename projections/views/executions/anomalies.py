"""Anomalies of trades and positions: what was unexpected about a record that was folded nevertheless."""

import enum
from typing import NamedTuple

ANOMALIES_MAX = 100


class TradeAnomalyKind(enum.StrEnum):
    """Why a record was anomalous."""

    DUPLICATE_TRADE = "DUPLICATE_TRADE"
    """The same execution was recorded again in the same stream: it counts once."""
    CONFLICTING = "CONFLICTING"
    """The same execution was reported with another quantity, price or side of a hedged position: the first report
    counts, until it is corrected or busted. Or it was busted with other figures than its own, or it was busted or
    corrected by an id that it shares with others, the newest of which is meant."""
    CONFLICTING_FEE = "CONFLICTING_FEE"
    """The same execution was reported with another fee: the first one counts, and the day's fees are uncertain until
    the trade is charged again, if only with 0, or busted."""
    DAYS_APART = "DAYS_APART"
    """The same execution was reported with times more than a day apart. It counts once; if the venue's ids begin again
    every day, it is two trades: the position is uncertain until a bust or a correction, if only to the same figures."""
    FEE_OF_BUSTED = "FEE_OF_BUSTED"
    """A fee of a busted trade: it does not count, because a bust takes a trade's fees with it."""
    DUPLICATE_BUST = "DUPLICATE_BUST"
    """The trade had been busted before."""
    DUPLICATE_CORRECTION = "DUPLICATE_CORRECTION"
    """The trade had been corrected to these figures before."""
    SUPERSEDED = "SUPERSEDED"
    """A correction that was made before the trade's latest correction or bust, and recorded after it: that counts."""
    UNKNOWN_BUST = "UNKNOWN_BUST"
    """No trade of this id is known and the bust does not repeat its figures: nothing changed until it is reported."""
    UNKNOWN_CORRECTION = "UNKNOWN_CORRECTION"
    """No trade of this id is known, or it was busted, and its earlier figures are not repeated: nothing changed."""
    LATE = "LATE"
    """It happened before the window, and was counted at its place in the log, on its own day."""
    AHEAD = "AHEAD"
    """It states a time more than a minute ahead of the log's: it counts when it was recorded."""
    MOVED = "MOVED"
    """A later report states when the trade happened: on another day than it was counted for, or before others of its
    position that it was counted after. What these realized, and the days, are as if that had been known."""
    AT_RECONCILIATION = "AT_RECONCILIATION"
    """It happened at the very instant of a reconciliation that was recorded before it, and is taken out of that: the
    quantity is uncertain until a later report of the broker agrees, or the position is reconciled again."""
    LATE_BUST = "LATE_BUST"
    """The trade lies before the window: the opposite trade was booked, on the day of the bust."""
    LATE_CORRECTION = "LATE_CORRECTION"
    """The trade lies before the window: the difference was booked, on the day of the correction."""
    MERGED = "MERGED"
    """The contract has another name, under which there was a position too: both are one from here on."""
    OVERCLOSED = "OVERCLOSED"
    """More was closed than the LONG or SHORT side held."""
    UNPRICED = "UNPRICED"
    """A position was opened, expired or reconciled without a price: what that realized is not known."""
    IMPOSSIBLE_SPLIT = "IMPOSSIBLE_SPLIT"
    """A split of a flat position, or one that would reverse its side: nothing changed."""
    INEXACT = "INEXACT"
    """The quantity, or what was realized, has more than 34 digits and was rounded."""
    LOTS_MERGED = "LOTS_MERGED"
    """There were too many open lots: the older half was merged into one at its average price."""


UNCERTAIN = frozenset({
    TradeAnomalyKind.UNKNOWN_BUST, TradeAnomalyKind.UNKNOWN_CORRECTION, TradeAnomalyKind.UNPRICED,
    TradeAnomalyKind.IMPOSSIBLE_SPLIT, TradeAnomalyKind.INEXACT, TradeAnomalyKind.AT_RECONCILIATION,
})  # fmt: skip
"""What leaves a position's figures uncertain."""


class TradeAnomaly(NamedTuple):
    """An anomaly and the log position of the record that caused it."""

    kind: TradeAnomalyKind
    position: int


def with_anomaly(
    anomalies: tuple[TradeAnomaly, ...], kind: TradeAnomalyKind, log_position: int
) -> tuple[TradeAnomaly, ...]:
    """Return the anomalies with one more, bounded to 100."""
    return bounded((*anomalies, TradeAnomaly(kind, log_position)))


def bounded(anomalies: tuple[TradeAnomaly, ...]) -> tuple[TradeAnomaly, ...]:
    """Return the last 100 anomalies, oldest first; what leaves figures uncertain goes after everything else."""
    excess = len(anomalies) - ANOMALIES_MAX
    if excess <= 0:
        return anomalies
    kept = []
    for each in anomalies:
        # A broker that repeats a hundred reports must not make an uncertain position look certain.
        if excess and each.kind not in UNCERTAIN:
            excess -= 1
        else:
            kept.append(each)
    return tuple(kept[-ANOMALIES_MAX:])
