"""What the mapping of FIX messages cannot know from a message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec


class FixSettings(msgspec.Struct, frozen=True):
    """Names of accounts, orders and instruments, and which id identifies an execution.

    `account`: that of reports without Account (1). `accounts`: names here by the venue's. `orders`: order ids by
    ClOrdID, for a program that knows which request is of which order; others are named by their OrderID, and a Recorder
    finds the order that was submitted here by the ids that a report states. `contracts`: symbols by SecurityID (48) or
    Symbol (55). `execution_id`: the field that is the same on every session that an execution is reported on.
    """

    account: str | None = None
    accounts: Mapping[str, str] = {}
    orders: Mapping[str, str] = {}
    contracts: Mapping[str, str] = {}
    execution_id: Literal["ExecID", "SecondaryExecID"] = "ExecID"
