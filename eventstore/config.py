"""Settings: how InfluxDB is reached, given in code, in the environment or in eventstore.toml."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from typing_extensions import override

from eventstore.errors import InvalidEvent, Unavailable, shown
from eventstore.locations import masked_url

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "EVENTSTORE_INFLUX_"
FILE = "eventstore.toml"
TABLE = "influx"
AUDIT_READS = "audit_reads"
SETTINGS = (TABLE, "alerts", AUDIT_READS, "checkpoints", "heartbeat")
"""What the file may have at its top."""


_AUDIT_READS_VARIABLE = "EVENTSTORE_AUDIT_READS"
_SWITCHES = {"1": True, "true": True, "0": False, "false": False}


class InfluxSettings(msgspec.Struct, frozen=True):
    """Where InfluxDB is and how it is spoken to. The token, or a file that holds it, is never printed.

    `symbols`: whether an event's symbol becomes a tag; a log keeps what its first shipment had. Seconds are how long
    one request may take, how long a MIRRORED append waits, and how long a reader tries again before it gives up.
    `catch_up_per_second`: how many records a second are shipped, at least, while others are appended; more where these
    alone are more. Nothing else slows the mirror.
    """

    url: str
    org: str
    bucket: str
    token: str = ""
    token_file: str = ""
    symbols: bool = True
    timeout_seconds: float = 30.0
    wait_seconds: float = 30.0
    patience_seconds: float = 60.0
    catch_up_per_second: float = 12_000.0
    verify_tls: bool = True
    ca_file: str = ""

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            msg = f"InfluxDB's url begins with http:// or https://, not {shown(masked_url(self.url))}"
            raise InvalidEvent(msg)
        for name in ("timeout_seconds", "wait_seconds", "patience_seconds", "catch_up_per_second"):
            # Infinity too is refused: every wait ends.
            if not 0 < getattr(self, name) < math.inf:
                msg = f"{name} is a number above 0, not {getattr(self, name)!r}"
                raise InvalidEvent(msg)

    @classmethod
    def load(
        cls,
        directory: str | os.PathLike[str] = ".",
        *,
        given: Mapping[str, object] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> InfluxSettings:
        """Return the settings of the environment (EVENTSTORE_INFLUX_URL, _ORG, …), else of DIRECTORY/eventstore.toml.

        Each member by itself: what is `given` goes before what the environment names, and that before what the file's
        table `[influx]` has. Raises InvalidEvent, saying what is missing.
        """
        found = _of_file(Path(directory) / FILE)
        names = {field.name for field in msgspec.structs.fields(cls)}
        environment = os.environ if environment is None else environment
        known = sorted(PREFIX + name.upper() for name in names)
        if misspelt := sorted(key for key in environment if key.startswith(PREFIX) and key not in known):
            msg = f"unknown setting {', '.join(misspelt)}: the settings are {', '.join(known)}"
            raise InvalidEvent(msg)
        named = {name: text for name in names if (text := environment.get(PREFIX + name.upper()))}
        for nearer in (named, given or {}):
            if "token" in nearer:
                # A token given here goes before a token file given farther away.
                found.pop("token_file", None)
            found |= nearer
        if unknown := sorted(set(found) - names):
            settings = ", ".join(sorted(names))
            msg = f"{FILE}: unknown setting {', '.join(unknown)} in [{TABLE}]: the settings are {settings}"
            raise InvalidEvent(msg)
        if missing := [name for name in ("url", "org", "bucket") if name not in found]:
            names_missing = ", ".join(PREFIX + name.upper() for name in missing)
            msg = f"InfluxDB is not configured: set {names_missing}, or give them in {FILE} under [{TABLE}]"
            raise InvalidEvent(msg)
        try:
            return msgspec.convert(found, cls, strict=False)
        except msgspec.ValidationError as e:
            msg = f"InfluxDB's settings: {e}"
            raise InvalidEvent(msg) from e

    def secret(self) -> str:
        """Return the token; read from its file at each call, so that a new one needs no restart.

        Raises Unavailable for a file that cannot be read, and for text that cannot be a token, which it does not show.
        """
        token = self.token
        if self.token_file:
            try:
                token = Path(self.token_file).read_text("utf-8")
            except (OSError, UnicodeDecodeError) as e:
                msg = f"the token's file {self.token_file} cannot be read: {getattr(e, 'strerror', 'it is not text')}"
                raise Unavailable(msg) from e
        token = token.strip()
        if not token and self.token_file:
            msg = f"the token's file {self.token_file} is empty"
            raise Unavailable(msg)
        if not (token.isascii() and token.isprintable()):
            msg = "the token contains invalid characters (it is not shown here): copy it again"
            raise Unavailable(msg)
        return token

    @property
    def address(self) -> str:
        """The URL as it may be shown, without a user's name and password."""
        return masked_url(self.url)

    @override
    def __repr__(self) -> str:
        return f"<InfluxSettings {self.bucket} of {self.org} at {self.address}>"

    @override
    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # What msgspec gives rich to print has every member, the token too.
        return [("bucket", self.bucket), ("org", self.org), ("at", self.address)]


def audits_reads(directory: str | os.PathLike[str] = ".", *, environment: Mapping[str, str] | None = None) -> bool:
    """Return whether reading is recorded: `EVENTSTORE_AUDIT_READS` (1 or 0), else `audit_reads` in eventstore.toml.

    Raises InvalidEvent for any other value, rather than leave it open what is recorded.
    """
    environment = os.environ if environment is None else environment
    text = environment.get(_AUDIT_READS_VARIABLE, "")
    if text:
        if text not in _SWITCHES:
            msg = f"{_AUDIT_READS_VARIABLE} is 1 or 0, not {shown(text)}"
            raise InvalidEvent(msg)
        return _SWITCHES[text]
    found = document(Path(directory) / FILE).get(AUDIT_READS, False)
    if not isinstance(found, bool):
        msg = f"{FILE}: {AUDIT_READS} is true or false, not {shown(found)}"
        raise InvalidEvent(msg)
    return found


def document(path: Path) -> dict[str, Any]:
    """Return what a TOML file of settings has, nothing if there is none; raise InvalidEvent if it cannot be read."""
    import tomllib

    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        msg = f"{path} cannot be read: {e}"
        raise InvalidEvent(msg) from e


def _of_file(path: Path) -> dict[str, object]:
    table = document(path).get(TABLE, {})
    if not isinstance(table, dict):
        msg = f"{path}: {TABLE} is a table: write [{TABLE}] and its members below"
        raise InvalidEvent(msg)
    return dict(table)
