"""Replay: a log's history, or bars of one's own, played to handlers; and what would have been instead."""

from projections.analysis.replay.comparing import ReplayComparison
from projections.analysis.replay.differences import Divergence
from projections.analysis.replay.player import Replay

__all__ = ["Divergence", "Replay", "ReplayComparison"]
