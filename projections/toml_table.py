"""A table of a TOML file: its values, with errors that name file, table and key."""

from __future__ import annotations

import contextlib
import re
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from eventstore import InvalidEvent
from eventstore.clock import parse_duration
from projections.sessions import WEEKDAYS

if TYPE_CHECKING:
    import enum
    from collections.abc import Iterator, Sequence

_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(r"\d{2}:\d{2}(:\d{2})?", re.ASCII)

E = TypeVar("E", bound="enum.Enum")


class TomlTable:
    """A table of the file, which knows its name for error messages and refuses unknown keys.

    By hand: msgspec's errors name neither the account nor the rule, the value or the cure.
    """

    def __init__(self, file: str, name: str, members: dict[str, Any], known: Sequence[str] | None = None) -> None:
        self._file, self._name, self.members = file, name, members
        unknown = [] if known is None else [key for key in members if key not in known]
        if unknown:
            self.refuse(f"unknown key {unknown[0]}: the keys are {', '.join(known or ())}")

    def refuse(self, why: str) -> NoReturn:
        msg = f"{self._file}: [{self._name}] {why}" if self._name else f"{self._file}: {why}"
        raise InvalidEvent(msg)

    @contextlib.contextmanager
    def located_errors(self) -> Iterator[None]:
        """Add file and table to errors of others."""
        try:
            yield
        except InvalidEvent as e:
            self.refuse(str(e))

    def table(self, key: str, known: Sequence[str] | None = None) -> TomlTable:
        """Return a table inside this one, an empty one if it is missing."""
        plain = key if _BARE.fullmatch(key) else f'"{key}"'
        name = f"{self._name}.{plain}" if self._name else plain
        members = self.members.get(key, {})
        if not isinstance(members, dict):
            self.refuse(f"{key} = {members!r:.80}: write a table [{name}] instead")
        return TomlTable(self._file, name, members, known)

    def with_defaults(self, members: dict[str, Any]) -> TomlTable:
        """Return this table with values of another for the keys that it lacks."""
        return TomlTable(self._file, self._name, {**members, **self.members})

    def text(self, key: str) -> str | None:
        value = self.members.get(key)
        if value is not None and (not isinstance(value, str) or not value):
            self.refuse(f'{key} = {value!r:.80}: expected text in quotes, as in {key} = "…"')
        return value

    def choice(self, key: str, members: type[E]) -> E | None:
        value = self.members.get(key)
        if value is None:
            return None
        names = [str(each) for each in members]
        if value not in names:
            self.refuse(f"{key} = {value!r:.80}: expected one of {', '.join(names)}")
        return members(value)

    def duration(self, key: str) -> int | None:
        text = self.text(key)
        if text is None:
            return None
        try:
            return parse_duration(text)
        except InvalidEvent as e:
            self.refuse(f"{key}: {e}")

    def array(self, key: str) -> list[Any]:
        value = self.members.get(key, [])
        if not isinstance(value, list):
            self.refuse(f"{key} = {value!r:.80}: expected an array in brackets")
        return value

    def amount(self, key: str) -> Decimal | None:
        value = self.members.get(key)
        if value is None:
            return None
        if isinstance(value, float):
            self.refuse(f'{key} = {value} is a float, which is not exact: write it as text, {key} = "{value}"')
        try:
            # In Python a bool is an int, too.
            amount = Decimal("" if isinstance(value, bool) or not isinstance(value, str | int) else value)
        except InvalidOperation:
            amount = Decimal("NaN")
        if not amount.is_finite() or amount < 0:
            self.refuse(f'{key} = {value!r:.80}: expected a number of 0 or more as text: {key} = "50000.00"')
        return amount

    def time_of(self, key: str, value: object) -> time:
        if isinstance(value, time):
            return value
        try:
            return time.fromisoformat(value if isinstance(value, str) and _TIME.fullmatch(value) else "")
        except ValueError:
            self.refuse(f'{key} = {value!r:.80}: expected a local time, as in {key} = "17:00"')

    def date_of(self, key: str, value: object) -> date:
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        try:
            return date.fromisoformat(value if isinstance(value, str) and _DATE.fullmatch(value) else "")
        except ValueError:
            self.refuse(f"{key} {value!r:.80}: expected a date such as 2026-12-25")

    def weekday_of(self, key: str, value: object) -> int:
        if not isinstance(value, str) or value.title() not in WEEKDAYS:
            self.refuse(f"{key} {value!r:.80}: expected one of {', '.join(WEEKDAYS)}")
        return WEEKDAYS.index(value.title())
