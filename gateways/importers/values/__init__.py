"""What the texts of a file mean: its numbers, its times, and what must be asked because the file does not say it."""

from gateways.importers.values.number_survey import infer_numbers
from gateways.importers.values.numbers import Numbers
from gateways.importers.values.questions import Question
from gateways.importers.values.survey import ColumnSummary
from gateways.importers.values.time_survey import infer_time, is_complete
from gateways.importers.values.times import AmbiguousTime, Time, TimeParser

__all__ = [
    "AmbiguousTime",
    "ColumnSummary",
    "Numbers",
    "Question",
    "Time",
    "TimeParser",
    "infer_numbers",
    "infer_time",
    "is_complete",
]
