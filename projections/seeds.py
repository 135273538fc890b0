"""Seeds: starting balances, settings, calendars and first limits of accounts, from a TOML file, appended once.

A program is a seed file that says whose rules it has, and whose defaults are for the accounts that the caller names.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from datetime import date, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from eventstore import Batch, DuplicateEvent, Event, InvalidEvent, Record, VersionConflict
from eventstore.events import encode
from eventstore.events.registry import by_class
from eventstore.streams import account_of, check_name, stream_of
from eventstore.trading import (
    AccountConfigured,
    AccountOpened,
    Baseline,
    CashAtReset,
    Cost,
    LimitsSet,
    Unpriced,
    Valuation,
)
from projections.sessions import Calendar
from projections.toml_table import TomlTable
from projections.view import SHARED
from projections.views.limits.parameters import refuse_unreadable
from projections.views.sessions import EVERYONE

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

KEY = "seed"
ATTEMPTS_MAX = 10

_ACCOUNT = ("starting_balance", "currency", "program", "settings", "calendar", "limits")
_SETTINGS = AccountConfigured.__struct_fields__
_CALENDAR = ("zone", "open", "reset", "flat_by", "weekdays", "early_closes", "holidays", "week_start", "cash_at_reset")
_TIMES = ("open", "reset", "flat_by")
_PROGRAM = ("name", "firm", "source", "dated")


class Target(Protocol):
    """What seeds are applied to: a book."""

    def refresh(self) -> int: ...

    def read(self, *, stream: str | None = None) -> Iterator[Record]: ...

    def append_many(self, batches: Sequence[Batch]) -> list[Record]: ...


class PublishedProgram(msgspec.Struct, frozen=True):
    """Whose rules a file has: the program's name, the firm, where it published them, and when that was read."""

    name: str
    firm: str
    source: str
    dated: date


class Seeds(msgspec.Struct, frozen=True):
    """The content of a file: calendars by account, `*` for all others; how accounts are opened; settings and limits.

    Calendars are configuration, for `projections.open(..., calendars=seeds.calendars)`. The rest is appended once, by
    `apply`; from then on only the log counts, whatever the file says.
    """

    source: str
    calendars: dict[str, Calendar] = {}
    accounts: dict[str, AccountOpened] = {}
    limits: dict[str, tuple[LimitsSet, ...]] = {}
    settings: dict[str, AccountConfigured] = {}
    program: PublishedProgram | None = None

    def apply(self, book: Target, actor: str) -> list[Record]:
        """Append what the log lacks: an account that was never opened or configured, a rule that was never set.

        An account's seeds are appended together or not at all. What another process seeds, or somebody sets, in the
        meantime stays as it is. Returns the appended records. Raises InvalidEvent for an account that was opened with
        another balance or currency than a program has: its figures would mean something else there.
        """
        records: list[Record] = []
        for account in self._names():
            records += self._apply_to(account, book, actor)
        return records

    def kept(self, book: Target) -> dict[str, list[str]]:
        """Return, by account, which limits and settings the log has with another value, which `apply` leaves alone."""
        found: dict[str, list[str]] = {}
        for account in self._names():
            for stream, event in self._of(account):
                newest: dict[str, Any] = {}
                for record in book.read(stream=stream):
                    if isinstance(record.event, type(event)):
                        newest |= _stated(record.event)
                names = [name for name, value in _stated(event).items() if newest.get(name, value) != value]
                if names:
                    found.setdefault(account, []).extend(names)
        return found

    def _names(self) -> list[str]:
        return sorted(self.accounts.keys() | self.settings.keys() | self.limits.keys())

    def _apply_to(self, account: str, book: Target, actor: str) -> list[Record]:
        for attempt in range(1, ATTEMPTS_MAX + 1):
            book.refresh()
            missing = list(self._missing(account, book, actor))
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
        if account in self.settings:
            yield f"account/{account}/-", self.settings[account]
        for limit in self.limits.get(account, ()):
            yield _limits_stream(account, limit.rule_id), limit

    def _missing(self, account: str, book: Target, actor: str) -> Iterator[Batch]:
        placed: Counter[str] = Counter()
        for stream, event in self._of(account):
            missing, version, kind = event, 0, by_class(type(event)).name
            for record in book.read(stream=stream):
                version = record.version
                if record.type == kind:
                    self._check_opened(account, event, record.event)
                    left = _missing_of(missing, record.event)
                    if left is None:
                        break
                    missing = left
            else:
                # The key prevents a second seeding by another process, the version any other append in between.
                expected, note = version + placed[stream], f"seeded from {self._origin()}"
                yield Batch(stream, missing, expected, _key(missing), actor=actor, note=note)
                placed[stream] += 1

    def _origin(self) -> str:
        """Return what a record's note names: the file and, as firms change their rules, a program's date."""
        return self.source if self.program is None else f"{self.source}, dated {self.program.dated}"

    def _check_opened(self, account: str, event: Event, recorded: Event) -> None:
        if self.program is None or not isinstance(event, AccountOpened) or not isinstance(recorded, AccountOpened):
            return
        terms, held = ((each.starting_balance, each.currency) for each in (event, recorded))
        if terms != held:
            msg = (
                f"{account} was opened with {held[0]} {held[1]}, and {self.program.name} is for {terms[0]} {terms[1]}: "
                "nothing was set. Copy its file, change the figures to those of the account, and seed from the copy"
            )
            raise InvalidEvent(msg)


def _stated(event: Event) -> dict[str, Any]:
    """Return what an event states, by the names that `Seeds.kept` has for it."""
    if isinstance(event, LimitsSet):
        return {event.rule_id: event.parameters}
    return {name: value for name, value in msgspec.structs.asdict(event).items() if value is not None}


def _missing_of(event: Event, recorded: Event) -> Event | None:
    """Return what a recorded event leaves of a seed: of settings those it does not state, of anything else nothing."""
    if not isinstance(event, AccountConfigured) or not isinstance(recorded, AccountConfigured):
        return None
    stated = {name: None for name in _SETTINGS if getattr(recorded, name) is not None}
    left = msgspec.structs.replace(event, **stated)
    return left if any(getattr(left, name) is not None for name in _SETTINGS) else None


def _key(event: Event) -> str:
    """Return a seed's key: of settings it has their names, as a file may state more of them later."""
    if not isinstance(event, AccountConfigured):
        return KEY
    return " ".join([KEY, *(name for name in _SETTINGS if getattr(event, name) is not None)])


def load(path: str | os.PathLike[str], *accounts: str) -> Seeds:
    """Return the seeds in a TOML file; raise InvalidEvent, with file, table and key, for invalid content.

    With `accounts`, these are in the file too, with its defaults alone, and no other account has its calendar.

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
    [defaults.settings]               # how accounts are valued and judged, as AccountConfigured describes it
    baseline = "equity-at-reset"
    unpriced_after = "30s"
    [defaults.limits.daily-loss]      # the rule's parameters
    limit = "1000"

    [accounts.ACC1]
    starting_balance = "50000"
    program = "50K"
    [accounts.ACC1.settings]          # the default ones count for what it leaves out
    valuation = "mark"
    payout = "floor-to=0"
    [accounts.ACC1.limits.daily-loss] # a calendar or a rule of its own replaces the default one as a whole
    limit = "500"

    [program]                         # only where the file has the published rules of a firm
    name = "starter-50k"              # of the accounts without a program of their own
    firm = "Example"
    source = "https://example.com/rules"
    dated = 2026-11-29                # when they were read there
    ```
    """
    for account in accounts:
        check_name("account", account)
    file = Path(path)
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        msg = f"{file} cannot be read: {e}"
        raise InvalidEvent(msg) from e
    root = TomlTable(file.name, "", document, ("accounts", "defaults", "program"))
    defaults = root.table("defaults", _ACCOUNT)
    seeds = Seeds(file.name, program=_program(root))
    _read_calendar(seeds, EVERYONE, defaults)
    shared = seeds.calendars.pop(EVERYONE, None) if accounts else None
    _limits("ANY", _rules(defaults))
    _settings({}, defaults)
    for account in dict.fromkeys((*root.table("accounts").members, *accounts)):
        if shared is not None:
            seeds.calendars[account] = shared
        _read_account(seeds, account, root.table("accounts").table(account, _ACCOUNT), defaults)
    return seeds


def _read_account(seeds: Seeds, account: str, table: TomlTable, defaults: TomlTable) -> None:
    if account == SHARED:
        table.refuse("is the partition of what belongs to no account: name an account")
    with table.located_errors():
        check_name("account", account)
    _read_calendar(seeds, account, table)
    opened = _opened(table, defaults, seeds.program)
    if opened is not None:
        seeds.accounts[account] = opened
    settings = _settings(defaults.table("settings", _SETTINGS).members, table)
    if settings is not None:
        seeds.settings[account] = settings
    if limits := _limits(account, _rules(defaults) | _rules(table)):
        seeds.limits[account] = limits


def _read_calendar(seeds: Seeds, account: str, of: TomlTable) -> None:
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
    if "cash_at_reset" in table.members:
        members["cash_at_reset"] = table.choice("cash_at_reset", CashAtReset)
    with table.located_errors():
        seeds.calendars[account] = Calendar(**members)


def _program(root: TomlTable) -> PublishedProgram | None:
    if "program" not in root.members:
        return None
    table = root.table("program", _PROGRAM)
    missing = [key for key in _PROGRAM if key not in table.members]
    name, firm, source = table.text("name"), table.text("firm"), table.text("source")
    if missing or name is None or firm is None or source is None:
        table.refuse(
            f"lacks {missing[0]}: a program says its name, its firm, where it was published and when it was read"
        )
    return PublishedProgram(name, firm, source, table.date_of("dated", table.members["dated"]))


def _opened(table: TomlTable, defaults: TomlTable, published: PublishedProgram | None) -> AccountOpened | None:
    """Return how an account is opened, None where neither it nor the defaults have a starting balance."""
    balance = table.amount("starting_balance")
    balance = defaults.amount("starting_balance") if balance is None else balance
    currency = table.text("currency") or defaults.text("currency")
    program = table.text("program") or defaults.text("program") or (published.name if published else None)
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


def _settings(defaults: dict[str, Any], of: TomlTable) -> AccountConfigured | None:
    """Return an account's settings, each its own or the default one; None where neither states any."""
    own = of.table("settings", _SETTINGS)
    table = own.with_defaults(defaults)
    if not table.members:
        return None
    configured = AccountConfigured(
        valuation=table.choice("valuation", Valuation),
        baseline=table.choice("baseline", Baseline),
        payout=table.text("payout"),
        cost=table.choice("cost", Cost),
        unpriced=table.choice("unpriced", Unpriced),
        unpriced_after=table.duration("unpriced_after"),
        haircut=table.amount("haircut"),
        balance_kind=table.text("balance_kind"),
        balance_tolerance=table.amount("balance_tolerance"),
        second_approver=table.text("second_approver"),
    )
    with table.located_errors():
        encode(configured)
    return configured


def _rules(of: TomlTable) -> dict[str, TomlTable]:
    limits = of.table("limits")
    return {rule_id: limits.table(rule_id) for rule_id in limits.members}


def _limits(account: str, rules: dict[str, TomlTable]) -> tuple[LimitsSet, ...]:
    limits = []
    for rule_id, table in rules.items():
        limit = LimitsSet(rule_id=rule_id, parameters={k: _parameter(table, k, v) for k, v in table.members.items()})
        with table.located_errors():
            account_of(_limits_stream(account, rule_id))
            encode(limit)
            refuse_unreadable(limit, _limits_stream(account, rule_id))
        limits.append(limit)
    return tuple(limits)


def _parameter(table: TomlTable, key: str, value: Any) -> Any:  # noqa: ANN401 - whatever a rule takes
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
