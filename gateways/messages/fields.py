"""The fields of one message, each read as what it must be; what is malformed raises Unmapped and names the field."""

from __future__ import annotations

import string
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, NoReturn, TypeVar

from eventstore.clock import GIVEN_MIN, TIME_MAX, format_time, parse_time
from eventstore.errors import InvalidEvent, shown
from eventstore.locations import is_utf8
from eventstore.streams import account_of, stream_of
from gateways.importers.texts import CellError, to_decimal
from gateways.messages.mapped import Unmapped

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
Choices = Mapping[int, T] | Mapping[str, T] | Mapping[int | str, T]
"""What each value of a field means."""

TEXT_MAX = 128
# What programs write for "no value", without punctuation around it.
_NO_VALUE = frozenset({"", "0", "n/a", "na", "nan", "nil", "none", "null", "undefined"})
_MILLISECOND_NS = 1_000_000
_INTEGER_END = 1 << 64


class MessageFields:
    """One object of a message: `kind` names its type, `whole` is the message that errors keep."""

    def __init__(
        self, source: str, kind: str, fields: object, whole: object = None, *, is_market: bool = False
    ) -> None:
        self.source, self.kind, self.is_market = source, kind, is_market
        self.whole = fields if whole is None else whole
        if not isinstance(fields, Mapping):
            self.refuse_all(f"expected an object, not {shown(fields)}")
        self.fields: Mapping[str, object] = fields

    def refuse_all(self, why: str) -> NoReturn:
        """Raise Unmapped for what is not one field's fault."""
        raise Unmapped(self.source, self.kind, why, self.whole, is_market=self.is_market)

    def refuse(self, name: str, why: str) -> NoReturn:
        """Raise Unmapped with a field, its value and what is wrong with it."""
        self.refuse_all(f"{name} = {shown(self.fields.get(name))} {why}")

    def get(self, name: str) -> object:
        """Return a field as it is; None if it is missing."""
        return self.fields.get(name)

    def inner(self, name: str) -> MessageFields:
        """Return the fields of an object inside this one."""
        return MessageFields(self.source, f"{self.kind}.{name}", self.get(name), self.whole, is_market=self.is_market)

    def text(self, name: str) -> str:
        """Return a field's text, without surrounding blanks; refuse one that is empty or no text."""
        text = self.optional_text(name)
        if text is None:
            self.refuse(name, "is missing")
        return text

    def optional_text(self, name: str) -> str | None:
        """Return a field's text; None if it is missing or blank."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not is_utf8(value) or "\0" in value:
            self.refuse(name, "is not text")
        return value.strip() or None

    def as_word(self, name: str) -> str | None:
        """Return a field as a word to be kept as it is, whatever it is; None if it is missing."""
        value = self.get(name)
        if value is None:
            return None
        return value if isinstance(value, str) and value.isprintable() else shown(value)

    def identity(self, name: str) -> str:
        """Return an id as text; refuse one that stands for none, such as 0, -1, "" or "null"."""
        identity = self.optional_identity(name)
        if identity is None:
            self.refuse(name, "identifies nothing")
        return identity

    def optional_identity(self, name: str) -> str | None:
        """Return an id as text; None if it is missing or stands for none; refuse what is not an id at all."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | str):
            self.refuse(name, "is not an id: expected an integer or text")
        if isinstance(value, int) and abs(value) >= _INTEGER_END:
            self.refuse(name, "is not an id: expected an integer of at most 64 bits")
        text = str(value).strip()
        if len(text) > TEXT_MAX or not text.isprintable():
            self.refuse(name, f"is not an id: expected at most {TEXT_MAX} printable characters")
        if text.strip(string.punctuation).casefold() in _NO_VALUE or (text.startswith("-") and text[1:].isdecimal()):
            return None
        return text

    def decimal(self, name: str) -> Decimal:
        """Return a number exactly as it was written; refuse one that is missing."""
        number = self.optional_decimal(name)
        if number is None:
            self.refuse(name, "is missing: expected a number")
        return number

    def optional_decimal(self, name: str) -> Decimal | None:
        """Return a number; None if it is missing or empty text; refuse NaN, Infinity and all that is not a number.

        A float stands for the shortest decimal number that reads as it, which is what the sender wrote.
        """
        value = self.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
            self.refuse(name, "is not a number")
        number = self._from_text(name, value) if isinstance(value, str) else Decimal(str(value))
        if not number.is_finite():
            self.refuse(name, "is not a finite number")
        return number

    def positive(self, name: str) -> Decimal:
        """Return a number above zero."""
        number = self.decimal(name)
        if number <= 0:
            self.refuse(name, "is not above zero")
        return number

    def optional_flag(self, name: str) -> bool | None:
        """Return true or false; None if it is missing; refuse 1, "true" and the like, which may mean anything."""
        value = self.get(name)
        if value is not None and not isinstance(value, bool):
            self.refuse(name, "is not true or false")
        return value

    def choice(self, name: str, meanings: Choices[T]) -> T:
        """Return the meaning of a field's value; refuse one that has none."""
        meaning = self.optional_choice(name, meanings)
        if meaning is None:
            self.refuse(name, f"is unknown: expected one of {', '.join(str(known) for known in meanings)}")
        return meaning

    def optional_choice(
        self, name: str, meanings: Mapping[int, T] | Mapping[str, T] | Mapping[int | str, T]
    ) -> T | None:
        """Return the meaning of a field's value; None if it has none."""
        value = self.get(name)
        # By type as well: True is not 1, and neither is 1.0.
        found = (meaning for known, meaning in meanings.items() if type(value) is type(known) and value == known)
        return next(found, None)

    def instant(self, name: str) -> int:
        """Return ISO 8601 text with a zone as UNIX ns; refuse one that is missing."""
        instant = self.optional_instant(name)
        if instant is None:
            self.refuse(name, "is missing: expected a time")
        return instant

    def optional_instant(self, name: str) -> int | None:
        """Return ISO 8601 text with a zone as UNIX ns; None if it is missing; refuse a time before 1990."""
        text = self.optional_text(name)
        return None if text is None else self._in_range(name, self.parsed(name, text, parse_time))

    def milliseconds(self, name: str) -> int | None:
        """Return UNIX milliseconds as ns; None if the field is missing; refuse a time outside 1990 to 2199."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(name, "is not an integer of UNIX milliseconds")
        return self._in_range(name, value * _MILLISECOND_NS)

    def parsed(self, name: str, text: str, parse: Callable[[str], T]) -> T:
        """Return what `parse` makes of a text, whose InvalidEvent becomes Unmapped."""
        try:
            return parse(text)
        except InvalidEvent as e:
            self.refuse(name, f"cannot be read: {e}")

    def stream(self, category: str, account: str, entity: str) -> str:
        """Return the name of a stream; refuse the message if account or entity cannot be part of one."""
        stream = stream_of(category, account, entity)
        try:
            account_of(stream)
        except InvalidEvent as e:
            self.refuse_all(str(e))
        return stream

    def _from_text(self, name: str, text: str) -> Decimal:
        try:
            return to_decimal(text.strip())
        except CellError as e:
            self.refuse(name, str(e))

    def _in_range(self, name: str, instant: int) -> int:
        if not GIVEN_MIN <= instant <= TIME_MAX:
            self.refuse(name, f"is not a time from {format_time(GIVEN_MIN)[:4]} on")
        return instant
