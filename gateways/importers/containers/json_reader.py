"""A JSON document read value by value, so that a long list takes no memory; numbers stay as they are written."""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

VALUE_CHARACTERS_MAX = 1_000_000
DEPTH_MAX = 100
_CHUNK = 1 << 16
_SPACE = re.compile(r"[ \t\r\n]*")


class JsonNumber(str):
    """A number as it is written; also NaN and Infinity, which programs write though JSON has no such numbers."""

    __slots__ = ()


class UnfitJsonError(ValueError):
    """JSON that is not read: a member that comes twice, or nesting without end."""


def decode_json(text: str) -> object:
    """Return the value of a text; raise UnfitJsonError, which says why, if it is none."""
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as e:
        msg = f"is not JSON: {e.msg} at character {e.pos + 1}"
        raise UnfitJsonError(msg) from e
    except RecursionError as e:
        raise UnfitJsonError(_TOO_DEEP) from e


def to_json(value: object) -> str:
    """Return a decoded value as JSON, its numbers as they were written."""
    match value:
        case JsonNumber():
            return str(value)
        case dict():
            return "{" + ", ".join(f"{to_json(key)}: {to_json(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(to_json, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


class JsonReader:
    """The values of one document, in order. Errors are UnfitJsonError, to be raised again with file and row."""

    def __init__(self, text: TextIO) -> None:
        self._text, self._buffer, self._at = text, "", 0
        self._is_ended = False

    def peek(self) -> str:
        """Return the next character that is not white space, without consuming it; "" at the end."""
        while True:
            found = _SPACE.match(self._buffer, self._at)
            self._at = found.end() if found is not None else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if self._is_ended:
                return ""
            self._fill()

    def value(self) -> object:
        """Return the next value, which has at most VALUE_CHARACTERS_MAX characters."""
        self.peek()
        while True:
            error = "the document ends in the middle of a value"
            try:
                value, end = _DECODER.raw_decode(self._buffer, self._at)
                # A number may go on in what is still to be read.
                if end < len(self._buffer) or self._is_ended:
                    self._at = end
                    return value
            except json.JSONDecodeError as e:
                if e.pos < len(self._buffer):
                    error = f"is not JSON: {e.msg}"
            except RecursionError as e:
                raise UnfitJsonError(_TOO_DEEP) from e
            if self._is_ended:
                raise UnfitJsonError(error)
            if len(self._buffer) - self._at > VALUE_CHARACTERS_MAX:
                msg = f"has a value of more than {VALUE_CHARACTERS_MAX:,} characters, or {error}"
                raise UnfitJsonError(msg)
            self._fill()

    def elements(self) -> Iterator[None]:
        """Stop before each element of the list that begins here; the caller takes it."""
        for _ in self._parts("[", "]"):
            yield

    def members(self) -> Iterator[str]:
        """Stop before the value of each member of the object that begins here, with its name; the caller takes it."""
        seen: set[str] = set()
        for _ in self._parts("{", "}"):
            if self.peek() != '"':
                self._unexpected("the name of a member")
            name = str(self.value())
            if name in seen:
                raise UnfitJsonError(_twice(name))
            seen.add(name)
            self._take(":")
            yield name

    def skip(self, depth: int = 0) -> None:
        """Pass over the next value, however long it is."""
        first = self.peek()
        if self._is_passed_at_once():
            return
        if first not in {"[", "{"}:
            self.value()
            return
        if depth > DEPTH_MAX:
            raise UnfitJsonError(_TOO_DEEP)
        for _ in self.elements() if first == "[" else self.members():
            self.skip(depth + 1)

    def end(self) -> None:
        """Raise UnfitJsonError if anything follows."""
        if self.peek():
            msg = 'continues after its end: where it has an object on each line, state read.container = "jsonl"'
            raise UnfitJsonError(msg)

    def _is_passed_at_once(self) -> bool:
        """Pass over a value that has been read to its end; return False for any other."""
        with contextlib.suppress(json.JSONDecodeError, RecursionError):
            _, end = _DECODER.raw_decode(self._buffer, self._at)
            if end < len(self._buffer):
                self._at = end
                return True
        return False

    def _parts(self, opening: str, closing: str) -> Iterator[None]:
        self._take(opening)
        if self.peek() == closing:
            self._at += 1
            return
        while True:
            yield
            if self.peek() == closing:
                self._at += 1
                return
            self._take(",")

    def _take(self, character: str) -> None:
        if self.peek() != character:
            self._unexpected(f"{character!r}")
        self._at += 1

    def _unexpected(self, expected: str) -> NoReturn:
        found = self.peek()
        msg = f"is not JSON: {found!r} instead of {expected}" if found else "the document ends before its last bracket"
        raise UnfitJsonError(msg)

    def _fill(self) -> None:
        # At least as much again, so that a long value is tried a few times only.
        chunk = self._text.read(max(_CHUNK, len(self._buffer) - self._at))
        self._buffer, self._at = self._buffer[self._at :] + chunk, 0
        self._is_ended = not chunk


def _object(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise UnfitJsonError(_twice(name))
            seen.add(name)
    return members


def _twice(name: str) -> str:
    return f"has the member {name!r} twice in one object"


_TOO_DEEP = "is nested too deeply"
_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=JsonNumber, parse_int=JsonNumber, parse_constant=JsonNumber
)
