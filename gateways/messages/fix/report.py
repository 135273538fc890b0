"""One FIX message, its tags by name: what it says of account, order, instrument and time."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from eventstore.clock import NANOSECONDS
from gateways.messages.fields import MessageFields
from gateways.messages.fix.codes import EXEC_TRANS_TYPES, MONTH_LETTERS, SIDES, SOURCE, TAGS
from gateways.messages.mapped import MappedEvent, Unmapped

if TYPE_CHECKING:
    from eventstore import Event
    from eventstore.trading import Side
    from gateways.messages.fix.settings import FixSettings

KINDS = {"8": "ExecutionReport", "9": "OrderCancelReject"}
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)-(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,12}))?)?Z?", re.ASCII)
_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)
_MONTH = re.compile(r"(\d{4})(\d\d)(\d\d|w\d)?", re.ASCII)
_EPOCH = datetime.date(1970, 1, 1).toordinal()


class FixReport(MessageFields):
    """A message's fields by FIX name, as text."""

    def __init__(self, message: object, settings: FixSettings) -> None:
        if not isinstance(message, Mapping):
            raise Unmapped(SOURCE, "message", "expected the tags of a message as a dict", message)
        fields = named(message)
        kind = KINDS.get(str(fields.get("MsgType", "8" if "ExecType" in fields else "")))
        if kind is None:
            raise Unmapped(SOURCE, "message", "MsgType (35) is neither 8 nor 9", message)
        super().__init__(SOURCE, kind, fields, message)
        self.settings = settings
        self.account = self._account()

    @property
    def exec_type(self) -> str:
        """ExecType (150), or what ExecTransType (20) of an earlier version means."""
        return EXEC_TRANS_TYPES.get(self.stated("ExecTransType"), self.stated("ExecType"))

    @property
    def is_whole_of_legs(self) -> bool:
        """Whether it is about a spread as a whole (442=3): its legs move positions."""
        return self.stated("MultiLegReportingType") == "3"

    @property
    def is_leg(self) -> bool:
        return self.stated("MultiLegReportingType") == "2"

    @property
    def at(self) -> int | None:
        """When it happened: TransactTime (60), else SendingTime (52)."""
        return self._time("TransactTime") or self._time("SendingTime")

    def stated(self, name: str) -> str:
        """Return a field's text, empty if it is missing."""
        return self.optional_text(name) or ""

    def execution_id(self) -> str:
        """Return the id by which the reports of one execution are known, on whichever session they come."""
        is_second = self.settings.execution_id == "SecondaryExecID" or self.stated("CopyMsgIndicator") == "Y"
        second = self.optional_identity("SecondaryExecID") if is_second else None
        return second or self.identity("ExecID")

    def trading_day(self) -> datetime.date | None:
        text = self.optional_text("TradeDate")
        if text is None:
            return None
        found = _DATE.fullmatch(text)
        try:
            return datetime.date(*(int(part) for part in found.groups())) if found else self.refuse("TradeDate", "")
        except ValueError:
            self.refuse("TradeDate", "is not a date: expected YYYYMMDD")

    def order_id(self) -> str | None:
        """Return the order's id: the program's own where the settings have it, else the broker's; None without any.

        Reports after a replacement name the order by its new ClOrdID (11), and only OrderID (37) stays.
        """
        own = self.order_names()
        known = next((self.settings.orders[name] for name in own if name in self.settings.orders), None)
        return known or self.optional_identity("OrderID") or next(iter(own), None)

    def order_names(self) -> tuple[str, ...]:
        """Return the program's ids of the order, or of requests about it: one that is recorded is the order's."""
        ids = (self.optional_identity(name) for name in ("OrigClOrdID", "ClOrdID"))
        return tuple(each for each in ids if each is not None)

    def mapped(self, stream: str, event: Event, key: str) -> MappedEvent:
        """Return an event of the report, with its time, the day in its key, and the names of its order."""
        return MappedEvent(stream, event, self.key(key), self.at, self.order_names())

    def symbol(self) -> str | None:
        """Return the instrument's name: as the settings have it, else of Symbol (55), month (200) and strike (202)."""
        names = [name for name in (self.stated("SecurityID"), self.stated("Symbol")) if name]
        known = next((self.settings.contracts[name] for name in names if name in self.settings.contracts), None)
        if known is not None or not names:
            return known
        symbol, month = self.stated("Symbol") or names[0], self.stated("MaturityMonthYear")
        found = _MONTH.fullmatch(month)
        if not found or not 1 <= int(found[2]) <= len(MONTH_LETTERS):
            return symbol
        if self.stated("StrikePrice"):
            right = {"0": "P", "1": "C"}.get(self.stated("PutOrCall"), "")
            return f"{symbol} {month} {right}{self.decimal('StrikePrice').normalize():f}"
        return f"{symbol}{MONTH_LETTERS[int(found[2]) - 1]}{found[1][-1]}"

    def side(self) -> Side | None:
        return SIDES.get(self.stated("Side"))

    def key(self, what: str) -> str:
        """Return the key of an event: of ExecID and day, for ids begin again every day, else of all that it says.

        An answer to a status request may repeat an ExecID, or have none.
        """
        day = self.stated("TradeDate") or self.stated("TransactTime")[:8]
        identity = None if self.exec_type == "I" else self.optional_identity("ExecID")
        if identity is None:
            ignored = {"SendingTime", "PossDupFlag", "PossResend"}
            said = sorted((name, str(value)) for name, value in self.fields.items() if name not in ignored)
            identity = hashlib.sha256(repr(said).encode("utf-8", "backslashreplace")).hexdigest()[:32]
        return f"{what} {day} {identity}"

    def _account(self) -> str:
        named_account = self.optional_text("Account")
        if named_account is None:
            if self.settings.account is None:
                self.refuse("Account", "is missing: give the mapping the account of reports without one (account=...)")
            return self.settings.account
        account = self.settings.accounts.get(named_account, named_account)
        self.stream("order", account, "-")
        return account

    def _time(self, name: str) -> int | None:
        text = self.optional_text(name)
        if text is None:
            return None
        found = _TIME.fullmatch(text)
        if not found:
            self.refuse(name, "is not a time: expected YYYYMMDD-HH:MM:SS in UTC")
        year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
        try:
            days = datetime.date(year, month, day).toordinal() - _EPOCH
        except ValueError:
            self.refuse(name, "is not a date")
        if hour > 23 or minute > 59 or second > 60:  # noqa: PLR2004 - FIX lets a leap second be 60
            self.refuse(name, "is not a time of day")
        fraction = int((found[7] or "").ljust(9, "0")[:9])
        seconds = ((days * 24 + hour) * 60 + minute) * 60 + second
        return self._in_range(name, seconds * NANOSECONDS + fraction)


def named(message: Mapping[object, object]) -> dict[str, object]:
    """Return a message's fields by FIX name, numbers as text; a repeating group as a list of its entries."""
    found: dict[str, object] = {}
    for tag, value in message.items():
        text = str(tag)
        name = TAGS.get(int(text), text) if text.isascii() and text.isdecimal() and len(text) < 10 else text  # noqa: PLR2004 - no tag is longer
        found[name] = _value(value)
    return found


def _value(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float | Decimal):
        return str(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [named(each) if isinstance(each, Mapping) else each for each in value]
    return value
