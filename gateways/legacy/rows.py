"""A row of an older program's table: its cells as figures, times and words, each error naming the cell."""

from __future__ import annotations

import datetime
import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from eventstore import InvalidEvent
from eventstore.clock import to_ns
from eventstore.streams import check_name, stream_of
from gateways.importers.texts import CellError, to_decimal
from gateways.presenting.times import parse_local

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from eventstore import Event


class TableChoices(msgspec.Struct, frozen=True, kw_only=True):
    """What the tables do not say. `states` is how orders' states are numbered: GATEWAY or RISK_MANAGER."""

    account: str | None = None
    zone: datetime.tzinfo | None = None
    states: str | None = None


class PlannedRow(NamedTuple):
    """The event of a row. `identity` names the fact; `changes`: a row with other content is a later state of it."""

    table: str
    name: str
    stream: str
    event: Event
    occurred_at: int
    identity: str
    changes: bool = True


class LeftOut(Exception):
    """A row is left out, and why; `by_rule` where nothing is wrong with it."""

    def __init__(self, why: str, *, by_rule: bool = False) -> None:
        super().__init__(why)
        self.by_rule = by_rule


class MissingChoice(Exception):
    """A row needs what its table does not say; the message says what, and the option that says it."""


class TableRowReader:
    """One row of a table."""

    def __init__(self, table: str, cells: Mapping[str, Any], choices: TableChoices, written_at: int) -> None:
        self.table, self.cells, self.choices = table, cells, choices
        self.written_at = written_at
        """When the file was last written: the time of what its rows do not date."""

    def optional(self, *names: str) -> Any:  # noqa: ANN401 - a cell's value
        """Return the first cell of these that is there and not empty."""
        cells = (self.cells.get(name) for name in names)
        return next((cell for cell in cells if cell is not None and cell != ""), None)

    def text(self, name: str) -> str:
        cell = self.optional(name)
        if cell is None:
            msg = f"{name} is empty"
            raise LeftOut(msg)
        if not isinstance(cell, str | int | float):
            msg = f"{name} is neither text nor a number"
            raise LeftOut(msg)
        return str(cell)

    def number(self, name: str) -> Decimal:
        number = self.optional_number(name)
        if number is None:
            msg = f"{name} is empty"
            raise LeftOut(msg)
        return number

    def optional_number(self, name: str) -> Decimal | None:
        """Return a figure exactly as it reads; a binary float is the shortest number that gives it."""
        cell = self.optional(name)
        if cell is None:
            return None
        if isinstance(cell, bytes) or (isinstance(cell, float) and not math.isfinite(cell)):
            msg = f"{name} is not a number"
            raise LeftOut(msg)
        try:
            return to_decimal(repr(cell) if isinstance(cell, float) else str(cell))
        except CellError as e:
            msg = f"{name} {cell!r:.40} {e}"
            raise LeftOut(msg) from e

    def instant(self, *names: str, utc: bool = False) -> int:
        """Return the time of the first of these cells that has one; one without a zone is in UTC, or asked for."""
        cell = self.optional(*names)
        if cell is None:
            msg = f"{' and '.join(names)} are empty: when it happened is unknown"
            raise LeftOut(msg)
        try:
            at = datetime.datetime.fromisoformat(str(cell))
        except ValueError as e:
            msg = f"{names[0]} {cell!r:.40} is not a time"
            raise LeftOut(msg) from e
        if at.tzinfo is not None or utc:
            return self._ns(at if at.tzinfo is not None else at.replace(tzinfo=datetime.UTC))
        if self.choices.zone is None:
            msg = f"times of table {self.table} have no zone, such as {cell!r:.40}: name it with --zone"
            raise MissingChoice(msg)
        try:
            return parse_local(at.isoformat(" "), self.choices.zone, 0)
        except InvalidEvent as e:
            raise LeftOut(str(e)) from e

    def word(self, name: str, words: Mapping[str, Any]) -> Any:  # noqa: ANN401 - what the words mean
        """Return the meaning of a word, in any case and with the name of its enum before it; None for another word."""
        cell = self.optional(name)
        return None if cell is None else words.get(str(cell).rpartition(".")[2].upper())

    def account(self, name: str | None = None) -> str:
        """Return the account that the row names, else the one that was chosen."""
        cell = None if name is None else self.optional(name)
        account = self.choices.account
        if cell is not None and account is not None and str(cell) != account:
            msg = f"it is of account {cell}, and --account is {account}"
            raise LeftOut(msg)
        if cell is None and account is None:
            msg = f"table {self.table} names no account: name it with --account"
            raise MissingChoice(msg)
        try:
            return check_name("account", str(cell) if cell is not None else str(account))
        except InvalidEvent as e:
            raise LeftOut(str(e)) from e

    def members(self) -> dict[str, Any]:
        """Return the object that the row keeps as JSON; empty where it keeps none."""
        cell = self.optional("data_json")
        if not isinstance(cell, str):
            return {}
        try:
            found = json.loads(cell)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def planned(
        self, category: str, account: str, entity: str, event: Event, occurred_at: int, *, changes: bool = True
    ) -> PlannedRow:
        """Return the event of this row, in the stream of an entity."""
        stream = stream_of(category, account, entity)
        identity = f"migrate {self.table} {entity}"
        return PlannedRow(self.table, entity, stream, event, occurred_at, identity, changes)

    def _ns(self, at: datetime.datetime) -> int:
        try:
            return to_ns(at)
        except InvalidEvent as e:
            raise LeftOut(str(e)) from e
