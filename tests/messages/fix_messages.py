"""ExecutionReports and OrderCancelRejects as dicts of tags."""

from __future__ import annotations

import datetime
from typing import Any

BEGIN = datetime.datetime(2026, 11, 30, 14, 30, tzinfo=datetime.UTC)
ACCOUNT = "ACC1"


def at(seconds: float) -> str:
    return (BEGIN + datetime.timedelta(seconds=seconds)).strftime("%Y%m%d-%H:%M:%S.%f")


def execution_report(exec_type: str, status: str, seconds: float, **tags: Any) -> dict[Any, Any]:  # noqa: ANN401 - any value of a tag
    """Return a report of order O-1; tags are given by number, as in `t32="5"`, and None leaves one out."""
    message: dict[Any, Any] = {
        35: "8", 1: ACCOUNT, 37: "O-1", 11: "C-1", 17: f"E{seconds}", 150: exec_type, 39: status, 55: "MNQH6", 54: "1",
        38: "10", 14: "0", 151: "10", 6: "0", 60: at(seconds),
    }  # fmt: skip
    message |= {int(name[1:]): value for name, value in tags.items()}
    return {tag: value for tag, value in message.items() if value is not None}


def cancel_reject(response_to: str, status: str, seconds: float, **tags: Any) -> dict[Any, Any]:  # noqa: ANN401 - any value of a tag
    message: dict[Any, Any] = {
        35: "9", 1: ACCOUNT, 37: "O-1", 11: "R-1", 41: "C-1", 39: status, 434: response_to, 102: "0", 60: at(seconds),
    }  # fmt: skip
    message |= {int(name[1:]): value for name, value in tags.items()}
    return {tag: value for tag, value in message.items() if value is not None}
