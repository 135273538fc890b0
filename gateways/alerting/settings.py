"""Settings of alerts: the receivers under `[[alerts]]`, and `heartbeat`, in eventstore.toml."""

from __future__ import annotations

import base64
import binascii
import difflib
import re
import stat
import warnings
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from eventstore import InvalidEvent, Unavailable
from eventstore.clock import NANOSECONDS
from eventstore.config import FILE, SETTINGS, document
from eventstore.locations import is_loopback
from eventstore.streams import check_name
from gateways.alerting.conditions import Condition
from projections.toml_table import TomlTable
from projections.view import GROUP, SHARED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ALERTS, HEARTBEAT = "alerts", "heartbeat"
RECEIVERS_MAX = 20
NAME_MAX = 40
SECRET_PREFIX = "whsec_"  # noqa: S105 - what every secret begins with
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64
FREE_LOW = 1_000_000_000
"""Free bytes below which a disk is nearly full, by default."""
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE = re.compile(r"(?P<number>\d{1,6}(?:\.\d{1,3})?) ?(?P<unit>[KMGT]B)")
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
_HOW_TO_MAKE_ONE = (
    "make one with: python -c \"import base64, os; print('whsec_' + base64.b64encode(os.urandom(32)).decode())\""
)


class Receiver(msgspec.Struct, frozen=True, kw_only=True):
    """One table `[[alerts]]`: who is alerted, about what, and from when on. Durations are in ns, sizes in bytes.

    Without `accounts` alerts of all are sent; those of the log and of groups always are.
    """

    name: str
    on: frozenset[Condition] = frozenset(Condition)
    accounts: frozenset[str] | None = None
    command: tuple[str, ...] = ()
    url: str = ""
    secret: str = ""
    secret_file: str = ""
    headroom_below: Decimal = Decimal("0.2")
    feed_stale_after: int = 30 * NANOSECONDS
    disk_free_below: int = FREE_LOW
    mirror_lag_above: int = 60 * NANOSECONDS
    repeat_after: int = 3_600 * NANOSECONDS

    def takes(self, what: str, account: str) -> bool:
        """Return whether this receiver gets alerts about a condition of an account."""
        is_named = self.accounts is None or account in self.accounts
        return what in self.on and (is_named or account == SHARED or account.startswith(GROUP))

    def key(self) -> bytes | None:
        """Return the secret that signs, read from its file at each call; None without one; raise Unavailable."""
        text = self.secret
        if self.secret_file:
            try:
                text = Path(self.secret_file).read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as e:
                msg = f"the secret's file {self.secret_file} cannot be read: {getattr(e, 'strerror', 'it is not text')}"
                raise Unavailable(msg) from e
        if not text:
            if self.secret_file:
                msg = f"the secret's file {self.secret_file} is empty"
                raise Unavailable(msg)
            return None
        return key_of(text)

    @override
    def __repr__(self) -> str:
        return f"<Receiver {self.name}: {'a command' if self.command else 'a webhook'}>"

    @override
    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # What msgspec gives rich to print has every member, the secret and the URL, which may hold one.
        return [("name", self.name)]


class AlertSettings(msgspec.Struct, frozen=True):
    """Who is alerted, and the URL that is called each minute while all is in order; neither is ever printed."""

    receivers: tuple[Receiver, ...] = ()
    heartbeat: str = ""

    @classmethod
    def load(cls, *directories: Path) -> AlertSettings:
        """Return the settings of the one eventstore.toml in these directories that has any; empty without one.

        Raises InvalidEvent for an unknown key, a misspelt condition and whatever else cannot be meant, and where two
        of the files have settings of alerts: nobody must be left out because another file was read.
        """
        found = {}
        for path in dict.fromkeys((directory / FILE).absolute() for directory in directories):
            members = document(path)
            _check_known(str(path), members, SETTINGS, "top-level setting")
            if ALERTS in members or HEARTBEAT in members:
                found[path] = members
        if len(found) > 1:
            msg = f"{' and '.join(map(str, found))} both have settings of alerts: keep them in one"
            raise InvalidEvent(msg)
        for path, members in found.items():
            return cls(_receivers(path, members), _heartbeat(path, members))
        return cls()

    @property
    def is_empty(self) -> bool:
        return not (self.receivers or self.heartbeat)

    @override
    def __repr__(self) -> str:
        return f"<AlertSettings: {len(self.receivers)} receivers, heartbeat {'set' if self.heartbeat else 'not set'}>"

    @override
    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("receivers", [each.name for each in self.receivers]), (HEARTBEAT, bool(self.heartbeat))]


def key_of(secret: str) -> bytes:
    """Return the bytes of a secret, base64 after `whsec_` as Standard Webhooks writes it; raise Unavailable."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
        msg = (
            f"the secret (it is not shown here) is not {SECRET_PREFIX} and base64 of {SECRET_BYTES_MIN} to "
            f"{SECRET_BYTES_MAX} bytes: {_HOW_TO_MAKE_ONE}"
        )
        raise Unavailable(msg)
    return key


def url_problem(url: str, *, allow_http: bool = False) -> str | None:
    """Return what is wrong with a URL that alerts go to, without showing it, for it may hold a secret."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it is not a URL"
    if not (url.isascii() and url.isprintable() and " " not in url):
        return "it holds characters that a URL cannot have"
    if parts.scheme not in {"http", "https"} or not host:
        return "it does not begin with https:// and a host"
    if not _is_sendable(host):
        return "its host has an empty part, or one of more than 63 letters"
    if parts.username is not None or parts.password is not None:
        return "it has a user or a password in it, which are not sent: use a secret"
    if parts.scheme == "http" and not allow_http and not is_loopback(host):
        return f"http is readable on the way to {host}: use https, or allow_http = true on a network of your own"
    return None


def _is_sendable(host: str) -> bool:
    """Return whether a host may be asked for: Python raises no error of the network for others."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _check_known(where: str, members: Iterable[str], known: Iterable[str], what: str) -> None:
    names = list(known)
    for key in members:
        if key not in names:
            folded = {name.lower(): name for name in names}
            close = difflib.get_close_matches(key.lower(), list(folded), n=1)
            hint = f"did you mean {folded[close[0]]}?" if close else f"the known ones are {', '.join(names)}"
            msg = f"{where}: unknown {what} {key}: {hint}"
            raise InvalidEvent(msg)


def _receivers(path: Path, members: Mapping[str, Any]) -> tuple[Receiver, ...]:
    tables = members.get(ALERTS, [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        msg = f"{path}: write [[alerts]], in two brackets, above each receiver's settings"
        raise InvalidEvent(msg)
    if len(tables) > RECEIVERS_MAX:
        msg = f"{path}: {len(tables)} tables [[alerts]], and {RECEIVERS_MAX} at most are used: merge some"
        raise InvalidEvent(msg)
    found = [_receiver(path, number, table) for number, table in enumerate(tables, 1)]
    names = [each.name for each in found]
    for name in names:
        if names.count(name) > 1:
            msg = f"{path}: two receivers are called {name}: give each of them a name = of its own"
            raise InvalidEvent(msg)
    if any(each.get("secret") for each in tables) and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        warnings.warn(f"{path} holds a secret, and others may read it: chmod 600 it, or use secret_file", stacklevel=4)
    return tuple(found)


_KEYS = ("name", "on", "accounts", "command", "url", "secret", "secret_file", "allow_http", "headroom_below",
         "feed_stale_after", "disk_free_below", "mirror_lag_above", "repeat_after")  # fmt: skip


def _receiver(path: Path, number: int, members: dict[str, Any]) -> Receiver:
    where = f"alerts, table {number}"
    _check_known(f"{path}: [{where}]", members, _KEYS, "key")
    table = TomlTable(str(path), where, members)
    for key in ("url", "secret"):
        if not isinstance(members.get(key, "-"), str):
            table.refuse(f'{key}: expected text in quotes, as in {key} = "…"')
    command, url = tuple(_texts(table, "command")), table.text("url") or ""
    if bool(command) is bool(url):
        table.refuse('give one of url = "https://…" and command = ["program", "argument"]')
    allow_http = members.get("allow_http", False)
    if not isinstance(allow_http, bool):
        table.refuse("allow_http is true or false")
    if url and (problem := url_problem(url, allow_http=allow_http)):
        table.refuse(f"url: {problem}")
    secret, secret_file = _secret(table, is_sent=bool(url))
    given = {
        "headroom_below": _share(table),
        "disk_free_below": _size(table, "disk_free_below"),
        **{key: table.duration(key) for key in ("feed_stale_after", "mirror_lag_above", "repeat_after")},
    }
    receiver = Receiver(name=_name(table, command, url), on=_conditions(table), accounts=_accounts(table),
                        command=command, url=url, secret=secret, secret_file=secret_file)  # fmt: skip
    return replace(receiver, **{key: value for key, value in given.items() if value is not None})


def _secret(table: TomlTable, *, is_sent: bool) -> tuple[str, str]:
    """Return the secret and the file that has it: at most one of them, which is not shown."""
    secret, file = table.text("secret") or "", table.text("secret_file") or ""
    if (secret or file) and (not is_sent or (secret and file)):
        table.refuse("give secret or secret_file, not both, and only with a url: a command is not signed")
    if secret:
        try:
            key_of(secret)
        except Unavailable as e:
            table.refuse(str(e))
    return secret, file


def _name(table: TomlTable, command: tuple[str, ...], url: str) -> str:
    """Return the receiver's name: it is in the log, in files' names and in messages, and so never a whole URL."""
    given = table.text("name")
    if given is not None:
        if len(given) > NAME_MAX or _NOT_IN_A_NAME.search(given):
            table.refuse(f"name = {given!r:.80}: expected 1 to {NAME_MAX} of A-Z a-z 0-9 _ . -")
        return given
    derived = Path(command[0]).name if command else urlsplit(url).netloc
    return _NOT_IN_A_NAME.sub("-", derived).strip("-.")[:NAME_MAX] or "receiver"


def _texts(table: TomlTable, key: str) -> list[str]:
    if key not in table.members:
        return []
    found = table.array(key)
    if not found or not all(isinstance(each, str) and each and "\0" not in each for each in found):
        table.refuse(f'{key}: expected an array of texts, as in {key} = ["a", "b"]')
    return found


def _conditions(table: TomlTable) -> frozenset[Condition]:
    known = [str(each) for each in Condition]
    given = _texts(table, "on") or known
    with table.located_errors():
        _check_known("on", given, known, "condition")
    return frozenset(map(Condition, given))


def _accounts(table: TomlTable) -> frozenset[str] | None:
    given = _texts(table, "accounts")
    with table.located_errors():
        for each in given:
            check_name("account", each)
    return frozenset(given) or None


def _share(table: TomlTable) -> Decimal | None:
    share = table.amount("headroom_below")
    if share is not None and not 0 < share < 1:
        table.refuse(f'headroom_below = "{share}": expected a share above 0 and below 1, as in headroom_below = "0.2"')
    return share


def _size(table: TomlTable, key: str) -> int | None:
    value = table.members.get(key)
    if value is None:
        return None
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        table.refuse(f'{key} = {value!r:.80}: expected a size, as in {key} = "5 GB"')
    return int(Decimal(found["number"]) * _UNITS[found["unit"]])


def _heartbeat(path: Path, members: Mapping[str, Any]) -> str:
    url = members.get(HEARTBEAT, "")
    problem = url_problem(url) if isinstance(url, str) and url else "expected a URL in quotes"
    if HEARTBEAT in members and problem:
        msg = f"{path}: {HEARTBEAT}: {problem}"
        raise InvalidEvent(msg)
    return str(url)
