"""Seeds: starting balances, calendars and first limits of accounts, from a TOML file, appended once."""

from __future__ import annotations

import contextlib
import re
import tomllib
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import msgspec

from eventstore import Batch, DuplicateEvent, Event, InvalidEvent, Record, VersionConflict
from eventstore.events import encode
from eventstore.events.registry import by_class
from eventstore.streams import account_of, check_name, stream_of
from eventstore.trading import AccountOpened, LimitsSet
from projections.sessions import WEEKDAYS, Calendar
from projections.view import SHARED
from projections.views.sessions import EVERYONE

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

KEY = "seed"
ATTEMPTS_MAX = 10

_ACCOUNT = ("starting_balance", "currency", "program", "calendar", "limits")
_CALENDAR = ("zone", "open", "reset", "flat_by", "weekdays", "early_closes", "holidays", "week_start")
_TIMES = ("open", "reset", "flat_by")
_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(r"\d{2}:\d{2}(:\d{2})?", re.ASCII)


class Target(Protocol):
    """What seeds are applied to: a book."""

    def refresh(self) -> int: ...

    def read(self, *, stream: str | None = None) -> Iterator[Record]: ...

    def append_many(self, batches: Sequence[Batch]) -> list[Record]: ...


class Seeds(msgspec.Struct, frozen=True):
    """The content of a file: calendars by account, `*` for all others; how accounts are opened; their first limits.

    Calendars are configuration, for `projections.open(..., calendars=seeds.calendars)`. The rest is appended once, by
    `apply`; from then on only the log counts, whatever the file says.
    """

    source: str
    calendars: dict[str, Calendar] = {}
    accounts: dict[str, AccountOpened] = {}
    limits: dict[str, tuple[LimitsSet, ...]] = {}

    def apply(self, book: Target, actor: str) -> list[Record]:
        """Append what the log lacks: an account that was never opened, a rule that was never set.

        An account's seeds are appended together or not at all. What another process seeds, or somebody sets, in the
        meantime stays as it is. Returns the appended records.
        """
        records: list[Record] = []
        for account in sorted(self.accounts.keys() | self.limits.keys()):
            records += self._apply_to(account, book, actor)
        return records

    def _apply_to(self, account: str, book: Target, actor: str) -> list[Record]:
        for attempt in range(1, ATTEMPTS_MAX + 1):
            book.refresh()
            missing = [
                batch for stream, event in self._of(account) for batch in self._batch(book, stream, event, actor)
            ]
            if not missing:
                return []
            try:
                return book.append_many(missing)
            except (VersionConflict, DuplicateEvent):
                if attempt == ATTEMPTS_MAX:
                    raise
        return []

    def _of(self, account: str) -> Iterator[tuple[str, Event]]:
        if account in self.accounts:
            yield f"account/{account}/-", self.accounts[account]
        for limit in self.limits.get(account, ()):
            yield _limits_stream(account, limit.rule_id), limit

    def _batch(self, book: Target, stream: str, event: Event, actor: str) -> Iterator[Batch]:
        version, kind = 0, by_class(type(event)).name
        for record in book.read(stream=stream):
            if record.type == kind:
                return
            version = record.version
        # The key prevents a second seeding by another process, the version any other append in between.
        yield Batch(stream, event, version, KEY, actor=actor, note=f"seeded from {self.source}")


def load(path: str | os.PathLike[str]) -> Seeds:
    """Return the seeds in a TOML file; raise InvalidEvent, with file, table and key, for invalid content.

    ```toml
    [defaults]                        # for the accounts below, where they have no value of their own
    currency = "USD"
    [defaults.calendar]               # also for all other accounts
    zone = "America/Chicago"
    open = "17:00"
    flat_by = "15:10"
    reset = "17:00"
    holidays = [2026-12-25]
    early_closes = {2026-11-27 = "12:00"}
    [defaults.limits.daily-loss]      # the rule's parameters
    limit = "1000"

    [accounts.ACC1]
    starting_balance = "50000"
    program = "50K"
    [accounts.ACC1.limits.daily-loss] # a calendar or a rule of its own replaces the default one as a whole
    limit = "500"
    ```
    """
    file = Path(path)
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        msg = f"{file} cannot be read: {e}"
        raise InvalidEvent(msg) from e
    root = _Table(file.name, "", document, ("accounts", "defaults"))
    defaults = root.table("defaults", _ACCOUNT)
    seeds = Seeds(file.name)
    _read_calendar(seeds, EVERYONE, defaults)
    rules = _rules(defaults)
    _limits("ANY", rules)
    for account in root.table("accounts").members:
        table = root.table("accounts").table(account, _ACCOUNT)
        if account == SHARED:
            table.refuse("is the partition of what belongs to no account: name an account")
        with table.located_errors():
            check_name("account", account)
        _read_calendar(seeds, account, table)
        opened = _opened(table, defaults)
        if opened is not None:
            seeds.accounts[account] = opened
        if limits := _limits(account, rules | _rules(table)):
            seeds.limits[account] = limits
    return seeds


class _Table:
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

    def table(self, key: str, known: Sequence[str] | None = None) -> _Table:
        """Return a table inside this one, an empty one if it is missing."""
        plain = key if _BARE.fullmatch(key) else f'"{key}"'
        name = f"{self._name}.{plain}" if self._name else plain
        members = self.members.get(key, {})
        if not isinstance(members, dict):
            self.refuse(f"{key} = {members!r:.80}: write a table [{name}] instead")
        return _Table(self._file, name, members, known)

    def text(self, key: str) -> str | None:
        value = self.members.get(key)
        if value is not None and (not isinstance(value, str) or not value):
            self.refuse(f'{key} = {value!r:.80}: expected text in quotes, as in {key} = "…"')
        return value

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


def _read_calendar(seeds: Seeds, account: str, of: _Table) -> None:
    if "calendar" not in of.members:
        return
    table = of.table("calendar", _CALENDAR)
    members: dict[str, Any] = {"zone": table.text("zone")}
    members |= {name: table.time_of(name, table.members[name]) for name in _TIMES if name in table.members}
    for name in ("zone", "open", "reset"):
        if members.get(name) is None:
            table.refuse(f"lacks {name}: a calendar needs at least zone, open and reset")
    closes = table.table("early_closes")
    members["early_closes"] = {
        closes.date_of("key", day): closes.time_of(day, at) for day, at in closes.members.items()
    }
    members["holidays"] = frozenset(table.date_of("holidays", day) for day in table.array("holidays"))
    if "weekdays" in table.members:
        members["weekdays"] = tuple(table.weekday_of("weekdays", day) for day in table.array("weekdays"))
    if "week_start" in table.members:
        members["week_start"] = table.weekday_of("week_start", table.members["week_start"])
    with table.located_errors():
        seeds.calendars[account] = Calendar(**members)


def _opened(table: _Table, defaults: _Table) -> AccountOpened | None:
    """Return how an account is opened, None where neither it nor the defaults have a starting balance."""
    balance = table.amount("starting_balance")
    balance = defaults.amount("starting_balance") if balance is None else balance
    currency = table.text("currency") or defaults.text("currency")
    program = table.text("program") or defaults.text("program")
    if balance is None:
        for key in ("currency", "program"):
            if key in table.members:
                table.refuse(f"has a {key} and no starting_balance: give both, or neither")
        return None
    if currency is None:
        table.refuse('has a starting_balance and no currency: give both, as in currency = "USD"')
    opened = AccountOpened(starting_balance=balance, currency=currency, program=program)
    with table.located_errors():
        encode(opened)
    return opened


def _rules(of: _Table) -> dict[str, _Table]:
    limits = of.table("limits")
    return {rule_id: limits.table(rule_id) for rule_id in limits.members}


def _limits(account: str, rules: dict[str, _Table]) -> tuple[LimitsSet, ...]:
    limits = []
    for rule_id, table in rules.items():
        limit = LimitsSet(rule_id=rule_id, parameters={k: _parameter(table, k, v) for k, v in table.members.items()})
        with table.located_errors():
            account_of(_limits_stream(account, rule_id))
            encode(limit)
        limits.append(limit)
    return tuple(limits)


def _parameter(table: _Table, key: str, value: Any) -> Any:  # noqa: ANN401 - whatever a rule takes
    """Return a rule's parameter as an event can store it: dates and times as text; floats are refused."""
    if isinstance(value, float):
        table.refuse(f'{key} = {value} is a float, which is not exact: write it as text, {key} = "{value}"')
    if isinstance(value, list):
        return [_parameter(table, key, each) for each in value]
    if isinstance(value, dict):
        return {name: _parameter(table, f"{key}.{name}", each) for name, each in value.items()}
    return value.isoformat() if isinstance(value, date | time) else value


def _limits_stream(account: str, rule_id: str) -> str:
    return stream_of("limits", account, rule_id)
