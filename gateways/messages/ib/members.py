"""The members of one of ib_async's objects, or of a dict of the same members: numbers that are unset are None."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
from collections.abc import Mapping
from decimal import Decimal

import msgspec
from typing_extensions import override

from eventstore.clock import GIVEN_MIN, to_ns
from eventstore.errors import InvalidEvent
from gateways.messages.fields import MessageFields
from gateways.messages.mapped import Unmapped

SOURCE = "ib"
_UNSET = 1e300
"""IB writes the largest float for a number that is not set."""
_UNSET_INTEGER = 2**31 - 1


class IbSettings(msgspec.Struct, frozen=True):
    """What the mapping cannot know from an object.

    `account`: that of objects without one. `accounts`: names here by IB's. `contracts`: symbols by conId, as text.
    `price_magnifiers`: those of ContractDetails by conId, where they are not 1. `balance_tag`: which of IB's account
    values is the balance, by what AccountConfigured says it means.
    """

    account: str | None = None
    accounts: Mapping[str, str] = {}
    contracts: Mapping[str, str] = {}
    price_magnifiers: Mapping[str, int] = {}
    balance_tag: str = "TotalCashValue"


class Members(MessageFields):
    """The members of an object; `kind` is its class."""

    def __init__(self, kind: str, value: object, settings: IbSettings, whole: object = None) -> None:
        super().__init__(SOURCE, kind, members_of(value), value if whole is None else whole)
        self.settings = settings

    @override
    def inner(self, name: str) -> Members:
        return Members(f"{self.kind}.{name}", self.get(name), self.settings, self.whole)

    def stated(self, name: str) -> str:
        """Return a member's text, empty if it is missing."""
        return self.optional_text(name) or ""

    def number(self, name: str) -> Decimal | None:
        """Return a number; None if it is missing, unset or NaN."""
        number = None if _is_unset(self.get(name)) else self.optional_decimal(name)
        if number is None:
            return None
        # 5.0 is 5: a dict that was read from JSON has either.
        number = number.normalize()
        return number.quantize(Decimal(1)) if 0 < number.as_tuple().exponent < 20 else number  # type: ignore[operator]  # noqa: PLR2004 - beyond, zeros would not fit

    def id_number(self, name: str) -> int | None:
        """Return an id that is a number above zero, as text or not; None if it is 0 or unset."""
        text = self.optional_identity(name)
        number = int(text) if text is not None and text.isdecimal() else 0
        return number if number not in {0, _UNSET_INTEGER} else None

    def account(self, name: str) -> str:
        """Return the account's name here."""
        stated = self.optional_text(name)
        if stated is None:
            if self.settings.account is None:
                self.refuse(name, "is missing: give the mapping the account of objects without one (account=...)")
            return self.settings.account
        account = self.settings.accounts.get(stated, stated)
        self.stream("account", account, "-")
        return account

    def time(self, name: str) -> int | None:
        """Return an aware datetime, or ISO 8601 text with a zone; None if it is missing or IB's default, 1970."""
        value = self.get(name)
        if not isinstance(value, datetime.datetime):
            return self.optional_instant(name)
        if value.tzinfo is None:
            self.refuse(name, "has no zone: expected an aware datetime")
        try:
            at = to_ns(value) if value.year > 1970 else 0  # noqa: PLR2004 - ib_async's default time
        except InvalidEvent as e:
            self.refuse(name, str(e))
        return at if at >= GIVEN_MIN else None


def _is_unset(value: object) -> bool:
    """Return whether a number stands for none: NaN, or the largest float, by which IB marks what is not set."""
    if isinstance(value, Decimal):
        return value.is_nan() or abs(value) >= Decimal(_UNSET)
    # NaN is not less than anything.
    return isinstance(value, float) and not abs(value) < _UNSET


def members_of(value: object) -> object:
    """Return the members of a dataclass's or a named tuple's instance as a dict; anything else as it is."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return dict(zip(value._fields, value, strict=True))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    return value


def content_key(what: str, event: msgspec.Struct, at: int | None) -> str:
    """Return the key of a state that has no id: the same one for the same content and time."""
    said = f"{at} {msgspec.json.encode(event).decode()}"
    return f"{what} {hashlib.sha256(said.encode()).hexdigest()[:32]}"


def refused(kind: str, why: str, message: object) -> Unmapped:
    return Unmapped(SOURCE, kind, why, message)
