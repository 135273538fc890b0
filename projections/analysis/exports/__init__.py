"""Exports: a log as typed tables, one for each type of event, that other programs and databases load."""

from projections.analysis.exports.exporting import Exported, export

__all__ = ["Exported", "export"]
