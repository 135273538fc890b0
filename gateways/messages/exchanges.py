"""What the mappings of crypto exchanges share: identities and keys, numbers and times, codes of coins, sides held."""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal
from typing import TYPE_CHECKING

from eventstore.errors import InvalidEvent
from eventstore.events import encode
from eventstore.events.validation import is_currency
from eventstore.streams import account_of
from eventstore.trading import NoteAdded, PositionSide
from gateways.messages.mapped import MappedEvent, Unmapped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventstore.events import Event
    from gateways.messages.fields import MessageFields

_CODE_MIN, _CODE_MAX = 3, 10
_HASHED, _DIGITS = 6, 4
_NOT_IN_A_CODE = re.compile(r"[^A-Z0-9]", re.ASCII)
_SHORT = "COIN"
# A number with more digits is not a figure of trading, and is refused as it is.
_DIGITS_MAX = 200
_SIDES_BY_WORD = {
    "LONG": PositionSide.LONG,
    "SHORT": PositionSide.SHORT,
    "BOTH": PositionSide.NET,
    "NET": PositionSide.NET,
}
# Binance and BingX, Binance's streams, OKX.
_SIDE_MEMBERS = ("positionSide", "ps", "posSide")
# Bybit's positionIdx.
_SIDES_BY_INDEX = {"0": PositionSide.NET, "1": PositionSide.LONG, "2": PositionSide.SHORT}


def identity_in(symbol: str, id_: str) -> str:
    """Return what identifies a trade or an order in an account: exchanges count ids for each symbol by itself."""
    return f"{symbol}-{id_}"


def mapped(fields: MessageFields, stream: str, event: Event, identity: str | None, at: int | None) -> MappedEvent:
    """Return one version of what `identity` names: the same statement at the same time is the same record.

    So a message that comes again adds nothing, and one that states more is a record beside the first, which the fold
    takes for the same execution, order or position. Without an identity each delivery is a record of its own.
    """
    data = encoded(fields, event)
    digest = hashlib.sha256(b"%s %d" % (data, at or 0)).hexdigest()[:16]
    return MappedEvent(stream, event, None if identity is None else f"{identity}:{digest}", at)


def mapped_once(fields: MessageFields, stream: str, event: Event, identity: str, at: int | None) -> MappedEvent:
    """Return what must count once, however it is reported: cash, and fees that add to those of a trade."""
    encoded(fields, event)
    return MappedEvent(stream, event, identity, at)


def encoded(fields: MessageFields, event: Event) -> bytes:
    """Return an event's bytes; raise Unmapped for one that cannot be stored, such as a number beyond all bounds."""
    try:
        return encode(event)[1]
    except InvalidEvent as e:
        raise Unmapped(fields.source, fields.kind, str(e), fields.whole) from e


def noted(fields: MessageFields, target: str, text: str, tag: str, at: int | None) -> MappedEvent:
    """Return a note about a stream: what a message says that no figure may follow from."""
    digest = hashlib.sha256(f"{target} {text} {at}".encode(errors="replace")).hexdigest()[:24]
    event = NoteAdded(target=target, text=text, tags=(tag, fields.source.replace(" ", "-")))
    stream = fields.stream("note", account_of(target), f"{tag}-{digest}")
    return mapped_once(fields, stream, event, f"note:{digest}", at)


def plain(number: Decimal) -> Decimal:
    """Return a number without trailing zeros, so that "0.0100" and 0.01 are one statement."""
    if abs(number.adjusted()) > _DIGITS_MAX:
        return number
    text = f"{number:f}"
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text) or Decimal(0)


def number(fields: MessageFields, name: str) -> Decimal:
    """Return a number; refuse one that is missing."""
    return plain(fields.decimal(name))


def optional_number(fields: MessageFields, name: str) -> Decimal | None:
    value = fields.optional_decimal(name)
    return None if value is None else plain(value)


def stated(fields: MessageFields, name: str) -> Decimal | None:
    """Return a number above zero; None for 0 and below, which exchanges write where there is none."""
    value = optional_number(fields, name)
    return value if value is not None and value > 0 else None


def newest(fields: MessageFields, *names: str) -> int | None:
    """Return the newest of several times in UNIX milliseconds as ns; None if none is stated. 0 states none."""
    return max((at for name in names if fields.get(name) and (at := fields.milliseconds(name))), default=None)


def code_of(fields: MessageFields, name: str, codes: Mapping[str, str]) -> str:
    """Return the currency's code of a coin, as `codes` has it; refuse one that is missing.

    A code has three to ten upper-case letters or digits. A coin with another name always gets the same code: OP is
    OPCOIN, and a longer name its first six characters and four of its hash.
    """
    code = optional_code(fields, name, codes)
    if code is None:
        fields.refuse(name, "names no currency")
    return code


def optional_code(fields: MessageFields, name: str, codes: Mapping[str, str]) -> str | None:
    """Return the same; None if none is stated."""
    coin = fields.optional_text(name)
    return None if coin is None else coin_code(fields, name, coin, codes)


def coin_code(fields: MessageFields, name: str, coin: str, codes: Mapping[str, str]) -> str:
    """Return the currency's code of a coin's name."""
    code = codes.get(coin, coin)
    if is_currency(code):
        return code
    letters = _NOT_IN_A_CODE.sub("", code.upper())
    if not letters:
        fields.refuse(name, "names no currency")
    if len(letters) < _CODE_MIN:
        return letters + _SHORT
    if len(letters) <= _CODE_MAX:
        return letters
    return letters[:_HASHED] + hashlib.sha256(code.encode(errors="replace")).hexdigest()[:_DIGITS].upper()


def side_held(fields: MessageFields) -> PositionSide | None:
    """Return which of an account's two positions an exchange's own message is about; None if it does not say."""
    for name in _SIDE_MEMBERS:
        value = fields.get(name)
        if isinstance(value, str) and value.upper() in _SIDES_BY_WORD:
            return _SIDES_BY_WORD[value.upper()]
    index = fields.get("positionIdx")
    return _SIDES_BY_INDEX.get(str(index)) if index is not None else None
