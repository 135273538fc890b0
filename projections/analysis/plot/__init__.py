"""Plots of frames: each draws one, or reads it from a store, and returns matplotlib's axes."""

from projections.analysis.plot.days import days
from projections.analysis.plot.equity import equity
from projections.analysis.plot.fills import fills
from projections.analysis.plot.headroom import headroom
from projections.analysis.plot.positions import positions

__all__ = ["days", "equity", "fills", "headroom", "positions"]
